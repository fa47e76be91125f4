"""Making arrays: from Python and NumPy data, and filled.

There is one device: `device` and `out_sharding` are checked and change nothing.
"""

from __future__ import annotations

import builtins
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import _native, pytree, settings
from fornax.ir.requested import requested
from fornax.ir.static import static_integer, static_shape
from fornax.ir.trace import Tracer, current
from fornax.ir.types import ArrayType, is_value, typeof
from fornax.numpy import ufuncs
from fornax.numpy.promotion import (
    Array,
    as_dtype,
    as_value,
    broadcast_to,
    concrete_form,
    joint_dtype,
    scalar,
)
from fornax.primitives.concatenate import concatenate
from fornax.primitives.convert import convert_element_type
from fornax.primitives.iota import iota
from fornax.primitives.random import generator_of, random_wrap
from fornax.primitives.shape import expand_dims
from fornax.runtime.exhausted import allocating
from fornax.runtime.key_array import KeyArray
from fornax.runtime.placement import check_place
from fornax.runtime.transfers import check_callers, takes_arrays
from fornax.runtime.values import to_array
from fornax.scalars import dtypes
from fornax.scalars.promotion import no_float0
from fornax.source import located

__all__ = [
    "array", "asarray", "copy", "empty", "empty_like", "eye", "frombuffer", "full", "full_like",
    "identity", "ones", "ones_like", "zeros", "zeros_like",
]  # fmt: skip


@takes_arrays("dtype copy order ndmin device out_sharding")
def array(object, dtype=None, *args, copy=True, order="K", ndmin=0, device=None, out_sharding=None):
    """An array from numbers, arrays, or nested sequences of them.

    dtype: the result's dtype; by default the promoted dtype of the contents. ndmin: least rank.
    copy, order and ndmin by position are deprecated, with a DeprecationWarning.
    Raises TypeError for contents that are no numbers. See `numpy.array`.
    """
    if args:
        copy, order, ndmin = _by_position(args, copy, order, ndmin)
    if device is not None or out_sharding is not None:
        check_place("array", device, out_sharding)
    if order not in (None, "K", "C"):
        raise NotImplementedError(
            located(
                f"array: only order='K' is supported, got {order!r}",
                attempt="order='K' or None; arrays here have no layout to choose",
            )
        )
    wanted = None if dtype is None else requested(dtype)
    if settings.guarding:
        check_callers((object,))
    result = _from_object(concrete_form(object), wanted, copy)
    missing = ndmin - typeof(result).ndim
    return expand_dims(result, range(missing)) if missing > 0 else result


@takes_arrays("dtype order copy device out_sharding")
def asarray(a, dtype=None, order=None, *, copy=None, device=None, out_sharding=None):
    """`array` without a copy where none is needed."""
    if device is not None or out_sharding is not None:
        check_place("asarray", device, out_sharding)
    if type(a) is Array and dtype is None and not copy:
        return a
    return array(a, dtype=dtype, copy=bool(copy), order=order)


def _by_position(args: tuple, copy: Any, order: Any, ndmin: Any) -> tuple[Any, Any, Any]:
    if len(args) > 3:
        raise TypeError(
            located(
                f"array() takes at most 5 positional arguments but {len(args) + 2} were given",
                attempt="array(x, dtype), and the others by keyword",
            )
        )
    given = (copy, order, ndmin)
    for name, value, default in zip(
        ("copy", "order", "ndmin")[: len(args)], given, (True, "K", 0), strict=False
    ):
        if value != default:
            raise TypeError(
                located(
                    f"array() got multiple values for argument '{name}'",
                    attempt=f"array(x, dtype, {name}=...) alone",
                )
            )
    warnings.warn(
        "Passing the copy, order, and ndmin arguments to numpy.array positionally is deprecated. "
        "Use keyword arguments instead.",
        DeprecationWarning,
        stacklevel=3,
    )
    return (*args, *given[len(args) :])


