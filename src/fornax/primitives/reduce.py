"""Reductions other than the sum: product, extremes, and the logical ones.

`reduce_sum` lives in `ir.basis`, because transformations emit it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fornax.ir.basis import (
    broadcast_in_dim,
    check_axes,
    reduce_sum,
    reduction_index,
    transpose,
)
from fornax.ir.primitive import Primitive, Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.compare import eq_p
from fornax.primitives.concatenate import concatenate
from fornax.primitives.convert import convert_element_type
from fornax.primitives.cumulative import cumprod_p
from fornax.primitives.elementwise import div_p, mul_p
from fornax.primitives.family import (
    ANY,
    LOGICAL,
    NUMBER,
    category,
    computed_in,
    constant,
    narrowed,
    widened,
)
from fornax.primitives.shape import reshape
from fornax.primitives.slice import slice_in
from fornax.scalars import dtypes
from fornax.source import located


class Reduction(Primitive):
    """Combines all elements along `axes`.

    `ufunc` is NumPy's meaning, `combiner` the loop IR's, `start` the neutral element of a dtype.
    `keeps_weakness`: whether the result of a weakly typed operand is weakly typed.
    """

    remembers_types = True

    def __init__(self, name, ufunc, combiner, accepts, start, keeps_weakness=True):
        super().__init__(name)
        self.ufunc = ufunc
        self.combiner = combiner
        self.accepts = accepts
        self.start = start
        self.keeps_weakness = keeps_weakness

    def type(self, x, *, axes, out_sharding=None):
        letter = category(x.dtype)
        if not letter or letter not in self.accepts:
            raise TypeError(
                located(
                    f"{self.name} does not accept dtype {x.dtype.name}.",
                    attempt="x.astype(int) for booleans; abs(x) or x.real for complex numbers",
                )
            )
        check_axes(self.name, x, axes)
        shape = [n for i, n in enumerate(x.shape) if i not in axes]
        return [ArrayType(shape, x.dtype, x.weak_type and self.keeps_weakness)]

    def reference(self, x, *, axes, out_sharding=None):
        x = np.asarray(x)
        wide = widened(x)
        with np.errstate(all="ignore"):
            result = self.ufunc.reduce(
                wide, axis=tuple(axes), initial=self.start(x.dtype), dtype=wide.dtype
            )
        return [narrowed(result, x.dtype)]

    def leading(self, *, axes, **params):
        return {"axes": tuple(a + 1 for a in axes), **params}

    def batch(self, size, operands, dims, *, axes, **params):
        # the mapped axis stays where it is
        (x,), (dim,) = operands, dims
        shifted = tuple(a + (a >= dim) for a in axes)
        out = dim - sum(a < dim for a in shifted)
        return self.bind(x, axes=shifted, **params), [out]

    def element(self, b, types, operands, index, *, axes, out_sharding=None):
        full, loops = reduction_index(b, types[0].shape, axes, index)
        value = operands[0](full)
        return [b.cast(b.reduce(self.combiner, loops, value), types[0].dtype.name)]


class Extreme(Reduction):
    """The largest or smallest element. Elements that tie share the derivative equally."""

    def reference(self, x, *, axes, out_sharding=None):
        x = np.asarray(x)
        empty = any(x.shape[a] == 0 for a in axes)
        start = {"initial": self.start(x.real.dtype)} if empty else {}
        # NumPy orders complex numbers lexicographically, too
        with np.errstate(all="ignore"):
            found = self.ufunc.reduce(widened(x), axis=tuple(axes), **start)
        return [narrowed(found, x.dtype)]

    def jvp(self, primals, tangents, *, axes, out_sharding=None):
        (x,), (tangent,) = primals, tangents
        out = self.bind(x, axes=axes)[0]
        if isinstance(tangent, Zero) or not typeof(x).size:
            return [out], [Zero(typeof(out).tangent())]
        kept = keep_axes(out, typeof(x), axes)
        chosen = convert_element_type(eq_p(x, kept), typeof(out).dtype)
        count = reduce_sum(chosen, axes)
        return [out], [div_p(reduce_sum(mul_p(tangent, chosen), axes), count)]

    def element(self, b, types, operands, index, *, axes, out_sharding=None):
        if types[0].dtype == dtypes.bool_:
            full, loops = reduction_index(b, types[0].shape, axes, index)
            logical = "or" if self.combiner == "max" else "and"
            return [b.reduce(logical, loops, operands[0](full))]
        if not dtypes.is_complex(types[0].dtype):
            dtype = types[0].dtype
            if any(types[0].shape[a] == 0 for a in axes):
                return [b.const(self.start(dtype), dtype.name)]
            return super().element(b, types, operands, index, axes=axes)
        return [self._complex_element(b, types[0].shape, operands[0], index, axes)]

    def _complex_element(self, b, shape, operand, index, axes):
        """Lexicographic: the extreme real part, then the extreme imaginary part beside it."""
        full, loops = reduction_index(b, shape, axes, index)
        first = operand(full)
        if any(shape[a] == 0 for a in axes):
            start = self.start(np.dtype(first.real.dtype))
            return first._replace(
                real=b.const(float(start), first.real.dtype), imag=b.const(0.0, first.real.dtype)
            )
        nan = b.or_(b.ne(first.real, first.real), b.ne(first.imag, first.imag))
        worst = b.const(math.nan, first.real.dtype)
        real = b.reduce(self.combiner, loops, b.select(nan, worst, first.real))
        full, loops = reduction_index(b, shape, axes, index)
        second = operand(full)
        least = b.const(-math.inf if self.combiner == "max" else math.inf, real.dtype)
        beside = b.select(b.eq(second.real, real), second.imag, least)
        imag = b.reduce(self.combiner, loops, beside)
        return first._replace(real=real, imag=b.select(b.ne(real, real), real, imag))


class Product(Reduction):
    """The product. Its derivative uses no division, so zeros do no harm."""

    def jvp(self, primals, tangents, *, axes, out_sharding=None):
        (x,), (tangent,) = primals, tangents
        out = self.bind(x, axes=axes)[0]
        if isinstance(tangent, Zero):
            return [out], [Zero(typeof(out).tangent())]
        return [out], [_product_tangent(x, tangent, axes)]


def _product_tangent(x: Any, tangent: Any, axes: tuple[int, ...]) -> Any:
    """Every element's tangent times the product of the elements before and after it."""
    x, tangent = _flat_axes_first(x, axes), _flat_axes_first(tangent, axes)
    length, *rest = typeof(x).shape
    if length > 1:
        one = broadcast_in_dim(constant(x, 1), (1, *rest), ())
        before = cumprod_p.bind(x, axis=0, reverse=False)[0]
        after = cumprod_p.bind(x, axis=0, reverse=True)[0]
        before = concatenate([one, slice_in(before, 0, 0, length - 1)], 0)
        after = concatenate([slice_in(after, 0, 1, length), one], 0)
        tangent = mul_p(tangent, mul_p(before, after))
    return reduce_sum(tangent, (0,))


