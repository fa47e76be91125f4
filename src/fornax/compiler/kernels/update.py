"""`dynamic_update_slice`: write a block into an array at a place known at run time."""

from __future__ import annotations

from collections.abc import Sequence

from fornax.compiler.kernels.context import KernelContext, stores
from fornax.compiler.loop.builder import Value
from fornax.compiler.loop.ir import Axis, Expr, For, Statement


def dynamic_update_slice(k: KernelContext) -> None:
    """Emit the nest of a `dynamic_update_slice` of operands (array, update, *starts).

    The result starts as the array (`STARTS_AS`). Starts are clamped so that the block fits.
    """
    b = k.b
    shape, extents = k.inputs[0].shape, k.inputs[1].shape
    if 0 in extents:
        return
    starts = [
        clamp_start(k, k.operand(2 + d, ()), whole - part)
        for d, (whole, part) in enumerate(zip(shape, extents, strict=True))
    ]
    axes = [Axis(n, "i") for n in extents]
    inside = [b.axis(a) for a in axes]
    index = [b.add(start, i) for start, i in zip(starts, inside, strict=True)]
    k.emit(around(axes, stores(b, k.output_buffer(0), index, k.operand(1, inside))))


def clamp_start(k: KernelContext, start: Value, most: int) -> Expr:
    """`start` in [0, most], as int64."""
    assert isinstance(start, Expr)
    if start.dtype == "uint64":  # what does not fit into int64 is too large
        start = k.b.min(start, k.b.const(most, "uint64"))
    return k.b.clamp_index(start, 0, most)


def around(axes: Sequence[Axis], body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """Loops over `axes`, outermost first, around `body`; none for extents of 1.

    They are left serial: such nests are plain enough for `vectorize` and `parallelize`.
    """
    for axis in reversed(axes):
        if axis.extent != 1:
            body = (For(axis, body),)
    return body