def _from_object(x: Any, dtype: Any, copy: bool) -> Any:
    if isinstance(x, KeyArray):
        return x
    if isinstance(x, Array | Tracer):
        type = typeof(x)
        if dtype is not None and (dtype != type.dtype or type.weak_type):
            return convert_element_type(x, dtype)
        if copy and isinstance(x, Array):
            return _native.from_numpy(x.numpy_view(), False, True) if not type.weak_type else x
        return x
    if isinstance(x, bool | int | float | complex | np.generic):
        type = typeof(x)
        if dtype is None:
            return _native.from_numpy(
                np.asarray(scalar(x, type.dtype)), type.weak_type, True
            ) if not isinstance(x, np.generic) else to_array(x)  # fmt: skip
        return _native.from_numpy(np.asarray(scalar(x, dtype)), False, True)
    if isinstance(x, np.ndarray):
        if typeof(x).dtype == dtypes.float0:  # typeof refuses others that are no numbers
            if dtype not in (None, dtypes.float0):
                raise no_float0("array", (dtypes.float0, dtype))
            return x
        target = dtypes.canonical(x.dtype) if dtype is None else dtype
        with np.errstate(all="ignore"):
            if x.dtype == target:
                return _native.from_numpy(np.asarray(x), False, True)
            return _native.from_numpy(np.array(x, target, order="C"), False, False)
    if isinstance(x, Sequence) and not isinstance(x, str | bytes):
        x = list(x) if isinstance(x, range) else x
        return _from_sequence(x, dtype)
    if hasattr(x, "__array__"):
        return _from_object(np.asarray(x.__array__()), dtype, copy)
    if hasattr(x, "__dlpack__"):
        return _native.from_dlpack(x)
    if hasattr(x, "__buffer__") or isinstance(x, memoryview | bytearray):
        return _from_object(np.asarray(memoryview(x)), dtype, copy)
    if isinstance(x, str | bytes) and dtype is not None and dtype.kind in "biufcV":
        return _from_text(x, dtype)
    if x is None:
        raise ValueError(
            located(
                "None is not a valid value for array: replace it by nan or a number",
                attempt="numpy.nan in place of None",
            )
        )
    raise TypeError(
        located(
            f"Unexpected input type for array: {type_name(x)}",
            why="an array can be made of numbers, arrays and nested sequences of them",
            attempt="numpy.asarray(x) with NumPy first, or pick the arrays out of it",
        )
    )


def _from_text(text: str | bytes, dtype: Any) -> Any:
    """The number that a text says, such as "nan". Raises ValueError if it says none."""
    kind = int if dtypes.is_integer(dtype) else complex if dtypes.is_complex(dtype) else float
    try:
        number = kind(text if isinstance(text, str) else text.decode())
    except ValueError as error:
        raise ValueError(
            located(
                f"{text!r} is no number of dtype {dtype.name}: {error}",
                attempt="'nan', 'inf' or digits, as Python's float takes them",
            )
        ) from None
    return _from_object(np.asarray(number).astype(dtype), dtype, None)


def type_name(x: Any) -> str:
    return builtins.type(x).__name__


def _from_sequence(x: Sequence, dtype: Any) -> Any:
    leaves = pytree.tree_leaves(x, is_leaf=lambda v: v is None)
    if any(v is None for v in leaves):
        raise ValueError(
            located(
                "None is not a valid value for array: replace it by nan or a number",
                attempt="numpy.nan in place of None",
            )
        )
    plain = all(isinstance(v, bool | int | float | complex | np.generic) for v in leaves)
    if plain or not any(isinstance(v, Tracer | Array | KeyArray) for v in leaves):
        for v in leaves:
            if not is_value(v) and not hasattr(v, "__array__"):
                raise TypeError(
                    located(
                        f"Value {v!r} with type {type_name(v)} is not a valid array element",
                        attempt="numbers and arrays as elements",
                    )
                )
        if dtype is None and leaves:
            dtype, _ = joint_dtype(*(typeof(v) for v in leaves if is_value(v)))
        elif dtype is None:
            dtype = dtypes.canonical(float)
        values = np.asarray(x)
        if values.dtype == object:
            raise TypeError(
                located(
                    "the nested sequences have different lengths: no array has that shape",
                    attempt="pad the shorter ones, or keep them in a list",
                )
            )
        _check_range(leaves, dtype)
        with np.errstate(all="ignore"):
            return _native.from_numpy(np.array(values.astype(dtype), order="C"), False, False)
    parts = [_from_object(concrete_form(v), None, False) for v in x]
    if dtype is None:
        dtype, _ = joint_dtype(*map(typeof, parts))
    shapes = {typeof(p).shape for p in parts}
    if len(shapes) > 1:
        raise TypeError(
            located(
                f"array: the parts have different shapes {sorted(shapes)}",
                attempt="numpy.stack after broadcast_to or pad to one shape, or keep them in a "
                "list",
            )
        )
    return concatenate([expand_dims(as_dtype(p, dtype), (0,)) for p in parts], 0)


def _check_range(leaves: Sequence[Any], dtype: Any) -> None:
    if dtypes.is_integer(dtype):
        for v in leaves:
            if builtins.type(v) is int:
                scalar(v, dtype)