def _flat_axes_first(x: Any, axes: tuple[int, ...]) -> Any:
    """`axes` merged into one in front, the others after it."""
    shape = typeof(x).shape
    kept = [i for i in range(len(shape)) if i not in axes]
    moved = transpose(x, (*axes, *kept))
    return reshape(moved, (math.prod(shape[a] for a in axes), *(shape[i] for i in kept)))


def keep_axes(reduced: Any, type: ArrayType, axes: tuple[int, ...]) -> Any:
    """A reduction's result repeated to the shape of its operand."""
    from_kept = tuple(i for i in range(type.ndim) if i not in axes)
    return broadcast_in_dim(reduced, type.shape, from_kept)


def _all_ones(dtype):
    return ~computed_in(dtype).type(0)


reduce_prod_p = Product("reduce_prod", np.multiply, "mul", NUMBER, lambda dtype: 1)
reduce_max_p = Extreme("reduce_max", np.maximum, "max", ANY, dtypes.least)
reduce_min_p = Extreme("reduce_min", np.minimum, "min", ANY, dtypes.greatest)
reduce_and_p = Reduction("reduce_and", np.bitwise_and, "and", LOGICAL, _all_ones, False)
reduce_or_p = Reduction("reduce_or", np.bitwise_or, "or", LOGICAL, lambda dtype: 0, False)
reduce_xor_p = Reduction("reduce_xor", np.bitwise_xor, "xor", LOGICAL, lambda dtype: 0, False)
