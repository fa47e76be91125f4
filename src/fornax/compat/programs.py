"""Programs and traces as libraries that transform them see them: JAX's `jax.extend.core`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from fornax.api.references import eval_program
from fornax.compat.foreign import Primitive
from fornax.core import AbstractValue, ShapedArray, Trace, Tracer, eval_jaxpr
from fornax.ir.check import check as check_jaxpr
from fornax.ir.effects import Effect
from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var, subprograms
from fornax.ir.trace import current, running
from fornax.ir.types import ArrayType, is_value, typeof

__all__ = [
    "AbstractValue", "Atom", "ClosedJaxpr", "DropVar", "Effect", "Jaxpr", "JaxprEqn", "Literal",
    "Primitive", "ShapedArray", "Trace", "TraceTag", "Tracer", "Var", "check_jaxpr",
    "concrete_or_error", "eval_jaxpr", "find_top_trace", "get_aval", "get_opaque_trace_state",
    "jaxpr_as_fun", "jaxprs_in_params", "mapped_aval", "no_effects", "physical_aval",
    "set_current_trace", "take_current_trace", "trace_state_clean", "unmapped_aval",
    "valid_jaxtype",
]  # fmt: skip

#: a program holds its constants
ClosedJaxpr = Jaxpr
JaxprEqn = Equation
no_effects: frozenset[Effect] = frozenset()


class DropVar(Var):
    """A result that nothing reads. Programs here name every result, so that none is one."""


class TraceTag:
    """What values of one transformation have in common."""


class _TraceState:
    """Which transformation is running, as something to compare."""

    def __init__(self) -> None:
        self.trace = current()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _TraceState) and self.trace is other.trace

    def __hash__(self) -> int:
        return id(self.trace)


def get_opaque_trace_state(convention: str | None = None) -> Any:
    """An object that is equal to another one if the same transformation was running."""
    return _TraceState()


def trace_state_clean() -> bool:
    """Whether no transformation is running."""
    return current() is None


def find_top_trace(values: Any) -> Trace | None:
    """The transformation that is running; None if none is."""
    return current()


@contextlib.contextmanager
def take_current_trace() -> Iterator[Trace | None]:
    """The running transformation, which does not run in the body of the `with`."""
    trace = current()
    with running(None):
        yield trace


@contextlib.contextmanager
def set_current_trace(trace: Trace | None, check_leaks: bool = False) -> Iterator[None]:
    """Let a transformation run in the body of the `with`."""
    with running(trace):
        yield


def jaxpr_as_fun(jaxpr: Jaxpr) -> Callable[..., list[Any]]:
    """A function that runs a program, also on references: see `core.eval_jaxpr`."""
    return lambda *args: eval_program(jaxpr, jaxpr.consts, args)


def jaxprs_in_params(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """The programs among the params of an equation."""
    return (program for _, program in subprograms(params))


def mapped_aval(size: int, axis: int | None, aval: ArrayType) -> ArrayType:
    """The type of one example of a mapped value. None: not mapped."""
    if axis is None:
        return aval
    return aval.update(shape=(*aval.shape[:axis], *aval.shape[axis + 1 :]))


def unmapped_aval(size: int, axis: int | None, aval: ArrayType, *_: Any, **__: Any) -> ArrayType:
    """The type of a stack of `size` values along `axis`. None: not mapped."""
    if axis is None:
        return aval
    return aval.update(shape=(*aval.shape[:axis], size, *aval.shape[axis:]))


def valid_jaxtype(x: Any) -> bool:
    """Whether programs compute with values like this."""
    return is_value(x)


def get_aval(x: Any) -> ArrayType:
    """The type of a value."""
    return typeof(x)


def physical_aval(aval: ArrayType) -> ArrayType:
    """The type of what is stored for a value of this type, where they differ."""
    return aval


def concrete_or_error(force: Callable[[Any], Any] | None, val: Any, context: str = "") -> Any:
    """`force(val)`. Raises ConcretizationTypeError for a traced value."""
    return val if force is None else force(val)
