"""Writes `compiler/loop/math_tables.py`: functions by pieces, for processors that look numbers up
in registers.

    python tools/pieces.py            # all, some minutes
    python tools/pieces.py LOG2       # this one; the others stay as they are

A row gives an odd function, how |x| is cut, and the degree. The pieces are fitted by
`tools/minimax.py`; the center of each is one of some numbers near its middle, the one where the
function is closest to a float. The logarithm of a significand is that of a number next to it, of
which the inverse is a float, and of the quotient.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from minimax import fit, rounded
from mpmath import mp, mpf

TARGET = Path(__file__).resolve().parent.parent / "src/fornax/compiler/loop/math_tables.py"
#: how many centers are tried on either side, in steps of 2^-10
TRIED = 3


@dataclass(frozen=True)
class Pieces:
    """An odd function of float32 that is 1 from `limit` on."""

    text: str
    f: Callable
    offset: float
    limit: float
    degree: int

    @property
    def cuts(self) -> dict[int, tuple[mpf, mpf]]:
        """Place in the tables -> ends of its piece of |x|, in order."""
        shift = 23 - DIGITS
        first, last = (int(np.float32(u).view(np.uint32)) >> shift for u in (self.offset, self.top))
        found = {}
        for k in range(first, last + 1):
            ends = (float(np.uint32(n << shift).view(np.float32)) for n in (k, k + 1))
            low, high = (mpf(min(max(e - self.offset, 0), self.limit)) for e in ends)
            found[k % SIZE] = low, high
        assert len(found) == last + 1 - first, "too many pieces"
        return found

    @property
    def top(self) -> np.float32:
        return np.float32(self.limit) + np.float32(self.offset)

    def rows(self) -> tuple[list[list[float]], mpf]:
        """Tables of the centers and of the coefficients from x^0 on, and the largest error."""
        rows = [[0.0] * SIZE for _ in range(self.degree + 2)]
        worst = mpf(0)
        for place, (low, high) in self.cuts.items():
            center, values, error = self.first(high) if low == 0 else self.piece(low, high)
            for row, value in zip(rows, [center, *values], strict=True):
                row[place] = float(value)
            worst = max(worst, error)
        return rows, worst

    def source(self) -> str:
        rows, error = self.rows()
        note = f"{self.text}; largest error, relative, 2^{float(mp.log(error, 2)):.1f}."
        lines = [f"#: {note}", f"{self.text[:-3].upper()} = Pieces("]
        lines += [f"    {self.offset}, {self.limit},", "    ("]
        return "\n".join([*lines, *numbers(rows, 8), "    ),", ")  # fmt: skip"])

    def first(self, high: mpf) -> tuple[mpf, list[mpf], mpf]:
        """The piece at zero has its center there, so that no digit of x is lost."""
        powers = range(1, self.degree + 1)
        values, error = fit(self.f, powers, mpf("1e-5"), high * WIDER, 24, lambda r: 1 / self.f(r))
        return mpf(0), [mpf(0), *values], error

    def piece(self, low: mpf, high: mpf) -> tuple[mpf, list[mpf], mpf]:
        """The best of some centers."""
        middle, rest = mp.nint((low + high) * 512) / 1024, (high - low) * (WIDER - 1)
        found = []
        for step in range(-TRIED, TRIED + 1):
            center = middle + mpf(step) / 1024
            ends = low - center - rest, high - center + rest

            def f(r: mpf, center: mpf = center) -> mpf:
                return self.f(center + r)

            values, error = fit(f, range(self.degree + 1), *ends, 24, lambda r, f=f: 1 / f(r))
            found.append((error, center, list(values)))
        error, center, values = min(found, key=lambda t: t[0])
        return center, values, error


#: digits of the significand that tell pieces apart; numbers in a table
DIGITS, SIZE = 3, 32
#: a piece is fitted a little beyond its ends: |x| + offset is rounded
WIDER = mpf("1.002")


@dataclass(frozen=True)
class Logarithm:
    """log2 of significands whose bit patterns begin at `lowest`, for powers."""

    lowest: int
    degree: int

    def source(self) -> str:
        inverses, upper, lower = [], [], []
        most = mpf(0)
        for place in range(SIZE):
            bits = [self.lowest + (n << 18) for n in (place, place + 1)]
            low, high = (mpf(float(np.uint32(b).view(np.float32))) for b in bits)
            inverse = mpf(1) if low <= 1 <= high else rounded(2 / (low + high), 24)
            log = -mp.log(inverse, 2)
            part = mp.nint(log * 2**14) / 2**14  # exact with an exponent added
            inverses.append(float(inverse))
            upper.append(float(part))
            lower.append(float(rounded(log - part, 24)))
            most = max(most, abs(low * inverse - 1), abs(high * inverse - 1))
        powers, most = range(1, self.degree + 1), most * WIDER
        ends, weight = (-most, most), lambda x: mp.log(2) / mp.log1p(x)
        values, error = fit(lambda x: mp.log1p(x) / mp.log(2), powers, *ends, 53, weight)
        note = f"log2(m); largest error, relative, 2^{float(mp.log(error, 2)):.1f}."
        rows = [inverses, upper, lower, [float(v) for v in values]]
        lines = [f"#: {note}", "LOG2 = Logarithm(", f"    0x{self.lowest:X},"]
        return "\n".join([*lines, *numbers(rows, 4), ")  # fmt: skip"])


@dataclass(frozen=True)
class Exponential:
    """e^x of a float32, of which 32 powers take the exponent's upper digits."""

    degree: int

    def source(self) -> str:
        most = WIDER * mp.log(2) / SIZE
        rest, error = fit(
            lambda r: (mp.expm1(r) - r) / r**2 if r else mpf("0.5"),
            range(self.degree - 1), -most, most, 24, lambda r: r**2,
        )  # fmt: skip
        powers = [float(rounded(mpf(2) ** (mpf(2 * k) / SIZE), 24)) for k in range(SIZE)]
        note = f"e^x; largest error of its polynomial, relative, 2^{float(mp.log(error, 2)):.1f}."
        lines = [f"#: {note}", "EXP = Exponential("]
        rows = [powers, [float(v) for v in rest]]
        return "\n".join([*lines, *numbers(rows, 4), ")  # fmt: skip"])


