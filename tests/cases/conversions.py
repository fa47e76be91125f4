"""Rows of conversions."""

import numpy as np

from cases.row import FAMILIES, Span, Variant, dtype_of, row
from fornax.primitives import convert  # noqa: F401  (registers the primitives)

ANY = Span()
EVERY = [dtype_of(name) for letter in "biufc" for name in FAMILIES[letter]]

row("convert_element_type", [ANY], "biufc", [
    *(Variant([(3, 2)], new_dtype=dtype, weak_type=False) for dtype in EVERY),
    Variant([()], new_dtype=np.dtype("float64"), weak_type=False),
], smooth=False)  # fmt: skip
row("convert_element_type", [ANY], "fc", [
    Variant([(3, 2)], new_dtype=np.dtype(name), weak_type=False)
    for name in ("float64", "complex128")
])  # fmt: skip
for name, new in (
    ("uint8", "int8"), ("float16", "uint16"), ("bfloat16", "int16"), ("int16", "bfloat16"),
    ("uint16", "float16"), ("float32", "uint32"), ("int64", "float64"), ("float64", "uint64"),
):  # fmt: skip
    row("bitcast_convert_type", [Span(dtype=name)], "b", [
        Variant([(3, 4)], new_dtype=dtype_of(new)), Variant([()], new_dtype=dtype_of(new)),
    ])  # fmt: skip
for name, new in (("float64", "uint8"), ("float32", "bfloat16"), ("uint16", "int8")):
    row("bitcast_convert_type", [Span(dtype=name)], "b", [
        Variant([(3, 2)], new_dtype=dtype_of(new)), Variant([()], new_dtype=dtype_of(new)),
    ], special=False)  # fmt: skip
for name, new, parts in (("uint8", "float64", 8), ("bfloat16", "float32", 2)):
    row("bitcast_convert_type", [Span(dtype=name)], "b", [
        Variant([(3, parts)], new_dtype=dtype_of(new)),
        Variant([(parts,)], new_dtype=dtype_of(new)),
    ], special=False)  # fmt: skip
for exponent, mantissa in ((5, 10), (8, 7), (4, 3), (11, 52)):
    row("reduce_precision", [ANY], "f", smooth=exponent == 11,
        params={"exponent_bits": exponent, "mantissa_bits": mantissa})  # fmt: skip
row("copy", [ANY], "biufc")
row("stop_gradient", [ANY], "biufc", smooth=False)
