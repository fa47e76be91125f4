"""pad: a border of a constant around and between elements; negative borders cut."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import add, broadcast_in_dim, reduce_sum
from fornax.ir.primitive import Linear, Primitive, Zero
from fornax.ir.types import typeof
from fornax.primitives import slice as slicing
from fornax.primitives.elementwise import neg_p
from fornax.primitives.select import where
from fornax.scalars import dtypes
from fornax.source import located

Config = tuple[tuple[int, int, int], ...]


def padded_size(n: int, low: int, high: int, interior: int) -> int:
    """How long a dimension of `n` elements is after padding."""
    return n + max(n - 1, 0) * interior + low + high


def _kept(n: int, low: int, size: int, interior: int) -> tuple[slice, slice]:
    """(elements of the operand, their places in the result) along one dimension."""
    step = interior + 1
    first = max(0, -(low // step))
    last = min(n, (size - 1 - low) // step + 1)
    if last <= first:
        return slice(0, 0), slice(0, 0)
    start = low + first * step
    return slice(first, last), slice(start, start + (last - first - 1) * step + 1, step)


class Pad(Primitive):
    """`padding_config[d]` is (low, high, interior) for dimension d; low and high may be negative.

    Operands: the array and the scalar to pad with, of one dtype.
    """

    remembers_types = True
    linear = True

    def type(self, x, value, *, padding_config):
        if x.dtype != value.dtype:
            raise TypeError(
                located(
                    "pad operand and padding_value must be same dtype: got "
                    f"{dtypes.short_name(x.dtype)} and {dtypes.short_name(value.dtype)}.",
                    attempt="numpy.array(value, x.dtype)",
                )
            )
        if value.shape:
            raise ValueError(
                located(
                    f"padding_value must be a scalar; got np.shape(padding_value)={value.shape}",
                    attempt="a number; numpy.pad has modes that repeat elements of the array",
                )
            )
        if len(padding_config) != x.ndim:
            raise ValueError(
                located(
                    "length of padding_config must equal the number of axes of operand, got "
                    f"padding_config {padding_config} for operand shape {x.shape}",
                    attempt=f"one (low, high, interior) for each of the {x.ndim} dimensions",
                )
            )
        if any(interior < 0 for _, _, interior in padding_config):
            raise ValueError(
                located(
                    "interior padding in padding_config must be nonnegative, got padding_config "
                    f"{padding_config}",
                    attempt="lax.slice with strides, to take elements out",
                )
            )
        shape = tuple(
            padded_size(n, *borders) for n, borders in zip(x.shape, padding_config, strict=True)
        )
        if any(n < 0 for n in shape):
            raise ValueError(
                located(
                    f"Dimension size after padding is not at least 0, got result shape {shape}, "
                    f"for padding_config {padding_config} and operand shape {x.shape}",
                    attempt="less negative padding: no more than the dimension has",
                )
            )
        return [x.update(shape=shape, weak_type=x.weak_type and value.weak_type)]

    def reference(self, x, value, *, padding_config):
        x = np.asarray(x)
        sizes = [padded_size(n, *c) for n, c in zip(x.shape, padding_config, strict=True)]
        result = np.full(sizes, value, x.dtype)
        kept = [
            _kept(n, low, size, interior)
            for n, size, (low, _, interior) in zip(x.shape, sizes, padding_config, strict=True)
        ]
        result[tuple(place for _, place in kept)] = x[tuple(source for source, _ in kept)]
        return [result]

    def transpose(self, cotangents, x, value, *, padding_config):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(o.type.tangent()) if isinstance(o, Linear) else None for o in (x, value)]
        shape = (x.type if isinstance(x, Linear) else typeof(x)).shape
        zero = np.zeros((), typeof(ct).dtype)[()]
        if any(n == 0 for n in shape):  # there are no gaps to step over
            inner = broadcast_in_dim(zero, shape, ())
        else:
            whole = pad(ct, zero, tuple((-low, -high, 0) for low, high, _ in padding_config))
            steps = [interior + 1 for _, _, interior in padding_config]
            inner = slicing.slice_(whole, [0] * len(shape), typeof(whole).shape, steps)
        result = [inner if isinstance(x, Linear) else None, None]
        if isinstance(value, Linear):
            axes = tuple(range(len(shape)))
            outer = neg_p(reduce_sum(inner, axes))
            result[1] = add(reduce_sum(ct, axes), outer)
        return result

    def batch(self, size, operands, dims, *, padding_config):
        (x, value), (dim, value_dim) = operands, dims
        if value_dim is None:
            config = (*padding_config[:dim], (0, 0, 0), *padding_config[dim:])
            return [pad(x, value, config)], [dim]
        # pad with False to know the border, then pick each example's own value there
        rank = len(padding_config)
        shape = typeof(x).shape
        if dim is None:
            x, dim = broadcast_in_dim(x, (size, *shape), range(1, rank + 1)), 0
        config = (*padding_config[:dim], (0, 0, 0), *padding_config[dim:])
        type = typeof(x)
        padded = pad(x, np.zeros((), type.dtype)[()], config)
        inside = pad(broadcast_in_dim(np.bool_(True), type.shape, ()), np.bool_(False), config)
        border = broadcast_in_dim(value, typeof(padded).shape, (dim,))
        return [where(inside, padded, border)], [dim]

    def element(self, b, types, operands, index, *, padding_config):
        shape = types[0].shape
        value = operands[1](())
        if math.prod(shape) == 0:
            return [value]
        inside = b.const(True, "bool")
        picked = []
        for n, i, (low, _, interior) in zip(shape, index, padding_config, strict=True):
            position = b.add_index(i, -low)
            if interior:
                step = b.index(interior + 1)
                at_element = b.op("eq", b.op("imod", position, step), b.index(0))
                inside = b.op("and", inside, at_element)
                position = b.op("idiv", position, step)
            inside = b.op("and", inside, b.within(position, 0, n))
            picked.append(b.clamp_index(position, 0, n - 1))
        return [b.select(inside, operands[0](picked), value)]


pad_p = Pad("pad")


def pad(x: Any, value: Any, config: Sequence[Sequence[int]]) -> Any:
    """`pad`, left out where there is nothing to add or cut."""
    config = tuple(tuple(c) for c in config)
    if all(low == high == 0 and interior == 0 for low, high, interior in config):
        return x
    return pad_p.bind(x, value, padding_config=config)[0]
