"""Calling Python from compiled programs: pure_callback, io_callback and `fornax.debug`."""

from __future__ import annotations

import logging
import string
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax import _native, pytree, source
from fornax.api.signature import function_name
from fornax.errors import JaxRuntimeError, message
from fornax.ir.trace import axis_scope
from fornax.ir.types import ArrayType, is_value, typeof
from fornax.primitives.callback import (
    VMAP_METHODS,
    debug_callback_p,
    io_callback_p,
    pure_callback_p,
)
from fornax.runtime.key_array import KeyArray
from fornax.runtime.values import stored
from fornax.scalars import dtypes
from fornax.scalars.dtypes import ExtendedDtype
from fornax.source import in_own_lines, located

__all__ = ["debug_callback", "debug_log", "debug_print", "effects_barrier", "io_callback",
           "pure_callback"]  # fmt: skip

_logger = logging.getLogger("fornax.debug")


class HostFunction:
    """A Python function of trees as a function of lists of NumPy arrays.

    Equal for the same function and arguments of the same structure, so that the calls of a function
    in two programs are the same operation. `static` has the leaves that are no arrays, by position.
    """

    def __init__(
        self, function: Callable[..., Any], kind: str, structure: pytree.PyTreeDef,
        leaves: Sequence[Any], static: dict[int, Any],
    ):  # fmt: skip
        self.function = function
        self.kind = kind
        self.structure = structure
        self.static = static
        found = [typeof(x).dtype for x in leaves]
        #: the key dtype of arguments that are keys: they come as words
        self.keys = tuple(d if isinstance(d, ExtendedDtype) else None for d in found)
        self.source = source.here()

    def _identity(self) -> tuple:
        return self.kind, self.structure, self.keys

    def __eq__(self, other: object) -> bool:
        return self is other or (
            type(other) is type(self)
            and not self.static and not other.static
            and _same_function(self.function, other.function)
            and self._identity() == other._identity()
        )  # fmt: skip

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return function_name(self.function)

    def __call__(self, arrays: Sequence[np.ndarray], types: Sequence[ArrayType]) -> list[Any]:
        given = iter(
            _native.from_numpy(np.asarray(x), False, False) if key is None
            else KeyArray(_native.from_numpy(np.asarray(x), False, False), key)
            for x, key in zip(arrays, self.keys, strict=True)
        )  # fmt: skip
        count = self.structure.num_leaves
        leaves = [self.static[i] if i in self.static else next(given) for i in range(count)]
        args, kwargs = pytree.tree_unflatten(self.structure, leaves)
        try:
            with axis_scope(()):
                outputs = in_own_lines(self.function, *args, **kwargs)
            if self.kind == "debug.callback":
                return []
            return self.results(pytree.tree_leaves(outputs), types)
        except Exception as error:
            what = str(error).split("\n")[0]
            raise JaxRuntimeError(
                message(
                    f"CpuCallback error calling callback: {type(error).__name__}: {what}",
                    where=f"{self.kind} of {function_name(self.function)}, called at "
                    f"{self.source or 'unknown'}",
                    why="the exception above was raised by the Python function while the program "
                    "was running",
                    attempt="the same call in `with fornax.disable_jit():`, where a debugger can "
                    "stop in the function",
                )
            ) from error

    def results(self, outputs: Sequence[Any], types: Sequence[ArrayType]) -> list[Any]:
        """The outputs as NumPy arrays. Raises RuntimeError if they are not of these types."""
        if len(outputs) != len(types):
            raise RuntimeError(
                located(
                    f"Mismatched number of outputs from callback. Expected: {len(types)}, Actual: "
                    f"{len(outputs)}",
                    attempt="the same containers in result_shape_dtypes as the callback returns",
                )
            )
        arrays = []
        for number, (output, type) in enumerate(zip(outputs, types, strict=True)):
            array = np.asarray(stored(output) if isinstance(output, KeyArray) else output)
            array = array.astype(array.dtype.newbyteorder("="), copy=False)
            if array.shape != type.shape:
                raise RuntimeError(
                    located(
                        f"Incorrect output shape for return value #{number}: Expected: "
                        f"{type.shape}, Actual: {array.shape}",
                        attempt="result_shape_dtypes with that shape, or a reshape in the callback",
                    )
                )
            if array.dtype != type.dtype and dtypes.canonical(array.dtype) != type.dtype:
                raise RuntimeError(
                    located(
                        f"Incorrect output dtype for return value #{number}: Expected: "
                        f"{type.dtype.name}, Actual: {array.dtype.name}",
                        attempt="np.asarray(result, dtype) in the callback, or that dtype in "
                        "result_shape_dtypes",
                    )
                )
            arrays.append(array.astype(type.dtype, copy=False))
        return arrays


