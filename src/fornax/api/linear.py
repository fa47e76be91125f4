"""linear_call: a linear function with a transpose of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax import pytree
from fornax.api.rules import CustomVJPPrimal
from fornax.api.signature import as_arrays
from fornax.api.tracing import trace_types
from fornax.ir.ref import Ref
from fornax.ir.types import typeof
from fornax.primitives.arrange import rearranged
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
    cotangent of the linear arguments. Both arguments are trees of arrays; the first may have
    mutable references, which both functions may write; what `fun` writes it writes once, and has no
    derivatives. Derivatives with respect to the residual arguments are not defined
    (NotImplementedError). Raises TypeError if `fun_transpose` gives another structure than that of
    the linear arguments, ValueError if it gives another shape.
    """
    residuals, residual_structure = pytree.tree_flatten(residual_args)
    linear, linear_structure = pytree.tree_flatten(linear_args)
    linear_types = [typeof(x).tangent() for x in linear]
    traced = trace_types(fun, (residual_args, linear_args), "linear_call", refs=True)
    jaxpr, out_structure = traced.jaxpr, traced.out_tree
    places = [i for i, x in enumerate(residuals) if isinstance(x, Ref)]
    count, given = len(jaxpr.consts), traced.operands([*residuals, *linear])
    first, last = len(residuals), len(residuals) + len(linear)
    # what it closes over comes beside the residuals, and references that it writes are given back
    order = [
        *range(count + first), *range(count + last, count + len(given)),
        *range(count + first, count + last),
    ]  # fmt: skip
    refs = [*(residuals[i] for i in places), *traced.used(residuals)]
    written = [k for k, changed in enumerate(traced.written) if changed]
    results = out_structure.num_leaves
    callee = rearranged(
        jaxpr.without_consts(), order, [*range(results), *(results + k for k in written)]
    )
    num_res = count + len(given) - len(linear)

    def rule(saved: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
        known = as_arrays(saved[count : count + first])
        for i in places:  # where its function has ended, what it held then
            known[i] = residuals[i] if residuals[i].known else Ref(known[i], residuals[i].kind)
        output = in_own_lines(
            fun_transpose,
            pytree.tree_unflatten(residual_structure, known),
            pytree.tree_unflatten(out_structure, as_arrays(cotangents)),
        )
        for i in places:
            if known[i] is not residuals[i] and known[i].read() is not saved[count + i]:
                raise NotImplementedError(
                    located(
                        "the transpose of linear_call writes to a mutable reference of type "
                        f"{known[i].aval} whose function has ended",
                        "nobody would see the value",
                        "grad inside of the function that is compiled, or custom_vjp",
                    )
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
        *jaxpr.consts, *given[:first], *given[last:], *given[first:last], callee=callee, rule=rule,
        num_res=num_res, num_refs=len(written),
    )  # fmt: skip
    for k, value in zip(written, outputs[results:], strict=True):
        refs[k].write(value)
    return pytree.tree_unflatten(out_structure, as_arrays(outputs[:results]))


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
