"""Measures the mathematical functions and sums, and writes `docs/accuracy.md`.

    PYTHONPATH=src:tests/loop python tools/accuracy.py          # some minutes

Truth is 140-digit arithmetic (`tests/loop/math_truth.py`); the code measured is a plain LLVM loop
of the expanded formulas (`tests/loop/elementwise.py`). For float32, `make sweep` tries one bit
pattern in 61 of the whole range on top of this.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from accuracy_of_sums import section as sums
from elementwise import Elementwise
from math_truth import ONE, errors, pairs, ranges, samples

TARGET = Path(__file__).resolve().parent.parent / "docs/accuracy.md"
SLOW = {"lgamma", "digamma", "erf_inv", "bessel_i0e", "bessel_i1e", "erfc"}
TWO = ("pow", "atan2", "hypot")
HEADER = """# Accuracy of mathematical functions and sums

Written by `tools/accuracy.py`; do not edit. The functions are those of
`src/fornax/compiler/loop/math_*.py`: expressions without branches, the same for every lane and,
but for those of the third table, every target.

A unit in the last place (ulp) is the distance between neighbouring floats where the exact result
lies; a correctly rounded result is within 0.5. Each entry is the largest error among {count}
arguments of each range ({slow} where exact values are slow to find), seeds fixed, with fused
multiply-add and, in the second table, without (SSE2). Infinities, NaN, signed zeros and, where they
are not flushed, denormals follow C99 and are tested in `tests/loop/test_math.py`.

* sin, cos and tan are reduced exactly for every argument up to the largest float64.
* lgamma and digamma next to their zeros on the negative axis keep an absolute, not a relative
  error; their negative ranges are measured in ulps of at least 1 and 4.
* Quotients are rounded as IEEE 754 says; where a loop divides many numbers by one, those of
  dividends below 2^-100 (float64: 2^-967) may be the neighbour of that, and the largest number
  infinite.
* Aims: 2 ulp, lgamma 4 ulp. **Above the aim**: erfc of float64 (up to 3 ulp, where it is below
  1/3), digamma of float64 (up to 2.5 ulp just above 2), the Bessel functions of float64 (up to 2.5
  ulp). Without fma, float64 erfc reaches 4.5 ulp and some others 2 to 3.5.

"""


#: functions that look numbers up where registers hold tables
PIECES = ("erf", "exp", "pow", "tanh")


def measured(
    name: str, dtype: str, fma: bool, count: int, tables: bool = False
) -> list[tuple[str, float]]:
    """(range, largest error) for every range of a function."""
    found = []
    if name in TWO:
        f = Elementwise(lambda b, x, y: b.op(name, x, y), (dtype, dtype), fma, tables=tables)
        for label, x, y in pairs(name, dtype, count):
            found.append((label, errors(f(x, y), name, x, y).max()))
        return found
    f = Elementwise(lambda b, x: b.op(name, x), (dtype,), fma, tables=tables)
    for i, where in enumerate(ranges(name, dtype)):
        x = samples(where, dtype, count, 100 + i)
        label = f"{where.low:g} … {where.high:g}" + (" by magnitude" if where.by_magnitude else "")
        found.append((label, errors(f(x), name, x, least=where.least).max()))
    return found


def operations(name: str, dtype: str, tables: bool = False) -> int:
    """Operations of the expanded function (bit casts cost nothing)."""
    dtypes = (dtype,) * (2 if name in (*TWO, "nextafter") else 1)
    f = Elementwise(lambda b, *x: b.op(name, *x), dtypes, tables=tables)
    return sum(f.count().values())


def by_pieces(count: int) -> list[str]:
    """The section of the functions that look numbers up in registers."""
    lines = ["## By pieces, where registers hold tables (AVX-512)\n"]
    lines += [
        "| function | float32: range, ulp | operations, look-ups among them |",
        "|---|---|---|",
    ]
    for name in PIECES:
        rows = measured(name, "float32", True, count, tables=True)
        cell = "<br>".join(f"{label}: {worst:.2f}" for label, worst in rows)
        lines.append(f"| {name} | {cell} | {operations(name, 'float32', tables=True)} |")
    return [*lines, ""]


def main(count: int, slow: int) -> None:
    lines = [HEADER.format(count=count, slow=slow)]
    names = sorted([*ONE, *TWO])
    for fma in (True, False):
        lines.append(f"## {'With' if fma else 'Without'} fused multiply-add\n")
        lines.append("| function | float32: range, ulp | float64: range, ulp |")
        lines.append("|---|---|---|")
        for name in names:
            number = slow if name in SLOW else count
            number = number if fma else number // 4
            cells = []
            for dtype in ("float32", "float64"):
                rows = measured(name, dtype, fma, number)
                cells.append("<br>".join(f"{label}: {worst:.2f}" for label, worst in rows))
            lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
            print(lines[-1], flush=True)
        lines.append("")
    lines += [*by_pieces(count), sums().rstrip(), ""]
    lines += ["## Operations per element (with fma)\n", "| function | float32 | float64 |"]
    lines.append("|---|---|---|")
    for name in sorted([*names, "sign", "round_away", "is_finite", "nextafter"]):
        counts = [operations(name, dtype) for dtype in ("float32", "float64")]
        lines.append(f"| {name} | {counts[0]} | {counts[1]} |")
    lines.append("")
    lines.append(
        "Selects, comparisons and conversions are counted, bit casts are not; a clamp counts as "
        "four and is two instructions. In sin, cos and tan about 30 (float32) and 170 (float64) "
        "are the reduction of huge arguments, in float32 lanes half of them in float64. These, "
        "and what log, log2, log1p and pow of float32 need for zeros, denormals, infinities and "
        "numbers below zero, are jumped over where no lane needs them."
    )
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        main(*(int(a) for a in sys.argv[1:3] or (20000, 2000)))
