"""What sorts compare: all keys of an element side by side in as few integers as hold them.

The position in the line comes last, which makes the order stable and says where the operands'
elements come from; a value that follows from its key needs none. What lies past the end of a line
is the largest word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fornax.compiler.kernels import keys
from fornax.compiler.kernels.radix import Lines
from fornax.compiler.loop.ir import Expr

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: dtypes of words by the bits they hold; narrower ones would make tiles too wide to transpose
WORDS: tuple[tuple[int, DtypeName], ...] = ((32, "uint32"), (64, "uint64"))

#: one element: its words, the most significant first
Element = tuple[Expr, ...]
#: elements that are compared and exchanged, in order
Rows = list[Element]


class Words:
    """The words of the elements of lines."""

    def __init__(self, lines: Lines, num_keys: int):
        k = self.k = lines.k
        self.b, self.lines, self.num_keys = k.b, lines, num_keys
        names = [t.dtype_name for t in k.inputs]
        self.plain = len(names) == 1 and names[0] in keys.INVERTIBLE
        self.position_bits = 0 if self.plain else max((lines.length - 1).bit_length(), 1)
        self.key_bits = self.part_bits()
        zeros = [keys.Part(k.b.const(0, "uint64"), n) for n in self.key_bits]
        self.dtypes = [word.dtype for word in self.pack(zeros)]

    @property
    def widest_lanes(self) -> int:
        """How many elements a vector of the widest words has."""
        return min(self.k.target.lanes(dtype) for dtype in self.dtypes)

    def part_bits(self) -> list[int]:
        k = self.k
        found = []
        for i in range(self.num_keys):
            name = k.inputs[i].dtype_name
            zeros = [k.b.const(0, piece) for piece in keys.pieces(name)]
            found += [part.bits for part in keys.key(k.b, zeros, name)]
        return found

    def pack(self, parts: Sequence[keys.Part], position: Expr | None = None) -> Element:
        """Parts as words."""
        b = self.b
        parts = list(parts)
        if self.position_bits:
            at = b.const(0, "uint32") if position is None else b.cast(position, "uint32")
            parts.append(keys.Part(at, self.position_bits))
        groups: list[list[keys.Part]] = [[]]
        for part in parts:
            if sum(p.bits for p in groups[-1]) + part.bits > 64:
                groups.append([])
            groups[-1].append(part)
        words = []
        for group in groups:
            bits = sum(p.bits for p in group)
            dtype = next(d for n, d in WORDS if n >= bits)
            word = b.cast(group[0].value, dtype)
            for part in group[1:]:
                above = b.shl(word, b.const(part.bits, dtype))
                word = b.or_(above, b.cast(part.value, dtype))
            words.append(word)
        return tuple(words)

    def word(self, line: Expr, at: Expr) -> Element:
        """The words of element `at` of a line."""
        k = self.k
        parts: list[keys.Part] = []
        index = self.lines.index(line, at)
        for i in range(self.num_keys):
            parts += keys.key(self.b, keys.read_bits(k, i, index), k.inputs[i].dtype_name)
        return self.pack(parts, at)

    def past(self) -> Element:
        """The words of what lies past the end."""
        return tuple(self.b.const((1 << int(d[4:])) - 1, d) for d in self.dtypes)

    def bits(self, j: int, line: Expr, element: Element) -> tuple[Expr, ...]:
        """The bit patterns of result `j` where the sorted words are `element`."""
        b, k = self.b, self.k
        if self.plain:
            return (keys.value_bits(b, element[0], k.inputs[0].dtype_name),)
        mask = b.const((1 << self.position_bits) - 1, element[-1].dtype)
        position = b.cast(b.and_(element[-1], mask), "int64")
        return keys.read_bits(k, j, self.lines.index(line, position))

    # --- comparing ---
    def exchange(self, rows: Rows, low: int, high: int) -> None:
        """Put the lesser of two elements into `low` and the other one into `high`."""
        b, x, y = self.b, rows[low], rows[high]
        if len(x) == 1:
            rows[low], rows[high] = (b.min(x[0], y[0]),), (b.max(x[0], y[0]),)
            return
        above = b.gt(x[-1], y[-1])
        for p, q in zip(reversed(x[:-1]), reversed(y[:-1]), strict=True):
            above = b.or_(b.gt(p, q), b.and_(b.eq(p, q), above))
        pairs = list(zip(x, y, strict=True))
        rows[low] = tuple(b.select(above, q, p) for p, q in pairs)
        rows[high] = tuple(b.select(above, p, q) for p, q in pairs)

    def mirrored(self, rows: Rows, run: int) -> None:
        """The first step of merges into runs of `run`: a row with its mirror image."""
        for begin in range(0, len(rows), run):
            for r in range(run // 2):
                self.exchange(rows, begin + r, begin + run - 1 - r)

    def halved(self, rows: Rows, distance: int, falling: bool = False) -> None:
        """The later steps of merges: rows at `distance`, then at half of it and so on."""
        while distance:
            for r in range(len(rows)):
                if not r & distance:
                    pair = (r + distance, r) if falling else (r, r + distance)
                    self.exchange(rows, *pair)
            distance //= 2

    def sorted_runs(self, rows: Rows, most: int) -> None:
        """Sort runs of `most` rows."""
        run = 2
        while run <= most:
            self.mirrored(rows, run)
            self.halved(rows, run // 4)
            run *= 2
