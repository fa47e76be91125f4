"""Universal functions: element by element, and by reduce, accumulate, outer, at and reduceat."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax import _native
from fornax.api.inspect import eval_shape
from fornax.api.signature import check_callable
from fornax.api.vmap import vmap
from fornax.ir.basis import move_axis
from fornax.ir.requested import requested
from fornax.ir.trace import Tracer
from fornax.ir.types import ArrayType, typeof
from fornax.lax.loops import fori_loop
from fornax.lax.scans import scan
from fornax.numpy import universal_ways
from fornax.numpy.axes import canonical_axis
from fornax.numpy.creation import asarray, full
from fornax.numpy.functional import vectorize
from fornax.numpy.indexing import take
from fornax.numpy.joining import append
from fornax.numpy.promotion import as_dtype, broadcast_shapes, broadcast_to, check
from fornax.numpy.selection import where as select_where
from fornax.numpy.shaping import expand_dims, ravel
from fornax.numpy.ufuncs.publishing import refuse
from fornax.primitives.shape import reshape
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["frompyfunc", "ufunc"]


class _Kind(type):
    """The functions of `fornax.numpy` that have the methods are instances, too."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return type.__instancecheck__(cls, instance) or _is_universal(instance)


def _is_universal(x: Any) -> bool:
    return type(x) is _native.EagerFunction and getattr(x, "nin", None) is not None


