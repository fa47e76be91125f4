"""linear_call: a linear function with a transpose of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax import pytree
from fornax.api.rules import CustomVJPPrimal
from fornax.api.signature import as_arrays
from fornax.api.tracing import trace_types
from fornax.ir.types import typeof
from fornax.primitives.linear_call import linear_call_p
from fornax.source import in_own_lines, located

__all__ = ["custom_vjp_primal_tree_values", "linear_call"]


def linear_call(
    fun: Callable[[Any, Any], Any],
    fun_transpose: Callable[[Any, Any], Any],
    residual_args: Any,
    linear_args: Any,
) -> Any:
    """`fun(residual_args, linear_args)`, whose transpose is `fun_transpose`.

    fun: linear in its second argument. fun_transpose: (residual_args, cotangent of the output) ->
    cotangent of the linear arguments. Both arguments are trees of arrays. Derivatives with respect
    to the residual arguments are not defined (NotImplementedError). Raises TypeError if
    `fun_transpose` gives another structure than that of the linear arguments, ValueError if it
    gives another shape.
    """
    residuals, residual_structure = pytree.tree_flatten(residual_args)
    linear, linear_structure = pytree.tree_flatten(linear_args)
    linear_types = [typeof(x).tangent() for x in linear]
    traced = trace_types(fun, (residual_args, linear_args), "linear_call")
    jaxpr, out_structure = traced.jaxpr, traced.out_tree
    count = len(jaxpr.consts)

    def rule(saved: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
        output = in_own_lines(
            fun_transpose,
            pytree.tree_unflatten(residual_structure, as_arrays(saved[count:])),
            pytree.tree_unflatten(out_structure, as_arrays(cotangents)),
        )
        found, structure = pytree.tree_flatten(output)
        if structure != linear_structure:
            raise TypeError(
                located(
                    "transpose output pytree structure must match that of linear inputs, got "
                    f"output structure {structure} and input structure {linear_structure}.",
                    attempt="a transpose that gives one cotangent for each linear input, in "
                    "their containers",
                )
            )
        for path, value, type in zip(
            pytree.structure_paths(linear_structure), found, linear_types, strict=True
        ):
            got = typeof(value)
            if got.shape != type.shape:
                raise ValueError(
                    located(
                        f"Expected cotangent type {type.short()} but got {got.short()}, for linear "
                        f"input{pytree.keystr(path)} from the transpose of linear_call",
                        "a cotangent has the shape of what it belongs to",
                        "sum it over the dimensions that the function broadcasts",
                    )
                )
        return found

    outputs = linear_call_p.bind(
        *jaxpr.consts, *residuals, *linear, callee=jaxpr.without_consts(), rule=rule,
        num_res=count + len(residuals),
    )  # fmt: skip
    return pytree.tree_unflatten(out_structure, as_arrays(outputs))


def custom_vjp_primal_tree_values(tree: Any) -> Any:
    """The values of a tree of `CustomVJPPrimal`, which fwd rules with symbolic zeros get.

    Raises TypeError for a leaf that is none.
    """

    def value(leaf: Any) -> Any:
        if not isinstance(leaf, CustomVJPPrimal):
            raise TypeError(
                located(
                    f"unexpected leaf type {type(leaf)}",
                    attempt="pass the tree that the fwd rule gets with symbolic_zeros=True",
                )
            )
        return leaf.value

    return pytree.tree_map(value, tree, is_leaf=lambda x: isinstance(x, CustomVJPPrimal))
