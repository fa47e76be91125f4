"""Choosing what to do: cond and switch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax import pytree, settings
from fornax.api.references import RefArguments
from fornax.api.signature import as_arrays
from fornax.api.stages import Traced
from fornax.api.tracing import trace_types
from fornax.given import not_given
from fornax.ir.late import retraced
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.lax.carry import check_branches
from fornax.lax.refs import joined_refs, with_refs, write_refs
from fornax.primitives.arrange import with_common_constants
from fornax.primitives.compare import ne_p
from fornax.primitives.cond import cond_p
from fornax.primitives.convert import convert_element_type
from fornax.primitives.family import constant
from fornax.primitives.select import clamp_p
from fornax.runtime.transfers import takes_arrays
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["cond", "switch"]


@takes_arrays("true_fun false_fun")
def cond(
    pred: Any,
    true_fun: Callable[..., Any],
    false_fun: Callable[..., Any],
    *operands: Any,
    operand: Any = not_given,
) -> Any:
    """`true_fun(*operands)` if `pred` is true, else `false_fun(*operands)`.

    pred: a boolean or numeric scalar. Both functions are traced, one runs; they must return trees
    of equal structure and types. Under vmap with a mapped `pred` both run and results are selected.
    operand: older spelling of a single operand. The older form cond(pred, x, f, y, g), which is
    f(x) or g(y), is understood, too.

    Raises TypeError if the functions' results differ in type or `pred` is no scalar.
    """
    if operand is not not_given:
        if operands:
            raise TypeError(
                located(
                    "if 'operand' keyword is passed then no positional operands can be passed, "
                    f"got operand={operand} and positional operands {operands}",
                    attempt="cond(pred, true_function, false_function, x, y), without operand=",
                )
            )
        operands = (operand,)
    if not callable(true_fun) and len(operands) == 2 and callable(false_fun):
        # the older form: each function has an operand of its own
        if callable(operands[1]):
            first, second = false_fun, operands[1]
            both = (true_fun, operands[0])
            return cond(pred, lambda x, _: first(x), lambda _, y: second(y), *both)
    if not (callable(true_fun) and callable(false_fun)):
        raise TypeError(
            located(
                "lax.cond: true_fun and false_fun arguments should be callable.",
                attempt="cond(pred, true_function, false_function, *operands)",
            )
        )
    pred = check_predicate(pred)
    if settings.current().disable_jit and not isinstance(pred, Tracer):
        return true_fun(*operands) if np.asarray(pred).any() else false_fun(*operands)
    index = convert_element_type(pred, dtypes.int32) if isinstance(pred, Tracer) else np.int32(
        bool(np.asarray(pred))
    )  # fmt: skip
    names = ["true_fun", "false_fun"]
    return _choose("cond", index, [false_fun, true_fun], names, operands, checked=-1)


def check_predicate(pred: Any) -> Any:
    """`pred` as a boolean scalar. Raises TypeError if it is not a scalar number."""
    try:
        type = typeof(pred)
    except TypeError:
        raise TypeError(
            located(
                f"Pred must be a scalar, got {pred} of type {pred.__class__}",
                "the condition is a boolean or a number",
                "a comparison, or bool(...) of a Python value",
            )
        ) from None
    if type.shape:
        raise TypeError(
            located(
                f"Pred must be a scalar, got {pred} of shape {type.shape}.",
                "one of the branches is taken, for all elements",
                "numpy.where to choose by element, .any() or .all(), or vmap over the condition",
            )
        )
    if type.dtype == dtypes.bool_:
        return pred
    if dtypes.is_integer(type.dtype) or dtypes.is_floating(type.dtype):
        if isinstance(pred, Tracer):
            return ne_p(pred, constant(pred, 0))
        return np.asarray(pred).astype(bool)[()]
    raise TypeError(
        located(
            f"Pred type must be either boolean or number, got {type.dtype}.",
            attempt="pred != 0, or a comparison",
        )
    )


@takes_arrays("branches")
def switch(
    index: Any,
    branches: Sequence[Callable[..., Any]],
    *operands: Any,
    operand: Any = not_given,
) -> Any:
    """`branches[index](*operands)`, with the index clamped to the branches there are.

    index: an integer scalar. Raises TypeError if branches' results differ in type or the index is
    not an integer, ValueError for no branches.
    """
    if operand is not not_given:
        if operands:
            raise TypeError(
                located(
                    "if 'operand' keyword is passed then no positional operands can be passed, "
                    f"got operand={operand} and positional operands {operands}",
                    attempt="switch(index, branches, x, y), without operand=",
                )
            )
        operands = (operand,)
    branches = list(branches)
    if not all(map(callable, branches)):
        raise TypeError(
            located(
                "lax.switch: branches argument should be a sequence of callables.",
                attempt="switch(index, (function, other_function), *operands)",
            )
        )
    try:
        type = typeof(index)
    except TypeError:
        raise TypeError(
            located(
                f"Index type must be an integer, got {index}.",
                attempt="an array or a Python integer",
            )
        ) from None
    if type.shape:
        raise TypeError(
            located(
                f"Branch index must be scalar, got {index} of shape {type.shape}.",
                attempt="index[0], or vmap over the indices",
            )
        )
    if not dtypes.is_integer(type.dtype):
        raise TypeError(
            located(
                f"Index type must be an integer, got {index} as {type.dtype.name}",
                attempt="index.astype(int)",
            )
        )
    if not branches:
        raise ValueError(located("Empty branch sequence", attempt="at least one function"))
    if len(branches) == 1:
        return branches[0](*operands)
    if not isinstance(index, Tracer):
        number = min(max(int(np.asarray(index)), 0), len(branches) - 1)
        if settings.current().disable_jit:
            return branches[number](*operands)
        index = np.int32(number)
    else:
        index = clamp_p(
            np.int32(0), convert_element_type(index, dtypes.int32), np.int32(len(branches) - 1)
        )
    names = [f"branch {number}" for number in range(len(branches))]
    return _choose("switch", index, branches, names, operands)


@retraced
def _choose(
    kind: str, index: Any, branches: Sequence[Callable[..., Any]], names: Sequence[str],
    operands: Sequence[Any], checked: int = 1,
) -> Any:  # fmt: skip
    """`choose` of functions. checked: the step through them in which `names` are."""
    traced = [trace_types(f, operands, kind, refs=True) for f in branches]
    check_branches(kind, branches[::checked], names, traced[::checked])
    return choose(index, traced, operands)


def choose(index: Any, traced: Sequence[Traced], operands: Sequence[Any]) -> Any:
    """The result of branch number `index` on the operands."""
    leaves = pytree.tree_leaves(tuple(operands))
    arguments, refs = RefArguments(leaves), joined_refs(traced, leaves)
    programs, consts = with_common_constants([with_refs(t, refs, leaves) for t in traced])
    given = [*arguments.values(leaves), *(ref.read() for ref in refs)]
    outs = write_refs(refs, cond_p.bind(index, *consts, *given, branches=programs), programs)
    outs = arguments.settle(outs)
    return pytree.tree_unflatten(traced[0].out_tree, as_arrays(outs))
