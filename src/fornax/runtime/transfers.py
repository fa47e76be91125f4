"""The setting `transfer_guard_host_to_device`: which data of the host functions take.

There is one memory, so that what a function is called with is looked at, not a copy: NumPy arrays
and numbers where arrays are meant. As in JAX on a processor, results are the host's without a
transfer, and nothing lies on another device: the other two guards have nothing to guard.

While a guard is on, calls run without the native dispatch, and whoever is about to take data of
the host asks here. Data that Fornax itself brings along (the 1 / n of a mean) are no transfer, as
they are none where they are constants of a program: asked is what users called functions with.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CodeType, FrameType
from typing import Any

import numpy as np

from fornax import settings
from fornax.errors import JaxRuntimeError
from fornax.ir.trace import current
from fornax.ir.types import typeof
from fornax.observe import log
from fornax.runtime.placement import ON_CPU
from fornax.source import is_inside, located

__all__ = ["check_arguments", "check_callers", "check_explicit", "passes_on", "takes_arrays"]

#: body of a function whose parameters are arrays -> (the names of those that are not, defaults)
_array_functions: dict[CodeType, tuple[frozenset[str], tuple[Any, ...]]] = {}
_passing: set[CodeType] = set()

_NUMBERS = (bool, int, float, complex, np.generic)


def takes_arrays(static: str) -> Callable[[Any], Any]:
    """A decorator: the parameters of the function are arrays or numbers, but those named."""
    names = frozenset(static.split())

    def noted(function: Any) -> Any:
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        _array_functions[function.__code__] = names, defaults
        return function

    return noted


def passes_on(function: Any) -> Any:
    """Note that a function is not what users call: it calls that with all of its arguments."""
    _passing.add(function.__code__)
    return function


def check_explicit(leaves: Iterable[Any]) -> None:
    """What the guard says about data of the host that `device_put` is given.

    Raises JaxRuntimeError if it does not allow even that.
    """
    guard = settings.current().input_guard
    if guard in ("disallow_explicit", "log_explicit"):
        for value in filter(_of_host, leaves):
            _report(value, refuse=guard == "disallow_explicit")


def check_arguments(leaves: Iterable[Any]) -> None:
    """What the guard says about the arguments of a program, if the user calls it.

    Raises JaxRuntimeError if one is the host's and that is not allowed.
    """
    if not _is_ours(sys._getframe(2)):
        for value in filter(_of_host, leaves):
            _report(value, refuse=_refuses())


def check_callers(operands: Sequence[Any]) -> None:
    """What the guard says about the arguments of the functions that are running.

    operands: values that are about to become arrays, None where all arguments are meant. Raises
    JaxRuntimeError if one is the host's and that is not allowed.
    """
    if settings.current().input_guard is None or current() is not None:
        return
    for frame in _called_by_users():
        for value in _host_arguments(frame, operands):
            _report(value, refuse=_refuses())
            return


def _called_by_users() -> Iterator[FrameType]:
    """The running functions of Fornax that functions of others have called."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        outer = frame.f_back
        if _is_ours(frame) and not _is_ours(outer):
            yield frame
        frame = outer


def _is_ours(frame: FrameType | None) -> bool:
    return frame is not None and is_inside(frame.f_code) and frame.f_code not in _passing


def _host_arguments(frame: FrameType, operands: Sequence[Any]) -> Iterator[Any]:
    """The arguments of a running function that are data of the host, as far as that is known.

    Of a function that is known to take arrays all that are arrays or numbers, but its defaults. Of
    others those among `operands`; integers, which may be anything, are not taken for arguments.
    """
    code = frame.f_code
    static, defaults = _array_functions.get(code, (None, ()))
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    for name in code.co_varnames[:count]:
        value = frame.f_locals.get(name)
        parts = [value]
        if isinstance(value, tuple | list):
            parts.extend(value)
        elif isinstance(value, dict):
            parts.extend(value.values())
        for part in parts:
            if static is not None:
                given = name not in static and not any(part is x for x in defaults)
                if given and _of_host(part):
                    yield part
            elif isinstance(part, np.ndarray | np.generic | float | complex | list) and any(
                part is x for x in operands
            ):
                yield part


def _of_host(value: Any) -> bool:
    return isinstance(value, (np.ndarray, *_NUMBERS))


def _refuses() -> bool:
    return settings.current().input_guard in ("disallow", "disallow_explicit")


def _report(value: Any, refuse: bool) -> None:
    short = typeof(np.asarray(value) if isinstance(value, list) else value).short()
    text = f"host-to-device transfer: aval=ShapedArray({short}), dst_sharding={ON_CPU}"
    if not refuse:
        log.logger.warning(text)
        return
    raise JaxRuntimeError(
        located(
            f"INVALID_ARGUMENT: Disallowed {text}",
            "transfer_guard_host_to_device does not allow functions to take data of the host",
            "device_put(x) first (allowed by 'disallow'), or "
            "with transfer_guard_host_to_device('allow'):",
        )
    )
