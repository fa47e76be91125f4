"""Gives arrays and tracers their operators and methods, and defines `fornax.Array`.

Importing this module (which anything public does) also sets what an operation does when nothing is
being traced. The functions behind operators and methods load when one is used for the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fornax.numpy as fnp
from fornax import _native
from fornax._native import EagerFunction
from fornax.api.eager import eager
from fornax.ir.trace import Tracer
from fornax.lazy import Late
from fornax.numpy.accepted import is_arraylike
from fornax.runtime import eager as _  # noqa: F401  (sets the eager hook)
from fornax.runtime.key_array import KeyArray
from fornax.runtime.transfers import passes_on
from fornax.scalars import dtypes
from fornax.source import located

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
            located(
                "Array is for isinstance checks and annotations", attempt="fornax.numpy.array(...)"
            )
        )


Array.__module__ = "fornax"


# --- operators --------------------------------------------------------------------------------
def _operator(function: Callable) -> Callable:
    def operator(self, other):
        if type(other) is _CONCRETE or isinstance(other, Tracer) or is_arraylike(other):
            return function(self, other)
        return NotImplemented

    passes_on(operator)
    return eager(operator) if isinstance(function, EagerFunction) else operator


def _reflected(function: Callable) -> Callable:
    def reflected(self, other):
        return function(other, self) if is_arraylike(other) else NotImplemented

    passes_on(reflected)
    return eager(reflected) if isinstance(function, EagerFunction) else reflected


def _rounding(function: Callable) -> Callable:
    return lambda self, ndigits=None: function(self, ndigits or 0)


def _subscript(function: Callable) -> Callable:
    return lambda self, index: function(self, index)


#: operator -> its function in `fornax.numpy`
_OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide",
    "floordiv": "floor_divide", "mod": "remainder", "pow": "power", "matmul": "matmul",
    "divmod": "divmod", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "left_shift", "rshift": "right_shift",
}  # fmt: skip
_COMPARISONS = {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal",
}  # fmt: skip
_SIGNS = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}


def _iterate(self) -> Iterator[Any]:
    if not self.shape:
        raise TypeError(
            located(
                "iteration over a 0-d array",
                attempt="numpy.atleast_1d(x), or x.item() for the number",
            )
        )
    if isinstance(self, _CONCRETE | KeyArray):
        return iter([self[i] for i in range(self.shape[0])])
    return iter(fnp.unstack(self))


def _refuse_assignment(self, index, value):
    raise TypeError(
        located(
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
    return fnp.reshape(self, shape, order)


def _transpose(self, *axes):
    """Dimensions in another order; reversed by default."""
    if not axes:
        return fnp.transpose(self)
    return fnp.transpose(self, axes[0] if len(axes) == 1 else axes)


def _astype(self, dtype, copy=False, device=None):
    """The same numbers in another dtype."""
    return fnp.astype(self, dtype)


def _item(self, *args):
    return self.numpy_view().item(*args)


def _tolist(self):
    return self.numpy_view().tolist()


def _copy(self):
    """A copy."""
    return fnp.copy(self)


def _flatten(self, order="C"):
    """The elements in one dimension."""
    return fnp.ravel(self, order)


def _clip(self, min=None, max=None):
    """Every element limited to [min, max]."""
    return fnp.clip(self, min, max)


def _dot(self, other, *, precision=None, preferred_element_type=None):
    """`fornax.numpy.dot`."""
    return fnp.dot(self, other, precision=precision, preferred_element_type=preferred_element_type)


#: methods that call the function given here
_METHODS: dict[str, Callable] = {
    "reshape": _reshape, "transpose": _transpose, "astype": _astype,
    "copy": _copy, "flatten": _flatten, "clip": _clip, "dot": _dot,
}  # fmt: skip
#: methods that are the function of the same name
_FUNCTIONS = (
    "all", "any", "argmax", "argmin", "argpartition", "argsort", "choose", "conj", "conjugate",
    "cumprod",
    "cumsum", "diagonal", "max", "mean", "min", "nonzero", "prod", "ptp", "ravel", "repeat",
    "round", "searchsorted", "sort", "squeeze", "std", "sum", "swapaxes", "take", "trace", "var",
)  # fmt: skip


def _byte_size(self):
    return self.size * self.dtype.itemsize


_PROPERTIES: dict[str, Callable] = {
    "T": lambda self: fnp.transpose(self),
    "mT": lambda self: fnp.matrix_transpose(self),
    "real": lambda self: fnp.real(self),
    "imag": lambda self: fnp.imag(self),
    "flat": lambda self: iter(fnp.ravel(self)),
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
                located(
                    "The truth value of an array with "
                    + ("no elements" if self.size == 0 else "more than one element")
                    + " is ambiguous. Use a.any() or a.all()",
                    "a comparison of arrays compares each element",
                    "numpy.array_equal for whole arrays, numpy.where to choose by element",
                )
            )
        if kind != "bool":
            raise TypeError(
                located(
                    f"Only scalar arrays can be converted to Python scalars; got {self.ndim=}",
                    "a Python number is one number",
                    "x.item() or x[0] for one element, x.tolist() for all",
                )
            )
    return self.numpy_view().reshape(())


def _index(self) -> int:
    if self.ndim or not dtypes.is_integer(self.dtype):
        raise TypeError(
            located(
                f"Only integer scalar arrays can be an index, got {self.aval.short()}",
                attempt="x.astype(int).item() for one element, or fornax.numpy indexing, which "
                "takes arrays",
            )
        )
    return int(self.numpy_view()[()])


def _repr(self) -> str:
    if self.is_deleted():
        return f"Array(shape={self.shape}, dtype={self.dtype.name}, deleted)"
    data = self.numpy_view()
    suffix = f"dtype={self.dtype.name}" + (", weak_type=True)" if self.weak_type else ")")
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
    "__deepcopy__": lambda self, memo: fnp.copy(self),
    "item": _item,
    "tolist": _tolist,
    "tobytes": lambda self, order="C": self.numpy_view().tobytes(order),
    "clone": _copy,
    "is_ready": lambda self: not self.is_deleted(),
    "on_device_size_in_bytes": lambda self: self.nbytes,
    "platform": lambda self: self.device.platform,
    "copy_to_host_async": lambda self: None,
    "addressable_data": lambda self, index: self,
}


# --- random keys ------------------------------------------------------------------------------
#: what arrays of keys can do: all that moves elements, and equality
_KEY_NAMES = {
    "flatten", "ravel", "reshape", "repeat", "squeeze", "swapaxes", "take", "transpose", "T", "mT",
    "at", "__getitem__", "__setitem__", "__iter__", "__eq__", "__ne__",
}  # fmt: skip


def _length(self) -> int:
    if not self.shape:
        raise TypeError(
            located("len() of unsized object", attempt="x.size, which is 1, or numpy.atleast_1d(x)")
        )
    return self.shape[0]


def _types(name: str) -> tuple[type, ...]:
    """The array types that have the attribute `name`."""
    return (_CONCRETE, Tracer, KeyArray) if name in _KEY_NAMES else (_CONCRETE, Tracer)


def _late(
    name: str, function: str, make: Callable[[Callable], Any], module: str = "fornax.numpy"
) -> None:
    Late(_types(name), name, module, function, make)


def _put(name: str, attribute: Any) -> None:
    for kind in _types(name):
        setattr(kind, name, attribute)


def install() -> None:
    """Put operators, methods and properties on the array types."""
    for name, function in _OPERATORS.items():
        _late(f"__{name}__", function, _operator)
        _late(f"__r{name}__", function, _reflected)
    for name, function in _COMPARISONS.items():
        _late(f"__{name}__", function, _operator)
    for name, function in _SIGNS.items():
        _late(f"__{name}__", function, _as_method)
    _late("__round__", "round", _rounding)
    _late("__getitem__", "rewriting_take", _subscript, "fornax.numpy.indexing")
    _late("at", "IndexUpdateHelper", property, "fornax.numpy.at")
    for name in _FUNCTIONS:
        _late(name, name, _as_method)
    _late("view", "view", _as_method, "fornax.numpy.conversions")
    _late("compress", "compress_method", _as_method, "fornax.numpy.selection")
    for name, function in _METHODS.items():
        function.__name__ = name
        _put(name, function)
    for name, function in _PROPERTIES.items():
        _put(name, property(function))
    _put("__setitem__", _refuse_assignment)
    _put("__iter__", _iterate)
    _put("__len__", _length)
    _put("__array_priority__", 100)
    _put("__array_namespace__", _namespace)
    for name, function in _TRACER_PROPERTIES.items():
        setattr(Tracer, name, property(function))
    for name, function in _CONCRETE_METHODS.items():
        setattr(_CONCRETE, name, function)
    Tracer.block_until_ready = lambda self: self


def _as_method(function: Callable) -> Callable:
    if isinstance(function, EagerFunction):
        return function

    def method(self, *args, **kwargs):
        return function(self, *args, **kwargs)

    method.__name__ = function.__name__
    method.__doc__ = function.__doc__
    return method


def _namespace(self, *, api_version=None):
    return fnp


install()
ndarray = Array

__all__ = ["ndarray"]
