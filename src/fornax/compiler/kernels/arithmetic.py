"""How products are summed: the dtype of the sum, its operations, the size of a register tile."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from fornax.compiler.kernels.context import parts
from fornax.compiler.loop.builder import Builder, Value
from fornax.compiler.loop.ir import COMPLEX, SIGNED, UNSIGNED, WIDTH, Expr, Pair
from fornax.compiler.target import Target
from fornax.ir.types import ArrayType
from fornax.record import record

if TYPE_CHECKING:
    from fornax._native import DtypeName

Parts = tuple[Expr, ...]

#: Less depth is mostly a matter of writing, which more rows at once do better.
SHALLOW = 32
#: How many times more outputs may be computed for a tile of few rows.
WASTE = 1.06


@record(frozen=True)
class Arithmetic:
    """Sum of products in `dtype`; complex numbers have two `parts`.

    Booleans are computed as bytes (`logical`): "and" multiplies and "or" adds. With `pairs` of a
    dtype every step multiplies two elements of it, held in one word.
    """

    dtype: DtypeName
    parts: int
    fused: bool
    logical: bool
    pairs: str = ""

    @property
    def packed(self) -> DtypeName:
        """The dtype of one operand element as it is packed."""
        return "uint32" if self.pairs else self.dtype

    @property
    def bytes(self) -> int:
        """Size of one operand element as it is packed."""
        return self.parts * np.dtype(self.packed).itemsize

    def widen(self, b: Builder, value: Value) -> Parts:
        """An operand element as the expressions that are multiplied."""
        if self.pairs:
            return parts(value)
        if self.parts == 2:
            return parts(b.cast(value, "complex64" if self.dtype == "float32" else "complex128"))
        return (b.cast(value, self.dtype),)

    def zero(self, b: Builder) -> Parts:
        """What sums start from."""
        return (b.const(0, self.dtype),) * self.parts

    def add(self, b: Builder, x: Parts, y: Parts) -> Parts:
        """The sum of two partial results."""
        name = "or" if self.logical else "add"
        return tuple(b.op(name, p, q) for p, q in zip(x, y, strict=True))

    def accumulate(self, b: Builder, total: Parts, x: Parts, y: Parts) -> Parts:
        """total + x * y."""
        if self.parts == 1:
            return (self._step(b, total[0], x[0], y[0]),)
        real = self._step(b, total[0], x[0], y[0])
        real = self._step(b, real, b.op("neg", x[1]), y[1])
        imag = self._step(b, total[1], x[0], y[1])
        return real, self._step(b, imag, x[1], y[0])

    def _step(self, b: Builder, total: Expr, x: Expr, y: Expr) -> Expr:
        if self.pairs:
            return b.op("pair_dot", x, y, total)
        if self.logical:
            return b.op("or", total, b.op("and", x, y))
        if self.fused:
            return b.op("fma", x, y, total)
        return b.op("add", total, b.op("mul", x, y))

    def result(self, b: Builder, total: Parts, dtype: str) -> Value:
        """A finished sum as an element of the result."""
        return b.cast(Pair(*total) if self.parts == 2 else total[0], dtype)


def arithmetic(inputs: Sequence[ArrayType], output: ArrayType, target: Target) -> Arithmetic:
    """The arithmetic of a product of arrays of types `inputs` with elements of type `output`.

    float16, bfloat16 and float32 sum in float32, float64 in float64, integers in at least 32 bits
    (narrow results are the low bits of the sum), complex numbers in their parts.
    """
    names = [t.dtype_name for t in (*inputs, output)]
    if any(n in COMPLEX for n in names):
        wide = any(n in ("complex128", "float64") for n in names)
        return Arithmetic("float64" if wide else "float32", 2, target.fma, False)
    if all(n == "bool" for n in names):
        return Arithmetic("uint8", 1, False, True)
    if any("float" in n for n in names):
        wide = "float64" in names
        return Arithmetic("float64" if wide else "float32", 1, target.fma, False)
    width = max(WIDTH[n] for n in names)
    integers = UNSIGNED if names[-1].startswith("uint") else SIGNED
    return Arithmetic(integers[max(32, width)], 1, False, False)


#: Less depth is not worth making words of.
PAIRED = 16
#: dtypes that int16 holds
NARROW = ("int8", "uint8", "int16", "int4", "uint4", "int2", "uint2", "int1", "uint1")


def paired(
    sums: Arithmetic, inputs: Sequence[ArrayType], depth: int, target: Target
) -> Arithmetic | None:
    """The same sums two steps of the depth at a time, where the target is quicker at that. Integers
    wrap: the sums of words are the low bits of all others."""
    names = {t.dtype_name for t in inputs}
    if depth < PAIRED or sums.parts > 1 or sums.logical:
        return None
    if sums.dtype == "float32" and names == {"bfloat16"} and "bfloat16" in target.pairs:
        return Arithmetic("float32", 1, True, False, "bfloat16")
    if WIDTH[sums.dtype] == 32 and names <= set(NARROW) and "int16" in target.pairs:
        return Arithmetic("int32", 1, False, False, "int16")
    return None


@record(frozen=True)
class Tile:
    """Outputs kept in registers at once: `rows` x `columns`, the columns being vector lanes."""

    rows: int
    columns: int

    def last(self, columns: int, lanes: int) -> int:
        """Columns of the last tile of a row of them that are computed: half of it where that is
        enough, or one vector."""
        rest = columns % self.columns
        return next(
            (n for n in (lanes, 2 * lanes) if 0 < rest <= n and 2 * n <= self.columns), self.columns
        )

    def covered(self, rows: int, columns: int, lanes: int) -> int:
        """Outputs computed for a result of `rows` x `columns`: tiles overlap where they do not
        fit."""
        tiles = -(-columns // self.columns) - 1
        return -(-rows // self.rows) * self.rows * (
            tiles * self.columns + self.last(columns, lanes)
        )  # fmt: skip


def power_of_two(n: int) -> int:
    """The least power of two that is at least n."""
    return 1 << max(n - 1, 0).bit_length()


def balanced(extent: int, most: int) -> int:
    """The least size of ceil(extent / most) equal pieces that cover `extent`."""
    pieces = -(-extent // most)
    return -(-extent // pieces)


def stays_in_runs(width: int, extents: tuple[int, ...]) -> bool:
    """Tiles of `width` never reach from one run of the last dimensions into the next one."""
    inner, fits = 1, sum(n > 1 for n in extents) <= 1
    for extent in reversed(extents[1:]):
        inner *= extent
        fits = fits or inner % width == 0
    return fits


def room_on_the_right(target: Target) -> int:
    """Bytes of the second cache that a block of the right operand takes."""
    return target.l2 * 5 // 16


def choose_tile(
    target: Target, sums: Arithmetic, row_extents: tuple[int, ...], column_extents: tuple[int, ...],
    depth: int,
) -> Tile:  # fmt: skip
    """The register tile for a result whose rows and columns have these dimensions.

    Of 16 vector registers 12 hold sums, two a row of the right operand and two a broadcast of the
    left one; of 32 registers 28, or 24 in a tile of four vectors by few rows: it reads less for
    each sum, and the left operand from so few places that it needs no copy. Without fused
    multiply-add, products need registers as well.
    """
    rows, columns = prod(row_extents), prod(column_extents)
    lanes = target.lanes(sums.dtype)
    many = target.registers >= 32
    room = (28 if many else 12) if sums.fused else (24 if many else 8)
    room //= sums.parts
    needed = -(-columns // lanes)
    if needed == 1:
        tile_columns = min(lanes, power_of_two(columns))
        return Tile(balanced(rows, room if many else min(room, 8)), tile_columns)
    full = 2 if sums.parts == 1 and (needed % 2 == 0 or needed > 5) else 1
    tall = room // full
    if rows < tall:  # few rows: more columns, so that enough sums are in flight
        vectors = full
        while vectors < 8 and 2 * vectors * rows <= room and 2 * vectors <= power_of_two(needed):
            vectors *= 2
        return Tile(rows, vectors * lanes)
    tile = Tile(balanced(rows, tall), full * lanes)
    if not many or full == 1 or needed < 4 or rows <= 2 * tall or depth < SHALLOW:
        return tile
    # A right operand of one block may be read in place, `columns` elements a step further on, and a
    # left one `rows`. LLVM multiplies both by a common 3 at once, and reads all rows before it goes
    # on: beside so many it has registers for the sums of five.
    shared = columns % 3 == 0 and columns * depth * sums.bytes <= room_on_the_right(target)
    wide = Tile(balanced(rows, 5 if shared else 6), 4 * lanes)
    worse = any(
        stays_in_runs(now, extents) and not stays_in_runs(new, extents)
        for now, new, extents in (
            (tile.rows, wide.rows, row_extents), (tile.columns, wide.columns, column_extents),
        )
    )  # fmt: skip
    more = wide.covered(rows, columns, lanes) > WASTE * tile.covered(rows, columns, lanes)
    return tile if worse or more else wide
