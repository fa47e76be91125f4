"""The setting `debug_key_reuse`: a random key that has been used up is not used again.

Splitting a key and drawing numbers use it up. Every key has a mark that says where that happened;
arrays of keys have arrays of marks, and an operation that moves keys moves their marks, by its
reference. A compiled program is followed with the marks of its arguments before it runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax.errors import KeyReuseError, Signal, message
from fornax.ir.jaxpr import Jaxpr, Literal, subprograms
from fornax.ir.primitive import Primitive
from fornax.ir.types import ArrayType
from fornax.primitives.random import KeyPrimitive, key_dtype_of
from fornax.runtime.key_array import KeyArray
from fornax.source import here, is_inside

__all__ = ["check_call", "check_operation", "give"]

#: an array of marks for an array of keys, None for anything else
Marks = np.ndarray | None


class Mark:
    """One key: where it was used up, if it was."""

    __slots__ = ("place",)

    def __init__(self) -> None:
        self.place: str = ""


class Reused(Signal):
    """`mark` was used up before operand `index` of an operation uses it, at `place`."""

    def __init__(self, mark: Mark, name: str, index: int, place: str):
        super().__init__(name)
        self.mark, self.name, self.index, self.place = mark, name, index, place

    def error(self, what: str) -> KeyReuseError:
        return KeyReuseError(
            message(
                what,
                self.place,
                f"it was used up at {self.mark.place}, and the same key gives the same numbers",
                "key, other = random.split(key), a key for each use; random.clone(key) where the "
                "same numbers are meant",
            )
        )


def check_operation(
    primitive: Primitive, operands: Sequence[Any], params: dict[str, Any], results: Sequence[Any]
) -> None:
    """Mark what an operation on values uses up. Raises KeyReuseError for a key used before."""
    keys = any(isinstance(x, KeyArray) for x in (*operands, *results))
    if not keys and next(subprograms(params), None) is None:
        return
    marks = [_marks_of(x) for x in operands]
    values = [None if isinstance(x, KeyArray) else x for x in operands]
    types = [getattr(x, "aval", None) for x in results]
    place = str(here() or "unknown")
    try:
        found = _apply(primitive, marks, values, params, types, place)
    except Reused as reused:
        what = f"Previously-consumed key passed to {reused.name} at index {reused.index}"
        raise reused.error(what) from None
    give(results, found)


def check_call(
    function: Callable[..., Any], name: str, jaxpr: Jaxpr, leaves: Sequence[Any]
) -> list[Marks]:
    """The marks of the results of a function's program.

    Raises KeyReuseError where it uses a key twice, or one that was used before.
    """
    given = [_marks_of(x) for x in (*jaxpr.consts, *leaves)]
    before = {
        id(mark): index
        for index, marks in enumerate(given[len(jaxpr.consts) :])
        for mark in (() if marks is None else marks.flat)
        if mark.place
    }
    try:
        return _follow(jaxpr, given, str(here() or "unknown"), _is_ours(function))
    except Reused as reused:
        index = before.get(id(reused.mark))
        what = f"In {reused.name}, argument {reused.index} is already consumed."
        if index is not None:
            what = f"Previously-consumed key passed to jit-compiled function at index {index}"
            reused.place = str(here() or "unknown")
        raise reused.error(f"{what} ({name})") from None


def give(results: Sequence[Any], marks: Sequence[Marks]) -> None:
    """Let the keys among the results have these marks."""
    for result, found in zip(results, marks, strict=True):
        if isinstance(result, KeyArray) and found is not None:
            result.marks = found


def _marks_of(x: Any) -> Marks:
    if not isinstance(x, KeyArray):
        return None
    if x.marks is None:
        x.marks = _fresh(x.shape)
    return x.marks


def _fresh(shape: tuple[int, ...]) -> np.ndarray:
    marks = np.empty(shape, object)
    for index in np.ndindex(*shape):
        marks[index] = Mark()
    return marks


def _use_up(marks: np.ndarray, name: str, index: int, place: str) -> None:
    for mark in marks.flat:
        if mark.place:
            raise Reused(mark, name, index, place)
    for mark in marks.flat:
        mark.place = place


def _is_ours(function: Callable[..., Any]) -> bool:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and is_inside(code)


def _follow(jaxpr: Jaxpr, given: Sequence[Marks], outside: str, ours: bool = False) -> list[Marks]:
    """The marks of a program's outputs, all its inputs (constants too) having these.

    ours: equations of a function of Fornax are where it was called, at `outside`; they remember who
    called it first.
    """
    known = dict(zip(jaxpr.inputs, given, strict=True))
    for equation in jaxpr.equations:
        inputs = equation.inputs
        marks = [None if isinstance(x, Literal) else known.get(x) for x in inputs]
        values = [x.value if isinstance(x, Literal) else None for x in inputs]
        types = [v.type for v in equation.outputs]
        place = outside if ours or equation.source is None else str(equation.source)
        found = _apply(equation.primitive, marks, values, equation.params, types, place)
        known.update(zip(equation.outputs, found, strict=True))
    return [None if isinstance(x, Literal) else known.get(x) for x in jaxpr.outputs]


def _apply(
    primitive: Primitive, marks: Sequence[Marks], values: Sequence[Any], params: dict[str, Any],
    types: Sequence[ArrayType | None], place: str,
) -> list[Marks]:  # fmt: skip
    """The marks of an operation's results."""
    fresh = [None if t is None or key_dtype_of(t) is None else _fresh(t.shape) for t in types]
    if isinstance(primitive, KeyPrimitive):
        if primitive.uses_up and marks[0] is not None:
            _use_up(marks[0], primitive.name, 0, place)
        return fresh
    if next(subprograms(params), None) is not None:
        return _through(primitive, marks, params, fresh, place)
    if all(m is None for m in fresh):
        return fresh
    return _moved(primitive, marks, values, params, fresh)


