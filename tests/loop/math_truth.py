"""Exact values of the mathematical functions, and samples that cover their arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from mpmath import mp, mpf

mp.prec = 140


def logistic(x: mpf) -> mpf:
    return 1 / (1 + mp.exp(-x)) if x > 0 else mp.exp(x) / (1 + mp.exp(x))


def trigonometric(f: Callable) -> Callable:
    """Enough digits to reduce the largest float64."""

    def exact(x: mpf) -> mpf:
        with mp.workprec(1400 if abs(x) > 1e9 else 200):
            return f(x)

    return exact


def inverse_erf(y: mpf) -> mpf:
    """By Newton's method: on erf below 1/2, on erfc above, which keeps its digits next to 1."""
    size = abs(y)
    if size in (0, 1):
        return y * mp.inf if size else y
    x = size * mp.sqrt(mp.pi) / 2 if size < 0.9 else mp.sqrt(-mp.log(1 - size))
    for _ in range(99):
        rest = size - mp.erf(x) if size < 0.5 else mp.erfc(x) - (1 - size)
        step = rest * mp.sqrt(mp.pi) / 2 * mp.exp(x * x)
        x += step
        if abs(step) < x * mpf(2) ** -110:
            break
    return mp.sign(y) * x


def hypotenuse(x: mpf, y: mpf) -> mpf:
    return mp.sqrt(x * x + y * y)


EXACT: dict[str, Callable] = {
    "exp": mp.exp, "exp2": lambda x: mpf(2) ** x, "expm1": mp.expm1, "log": mp.log,
    "log2": lambda x: mp.log(x, 2), "log1p": mp.log1p, "logistic": logistic,
    "sin": trigonometric(mp.sin), "cos": trigonometric(mp.cos), "tan": trigonometric(mp.tan),
    "asin": mp.asin, "acos": mp.acos, "atan": mp.atan, "atan2": mp.atan2,
    "sinh": mp.sinh, "cosh": mp.cosh, "tanh": mp.tanh, "asinh": mp.asinh, "acosh": mp.acosh,
    "atanh": mp.atanh, "erf": mp.erf, "erfc": mp.erfc, "erf_inv": inverse_erf,
    "pow": lambda x, y: x**y, "rsqrt": lambda x: 1 / mp.sqrt(x),
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)), "hypot": hypotenuse,
    "lgamma": lambda x: mp.loggamma(x).real, "digamma": mp.digamma,
    "bessel_i0e": lambda x: mp.besseli(0, x) * mp.exp(-abs(x)),
    "bessel_i1e": lambda x: mp.besseli(1, x) * mp.exp(-abs(x)),
}  # fmt: skip


@dataclass(frozen=True)
class Range:
    """Arguments between `low` and `high`, evenly or by magnitude, and the error allowed there.

    `least`: results smaller than this are measured as if they were as large (near zeros where
    nothing but the absolute error can be kept).
    """

    low: float
    high: float
    limit: float = 2.0
    by_magnitude: bool = False
    least: float = 0.0


def R(*args, **keywords) -> Range:
    return Range(*args, **keywords)


#: function -> {dtype or "": ranges}. "" holds for both dtypes.
ONE: dict[str, dict[str, tuple[Range, ...]]] = {
    "exp": {"": (R(-1, 1),), "float32": (R(-103.9, 88.7),), "float64": (R(-745, 709.7),)},
    "exp2": {"": (R(-1, 1),), "float32": (R(-149, 127.9),), "float64": (R(-1074, 1023.9),)},
    "expm1": {"": (R(-1, 1), R(-50, 88.7), R(1e-30, 1e-3, by_magnitude=True)),
              "float64": (R(0, 709.7),)},
    "logistic": {"": (R(-20, 20), R(-1, 1)), "float32": (R(-103, 88),),
                 "float64": (R(-744, 700),)},
    "tanh": {"": (R(-1, 1), R(-20, 20), R(1e-38, 1, by_magnitude=True))},
    "sinh": {"": (R(-2, 2), R(-89, 89), R(1e-38, 1, by_magnitude=True)),
             "float64": (R(-710, 710),)},
    "cosh": {"": (R(-2, 2), R(-89, 89)), "float64": (R(-710, 710),)},
    "log": {"": (R(0.25, 4), R(1e-44, 3e38, by_magnitude=True)),
            "float64": (R(5e-324, 1e308, by_magnitude=True),)},
    "log2": {"": (R(0.25, 4), R(1e-44, 3e38, by_magnitude=True)),
             "float64": (R(5e-324, 1e308, by_magnitude=True),)},
    "log1p": {"": (R(-0.99, 4), R(1e-38, 3e38, by_magnitude=True))},
    "rsqrt": {"": (R(1e-44, 3e38, by_magnitude=True),)},
    "cbrt": {"": (R(-8, 8, 0.51), R(1e-44, 3e38, 0.51, by_magnitude=True))},
    **{name: {"": (R(-10, 10), R(-1e5, 1e5), R(1e-38, 3e38, by_magnitude=True)),
              "float64": (R(1e38, 1.7e308, by_magnitude=True),)}
       for name in ("sin", "cos", "tan")},
    "asin": {"": (R(-1, 1), R(1e-38, 1, by_magnitude=True))},
    "acos": {"": (R(-1, 1),)},
    "atan": {"": (R(-3, 3), R(1e-38, 3e38, by_magnitude=True))},
    "asinh": {"": (R(-3, 3), R(1e-38, 3e38, by_magnitude=True)),
              "float64": (R(1e38, 1.7e308, by_magnitude=True),)},
    "acosh": {"": (R(1, 3), R(1, 3e38, by_magnitude=True)),
              "float64": (R(1e38, 1.7e308, by_magnitude=True),)},
    "atanh": {"": (R(-1, 1), R(1e-38, 1, by_magnitude=True))},
    "erf": {"": (R(-1, 1), R(-6, 6), R(1e-38, 1, by_magnitude=True))},
    "erfc": {"float32": (R(-4, 10),), "float64": (R(-6, 26.5, 3.5), R(0, 3, 3.5))},
    "erf_inv": {"": (R(-0.999, 0.999), R(0.9, 0.9999999), R(1e-38, 1, by_magnitude=True))},
    "lgamma": {"": (R(1e-30, 1e4, 4, by_magnitude=True), R(0.1, 12, 4),
                    R(-8.99, -0.01, 4, least=1))},
    "digamma": {"": (R(1e-30, 1e4, 3, by_magnitude=True), R(0.1, 12, 3, least=0.25),
                     R(-8.99, -0.01, 4, least=4))},
    "bessel_i0e": {"": (R(-10, 10, 3), R(8, 1e6, 3, by_magnitude=True))},
    "bessel_i1e": {"": (R(-10, 10, 3), R(8, 1e6, 3, by_magnitude=True))},
}  # fmt: skip


