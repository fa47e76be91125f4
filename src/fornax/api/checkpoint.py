"""checkpoint (remat): trade computing again for memory, with policies that say what to keep."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fornax import pytree, settings
from fornax.api.calls import Options, Prepared, prepare
from fornax.api.signature import as_arrays, check_callable, function_name, resolve_names
from fornax.api.tracing import programs_of, trace_call
from fornax.given import not_given
from fornax.ir.late import retraced
from fornax.ir.types import typeof
from fornax.primitives.checkpoint import (
    Offloadable,
    Policy,
    Recompute,
    Saveable,
    checkpoint_p,
    name_p,
)
from fornax.scalars import dtypes
from fornax.source import located
from fornax.transforms.linearize import linearize_flat
from fornax.transforms.stage import stage

__all__ = [
    "Offloadable",
    "Recompute",
    "Saveable",
    "checkpoint",
    "checkpoint_name",
    "checkpoint_policies",
    "print_saved_residuals",
    "remat",
    "saved_residuals",
]


def checkpoint(
    fun: Callable[..., Any],
    *,
    prevent_cse: bool | Sequence[bool] = True,
    policy: Policy | None = None,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Iterable[str] = (),
    concrete: Any = not_given,
) -> Any:
    """`fun`, of which derivatives remember the arguments only and compute the rest again.

    policy: says which results of operations to remember all the same; see `checkpoint_policies`.
    static_argnums, static_argnames: arguments that are no arrays; where one of them cannot be
    hashed, the program is not remembered. prevent_cse: whether the compiler
    must keep the recomputation apart from the first computation.
    """
    check_callable(fun)
    if concrete is not not_given:
        raise NotImplementedError(
            located(
                "The 'concrete' option to checkpoint has no meaning any more; use static_argnums",
                attempt="static_argnums for the arguments on which Python decides",
            )
        )
    numbers, names = resolve_names(fun, "static", static_argnums or None, static_argnames or None)
    options = Options(
        fun,
        function_name(fun),
        numbers,
        names,
        refuse_unhashable=False,
        purpose="checkpoint",
        shared_refs=True,
    )
    keep_apart = prevent_cse if isinstance(prevent_cse, bool) else tuple(prevent_cse)

    @functools.wraps(fun)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        if settings.current().disable_jit:
            return fun(*args, **kwargs)
        return applied(prepare(options, args, kwargs))

    @retraced
    def applied(prepared: Prepared) -> Any:
        programs = programs_of(fun) if prepared.can_be_found else None
        traced = trace_call(prepared, programs if programs is not None else OrderedDict())

        def run(operands: Sequence[Any]) -> Sequence[Any]:
            return checkpoint_p.bind(
                *traced.jaxpr.consts, *operands, jaxpr=traced.jaxpr.without_consts(),
                policy=policy, prevent_cse=keep_apart, differentiated=False,
            )  # fmt: skip

        outs = traced.applied(prepared.leaves, run)
        return pytree.tree_unflatten(traced.out_tree, as_arrays(outs))

    return checkpointed


remat = checkpoint


def checkpoint_name(x: Any, name: str) -> Any:
    """A tree of values under a name that policies can look for."""
    return pytree.tree_map(lambda leaf: name_p.bind(leaf, name=name)[0], x)


class checkpoint_policies:  # noqa: N801  (a namespace with JAX's name)
    """Ready-made policies for `checkpoint`."""

    @staticmethod
    def everything_saveable(*_: Any, **__: Any) -> bool:
        """Keep everything, as if there were no checkpoint."""
        return True

    @staticmethod
    def nothing_saveable(*_: Any, **__: Any) -> bool:
        """Keep the arguments only; the default."""
        return False

    @staticmethod
    def dots_saveable(prim: Any, *_: Any, **__: Any) -> bool:
        """Keep the results of matrix products and convolutions."""
        return prim.name in _PRODUCTS

    @staticmethod
    def dots_with_no_batch_dims_saveable(prim: Any, *_: Any, **params: Any) -> bool:
        """Keep the results of matrix products without batch dimensions."""
        if prim.name != "dot_general":
            return False
        _, (left, right) = params["dimension_numbers"]
        return not left and not right

    checkpoint_dots = dots_saveable
    checkpoint_dots_with_no_batch_dims = dots_with_no_batch_dims_saveable

    @staticmethod
    def save_anything_except_these_names(*names: str) -> Policy:
        """Keep everything but the values called `names`."""
        return Named(frozenset(names), "except")

    @staticmethod
    def save_any_names_but_these(*names: str) -> Policy:
        """Keep the values that have a name, except those called `names`."""
        return Named(frozenset(names), "others")

    @staticmethod
    def save_only_these_names(*names: str) -> Policy:
        """Keep the values called `names` (by `checkpoint_name`)."""
        return Named(frozenset(names), "only")

    @staticmethod
    def save_from_both_policies(first: Policy, second: Policy) -> Policy:
        """Keep what either policy keeps."""
        return Both(first, second)

    @staticmethod
    def save_and_offload_only_these_names(
        *, names_which_can_be_saved: Sequence[str], names_which_can_be_offloaded: Sequence[str],
        offload_src: str, offload_dst: str,
    ) -> Policy:  # fmt: skip
        """Keep the values of both kinds of names: with one memory there is nowhere to move them."""
        del offload_src, offload_dst
        names = (*names_which_can_be_saved, *names_which_can_be_offloaded)
        return Named(frozenset(names), "only")

    @staticmethod
    def offload_dot_with_no_batch_dims(offload_src: str, offload_dst: str) -> Policy:
        """`dots_with_no_batch_dims_saveable`: with one memory there is nowhere to move them."""
        del offload_src, offload_dst
        return checkpoint_policies.dots_with_no_batch_dims_saveable


_PRODUCTS = ("dot_general", "conv_general_dilated")


class Named:
    """A policy by names; equal for equal names, so that programs are found again."""

    def __init__(self, names: frozenset[str], rule: str):
        self.key = names, rule

    def __call__(self, prim: Any, *_: Any, **params: Any) -> bool:
        names, rule = self.key
        if prim.name != "name":
            return rule == "except"
        return (params["name"] in names) == (rule == "only")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)


class Both:
    """A policy that keeps what either of two keeps."""

    def __init__(self, first: Policy, second: Policy):
        self.key = first, second

    def __call__(self, prim: Any, *types: Any, **params: Any) -> bool:
        return any(bool(policy(prim, *types, **params)) for policy in self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Both) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)


def saved_residuals(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> list[tuple[Any, str]]:
    """(type, where from) of every value that the derivative of `fun` would remember."""
    from_names: list[tuple[Any, str]] = []

    def function(*leaves: Any) -> list[Any]:
        inner_args, inner_kwargs = pytree.tree_unflatten(structure, leaves)
        return pytree.tree_leaves(fun(*inner_args, **inner_kwargs))

    leaves, structure = pytree.tree_flatten((args, kwargs))
    jaxpr = stage(lambda *xs: _residuals(function, xs), [typeof(x) for x in leaves])
    inputs = {v: i for i, v in enumerate(jaxpr.invars)}
    made = {v: e for e in jaxpr.equations for v in e.outputs}
    for atom in jaxpr.outputs:
        if atom in inputs:
            from_names.append((atom.type, f"from the argument {inputs[atom]}"))
        elif atom in made:
            equation = made[atom]
            from_names.append(
                (atom.type, f"output of {equation.primitive.name} from {equation.source}")
            )
        else:
            from_names.append((atom.type, "from a constant"))
    return from_names


def _residuals(function: Callable[..., Any], primals: Sequence[Any]) -> list[Any]:
    nonzero = [dtypes.is_inexact(typeof(x).dtype) for x in primals]
    return list(linearize_flat(function, primals, nonzero)[1].consts)


def print_saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Print what the derivative of `f` would remember; see `saved_residuals`."""
    for type, origin in saved_residuals(f, *args, **kwargs):
        print(type.short(), origin)