def _same_function(a: Any, b: Any) -> bool:
    try:
        return bool(a is b or a == b)
    except Exception:  # a callable with an odd __eq__
        return False


def _result_types(result_shape_dtypes: Any) -> tuple[tuple[ArrayType, ...], pytree.PyTreeDef]:
    leaves, structure = pytree.tree_flatten(result_shape_dtypes)
    types = []
    for leaf in leaves:
        dtype = leaf.dtype
        if not isinstance(dtype, ExtendedDtype) and dtypes.canonical(dtype) != np.dtype(dtype):
            raise ValueError(
                located(
                    "result_shape_dtypes cannot specify 64-bit types when `jax_enable_x64` is "
                    "disabled",
                    attempt="float32 and int32, or jax_enable_x64 for the program",
                )
            )
        types.append(ArrayType(leaf.shape, dtype))
    return tuple(types), structure


def _arguments(kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Any]:
    leaves, structure = pytree.tree_flatten((args, kwargs))
    for number, leaf in enumerate(leaves):
        if not is_value(leaf):
            raise TypeError(
                located(
                    f"Error interpreting argument to {kind} as a JAX value. The problematic value "
                    f"is of type {type(leaf)} and was passed to {kind} at position {number}.",
                    attempt="functools.partial for arguments that are no arrays",
                )
            )
    return leaves, structure


def pure_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    vmap_method: str | None = None,
    **kwargs: Any,
) -> Any:
    """The result of a Python function without side effects, also inside compiled programs.

    callback: gets trees of Arrays and gives a tree of arrays. result_shape_dtypes: tree of
    objects with `shape` and `dtype`, what it gives. Calls whose result is not needed are dropped,
    equal ones may be merged.
    vmap_method: "sequential" calls it once per example, in a loop ("sequential_unrolled": written
    out); "expand_dims" calls it once, with a new leading axis, of size 1 where an argument is not
    mapped; "broadcast_all" repeats such arguments; "legacy_vectorized" leaves them as they are.
    sharding: accepted, without meaning on one device.

    Raises ValueError for an unknown vmap_method and under differentiation, NotImplementedError
    under vmap without one, JaxRuntimeError when the callback raises or gives something else.
    """
    del sharding
    if vmap_method is not None and vmap_method not in VMAP_METHODS:
        allowed = [*VMAP_METHODS, None]
        raise ValueError(
            located(
                f"vmap_method must be on of the allowed methods {allowed}, but got: {vmap_method}",
                attempt="vmap_method='sequential', or 'broadcast_all' if the callback takes "
                "stacks of arguments",
            )
        )
    leaves, structure = _arguments("pure_callback", args, kwargs)
    types, out_structure = _result_types(result_shape_dtypes)
    function = HostFunction(callback, "pure_callback", structure, leaves, {})
    outputs = pure_callback_p.bind(
        *leaves, callback=function, result_avals=types, vmap_method=vmap_method
    )
    return pytree.tree_unflatten(out_structure, outputs)


def io_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    ordered: bool = False,
    **kwargs: Any,
) -> Any:
    """The result of a Python function with side effects, also inside compiled programs.

    As `pure_callback`, but every call happens, once. ordered: in program order with other ordered
    calls; it cannot be mapped by vmap then. Under vmap, one call per example.

    Raises ValueError under differentiation and for vmap of ordered callbacks, JaxRuntimeError when
    the callback raises or gives something else than declared.
    """
    del sharding
    leaves, structure = _arguments("io_callback", args, kwargs)
    types, out_structure = _result_types(result_shape_dtypes)
    function = HostFunction(callback, "io_callback", structure, leaves, {})
    outputs = io_callback_p.bind(
        *leaves, callback=function, result_avals=types, ordered=bool(ordered)
    )
    return pytree.tree_unflatten(out_structure, outputs)


