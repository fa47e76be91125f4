"""Rows of the elementwise families."""

import numpy as np

from cases.row import Span, Variant, row
from fornax.primitives import (  # noqa: F401  (registers the primitives)
    elementwise,
    gamma,
    quantile,
    special,
    threefry,
)

ANY = Span()
DISTINCT = Span(distinct=True)
POSITIVE = Span(0.2, 4.0)
UNIT = Span(-0.9, 0.9)
SHIFT = Span(integers=(0, 70))

# arithmetic
for name in ("add", "sub", "mul"):
    row(name, [ANY, ANY], "iu")
    row(name, [ANY, ANY], "fc")
row("mulhi", [Span(integers=(-(2**62), 2**62))] * 2, "iu")
row("div", [ANY, ANY], "iu")
row("div", [ANY, POSITIVE], "fc")
row("rem", [ANY, ANY], "iu")
row("rem", [ANY, POSITIVE], "f", loose=4)
for name in ("neg", "sign", "square"):
    row(name, [ANY], "iufc", smooth=name != "sign")
row("abs", [ANY], "ifc")
for name in ("max", "min"):
    row(name, [DISTINCT, Span(-2.87, 3.11, distinct=True)], "biuf")
    row(name, [ANY, ANY], "c", special=False)
row("pow", [POSITIVE, ANY], "fc", loose=8)
row("pow", [ANY, Span(integers=(-3, 4), dtype="int32")], "fc", loose=8, special=False)
for exponent in (0, 1, 2, 3, 7):
    row("integer_pow", [ANY], "iufc", params={"y": exponent}, loose=8, special=exponent < 3)
row("integer_pow", [POSITIVE], "fc", params={"y": -3}, loose=8, special=False)

# roots, exponentials, logarithms
for name in ("sqrt", "rsqrt", "log"):
    row(name, [POSITIVE], "fc", loose=4)
row("cbrt", [POSITIVE], "f", loose=2)
for name in ("exp", "exp2", "expm1", "logistic"):
    row(name, [ANY], "fc", loose=8, special=name != "expm1")
row("log1p", [Span(-0.5, 3)], "fc", loose=4)

# trigonometric and hyperbolic
for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh"):
    row(name, [UNIT], "fc", loose=8)
for name in ("asin", "acos", "atan", "asinh", "atanh"):
    row(name, [UNIT], "f", loose=8)
    row(name, [UNIT], "c", loose=8, special=False)
row("acosh", [Span(1.2, 4)], "f", loose=8)
row("acosh", [Span(1.2, 4)], "c", loose=8, special=False)
row("atan2", [ANY, ANY], "f", loose=4)
row("atan2", [ANY, ANY], "c", loose=64, special=False)

# special functions
for name in ("erf", "erfc"):
    row(name, [ANY], "f", loose=16)
row("erf_inv", [UNIT], "f", loose=16)
row("lgamma", [POSITIVE], "f", loose=64, special=False)
row("digamma", [Span(2.0, 9.0)], "f", loose=64, special=False)
row("polygamma", [Span(2.0, 2.0), POSITIVE], "f", loose=64, special=False, smooth=False)
row("zeta", [Span(1.5, 4.0), POSITIVE], "f", loose=64, special=False, smooth=False)
for name in ("bessel_i0e", "bessel_i1e"):
    row(name, [ANY], "f", loose=16, special=False)
row("igamma", [Span(0.3, 4), Span(0.1, 7)], "f", loose=200, special=False, smooth=False)
row("igammac", [Span(0.3, 4), Span(0.1, 7)], "f", loose=200, special=False, smooth=False)
row("igamma_grad_a", [Span(0.3, 4), Span(0.1, 7)], "f", loose=999, special=False, smooth=False)
row("random_gamma_grad", [Span(0.3, 4), Span(0.5, 3)], "f", loose=999, special=False, smooth=False)
BETA = [Span(0.5, 4), Span(0.5, 4), Span(0.1, 0.9)]
row("regularized_incomplete_beta", BETA, "f", loose=200, special=False, smooth=False)

# rounding and bits
for name in ("floor", "ceil"):
    row(name, [ANY], "f")
for method in (0, 1):
    row("round", [ANY], "f", params={"rounding_method": method})
row("nextafter", [ANY, ANY], "f", smooth=False)
row("is_finite", [ANY], "f")
for name in ("and", "or", "xor"):
    row(name, [ANY, ANY], "biu")
row("not", [ANY], "biu")
for name in ("shift_left", "shift_right_logical", "shift_right_arithmetic"):
    row(name, [ANY, SHIFT], "iu")
for name in ("population_count", "clz"):
    row(name, [ANY], "iu")

# comparisons, choice
for name in ("eq", "ne"):
    row(name, [ANY, ANY], "biufc")
for name in ("lt", "le", "gt", "ge", "eq_to", "lt_to", "le_to"):
    row(name, [ANY, ANY], "biuf")
WHICH = Span(dtype="bool")
row("select_n", [WHICH, ANY, ANY], "biufc", [
    Variant([(3, 4)] * 3), Variant([()] * 3), Variant([(), (2, 3), (2, 3)]), Variant([(0, 2)] * 3),
    Variant([(2, 3), (2, 3), ()]),
])  # fmt: skip
row("select_n", [Span(dtype="int32", integers=(-1, 3)), ANY, ANY, ANY], "if", [
    Variant([(3, 4)] * 4), Variant([(), (2, 3), (2, 3), (2, 3)]),
])  # fmt: skip
row("clamp", [Span(-2, -1), ANY, Span(1, 2)], "biuf", special=False)

# complex numbers
for name in ("real", "imag"):
    row(name, [ANY], "c")
row("conj", [ANY], "c", params={"input_dtype": np.dtype("complex128")})
row("complex", [ANY, ANY], "F", special=False)

# random numbers
row("erf_inv_giles", [UNIT], "f", loose=4)
WORD = Span(dtype="uint32", integers=(0, 2**32 - 1))
row("threefry2x32", [WORD] * 4, "u", [
    Variant([(5,)] * 4), Variant([(), (), (2, 3), (2, 3)]), Variant([()] * 4),
])  # fmt: skip
