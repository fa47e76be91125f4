"""dot_general: every product of two arrays that multiplies, adds and pairs up dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import add, inverse_permutation, transpose
from fornax.ir.primitive import Linear, Primitive, Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.convert import convert_element_type, converted
from fornax.primitives.family import computed_in, narrowed
from fornax.scalars import dtypes
from fornax.scalars.promotion import check_numbers
from fornax.source import located

#: ((lhs contracting, rhs contracting), (lhs batch, rhs batch))
DimensionNumbers = tuple[
    tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]
]


def free_dimensions(rank: int, *taken: Sequence[int]) -> tuple[int, ...]:
    """The dimensions below `rank` that are in none of `taken`, in order."""
    gone = {d for group in taken for d in group}
    return tuple(i for i in range(rank) if i not in gone)


class DotGeneral(Primitive):
    """Sums products over contracting dimensions, separately for every batch index.

    The result's dimensions: batch, then those of lhs, then those of rhs. `precision` is accepted
    and not needed: products are exact to the dtype they accumulate in, float32 for smaller floats.
    """

    remembers_types = True

    def type(
        self, x, y, *, dimension_numbers, precision=None, preferred_element_type=None,
        out_sharding=None,
    ):  # fmt: skip
        (x_contract, y_contract), (x_batch, y_batch) = dimension_numbers
        check_numbers("dot_general", (x.dtype, y.dtype))
        _check_dimensions(x, y, dimension_numbers)
        shape = (
            *(x.shape[d] for d in x_batch),
            *(x.shape[d] for d in free_dimensions(x.ndim, x_contract, x_batch)),
            *(y.shape[d] for d in free_dimensions(y.ndim, y_contract, y_batch)),
        )
        dtype = x.dtype if x.dtype == y.dtype else _wider(x.dtype, y.dtype)
        if preferred_element_type is not None:
            _check_preferred(dtype, preferred_element_type, precision)
            dtype = preferred_element_type
        return [ArrayType(shape, dtype, x.weak_type and y.weak_type)]

    def reference(self, x, y, *, dimension_numbers, **params):
        x, y = np.asarray(x), np.asarray(y)
        (x_contract, y_contract), (x_batch, y_batch) = dimension_numbers
        types = [ArrayType(a.shape, a.dtype) for a in (x, y)]
        (out,) = self.type(*types, dimension_numbers=dimension_numbers, **params)
        wide = computed_in(out.dtype)
        x_free = free_dimensions(x.ndim, x_contract, x_batch)
        y_free = free_dimensions(y.ndim, y_contract, y_batch)
        batch = [x.shape[d] for d in x_batch]
        inner = math.prod(x.shape[d] for d in x_contract)
        rows = math.prod(x.shape[d] for d in x_free)
        columns = math.prod(y.shape[d] for d in y_free)
        left = converted(np.transpose(x, (*x_batch, *x_free, *x_contract)), wide)
        right = converted(np.transpose(y, (*y_batch, *y_contract, *y_free)), wide)
        with np.errstate(all="ignore"):
            product = np.matmul(
                left.reshape(*batch, rows, inner), right.reshape(*batch, inner, columns)
            )
        return [narrowed(product, out.dtype).reshape(out.shape)]

    def jvp(self, primals, tangents, **params):
        (x, y), (dx, dy) = primals, tangents
        out = self.bind(x, y, **params)[0]
        total: Any = Zero(typeof(out).tangent())
        if not isinstance(dx, Zero):
            total = add(total, self.bind(dx, y, **params)[0])
        if not isinstance(dy, Zero):
            total = add(total, self.bind(x, dy, **params)[0])
        return [out], [total]

    def transpose(self, cotangents, x, y, *, dimension_numbers, **params):
        (ct,) = cotangents
        if isinstance(x, Linear):
            if isinstance(ct, Zero):
                return [Zero(x.type.tangent()), None]
            return [_cotangent(ct, x.type, y, dimension_numbers, False, params), None]
        if isinstance(ct, Zero):
            return [None, Zero(y.type.tangent())]
        (contract, batch) = dimension_numbers
        swapped = (contract[::-1], batch[::-1])
        return [None, _cotangent(ct, y.type, x, swapped, True, params)]

    def batch(self, size, operands, dims, *, dimension_numbers, **params):
        (x, y), (x_dim, y_dim) = operands, dims
        (x_contract, y_contract), (x_batch, y_batch) = dimension_numbers
        x_contract, x_batch = _shifted(x_contract, x_dim), _shifted(x_batch, x_dim)
        y_contract, y_batch = _shifted(y_contract, y_dim), _shifted(y_batch, y_dim)
        if x_dim is not None and y_dim is not None:  # one more batch dimension, in front
            x_batch, y_batch = (x_dim, *x_batch), (y_dim, *y_batch)
            out = 0
        elif x_dim is not None:  # one more dimension of lhs
            free = free_dimensions(typeof(x).ndim, x_contract, x_batch)
            out = len(x_batch) + free.index(x_dim)
        else:  # one more dimension of rhs
            x_free = free_dimensions(typeof(x).ndim, x_contract, x_batch)
            y_free = free_dimensions(typeof(y).ndim, y_contract, y_batch)
            out = len(x_batch) + len(x_free) + y_free.index(y_dim)
        numbers = ((x_contract, y_contract), (x_batch, y_batch))
        return self.bind(x, y, dimension_numbers=numbers, **params), [out]


def _breadth(dtype: dtypes.Dtype) -> tuple:
    """What orders dtypes: complex, range, digits, width, sign; as XLA compares them."""
    part = dtype.type(0).real.dtype if dtypes.is_complex(dtype) else dtype
    if dtypes.is_floating(part):
        info = dtypes.finfo(part)
        return dtypes.is_complex(dtype), info.maxexp, info.nmant, info.bits, True
    return False, -1, -1, _bits(part), not dtypes.is_unsigned_integer(part)


def _bits(dtype: dtypes.Dtype) -> int:
    """The width of a number, of one part of a complex one."""
    if dtype == np.bool_:
        return 1
    return (dtypes.finfo if dtypes.is_inexact(dtype) else dtypes.iinfo)(dtype).bits


def _wider(first: dtypes.Dtype, second: dtypes.Dtype) -> dtypes.Dtype:
    """The dtype of products of two dtypes: the one of more range, digits, width."""
    ranks = _breadth(first), _breadth(second)
    if ranks[0] == ranks[1]:
        raise TypeError(
            located(
                f"lax.dot_general argument type error: {first.name}, {second.name}",
                attempt="x.astype of both to one dtype",
            )
        )
    return first if ranks[0] > ranks[1] else second


def _check_preferred(dtype: dtypes.Dtype, preferred: dtypes.Dtype, precision: Any) -> None:
    """Raise TypeError for results narrower than integer (or complex) products."""
    if dtypes.is_floating(dtype) or dtype == preferred:
        return
    algorithm = precision is not None and type(precision) is not tuple
    if not algorithm and _bits(preferred) < _bits(dtype):
        raise TypeError(
            located(
                "`preferred_element_type` must not be narrower than the original type, got "
                f"preferred_element_type of {preferred.name} for result type of {dtype.name}.",
                attempt=f"preferred_element_type={dtype.name!r}, and astype on the result",
            )
        )


def _shifted(group: Sequence[int], dim: int | None) -> tuple[int, ...]:
    """Dimension numbers after a dimension was inserted at `dim`."""
    if dim is None:
        return tuple(group)
    return tuple(d + (d >= dim) for d in group)


def _cotangent(
    ct: Any, type: ArrayType, other: Any, numbers: DimensionNumbers, swapped: bool, params: dict
) -> Any:
    """Cotangent of the operand of `type`; `numbers` name it first and `other` second.

    The result's dimensions are batch, then those of the operand and of `other` (the other way
    round if `swapped`). Contracting those of `other` leaves batch, the operand's own ones, and
    the ones it was contracted over, in the order of `other`.
    """
    (contract, other_contract), (batch, other_batch) = numbers
    rank = len(type.shape)
    own = free_dimensions(rank, contract, batch)
    other_free = free_dimensions(typeof(other).ndim, other_contract, other_batch)
    start = len(batch) + (0 if swapped else len(own))
    ct_free = tuple(range(start, start + len(other_free)))
    ct_batch = tuple(range(len(batch)))
    params = {**params, "preferred_element_type": type.dtype}
    grad = dot_general_p.bind(
        ct, other,
        dimension_numbers=((ct_free, other_free), (ct_batch, tuple(other_batch))), **params,
    )[0]  # fmt: skip
    pairs = sorted(zip(other_contract, contract, strict=True))
    order = (*batch, *own, *(d for _, d in pairs))
    return convert_element_type(
        transpose(grad, inverse_permutation(order)), type.dtype, type.weak_type
    )


def _check_dimensions(x: ArrayType, y: ArrayType, numbers: DimensionNumbers) -> None:
    """Raise TypeError for dimension numbers that do not fit the operands."""
    (x_contract, y_contract), (x_batch, y_batch) = numbers
    for kind, xs, ys in (
        ("contracting", x_contract, y_contract),
        ("batch", x_batch, y_batch),
    ):
        if len(xs) != len(ys):
            raise TypeError(
                located(
                    f"dot_general requires equal numbers of lhs_{kind} and rhs_{kind} dimensions, "
                    f"got lhs_{kind}={tuple(xs)} and rhs_{kind}={tuple(ys)}",
                    attempt="as many dimensions on either side",
                )
            )
    for side, operand, contract, batch in (
        ("lhs", x, x_contract, x_batch),
        ("rhs", y, y_contract, y_batch),
    ):
        for kind, group in (("contracting", contract), ("batch", batch)):
            if any(not 0 <= d < operand.ndim for d in group):
                raise TypeError(
                    located(
                        f"dot_general requires {side}_{kind} dimensions to be nonnegative and "
                        f"less than the number of axes of the {side} value, got "
                        f"{side}_{kind}={tuple(group)} for {side} of shape {operand.shape}",
                        attempt=f"dimensions from 0 to {operand.ndim - 1}",
                    )
                )
        both = (*contract, *batch)
        if len(set(both)) != len(both):
            raise TypeError(
                located(
                    f"dot_general requires {side}_batch and {side}_contracting dimensions to be "
                    f"disjoint and distinct, got {side}_batch={tuple(batch)} and "
                    f"{side}_contracting={tuple(contract)}",
                    attempt="each dimension once: summed over, in the batch or kept",
                )
            )
    for kind, xs, ys in (
        ("batch", x_batch, y_batch),
        ("contracting", x_contract, y_contract),
    ):
        x_sizes, y_sizes = (tuple(t.shape[d] for d in group) for t, group in ((x, xs), (y, ys)))
        if x_sizes != y_sizes:
            raise TypeError(
                located(
                    f"dot_general requires {kind} dimensions to have the same shape, got "
                    f"{x_sizes} and {y_sizes}.",
                    attempt="x.T or other dimension numbers, so that the sizes agree",
                )
            )


dot_general_p = DotGeneral("dot_general")
