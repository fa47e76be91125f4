"""Products: dot, matmul, tensordot, einsum and their relatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir import basis
from fornax.ir.primitive import REGISTRY
from fornax.ir.requested import requested
from fornax.ir.static import static_integer, static_integers
from fornax.ir.types import typeof
from fornax.lax.products import dot_general
from fornax.numpy import ufuncs
from fornax.numpy.creation import asarray
from fornax.numpy.promotion import (
    as_dtype,
    broadcast_shapes,
    broadcast_to,
    check,
    concrete_form,
    promote_dtypes,
)
from fornax.numpy.reductions import canonical_axis, sum
from fornax.numpy.shaping import diagonal, moveaxis, ravel
from fornax.primitives import shape as _shape
from fornax.source import located

__all__ = [
    "cross", "dot", "einsum", "einsum_path", "inner", "kron", "matmul", "matvec", "outer",
    "tensordot", "trace", "vdot", "vecdot", "vecmat",
]  # fmt: skip


def _operands(name: str, *args: Any) -> list[Any]:
    check(name, *args)
    return [asarray(x) for x in promote_dtypes(*map(concrete_form, args))]


def _product(x, y, contract, batch=((), ()), precision=None, preferred=None):
    weak = typeof(x).weak_type and typeof(y).weak_type
    out = dot_general(
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
        return _product(a, b, ((k_left,), (k_right,)), precision=precision,
                        preferred=preferred_element_type)  # fmt: skip
    shape = broadcast_shapes(lead_left, lead_right)
    if len(left) == 1:
        out = _product(b, a, ((k_right,), (0,)), precision=precision,
                       preferred=preferred_element_type)  # fmt: skip
        return out
    a = broadcast_to(a, (*shape, *left[-2:]))
    b = broadcast_to(b, (*shape, *right[-2:]))
    rank = len(shape)
    batch = tuple(range(rank))
    return _product(a, b, ((rank + 1,), (rank,)), (batch, batch), precision, preferred_element_type)


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
    return _product(
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
    return _product(ufuncs.conj(x1), x2, (k, k), (batch, batch), precision, preferred_element_type)


@eager
def matvec(x1, x2, /):
    """(…, n, k) times (…, k)."""
    return einsum("...ij,...j->...i", x1, x2)


@eager
def vecmat(x1, x2, /):
    """conj of (…, n) times (…, n, m)."""
    return einsum("...i,...ij->...j", ufuncs.conj(x1), x2)


@eager(static="precision preferred_element_type")
def inner(a, b, *, precision=None, preferred_element_type=None):
    """The sum product over the last dimensions of both."""
    a, b = _operands("inner", a, b)
    if not typeof(a).shape or not typeof(b).shape:
        return ufuncs.multiply(a, b)
    last = (typeof(a).ndim - 1,), (typeof(b).ndim - 1,)
    return _product(a, b, last, precision=precision, preferred=preferred_element_type)


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
    return _product(a, b, (left, right), precision=precision, preferred=preferred_element_type)


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
@eager(static="subscripts out optimize precision preferred_element_type _dot_general out_sharding")
def einsum(
    subscripts, /, *operands, out=None, optimize="auto", precision=None,
    preferred_element_type=None, _dot_general=None, out_sharding=None,
):  # fmt: skip
    """Sums of products in index notation: einsum('ij,jk->ik', a, b). See `numpy.einsum`.

    Operands are contracted two at a time in the order that NumPy's path search gives.
    """
    if out is not None:
        raise NotImplementedError(
            located(
                "einsum: the 'out' argument is not supported: arrays do not change",
                attempt="x = numpy.einsum(...)",
            )
        )
    text, operands = _subscripts(subscripts, operands)
    operands = [asarray(x) for x in operands]
    inputs, output = _expand(text, [typeof(x).shape for x in operands])
    if preferred_element_type is None:
        operands = [asarray(x) for x in promote_dtypes(*operands)]
    terms = list(zip(inputs, operands, strict=True))
    for step in _path(inputs, output, [typeof(x).shape for x in operands], optimize):
        chosen = [terms.pop(k) for k in sorted(step, reverse=True)]
        chosen.reverse()
        kept = set(output).union(*(labels for labels, _ in terms))
        chosen = [_simplify(labels, x, kept, chosen) for labels, x in chosen]
        result = chosen[0]
        for position, other in enumerate(chosen[1:], 2):
            later = kept.union(*(labels for labels, _ in chosen[position:]))
            result = _pair(result, other, later, precision, preferred_element_type)
        terms.append(result)
    labels, x = _simplify(*terms[0], set(output), terms)
    x = basis.transpose(x, [labels.index(c) for c in output])
    if preferred_element_type is not None:
        x = as_dtype(x, requested(preferred_element_type))
    return x


def einsum_path(subscripts, /, *operands, optimize="greedy"):
    """The order of contractions and a description, as `numpy.einsum_path`."""
    shapes = [np.broadcast_to(np.float32(0), typeof(asarray(x)).shape) for x in operands]
    return np.einsum_path(subscripts, *shapes, optimize=optimize)


def _subscripts(subscripts: Any, operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """Normal form of the two ways to call: text first, or (operand, labels) alternating."""
    if isinstance(subscripts, str):
        return subscripts.replace(" ", ""), list(operands)
    items = [subscripts, *operands]
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

    def name(labels):
        return "".join("..." if c is Ellipsis else letters[c] for c in labels)

    arrays, labels = items[0:-1:2] if len(items) % 2 else items[0::2], items[1::2]
    text = ",".join(map(name, labels))
    return (text + "->" + name(items[-1]) if len(items) % 2 else text), list(arrays)


def _expand(text: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[list[str]], list[str]]:
    """Labels of every operand and of the result, with "..." as labels of its own."""
    left, arrow, right = text.partition("->")
    names = left.split(",")
    if len(names) != len(shapes):
        raise ValueError(
            located(
                f"einsum: {text!r} names {len(names)} operands, got {len(shapes)}",
                attempt="a comma between the subscripts of operands, and one operand for each",
            )
        )
    inputs, widest = [], 0
    for name, shape in zip(names, shapes, strict=True):
        plain = name.replace("...", "")
        extra = len(shape) - len(plain)
        if extra < 0 or (extra and "..." not in name):
            raise ValueError(
                located(
                    f"einsum: operand of shape {shape} does not fit subscripts {name!r}",
                    attempt="one letter for each dimension, or ... for the leading ones",
                )
            )
        widest = max(widest, extra if "..." in name else 0)
    for name, shape in zip(names, shapes, strict=True):
        extra = len(shape) - len(name.replace("...", ""))
        before, dots, after = name.partition("...")
        hidden = [f"_{k}" for k in range(widest - extra, widest)] if dots else []
        inputs.append([*before, *hidden, *after])
    hidden = [f"_{k}" for k in range(widest)]
    if arrow:
        before, dots, after = right.partition("...")
        output = [*before, *(hidden if dots else []), *after]
    else:
        flat = [c for labels in inputs for c in labels]
        output = hidden + sorted(c for c in set(flat) if flat.count(c) == 1 and c[0] != "_")
    sizes: dict[str, int] = {}
    for labels, shape in zip(inputs, shapes, strict=True):
        for c, n in zip(labels, shape, strict=True):
            if sizes.setdefault(c, n) == 1:
                sizes[c] = n
            elif n not in (1, sizes[c]):
                raise ValueError(
                    located(
                        f"einsum: label {c!r} has sizes {sizes[c]} and {n} in {text!r}",
                        attempt="different letters, or slices of one length",
                    )
                )
    if len(set(output)) != len(output):
        raise ValueError(
            located(
                f"einsum: the result names a label twice in {text!r}",
                attempt="each label once after ->",
            )
        )
    missing = set(output) - set(sizes)
    if missing:
        raise ValueError(
            located(
                f"einsum: the result names {missing}, which no operand has, in {text!r}",
                attempt="multiply by numpy.ones(n) with that label, or leave it out after ->",
            )
        )
    return inputs, output


def _path(inputs, output, shapes, optimize) -> list[tuple[int, ...]]:
    if len(inputs) <= 2 or optimize is False:
        return [tuple(range(len(inputs)))]
    if isinstance(optimize, list | tuple) and optimize and not isinstance(optimize[0], str):
        return [tuple(step) for step in optimize]
    names = sorted({c for labels in inputs for c in labels})
    if len(names) > 52:
        return [(0, 1)] * (len(inputs) - 1)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    short = {c: letters[k] for k, c in enumerate(names)}
    text = ",".join("".join(short[c] for c in labels) for labels in inputs)
    text += "->" + "".join(short[c] for c in output)
    dummies = [np.broadcast_to(np.float32(0), s) for s in shapes]
    kind = "optimal" if optimize == "optimal" else "greedy"
    return [tuple(step) for step in np.einsum_path(text, *dummies, optimize=kind)[0][1:]]


def _simplify(labels, x, kept, together) -> tuple[list[str], Any]:
    """Take diagonals of repeated labels, sum over labels that nobody else has."""
    labels = list(labels)
    for c in dict.fromkeys(labels):
        while labels.count(c) > 1:
            first = labels.index(c)
            second = labels.index(c, first + 1)
            x = diagonal(x, 0, first, second)
            del labels[second], labels[first]
            labels.append(c)
    elsewhere = dict.fromkeys(labels, 0)
    for other, _ in together:
        for c in set(other):
            if c in elsewhere:
                elsewhere[c] += 1
    alone = [c for c in labels if c not in kept and elsewhere[c] <= 1]
    if alone:
        x = sum(x, tuple(labels.index(c) for c in alone), promote_integers=False)
        labels = [c for c in labels if c not in alone]
    return labels, x


def _pair(left, right, kept, precision, preferred) -> tuple[list[str], Any]:
    """The product of two operands, summed over what nobody else needs."""
    (a_labels, a), (b_labels, b) = left, right
    a_size = dict(zip(a_labels, typeof(a).shape, strict=True))
    b_size = dict(zip(b_labels, typeof(b).shape, strict=True))
    for c in [c for c in a_labels if c in b_size and a_size[c] != b_size[c]]:
        if a_size[c] == 1:  # a dimension of 1 stands for any size: drop it where it is
            a = _shape.squeeze(a, (a_labels.index(c),))
            a_labels = [d for d in a_labels if d != c]
        else:
            b = _shape.squeeze(b, (b_labels.index(c),))
            b_labels = [d for d in b_labels if d != c]
    shared = [c for c in a_labels if c in b_labels]
    batch = [c for c in shared if c in kept]
    contract = [c for c in shared if c not in kept]
    numbers = (
        (tuple(a_labels.index(c) for c in contract), tuple(b_labels.index(c) for c in contract)),
        (tuple(a_labels.index(c) for c in batch), tuple(b_labels.index(c) for c in batch)),
    )
    out = _product(a, b, *numbers, precision, preferred)
    labels = [
        *batch,
        *(c for c in a_labels if c not in shared),
        *(c for c in b_labels if c not in shared),
    ]
    alone = [c for c in labels if c not in kept]
    if alone:
        out = sum(out, tuple(labels.index(c) for c in alone), promote_integers=False)
        labels = [c for c in labels if c not in alone]
    return labels, out