class ufunc(metaclass=_Kind):  # noqa: N801
    """A function of scalars that works on arrays, broadcasting, with methods to combine elements.

    func: the function. nin, nout: how many arguments it takes and results it gives. name, nargs,
    identity: what the properties give. call, reduce, accumulate, at, reduceat: better ways than
    going through the elements in a loop. Made by `frompyfunc`; `fornax.numpy.add` is one.
    """

    def __init__(
        self, func: Callable[..., Any], /, nin: int, nout: int, *, name: str | None = None,
        nargs: int | None = None, identity: Any = None, call: Callable[..., Any] | None = None,
        reduce: Callable[..., Any] | None = None, accumulate: Callable[..., Any] | None = None,
        at: Callable[..., Any] | None = None, reduceat: Callable[..., Any] | None = None,
    ):  # fmt: skip
        self.__doc__ = func.__doc__
        self.__name__ = name or func.__name__
        nin, nout = operator.index(nin), operator.index(nout)
        self._fields = (func, self.__name__, identity, nin, nout, operator.index(nargs or nin))
        self._ways = {
            "call": call, "reduce": reduce, "accumulate": accumulate, "at": at,
            "reduceat": reduceat,
        }  # fmt: skip

    _func = property(lambda self: self._fields[0])
    identity = property(lambda self: self._fields[2], doc="Combined with x it gives x, or None.")
    nin = property(lambda self: self._fields[3], doc="The number of arguments.")
    nout = property(lambda self: self._fields[4], doc="The number of results.")
    nargs = property(lambda self: self._fields[5], doc="The number of arguments.")

    def __hash__(self) -> int:
        return hash(self._fields)

    def __eq__(self, other: Any) -> bool:
        return type(other) is ufunc and self._fields == other._fields

    def __repr__(self) -> str:
        return f"<jnp.ufunc '{self.__name__}'>"

    def __call__(self, *args: Any, out: None = None, where: None = None) -> Any:
        """The function of every element. NotImplementedError for `out` and `where`."""
        check(self.__name__, *args)
        refuse(repr(self), out, where)
        call = self._ways["call"] or vectorize(self._func)
        return call(*args)

    def _check(self, method: str, out: Any) -> None:
        if self.nin != 2:
            raise ValueError(
                located(
                    f"{method} only supported for binary ufuncs",
                    attempt="vmap, or a function of two arguments such as add",
                )
            )
        if self.nout != 1:
            raise ValueError(
                located(
                    f"{method} only supported for functions returning a single value",
                    attempt="numpy.frompyfunc with nout=1, for the result that is wanted",
                )
            )
        refuse(f"{self.__name__}.{method}()", out, None)

    def _out_dtype(self, *args: Any) -> Any:
        return eval_shape(self._func, *(ArrayType((), typeof(x).dtype) for x in args)).dtype

    # --- reduce --------------------------------------------------------------------------------
    def reduce(
        self, a: Any, axis: int | None = 0, dtype: Any = None, out: None = None,
        keepdims: bool = False, initial: Any = None, where: Any = None,
    ) -> Any:  # fmt: skip
        """The elements along an axis combined, from the first to the last.

        Args:
          a: array.
          axis: the axis; None for all elements.
          dtype: of the result; by default that of the function.
          keepdims: whether the axis stays, with size 1.
          initial: combined first. where: mask of the elements to combine; needs an identity or
            `initial`.

        Raises ValueError for functions that are not binary, a mask without identity, or no
        elements without identity; NotImplementedError for `out`.
        """
        check(f"{self.__name__}.reduce", a)
        self._check("reduce", out)
        if initial is not None:
            check(f"{self.__name__}.reduce", initial)
        if where is not None:
            check(f"{self.__name__}.reduce", where)
            if self.identity is None and initial is None:
                raise ValueError(
                    located(
                        f"reduction operation {self.__name__!r} does not have an identity, so to "
                        "use a where mask one has to specify 'initial'.",
                        attempt="initial=..., a start that changes no result",
                    )
                )
            if typeof(where).dtype != dtypes.bool_:
                raise ValueError(
                    located(
                        f"where argument must have dtype=bool; got dtype={typeof(where).dtype}",
                        attempt="where.astype(bool), or where != 0",
                    )
                )
        way = self._ways["reduce"] or self._reduce_in_order
        return way(a, axis=axis, dtype=dtype, keepdims=keepdims, initial=initial, where=where)

    def _reduce_in_order(self, a, axis, dtype, keepdims, initial, where):
        a = asarray(a)
        shape = typeof(a).shape
        initial = self.identity if initial is None else initial
        dtype = self._out_dtype(a, a) if dtype is None else requested(dtype)
        where = None if where is None else broadcast_to(where, shape)
        if isinstance(axis, tuple):
            raise NotImplementedError(
                located("tuple of axes", attempt="one axis at a time, or reshape to join them")
            )
        if axis is None:
            a, where = ravel(a), None if where is None else ravel(where)
            final, axis = ((1,) * len(shape) if keepdims else ()), 0
        else:
            axis = canonical_axis(axis, len(shape))
            final = (*shape[:axis], *((1,) if keepdims else ()), *shape[axis + 1 :])
        a = as_dtype(move_axis(a, axis, 0), dtype)
        where = None if where is None else move_axis(where, axis, 0)
        length, *rest = typeof(a).shape
        if not length:
            if initial is None:
                raise ValueError(
                    located(
                        f"zero-size array to reduction operation {self.__name__} which has no "
                        "identity",
                        attempt="initial=..., or ask for the size first",
                    )
                )
            return full(final, initial, dtype)

        def combined(i, total):
            new = self(total, a[i])
            return new if where is None else select_where(where[i], new, total)

        first = a[0] if initial is None else as_dtype(asarray(initial), dtype)
        total = broadcast_to(first, tuple(rest))
        result = fori_loop(1 if initial is None else 0, length, combined, total)
        return reshape(result, final) if keepdims else result

    # --- accumulate ----------------------------------------------------------------------------
    def accumulate(self, a: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Any:
        """The elements along an axis combined, with all results on the way.

        a: array. axis: the axis. dtype: of the result; by default that of the function. Raises
        ValueError for functions that are not binary and for several axes, NotImplementedError for
        `out`.
        """
        self._check("accumulate", out)
        way = self._ways["accumulate"] or self._accumulate_in_order
        return way(a, axis=axis, dtype=dtype)

    def _accumulate_in_order(self, a, axis, dtype):
        check(f"{self.__name__}.accumulate", a)
        a = asarray(a)
        dtype = self._out_dtype(a, a) if dtype is None else requested(dtype)
        if axis is None or isinstance(axis, tuple):
            raise ValueError(
                located("accumulate does not allow multiple axes", attempt="one axis at a time")
            )
        axis = canonical_axis(axis, typeof(a).ndim)
        if not typeof(a).size:
            return full(typeof(a).shape, 0, dtype)
        a = as_dtype(move_axis(a, axis, 0), dtype)

        def step(total, x):
            new = as_dtype(self(total, x), dtype)
            return new, new

        _, rest = scan(step, a[0], a[1:])
        return move_axis(append(a[:1], rest, axis=0), 0, axis)

    # --- at ------------------------------------------------------------------------------------
    def at(self, a: Any, indices: Any, b: Any = None, /, *, inplace: bool = True) -> Any:
        """`a` with the function applied at `indices`, once for every time an element is addressed.

        a: array. indices: as in a[indices]. b: the second operand of a binary function. inplace:
        must be False, because arrays do not change; NotImplementedError otherwise.
        """
        if inplace:
            raise NotImplementedError(
                located(
                    "Because JAX arrays are immutable, jnp.ufunc.at() cannot operate inplace like "
                    "np.ufunc.at(). Instead, you can pass inplace=False and capture the result; "
                    "e.g.",
                    attempt=f"arr = {self.__name__}.at(arr, ind, val, inplace=False)",
                )
            )
        way = self._ways["at"] or self._at_in_order
        return way(a, indices) if b is None else way(a, indices, b)

    def _at_in_order(self, a, indices, *args):
        check(f"{self.__name__}.at", a, *args)
        dtype = self._out_dtype(a, *args)
        a = as_dtype(asarray(a), dtype)
        args = tuple(as_dtype(asarray(x), dtype) for x in args)
        indices = _as_tuple(indices)
        if not indices:
            return a
        shape = broadcast_shapes(*(np.shape(i) for i in indices if not isinstance(i, slice)))
        if not shape:
            return a.at[indices].set(self(a.at[indices].get(), *args))
        if any(isinstance(i, slice) for i in indices):
            raise TypeError(
                located(
                    f"{self.__name__}.at: slices beside index arrays are not supported",
                    attempt="index arrays for all dimensions",
                )
            )
        count = math.prod(shape)
        rows = []
        for x in args:
            own = typeof(x).shape[len(shape) :]
            rows.append(reshape(broadcast_to(x, (*shape, *own)), (count, *own)))
        places = [ravel(broadcast_to(asarray(i), shape)) for i in indices]

        def step(a, row):
            place, values = tuple(row[0]), row[1]
            return a.at[place].set(self(a.at[place].get(), *values)), None

        return scan(step, a, (places, rows), length=count)[0]

    # --- reduceat ------------------------------------------------------------------------------
    def reduceat(
        self, a: Any, indices: Any, axis: int = 0, dtype: Any = None, out: None = None
    ) -> Any:
        """The elements between successive indices along an axis combined.

        a: array. indices: vector of integers; where one is not less than the next, the element
        there alone. axis: the axis. Raises ValueError for functions that are not binary, arrays
        of rank 0, indices of another rank, and several axes; NotImplementedError for `out`.
        """
        self._check("reduceat", out)
        way = self._ways["reduceat"] or self._reduceat_in_order
        return way(a, indices, axis=axis, dtype=dtype)

    def _reduceat_in_order(self, a, indices, axis, dtype):
        check(f"{self.__name__}.reduceat", a, indices)
        a, indices = asarray(a), asarray(indices)
        shape, ndim = typeof(a).shape, typeof(indices).ndim
        if not shape:
            raise ValueError(
                located(
                    f"reduceat: a must have 1 or more dimension, got a.shape={shape}",
                    attempt="numpy.atleast_1d(a)",
                )
            )
        if ndim != 1:
            raise ValueError(
                located(
                    "reduceat: indices must be one-dimensional, got indices.shape="
                    f"{typeof(indices).shape}",
                    attempt="indices.ravel()",
                )
            )
        if axis is None or isinstance(axis, tuple | list):
            raise ValueError(
                located(
                    "reduceat requires a single integer axis.",
                    attempt="axis=0, and reduceat once for each axis",
                )
            )
        axis = canonical_axis(axis, len(shape))
        others = [k for k in range(len(shape)) if k != axis]
        ends = expand_dims(append(indices[1:], shape[axis]), others)
        starts = expand_dims(indices, others)

        def combined(i, total):
            inside = (i > starts) & (i < ends)
            return select_where(inside, self(total, take(a, i[None], axis=axis)), total)

        return fori_loop(0, shape[axis], combined, take(a, indices, axis=axis))

    # --- outer ---------------------------------------------------------------------------------
    def outer(self, A: Any, B: Any, /) -> Any:  # noqa: N803
        """The function of all pairs of an element of A and one of B: shape A.shape + B.shape."""
        self._check("outer", None)
        check(f"{self.__name__}.outer", A, B)
        A, B = asarray(A), asarray(B)  # noqa: N806
        pairs = vmap(vmap(self, (None, 0)), (0, None))(ravel(A), ravel(B))
        return reshape(pairs, (*typeof(A).shape, *typeof(B).shape))


def _as_tuple(indices: Any) -> tuple:
    if isinstance(indices, tuple):
        return indices
    if isinstance(indices, Sequence) and not isinstance(
        indices, np.ndarray | _native.Array | Tracer | str
    ):
        raise TypeError(
            located(
                "Using a non-tuple sequence for multidimensional indexing is not allowed; use "
                "`arr[array(seq)]` instead of `arr[seq]`.",
                attempt="x[numpy.array(indices)], or x[tuple(indices)]",
            )
        )
    return (indices,)


def frompyfunc(func: Callable[..., Any], /, nin: int, nout: int, *, identity: Any = None) -> ufunc:
    """A universal function from a function of scalars.

    func: takes `nin` scalars and returns `nout`. identity: combined with any x it gives x.
    Raises TypeError for numbers of arguments that are no integers, and for no function.
    """
    check_callable(func)
    return ufunc(func, nin, nout, identity=identity)


_made: dict[str, ufunc] = {}


def universal(function: Any) -> ufunc:
    """The universal function behind one of the functions of `fornax.numpy`."""
    name = function.__name__
    if name not in _made:
        nin, identity, ways = universal_ways.BUILT_IN[name]
        _made[name] = ufunc(function, nin, 1, name=name, identity=identity, call=function, **ways)
    return _made[name]
