"""Types of values: shape, dtype, weak type. The only place that looks into a dimension.

Types are interned: equal types are the same object, so they compare and hash by identity.
A dimension is an int; a symbolic dimension may take its place later, which is why rules go
through `size`, `is_one` and friends and never call `int()`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fornax import _native, settings
from fornax.errors import message
from fornax.scalars import dtypes
from fornax.scalars.dtypes import Dtype
from fornax.scalars.promotion import python_scalar
from fornax.source import located

Shape = tuple[int, ...]


class ArrayType:
    """Type of an array: `shape`, `dtype`, and whether it is weakly typed (a Python scalar).

    Where an array lies is no part of its type: sharding, manual_axis_type and memory_space decide
    nothing, and are taken because programs that make types hand on what they found.
    """

    __slots__ = ("__weakref__", "_tangent", "dtype", "dtype_name", "shape", "size", "weak_type")
    shape: Shape
    dtype: Dtype
    weak_type: bool
    size: int  #: how many elements
    _tangent: ArrayType | None  #: `tangent()`, once it was asked for
    dtype_name: str  #: of `dtype`, which makes its name anew whenever it is asked

    def __new__(
        cls,
        shape: Iterable[int],
        dtype: Any,
        weak_type: bool = False,
        *,
        sharding: Any = None,
        manual_axis_type: Any = None,
        memory_space: Any = None,
    ) -> ArrayType:
        shape = tuple(shape)
        key = (shape, dtype, weak_type)
        found = _interned.get(key)
        if found is not None:
            return found
        dtype = dtypes.as_dtype(dtype)
        shape = tuple(_dimension(n) for n in shape)
        key = (shape, dtype, bool(weak_type))
        found = _interned.get(key)
        if found is None:
            found = object.__new__(cls)
            found.shape, found.dtype, found.weak_type = key
            found.size, found.dtype_name = math.prod(shape), dtype.name
            found._tangent = None
            _interned[key] = found
        return found

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def update(self, **changes: Any) -> ArrayType:
        """The same type with some fields changed."""
        fields = {"shape": self.shape, "dtype": self.dtype, "weak_type": self.weak_type}
        return ArrayType(**{**fields, **changes})

    def strip_weak_type(self) -> ArrayType:
        return ArrayType(self.shape, self.dtype) if self.weak_type else self

    def tangent(self) -> ArrayType:
        """Type of tangents and cotangents: float0 for integers."""
        found = self._tangent
        if found is None:
            dtype = dtypes.tangent_dtype(self.dtype)
            found = self._tangent = ArrayType(self.shape, dtype, self.weak_type)
        return found

    to_tangent_aval = to_cotangent_aval = tangent

    def short(self) -> str:
        """f32[3,4]"""
        return f"{dtypes.short_name(self.dtype)}[{','.join(map(str, self.shape))}]"

    def str_short(self, short_dtypes: bool = False, mesh_axis_types: bool = False) -> str:
        """float32[3,4], or f32[3,4] with short_dtypes."""
        if short_dtypes:
            return self.short()
        return f"{self.dtype_name}[{','.join(map(str, self.shape))}]"

    def __repr__(self) -> str:
        dims = ",".join(map(str, self.shape))
        weak = ", weak_type=True" if self.weak_type else ""
        return f"ShapedArray({self.dtype_name}[{dims}]{weak})"

    def __reduce__(self) -> tuple[Any, ...]:
        return ArrayType, (self.shape, self.dtype, self.weak_type)


_interned: dict[tuple[Any, ...], ArrayType] = {}


def _dimension(n: Any) -> int:
    try:
        value = n.__index__()
    except AttributeError:
        raise TypeError(
            message(
                f"shapes must be made of integers, got {n!r} of type {type(n).__name__}",
                attempt="pass static Python integers; a traced value cannot be a dimension",
            )
        ) from None
    if value < 0:
        raise ValueError(
            located(
                f"shapes must not have negative dimensions, got {value}",
                attempt="max(n, 0) if the size was worked out, or -1 in reshape only",
            )
        )
    return value


def is_one(n: int) -> bool:
    """Whether a dimension is statically 1."""
    return n == 1


#: class -> the function that gives the type of its instances
rules: dict[type, Callable[[Any], ArrayType]] = {}


def register_value(kind: type, typeof_value: Callable[[Any], ArrayType]) -> None:
    """Declare that instances of `kind` are values of programs."""
    rules[kind] = typeof_value


def typeof(x: Any) -> ArrayType:
    """The type of a value: array, tracer, NumPy array or scalar, Python scalar.

    Raises TypeError for anything else.
    """
    rule = rules.get(type(x))
    if rule is None:
        rule = _find_rule(x)
    return rule(x)


def is_value(x: Any) -> bool:
    """Whether `typeof` accepts `x`."""
    if x.__class__ in rules:
        return True
    try:
        _find_rule(x)
    except TypeError:
        return False
    return True


def _find_rule(x: Any) -> Callable[[Any], ArrayType]:
    for kind in type(x).__mro__:
        if kind in rules:
            rule = rules[type(x)] = rules[kind]
            return rule
    raise TypeError(
        message(
            f"{type(x).__name__} is not a valid JAX type: value {x!r:.80}",
            why="programs compute on arrays and numbers",
            attempt="pass arrays; mark other arguments static, or keep them in the closure",
        )
    )


#: scalar types with one dtype each, and settings -> the type of their values
_scalar_types: dict[tuple[type, settings.Settings], ArrayType] = {}
_ONE_DTYPE = (bool, int, float, complex, np.number, np.bool_)


def _scalar_type(x: Any) -> ArrayType:
    key = (x.__class__, settings.current())
    known = _scalar_types.get(key)
    if known is not None:
        return known
    found = python_scalar(x)
    assert found is not None
    if isinstance(x, np.generic):
        _computable(x)
    made = ArrayType((), *found)
    if isinstance(x, _ONE_DTYPE):
        _scalar_types[key] = made
    return made


def _numpy_type(x: np.ndarray) -> ArrayType:
    if type(x) is not np.ndarray and hasattr(x, "filled"):
        raise ValueError(
            message(
                "numpy masked arrays are not supported as direct inputs",
                why="the mask would be lost",
                attempt="x.filled(value), or pass x.data and x.mask as two arrays",
            )
        )
    return ArrayType(x.shape, dtypes.canonical(_computable(x)))


def _computable(x: np.ndarray | np.generic) -> Dtype:
    dtype = dtypes.computable(x.dtype)
    if dtype is None:
        sort = "array" if x.ndim else "number"
        raise TypeError(
            message(
                f"a NumPy {sort} of dtype {x.dtype} is not a valid JAX type",
                why="only booleans, integers, floats of at most 64 bits and complex numbers can be "
                "computed on",
                attempt="x.astype('float32'); keep data that is no numbers in NumPy",
            )
        )
    return dtype


for _kind in (bool, int, float, complex, np.generic):
    register_value(_kind, _scalar_type)
register_value(np.ndarray, _numpy_type)
register_value(_native.Array, lambda x: x.aval)
_native.set_aval_factory(ArrayType)