def debug_callback(
    callback: Callable[..., Any] | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    **kwargs: Any,
) -> Any:
    """Call a Python function for looking at values, also inside compiled programs.

    The arguments are trees; leaves that are no arrays reach the function as they are. What it
    returns is dropped. Transformations may repeat the call or leave it out. ordered: in program
    order with other ordered ones. partitioned: without meaning on one device.
    Without `callback`, a function is returned that takes it and its arguments.

    Raises TypeError if `callback` cannot be called, JaxRuntimeError when it raises.
    """
    del partitioned

    def call(callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if not callable(callback):
            raise TypeError(
                located(
                    "first argument to jax.debug.callback must be callable, but got an object of "
                    f"type {type(callback)}",
                    attempt="debug.callback(f, x), not debug.callback(f(x))",
                )
            )
        leaves, structure = pytree.tree_flatten((args, kwargs))
        static = {i: x for i, x in enumerate(leaves) if not is_value(x)}
        values = [x for x in leaves if is_value(x)]
        function = HostFunction(callback, "debug.callback", structure, values, static)
        debug_callback_p.bind(*values, callback=function, result_avals=(), ordered=bool(ordered))

    if callback is not None:
        return call(callback, *args, **kwargs)
    if args or kwargs:
        raise TypeError(
            located(
                f"debug_callback received unexpected arguments in the two-call form: {args=} "
                f"{kwargs=}",
                attempt="debug.callback(f, *args, **kwargs)",
            )
        )
    return call


class _Checker(string.Formatter):
    """Formats nothing, but finds arguments that a format string does not use."""

    def format_field(self, value: Any, format_spec: str) -> str:
        return ""

    def check_unused_args(self, used_args: Any, args: Any, kwargs: Any) -> None:
        unused = [x for i, x in enumerate(args) if i not in used_args]
        if unused:
            raise ValueError(
                located(
                    f"Unused positional arguments to `jax.debug.print`: {unused}",
                    attempt="debug.print('{}', x): a place in braces for each argument",
                )
            )
        names = [name for name in kwargs if name not in used_args]
        if names:
            raise ValueError(
                located(
                    f"Unused keyword arguments to `jax.debug.print`: {names}. You may be passing "
                    "an "
                    'f-string (i.e, `f"{x}"`) into `jax.debug.print` and instead should pass in a '
                    "regular string.",
                    attempt="debug.print('{x}', x=x), without the f before the quotes",
                )
            )


class _Printer:
    """What `debug.print` calls; equal for equal texts."""

    def __init__(self, text: str, options: dict[str, Any], plain: bool, log: bool):
        self.text = text
        self.options = options
        self.plain = plain
        self.log = log

    def __eq__(self, other: object) -> bool:
        return type(other) is _Printer and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.text, self.plain, self.log))

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        if self.plain:
            text = " ".join((self.text, *map(str, args)))
        else:
            with np.printoptions(**self.options):
                text = self.text.format(*args, **kwargs)
        if self.log:
            _logger.info(text)
        else:
            sys.stdout.write(text + "\n")


def debug_print(
    fmt: str | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    skip_format_check: bool = False,
    _use_logging: bool = False,
    **kwargs: Any,
) -> Any:
    """Print `fmt.format(*args, **kwargs)` when the program runs, also inside compiled programs.

    fmt: a format string, no f-string: values are known only later. ordered: in program order with
    other ordered ones. skip_format_check: accept arguments that fmt does not use; without any
    placeholder they are printed after it. partitioned: without meaning on one device.
    Without `fmt`, a function is returned that takes it and its arguments.

    Raises ValueError for arguments that fmt does not use, KeyError or IndexError for placeholders
    without argument.
    """
    if fmt is None:
        if args or kwargs:
            raise TypeError(
                located(
                    f"debug_print received unexpected arguments in the two-call form: {args=} "
                    f"{kwargs=}",
                    attempt="debug.print('{}', x)",
                )
            )
        return lambda fmt, *args, **kwargs: _print(
            fmt, args, kwargs, ordered, skip_format_check, _use_logging
        )
    return _print(fmt, args, kwargs, ordered, skip_format_check, _use_logging)


def _print(fmt: str, args: Any, kwargs: Any, ordered: bool, unchecked: bool, log: bool) -> None:
    if not unchecked:
        _Checker().format(fmt, *args, **kwargs)
    plain = all(name is None for _, name, _, _ in string.Formatter().parse(fmt)) and bool(args)
    printer = _Printer(fmt, np.get_printoptions(), plain, log)
    debug_callback(ordered=ordered)(printer, *args, **kwargs)


def debug_log(fmt: str | None = None, *args: Any, **kwargs: Any) -> Any:
    """As `debug.print`, to the logger `fornax.debug` at level INFO."""
    return debug_print(fmt, *args, _use_logging=True, **kwargs)


def effects_barrier() -> None:
    """Wait until the effects of all programs have happened: they have when a call returns."""
