"""Products in which elements meet few others, as multiplications and sums.

    x · yᵀ, of depth 1        ->  broadcast(x) · broadcast(y)
    g · A, of a large A       ->  sum(broadcast(g) · A)

The first multiplies once an element, the second reads the rows of A once: what takes time is
memory, not arithmetic, and nothing is worth a copy or a tile. As element-wise operations they are
computed where they are used, and as sums of rows together with what is made of the same rows: the
gradient of A x writes an outer product and reads A in one loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from fornax.compiler.two_stages import STREAMED
from fornax.ir.basis import broadcast_in_dim, reduce_sum
from fornax.ir.jaxpr import Atom, Jaxpr
from fornax.ir.trace import new_trace
from fornax.ir.types import ArrayType
from fornax.primitives.dot import DimensionNumbers, free_dimensions
from fornax.primitives.elementwise import mul_p
from fornax.primitives.shape import reshape
from fornax.transforms.stage import Stage


def multiplied(inputs: Sequence[Atom], params: dict[str, Any], made: ArrayType) -> Jaxpr | None:
    """The program of such a product, which gives `made`; None for others."""
    x, y = (atom.type for atom in inputs)
    numbers: DimensionNumbers = params["dimension_numbers"]
    contracted, batch = numbers
    if not x.dtype == y.dtype == made.dtype or x.dtype.kind not in "iuf" or x.dtype.itemsize < 4:
        return None
    if prod(x.shape[d] for d in contracted[0]) == 1:
        return _outer(x, y, numbers, made)
    if len(batch[0]) + 1 < len(x.shape):
        return None if len(batch[1]) + 1 < len(y.shape) else _sum(y, x, 1, numbers)
    return _sum(x, y, 0, numbers)


def _outer(x: ArrayType, y: ArrayType, numbers: DimensionNumbers, made: ArrayType) -> Jaxpr | None:
    """Every element of x times those of y."""
    places: list[list[int]] = []
    shapes: list[tuple[int, ...]] = []
    free = len(numbers[1][0])
    for type, contracted, batch in zip((x, y), *numbers, strict=True):
        rank = len(type.shape)
        alone = free_dimensions(rank, contracted, batch)
        where = {d: k for k, d in enumerate(batch)} | {d: free + k for k, d in enumerate(alone)}
        free += len(alone)
        kept = sorted(where)
        shapes.append(tuple(type.shape[d] for d in kept))
        places.append([where[d] for d in kept])
    if any(found != sorted(found) for found in places):
        return None

    def product(*operands: Any) -> Any:
        filled = [
            broadcast_in_dim(reshape(operand, shape), made.shape, found)
            for operand, shape, found in zip(operands, shapes, places, strict=True)
        ]
        return mul_p.bind(*filled)[0]

    return _program(product, (x, y))


def _sum(
    vector: ArrayType, matrix: ArrayType, place: int, numbers: DimensionNumbers
) -> Jaxpr | None:
    """A vector times the rows of a large matrix, which is the operand at the other place."""
    contracted, batch = numbers[0][1 - place], numbers[1][1 - place]
    rank = len(matrix.shape)
    if len(contracted) != 1 or matrix.size * matrix.dtype.itemsize < STREAMED:
        return None
    if contracted[0] == rank - 1 or tuple(batch) != tuple(range(len(batch))):
        return None
    where = dict(zip((*numbers[1][place], *numbers[0][place]), (*batch, *contracted), strict=True))
    found = [where[d] for d in range(len(vector.shape))]
    if found != sorted(found):
        return None

    def total(*operands: Any) -> Any:
        scale = broadcast_in_dim(operands[place], matrix.shape, found)
        return reduce_sum(mul_p.bind(scale, operands[1 - place])[0], contracted)

    return _program(total, (vector, matrix) if place == 0 else (matrix, vector))


def _program(function: Callable[..., Any], types: tuple[ArrayType, ArrayType]) -> Jaxpr:
    trace = Stage(purpose="a product of little arithmetic")
    with new_trace(trace):
        return trace.finish([function(*map(trace.new_input, types))], "thin")
