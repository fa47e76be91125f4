"""Gives arrays and tracers their operators and methods, and defines `fornax.Array`.

Importing this module (which anything public does) also sets what an operation does when nothing is
being traced.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fornax import _native
from fornax.errors import message
from fornax.ir.trace import Tracer
from fornax.numpy import creation, indexing, products, reductions, selection, shaping, ufuncs
from fornax.numpy.at import IndexUpdateHelper
from fornax.numpy.promotion import is_arraylike
from fornax.runtime import eager  # noqa: F401  (sets the eager hook)
from fornax.runtime.key_array import KeyArray
from fornax.scalars import dtypes

_CONCRETE = _native.Array


class _ArrayMeta(type):
    """`isinstance(x, Array)` holds for concrete arrays and tracers alike."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _CONCRETE | Tracer | KeyArray)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _CONCRETE | Tracer | KeyArray) or subclass is cls


class Array(metaclass=_ArrayMeta):
    """An immutable n-dimensional array.

    Made by `fornax.numpy.array` and every function; never by calling this class. Attributes:
    shape, dtype, ndim, size, at, T and the methods of NumPy arrays that do not write.
    """

    def __new__(cls, *args: Any, **kwargs: Any):
        raise TypeError(
            "Array is for isinstance checks and annotations\n  try:   fornax.numpy.array(...)"
        )


Array.__module__ = "fornax"


# --- operators --------------------------------------------------------------------------------
def _accepts(x: Any) -> bool:
    return is_arraylike(x)


def _operator(function: Callable, reflected: bool) -> Callable:
    if reflected:

        def method(self, other):
            return function(other, self) if _accepts(other) else NotImplemented

    else:

        def method(self, other):
            if type(other) is _CONCRETE or _accepts(other):
                return function(self, other)
            return NotImplemented

    return method


_OPERATORS = {
    "add": ufuncs.add, "sub": ufuncs.subtract, "mul": ufuncs.multiply,
    "truediv": ufuncs.true_divide, "floordiv": ufuncs.floor_divide, "mod": ufuncs.remainder,
    "pow": ufuncs.power, "matmul": products.matmul, "divmod": ufuncs.divmod,
    "and": ufuncs.bitwise_and, "or": ufuncs.bitwise_or, "xor": ufuncs.bitwise_xor,
    "lshift": ufuncs.left_shift, "rshift": ufuncs.right_shift,
}  # fmt: skip
_COMPARISONS = {
    "eq": ufuncs.equal, "ne": ufuncs.not_equal, "lt": ufuncs.less, "le": ufuncs.less_equal,
    "gt": ufuncs.greater, "ge": ufuncs.greater_equal,
}  # fmt: skip


def _iterate(self) -> Iterator[Any]:
    if not self.shape:
        raise TypeError("iteration over a 0-d array")
    if isinstance(self, _CONCRETE | KeyArray):
        return iter([indexing.rewriting_take(self, i) for i in range(self.shape[0])])
    return iter(shaping.unstack(self))


def _refuse_assignment(self, index, value):
    raise TypeError(
        message(
            f"{type(self).__name__} object does not support item assignment: JAX arrays are "
            "immutable",
            why="a function that changed its arguments could not be transformed",
            attempt="x = x.at[index].set(value), which returns a new array",
        )
    )


# --- methods that are not functions of the same name -------------------------------------------
def _reshape(self, *args, order="C", copy=None):
    """The same elements in another shape, given as one tuple or several integers."""
    shape = args[0] if len(args) == 1 else args
    return shaping.reshape(self, shape, order)


def _transpose(self, *axes):
    """Dimensions in another order; reversed by default."""
    if not axes:
        return shaping.transpose(self)
    return shaping.transpose(self, axes[0] if len(axes) == 1 else axes)


def _astype(self, dtype, copy=False, device=None):
    """The same numbers in another dtype."""
    return shaping.astype(self, dtype)


def _view(self, dtype=None):
    """The same bits as another dtype."""
    return shaping.view(self, dtype)


def _item(self, *args):
    return self.numpy_view().item(*args)