ROWS = {
    "ERF": Pieces("erf(x)", mp.erf, 0.5, 3.99, 4),
    "TANH": Pieces("tanh(x)", mp.tanh, 0.625, 9.3, 5),
    "EXP": Exponential(3),
    "LOG2": Logarithm(0x3F2AAAAB, 5),
}

HEADER = '''"""Functions of float32 by pieces, as tables of 32 numbers (`math_pieces`).

Written by `tools/pieces.py` (minimax fits in 50-digit arithmetic): change that, not this.
"""

from fornax.compiler.loop.math_pieces import Exponential, Logarithm, Pieces
'''


def numbers(rows: Sequence[Sequence[float]], indent: int) -> list[str]:
    lines = []
    for values in rows:
        line = " " * indent + "("
        for value in values:
            number = f"{value!r}, "
            if len(line) + len(number) > 100:
                lines.append(line.rstrip())
                line = " " * indent + " "
            line += number
        lines.append(line.rstrip(", ") + "),")
    return lines


def main(names: Sequence[str]) -> None:
    """Fit the named rows (all without names) and write the file."""
    old = TARGET.read_text().split("\n\n") if names else []
    blocks = [HEADER]
    for name, row in ROWS.items():
        kept = [block.strip() for block in old if f"\n{name} = " in block]
        keep = names and name not in names and kept
        blocks.append((kept[0] if keep else row.source()) + "\n")
        print(name, blocks[-1].split("\n")[0], flush=True)
    TARGET.write_text("\n".join(blocks))


if __name__ == "__main__":
    main(sys.argv[1:])
