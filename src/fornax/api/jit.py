"""jit: a function compiled on its first call for each signature of its arguments."""

from __future__ import annotations

import collections
import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fornax import _native, pytree, settings
from fornax.api.calls import Options, Prepared, prepare
from fornax.api.signature import check_callable, function_name, resolve_names
from fornax.api.stages import Compiled, Lowered, Traced
from fornax.api.tracing import clear_traces, programs_of, trace_call
from fornax.errors import message
from fornax.given import not_given
from fornax.ir.evaluate import evaluate
from fornax.ir.late import retraced
from fornax.ir.ref import Ref
from fornax.ir.trace import current
from fornax.primitives.call import closed_call
from fornax.runtime import key_reuse, nonfinite, transfers
from fornax.runtime.device import check_backend
from fornax.source import located

__all__ = ["jit"]

# what `inspect.signature` sees of a jitted function where it does not look at what is wrapped
_native.JitFunction.__signature__ = property(lambda self: inspect.signature(self.__wrapped__))


def jit(
    fun: Callable[..., Any] = not_given,
    /,
    *,
    in_shardings: Any = not_given,
    out_shardings: Any = not_given,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Iterable[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Iterable[str] | None = None,
    keep_unused: bool = False,
    device: Any = None,
    backend: str | None = None,
    inline: bool = False,
    compiler_options: dict[str, Any] | None = None,
    threads: int | None = None,
) -> Any:
    """`fun`, traced and compiled once for each signature of its arguments.

    fun: a function of trees of arrays, without side effects; left out, a decorator is returned.
    static_argnums, static_argnames: arguments that are not arrays, or that Python code depends on;
    hashable, compared by value. One is derived from the other by the function's signature.
    donate_argnums, donate_argnames: arguments whose memory results may take over; they are deleted
    by the call. keep_unused: keep arguments that the result does not depend on.
    inline: leave no call behind when this is used inside another traced function.
    threads: most threads that may work on a call at once; None: what the setting `threads` says.
    Of functions that call each other the outermost decides. Not an argument of JAX's.
    The shardings, device, backend and compiler_options are accepted and have no effect on a
    machine with one device; device and backend are deprecated, and warn.

    Raises TypeError for arguments that are not arrays, ValueError for static arguments that are not
    hashable, for argument numbers and names that the function does not have, for less than one
    thread, and for device together with backend; RuntimeError for a backend that is not there.
    """
    if fun is not_given:
        return functools.partial(
            jit, in_shardings=in_shardings, out_shardings=out_shardings,
            static_argnums=static_argnums, static_argnames=static_argnames,
            donate_argnums=donate_argnums, donate_argnames=donate_argnames,
            keep_unused=keep_unused, device=device, backend=backend, inline=inline,
            compiler_options=compiler_options, threads=threads,
        )  # fmt: skip
    check_callable(fun)
    if device is not None or backend is not None:
        _check_place(fun, device, backend, in_shardings, out_shardings)
    if threads is not None and (type(threads) is not int or threads < 1):
        raise ValueError(
            message(
                f"jit was given threads={threads!r}",
                function_name(fun),
                "at least one thread has to work",
                "threads=1, or threads=None for all processors of this process",
            )
        )
    static_numbers, static_names = resolve_names(fun, "static", static_argnums, static_argnames)
    donate_numbers, donate_names = resolve_names(fun, "donate", donate_argnums, donate_argnames)
    for kind, fixed, given in (
        ("argnums", static_numbers, donate_numbers),
        ("argnames", static_names, donate_names),
    ):
        both = set(fixed) & set(given)
        if both:
            raise ValueError(
                located(
                    f"static_{kind} and donate_{kind} cannot intersect. {both} appear in both; a "
                    "static argument has no memory to donate",
                    attempt=f"leave {both} in static_{kind} only",
                )
            )
    options = Options(
        fun, function_name(fun), static_numbers, static_names, donate_numbers, donate_names,
        keep_unused, inline, threads or 0,
    )  # fmt: skip
    jitted = _native.JitFunction(_miss, static_numbers, static_names)
    functools.update_wrapper(jitted, fun)
    jitted._fun = fun
    jitted._options = options
    own = programs_of(fun)
    jitted._programs = collections.OrderedDict() if own is None else None
    jitted.trace = functools.partial(_trace, jitted)
    jitted.lower = functools.partial(_lower, jitted)
    jitted.eval_shape = functools.partial(_eval_shape, jitted)
    jitted._cache_size = jitted.cache_size
    jitted.clear_cache = jitted._clear_cache = functools.partial(_clear, jitted)
    return jitted


def _check_place(
    fun: Callable[..., Any], device: Any, backend: Any, in_shardings: Any, out_shardings: Any
) -> None:
    """Warn of jit's `device` and `backend`. Raises where they contradict each other, or are not."""
    warnings.warn(
        located(
            "backend and device argument on jit is deprecated.",
            "a program runs where its arguments are",
            "device_put(x, devices()[0]) on the arguments of the jitted function",
        ),
        DeprecationWarning,
        stacklevel=3,
    )
    if device is not None and backend is not None:
        raise ValueError(
            located(
                "can't specify both a device and a backend for jit, got "
                f"device={device!r} and backend={backend!r}",
                "a device belongs to one backend",
                "device alone",
            )
        )
    for name, given in (("in_shardings", in_shardings), ("out_shardings", out_shardings)):
        if given not in (None, not_given):
            raise ValueError(
                located(
                    f"If backend or device is specified on jit, then {name} should not be "
                    f"specified: got {name}={given!r:.80} for {function_name(fun)}",
                    "a sharding says already on which devices the values are",
                    f"{name} alone",
                )
            )
    check_backend(backend)


def _programs(jitted: Any) -> Any:
    """Where the programs of a jitted function are kept."""
    return jitted._programs if jitted._programs is not None else programs_of(jitted._fun)


def _miss(jitted: Any, args: Sequence[Any], kwargs: dict[str, Any], key: Any = None) -> Any:
    """(result, entry or None): what the native dispatch asks when it does not know the call."""
    options: Options = jitted._options
    current_settings = settings.current()
    if current_settings.disable_jit:
        return options.fun(*args, **kwargs), None
    prepared = prepare(options, args, kwargs)
    if current() is not None:
        return _inside(jitted, prepared), None
    traced = trace_call(prepared, _programs(jitted))
    if traced.stateful:
        return _bound(options, traced, prepared.leaves), None
    if current_settings.no_execution:
        raise RuntimeError(
            located(
                f"JAX tried to execute function jit({options.name}), but the no_execution config "
                "option is set",
                attempt="with fornax.no_execution(False): for what may run",
            )
        )
    if current_settings.input_guard is not None:
        transfers.check_arguments(prepared.leaves)
    compiled = _compiled(traced)
    looked_at = current_settings.watched
    marks = None
    if current_settings.debug_key_reuse:
        operands = traced.operands(prepared.leaves)
        marks = key_reuse.check_call(options.fun, options.name, traced.jaxpr, operands)
    outputs = compiled.run(prepared.leaves)
    if marks is not None:
        key_reuse.give(outputs, marks)
    if nonfinite.wanted(current_settings):
        nonfinite.check_program(options.name, traced.jaxpr, prepared.leaves, outputs)
    result = pytree.tree_unflatten(traced.out_tree, outputs)
    return result, None if key is None or looked_at else compiled.entry


@retraced
def _inside(jitted: Any, prepared: Prepared) -> Any:
    """The call inside another transformation."""
    traced = trace_call(prepared, _programs(jitted))
    return _bound(jitted._options, traced, prepared.leaves)


def _bound(options: Options, traced: Traced, leaves: Sequence[Any]) -> Any:
    """The call as one operation, or its equations if inline."""

    def run(operands: Sequence[Any]) -> Sequence[Any]:
        trace = current()  # rules that run on the way may write, and cannot run again
        if options.inline and (trace is None or trace.records or not Ref.made):
            return evaluate(traced.jaxpr, *operands)
        return closed_call(traced.jaxpr, *operands, name=options.name)

    return pytree.tree_unflatten(traced.out_tree, traced.applied(leaves, run))


def _compiled(traced: Traced) -> Compiled:
    """The machine code of a program, made once."""
    found = traced.entries.get("compiled")
    if found is None:
        found = traced.entries["compiled"] = traced.lower().compile()
    return found


def _clear(jitted: Any) -> None:
    """Forget what the function was traced and compiled to."""
    type(jitted).clear_cache(jitted)
    _programs(jitted).clear()


def _trace(jitted: Any, *args: Any, **kwargs: Any) -> Traced:
    """The program for these arguments, which may be ShapeDtypeStructs."""
    return trace_call(prepare(jitted._options, args, kwargs), _programs(jitted))


def _lower(jitted: Any, *args: Any, **kwargs: Any) -> Lowered:
    """The lowered program for these arguments."""
    return _trace(jitted, *args, **kwargs).lower()


def _eval_shape(jitted: Any, *args: Any, **kwargs: Any) -> Any:
    """The result as a tree of ShapeDtypeStruct; nothing is computed."""
    return _trace(jitted, *args, **kwargs).out_info


def clear_caches() -> None:
    """Forget every traced program. Jitted functions keep what they have compiled themselves."""
    clear_traces()
