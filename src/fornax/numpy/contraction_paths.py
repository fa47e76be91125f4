"""What an order of contractions costs, for `einsum_path`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fornax.record import record

__all__: list[str] = []

Labels = Sequence[str]


@record(frozen=True)
class ContractionPath:
    """An order of contractions and its costs, in operations on numbers and in elements."""

    eq: str  #: all of it, with "..." as letters
    path: list[tuple[int, ...]]
    contraction_list: list[tuple[tuple[int, ...], str]]  #: of each step positions and subscripts
    size_dict: dict[str, int]
    scale_list: list[int]  #: of each step how many labels it loops over
    size_list: list[int]  #: of each step how many elements its result has
    naive_cost: int  #: one loop over all labels
    opt_cost: int

    @property
    def speedup(self) -> float:
        return self.naive_cost / self.opt_cost

    @property
    def largest_intermediate(self) -> int:
        return max(self.size_list)

    def __str__(self) -> str:
        rows = [
            f"  {self.eq}",
            f"  cost as one loop: {self.naive_cost:.3e} operations, {len(self.size_dict)} labels",
            f"  cost in this order: {self.opt_cost:.3e} operations, {self.speedup:.3g} times less",
            f"  largest intermediate: {self.largest_intermediate} elements",
        ]
        for (positions, step), scale in zip(self.contraction_list, self.scale_list, strict=True):
            rows.append(f"    operands {positions}: {step}, a loop over {scale} labels")
        return "\n".join(rows)


def described_path(
    inputs: Sequence[Labels],
    output: Labels,
    shapes: Sequence[Sequence[int]],
    steps: Sequence[tuple[int, ...]],
) -> ContractionPath:
    """The costs of taking `steps`, for the labels of each operand and of the result."""
    sizes: dict[str, int] = {}
    for labels, shape in zip(inputs, shapes, strict=True):
        for c, n in zip(labels, shape, strict=True):
            sizes[c] = max(n, sizes.get(c, 1))
    names = _letters(inputs)

    def text(terms: Sequence[Labels], result: Labels) -> str:
        return ",".join("".join(names[c] for c in t) for t in terms) + "->" + "".join(
            names[c] for c in result
        )  # fmt: skip

    left: list[Labels] = list(inputs)
    listed, scales, elements, total = [], [], [], 0
    for step in steps:
        terms = [left[k] for k in step]
        left = [t for k, t in enumerate(left) if k not in step]
        used = dict.fromkeys(c for t in terms for c in t)
        needed = set(output).union(*left)
        kept = list(output) if not left else [c for c in used if c in needed]
        left.append(kept)
        listed.append((tuple(step), text(terms, kept)))
        scales.append(len(used))
        elements.append(math.prod(sizes[c] for c in kept))
        total += _cost(used, kept, len(terms), sizes)
    every = dict.fromkeys(c for t in inputs for c in t)
    naive = _cost(every, output, len(inputs), sizes)
    return ContractionPath(
        eq=text(inputs, output), path=list(steps), contraction_list=listed,
        size_dict={names[c]: n for c, n in sizes.items()}, scale_list=scales,
        size_list=elements, naive_cost=naive, opt_cost=total,
    )  # fmt: skip


def _cost(used: Any, kept: Labels, terms: int, sizes: dict[str, int]) -> int:
    """Products of `terms` numbers for every value of the labels, and a sum where one goes away."""
    summed = len(set(used) - set(kept)) > 0
    return math.prod(sizes[c] for c in used) * (max(1, terms - 1) + summed)


def _letters(inputs: Sequence[Labels]) -> dict[str, str]:
    """A letter for every label, those of "..." included."""
    names = {c: c for labels in inputs for c in labels if len(c) == 1}
    code = ord("A")
    for c in dict.fromkeys(c for labels in inputs for c in labels if len(c) > 1):
        while chr(code) in names.values():
            code += 1
        names[c] = chr(code)
        code += 1
    return names
