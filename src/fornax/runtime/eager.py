"""Eager execution: an operation outside of any transformation runs at once.

First through its NumPy `reference`, which needs no compiling; a counter per (operation, types)
replaces it by a compiled program once the reference has cost more time than compiling would. The
time is estimated, not measured: last bits may change then, so it must be the same call in every
run. Operations that hold programs (scan, while, jit …) are compiled at once. The setting `eager`
may choose one of both from the start.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import _native, settings
from fornax._native import flush_denormals
from fornax.ir.jaxpr import Equation, Jaxpr, Var, subprograms
from fornax.ir.primitive import Primitive
from fornax.ir.types import ArrayType, typeof
from fornax.runtime import key_reuse, nonfinite, transfers
from fornax.runtime.exhausted import allocating
from fornax.runtime.key_array import KeyArray
from fornax.runtime.values import stored, to_array, to_numpy, wrap
from fornax.scalars.dtypes import ExtendedDtype
from fornax.transforms.hash import exact
from fornax.transforms.physical import bind_on_words

#: estimated seconds of reference time after which a compiled kernel takes over at the next call
PROMOTE_AFTER = 0.01
#: estimated seconds of the reference per element of operands and results: of moving it, and of each
#: unit of the operation's `cost`
_MOVE, _COMPUTE = 5e-10, 2e-10
#: most (operation, types) pairs remembered
_LIMIT = 8192


class _Entry:
    """What is known about one operation on one choice of types."""

    __slots__ = ("cost", "executable", "out_types", "promote", "spent", "watched")

    def __init__(self, out_types: list[ArrayType], cost: float, promote: bool, watched: bool):
        self.out_types = out_types
        #: estimated seconds of one call
        self.cost = cost
        self.promote = promote
        self.watched = watched
        self.spent = 0.0
        self.executable: Any = None


_entries: OrderedDict[tuple[Any, ...], _Entry] = OrderedDict()


def clear() -> None:
    """Forget all counters and promoted kernels."""
    _entries.clear()


def evaluate(primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """The results of an operation on concrete values."""
    types = [typeof(x) for x in operands]
    current = settings.current()
    key = (primitive, current, *types, *[(name, exact(x)) for name, x in params.items()])
    entry = _entries.get(key)
    if entry is None:
        if not hasattr(primitive, "words") and any(isinstance(x, KeyArray) for x in operands):
            return _on_keys(primitive, operands, types, params)
        entry = _new_entry(primitive, types, params, key)
    if entry.watched and current.input_guard is not None:
        transfers.check_callers(operands)
    if entry.executable is None and entry.spent and entry.spent > PROMOTE_AFTER:
        entry.executable = _compile(primitive, types, params, entry.out_types)
    if entry.executable is not None:
        with allocating(entry.out_types):
            results = entry.executable.call(operands)
    else:
        arrays = [to_numpy(x, t) for x, t in zip(operands, types, strict=True)]
        before = flush_denormals(current.flush_denormals)
        try:
            with allocating(entry.out_types), np.errstate(all="ignore"):
                values = primitive.reference(*arrays, **params)
                results = [wrap(r, t) for r, t in zip(values, entry.out_types, strict=True)]
        finally:
            flush_denormals(before)
        if entry.promote:
            entry.spent += entry.cost
    _native.add_work(entry.cost)
    if entry.watched:
        _look(current, primitive, operands, params, results)
    return results


def _look(
    current: settings.Settings, primitive: Primitive, operands: Sequence[Any],
    params: dict[str, Any], results: Sequence[Any],
) -> None:  # fmt: skip
    """What settings ask about every operation."""
    if current.debug_key_reuse:
        key_reuse.check_operation(primitive, operands, params, results)
    if nonfinite.wanted(current):
        nonfinite.check_operation(primitive, operands, params, results)


def _on_keys(
    primitive: Primitive, operands: Sequence[Any], types: list[ArrayType], params: dict[str, Any]
) -> list[Any]:
    """An operation that knows nothing of keys, on the words of keys."""
    words = [stored(x) if isinstance(x, KeyArray) else x for x in operands]
    results = bind_on_words(primitive, words, types, params)
    out_types = primitive.type(*types, **params)
    outs = [
        KeyArray(stored(x), t.dtype) if isinstance(t.dtype, ExtendedDtype) else x
        for x, t in zip(results, out_types, strict=True)
    ]
    if settings.current().debug_key_reuse:
        key_reuse.check_operation(primitive, operands, params, outs)
    return outs


def _new_entry(
    primitive: Primitive, types: list[ArrayType], params: dict[str, Any], key: tuple[Any, ...]
) -> _Entry:
    out_types = primitive.type(*types, **params)
    effectful = bool(primitive.effects(**params))
    holds_program = next(iter(subprograms(params)), None) is not None
    current = settings.current()  # part of the key
    promote = not effectful and not current.disable_jit and _compilable(primitive, types)
    promote = promote and current.eager != "reference"
    elements = sum(math.prod(t.shape) for t in (*types, *out_types))
    cost = primitive.reference_cost + elements * (_MOVE + _COMPUTE * primitive.cost)
    entry = _Entry(out_types, cost, promote, current.watched)
    at_once = holds_program or (promote and current.eager == "compiled")
    if at_once and not current.disable_jit:
        entry.executable = _compile(primitive, types, params, out_types)
    _entries[key] = entry
    while len(_entries) > _LIMIT:
        _entries.popitem(last=False)
    return entry


def _compilable(primitive: Primitive, types: list[ArrayType]) -> bool:
    plain = all(isinstance(t.dtype, ExtendedDtype) or t.dtype.names is None for t in types)
    return plain and primitive.name not in _ALWAYS_REFERENCE


#: operations that compiling cannot make faster
_ALWAYS_REFERENCE = frozenset(("reshape", "squeeze", "copy", "sort", "pure_callback"))


def _compile(
    primitive: Primitive, types: list[ArrayType], params: dict[str, Any], out_types: list[ArrayType]
) -> Any:
    from fornax.runtime.compile import executable  # loads llvmlite

    inputs = tuple(map(Var, types))
    outputs = tuple(map(Var, out_types))
    equation = Equation(primitive, inputs, params, outputs)
    return executable(Jaxpr(inputs, (equation,), outputs), primitive.name)


_native.set_evaluate(evaluate)

__all__ = ["clear", "evaluate", "to_array"]
