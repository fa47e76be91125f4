"""Loops as long as a condition holds, or over a range of integers: while_loop, fori_loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fornax import pytree, settings
from fornax.api.signature import as_arrays
from fornax.api.stages import Traced
from fornax.api.tracing import trace_types
from fornax.errors import ConcretizationTypeError
from fornax.ir.late import retraced
from fornax.ir.types import typeof
from fornax.lax.carry import check_carry, promoted, value_types
from fornax.lax.python_loops import python_while
from fornax.lax.refs import joined_refs, tested_by, write_refs
from fornax.lax.scans import Adapt, run_scan
from fornax.primitives.compare import lt_p
from fornax.primitives.convert import convert_element_type
from fornax.primitives.elementwise import add_p
from fornax.primitives.family import constant
from fornax.primitives.while_ import while_p
from fornax.runtime.transfers import takes_arrays
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["fori_loop", "while_loop"]


@takes_arrays("cond_fun body_fun")
def while_loop(
    cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any
) -> Any:
    """Apply `body_fun` to the carry as long as `cond_fun` of it is true; returns the last carry.

    cond_fun: carry -> boolean scalar. body_fun: carry -> carry of the same structure and types.
    Differentiable forwards only. Raises TypeError if types or structures do not fit.
    """
    if not (callable(body_fun) and callable(cond_fun)):
        raise TypeError(
            located(
                "lax.while_loop: body_fun and cond_fun arguments should be callable.",
                attempt="while_loop(condition, body, init)",
            )
        )
    if settings.current().disable_jit:
        ended, init_val = python_while(cond_fun, body_fun, init_val)
        if ended:
            return init_val
    return run_while(cond_fun, body_fun, None, "while_loop", "", init_val)


@retraced
def run_while(
    cond_fun: Callable[..., Any],
    body_fun: Callable[..., Any],
    adapt: Adapt | None,
    purpose: str,
    name: str,
    init_val: Any,
) -> Any:
    """`while_loop` of `adapt(body_fun)`, remembered under `body_fun` and `purpose`.

    name: what messages call the carry, "" for what `body_fun` calls it.
    """
    leaves, structure = pytree.tree_flatten(init_val)
    types = value_types(leaves)
    carry = pytree.tree_unflatten(structure, types)
    body = trace_types(body_fun, (carry,), purpose, adapt, refs=True)
    if body.out_tree == structure:
        better = promoted(leaves, types, body.out_types)
        if better is not None:
            leaves, types = better, value_types(better)
            carry = pytree.tree_unflatten(structure, types)
            body = trace_types(body_fun, (carry,), purpose, adapt, refs=True)
    cond = trace_types(cond_fun, (carry,), "while_cond", refs=True)
    check_condition(cond)
    check_carry(
        "while_loop body", name or body_fun, structure, types, body.out_tree, body.out_types,
    )  # fmt: skip
    refs = joined_refs([cond, body])
    condition, step, values = tested_by(cond, body, refs, leaves)
    outs = while_p.bind(
        *condition.consts, *step.consts, *values,
        cond_jaxpr=condition.without_consts(), body_jaxpr=step.without_consts(),
        cond_nconsts=len(condition.consts), body_nconsts=len(step.consts),
    )  # fmt: skip
    outs = outs[len(outs) - len(leaves) - len(refs) :]  # without what the condition said
    return pytree.tree_unflatten(structure, as_arrays(write_refs(refs, outs, [step])))


def check_condition(cond: Traced) -> None:
    """Raise TypeError unless the condition gives a boolean scalar."""
    wanted = (
        "the condition decides for the whole carry whether there is another step",
        "a comparison such as x < 3, with .any() or .all() where it is of arrays",
    )
    if not pytree.treedef_is_leaf(cond.out_tree):
        raise TypeError(
            located(
                f"cond_fun must return a boolean scalar, but got pytree {cond.out_tree}.", *wanted
            )
        )
    if len(cond.out_types) != 1:
        raise TypeError(located("cond_fun must return a boolean scalar, but got None.", *wanted))
    (found,) = cond.out_types
    if found.shape or found.dtype != dtypes.bool_:
        raise TypeError(
            located(
                f"cond_fun must return a boolean scalar, but got output type(s) [{found}].", *wanted
            )
        )


@takes_arrays("body_fun unroll")
def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: int | bool | None = None,
) -> Any:
    """Apply `body_fun(i, value)` for i from `lower` up to and without `upper`.

    If both bounds are known while tracing this is a scan, which can be differentiated in reverse,
    and i is a weakly typed integer; otherwise it is a while loop, and i has the dtype of the
    bounds. Floats are rounded towards zero in the first case, and count by ones in the second.
    unroll: see `scan`; needs known bounds.
    Raises TypeError if the bounds have no common dtype or the value changes its type.
    """
    if not callable(body_fun):
        raise TypeError(
            located(
                "lax.fori_loop: body_fun argument should be callable.",
                attempt="fori_loop(lower, upper, function_of_index_and_value, init)",
            )
        )
    dtype = bound_dtype(lower, upper)
    first, last = known_bound(lower), known_bound(upper)
    if first is None or last is None:
        if unroll is not None and unroll is not False and unroll != 1:
            raise ValueError(located("Can only use `unroll` in `fori_loop` if the loop bounds are "
"statically known.",
attempt="Python integers as bounds, or leave unroll out"))  # fmt: skip
        bounds = [
            x if typeof(x).dtype == dtype else convert_element_type(x, dtype)
            for x in (lower, upper)
        ]
        init = (*bounds, init_val)
        return run_while(_below, body_fun, _counting_while, "fori_loop", "loop_carry", init)[2]
    if settings.current().disable_jit:
        value = init_val
        for i in range(first, last):
            value = body_fun(i, value)
        return value
    (_, value), _ = run_scan(
        body_fun, _counting_scan, "fori_loop", "loop_carry", (first, init_val), None,
        max(last - first, 0), False, 1 if unroll is None else unroll,
    )  # fmt: skip
    return value


def bound_dtype(lower: Any, upper: Any) -> np.dtype:
    """The dtype of a loop's index: that of both bounds, or of the one that is not weakly typed.

    Raises TypeError unless the bounds are scalars of one dtype, or signed integers one of which is
    weakly typed.
    """
    types = [typeof(lower), typeof(upper)]
    for type in types:
        if type.shape:
            raise TypeError(
                located(
                    f"fori_loop bounds must be scalars, got {type.short()}",
                    attempt="n[0], or vmap over the bounds",
                )
            )
    if types[0].dtype == types[1].dtype:
        return types[0].dtype
    strong = [t.dtype for t in types if not t.weak_type]
    if all(dtypes.is_signed_integer(t.dtype) for t in types) and len(strong) == 1:
        return strong[0]
    raise TypeError(
        located(
            "lower and upper arguments to fori_loop must have equal types, got "
            f"{types[0].dtype.name} and {types[1].dtype.name}",
            "the index runs from one to the other in one dtype",
            "Python integers, or arrays of the same integer dtype",
        )
    )


def known_bound(x: Any) -> int | None:
    """A bound that is known now as an integer, else None."""
    try:
        return int(x)
    except (TypeError, ConcretizationTypeError):
        return None


def _counting_scan(body: Callable[..., Any]) -> Callable[..., Any]:
    def step(loop_carry: Any, _: None) -> tuple[Any, None]:
        i, value = loop_carry
        return (add_p(i, constant(i, 1)), body(i, value)), None

    return step


def _counting_while(body: Callable[..., Any]) -> Callable[..., Any]:
    def step(loop_carry: Any) -> tuple[Any, Any, Any]:
        i, upper, value = loop_carry
        return add_p(i, constant(i, 1)), upper, body(i, value)

    return step


def _below(loop_carry: Any) -> Any:
    i, upper, _ = loop_carry
    return lt_p(i, upper)
