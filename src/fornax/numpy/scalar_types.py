"""Dtypes and constants: `float32` both names a dtype and makes arrays of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fornax.ir.types import is_value, typeof
from fornax.numpy.creation import array
from fornax.scalars import dtypes
from fornax.scalars.formats import FORMATS
from fornax.scalars.promotion import promote
from fornax.source import located

__all__ = [
    "ComplexWarning", "bfloat16", "bool_", "bool", "can_cast", "cdouble", "character",
    "complex128", "complex64", "complexfloating", "complex_", "csingle", "double", "dtype", "e",
    "euler_gamma", "flexible", "iterable", "single", "finfo", "float16", "float32",
    "float4_e2m1fn", "float64", "float6_e2m3fn", "float6_e3m2fn", "float8_e3m4", "float8_e4m3",
    "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
    "float8_e8m0fnu", "float_", "floating", "generic", "iinfo", "inexact", "inf", "int1", "int16",
    "int2", "int32", "int4", "int64", "int8", "int_", "integer", "iscomplex", "iscomplexobj",
    "isdtype", "isreal", "isrealobj", "isscalar", "issubdtype", "nan", "newaxis", "number",
    "object_", "pi", "promote_types", "result_type", "signedinteger", "uint", "uint1", "uint16",
    "uint2", "uint32", "uint4", "uint64", "uint8", "unsignedinteger",
]  # fmt: skip

pi, e, euler_gamma = math.pi, math.e, float(np.euler_gamma)
inf, nan, newaxis = math.inf, math.nan, None
dtype = np.dtype
number, integer, inexact, generic = np.number, np.integer, np.inexact, np.generic
signedinteger, unsignedinteger = np.signedinteger, np.unsignedinteger
floating, complexfloating, object_ = np.floating, np.complexfloating, np.object_
character, flexible = np.character, np.flexible
ComplexWarning = np.exceptions.ComplexWarning


class _ScalarType(type):
    """A scalar type: `float32(3)` is an array, `float32` is accepted wherever a dtype is."""

    dtype: np.dtype

    def __call__(cls, x: Any) -> Any:
        return array(x, dtype=cls.dtype)

    def __eq__(cls, other: Any) -> Any:
        # of everything that is no dtype, only NumPy's scalar type of the same name is equal
        if isinstance(other, _ScalarType | np.dtype):
            return cls.dtype == (other.dtype if isinstance(other, _ScalarType) else other)
        return other is cls.dtype.type

    def __hash__(cls) -> int:
        return hash(cls.dtype.type)

    def __repr__(cls) -> str:
        return f"<class 'fornax.numpy.{cls.__name__}'>"

    def __instancecheck__(cls, instance: Any) -> Any:
        return isinstance(instance, cls.dtype.type)


def _scalar_type(name: str, of: np.dtype) -> _ScalarType:
    return _ScalarType(name, (), {"dtype": of, "__doc__": f"The dtype {of.name}."})


def _format(name: str) -> _ScalarType:
    """The scalar type of a format that exists in memory only."""
    return _scalar_type(name, FORMATS[name].dtype)


bool_ = _scalar_type("bool_", dtypes.bool_)
int1, uint1 = _format("int1"), _format("uint1")
int2, uint2 = _format("int2"), _format("uint2")
int4, uint4 = _format("int4"), _format("uint4")
int8, int16 = _scalar_type("int8", dtypes.int8), _scalar_type("int16", dtypes.int16)
int32, int64 = _scalar_type("int32", dtypes.int32), _scalar_type("int64", dtypes.int64)
uint8, uint16 = _scalar_type("uint8", dtypes.uint8), _scalar_type("uint16", dtypes.uint16)
uint32, uint64 = _scalar_type("uint32", dtypes.uint32), _scalar_type("uint64", dtypes.uint64)
float16, bfloat16 = _format("float16"), _format("bfloat16")
float32, float64 = _scalar_type("float32", dtypes.float32), _scalar_type("float64", dtypes.float64)
float4_e2m1fn = _format("float4_e2m1fn")
float6_e2m3fn, float6_e3m2fn = _format("float6_e2m3fn"), _format("float6_e3m2fn")
float8_e3m4, float8_e4m3 = _format("float8_e3m4"), _format("float8_e4m3")
float8_e4m3b11fnuz, float8_e4m3fn = _format("float8_e4m3b11fnuz"), _format("float8_e4m3fn")
float8_e4m3fnuz, float8_e5m2 = _format("float8_e4m3fnuz"), _format("float8_e5m2")
float8_e5m2fnuz, float8_e8m0fnu = _format("float8_e5m2fnuz"), _format("float8_e8m0fnu")
complex64 = _scalar_type("complex64", dtypes.complex64)
complex128 = _scalar_type("complex128", dtypes.complex128)
bool = bool_  # noqa: A001
int_, uint, float_, complex_ = int64, uint64, float64, complex128
single, double, csingle, cdouble = float32, float64, complex64, complex128


def issubdtype(arg1, arg2):
    """Whether one dtype is (a kind of) another. See `numpy.issubdtype`."""
    both = (t.dtype if isinstance(t, _ScalarType) else t for t in (arg1, arg2))
    return dtypes.issubdtype(*both)


def _dtype_of(x: Any) -> Any:
    """The dtype of an array or of a scalar type of this module; NumPy's and Python's classes as
    they are."""
    if isinstance(x, type) and not isinstance(x, _ScalarType):
        return x  # classes of NumPy have an attribute `dtype`, which is that of their numbers
    return getattr(x, "dtype", x)


def finfo(dtype):
    """Limits of a floating dtype, or of that of an array."""
    return dtypes.finfo(_dtype_of(dtype))


def iinfo(int_type):
    """Limits of an integer dtype, or of that of an array."""
    return dtypes.iinfo(_dtype_of(int_type))


def _type(x: Any) -> Any:
    if isinstance(x, _ScalarType | np.dtype | type | str | dtypes.ExtendedDtype):
        python = {bool_: False, int: True, float: True, complex: True}
        weak = isinstance(x, type) and x in (int, float, complex) and python.get(x, False)
        return dtypes.as_dtype(x), weak
    if is_value(x):
        return typeof(x).dtype, typeof(x).weak_type
    if x is None or hasattr(x, "dtype"):  # descriptions of arrays have a dtype and are never weak
        return dtypes.canonical(dtypes.as_dtype(float if x is None else x.dtype)), False
    raise TypeError(
        located(
            f"Cannot determine dtype of {x!r:.80}",
            why="it is no array, number, dtype, nor anything with a dtype",
            attempt="wrap lists in fornax.numpy.array(...)",
        )
    )


def result_type(*args):
    """The dtype that the arguments (arrays, numbers, dtypes, anything with a dtype) promote to.

    Raises ValueError without arguments, TypeError for what has no dtype.
    """
    return joint_type(*args)[0]


def joint_type(*args):
    """As `result_type`, and whether the result is weakly typed."""
    if not args:
        raise ValueError(
            located("at least one array or dtype is required", attempt="result_type(x, y)")
        )
    return promote([_type(x) for x in args])


def promote_types(a, b):
    """The dtype that two dtypes promote to."""
    return dtypes.as_dtype(promote([_type(a), _type(b)])[0])


def can_cast(from_, to, casting="safe"):
    """Whether NumPy may cast one dtype to another."""
    return np.can_cast(dtypes.as_dtype(from_), dtypes.as_dtype(to), casting)


def isdtype(dtype, kind):
    """Whether a dtype is of a kind, as the array API defines it."""
    dtype = dtypes.as_dtype(dtype)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    tests = {
        "bool": lambda t: t == dtypes.bool_,
        "signed integer": dtypes.is_signed_integer,
        "unsigned integer": dtypes.is_unsigned_integer,
        "integral": dtypes.is_integer,
        "real floating": dtypes.is_floating,
        "complex floating": dtypes.is_complex,
        "numeric": lambda t: dtypes.is_integer(t) or dtypes.is_inexact(t),
    }
    for k in kinds:
        if isinstance(k, str) and k not in tests:
            raise ValueError(
                located(
                    f"Unrecognized kind {k!r}: one of {sorted(tests)}",
                    attempt="'real floating', 'integral', or a dtype to compare with",
                )
            )
        if tests[k](dtype) if isinstance(k, str) else dtype == dtypes.as_dtype(k):
            return True
    return False


def iscomplexobj(x):
    """Whether the dtype is complex."""
    return dtypes.is_complex(x.dtype if hasattr(x, "dtype") else typeof(array(x)).dtype)


def isrealobj(x):
    """Whether the dtype is not complex."""
    return not iscomplexobj(x)


def iscomplex(x):
    """Whether each element has an imaginary part."""
    x = array(x)
    return x.imag != 0


def isreal(x):
    """Whether each element has no imaginary part."""
    x = array(x)
    return x.imag == 0


def isscalar(element):
    """Whether `element` is a number or a 0-d array."""
    return np.isscalar(element) or (is_value(element) and element.ndim == 0)


def iterable(y):
    """Whether `iter` takes `y`: an array or tracer of one dimension or more, a list, a string."""
    return np.iterable(y)
