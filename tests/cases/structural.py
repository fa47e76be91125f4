"""Rows of operations that move elements: shapes, slices, gather, scatter, sort."""

import numpy as np

from cases.row import Span, Variant, row
from fornax.primitives import (  # noqa: F401  (registers the primitives)
    bit_generator,
    concatenate,
    dynamic_slice,
    fft,
    gather,
    iota,
    pad,
    scatter,
    shape,
    slice,
    sort,
    stacking,
    true_positions,
)
from fornax.primitives.bit_generator import RandomAlgorithm
from fornax.primitives.fft import FftType
from fornax.primitives.windows import (
    CLIP,
    FILL_OR_DROP,
    ONE_HOT,
    PROMISE_IN_BOUNDS,
    GatherDimensionNumbers,
    ScatterDimensionNumbers,
)
from fornax.scalars import dtypes

ANY = Span(integers=(-3, 3))
DISTINCT = Span(distinct=True)
ALL = "biufc"


def start(low=-4, high=6, dtype="int32"):
    return Span(integers=(low, high), dtype=dtype)


# --- shapes ------------------------------------------------------------------------------------
def reshape(old, new):
    return Variant([old], new_sizes=new, dimensions=None, sharding=None)


row("reshape", [ANY], ALL, [
    reshape((3, 4), (4, 3)), reshape((3, 4), (2, 1, 6)), reshape((2, 3, 4), (2, 12)),
    reshape((6, 4, 5), (2, 3, 20, 1)), reshape((), (1, 1)), reshape((1, 1), ()),
    reshape((3, 0), (0, 7)), reshape((4, 6), (8, 3)),
], special=False)  # fmt: skip
row("squeeze", [ANY], ALL, [
    Variant([(1, 3, 1, 4)], dimensions=(0, 2)), Variant([(1,)], dimensions=(0,)),
    Variant([(0, 1)], dimensions=(1,)), Variant([(2, 1, 3)], dimensions=(1,)),
], special=False)  # fmt: skip
row("rev", [ANY], ALL, [
    Variant([(3, 4)], dimensions=(0,)), Variant([(3, 4)], dimensions=(1, 0)),
    Variant([(0, 2)], dimensions=(0,)),
], special=False)  # fmt: skip
row("split", [ANY], ALL, [
    Variant([(3, 4)], sizes=(1, 3), axis=1), Variant([(3, 4)], sizes=(0, 2, 1), axis=0),
    Variant([(3,)], sizes=(3,), axis=0),
], special=False)  # fmt: skip
row("stack", [ANY, ANY], ALL, [
    Variant([(3, 4), (3, 4)], axis=1), Variant([(3,), (3,)], axis=0), Variant([(), ()], axis=0),
    Variant([(0, 2), (0, 2)], axis=2), Variant([(2, 3), (2, 3)], axis=2),
], special=False)  # fmt: skip
row("unstack", [ANY], ALL, [
    Variant([(3, 4)], axis=1), Variant([(2, 3)], axis=0), Variant([(1,)], axis=0),
    Variant([(2, 0)], axis=0), Variant([(2, 3, 2)], axis=1),
], special=False)  # fmt: skip
row("tile", [ANY], ALL, [
    Variant([(2, 3)], reps=(2, 3)), Variant([(3,)], reps=(1,)), Variant([()], reps=()),
    Variant([(2, 3)], reps=(0, 1)), Variant([(0, 2)], reps=(2, 2)),
    Variant([(2, 1, 3)], reps=(1, 4, 2)),
], special=False)  # fmt: skip
row("transpose", [ANY], ALL, [
    Variant([(2, 3, 4)], permutation=(2, 0, 1)), Variant([(3, 4)], permutation=(1, 0)),
    Variant([()], permutation=()), Variant([(0, 2)], permutation=(1, 0)),
], special=False)  # fmt: skip
row("broadcast_in_dim", [ANY], ALL, [
    Variant([(3,)], shape=(2, 3), broadcast_dimensions=(1,)),
    Variant([(3, 1)], shape=(3, 2, 4), broadcast_dimensions=(0, 2)),
    Variant([()], shape=(2, 3), broadcast_dimensions=()),
    Variant([(1, 3)], shape=(0, 3), broadcast_dimensions=(0, 1)),
], special=False)  # fmt: skip
row("iota", [], "f", [
    Variant([], dtype=dtypes.as_dtype(name), shape=(3, 300), dimension=1, sharding=None)
    for name in ("int8", "uint16", "int64", "float32", "complex64")
] + [
    Variant([], dtype=dtypes.int32, shape=(2, 3, 4), dimension=0, sharding=None),
    Variant([], dtype=dtypes.int32, shape=(0,), dimension=0, sharding=None),
], smooth=False, special=False)  # fmt: skip

