"""Tracing without a stack: one current trace per thread decides what an operation does.

`Primitive.bind`, which is native, takes the current trace out of its slot and lets it process the
operation. While a rule runs, the slot holds the parent of the trace that is processing, so a rule
is written in plain operations. With no trace at all, an operation runs at once, by the function
that `runtime` gives to `_native.set_evaluate`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn

import numpy

from fornax import _native, source
from fornax.errors import (
    ConcretizationTypeError,
    InternalError,
    TracerArrayConversionError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
    UnexpectedTracerError,
    message,
)
from fornax.ir.types import ArrayType, register_value
from fornax.source import located

if TYPE_CHECKING:
    from fornax.ir.primitive import Primitive

swap = _native.swap_trace
current = _native.current_trace


class Trace:
    """One interpretation of operations. `parent` is the trace that was current outside."""

    parent: Trace | None = None
    alive = True
    #: whether operations are recorded, to be performed by a program later
    records = False
    purpose = "a transformed function"
    #: whether what is made in it is run backwards afterwards
    goes_back = False
    #: references whose values the function got as arguments: whether it used them from outside too
    taken: dict[Any, bool] | None = None

    def process(
        self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        """Perform one operation. The slot is empty during the call."""
        raise InternalError(f"{type(self).__name__} does not say how it processes operations")

    @property
    def main(self) -> Trace:
        """What libraries compare to tell whose tracer a value is: the trace itself."""
        return self


class running:  # a class, as rules of every operation use it: a generator takes three times as long
    """Make `trace` current for the body of a `with`."""

    __slots__ = ("before", "trace")

    def __init__(self, trace: Trace | None):
        self.trace = trace

    def __enter__(self) -> Trace | None:
        self.before = swap(self.trace)
        return self.trace

    def __exit__(self, *_: object) -> None:
        swap(self.before)


@contextlib.contextmanager
def new_trace(trace: Trace) -> Iterator[Trace]:
    """`running`, after which values of `trace` that escaped are reported when used."""
    before = swap(trace)
    try:
        yield trace
    finally:
        swap(before)
        trace.alive = False


class _AxisEnvironment(threading.local):
    def __init__(self) -> None:
        self.sizes: tuple[tuple[Any, int], ...] = ()


_axes = _AxisEnvironment()


def axis_environment() -> tuple[tuple[Any, int], ...]:
    """The named axes in scope as (name, size), outermost first."""
    return _axes.sizes


@contextlib.contextmanager
def named_axis(name: Any, size: int) -> Iterator[None]:
    """Bring a named axis into scope; None brings nothing."""
    before = _axes.sizes
    if name is not None:
        _axes.sizes = (*before, (name, size))
    try:
        yield
    finally:
        _axes.sizes = before


@contextlib.contextmanager
def axis_scope(sizes: tuple[tuple[Any, int], ...]) -> Iterator[None]:
    """Make exactly these named axes visible."""
    before, _axes.sizes = _axes.sizes, sizes
    try:
        yield
    finally:
        _axes.sizes = before


def named_axis_size(name: Any) -> int:
    """Size of a named axis. Raises NameError when it is not in scope."""
    for known, size in reversed(_axes.sizes):
        if known == name:
            return size
    known_names = [n for n, _ in _axes.sizes]
    raise NameError(
        message(
            f"unbound axis name: {name}",
            where=str(source.here() or "unknown"),
            why=f"the axis names in scope here are {known_names}",
            attempt=f"call this inside vmap(..., axis_name={name!r})",
        )
    )


class Tracer:
    """A stand-in for an array while a function is being transformed.

    `type` is its type, `_trace` the trace it belongs to. Arithmetic and array methods are added by
    `numpy.methods`.
    """

    __slots__ = ("__weakref__", "_trace", "type")
    __array_priority__ = 1000
    _trace: Trace
    type: ArrayType

    @property
    def aval(self) -> ArrayType:
        return self.type

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> Any:
        return self.type.dtype

    @property
    def weak_type(self) -> bool:
        return self.type.weak_type

    @property
    def ndim(self) -> int:
        return len(self.type.shape)

    @property
    def size(self) -> int:
        return self.type.size

    def concrete(self) -> Any:
        """The value, if this trace knows it; else None."""
        return None

    def origin(self) -> str:
        """How this value came about, for error messages."""
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}<{self.type.short()}>"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(
                located(
                    "len() of unsized object",
                    why="it has no dimensions, so it is one number",
                    attempt="x.ndim or x.shape to ask first, or reshape(x, (1,))",
                )
            )
        return self.shape[0]

    __hash__ = None  # type: ignore[assignment]

    def _refuse(self, error: Callable[[str], Exception], what: str, attempt: str) -> Exception:
        origin = self.origin()
        return error(
            message(
                f"{what} on a traced array with shape {self.type.short()}",
                where=str(source.here() or "unknown"),
                why=f"inside {self._trace.purpose} this value has a type but no concrete value"
                + (f"; it was made by {origin}" if origin else ""),
                attempt=attempt,
            )
        )

    def _scalar(
        self,
        convert: Callable[[Any], Any],
        error: Callable[[str], Exception],
        what: str,
        attempt: str,
    ) -> Any:
        value = self.concrete()
        if value is None:
            raise self._refuse(error, what, attempt)
        return convert(value)

    def __bool__(self) -> bool:
        if any(n != 1 for n in self.shape):
            amount = "no elements" if 0 in self.shape else "more than one element"
            raise ValueError(
                source.located(
                    f"The truth value of an array with {amount} is ambiguous. Use a.any() or "
                    "a.all()",
                    "a comparison of arrays compares each element",
                    "numpy.where to choose by element, lax.cond on x.any() or x.all()",
                )
            )
        return self._scalar(
            bool,
            TracerBoolConversionError,
            "Attempted boolean conversion",
            "use lax.cond, lax.while_loop or numpy.where instead of if/while/and/or, or mark the "
            "argument static (static_argnums)",
        )

    def __index__(self) -> int:
        return self._scalar(
            lambda v: v.__index__(),
            TracerIntegerConversionError,
            "The __index__() method was called",
            "use lax.dynamic_slice or array indexing, or mark the argument static",
        )

    def _number(self, kind: Any) -> Any:
        return self._scalar(
            kind,
            ConcretizationTypeError,
            f"Attempted {kind.__name__}() conversion: abstract tracer value encountered where "
            "concrete value is expected",
            f"use x.astype({kind.__name__}), or mark the argument static",
        )

    def __int__(self) -> int:
        return self._number(int)

    def __float__(self) -> float:
        return self._number(float)

    def __complex__(self) -> complex:
        return self._number(complex)

    def __array__(self, *_: Any, **__: Any) -> Any:
        value = self.concrete()
        if value is None:
            raise self._refuse(
                TracerArrayConversionError,
                "The numpy.ndarray conversion method __array__() was called",
                "use fornax.numpy instead of numpy, or pure_callback to call NumPy code",
            )
        return numpy.asarray(value)

    def __reduce__(self) -> NoReturn:
        raise self._refuse(
            ConcretizationTypeError,
            "Attempted to pickle: abstract tracer value encountered where concrete value is "
            "expected by __reduce__(),",
            "return the value and pickle the result, or use a callback",
        )

    def __copy__(self) -> Tracer:
        return self

    def __deepcopy__(self, memo: Any) -> Tracer:
        return self

    def item(self, *args: Any) -> Any:
        value = self.concrete()
        if value is None:
            raise self._refuse(
                ConcretizationTypeError,
                "The item() method was called: abstract tracer value encountered where concrete "
                "value is expected",
                "return the array and call item() outside of the transformation",
            )
        return value.item(*args)

    def tolist(self) -> Any:
        value = self.concrete()
        if value is None:
            raise self._refuse(
                ConcretizationTypeError,
                "The tolist() method was called",
                "return the array and call it on the result, outside",
            )
        return value.tolist()

    def tobytes(self, order: Any = "C") -> bytes:
        value = self.concrete()
        if value is None:
            raise self._refuse(
                ConcretizationTypeError,
                "The tobytes() method was called",
                "return the array and call it on the result, outside",
            )
        return numpy.asarray(value).tobytes(order)


def check_alive(tracer: Tracer) -> None:
    """Raise UnexpectedTracerError if the tracer's transformation has ended."""
    if not tracer._trace.alive:
        origin = tracer.origin()
        raise UnexpectedTracerError(
            message(
                "Encountered an unexpected tracer: a traced value of type "
                f"{tracer.type.short()} was used after its transformation had ended (a leaked "
                "tracer)",
                where=str(source.here() or "unknown"),
                why=f"it escaped from {tracer._trace.purpose} through a side effect such as a "
                "global, an attribute or a list" + (f"; it was made by {origin}" if origin else ""),
                attempt="return the value from the function instead of storing it elsewhere",
            )
        )


def unexpected(tracer: Tracer) -> Exception:
    """The error for a tracer met where no trace that knows it is running."""
    check_alive(tracer)
    return UnexpectedTracerError(
        message(
            f"Encountered an unexpected tracer of type {tracer.type.short()}",
            where=str(source.here() or "unknown"),
            why=f"it belongs to {tracer._trace.purpose}, which is not running here",
            attempt="pass it as an argument instead of closing over it across threads or callbacks",
        )
    )


register_value(Tracer, attrgetter("type"))
