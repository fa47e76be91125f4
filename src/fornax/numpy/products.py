"""Products: dot, matmul, tensordot and their relatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir.primitive import REGISTRY
from fornax.ir.requested import requested
from fornax.ir.static import static_integer, static_integers
from fornax.ir.types import typeof
from fornax.lax.products import dot_general
from fornax.numpy import ufuncs
from fornax.numpy.axes import canonical_axis
from fornax.numpy.creation import asarray
from fornax.numpy.promotion import (
    as_dtype,
    broadcast_shapes,
    broadcast_to,
    check,
    concrete_form,
    promote_dtypes,
)
from fornax.numpy.reductions import sum
from fornax.numpy.shaping import diagonal, moveaxis, ravel
from fornax.primitives import shape as _shape
from fornax.source import located

__all__ = [
    "cross", "dot", "inner", "kron", "matmul", "outer",
    "tensordot", "trace", "vdot", "vecdot",
]  # fmt: skip


def _operands(name: str, *args: Any) -> list[Any]:
    check(name, *args)
    return [asarray(x) for x in promote_dtypes(*map(concrete_form, args))]


def product(
    x, y, contract, batch=((), ()), precision=None, preferred=None, _dot_general=dot_general
):
    """`dot_general` that keeps weak types, by whatever function does its work."""
    weak = typeof(x).weak_type and typeof(y).weak_type
    out = _dot_general(
        x, y, (contract, batch), precision=precision,
        preferred_element_type=None if preferred is None else requested(preferred),
    )  # fmt: skip
    return as_dtype(out, typeof(out).dtype, weak and preferred is None)


@eager(static="precision preferred_element_type out_sharding")
def matmul(a, b, *, precision=None, preferred_element_type=None, out_sharding=None):
    """The matrix product over the last two dimensions; leading ones broadcast.

    a: (…, n, k) or (k,); b: (…, k, m) or (k,). Raises ValueError for scalars, TypeError where the
    contracted dimensions differ.
    """
    for position, x in enumerate((a, b)):
        check("matmul", x)
        if not typeof(concrete_form(x)).shape:
            raise ValueError(
                located(
                    f"matmul input operand {position} must have ndim at least 1, got ndim 0",
                    attempt="x * y, which multiplies numbers",
                )
            )
    a, b = _operands("matmul", a, b)
    left, right = typeof(a).shape, typeof(b).shape
    k_left, k_right = len(left) - 1, max(len(right) - 2, 0)
    if left[-1] != right[k_right]:
        raise TypeError(
            located(
                f"matmul: the contracting dimensions differ: {left} @ {right} needs "
                f"{left[-1]} == {right[k_right]}",
                "the last dimension of the left is summed with the last but one of the right",
                "a transposed operand (x.T), or einsum, which names the dimensions",
            )
        )
    lead_left, lead_right = left[:-2], right[:-2]
    if not lead_right:  # every row of a against one matrix: no batch dimensions at all
        return product(a, b, ((k_left,), (k_right,)), precision=precision,
                        preferred=preferred_element_type)  # fmt: skip
    shape = broadcast_shapes(lead_left, lead_right)
    if len(left) == 1:
        out = product(b, a, ((k_right,), (0,)), precision=precision,
                       preferred=preferred_element_type)  # fmt: skip
        return out
    a = broadcast_to(a, (*shape, *left[-2:]))
    b = broadcast_to(b, (*shape, *right[-2:]))
    rank = len(shape)
    batch = tuple(range(rank))
    return product(a, b, ((rank + 1,), (rank,)), (batch, batch), precision, preferred_element_type)


@eager(static="precision preferred_element_type out_sharding")
def dot(a, b, *, precision=None, preferred_element_type=None, out_sharding=None):
    """The sum product over the last dimension of a and the second to last of b."""
    a, b = _operands("dot", a, b)
    left, right = typeof(a).shape, typeof(b).shape
    if not left or not right:
        return ufuncs.multiply(a, b)
    k_right = max(len(right) - 2, 0)
    if left[-1] != right[k_right]:
        raise TypeError(
            located(
                f"dot: incompatible shapes {left} and {right}",
                attempt="x.T, so that the last dimension of the left is the last but one of the "
                "right",
            )
        )
    return product(
        a, b, ((len(left) - 1,), (k_right,)), precision=precision, preferred=preferred_element_type
    )


@eager(static="precision preferred_element_type")
def vdot(a, b, *, precision=None, preferred_element_type=None):
    """The sum of conj(a) * b over all elements."""
    return dot(
        ravel(ufuncs.conj(a)), ravel(b), precision=precision,
        preferred_element_type=preferred_element_type,
    )  # fmt: skip


@eager(static="axis precision preferred_element_type")
def vecdot(x1, x2, /, *, axis=-1, precision=None, preferred_element_type=None):
    """The sum of conj(x1) * x2 over one dimension; the others broadcast."""
    x1, x2 = _operands("vecdot", x1, x2)
    for x in (x1, x2):
        if not typeof(x).shape:
            raise ValueError(
                located(
                    "vecdot requires arrays of at least one dimension",
                    attempt="x1 * x2 for numbers",
                )
            )
    x1, x2 = (moveaxis(x, axis, -1) for x in (x1, x2))
    if typeof(x1).shape[-1] != typeof(x2).shape[-1]:
        raise ValueError(
            located(
                f"vecdot: sizes along the axis differ: {x1.shape} and {x2.shape}",
                attempt="numpy.sum(x1 * x2, axis) for shapes that broadcast, or slices of one "
                "length",
            )
        )
    shape = broadcast_shapes(typeof(x1).shape, typeof(x2).shape)
    x1, x2 = broadcast_to(x1, shape), broadcast_to(x2, shape)
    batch = tuple(range(len(shape) - 1))
    k = (len(shape) - 1,)
    return product(ufuncs.conj(x1), x2, (k, k), (batch, batch), precision, preferred_element_type)


@eager(static="precision preferred_element_type")
def inner(a, b, *, precision=None, preferred_element_type=None):
    """The sum product over the last dimensions of both."""
    a, b = _operands("inner", a, b)
    if not typeof(a).shape or not typeof(b).shape:
        return ufuncs.multiply(a, b)
    last = (typeof(a).ndim - 1,), (typeof(b).ndim - 1,)
    return product(a, b, last, precision=precision, preferred=preferred_element_type)


@eager(static="out")
def outer(a, b, out=None):
    """All products of an element of a and one of b, both flattened."""
    a, b = _operands("outer", a, b)
    return ufuncs.multiply(_shape.expand_dims(ravel(a), (1,)), _shape.expand_dims(ravel(b), (0,)))


@eager(static="axes precision preferred_element_type out_sharding")
def tensordot(a, b, axes=2, *, precision=None, preferred_element_type=None, out_sharding=None):
    """The sum product over `axes`: a number of dimensions, or (dimensions of a, of b)."""
    a, b = _operands("tensordot", a, b)
    ra, rb = typeof(a).ndim, typeof(b).ndim
    if isinstance(axes, int | np.integer):
        if axes > min(ra, rb):
            raise TypeError(
                located(
                    f"Number of tensordot axes (axes {axes}) exceeds input ranks ({ra} and {rb})",
                    attempt=f"axes of at most {min(ra, rb)}",
                )
            )
        left, right = tuple(range(ra - axes, ra)), tuple(range(axes))
    else:
        pair = axes if isinstance(axes, Sequence | np.ndarray) and not isinstance(axes, str) else ()
        if len(pair) != 2:
            raise TypeError(
                located(
                    "tensordot axes argument must be an int, a pair of ints, or a pair of "
                    f"lists/tuples of ints, got {axes!r:.80}",
                    "the pair says which dimensions of a and of b are summed over",
                    "axes=1, or axes=((0,), (1,))",
                )
            )
        left, right = (
            (static_integer(k, "axes"),) if not isinstance(k, Sequence | np.ndarray) else
            static_integers(k, "axes") for k in pair
        )  # fmt: skip
        if len(left) != len(right):
            raise TypeError(
                located(
                    f"tensordot axes sequences must have equal length, got {left} and {right}",
                    attempt="axes=((0, 1), (1, 0)): as many for b as for a",
                )
            )
        left = tuple(canonical_axis(k, ra) for k in left)
        right = tuple(canonical_axis(k, rb) for k in right)
    return product(a, b, (left, right), precision=precision, preferred=preferred_element_type)


@eager
def kron(a, b):
    """The Kronecker product."""
    a, b = _operands("kron", a, b)
    rank = max(typeof(a).ndim, typeof(b).ndim)
    a = _shape.expand_dims(a, tuple(range(rank - typeof(a).ndim)))
    b = _shape.expand_dims(b, tuple(range(rank - typeof(b).ndim)))
    left, right = typeof(a).shape, typeof(b).shape
    wide = ufuncs.multiply(
        _shape.expand_dims(a, tuple(range(1, 2 * rank, 2))),
        _shape.expand_dims(b, tuple(range(0, 2 * rank, 2))),
    )
    return _shape.reshape(wide, tuple(n * m for n, m in zip(left, right, strict=True)))


@eager(static="axisa axisb axisc axis")
def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """The vector product of 3-vectors (or the scalar one of 2-vectors) along a dimension."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = _operands("cross", a, b)
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if {typeof(a).shape[-1], typeof(b).shape[-1]} - {2, 3}:
        raise ValueError(
            located(
                "Dimension must be either 2 or 3 for cross product",
                attempt="numpy.pad to 3 components, or axisa, axisb and axisc to say where they "
                "are",
            )
        )

    def parts(x):
        found = [x[..., k] for k in range(typeof(x).shape[-1])]
        return found if len(found) == 3 else [*found, None]

    (a0, a1, a2), (b0, b1, b2) = parts(a), parts(b)
    z = ufuncs.subtract(ufuncs.multiply(a0, b1), ufuncs.multiply(a1, b0))
    if a2 is None and b2 is None:
        return z
    zero = ufuncs.multiply(z, 0)

    def times(x, y):
        return zero if x is None or y is None else ufuncs.multiply(x, y)

    x = ufuncs.subtract(times(a1, b2), times(a2, b1))
    y = ufuncs.subtract(times(a2, b0), times(a0, b2))
    last = typeof(z).ndim
    result = REGISTRY["concatenate"].bind(
        *(_shape.expand_dims(v, (last,)) for v in (x, y, z)), dimension=last
    )[0]
    return moveaxis(result, -1, axisc)


@eager(static="offset axis1 axis2 dtype out")
def trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    """The sum of the diagonal in the plane of two dimensions."""
    check("trace", a)
    return sum(diagonal(a, offset, axis1, axis2), -1, dtype=dtype)


# --- einsum -----------------------------------------------------------------------------------
