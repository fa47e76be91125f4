"""reduce: a reduction by any associative function, which comes as a program on scalars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fornax.ir.basis import broadcast_in_dim, check_axes, transpose
from fornax.ir.evaluate import evaluate
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.primitive import Primitive
from fornax.ir.types import typeof
from fornax.primitives.arrange import run_reference
from fornax.primitives.concatenate import concatenate
from fornax.primitives.shape import reshape
from fornax.primitives.slice import slice_, slice_in
from fornax.source import located
from fornax.transforms.batch import batch_flat, place
from fornax.transforms.stage import stage


class Reduce(Primitive):
    """Combines the elements along `dimensions`, all operands at once.

    Operands: the arrays (of one shape), then their initial values (scalars). `jaxpr` takes two
    scalars per operand, first all of the earlier elements, and gives one each. Neighbours are
    combined in a balanced tree, so the function must be associative; the initial value comes first.
    """

    def type(self, *types, jaxpr, dimensions):
        count = len(types) // 2
        operands, initial = types[:count], types[count:]
        for x, start in zip(operands, initial, strict=True):
            check_axes("reduce", x, dimensions)
            if x.shape != operands[0].shape:
                raise ValueError(
                    located(
                        f"reduce: operands must have one shape, got {[t.shape for t in operands]}",
                        attempt="numpy.broadcast_arrays(*operands) first",
                    )
                )
            if x.dtype != start.dtype:
                raise TypeError(
                    located(
                        "reduce operand dtypes should match corresponding initial value dtypes, "
                        f"got operands={list(operands)} and initial_values={list(initial)}",
                        attempt="initial values of the operands' dtypes, as in numpy.zeros((), "
                        "x.dtype)",
                    )
                )
            if start.shape:
                raise TypeError(
                    located(
                        f"reduce: initial values must be scalars, got {start.short()}",
                        attempt="a number for each operand",
                    )
                )
        for x, out in zip(operands, jaxpr.out_types, strict=True):
            if out.dtype != x.dtype or out.shape:
                raise TypeError(
                    located(
                        f"reduce: the computation of {x.short()} elements must give scalars of "
                        f"the same dtype, got {out.short()}",
                        attempt=f"astype({x.dtype.name!r}) on the results of the computation",
                    )
                )
        return [
            x.update(shape=[n for i, n in enumerate(x.shape) if i not in dimensions])
            for x in operands
        ]

    def reference(self, *arrays, **params):
        program = stage(
            lambda *xs: self.expand(*xs, **params), [typeof(x) for x in arrays], self.name
        )
        return run_reference(program, arrays)

    def expand(self, *operands, jaxpr, dimensions):
        count = len(operands) // 2
        shape = typeof(operands[0]).shape
        kept = [i for i in range(len(shape)) if i not in dimensions]
        out_shape = tuple(shape[i] for i in kept)
        length, width = math.prod(shape[i] for i in dimensions), math.prod(out_shape)
        lines = [
            reshape(transpose(x, (*dimensions, *kept)), (length, width)) for x in operands[:count]
        ]
        while length > 1:
            half = length // 2
            last = [slice_in(x, 0, length - 1, length) for x in lines] if length % 2 else None
            first = [slice_(x, [0, 0], [2 * half, width], [2, 1]) for x in lines]
            second = [slice_(x, [1, 0], [2 * half, width], [2, 1]) for x in lines]
            lines = _apply(jaxpr, first, second)
            if last is not None:
                lines = [concatenate([x, y], 0) for x, y in zip(lines, last, strict=True)]
            length = half + length % 2
        starts = [broadcast_in_dim(s, (1, width), ()) for s in operands[count:]]
        if length:
            starts = _apply(jaxpr, starts, lines)
        return [reshape(x, out_shape) for x in starts]


def _apply(jaxpr: Jaxpr, first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    """The program on scalars, mapped over arrays of one shape."""
    shape = typeof(first[0]).shape
    size = math.prod(shape)
    flat = [reshape(x, (size,)) for x in (*first, *second)]
    outs, dims = batch_flat(lambda *xs: evaluate(jaxpr, *xs), size, flat, [0] * len(flat))
    return [reshape(place(x, d, size, 0), shape) for x, d in zip(outs, dims, strict=True)]


reduce_p = Reduce("reduce")