def _moved(
    primitive: Primitive, marks: Sequence[Marks], values: Sequence[Any], params: dict[str, Any],
    fresh: list[Marks],
) -> list[Marks]:  # fmt: skip
    """The marks after an operation that moves elements; new ones where it depends on values that
    are not known."""
    given = [v if m is None else m for m, v in zip(marks, values, strict=True)]
    if any(x is None for x in given):
        return fresh
    try:
        found = [np.asarray(x) for x in primitive.reference(*given, **params)]
    except Exception:  # a reference that computes with what it moves
        return fresh
    fit = all(
        f is not None and m.shape == f.shape and all(isinstance(x, Mark) for x in m.flat)
        for m, f in zip(found, fresh, strict=True)
    )
    return [*found] if fit else fresh


def _through(
    primitive: Primitive, marks: Sequence[Marks], params: dict[str, Any], fresh: list[Marks],
    place: str,
) -> list[Marks]:  # fmt: skip
    """The marks after an operation that holds programs."""
    if primitive.name == "cond":
        return _branches(params["branches"], marks[1:], fresh, place)
    if primitive.name == "while":
        first, second = params["cond_nconsts"], params["body_nconsts"]
        carry = list(marks[first + second :])
        for _ in range(2):  # what one iteration uses up, the next one must not use again
            _follow(params["cond_jaxpr"], [*marks[:first], *carry], place)
            carry = _follow(params["body_jaxpr"], [*marks[first : first + second], *carry], place)
        return _settled(carry, fresh)
    if primitive.name == "scan":
        return _steps(marks, fresh, place, **params)
    programs = [p for _, p in subprograms(params) if len(p.inputs) == len(marks)]
    if not programs or params.get("differentiated"):
        return fresh  # what a checkpoint computes again, it has used before
    return _settled(_follow(programs[0], marks, place, ours=True), fresh)


def _settled(found: Sequence[Marks], fresh: list[Marks]) -> list[Marks]:
    """What was found, where it fits."""
    if len(found) != len(fresh):
        return fresh
    return [
        f if f is None or m is None or m.shape != f.shape else m
        for m, f in zip(found, fresh, strict=True)
    ]


def _branches(
    branches: Sequence[Jaxpr], marks: Sequence[Marks], fresh: list[Marks], place: str
) -> list[Marks]:
    """A key is used up if one of the branches uses it up."""
    every = [mark for m in marks if m is not None for mark in m.flat]
    before = [mark.place for mark in every]
    after = list(before)
    for branch in branches:
        _follow(branch, marks, place)
        after = [a or mark.place for a, mark in zip(after, every, strict=True)]
        for mark, old in zip(every, before, strict=True):
            mark.place = old
    for mark, new in zip(every, after, strict=True):
        mark.place = new
    return fresh


def _steps(
    marks: Sequence[Marks], fresh: list[Marks], place: str, *, jaxpr: Jaxpr, length: Any,
    num_consts: int, num_carry: int, **_: Any,
) -> list[Marks]:  # fmt: skip
    """Two steps of a scan: what one uses up, the next one must not use again."""
    consts = marks[:num_consts]
    carry = list(marks[num_consts : num_consts + num_carry])
    xs = marks[num_consts + num_carry :]
    steps = min(length, 2) if isinstance(length, int) else 2
    for step in range(steps):
        elements = [None if x is None else np.asarray(x[step]) for x in xs]
        found = _follow(jaxpr, [*consts, *carry, *elements], place)
        carry = found[:num_carry]
    for x in xs:
        if x is not None and steps:
            for later in x[steps:]:
                for mark, like in zip(np.ravel(later), np.ravel(x[0]), strict=True):
                    mark.place = mark.place or like.place
    return [*_settled(carry, fresh[:num_carry]), *fresh[num_carry:]]