def ranges(name: str, dtype: str) -> tuple[Range, ...]:
    table = ONE[name]
    return table.get("", ()) + table.get(dtype, ())


def samples(where: Range, dtype: str, count: int, seed: int) -> np.ndarray:
    """Random arguments of a range, its ends among them."""
    random = np.random.default_rng(seed)
    if where.by_magnitude:
        logs = random.uniform(np.log(where.low), np.log(where.high), count)
        x = np.clip(np.exp(logs), where.low, where.high)
    else:
        x = random.uniform(where.low, where.high, count)
    x[:2] = where.low, where.high
    if dtype == "float32":
        x = np.clip(x, -3.4e38, 3.4e38)
    return x.astype(dtype)


def pairs(name: str, dtype: str, count: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Arguments of the functions of two: (what they are, first, second)."""
    random = np.random.default_rng(7)
    wide = dtype == "float64"
    sign = random.choice([-1.0, 1.0], (2, count))
    logs = np.exp(random.uniform(-80, 80, (2, count)))
    near = random.normal(size=count)
    if name != "pow":
        yield "normal", *random.normal(size=(2, count)).astype(dtype)
        yield "any size", *(sign * logs).astype(dtype)
        yield "alike", near.astype(dtype), (near * (1 + 0.3 * sign[0])).astype(dtype)
        return
    yield "moderate", logs[0].astype(dtype) ** 0.1, random.uniform(-9, 9, count).astype(dtype)
    base = 1 + random.uniform(-1e-3, 1e-3, count)
    power = random.uniform(-1, 1, count) * (7e5 if wide else 8e4)
    yield "near one", base.astype(dtype), power.astype(dtype)
    base = np.exp(random.uniform(-1, 1, count) * (700 if wide else 87)).astype(dtype)
    yield "large and small", base, random.uniform(-1, 1, count).astype(dtype)
    whole = random.integers(-12, 12, (2, count)).astype(dtype)
    whole[0][whole[0] == 0] = 3
    yield "integers", *whole


def errors(got: np.ndarray, name: str, *arguments: np.ndarray, least: float = 0.0) -> np.ndarray:
    """Errors in units in the last place of the exact result."""
    exact, dtype = EXACT[name], got.dtype
    info = np.finfo(dtype)
    found = np.empty(got.size)
    for i, values in enumerate(zip(*arguments, strict=True)):
        value = exact(*(mpf(float(v)) for v in values))
        if mp.isinf(value):
            found[i] = 0 if float(value) == got[i] else np.inf
            continue
        exponent = mp.frexp(max(abs(value), mpf(least)))[1] - 1 if value or least else -2000
        unit = mp.ldexp(mpf(1), max(int(exponent), info.minexp) - info.nmant)
        if np.isinf(got[i]):  # right when the exact value rounds to infinity
            edge = mpf(float(info.max)) + unit / 2
            found[i] = 0.5 if value * mp.sign(float(got[i])) >= edge else np.inf
        elif np.isnan(got[i]):
            found[i] = np.inf
        else:
            found[i] = float(abs(mpf(float(got[i])) - value) / unit)
    return found
