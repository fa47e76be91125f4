"""The dtypes of array elements: NumPy's, the small floats of ml_dtypes, random keys, float0.

A dtype is a `numpy.dtype` or an `ExtendedDtype` (random keys). `canonical` maps 64-bit dtypes to
32-bit ones unless `enable_x64` is set; every array the user makes goes through it.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from fornax import settings
from fornax.scalars.formats import FORMATS
from fornax.source import located

bool_ = np.dtype(np.bool_)
int8, int16, int32, int64 = (np.dtype(f"int{n}") for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{n}") for n in (8, 16, 32, 64))
float16, float32, float64 = (np.dtype(f"float{n}") for n in (16, 32, 64))
complex64, complex128 = np.dtype("complex64"), np.dtype("complex128")
#: dtypes of the formats that NumPy does not know itself
_ADDED = {name: row.dtype for name, row in FORMATS.items() if row.dtype != float16}
bfloat16 = _ADDED["bfloat16"]
float8_e4m3fn, float8_e5m2 = _ADDED["float8_e4m3fn"], _ADDED["float8_e5m2"]
float8_e4m3fnuz, float8_e5m2fnuz = _ADDED["float8_e4m3fnuz"], _ADDED["float8_e5m2fnuz"]
int4, uint4 = _ADDED["int4"], _ADDED["uint4"]
#: dtype of the tangents of integers and booleans: carries no information.
float0 = np.dtype([("float0", np.void, 0)])

_SHORT = {"bool": "bool", "bfloat16": "bf16", "complex64": "c64", "complex128": "c128"}
_NARROW = {int64: int32, uint64: uint32, float64: float32, complex128: complex64}


class extended:  # noqa: N801  (a scalar category, named like NumPy's)
    """Category of dtypes that NumPy does not know."""


class prng_key(extended):  # noqa: N801
    """Category of random-key dtypes."""


class ExtendedDtype:
    """A dtype with a meaning of its own, stored as `base_shape` elements of `base_dtype`."""

    type: Any = extended
    kind = "O"
    itemsize = 0

    def __init__(self, name: str, base_dtype: np.dtype, base_shape: tuple[int, ...], type_: Any):
        self.name = name
        self.base_dtype = base_dtype
        self.base_shape = base_shape
        self.type = type_
        self.itemsize = base_dtype.itemsize * int(np.prod(base_shape))

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExtendedDtype) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


#: numpy.dtype or ExtendedDtype; NumPy's own annotations know only the first
Dtype = Any


def short_name(dtype: Dtype) -> str:
    """JAX's short spelling: f32, i8, bool, bf16, key<fry>."""
    if isinstance(dtype, ExtendedDtype):
        return dtype.name
    if dtype == float0:
        return "float0"
    name = dtype.name
    if name in _SHORT:
        return _SHORT[name]
    return name.replace("uint", "u").replace("int", "i").replace("float", "f")


_PYTHON_SCALARS = {bool: bool_, int: int64, float: float64, complex: complex128}


def as_dtype(spec: Any) -> Dtype:
    """A dtype from a dtype, a NumPy or Python scalar type, or a name; not canonicalised."""
    if isinstance(spec, np.dtype | ExtendedDtype):
        return spec
    if isinstance(spec, str):
        return _ADDED.get(spec) or np.dtype(spec)
    if isinstance(spec, type) and spec in _PYTHON_SCALARS:
        return _PYTHON_SCALARS[spec]
    if spec is None:
        raise TypeError(
            located(
                "a dtype is needed, got None",
                attempt="'float32', or leave the dtype out for the default",
            )
        )
    inner = getattr(spec, "dtype", None)
    if isinstance(inner, np.dtype | ExtendedDtype):
        if hasattr(spec, "__array__") and not isinstance(spec, type):
            # classes as in JAX, which knows its own arrays
            error = TypeError if isinstance(spec, np.ndarray | np.generic) else ValueError
            raise error(
                located(
                    "Cannot construct a dtype from an array (Passing an array as a dtype argument "
                    f"is no longer supported): use its dtype, {inner.name}",
                    attempt="x.dtype instead of x",
                )
            )
        return inner
    return np.dtype(spec)


def computable(spec: Any) -> Dtype | None:
    """The dtype of values of dtype `spec` in programs, in the byte order of this machine.

    None for what cannot be computed on: text, dates, objects, records, long doubles.
    """
    dtype = as_dtype(spec)
    if isinstance(dtype, ExtendedDtype) or dtype in _COMPUTABLE or dtype == float0:
        return dtype
    native = dtype.newbyteorder("=")
    return native if native in _COMPUTABLE else None


_COMPUTABLE = frozenset((
    bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, float32, float64,
    complex64, complex128, *_ADDED.values(),
))  # fmt: skip


def canonical(spec: Any) -> Dtype:
    """`as_dtype`, with 64-bit types narrowed to 32-bit ones unless x64 is enabled."""
    dtype = as_dtype(spec)
    if settings.current().x64:
        return dtype
    return _NARROW.get(dtype, dtype)


