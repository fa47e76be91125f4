"""Measures sums and what is made of them, and writes their section of `docs/accuracy.md`.

    PYTHONPATH=src python tools/accuracy_of_sums.py

Truth is the same sum of the same numbers in extended precision.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fornax
import fornax.numpy as jnp
from fornax import nn

TARGET = Path(__file__).resolve().parent.parent / "docs/accuracy.md"
TITLE = "## Sums of float32"
TEXT = """
Long sums are added up in blocks, whose totals are added up: in lanes along rows, eight rows at a
time and in blocks of 64 along columns. How a sum is cut depends on shapes alone, so results are the
same for every number of threads. Common factors of the terms of a sum multiply it afterwards, and
what differentiation adds up, as contributions to the gradient of a mean, may be sums of their own:
their errors are of the size of the contributions. Errors below are the largest of each kind, in
units of 2^-24 of the sum of magnitudes: of numbers that are nearly equal (0.1 and 0.17 in turn,
whose roundings all go one way in a plain loop: 4096 numbers are off by 600 units then) and of
normal ones. Sums of float16 and bfloat16 are added up in float32 and rounded once.

| function | shape | nearly equal | normal |
|---|---|---|---|
"""

Function = Callable[[Any, Any], Any]

#: name, what is computed with a library, the sum of magnitudes if it is none, shapes
CASES: list[tuple[str, Function, Function | None, list[tuple[int, ...]]]] = [
    ("sum(x, 1)", lambda n, x: x.sum(1), None, [(64, 1000), (64, 16000), (16, 262_139)]),
    ("sum(x, 0)", lambda n, x: x.sum(0), None, [
        (1000, 8), (4096, 64), (4096, 4096), (65_536, 512), (1_000_000, 5),
    ]),
    ("sum(x)", lambda n, x: x.sum(), None, [(2000,), (100_003,), (1 << 22,), (300, 3, 7, 111)]),
    ("mean(x, (0, 2))", lambda n, x: x.mean((0, 2)), None, [(64, 33, 1000), (20_000, 3, 3)]),
    ("var(x, 0)", lambda n, x: x.var(0), None, [(4096, 64), (100_000, 4)]),
    ("x.T @ x", lambda n, x: x.T @ x, lambda x: abs(x).T @ abs(x), [(4096, 64), (100_000, 3)]),
    ("x @ x[0]", lambda n, x: x @ x[0], lambda x: abs(x) @ abs(x[0]), [(64, 4096), (3, 100_000)]),
    ("cumsum(x)", lambda n, x: n.cumsum(x), lambda x: np.cumsum(abs(x)), [(4096,), (1 << 22,)]),
]  # fmt: skip


def data(shape: tuple[int, ...]) -> list[np.ndarray]:
    equal = np.full(shape, 0.1, np.float32)
    equal.reshape(-1)[::3] = 0.17
    return [equal, np.random.default_rng(3).standard_normal(shape).astype(np.float32)]


def error(function: Function, magnitude: Function | None, x: np.ndarray) -> float:
    """The largest error, in units."""
    wide = x.astype(np.longdouble)
    exact = function(np, wide)
    size = function(np, abs(wide)) if magnitude is None else magnitude(wide)
    got = np.asarray(fornax.jit(lambda x: function(jnp, x))(x))
    return float(np.max(np.abs(got - exact) / size) * 2**24)


def logarithms(x: np.ndarray) -> float:
    """The same of logsumexp along rows, absolute."""
    wide = x.astype(np.longdouble)
    got = np.asarray(fornax.jit(lambda x: nn.logsumexp(x, 1))(x))
    return float(np.max(np.abs(got - np.log(np.exp(wide).sum(1)))) * 2**24)


def section() -> str:
    rows = []
    for name, function, magnitude, shapes in CASES:
        for shape in shapes:
            found = [error(function, magnitude, x) for x in data(shape)]
            rows.append((name, shape, found))
    for shape in ((64, 4096), (16, 100_003)):
        rows.append(("logsumexp(x, 1), absolute", shape, [logarithms(x) for x in data(shape)]))
    lines = [
        f"| {name} | {' x '.join(map(str, shape))} | {found[0]:.2g} | {found[1]:.2g} |"
        for name, shape, found in rows
    ]
    return TITLE + "\n" + TEXT + "\n".join(lines) + "\n\n"


def main() -> None:
    text = TARGET.read_text(encoding="utf-8")
    before, _, rest = text.partition(TITLE)
    _, mark, after = rest.partition("\n## ")
    if not mark:  # it is not there yet: before the counts
        before, mark, after = text.partition("\n## Operations")
        before += "\n"
    TARGET.write_text(before + section().rstrip() + "\n" + mark + after, encoding="utf-8")


if __name__ == "__main__":
    main()
