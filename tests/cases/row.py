"""The format of case rows, and the operands made from them.

A row names a primitive, the dtypes each operand may have and where its values lie, and variants:
operand shapes with the params that go with them.

    row("atan2", [Span(-3, 3), Span(-3, 3)], "f")
    row("reduce_max", [Span(-3, 3)], "biuf", [Variant([(3, 4)], axes=(0,))])
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

from fornax.ir import primitive as registry

#: dtypes of a family letter, the one that derivatives are checked in last
FAMILIES = {
    "b": ("bool",),
    "i": ("int8", "int16", "int32", "int64"),
    "u": ("uint8", "uint16", "uint32", "uint64"),
    "f": ("bfloat16", "float16", "float32", "float64"),
    "F": ("float32", "float64"),
    "c": ("complex64", "complex128"),
}
#: relative error allowed in one operation, per dtype
TOLERANCE = {
    "bfloat16": 8e-3, "float16": 1e-3, "float32": 1e-6, "float64": 4e-15,
    "complex64": 3e-6, "complex128": 1e-14,
}  # fmt: skip


def dtype_of(name: str) -> np.dtype:
    """The dtype of a name, bfloat16 included."""
    return np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)


@dataclass(frozen=True)
class Span:
    """Where an operand's values lie: floats in [low, high], both parts of complex numbers, too.

    `integers` overrides it for integer dtypes (unsigned ones from 0 on). `dtype` fixes the
    operand's dtype whatever the others are. `distinct` makes all values differ. `special` asks for
    infinities, NaN, zeros and limits in the law of special values.
    """

    low: float = -3.0
    high: float = 3.0
    integers: tuple[int, int] = (-9, 9)
    dtype: str = ""
    distinct: bool = False
    special: bool = True

    def values(self, dtype: np.dtype, shape: Sequence[int], random: np.random.Generator):
        """An array of such values."""
        dtype = dtype_of(self.dtype) if self.dtype else dtype
        if dtype == np.bool_:
            return random.integers(0, 2, shape).astype(bool)
        if dtype.kind in "iu":
            low, high = self.integers
            info = np.iinfo(dtype)
            low, high = max(low, int(info.min)), min(high, int(info.max))
            return random.integers(low, high, shape, np.int64, endpoint=True).astype(dtype)
        if dtype.kind == "c":
            real, imag = (random.uniform(self.low, self.high, shape) for _ in "ri")
            return (real + 1j * imag).astype(dtype)
        if self.distinct:
            count = int(np.prod(shape))
            steps = np.linspace(self.low, self.high, max(count, 1))[:count]
            return random.permutation(steps).reshape(shape).astype(dtype)
        return random.uniform(self.low, self.high, shape).astype(dtype)

    def specials(self, dtype: np.dtype) -> np.ndarray:
        """Values at the edges of the dtype (a vector)."""
        dtype = dtype_of(self.dtype) if self.dtype else dtype
        if dtype == np.bool_:
            return np.array([False, True])
        if dtype.kind in "iu":
            info = np.iinfo(dtype)
            low = [info.min, info.min + 1, -1] if dtype.kind == "i" else []
            return np.array([*low, 0, 1, 2, 7, info.max - 1, info.max], dtype)
        if dtype.kind == "c":
            parts = [0.0, -0.0, 1.0, -2.5]
            return np.array([complex(x, y) for x in parts for y in parts], dtype)
        info = ml_dtypes.finfo(dtype)
        edge = [
            0.0,
            1.0,
            0.5,
            2.5,
            np.inf,
            float(info.max),
            float(info.tiny),
            float(info.smallest_subnormal),
        ]
        return np.array([s * x for x in edge for s in (1, -1)] + [np.nan], dtype)


@dataclass(frozen=True)
class Variant:
    """Operand shapes and params to run a row with."""

    shapes: tuple[tuple[int, ...], ...]
    params: dict[str, Any]

    def __init__(self, shapes, **params):
        object.__setattr__(self, "shapes", tuple(map(tuple, shapes)))
        object.__setattr__(self, "params", params)


@dataclass(frozen=True)
class Row:
    """One primitive with one choice of dtype families; see the module."""

    name: str
    spans: tuple[Span, ...]
    families: str
    variants: tuple[Variant, ...]
    #: factor on the tolerance of compiled against reference results
    loose: float = 1.0
    #: whether derivatives are checked against differences and transposition against jvp
    smooth: bool = True
    #: whether `specials` of all operands are tried together
    special: bool = True
    #: whether mapping is running every example alone
    mapped: bool = True
    label: str = field(default="", compare=False)

    @property
    def primitive(self):
        return registry.REGISTRY[self.name]

    def __str__(self) -> str:
        return self.label or f"{self.name}-{self.families}"

    @property
    def dtypes(self) -> list[np.dtype]:
        return [dtype_of(name) for letter in self.families for name in FAMILIES[letter]]

    @property
    def precise(self) -> list[np.dtype]:
        """One wide dtype per family."""
        return [dtype_of(FAMILIES[letter][-1]) for letter in self.families]

    def operands(self, dtype: np.dtype, variant: Variant) -> list[np.ndarray]:
        """Operands for a variant, the same at every run."""
        seed = zlib.crc32(f"{self}{dtype}{variant.shapes}".encode())
        random = np.random.default_rng(seed)
        return [
            np.asarray(span.values(dtype, shape, random))
            for span, shape in zip(self.spans, variant.shapes, strict=True)
        ]

    def tolerance(self, dtype: np.dtype) -> float:
        return TOLERANCE.get(dtype.name, 0.0) * self.loose


def elementwise_variants(count: int, **params: Any) -> tuple[Variant, ...]:
    """Arrays, scalars, empty arrays, and every mixture of one scalar with arrays."""
    found = [Variant([shape] * count, **params) for shape in ((3, 5), (), (0, 3))]
    if count > 1:
        found += [
            Variant([() if k == scalar else (2, 3) for k in range(count)], **params)
            for scalar in range(count)
        ]
    return tuple(found)


all_rows: list[Row] = []


def row(
    name: str,
    spans: Sequence[Span],
    families: str,
    variants: Sequence[Variant] = (),
    params: dict[str, Any] | None = None,
    **options: Any,
) -> Row:
    """Add a row. Without variants it is elementwise, with `params`."""
    chosen = tuple(variants) or elementwise_variants(len(spans), **(params or {}))
    label = f"{name}-{families}" + "".join(f"-{v}" for v in (params or {}).values())
    made = Row(name, tuple(spans), families, chosen, label=label, **options)
    all_rows.append(made)
    return made