_SPECIAL_FLOATS = frozenset(d for name, d in _ADDED.items() if FORMATS[name].is_float)
#: integers of less than eight bits, and what they are
_SPECIAL_INTS = {
    d: np.signedinteger if FORMATS[name].is_signed else np.unsignedinteger
    for name, d in _ADDED.items()
    if not FORMATS[name].is_float
}
#: dtypes of at most eight bits, which are promoted to no other
ALONE = {
    "int": tuple(_SPECIAL_INTS),
    "float": tuple(d for d in _ADDED.values() if d in _SPECIAL_FLOATS and d != bfloat16),
}


def issubdtype(dtype: Any, category: Any) -> bool:
    """Like `numpy.issubdtype`, knowing bfloat16, float8, int4 and the like, and random keys."""
    if isinstance(category, type) and issubclass(category, extended):
        return isinstance(dtype, ExtendedDtype) and issubclass(dtype.type, category)
    if isinstance(dtype, type) and issubclass(dtype, extended):
        return isinstance(category, type) and issubclass(dtype, category)
    if isinstance(dtype, ExtendedDtype):
        return dtype == category
    if isinstance(dtype, type) and issubclass(dtype, np.generic) and dtype in _ABSTRACT:
        return isinstance(category, type) and issubclass(dtype, category)
    dtype = float64 if dtype is None else as_dtype(dtype)  # as in NumPy
    if isinstance(category, type) and category in _ABSTRACT:
        if dtype in _SPECIAL_FLOATS:
            return issubclass(np.floating, category)
        if dtype in _SPECIAL_INTS:
            return issubclass(_SPECIAL_INTS[dtype], category)
        if dtype == float0:
            return category in (np.generic, np.void)
        return np.issubdtype(dtype, category)
    return dtype == as_dtype(category)


_ABSTRACT = frozenset(
    (np.generic, np.number, np.integer, np.signedinteger, np.unsignedinteger, np.inexact,
     np.floating, np.complexfloating, np.flexible, np.character)
)  # fmt: skip


def is_inexact(dtype: Dtype) -> bool:
    """Floating or complex: has derivatives."""
    if isinstance(dtype, ExtendedDtype):
        return False
    return dtype.kind in "fc" or dtype in _SPECIAL_FLOATS


def is_floating(dtype: Dtype) -> bool:
    return is_inexact(dtype) and dtype.kind != "c"


def is_complex(dtype: Dtype) -> bool:
    return dtype.kind == "c"


def is_integer(dtype: Dtype) -> bool:
    """Signed or unsigned integer, not bool."""
    return dtype.kind in "iu" or dtype in _SPECIAL_INTS


def is_signed_integer(dtype: Dtype) -> bool:
    return dtype.kind == "i" or _SPECIAL_INTS.get(dtype) is np.signedinteger


def is_unsigned_integer(dtype: Dtype) -> bool:
    return dtype.kind == "u" or _SPECIAL_INTS.get(dtype) is np.unsignedinteger


def is_narrow_integer(dtype: Dtype) -> bool:
    """Of less than eight bits: int4 and the like."""
    return dtype in _SPECIAL_INTS


def least(dtype: Dtype) -> Any:
    """What no number of `dtype` is below: -inf where there is one."""
    if dtype == bool_:
        return False
    return int(iinfo(dtype).min) if is_integer(dtype) else _end(dtype, -np.inf)


def greatest(dtype: Dtype) -> Any:
    """What no number of `dtype` is above: infinity where there is one."""
    if dtype == bool_:
        return True
    return int(iinfo(dtype).max) if is_integer(dtype) else _end(dtype, np.inf)


def _end(dtype: Dtype, infinity: float) -> float:
    """An infinity as a number of a float dtype: it, the largest number, or NaN without a sign."""
    row = FORMATS.get(dtype.name)
    if row is None or row.has_infinity:
        return infinity
    return float(np.copysign(float(finfo(dtype).max), infinity)) if row.is_signed else np.nan


def tangent_dtype(dtype: Dtype) -> Dtype:
    """The dtype of tangents of values of `dtype`."""
    return dtype if is_inexact(dtype) else float0


def real_dtype(dtype: Dtype) -> Dtype:
    """The dtype of the parts of a complex dtype; other dtypes are their own."""
    if dtype == complex64:
        return float32
    return float64 if dtype == complex128 else dtype


def complex_dtype(dtype: Dtype) -> Dtype:
    """The complex dtype whose parts can hold `dtype`."""
    return complex128 if dtype in (float64, complex128) else complex64


def finfo(dtype: Any) -> Any:
    """Limits of a floating or complex dtype, as `numpy.finfo` gives."""
    dtype = real_dtype(as_dtype(dtype))
    return ml_dtypes.finfo(dtype) if dtype in _SPECIAL_FLOATS else np.finfo(dtype)


def iinfo(dtype: Any) -> Any:
    """Limits of an integer dtype, as `numpy.iinfo` gives."""
    dtype = as_dtype(dtype)
    return ml_dtypes.iinfo(dtype) if dtype in _SPECIAL_INTS else np.iinfo(dtype)
