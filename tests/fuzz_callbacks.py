"""Operations that call Python: with results, with effects in order and without order.

What a function with effects is called with goes into the journal of the run. Journals of two runs
agree when the calls of each ordered kind are the same in the same order, and the others are the
same, each as often; those from functions that may be computed again (`checkpoint`), once at least.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fornax as fx
import fornax.numpy as fnp
from fornax import lax
from fornax.experimental import io_callback
from tests.fuzz_operations import lowest, operation
from tests.fuzz_references import MAPPED, UNEVEN
from tests.fuzz_values import V, like, steady, value

#: how often a callback may run in a program
MANY = 1500
METHODS = ("sequential", "sequential_unrolled", "expand_dims", "broadcast_all",
           "legacy_vectorized")  # fmt: skip


class Journal:
    """The calls of one run."""

    def __init__(self) -> None:
        self.ordered: dict[str, list[str]] = {"io": [], "debug": []}
        self.others: Counter[str] = Counter()
        self.again: set[str] = set()

    def enter(self, kind: str, ordered: bool, what: str) -> int:
        """Record a call; how many of this kind there were before."""
        if kind == "again":
            self.again.add(what)
        elif ordered:
            self.ordered[kind].append(what)
            return len(self.ordered[kind]) - 1
        else:
            self.others[f"{kind} {what}"] += 1
        return 0

    def differs(self, expected: Journal) -> str | None:
        """How these calls differ from those that are expected."""
        for kind, calls in self.ordered.items():
            wanted = expected.ordered[kind]
            if calls != wanted:
                at = next((k for k, (a, b) in enumerate(zip(calls, wanted, strict=False))
                           if a != b), min(len(calls), len(wanted)))  # fmt: skip
                return (
                    f"{len(calls)} ordered {kind} calls, expected {len(wanted)}; they differ "
                    f"from call {at}: {calls[at : at + 1]}, expected {wanted[at : at + 1]}"
                )
        if self.others != expected.others:
            more, less = self.others - expected.others, expected.others - self.others
            return (f"calls without order differ: {len(list(more.elements()))} too many, such as "
                    f"{list(more)[:1]}, {len(list(less.elements()))} missing, such as "
                    f"{list(less)[:1]}")  # fmt: skip
        if self.again != expected.again:
            return f"calls in functions that are computed again: {self.again ^ expected.again}"
        return None


_open: list[Journal] = []


@contextlib.contextmanager
def journal() -> Iterator[Journal]:
    """The calls of the block."""
    _open.append(Journal())
    try:
        yield _open[-1]
    finally:
        _open.pop()


def latest() -> Journal:
    """The journal of the innermost block."""
    return _open[-1]


def entry(array: Any) -> str:
    """An array's numbers, in words; the signs of zeros, which sums leave open, do not count."""
    array = np.asarray(array)
    numbers = array.astype(complex).ravel()[:40] + 0
    return f"{array.dtype}{list(array.shape)} {numbers.tolist()}"


class Told:
    """A host function: enters its argument, gives it back or its place in the order of calls."""

    def __init__(self, name: str, kind: str, ordered: bool):
        self.name, self.kind, self.ordered = name, kind, ordered

    def __call__(self, array: Any) -> Any:
        before = latest().enter(self.kind, self.ordered, f"{self.name}: {entry(array)}")
        return np.int32(before), np.asarray(array)


def together(function: Callable) -> Callable:
    """A host function of two arrays, of which one may lack the dimensions that `vmap` added."""

    @functools.wraps(function)
    def host(a: Any, b: Any) -> Any:
        return function(*np.broadcast_arrays(np.asarray(a), np.asarray(b)))

    return host


@together
def negated(a, b):
    return ~a if a.dtype == bool else -a


@together
def added(a, b):
    return a | b if a.dtype == bool else a + b


@together
def turned(a, b):
    return a[..., ::-1] if a.ndim else a


@together
def curved(a, b):
    return np.tanh(a)


def few(program: Any) -> bool:
    return program.times <= MANY


@operation(4)
def asked(x, y, choice, program):
    """A function without effects, under each of the methods that `vmap` has for it."""
    if not few(program):
        return x
    y = like(y, x)
    host: Callable = (negated, added, turned, curved)[choice % 4]
    a, b, more, low = x.array, y.array, 0, x.low
    if host is turned and not x.ndim:
        host = negated
    if host is curved:
        if x.kind not in "f":
            host = negated
        else:
            a, low = steady(x), None
    if host is added:
        more, low = 1, lowest(x, y)
    method = METHODS[choice // 4 % 5]
    if method == "legacy_vectorized" and sum(name in MAPPED for name in program.path) > 1:
        method = "broadcast_all"  # an operand has a dimension for each map that it depends on
    array = fx.pure_callback(
        host, fx.ShapeDtypeStruct(x.shape, a.dtype), lax.stop_gradient(a), lax.stop_gradient(b),
        vmap_method=method,
    )  # fmt: skip
    return value(array, x.named, low, max(x.high, y.high) + more)


def repeated(program: Any) -> bool:
    """Whether a call would run once for all examples, or again: effects are refused there."""
    path = program.path
    if "checkpoint" in path:
        return True
    mapped = [k for k, name in enumerate(path) if name in MAPPED]
    return bool(mapped) and not UNEVEN.isdisjoint(path[mapped[0] :])


@operation(4)
def told(x, y, choice, program):
    """A function with effects is called with exact numbers; its results may be used."""
    if not few(program):
        return x
    mapped = not MAPPED.isdisjoint(program.path)
    ordered = choice % 2 == 0 and not mapped
    seen = program.firm(x)
    array = lax.stop_gradient(seen.array)
    if choice % 3 == 0 or repeated(program):
        kind = "again" if "checkpoint" in program.path else "debug"
        fx.debug.callback(Told(f"{choice}", kind, ordered), array, ordered=ordered)
        return x
    types = fx.ShapeDtypeStruct((), "int32"), fx.ShapeDtypeStruct(array.shape, array.dtype)
    before, same = io_callback(Told(f"{choice}", "io", ordered), types, array, ordered=ordered)
    if choice % 3 == 1:
        return seen.with_(same)
    return V(fnp.asarray(before), "int32", 0, 20)
