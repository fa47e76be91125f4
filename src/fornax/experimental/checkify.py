"""Errors as values: JAX's `jax.experimental.checkify`.

A `check` inside a function raises at once where values are known. `checkify` makes a function that
may be compiled: it returns an `Error` beside its result.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax import pytree
from fornax.api.calls import Options, prepare
from fornax.api.tracing import trace_call
from fornax.experimental.checked_program import Checker, State
from fornax.ir.ref import Ref
from fornax.ir.trace import Tracer
from fornax.ir.types import is_value, typeof
from fornax.primitives.check import (
    DivisionByZeroError,
    FailedCheckError,
    Finding,
    JaxException,
    JaxRuntimeError,
    NaNError,
    OOBError,
    check_p,
    failures,
)
from fornax.source import located

__all__ = [
    "Error", "ErrorCategory", "JaxRuntimeError", "all_checks", "automatic_checks", "check",
    "check_error", "checkify", "debug_check", "div_checks", "float_checks", "index_checks",
    "init_error", "nan_checks", "user_checks",
]  # fmt: skip

#: a kind of error, as sets of checks contain them
ErrorCategory = type[JaxException]

user_checks = frozenset({FailedCheckError})
nan_checks = frozenset({NaNError})
index_checks = frozenset({OOBError})
div_checks = frozenset({DivisionByZeroError})
float_checks = nan_checks | div_checks
automatic_checks = float_checks | index_checks
all_checks = automatic_checks | user_checks


@pytree.register_pytree_node_class
class Error:
    """What a checked program found: whether it failed, where, and the values of the message.

    A tree of arrays: it passes through `jit`, `vmap` and loops; mapped, it holds the errors of all
    examples.
    """

    def __init__(
        self, failed: Any, code: Any, payloads: Sequence[Any], findings: Sequence[Finding]
    ):
        self.failed = failed
        self.code = code
        self.payloads = tuple(payloads)
        self.findings = tuple(findings)

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Finding, ...]]:
        return (self.failed, self.code, *self.payloads), self.findings

    @classmethod
    def tree_unflatten(cls, findings: Any, children: Any) -> Error:
        failed, code, *payloads = children
        return cls(failed, code, payloads, findings)

    def get(self) -> str | None:
        """The message of the first failure, or one line for each failed example; None if none."""
        if isinstance(self.failed, Tracer):
            raise ValueError(
                located(
                    "Error.get: the error is not known while a function is traced",
                    attempt="return the error from the function, or checkify.check_error",
                )
            )
        values = [np.asarray(x) for x in (self.failed, self.code, *self.payloads)]
        found = failures(values[0], values[1], values[2:], self.findings)
        if not found:
            return None
        if not values[0].ndim:
            return found[0][1]
        lines = (f"at mapped index {', '.join(map(str, at))}: {text}" for at, text in found)
        return "\n".join(lines)

    def throw(self) -> None:
        """Raise JaxRuntimeError, a ValueError, if something failed."""
        check_error(self)

    def __repr__(self) -> str:
        if isinstance(self.failed, Tracer):
            return f"Error({self.failed})"
        return f"Error({self.get()})"


init_error = Error(np.False_, np.int32(0), (), ())


def checkify(
    f: Callable[..., Any], errors: frozenset[ErrorCategory] = user_checks
) -> Callable[..., Any]:
    """A function that returns (Error, what f returns), and can be compiled.

    errors: the kinds of error to look for: the sets of this module, and their unions.
    """

    @functools.wraps(f)
    def checked(*args: Any, **kwargs: Any) -> Any:
        options = Options(f, getattr(f, "__name__", "checked"), purpose="checkify")
        prepared = prepare(options, args, kwargs)
        for leaf in prepared.leaves:
            if not isinstance(leaf, Ref):
                typeof(leaf)  # says what is wrong with it
        traced = trace_call(prepared, OrderedDict())
        program = traced.jaxpr
        checker = Checker(program, frozenset(errors))
        state = checker.start()

        def run(operands: Sequence[Any]) -> Sequence[Any]:
            nonlocal state
            state, outputs = checker.run(program, state, [*program.consts, *operands])
            return [fnp.asarray(x) for x in outputs]

        outputs = traced.applied(prepared.leaves, run)
        result = pytree.tree_unflatten(traced.out_tree, outputs)
        return Error(state.failed, state.code, state.payloads, checker.findings), result

    return checked


def _message(text: str, structure: pytree.PyTreeDef) -> Callable[[Sequence[Any]], str]:
    def make(values: Sequence[Any]) -> str:
        # as arrays: containers show them as such
        args, kwargs = pytree.tree_unflatten(structure, [fnp.asarray(v) for v in values])
        return f"{text.format(*args, **kwargs)} (`check` failed)"

    return make


def _check(pred: Any, msg: str, debug: bool, args: tuple, kwargs: dict[str, Any]) -> None:
    name = "debug_check" if debug else "check"
    if not is_value(pred) or typeof(pred).shape or typeof(pred).dtype != np.bool_:
        raise TypeError(
            located(
                f"{name} takes a scalar pred as argument, got {pred}",
                attempt="(x > 0).all() for one answer about a whole array",
            )
        )
    leaves, structure = pytree.tree_flatten((args, kwargs))
    for leaf in leaves:
        if not is_value(leaf):
            raise TypeError(
                located(
                    "Formatting arguments to checkify.check need to be PyTrees of arrays, but got "
                    f"{leaf!r} of type {type(leaf)}.",
                    attempt="checkify.check(ok, 'x is {}', x) with arrays; put text into the "
                    "message itself",
                )
            )
    types = tuple(typeof(x).strip_weak_type() for x in leaves)
    finding = Finding(FailedCheckError, _message(msg, structure), types)
    arrays = [fnp.asarray(x, t.dtype) for x, t in zip(leaves, types, strict=True)]
    failed = fnp.logical_not(pred)
    check_p.bind(failed, np.int32(0), *arrays, findings=(finding,), debug=debug)


def check(pred: Any, msg: str, *fmt_args: Any, debug: bool = False, **fmt_kwargs: Any) -> None:
    """Fail with a message unless `pred` holds: at once, or in the Error of `checkify`.

    pred: bool scalar. msg: a format string for the other arguments, which are trees of arrays.
    debug: no effect except in a function given to `checkify`, as `debug_check`.
    Raises JaxRuntimeError where pred is known to be False, TypeError for other arguments.
    """
    _check(pred, msg, debug, fmt_args, fmt_kwargs)


def debug_check(pred: Any, msg: str, *fmt_args: Any, **fmt_kwargs: Any) -> None:
    """`check`, which has no effect except in a function given to `checkify`."""
    _check(pred, msg, True, fmt_args, fmt_kwargs)


def check_error(error: Error) -> None:
    """Raise JaxRuntimeError if `error` holds a failure; while tracing, pass it on as a `check`.

    Raises TypeError for anything but an Error.
    """
    if not isinstance(error, Error):
        raise TypeError(
            located(
                f"check_error takes an Error as argument, got type {type(error)} instead.",
                attempt="error, result = checkify.checkify(f)(x), then checkify.check_error(error)",
            )
        )
    if not error.findings:
        return
    state = State(error.failed, error.code, error.payloads)
    if np.ndim(error.failed) and not isinstance(error.failed, Tracer):
        text = error.get()
        if text is not None:
            raise JaxRuntimeError(
                located(text, "a check of the program failed", "error.get() for the text alone")
            )
        return
    check_p.bind(*state.values(), findings=error.findings, debug=False)