# --- borders and pieces ------------------------------------------------------------------------
row("pad", [ANY, ANY], ALL, [
    Variant([sizes, ()], padding_config=config)
    for sizes, config in (
        ((3, 4), ((1, 2, 0), (0, 0, 0))), ((3, 4), ((-1, 1, 0), (2, -3, 0))),
        ((3, 4), ((0, 0, 2), (1, -1, 1))), ((3, 4), ((-2, 0, 1), (-1, -1, 3))),
        ((3, 4), ((-3, 0, 0), (0, 0, 0))), ((3, 4), ((5, 5, 1), (-7, 9, 2))),
        ((0, 3), ((1, 2, 3), (0, 1, 0))), ((), ()),
    )
], special=False)  # fmt: skip
row("concatenate", [ANY, ANY, ANY], ALL, [
    Variant([(3, 1), (3, 4), (3, 2)], dimension=1), Variant([(2, 3), (0, 3), (1, 3)], dimension=0),
    Variant([(2, 1, 3)] * 3, dimension=1),
], special=False)  # fmt: skip
row("slice", [ANY], ALL, [
    Variant([(3, 4)], start_indices=a, limit_indices=z, strides=s)
    for a, z, s in (
        ((1, 0), (3, 4), None), ((0, 1), (3, 4), (2, 2)), ((2, 1), (2, 4), (2, 2)),
        ((0, 0), (3, 4), (3, 3)),
    )
], special=False)  # fmt: skip
for index in ("int32", "int64", "uint32"):
    row("dynamic_slice", [ANY, start(dtype=index), start(dtype=index)], "bifc", [
        Variant([(4, 5), (), ()], slice_sizes=sizes) for sizes in ((2, 3), (4, 1), (1, 5), (0, 2))
    ], special=False)  # fmt: skip
row("dynamic_update_slice", [ANY, ANY, start(), start()], ALL, [
    Variant([(4, 5), part, (), ()]) for part in ((2, 3), (4, 1), (4, 5), (0, 2))
], special=False)  # fmt: skip


# --- gather ------------------------------------------------------------------------------------
def gathers(mode, fill_value=None):
    """Rows of an array, single elements, windows, batching dimensions, empty batches."""
    cases = [
        ((4, 5), (3, 1), GatherDimensionNumbers((1,), (0,), (0,)), (1, 5)),
        ((4, 5), (1,), GatherDimensionNumbers((0,), (0,), (0,)), (1, 3)),
        ((4, 5), (3, 2), GatherDimensionNumbers((0, 2), (), (1, 0)), (2, 2)),
        ((4, 5), (2, 3, 2), GatherDimensionNumbers((), (0, 1), (0, 1)), (1, 1)),
        ((4, 5), (4, 1), GatherDimensionNumbers((1,), (), (1,), (0,), (0,)), (1, 2)),
        ((4, 5), (2, 4, 1), GatherDimensionNumbers((1,), (), (1,), (0,), (1,)), (1, 2)),
        ((4, 5), (2, 0), GatherDimensionNumbers((0, 1), (), ()), (2, 5)),
        ((4, 5), (0, 1), GatherDimensionNumbers((1,), (0,), (0,)), (1, 5)),
    ]
    return [
        Variant(
            [operand, indices], dimension_numbers=numbers, slice_sizes=sizes, mode=mode,
            fill_value=fill_value, unique_indices=False, indices_are_sorted=False,
        )
        for operand, indices, numbers, sizes in cases
    ]  # fmt: skip


for mode, spread in ((CLIP, 6), (FILL_OR_DROP, 6), (ONE_HOT, 6), (PROMISE_IN_BOUNDS, 0)):
    low = -spread
    high = spread if spread else 2
    smooth = mode is not FILL_OR_DROP  # NaN has no differences
    row("gather", [ANY, start(low, high)], ALL, gathers(mode), smooth=smooth, special=False)
row("gather", [ANY, start(-5, 7, "int8")], ALL, gathers(FILL_OR_DROP, 1), special=False)
row("gather", [ANY, start(0, 7, "uint64")], "f", gathers(CLIP), special=False)