@takes_arrays("shape dtype device out_sharding")
def full(shape, fill_value, dtype=None, *, device=None, out_sharding=None):
    """An array of `shape` filled with `fill_value` (a number or something that broadcasts)."""
    check_place("full", device, out_sharding)
    shape = static_shape(shape)
    if any(n < 0 for n in shape):
        raise TypeError(
            located(
                f"shapes must not have negative dimensions, got {shape}",
                "-1 stands for an unknown size in reshape only",
                "the size as a Python integer",
            )
        )
    if settings.guarding:
        check_callers((fill_value,))
    type = typeof(fill_value)
    if isinstance(dtype, dtypes.ExtendedDtype) and type.dtype != dtype:
        words = full((*shape, *dtype.base_shape), fill_value, np.uint32)
        return random_wrap(words, generator_of(dtype))
    if isinstance(dtype, np.dtype) and dtype == dtypes.float0:
        return np.zeros(shape, dtypes.float0)
    weak = dtype is None and type.weak_type
    value = as_dtype(fill_value, requested(dtype, type.dtype), weak)
    if isinstance(value, np.generic) and current() is None:
        with allocating([ArrayType(shape, value.dtype)]):
            filled = np.full(shape, value)
        return _native.from_numpy(filled, weak, False)
    return broadcast_to(as_value(value), shape) if not shape else _broadcast(value, shape)


def _broadcast(value: Any, shape: tuple[int, ...]) -> Any:
    if typeof(value).shape == shape:
        return as_value(value)
    return broadcast_to(value, shape)


def zeros(shape, dtype=None, *, device=None, out_sharding=None):
    """An array of zeros; float32 by default."""
    return full(shape, 0, requested(dtype, float), device=device, out_sharding=out_sharding)


def ones(shape, dtype=None, *, device=None, out_sharding=None):
    """An array of ones; float32 by default."""
    return full(shape, 1, requested(dtype, float), device=device, out_sharding=out_sharding)


def empty(shape, dtype=None, *, device=None, out_sharding=None):
    """An array of zeros: memory is never left uninitialised."""
    return zeros(shape, dtype, device=device, out_sharding=out_sharding)


def _like(a: Any, dtype: Any, shape: Any) -> tuple[Any, Any]:
    a = a if hasattr(a, "shape") and hasattr(a, "dtype") else typeof(asarray(a))
    return (a.shape if shape is None else shape), (a.dtype if dtype is None else dtype)


def full_like(a, fill_value, dtype=None, shape=None, *, device=None, out_sharding=None):
    """`full` with the shape and dtype of `a` where they are not given."""
    weak = dtype is None and getattr(a, "weak_type", isinstance(a, int | float | complex))
    shape, dtype = _like(a, dtype, shape)
    result = full(shape, fill_value, dtype, device=device, out_sharding=out_sharding)
    return as_dtype(result, typeof(result).dtype, True) if weak and type(a) is not bool else result


def zeros_like(a, dtype=None, shape=None, *, device=None, out_sharding=None):
    """Zeros with the shape and dtype of `a` where they are not given."""
    return full_like(a, 0, dtype, shape, device=device, out_sharding=out_sharding)


def ones_like(a, dtype=None, shape=None, *, device=None, out_sharding=None):
    """Ones with the shape and dtype of `a` where they are not given."""
    return full_like(a, 1, dtype, shape, device=device, out_sharding=out_sharding)


def empty_like(prototype, dtype=None, shape=None, *, device=None):
    """Zeros with the shape and dtype of `prototype` where they are not given."""
    return zeros_like(prototype, dtype, shape, device=device)


def copy(a, order=None):
    """A copy of an array."""
    return array(a, copy=True)


def frombuffer(buffer, dtype=float, count=-1, offset=0):
    """A 1-D array from the bytes of a buffer."""
    return array(np.frombuffer(buffer, dtype=dtype, count=count, offset=offset))


def eye(N, M=None, k=0, dtype=None, *, device=None):
    """Ones on the k-th diagonal of an (N, M) matrix, zeros elsewhere."""
    n, m = static_integer(N, "N"), static_integer(N if M is None else M, "M")
    dtype = requested(dtype, float)
    if current() is None:
        with allocating([ArrayType((max(n, 0), max(m, 0)), dtype)]):
            return array(np.eye(n, m, k).astype(dtype))
    index = dtypes.canonical(int)
    return as_dtype(
        ufuncs.equal(
            ufuncs.add(iota(index, (n, m), 0), scalar(static_integer(k, "k"), index)),
            iota(index, (n, m), 1),
        ),
        dtype,
    )


def identity(n, dtype=None):
    """The identity matrix of size n."""
    return eye(n, dtype=dtype)