def _tolist(self):
    return self.numpy_view().tolist()


def _copy(self):
    """A copy."""
    return creation.copy(self)


def _flatten(self, order="C"):
    """The elements in one dimension."""
    return shaping.ravel(self, order)


def _clip(self, min=None, max=None):
    """Every element limited to [min, max]."""
    return selection.clip(self, min, max)


def _dot(self, other, *, precision=None, preferred_element_type=None):
    """`fornax.numpy.dot`."""
    return products.dot(
        self, other, precision=precision, preferred_element_type=preferred_element_type
    )


_METHODS: dict[str, Callable] = {
    "reshape": _reshape, "transpose": _transpose, "astype": _astype, "view": _view,
    "copy": _copy, "flatten": _flatten, "clip": _clip, "dot": _dot,
    "all": reductions.all, "any": reductions.any, "argmax": reductions.argmax,
    "argmin": reductions.argmin, "cumprod": reductions.cumprod, "cumsum": reductions.cumsum,
    "max": reductions.max, "mean": reductions.mean, "min": reductions.min,
    "prod": reductions.prod, "ptp": reductions.ptp, "std": reductions.std,
    "sum": reductions.sum, "var": reductions.var, "conj": ufuncs.conj,
    "conjugate": ufuncs.conjugate, "round": ufuncs.round, "ravel": shaping.ravel,
    "repeat": shaping.repeat, "squeeze": shaping.squeeze, "swapaxes": shaping.swapaxes,
    "diagonal": shaping.diagonal, "trace": products.trace, "take": indexing.take,
    "nonzero": selection.nonzero, "sort": selection.sort, "argsort": selection.argsort,
    "searchsorted": selection.searchsorted, "compress": selection.compress_method,
    "choose": selection.choose,
}  # fmt: skip


def _matrix_transpose(self):
    return shaping.matrix_transpose(self)


def _byte_size(self):
    return self.size * self.dtype.itemsize


_PROPERTIES: dict[str, Callable] = {
    "T": lambda self: shaping.transpose(self),
    "mT": _matrix_transpose,
    "at": lambda self: IndexUpdateHelper(self),
    "real": lambda self: ufuncs.real(self),
    "imag": lambda self: ufuncs.imag(self),
    "flat": lambda self: iter(shaping.ravel(self)),
}
_TRACER_PROPERTIES: dict[str, Callable] = {
    "nbytes": _byte_size,
    "itemsize": lambda self: self.dtype.itemsize,
    "device": lambda self: _native.empty((), np.dtype(np.float32)).device,
}


# --- concrete arrays only ---------------------------------------------------------------------
def _scalar_of(self, kind: str) -> np.ndarray:
    if self.size != 1 or self.ndim:
        if kind == "bool" and self.size != 1:
            raise ValueError(
                "The truth value of an array with "
                + ("no elements" if self.size == 0 else "more than one element")
                + " is ambiguous. Use a.any() or a.all()"
            )
        if kind != "bool":
            raise TypeError(
                f"Only scalar arrays can be converted to Python scalars; got {self.ndim=}"
            )
    return self.numpy_view().reshape(())


def _index(self) -> int:
    if self.ndim or not dtypes.is_integer(self.dtype):
        raise TypeError(f"Only integer scalar arrays can be an index, got {self.aval.short()}")
    return int(self.numpy_view()[()])


def _repr(self) -> str:
    if self.is_deleted():
        return f"Array(shape={self.shape}, dtype={self.dtype.name}, deleted)"
    data = self.numpy_view()
    suffix = f"dtype={self.dtype.name}" + (", weak_type=True)" if self.weak_type else ")")
    if dtypes.is_inexact(data.dtype) and data.dtype.itemsize < 4:
        data = data.astype(np.float32)
    body = np.array2string(data, prefix="Array(", separator=", ", suffix=",")
    if 0 in self.shape:
        body += f", shape={self.shape}"
    separator = "\n" + " " * 6 if len(body.rsplit("\n", 1)[-1]) + len(suffix) > 70 else " "
    return f"Array({body},{separator}{suffix}"


