"""Mutable references: values that traced code reads and writes, although programs are pure.

A `Ref` belongs to the trace that was current when it was made and holds a value of it. Code inside
further traces goes through these: a differentiated or mapped function works on the value itself, a
function that is being staged gets it as one more argument and gives its last value as one more
output (`transforms.stage`), which whoever calls the program passes and writes back. So there are
no references in programs, and no transformation of programs has to know of them.

Backwards it is the same: where a rule of a custom_vjp function is run on the way back, the value
that a reference has then is a cotangent. The linear program hands it from its last output to its
first input, through `Backward` references, which are beside those of the user.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from fornax import source
from fornax.errors import UnexpectedTracerError, message
from fornax.ir.late import any_taken, check_taken
from fornax.ir.trace import Trace, current
from fornax.ir.types import ArrayType, typeof
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "AbstractRef", "Backward", "Ref", "away", "behind", "described", "differentiated", "read_in",
    "standing_for", "stands_in", "state_type", "write_in",
]  # fmt: skip


class AbstractRef:
    """The type of a reference: that of its value, `inner_aval`; `kind` is that of `Ref`."""

    def __init__(self, inner_aval: ArrayType, kind: str | None = None):
        self.inner_aval = inner_aval
        self.kind = kind

    @property
    def shape(self) -> tuple[int, ...]:
        return self.inner_aval.shape

    @property
    def dtype(self) -> Any:
        return self.inner_aval.dtype

    def __repr__(self) -> str:
        dims = ",".join(map(str, self.shape))
        return f"Ref{{{self.inner_aval.dtype.name}[{dims}]}}"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, AbstractRef)
            and other.inner_aval is self.inner_aval
            and other.kind == self.kind
        )

    def __hash__(self) -> int:
        return hash((AbstractRef, self.inner_aval, self.kind))


class Ref:
    """A mutable array. Made by `fornax.new_ref`.

    `ref[...]` is its value, `ref[index]` a part of it, and both can be assigned. It compares by
    identity. Indexing is added by `numpy.refs`. kind: "no_grad_no_remat" for one that
    differentiation leaves alone: what is written to it loses its derivatives.
    """

    __slots__ = (
        "__weakref__", "_backward", "_gone", "_outer", "_owner", "_place", "_value", "kind", "type",
    )  # fmt: skip

    #: whether users have made any
    made = False

    def __init__(self, value: Any, kind: str | None = None):
        self.type = typeof(value)
        self.kind = kind
        self._backward: Backward | None = None
        # of an argument of a transformation: its position, and the reference that was passed
        self._place: int | None = None
        self._outer: Ref | None = None
        self._owner = current()
        self._value = value
        self._gone = ""

    @property
    def aval(self) -> AbstractRef:
        return AbstractRef(self.type, self.kind)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> Any:
        return self.type.dtype

    @property
    def ndim(self) -> int:
        return self.type.ndim

    @property
    def size(self) -> int:
        return self.type.size

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(
                located(
                    "len() of unsized object",
                    attempt="ref[...] for the value, or index it only if it has a dimension",
                )
            )
        return self.shape[0]

    def __repr__(self) -> str:
        if self._owner is not None or self._gone:
            return repr(self.aval)
        return f"Ref{repr(self._value).removeprefix('Array')}"

    @property
    def backward(self) -> Backward:
        """What stands for this reference where a linear program is run backwards."""
        if self._backward is None:
            self._backward = Backward(self)
        return self._backward

    @property
    def known(self) -> bool:
        """Whether it can be used where we are: the trace that it belongs to is running."""
        trace = current()
        while trace is not self._owner and trace is not None:
            trace = trace.parent
        return trace is self._owner and not self._gone

    def read(self) -> Any:
        """The value, for the trace that is current."""
        if any_taken():
            check_taken(behind(current(), self), writes=False)
        return read_in(current(), self)

    def write(self, value: Any) -> None:
        """Replace the value by one of the same type."""
        if any_taken():
            check_taken(behind(current(), self), writes=True)
        write_in(current(), self, value)

    def end(self, how: str, keeps: bool = False) -> Any:
        """The last value; from now on the reference cannot be used.

        keeps: one whose value is known, outside of recorded functions, goes on. Raises ValueError
        in a function that is recorded, for a reference from outside of it.
        """
        value = self.read()
        trace = current()
        while trace is not self._owner and trace is not None and not trace.records:
            trace = trace.parent
        if trace is not self._owner or not (keeps or current() is trace):
            raise ValueError(
                message(
                    f"a reference of type {self.aval} cannot be {how} here",
                    where=str(source.here() or "unknown"),
                    why="it was made outside of the function that is being transformed",
                    attempt="do it where the reference was made",
                )
            )
        if not keeps or (trace is not None and trace.records):
            self._value, self._gone = None, how
        return value


class Backward(Ref):
    """The state of a reference on the way back, as code that is differentiated forwards sees it.

    Its value is zeros; what counts is its tangent, whose cotangent is the reference's value then.
    It is outside of the transformation whose argument the reference is.
    """

    __slots__ = ("of",)

    def __init__(self, of: Ref):
        type = state_type(of.type)
        super().__init__(np.zeros(type.shape, type.dtype))
        self.of = of
        owner = of._owner
        if owner is not None and (of._place is not None or owner.goes_back):
            owner = owner.parent
        self._owner = owner


def state_type(type: ArrayType) -> ArrayType:
    """The type of a reference's state backwards: words of keys are integers, and those are parts
    of 16 bits, as float32."""
    if dtypes.is_inexact(type.dtype):
        return ArrayType(type.shape, type.dtype)
    shape, dtype = type.shape, type.dtype
    if isinstance(dtype, dtypes.ExtendedDtype):
        shape, dtype = (*shape, *dtype.base_shape), dtype.base_dtype
    return ArrayType((*shape, max(dtype.itemsize // 2, 1)), dtypes.float32)


class _Standing(threading.local):
    def __init__(self) -> None:
        self.found: tuple[tuple[Trace | None, dict[Ref, Ref]], ...] = ()


_standing = _Standing()


@contextlib.contextmanager
def standing_for(pairs: dict[Ref, Ref]) -> Iterator[None]:
    """In the trace that is current, use other references in the place of some."""
    before = _standing.found
    if pairs:
        _standing.found = (*before, (current(), pairs))
    try:
        yield
    finally:
        _standing.found = before


def stands_in(trace: Trace | None) -> bool:
    """Whether references stand for others in a trace."""
    return any(where is trace for where, _ in _standing.found)


def _standing_in(trace: Trace | None, ref: Ref) -> Ref:
    for where, pairs in reversed(_standing.found):
        if where is trace and ref in pairs:
            return pairs[ref]
    return ref


def behind(trace: Trace | None, ref: Ref) -> Ref:
    """The reference that one is for code that runs under `trace`: itself, or what stands for it."""
    while trace is not None and trace is not ref._owner:
        found = _standing_in(trace, ref)
        if found is not ref:
            return found
        trace = trace.parent
    return _standing_in(trace, ref)


#: how the value of a reference went: the error, why it cannot be used, and what to do
_GONE: dict[str, tuple[type[Exception], str, str]] = {
    "frozen": (
        ValueError,
        "what was taken out of it may not change any more",
        "a new reference, new_ref(value); freeze it when nobody writes any more",
    ),
    "freed": (
        ValueError,
        "its memory went with its value",
        "a new reference, new_ref(value); free it when nobody reads any more",
    ),
    "handed backwards": (
        RuntimeError,
        "custom rules that have it as an argument are going backwards with its value, and another "
        "rule closes over it",
        "pass it as an argument to all functions whose rules use it",
    ),
    "left behind": (
        RuntimeError,
        "it was made inside of a function that is differentiated, which has ended",
        "make it outside, and pass it as an argument",
    ),
    "given as a type": (
        TypeError,
        "a type stands for a reference where a program is made, and has no value",
        "new_ref(...) for the call; types only for lower, trace, eval_shape and make_jaxpr",
    ),
}


def described(type: AbstractRef) -> Ref:
    """What stands for a reference of a type where only types matter."""
    return _without_value(type.inner_aval, type.kind, "given as a type")


def away(ref: Ref, how: str) -> Ref:
    """What stands for a reference that cannot be used, for `how` see `_GONE`."""
    return _without_value(ref.type, ref.kind, how)


def _without_value(type: ArrayType, kind: str | None, how: str) -> Ref:
    ref = Ref(0, kind)
    ref.type, ref._gone = type, how
    return ref


def read_in(trace: Trace | None, ref: Ref) -> Any:
    """The value of a reference for code that runs under `trace`."""
    if _standing.found:
        ref = _standing_in(trace, ref)
    if trace is ref._owner:
        if ref._gone:
            error, why, attempt = _GONE[ref._gone]
            raise error(
                located(
                    f"a reference of type {ref.aval} was used after it had been {ref._gone}",
                    why=why,
                    attempt=attempt,
                )
            )
        return ref._value
    trace = _inside(trace, ref)
    rule = getattr(trace, "read_ref", None)
    return rule(ref) if rule is not None else read_in(trace.parent, ref)


def write_in(trace: Trace | None, ref: Ref, value: Any) -> None:
    """Give a reference a value of `trace`.

    A trace whose values are not those of its parent has `write_ref`; one with values that the
    reference gets only when it has ended has `read_ref` too.
    """
    if _standing.found:
        ref = _standing_in(trace, ref)
    if trace is ref._owner:
        read_in(trace, ref)
        ref._value = value
        return
    trace = _inside(trace, ref)
    rule = getattr(trace, "write_ref", None)
    if rule is not None:
        rule(ref, value)
    else:
        write_in(trace.parent, ref, value)


def _inside(trace: Trace | None, ref: Ref) -> Trace:
    """`trace`, unless there is none left: then the reference's own has ended."""
    if trace is None:
        raise UnexpectedTracerError(
            message(
                f"Encountered an unexpected tracer: a reference of type {ref.aval} was used "
                "outside of the function that made it",
                where=str(source.here() or "unknown"),
                why="its value is known only while that function is being transformed",
                attempt="return freeze(ref), the value, instead of keeping the reference",
            )
        )
    if trace.taken is not None and ref in trace.taken:
        trace.taken[ref] = True
    return trace


def differentiated(ref: Ref) -> ValueError:
    """The error for a value with a tangent that a reference from outside would get."""
    return ValueError(
        message(
            "performing a set/swap operation with a differentiated value on a non-differentiated "
            f"array reference of type {ref.aval}.",
            where=str(source.here() or "unknown"),
            why="the reference was made outside of the differentiated function, where nobody would "
            "see the tangent",
            attempt="make it inside the function, pass it to jvp or vjp as an argument, assign "
            "lax.stop_gradient(value), or new_ref(..., kind='no_grad_no_remat')",
        )
    )
