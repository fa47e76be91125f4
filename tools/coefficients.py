"""Writes `compiler/loop/math_coefficients.py`: every polynomial of the mathematical functions.

    python tools/coefficients.py            # all of them, some minutes
    python tools/coefficients.py LOG SIN    # these; the others stay as they are

A row gives the function, the powers of the polynomial, the interval, the weight of the error and
the coefficients that are prescribed. `tools/minimax.py` finds the rest. The comment above each
table states the largest weighted error that was reached, for float32 and float64.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from minimax import fit, rounded
from mpmath import mp, mpf

mp.dps = 50
HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "src/fornax/compiler/loop/math_coefficients.py"
BITS = {"float32": 24, "float64": 53}


@dataclass
class Polynomial:
    """One table: the same function for some formats, with the powers for each."""

    text: str
    f: Callable
    powers: dict[str, Sequence[int]]
    low: object
    high: object
    weight: Callable = lambda x: mpf(1)
    fixed: dict = field(default_factory=dict)
    #: dtype -> {power: value}: the fit changed in its last digits so that rounding does least harm
    tuned: dict[str, dict[int, float]] = field(default_factory=dict)
    split: bool = False  # the first coefficient is prescribed and takes two places: high, low

    def rows(self) -> tuple[dict[str, list[float]], str]:
        found, errors = {}, []
        for dtype, powers in self.powers.items():
            low, high = (e[dtype] if isinstance(e, dict) else e for e in (self.low, self.high))
            values, error = fit(self.f, powers, low, high, BITS[dtype[:7]], self.weight, self.fixed)
            for power, value in self.tuned.get(dtype, {}).items():
                values[list(powers).index(power)] = mpf(value)
            if self.split:
                high = rounded(values[0], BITS[dtype[:7]])
                values[:1] = [high, rounded(values[0] - high, BITS[dtype[:7]])]
            found[dtype] = [float(v) for v in values]
            errors.append(f"2^{float(mp.log(error, 2)):.1f}")
        return found, f"{self.text}; largest error {', '.join(errors)}."


@dataclass
class Parts:
    """A constant as a sum of floats; each has `digits` binary digits (None: all)."""

    text: str
    value: object
    digits: dict[str, Sequence[int | None]]

    def rows(self) -> tuple[dict[str, list[float]], str]:
        found = {}
        for dtype, digits in self.digits.items():
            rest, values = mpf(self.value), []
            for count in digits:
                part = rounded(rest, count or BITS[dtype[:7]])
                values.append(float(part))
                rest -= part
            found[dtype] = values
        return found, self.text


def relative(f: Callable) -> Callable:
    """The weight of relative errors."""
    return lambda x: 1 / f(x)


LN2 = mp.log(2)
ROW: dict = {}  # name -> an object with `rows`
ROW["EXP"] = Polynomial(
    "exp(x), |x| <= 1.01 ln 2, relative",
    mp.exp,
    {"float32": range(8), "float64": range(14)},
    -LN2 * mpf("1.01"),
    LN2 * mpf("1.01"),
    relative(mp.exp),
    {0: 1, 1: 1},
)
ROW["EXP2"] = Polynomial(
    "2^x, |x| <= 1.01, relative",
    lambda x: mpf(2) ** x,
    {"float32": range(8), "float64": range(14)},
    mpf("-1.01"),
    mpf("1.01"),
    lambda x: mpf(2) ** -x,
    {0: 1},
)
ROW["EXPM1"] = Polynomial(
    "expm1(x), |x| <= 1.01 ln 2, relative; from x^1",
    mp.expm1,
    {"float32": range(1, 9), "float64": range(1, 15)},
    -LN2 * mpf("1.01"),
    LN2 * mpf("1.01"),
    relative(mp.expm1),
    {1: 1},
)
ROW["EXP_NARROW"] = Polynomial(
    "exp(x), |x| <= 1.01 ln 2 / 2, relative",
    mp.exp,
    {"float32": range(7), "float64": range(12)},
    -LN2 * mpf("0.505"),
    LN2 * mpf("0.505"),
    relative(mp.exp),
    {0: 1},
)
ROW["EXP_DOUBLED"] = Polynomial(
    "exp(2 x), |x| <= 1.01 ln 2 / 4, relative",
    lambda x: mp.exp(2 * x),
    {"float32": range(7), "float64": range(12)},
    -LN2 * mpf("0.2525"),
    LN2 * mpf("0.2525"),
    lambda x: mp.exp(-2 * x),
    {0: 1},
)
ROW["TANH"] = Polynomial(
    "tanh(x), |x| <= 0.56, relative; odd powers",
    mp.tanh,
    {"float32": range(1, 10, 2), "float64": range(1, 24, 2)},
    mpf("1e-6"),
    mpf("0.56"),
    relative(mp.tanh),
    {1: 1},
)
ROW["SINH"] = Polynomial(
    "sinh(x), |x| <= 1, relative; odd powers",
    mp.sinh,
    {"float32": range(1, 10, 2), "float64": range(1, 18, 2)},
    mpf("1e-6"),
    mpf(1),
    relative(mp.sinh),
    {1: 1},
)
ROW["EXPM1_NARROW"] = Polynomial(
    "expm1(x), |x| <= 1.01 ln 2 / 2, relative; from x^1",
    mp.expm1,
    {"float32": range(1, 7), "float64": range(1, 13)},
    -LN2 * mpf("0.505"),
    LN2 * mpf("0.505"),
    relative(mp.expm1),
    {1: 1},
)
ROW["LN2_PARTS"] = Parts(
    "ln 2; the first part times an integer of 9 (11) digits is exact",
    LN2,
    {"float32": (15, None), "float64": (42, None)},
)
ROW["LOG"] = Polynomial(
    "log(1 + x), -1/3 <= x <= 1/3, relative; from x^1",
    mp.log1p,
    {"float32": range(1, 11)},
    mpf(-1) / 3,
    mpf(1) / 3,
    relative(mp.log1p),
    {1: 1},
)
ROW["LOG2"] = Polynomial(
    "log2(1 + x) - x, -1/3 <= x <= 1/3, relative to log2(1 + x); from x^1",
    lambda x: mp.log1p(x) / LN2 - x,
    {"float32": range(1, 11)},
    mpf(-1) / 3,
    mpf(1) / 3,
    lambda x: LN2 / mp.log1p(x),
)


def log_ratio(z: mpf) -> mpf:
    """(log((1+s)/(1-s)) - 2 s) / s for z = s²: even in s."""
    s = mp.sqrt(z)
    return (mp.log1p(s) - mp.log1p(-s)) / s - 2


ROW["LOG_RATIO"] = Polynomial(
    "log((1+s)/(1-s))/s - 2 of z = s², |s| <= 0.1716 (mantissas from sqrt(1/2) to sqrt(2)); "
    "from z^1",
    log_ratio,
    {"float64": range(1, 8)},
    mpf("1e-12"),
    mpf("0.02945"),
)
ROW["LOG2_RATIO"] = Polynomial(
    "log2((1+s)/(1-s))/s of z = s², |s| <= 0.1716, for the logarithm of float32 in float64",
    lambda z: (log_ratio(z) + 2) / LN2,
    {"float64": range(6)},
    mpf("1e-12"),
    mpf("0.02945"),
)
ROW["LOG2_SHORT"] = Polynomial(
    "log2(1 + x), -1/3 <= x <= 1/3, relative, for powers of float32 in float64; from x^1",
    lambda x: mp.log1p(x) / LN2,
    {"float64": range(1, 14)},
    mpf(-1) / 3,
    mpf(1) / 3,
    lambda x: LN2 / mp.log1p(x),
)
ROW["EXP2_SHORT"] = Polynomial(
    "2^x, |x| <= 0.505, relative, for powers of float32",
    lambda x: mpf(2) ** x,
    {"float32": range(7), "float64": range(7)},
    mpf("-0.505"),
    mpf("0.505"),
    lambda x: mpf(2) ** -x,
    {0: 1},
)
ROW["SIN"] = Polynomial(
    "sin(x), |x| <= pi/2 + 0.01, relative; odd powers",
    mp.sin,
    {
        "float32": range(1, 10, 2),
        "float32_plain": range(1, 10, 2),
        "float64": range(1, 18, 2),
    },
    mpf("1e-6"),
    mp.pi / 2 + mpf("0.01"),
    relative(mp.sin),
    {1: 1},
    # found by trying: least rounding errors next to pi/2, where cos of small arguments lies, with
    # cos(0) = 1; float32 without fma has its own
    tuned={
        "float32": {
            3: -0.16666659712791443,
            5: 0.008333065547049046,
            7: -0.00019809321383945644,
            9: 2.6046579932881286e-06,
        },
        "float64": {5: 0.008333333333333227, 7: -0.0001984126984121159},
    },
)
ROW["TAN"] = Polynomial(
    "tan(x), |x| <= pi/4 + 0.005, relative; odd powers",
    mp.tan,
    {"float32": range(1, 16, 2), "float64": range(1, 30, 2)},
    mpf("1e-6"),
    mp.pi / 4 + mpf("0.005"),
    relative(mp.tan),
    {1: 1},
)
ROW["PI_PARTS"] = Parts(
    "pi",
    mp.pi,
    {"float32": (None, None, None), "float64": (None, None, None)},
)
ROW["PI_SHORT_PARTS"] = Parts(
    "pi, the first part times an integer of 18 digits is exact", mp.pi, {"float64": (35, None)}
)
ROW["TWO_PI_PARTS"] = Parts("2 pi", 2 * mp.pi, {"float64": (None, None)})


def digits_of(value: mpf, start: int, count: int) -> mpf:
    """The binary digits of weight 2^-(start+1) … 2^-(start+count) of 0 <= value < 1."""
    above = mp.floor(mp.ldexp(value, start))
    both = mp.floor(mp.ldexp(value, start + count))
    return mp.ldexp(both - mp.ldexp(above, count), -start - count)


class TurnWindows:
    """1/(2 pi) without its first 27 w digits, w = 0 … 3: two parts of 29 digits and the rest."""

    def rows(self) -> tuple[dict[str, list[float]], str]:
        mp.prec = 400
        turn, found = 1 / (2 * mp.pi), []
        for window in range(4):
            start = 27 * window
            found += [float(digits_of(turn, start, 29)), float(digits_of(turn, start + 29, 29))]
            found.append(float(digits_of(turn, start + 58, 150)))
        mp.dps = 50
        return {"float64": found}, self.__doc__


class TurnDigits:
    """Digits 53 k … 53 k + 52 of 1/(2 pi) as a number below 1, k = 0 … 22."""

    def rows(self) -> tuple[dict[str, list[float]], str]:
        mp.prec = 1400
        turn = 1 / (2 * mp.pi)
        found = [float(mp.ldexp(digits_of(turn, 53 * k, 53), 53 * k)) for k in range(23)]
        mp.dps = 50
        return {"float64": found}, self.__doc__


ROW["TURN_WINDOWS"] = TurnWindows()
ROW["TURN_DIGITS"] = TurnDigits()
ROW["ERF_LOG"] = Polynomial(
    "log(erfc(x)), 0 <= x <= 3.93 (5.95), error of erf; from x^1, which has two coefficients",
    lambda x: mp.log(mp.erfc(x)),
    {"float32": range(1, 10), "float64": range(1, 26)},
    mpf("1e-7"),
    {"float32": mpf("3.93"), "float64": mpf("5.95")},
    lambda x: mp.erfc(x) / mp.erf(x),
    {1: -2 / mp.sqrt(mp.pi)},
    split=True,
)


ROW["POW_LOG"] = Polynomial(
    "(log((1+s)/(1-s)) - 2 s - 2/3 s³) / s^5 of z = s², |s| <= 0.1716, for powers",
    lambda z: (log_ratio(z) / z - mpf(2) / 3) / z,
    {"float64": range(8)},
    mpf("1e-9"),
    mpf("0.02945"),
)
ROW["INVERSE_CBRT"] = Polynomial(
    "x^(-1/3), 1 <= x <= 8, relative",
    lambda x: 1 / mp.cbrt(x),
    {"float32": range(5), "float64": range(5)},
    mpf(1),
    mpf(8),
    mp.cbrt,
)
ROW["ATAN"] = Polynomial(
    "atan(x), |x| <= 1, relative; odd powers",
    mp.atan,
    {"float32": range(1, 18, 2), "float64": range(1, 42, 2)},
    mpf("1e-6"),
    mpf(1),
    relative(mp.atan),
    {1: 1},
)
ROW["ASIN"] = Polynomial(
    "asin(x), |x| <= 1/2, relative; odd powers",
    mp.asin,
    {"float32": range(1, 12, 2), "float64": range(1, 28, 2)},
    mpf("1e-6"),
    mpf("0.5"),
    relative(mp.asin),
    {1: 1},
)
ROW["ATANH"] = Polynomial(
    "atanh(x), |x| <= 0.21, relative; odd powers",
    mp.atanh,
    {"float32": range(1, 8, 2), "float64": range(1, 20, 2)},
    mpf("1e-6"),
    mpf("0.21"),
    relative(mp.atanh),
    {1: 1},
)


def scaled_erfc(p: mpf) -> mpf:
    """e^(x²) erfc(x) / p for p = 1/(x + 2.5)."""
    x = 1 / p - mpf("2.5")
    return mp.erfc(x) * mp.exp(x * x) / p


ROW["ERFC"] = Polynomial(
    "e^(x²) erfc(x) / p of p = 1/(x + 2.5), 0.75 <= x <= 27.4 (short: 0 <= x <= 10.1), relative",
    scaled_erfc,
    {"float64": range(23), "float64_short": range(11)},
    {"float64": 1 / mpf("29.9"), "float64_short": 1 / mpf("12.6")},
    {"float64": 1 / mpf("3.25"), "float64_short": 1 / mpf("2.5")},
    relative(scaled_erfc),
)
mp_erfinv = mp.memoize(mp.erfinv)


def inverse_erf_of_square(z: mpf) -> mpf:
    """erf_inv(x)/x of z = x²."""
    return mp_erfinv(mp.sqrt(z)) / mp.sqrt(z)


def inverse_erf_of_log(w: mpf) -> mpf:
    """erf_inv(x)/x of w = -log(1 - x²)."""
    x = mp.sqrt(-mp.expm1(-w))
    return mp_erfinv(x) / x


def inverse_erf_of_root(t: mpf) -> mpf:
    """erf_inv(x)/x - s of t = s - 3, s = sqrt(-log(1 - x²))."""
    return inverse_erf_of_log((t + 3) ** 2) - t - 3


ROW["ERF_INV_SMALL"] = Polynomial(
    "erf_inv(x)/x of x², |x| <= 1/2, relative",
    inverse_erf_of_square,
    {"float64": range(15)},
    mpf("1e-9"),
    mpf("0.25"),
    relative(inverse_erf_of_square),
)
ROW["ERF_INV_MIDDLE"] = Polynomial(
    "erf_inv(x)/x of w = -log(1 - x²) up to 5, relative; the first coefficient in two parts",
    inverse_erf_of_log,
    {"float32": range(10)},
    mpf("1e-9"),
    mpf("5.02"),
    relative(inverse_erf_of_log),
    {0: mp.sqrt(mp.pi) / 2},
    split=True,
)
ROW["ERF_INV_TAIL"] = Polynomial(
    "erf_inv(x)/x - s of s - 3, s = sqrt(-log(1 - x²)) from 1.89 to 4.1 (2.23 to 6.1), over s",
    inverse_erf_of_root,
    {"float32": range(12), "float64": range(9)},
    {"float32": mpf("-1.11"), "float64": mpf("-0.77")},
    {"float32": mpf("1.1"), "float64": mpf("3.1")},
    lambda t: 1 / (t + 3),
)


def log_gamma(y: mpf) -> mpf:
    return mp.loggamma(y).real


def log_gamma_factor(t: mpf) -> mpf:
    """lgamma(y) / ((y - 1) (y - 2)) of t = y - 3/2."""
    return log_gamma(t + mpf(3) / 2) / ((t + mpf(1) / 2) * (t - mpf(1) / 2))


def stirling(u: mpf) -> mpf:
    """y (lgamma(y) - (y - 1/2) log y + y - log(2 pi)/2) of u = 1/y²."""
    y = 1 / mp.sqrt(u)
    return y * (log_gamma(y) - (y - mpf(1) / 2) * mp.log(y) + y - mp.log(2 * mp.pi) / 2)


ROW["LGAMMA"] = Polynomial(
    "lgamma(y) / ((y - 1)(y - 2)) of y - 3/2, 1 <= y <= 2, relative",
    log_gamma_factor,
    {"float64": range(21), "float64_short": range(11)},
    mpf("-0.499999999"),
    mpf("0.499999999"),
    relative(log_gamma_factor),
)
ROW["STIRLING"] = Polynomial(
    "y (lgamma(y) - (y - 1/2) log y + y - log(2 pi)/2) of 1/y², y >= 3",
    stirling,
    {"float64": range(11), "float64_short": range(5)},
    mpf("1e-7"),
    mpf(1) / 9,
)
mp_root = mp.findroot(mp.digamma, mpf("1.4616321449683623"))


def digamma_factor(t: mpf) -> mpf:
    """digamma(y) / (y - its zero) of t = y - 3/2."""
    return mp.digamma(t + mpf(3) / 2) / (t + mpf(3) / 2 - mp_root)


def digamma_tail(u: mpf) -> mpf:
    """y² (log y - 1/(2 y) - digamma(y)) of u = 1/y²."""
    y = 1 / mp.sqrt(u)
    return y * y * (mp.log(y) - 1 / (2 * y) - mp.digamma(y))


ROW["DIGAMMA"] = Polynomial(
    "digamma(y) / (y - 1.46...) of y - 3/2, 1 <= y <= 2, relative",
    digamma_factor,
    {"float64": range(22), "float64_short": range(11)},
    mpf("-0.5"),
    mpf("0.5"),
    relative(digamma_factor),
)
ROW["DIGAMMA_TAIL"] = Polynomial(
    "y² (log y - 1/(2 y) - digamma(y)) of 1/y², y >= 3",
    digamma_tail,
    {"float64": range(12), "float64_short": range(5)},
    mpf("1e-7"),
    mpf(1) / 9,
)
ROW["DIGAMMA_ZERO"] = Parts("the zero of digamma(1 + x)", mp_root - 1, {"float64": (None, None)})


def bessel_series(order: int) -> Callable:
    """I_order(x) / (x/2)^order of z = x²/4."""
    return lambda z: mp.besseli(order, 2 * mp.sqrt(z)) / mp.sqrt(z) ** order


def bessel_tail(order: int) -> Callable:
    """(e^-x I_order(x) sqrt(x) - 1/sqrt(2 pi)) / v of t = 2 v - 1, v = 8/x."""

    def f(t: mpf) -> mpf:
        v = (1 + t) / 2
        x = 8 / v
        return (mp.exp(-x) * mp.besseli(order, x) * mp.sqrt(x) - 1 / mp.sqrt(2 * mp.pi)) / v

    return f


for order in (0, 1):
    ROW[f"BESSEL_I{order}"] = Polynomial(
        f"I{order}(x) / (x/2)^{order} of x²/4, x <= 8, relative",
        bessel_series(order),
        {"float32": range(10), "float64": range(17)},
        mpf("1e-9"),
        mpf(16),
        relative(bessel_series(order)),
        {0: 1},
    )
    ROW[f"BESSEL_I{order}_TAIL"] = Polynomial(
        f"(e^-x I{order}(x) sqrt(x) - 1/sqrt(2 pi)) / v of 2 v - 1, v = 8/x, x >= 8, times 2.5",
        bessel_tail(order),
        {"float32": range(5), "float64": range(23)},
        mpf("-0.999"),
        mpf(1),
        lambda t: mpf("1.25") * (1 + t),
    )


def table(name: str, rows: dict[str, Sequence[float]], comment: str) -> str:
    """One assignment, wrapped at 100 columns."""
    lines = []
    words = comment.split()
    while words:
        line = "#:"
        while words and len(line) + len(words[0]) < 99:
            line += " " + words.pop(0)
        lines.append(line)
    lines.append(f"{name}: Table = {{")
    for dtype, values in rows.items():
        lines.append(f'    "{dtype}": (')
        line = "       "
        for value in values:
            text = f" {float(value)!r},"
            if len(line) + len(text) > 100:
                lines.append(line)
                line = "       "
            line += text
        lines += [line, "    ),"]
    return "\n".join([*lines, "}  # fmt: skip"])


HEADER = '''"""Coefficients of the polynomials in the mathematical functions, lowest power first.

Written by `tools/coefficients.py` (minimax fits in 50-digit arithmetic): change that, not this.
"Relative" says that the error is relative to the function.
"""

Table = dict[str, tuple[float, ...]]
'''


def main(names: Sequence[str]) -> None:
    """Fit the named rows (all without names) and write the file."""
    old, comments = {}, {}
    if names:
        spec = importlib.util.spec_from_file_location("old", TARGET)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        old = {k: v for k, v in vars(module).items() if k in ROW}
        for block in TARGET.read_text().split("\n\n"):
            lines = block.strip().split("\n")
            notes = [line[2:].strip() for line in lines if line.startswith("#:")]
            title = next((line for line in lines if ": Table = {" in line), ":")
            comments[title.split(":")[0]] = " ".join(notes)
    texts = []
    for name, row in ROW.items():
        if names and name not in names and name in old:
            rows, comment = old[name], comments[name]
        else:
            rows, comment = row.rows()
            print(name, comment, flush=True)
        texts.append(table(name, rows, comment))
    TARGET.write_text(HEADER + "\n" + "\n\n".join(texts) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