def _str(self) -> str:
    return str(self.numpy_view())


def _format(self, spec: str) -> str:
    return format(self.numpy_view()[()] if not self.ndim else self.numpy_view(), spec)


def _rebuild(data: np.ndarray, weak_type: bool) -> Any:
    return _native.from_numpy(data, weak_type, True)


_CONCRETE_METHODS: dict[str, Callable] = {
    "__bool__": lambda self: bool(_scalar_of(self, "bool")),
    "__int__": lambda self: int(_scalar_of(self, "int")),
    "__float__": lambda self: float(_scalar_of(self, "float")),
    "__complex__": lambda self: complex(_scalar_of(self, "complex")),
    "__index__": _index,
    "__repr__": _repr,
    "__str__": _str,
    "__format__": _format,
    "__reduce__": lambda self: (_rebuild, (np.array(self.numpy_view()), self.weak_type)),
    "__copy__": lambda self: self,
    "__deepcopy__": lambda self, memo: creation.copy(self),
    "item": _item,
    "tolist": _tolist,
    "copy_to_host_async": lambda self: None,
    "addressable_data": lambda self, index: self,
}


# --- random keys ------------------------------------------------------------------------------
_KEY_METHODS = (
    "flatten", "ravel", "reshape", "repeat", "squeeze", "swapaxes", "take", "transpose",
)  # fmt: skip


def _install_on_keys() -> None:
    """What arrays of keys can do: all that moves elements, and equality."""
    for name in _KEY_METHODS:
        setattr(KeyArray, name, _as_method(name, _METHODS[name]))
    for name in ("T", "mT", "at"):
        setattr(KeyArray, name, property(_PROPERTIES[name]))
    KeyArray.__getitem__ = lambda self, index: indexing.rewriting_take(self, index)
    KeyArray.__setitem__ = _refuse_assignment
    KeyArray.__iter__ = _iterate
    for name in ("eq", "ne"):
        setattr(KeyArray, f"__{name}__", _operator(_COMPARISONS[name], reflected=False))


def _length(self) -> int:
    if not self.shape:
        raise TypeError("len() of unsized object")
    return self.shape[0]


def install() -> None:
    """Put operators, methods and properties on both kinds of array."""
    for kind in (_CONCRETE, Tracer):
        for name, function in _OPERATORS.items():
            setattr(kind, f"__{name}__", _operator(function, reflected=False))
            setattr(kind, f"__r{name}__", _operator(function, reflected=True))
        for name, function in _COMPARISONS.items():
            setattr(kind, f"__{name}__", _operator(function, reflected=False))
        kind.__neg__ = lambda self: ufuncs.negative(self)
        kind.__pos__ = lambda self: ufuncs.positive(self)
        kind.__abs__ = lambda self: ufuncs.absolute(self)
        kind.__invert__ = lambda self: ufuncs.invert(self)
        kind.__round__ = lambda self, ndigits=None: ufuncs.round(self, ndigits or 0)
        kind.__getitem__ = lambda self, index: indexing.rewriting_take(self, index)
        kind.__setitem__ = _refuse_assignment
        kind.__iter__ = _iterate
        kind.__len__ = _length
        kind.__array_priority__ = 100
        for name, function in _METHODS.items():
            setattr(kind, name, _as_method(name, function))
        for name, function in _PROPERTIES.items():
            setattr(kind, name, property(function))
    for name, function in _TRACER_PROPERTIES.items():
        setattr(Tracer, name, property(function))
    for name, function in _CONCRETE_METHODS.items():
        setattr(_CONCRETE, name, function)
    Tracer.block_until_ready = lambda self: self
    _install_on_keys()
    Tracer.__array_namespace__ = _CONCRETE.__array_namespace__ = _namespace


def _as_method(name: str, function: Callable) -> Callable:
    def method(self, *args, **kwargs):
        return function(self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = function.__doc__
    return method


def _namespace(self, *, api_version=None):
    return sys.modules["fornax.numpy"]


install()

__all__ = ["Array", "install"]
