"""The mathematical functions against 140-digit arithmetic, and their special values."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import scipy.special
from elementwise import Elementwise
from math_truth import ONE, errors, pairs, ranges, samples

from fornax._native import reachable
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import BASIC, MATH, Pair
from fornax.compiler.loop.math import FUNCTIONS, expand
from fornax.errors import InternalError

DTYPES = ("float32", "float64")
#: exact values of these are slow to find
SLOW = {"lgamma", "digamma", "erf_inv", "bessel_i0e", "bessel_i1e", "erfc"}
TWO = {"pow", "atan2", "hypot", "nextafter"}
INF, NAN = math.inf, math.nan


@cache
def compiled(name: str, dtype: str, fma: bool = True) -> Elementwise:
    count = 2 if name in TWO else 1
    return Elementwise(lambda b, *x: b.op(name, *x), (dtype,) * count, fma)


def report(label: str, found: np.ndarray) -> float:
    """Print a histogram of errors; the largest."""
    counts, edges = np.histogram(np.minimum(found, 99), [0, 0.5, 1, 1.5, 2, 3, 4, 100])
    bars = " ".join(f"<{edge:g}:{n}" for n, edge in zip(counts, edges[1:], strict=True) if n)
    print(f"{label}: max {found.max():.3f} ulp  {bars}")
    return float(found.max())


def test_every_function_is_expanded():
    assert set(FUNCTIONS) == MATH


@pytest.mark.parametrize("fma", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(ONE))
def test_accuracy(name, dtype, fma):
    count = 150 if name in SLOW else 1000
    f = compiled(name, dtype, fma)
    for i, where in enumerate(ranges(name, dtype)):
        x = samples(where, dtype, count if fma else count // 4, i)
        found = errors(f(x), name, x, least=where.least)
        worst = report(f"{name} {dtype} {where.low:g} … {where.high:g}", found)
        limit = where.limit if fma else where.limit + 2
        assert worst <= limit, f"{worst:.3f} ulp at {x[np.argmax(found)]!r}"


@pytest.mark.parametrize("fma", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["pow", "atan2", "hypot"])
def test_accuracy_of_two(name, dtype, fma):
    f = compiled(name, dtype, fma)
    for label, x, y in pairs(name, dtype, 1000 if fma else 250):
        found = errors(f(x, y), name, x, y)
        worst = report(f"{name} {dtype} {label}", found)
        at = int(np.argmax(found))
        assert worst <= 2, f"{worst:.3f} ulp at {x[at]!r}, {y[at]!r}"


#: function -> (argument, result), the results as the C standard and SciPy have them
SPECIAL = {
    "exp": [(INF, INF), (-INF, 0.0), (0.0, 1.0), (-0.0, 1.0), (1e5, INF), (-1e5, 0.0)],
    "exp2": [(INF, INF), (-INF, 0.0), (10.0, 1024.0), (-3.0, 0.125), (1e5, INF)],
    "expm1": [(INF, INF), (-INF, -1.0), (0.0, 0.0), (-0.0, -0.0), (1e5, INF), (-1e5, -1.0)],
    "log": [(INF, INF), (0.0, -INF), (-0.0, -INF), (1.0, 0.0), (-1.0, NAN), (-INF, NAN)],
    "log2": [(INF, INF), (0.0, -INF), (1.0, 0.0), (1024.0, 10.0), (2.0**-126, -126.0),
             (-1.0, NAN)],
    "log1p": [(INF, INF), (-1.0, -INF), (0.0, 0.0), (-0.0, -0.0), (-2.0, NAN), (-INF, NAN)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN)],
    "tan": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN)],
    "asin": [(0.0, 0.0), (-0.0, -0.0), (1.5, NAN), (-INF, NAN)],
    "acos": [(1.0, 0.0), (1.5, NAN), (-1.5, NAN), (INF, NAN)],
    "atan": [(0.0, 0.0), (-0.0, -0.0)],
    "sinh": [(INF, INF), (-INF, -INF), (0.0, 0.0), (-0.0, -0.0), (1e5, INF), (-1e5, -INF)],
    "cosh": [(INF, INF), (-INF, INF), (0.0, 1.0), (1e5, INF)],
    "tanh": [(INF, 1.0), (-INF, -1.0), (0.0, 0.0), (-0.0, -0.0), (50.0, 1.0), (-50.0, -1.0)],
    "asinh": [(INF, INF), (-INF, -INF), (0.0, 0.0), (-0.0, -0.0)],
    "acosh": [(INF, INF), (1.0, 0.0), (0.5, NAN), (-INF, NAN), (0.0, NAN)],
    "atanh": [(1.0, INF), (-1.0, -INF), (0.0, 0.0), (-0.0, -0.0), (1.5, NAN), (INF, NAN)],
    "logistic": [(INF, 1.0), (-INF, 0.0), (0.0, 0.5), (1e5, 1.0), (-1e5, 0.0)],
    "erf": [(INF, 1.0), (-INF, -1.0), (0.0, 0.0), (-0.0, -0.0), (50.0, 1.0)],
    "erfc": [(INF, 0.0), (-INF, 2.0), (0.0, 1.0), (50.0, 0.0), (-50.0, 2.0)],
    "erf_inv": [(1.0, INF), (-1.0, -INF), (0.0, 0.0), (-0.0, -0.0), (1.5, NAN), (-INF, NAN)],
    "lgamma": [(INF, INF), (-INF, INF), (0.0, INF), (-0.0, INF), (-1.0, INF), (-7.0, INF),
               (1.0, 0.0), (2.0, 0.0)],
    "digamma": [(INF, INF), (0.0, NAN), (-0.0, NAN), (-1.0, NAN), (-INF, NAN)],
    "rsqrt": [(INF, 0.0), (0.0, INF), (-0.0, -INF), (-1.0, NAN), (4.0, 0.5)],
    "cbrt": [(INF, INF), (-INF, -INF), (0.0, 0.0), (-0.0, -0.0), (27.0, 3.0), (-8.0, -2.0)],
    "bessel_i0e": [(INF, 0.0), (-INF, 0.0), (0.0, 1.0)],
    "bessel_i1e": [(INF, 0.0), (-INF, -0.0), (0.0, 0.0), (-0.0, -0.0)],
    "sign": [(INF, 1.0), (-INF, -1.0), (0.0, 0.0), (-0.0, -0.0), (3.0, 1.0), (-3.0, -1.0)],
    "round_away": [(INF, INF), (-INF, -INF), (-0.0, -0.0), (0.5, 1.0), (-0.5, -1.0), (2.5, 3.0),
                   (-2.4, -2.0), (0.25, 0.0), (-0.25, -0.0), (0.49999997, 0.0), (3e18, 3e18)],
}  # fmt: skip


def same(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Equal, the sign of zero and being NaN included."""
    zeros = np.signbit(got) == np.signbit(want)
    return np.where(np.isnan(want), np.isnan(got), (got == want) & zeros)


