"""Loops as Python runs them: what `disable_jit` makes of scan and while_loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax import pytree
from fornax.api.tracing import trace_types
from fornax.ir.trace import Tracer, current
from fornax.lax.carry import value_types
from fornax.primitives.arrange import depends
from fornax.primitives.concatenate import concatenate
from fornax.primitives.shape import expand_dims, squeeze
from fornax.primitives.slice import slice_in
from fornax.source import located

__all__ = ["python_scan", "python_while"]


def python_scan(
    f: Callable[..., Any],
    carry: Any,
    xs: Sequence[Any],
    structure: pytree.PyTreeDef,
    length: int,
    reverse: bool,
) -> tuple[Any, Any]:
    """A scan as a Python loop on concrete values, for `disable_jit`."""
    if length == 0:
        raise ValueError(
            located(
                "zero-length scan is not supported in disable_jit() mode because the output type "
                "is unknown.",
                attempt="skip the scan for length 0, or run it outside of disable_jit",
            )
        )
    rows: list[Any] = [None] * length
    for i in reversed(range(length)) if reverse else range(length):
        x = pytree.tree_unflatten(
            structure, [squeeze(slice_in(leaf, 0, i, i + 1), (0,)) for leaf in xs]
        )
        carry, rows[i] = f(carry, x)
    columns = zip(*(pytree.tree_leaves(row) for row in rows), strict=True)
    stacked = [concatenate([expand_dims(y, (0,)) for y in column], 0) for column in columns]
    return carry, pytree.tree_unflatten(pytree.tree_structure(rows[0]), stacked)


def python_while(
    cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], value: Any
) -> tuple[bool, Any]:
    """Apply `body_fun` to the carry as long as `cond_fun` of it is true: (True, the last carry).

    (False, a carry) to go on with where the answer is traced. The condition is not asked then:
    what it does besides, calls and writes to references, would happen twice.
    """
    while current() is None or not _unknown(cond_fun, value):
        if not cond_fun(value):
            return True, value
        value = body_fun(value)
    return False, value


def _unknown(cond_fun: Callable[[Any], Any], value: Any) -> bool:
    """Whether what the condition says of a carry depends on traced values."""
    leaves, structure = pytree.tree_flatten(value)
    try:
        carry = pytree.tree_unflatten(structure, value_types(leaves))
        traced = trace_types(cond_fun, (carry,), "while_cond", refs=True)
    except TypeError:  # it looks at the values themselves
        return False
    given = [*traced.jaxpr.consts, *leaves, *(ref.read() for ref in traced.used(()))]
    flags = [isinstance(x, Tracer) and x.concrete() is None for x in given]
    return depends(traced.jaxpr, flags)[0]
