"""einsum: sums of products in index notation, contracted two operands at a time."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.api.eager import eager
from fornax.ir import basis
from fornax.ir.requested import requested
from fornax.ir.types import typeof
from fornax.lax.products import dot_general
from fornax.numpy import ufuncs
from fornax.numpy.contraction_paths import described_path
from fornax.numpy.creation import asarray
from fornax.numpy.products import product
from fornax.numpy.promotion import as_dtype, promote_dtypes
from fornax.numpy.reductions import sum
from fornax.numpy.shaping import diagonal
from fornax.primitives import shape as _shape
from fornax.source import located

__all__ = ["einsum", "einsum_path", "matvec", "vecmat"]

LETTERS = string.ascii_lowercase + string.ascii_uppercase
#: up to so many operands all orders are tried by default
FEW = 4


@eager(static="subscripts out optimize precision preferred_element_type _dot_general out_sharding")
def einsum(
    subscripts, /, *operands, out=None, optimize="auto", precision=None,
    preferred_element_type=None, _dot_general=dot_general, out_sharding=None,
):  # fmt: skip
    """Sums of products in index notation: einsum('ij,jk->ik', a, b). See `numpy.einsum`.

    Operands are contracted two at a time, in the order that `einsum_path` gives for `optimize`.
    _dot_general: what is called in the place of `lax.dot_general`.
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
    for step in _steps(inputs, output, [typeof(x).shape for x in operands], optimize):
        chosen = [terms.pop(k) for k in sorted(step, reverse=True)]
        chosen.reverse()
        kept = set(output).union(*(labels for labels, _ in terms))
        chosen = [_simplify(labels, x, kept, chosen) for labels, x in chosen]
        result = chosen[0]
        for position, other in enumerate(chosen[1:], 2):
            later = kept.union(*(labels for labels, _ in chosen[position:]))
            result = _pair(result, other, later, precision, preferred_element_type, _dot_general)
        terms.append(result)
    labels, x = _simplify(*terms[0], set(output), terms)
    x = basis.transpose(x, [labels.index(c) for c in output])
    if preferred_element_type is not None:
        x = as_dtype(x, requested(preferred_element_type))
    return x


def einsum_path(subscripts, /, *operands, optimize="auto"):
    """The order of contractions, as `einsum` takes it for `optimize`, and what is known about it.

    The order is a list of tuples: the positions of the operands of each step, whose result comes
    last. optimize: "auto", "greedy", "optimal" (or True), False for one operand after another, or
    an order. The second result prints as a table; its fields are those of `ContractionPath`.
    """
    text, operands = _subscripts(subscripts, operands)
    shapes = [np.shape(x) for x in operands]
    inputs, output = _expand(text, shapes)
    steps = _steps(inputs, output, shapes, optimize)
    return steps, described_path(inputs, output, shapes, steps)


@eager
def matvec(x1, x2, /):
    """(…, n, k) times (…, k)."""
    return einsum("...ij,...j->...i", x1, x2)


@eager
def vecmat(x1, x2, /):
    """conj of (…, n) times (…, n, m)."""
    return einsum("...i,...ij->...j", ufuncs.conj(x1), x2)


def _subscripts(subscripts: Any, operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """Normal form of the two ways to call: text first, or (operand, labels) alternating."""
    if isinstance(subscripts, str):
        return subscripts.replace(" ", ""), list(operands)
    items = [subscripts, *operands]

    def name(labels):
        return "".join("..." if c is Ellipsis else LETTERS[c] for c in labels)

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


def _steps(inputs, output, shapes, optimize) -> list[tuple[int, ...]]:
    """The positions of the operands of each step, at most two where more than two are left."""
    if isinstance(optimize, list | tuple):
        return [tuple(step) for step in optimize if not isinstance(step, str)]
    if len(inputs) <= 2:
        return [tuple(range(len(inputs)))]
    names = sorted({c for labels in inputs for c in labels})
    if optimize is False or len(names) > len(LETTERS):
        return [(0, 1)] * (len(inputs) - 1)
    short = {c: LETTERS[k] for k, c in enumerate(names)}
    text = ",".join("".join(short[c] for c in labels) for labels in inputs)
    text += "->" + "".join(short[c] for c in output)
    dummies = [np.broadcast_to(np.float32(0), s) for s in shapes]
    exactly = optimize in (True, "optimal") or optimize == "auto" and len(inputs) <= FEW
    kind = "optimal" if exactly else "greedy"
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


def _pair(left, right, kept, precision, preferred, dot) -> tuple[list[str], Any]:
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
    out = product(a, b, *numbers, precision, preferred, dot)
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