@pytest.mark.parametrize("fma", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(SPECIAL))
def test_special_values(name, dtype, fma):
    x, want = np.array([*SPECIAL[name], (NAN, NAN)]).T.astype(dtype)
    with np.errstate(all="ignore"):
        want = want.astype(dtype)
    got = compiled(name, dtype, fma)(x)
    assert np.all(same(got, want)), [*zip(x, got, want, strict=True)]


ODD = ("sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "expm1", "log1p", "cbrt")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ODD)
def test_denormals(name, dtype):
    """Functions with slope one at zero give denormals back; cbrt cubes to them."""
    smallest = np.finfo(dtype).smallest_subnormal
    x = np.array([1, -1, 2, 5, 1000, -77777], dtype) * smallest
    got = compiled(name, dtype)(x)
    if name == "cbrt":
        assert errors(got, name, x).max() < 0.51
    else:
        assert np.array_equal(got, x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_results_that_are_denormal(dtype):
    wide = np.longdouble if dtype == "float64" else np.float64
    low, normal = (-745, -709) if dtype == "float64" else (-103.9, -87.4)
    x = np.linspace(low, normal, 999).astype(dtype)
    smallest = wide(np.finfo(dtype).smallest_subnormal)
    for name, want in (("exp", np.exp(x.astype(wide))), ("logistic", np.exp(x.astype(wide)))):
        apart = np.abs(compiled(name, dtype)(x).astype(wide) - want) / smallest
        assert np.max(apart) <= 1, name


@pytest.mark.parametrize("fma", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(TWO))
def test_special_values_of_two(name, dtype, fma):
    ends = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 1e30, -1e30, INF, -INF, NAN]
    x, y = (grid.ravel() for grid in np.meshgrid(np.array(ends, dtype), np.array(ends, dtype)))
    reference = {"pow": np.power, "atan2": np.arctan2, "hypot": np.hypot,
                 "nextafter": np.nextafter}[name]  # fmt: skip
    with np.errstate(all="ignore"):
        want = reference(x, y)
    got = compiled(name, dtype, fma)(x, y)
    exact = same(got, want)
    inner = np.isfinite(want) & (want != 0) & (name != "nextafter")
    with np.errstate(all="ignore"):
        close = np.abs(got - want) <= 2 * np.spacing(np.abs(want))
    wrong = ~(exact | (inner & close))
    assert not wrong.any(), [*zip(x[wrong], y[wrong], got[wrong], want[wrong], strict=True)][:9]


def test_hard_arguments():
    """The float64 and float32 that come closest to a multiple of pi/2, and the largest ones."""
    x = np.array([6381956970095103 * 2.0**797, 1e22, np.finfo(float).max])
    for name, low in (("sin", 0.0), ("cos", 0.0), ("tan", 0.0)):
        assert errors(compiled(name, "float64")(x), name, x, least=low).max() <= 2
    x = np.array([16367173 * 2.0**72, 3.4028235e38, 2.0**17, 131071.99], np.float32)
    for name in ("sin", "cos", "tan"):
        assert errors(compiled(name, "float32")(x), name, x).max() <= 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_exact_cases(dtype):
    whole = np.arange(-200, 201).astype(dtype)
    assert np.array_equal(compiled("cbrt", dtype)(whole**3), whole)
    powers = np.arange(-120, 121).astype(dtype)
    assert np.array_equal(compiled("exp2", dtype)(powers), 2.0 ** powers.astype(np.float64))
    assert np.array_equal(compiled("log2", dtype)((2.0**powers).astype(dtype)), powers)
    three, four = np.array([3, 3e30, 3e-30], dtype), np.array([4, 4e30, 4e-30], dtype)
    assert np.allclose(compiled("hypot", dtype)(three, four), [5, 5e30, 5e-30], rtol=3e-7, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_is_finite(dtype):
    x = np.array([0, 1, np.finfo(dtype).max, INF, -INF, NAN], dtype)
    assert compiled("is_finite", dtype)(x).astype(bool).tolist() == [True] * 3 + [False] * 3


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint64"])
def test_sign_of_integers(dtype):
    info = np.iinfo(dtype)
    x = np.array([info.min, 0, 1, 5, info.max], dtype)
    assert np.array_equal(compiled("sign", dtype)(x), np.sign(x))


def test_expand_walks_deep_graphs_and_keeps_forms():
    b = Builder()
    x = b.const(0.5, "float32")
    value = b.node("load", "float32", None, ())
    for _ in range(3000):
        value = b.add(b.mul(value, x), x)
    value = b.exp(value)
    left, pair = expand(b, [value, Pair(value, b.sin(value))])
    assert isinstance(pair, Pair) and pair.real is left
    assert all(n.data in BASIC for n in reachable([left, *pair]) if n.kind == "op")
    assert all(n.data != "fma" for n in reachable([expand(b, value, fma=False)]) if n.kind == "op")


def test_integers_are_refused():
    b = Builder()
    with pytest.raises(InternalError, match="exp of int32"):
        expand(b, b.node("op", "int32", "exp", (b.node("load", "int32", None, ()),)))


REFERENCE = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log2": np.log2,
    "log1p": np.log1p, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "erf": scipy.special.erf,
    "erfc": scipy.special.erfc, "erf_inv": scipy.special.erfinv, "logistic": scipy.special.expit,
    "cbrt": np.cbrt, "rsqrt": lambda x: 1 / np.sqrt(x),
    "bessel_i0e": scipy.special.i0e, "bessel_i1e": scipy.special.i1e,
}  # fmt: skip


@pytest.mark.sweep
@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_sweep_float32(name):
    """One float32 bit pattern in 61, all exponents, against float64."""
    worst, step = 0.0, 1 << 22
    f = compiled(name, "float32")
    for start in range(0, 1 << 32, step * 61):
        last = min(start + step * 61, 1 << 32)
        x = np.arange(start, last, 61, np.uint64).astype(np.uint32).view(np.float32)
        with np.errstate(all="ignore"):
            want = REFERENCE[name](x.astype(np.float64))
            got, near = f(x), want.astype(np.float32)
            apart = np.abs(got.astype(np.float64) - want) / np.spacing(np.abs(near))
        right = same(got, near) | (np.isnan(got) & np.isnan(near))
        finite = np.isfinite(near) & np.isfinite(got)
        found = np.where(right & ~finite, 0, np.where(finite, apart, np.inf))
        worst = max(worst, report(f"{name} from {x[0]!r}", found))
    assert worst <= 2