# --- scatter -----------------------------------------------------------------------------------
def scatters(mode, unique=False, **program):
    """The same places as `gathers`, written to. Promised unique: one index vector each."""
    cases = [
        ((4, 5), (1,), (5,), ScatterDimensionNumbers((0,), (0,), (0,))),
        ((4, 5), (1,), (2,), ScatterDimensionNumbers((0,), (0,), (0,))),
        ((4, 5), (4, 1), (4, 2), ScatterDimensionNumbers((1,), (), (1,), (0,), (0,))),
    ]
    if not unique:
        cases += [
            ((4, 5), (3, 1), (3, 5), ScatterDimensionNumbers((1,), (0,), (0,))),
            ((4, 5), (3, 2), (2, 3, 2), ScatterDimensionNumbers((0, 2), (), (1, 0))),
            ((4, 5), (2, 5, 2), (2, 5), ScatterDimensionNumbers((), (0, 1), (0, 1))),
            ((4, 5), (2, 4, 1), (2, 2, 4), ScatterDimensionNumbers((1,), (), (1,), (0,), (1,))),
            ((4, 5), (2, 0), (2, 4, 5), ScatterDimensionNumbers((1, 2), (), ())),
            ((4, 5), (0, 1), (0, 5), ScatterDimensionNumbers((1,), (0,), (0,))),
        ]
    return [
        Variant(
            [operand, indices, updates], dimension_numbers=numbers, mode=mode,
            unique_indices=unique, indices_are_sorted=False, **program,
        )
        for operand, indices, updates, numbers in cases
    ]  # fmt: skip


for mode in (CLIP, FILL_OR_DROP):
    spans = [ANY, start(-2, 4), ANY]
    plain = {"update_jaxpr": None}
    row("scatter", spans, ALL, scatters(mode, **plain), special=False)
    row("scatter", spans, "f", scatters(mode, True, **plain), special=False)
    row("scatter-add", spans, "iufc", scatters(mode), loose=8, special=False)
    row("scatter-sub", spans, "iufc", scatters(mode), loose=8, special=False)
    row("scatter-mul", spans, "iufc", scatters(mode), loose=8, smooth=False, special=False)
    row("scatter-mul", spans, "fc", scatters(mode, True), special=False)
    for name in ("scatter-min", "scatter-max"):
        row(name, spans, "biu", scatters(mode), special=False)
        row(name, [DISTINCT, start(-2, 4), Span(-2.9, 2.9, distinct=True)], "f", scatters(mode),
            special=False)  # fmt: skip

# --- sort --------------------------------------------------------------------------------------
ONE = [
    Variant([(3, 4)], dimension=1, is_stable=True, num_keys=1),
    Variant([(5, 2)], dimension=0, is_stable=True, num_keys=1),
    Variant([(0, 2)], dimension=0, is_stable=True, num_keys=1),
]
row("sort", [DISTINCT], "iuf", ONE, special=False)
row("sort", [ANY], "bc", ONE, smooth=False, special=False)
row("sort", [start(0, 2), start(0, 2), ANY], "f", [
    Variant([(3, 8)] * 3, dimension=1, is_stable=True, num_keys=keys) for keys in (1, 2)
], special=False)  # fmt: skip
row("top_k", [DISTINCT], "biuf", [
    Variant([(3, 4)], k=2, axis=1), Variant([(5, 2)], k=5, axis=0), Variant([(3,)], k=0, axis=0),
], smooth=False, special=False)  # fmt: skip

row("true_positions", [ANY], "b", [
    Variant([(7,)], wanted=7, index_dtype=np.dtype("int32")),
    Variant([(5,)], wanted=2, index_dtype=np.dtype("int32")),
    Variant([(0,)], wanted=3, index_dtype=np.dtype("int32")),
], smooth=False, special=False)  # fmt: skip

# --- Fourier transforms along one axis ---------------------------------------------------------
row("dft", [ANY], "c", [
    Variant([(4, 6)], kind=kind, axis=0, length=4, whole=24) for kind in (FftType.FFT, FftType.IFFT)
], loose=30, smooth=False, special=False)  # fmt: skip
for kind, family, sizes in (
    ("FFT", "c", (12, 3)), ("IFFT", "c", (10, 3)), ("RFFT", "F", (3, 6)), ("IRFFT", "c", (3, 4))
):  # fmt: skip
    axis = int(kind.endswith("RFFT"))
    length = 2 * (sizes[axis] - 1) if kind == "IRFFT" else sizes[axis]
    row("dft", [ANY], family, [
        Variant([sizes], kind=FftType[kind], axis=axis, length=length, whole=0),
        Variant([(0, 5)], kind=FftType[kind], axis=1, length=8 if kind == "IRFFT" else 5,
                whole=0),
    ], loose=30, smooth=False, special=False)  # fmt: skip

# --- bits --------------------------------------------------------------------------------------
for state, size in (("uint32", 4), ("uint64", 2)):
    row("rng_bit_generator", [Span(integers=(0, 2**40), dtype=state)], "b", [
        Variant([(size,)], shape=sizes, dtype=np.dtype(dtype), algorithm=RandomAlgorithm(kind))
        for kind in (0, 1) for sizes in ((), (3, 3), (2, 5), (0, 2), (1, 3, 5))
        for dtype in ("uint8", "uint32", "uint64")
    ], smooth=False, special=False, mapped=False)  # fmt: skip
