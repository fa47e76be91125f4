"""Complex arithmetic and functions, as pairs of real expressions.

Formulas avoid overflow where the result is finite: Smith's division with the special cases of
C99 annex G, scaled square roots, and W. Kahan's inverse functions ("Branch cuts for complex
elementary functions", 1987), which also keep the sign of zero along the branch cuts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from fornax.compiler.loop.ir import Expr, Pair
from fornax.errors import InternalError

if TYPE_CHECKING:
    from fornax.compiler.loop.builder import Builder

#: float dtype -> x above which exp(x) is computed as exp(x - SHIFT) * exp(SHIFT).
EXP_LIMIT = {"float32": 80.0, "float64": 700.0}
SHIFT = 32.0
#: float dtype -> (above: scale down, below: scale up, exponent of the scaling up) in `sqrt`.
EXTREMES = {"float32": (2.0**124, 2.0**-100, 48), "float64": (2.0**1020, 2.0**-970, 108)}


def apply(b: Builder, name: str, args: tuple[Expr | Pair, ...], dtype: str | None) -> Expr | Pair:
    """Operation `name` where at least one operand is a `Pair`; real operands get a zero part."""
    rule = RULES.get(name)
    if rule is None:
        raise InternalError(f"the loop IR has no {name} of complex numbers")
    if name == "select":
        condition, then, otherwise = args
        assert isinstance(condition, Expr), "conditions are not complex"
        return b.select(condition, then, otherwise)
    return rule(b, *(a if isinstance(a, Pair) else Pair(a, b.const(0.0, a.dtype)) for a in args))


# --- arithmetic -------------------------------------------------------------------------------
def add(b: Builder, z: Pair, w: Pair) -> Pair:
    return Pair(b.add(z.real, w.real), b.add(z.imag, w.imag))


def sub(b: Builder, z: Pair, w: Pair) -> Pair:
    return Pair(b.sub(z.real, w.real), b.sub(z.imag, w.imag))


def neg(b: Builder, z: Pair) -> Pair:
    return Pair(b.neg(z.real), b.neg(z.imag))


def mul(b: Builder, z: Pair, w: Pair) -> Pair:
    real = b.sub(b.mul(z.real, w.real), b.mul(z.imag, w.imag))
    return Pair(real, b.add(b.mul(z.real, w.imag), b.mul(z.imag, w.real)))


def scale(b: Builder, z: Pair, factor: Expr) -> Pair:
    """A complex number times a real one."""
    return Pair(b.mul(z.real, factor), b.mul(z.imag, factor))


def rotate(b: Builder, z: Pair) -> Pair:
    """i * z."""
    return Pair(b.neg(z.imag), z.real)


def rotate_back(b: Builder, z: Pair) -> Pair:
    """-i * z."""
    return Pair(z.imag, b.neg(z.real))


def is_infinite(b: Builder, x: Expr) -> Expr:
    return b.eq(b.abs(x), b.const(math.inf, x.dtype))


def div(b: Builder, z: Pair, w: Pair) -> Pair:
    """Smith's method, then annex G's results where it gives NaN for a true infinity or zero."""
    x, y = z
    c, d = w
    dtype = x.dtype
    zero, one, infinity = (b.const(v, dtype) for v in (0.0, 1.0, math.inf))
    wide = b.ge(b.abs(c), b.abs(d))
    large, small = b.select(wide, c, d), b.select(wide, d, c)
    ratio = b.div(small, large)
    denominator = b.add(large, b.mul(small, ratio))
    first, second = b.select(wide, x, y), b.select(wide, y, x)
    real = b.div(b.add(first, b.mul(second, ratio)), denominator)
    cross = b.sub(second, b.mul(first, ratio))
    imag = b.div(b.select(wide, cross, b.neg(cross)), denominator)

    def unit(v: Expr) -> Expr:  # ±1 for an infinity, ±0 otherwise
        return b.copysign(b.select(is_infinite(b, v), one, zero), v)

    def both(first: Expr, second: Expr) -> Expr:  # neither part infinite nor NaN
        return b.and_(b.is_finite(first), b.is_finite(second))

    lost = b.and_(b.ne(real, real), b.ne(imag, imag))
    by_zero = b.and_(b.eq(large, zero), b.or_(b.eq(x, x), b.eq(y, y)))
    pole = b.copysign(infinity, c)
    above = b.and_(b.or_(is_infinite(b, x), is_infinite(b, y)), both(c, d))
    below = b.and_(b.or_(is_infinite(b, c), is_infinite(b, d)), both(x, y))
    p, q = b.select(above, Pair(unit(x), unit(y)), z)
    r, s = b.select(above, w, Pair(unit(c), unit(d)))
    factor = b.select(above, infinity, zero)
    special = Pair(
        b.mul(factor, b.add(b.mul(p, r), b.mul(q, s))),
        b.mul(factor, b.sub(b.mul(q, r), b.mul(p, s))),
    )
    special = b.select(by_zero, Pair(b.mul(pole, x), b.mul(pole, y)), special)
    use = b.and_(lost, b.or_(by_zero, b.or_(above, below)))
    return b.select(use, special, Pair(real, imag))


def absolute(b: Builder, z: Pair) -> Expr:
    return b.hypot(z.real, z.imag)


def sign(b: Builder, z: Pair) -> Pair:
    size = absolute(b, z)
    zero = b.const(0.0, size.dtype)
    safe = b.select(b.eq(size, zero), b.const(1.0, size.dtype), size)
    return Pair(b.div(z.real, safe), b.div(z.imag, safe))


def sqrt(b: Builder, z: Pair) -> Pair:
    x, y = z
    dtype = x.dtype
    zero, half = b.const(0.0, dtype), b.const(0.5, dtype)
    high, low, exponent = EXTREMES[dtype]
    one = b.const(1.0, dtype)
    largest = b.max(b.abs(x), b.abs(y))
    above, below = b.gt(largest, b.const(high, dtype)), b.lt(largest, b.const(low, dtype))
    up, down = b.const(2.0**exponent, dtype), b.const(2.0**-4, dtype)
    before = b.select(above, down, b.select(below, up, one))
    root_up, root_down = b.const(2.0 ** (-exponent // 2), dtype), b.const(4.0, dtype)
    after = b.select(above, root_down, b.select(below, root_up, one))
    u, v = b.mul(x, before), b.mul(y, before)
    total = b.add(b.mul(b.hypot(u, v), half), b.mul(b.abs(u), half))
    root = b.sqrt(total)
    other = b.div(b.mul(b.abs(v), half), b.select(b.eq(root, zero), one, root))
    right = b.ge(x, zero)
    left = b.copysign(b.select(right, other, root), y)
    result = scale(b, Pair(b.select(right, root, other), left), after)
    # an infinite imaginary part wins over everything, also NaN
    endless = is_infinite(b, y)
    infinity = b.const(math.inf, dtype)
    nothing = b.and_(b.eq(x, zero), b.eq(y, zero))
    result = b.select(nothing, Pair(zero, y), result)
    return b.select(endless, Pair(infinity, y), result)


def rsqrt(b: Builder, z: Pair) -> Pair:
    return div(b, Pair(b.const(1.0, z.real.dtype), b.const(0.0, z.real.dtype)), sqrt(b, z))


# --- exponential and trigonometric functions --------------------------------------------------
def shifted_exp(b: Builder, x: Expr) -> tuple[Expr, Expr]:
    """exp(x) as a product of two factors, finite as long as exp(x / 2) is."""
    dtype = x.dtype
    large = b.gt(x, b.const(EXP_LIMIT[dtype], dtype))
    shift = b.select(large, b.const(SHIFT, dtype), b.const(0.0, dtype))
    one = b.const(1.0, dtype)
    return b.exp(b.sub(x, shift)), b.select(large, b.const(math.exp(SHIFT), dtype), one)


def times(b: Builder, x: Expr, y: Expr, factor: Expr) -> Expr:
    """x * y * factor where a zero x wins over an infinite y."""
    return b.select(b.eq(x, b.const(0.0, x.dtype)), x, b.mul(b.mul(x, y), factor))


def exp(b: Builder, z: Pair) -> Pair:
    x, y = z
    size, factor = shifted_exp(b, x)
    infinity = b.const(math.inf, x.dtype)
    real = b.mul(b.mul(size, b.cos(y)), factor)
    imag = b.select(b.eq(y, b.const(0.0, y.dtype)), y, b.mul(b.mul(size, b.sin(y)), factor))
    # exp(-inf + i y) is zero and exp(inf + i y) infinite, whatever y is
    strange = b.not_(b.is_finite(y))
    zero = b.const(0.0, x.dtype)
    real = b.select(b.and_(strange, b.eq(x, infinity)), infinity, real)
    vanish = b.and_(strange, b.eq(x, b.neg(infinity)))
    return b.select(vanish, Pair(zero, zero), Pair(real, imag))


def expm1(b: Builder, z: Pair) -> Pair:
    x, y = z
    dtype = x.dtype
    whole = exp(b, z)
    half = b.sin(b.mul(y, b.const(0.5, dtype)))
    near = b.sub(b.mul(b.expm1(x), b.cos(y)), b.mul(b.const(2.0, dtype), b.mul(half, half)))
    far = b.sub(whole.real, b.const(1.0, dtype))
    return Pair(b.select(b.gt(b.abs(x), b.const(20.0, dtype)), far, near), whole.imag)


def exp2(b: Builder, z: Pair) -> Pair:
    return exp(b, scale(b, z, b.const(math.log(2), z.real.dtype)))


def hyperbolic(b: Builder, x: Expr) -> tuple[Expr, Expr, Expr]:
    """(cosh x / f, sinh x / f, f) with a factor f that keeps the first two finite for longer."""
    dtype = x.dtype
    large = b.gt(b.abs(x), b.const(EXP_LIMIT[dtype], dtype))
    shift = b.select(large, b.const(SHIFT, dtype), b.const(0.0, dtype))
    near = b.copysign(b.sub(b.abs(x), shift), x)
    factor = b.select(large, b.const(math.exp(SHIFT), dtype), b.const(1.0, dtype))
    return b.cosh(near), b.sinh(near), factor


def sinh(b: Builder, z: Pair) -> Pair:
    x, y = z
    even, odd, factor = hyperbolic(b, x)
    return Pair(times(b, odd, b.cos(y), factor), times(b, b.sin(y), even, factor))


def cosh(b: Builder, z: Pair) -> Pair:
    x, y = z
    even, odd, factor = hyperbolic(b, x)
    imag = times(b, b.sin(y), odd, factor)
    imag = b.select(b.eq(x, b.const(0.0, x.dtype)), b.mul(x, b.sin(y)), imag)
    return Pair(b.mul(b.mul(even, b.cos(y)), factor), imag)


def tanh(b: Builder, z: Pair) -> Pair:
    """Kahan: with t = tan y and s = sinh x, (s cosh(x) (1+t²) + i t) / (1 + (1+t²) s²)."""
    x, y = z
    dtype = x.dtype
    one, limit = b.const(1.0, dtype), b.const(15.0 if dtype == "float32" else 25.0, dtype)
    far = b.gt(b.abs(x), limit)
    inner = b.select(far, b.const(0.0, dtype), x)
    tangent, slope = b.tan(y), b.sinh(inner)
    beta = b.add(one, b.mul(tangent, tangent))
    bottom = b.add(one, b.mul(beta, b.mul(slope, slope)))
    real = b.div(b.mul(beta, b.mul(b.cosh(inner), slope)), bottom)
    near = Pair(real, b.div(tangent, bottom))
    decay = b.exp(b.mul(b.abs(x), b.const(-2.0, dtype)))
    product = b.mul(b.sin(y), b.cos(y))
    rest = b.mul(b.mul(product, b.const(4.0, dtype)), decay)
    zero = b.copysign(b.const(0.0, dtype), b.select(b.is_finite(y), product, y))
    rest = b.select(b.is_finite(y), rest, b.select(is_infinite(b, x), zero, rest))
    return b.select(far, Pair(b.copysign(one, x), rest), near)


def sin(b: Builder, z: Pair) -> Pair:
    return rotate_back(b, sinh(b, rotate(b, z)))


def cos(b: Builder, z: Pair) -> Pair:
    return cosh(b, rotate(b, z))


def tan(b: Builder, z: Pair) -> Pair:
    return rotate_back(b, tanh(b, rotate(b, z)))


def logistic(b: Builder, z: Pair) -> Pair:
    one = Pair(b.const(1.0, z.real.dtype), b.const(0.0, z.real.dtype))
    return div(b, one, add(b, one, exp(b, neg(b, z))))


# --- logarithms and powers --------------------------------------------------------------------
def log(b: Builder, z: Pair) -> Pair:
    x, y = z
    dtype = x.dtype
    one, half = b.const(1.0, dtype), b.const(0.5, dtype)
    large, small = b.max(b.abs(x), b.abs(y)), b.min(b.abs(x), b.abs(y))
    # log|z| = log1p(|z|² - 1) / 2 keeps its digits near |z| = 1
    close = b.and_(b.gt(large, half), b.lt(large, b.const(2.0, dtype)))
    excess = b.fma(b.sub(large, one), b.add(large, one), b.mul(small, small))
    ratio = b.select(b.eq(small, large), one, b.div(small, large))
    argument = b.select(close, excess, b.mul(ratio, ratio))
    whole = b.select(close, b.const(0.0, dtype), b.log(large))
    size = b.add(whole, b.mul(half, b.log1p(argument)))
    endless = b.or_(is_infinite(b, x), is_infinite(b, y))
    return Pair(b.select(endless, b.const(math.inf, dtype), size), b.atan2(y, x))


def log2(b: Builder, z: Pair) -> Pair:
    return scale(b, log(b, z), b.const(1 / math.log(2), z.real.dtype))


def log1p(b: Builder, z: Pair) -> Pair:
    x, y = z
    dtype = x.dtype
    one = b.const(1.0, dtype)
    shifted = Pair(b.add(x, one), y)
    small = b.lt(b.max(b.abs(x), b.abs(y)), b.const(0.5, dtype))
    # |1 + z|² - 1 = x (2 + x) + y²
    excess = b.fma(x, b.add(x, b.const(2.0, dtype)), b.mul(y, y))
    near = b.mul(b.const(0.5, dtype), b.log1p(b.select(small, excess, b.const(0.0, dtype))))
    far = log(b, shifted)
    return Pair(b.select(small, near, far.real), far.imag)


def power(b: Builder, z: Pair, w: Pair) -> Pair:
    dtype = z.real.dtype
    zero, one = b.const(0.0, dtype), b.const(1.0, dtype)
    general = exp(b, mul(b, w, log(b, z)))
    base_zero = b.and_(b.eq(z.real, zero), b.eq(z.imag, zero))
    positive = b.gt(w.real, zero)
    empty = b.and_(b.eq(w.real, zero), b.eq(w.imag, zero))
    general = b.select(b.and_(base_zero, positive), Pair(zero, zero), general)
    return b.select(empty, Pair(one, zero), general)


# --- inverse functions ------------------------------------------------------------------------
def roots(b: Builder, z: Pair) -> tuple[Pair, Pair]:
    """sqrt(1 - z), sqrt(1 + z)."""
    one = b.const(1.0, z.real.dtype)
    low = Pair(b.sub(one, z.real), b.neg(z.imag))
    return sqrt(b, low), sqrt(b, Pair(b.add(one, z.real), z.imag))


def asin(b: Builder, z: Pair) -> Pair:
    low, high = roots(b, z)
    product = mul(b, low, high)
    cross = b.sub(b.mul(low.real, high.imag), b.mul(low.imag, high.real))
    return Pair(b.atan2(z.real, product.real), b.asinh(cross))


def acos(b: Builder, z: Pair) -> Pair:
    low, high = roots(b, z)
    cross = b.sub(b.mul(high.real, low.imag), b.mul(high.imag, low.real))
    angle = b.mul(b.const(2.0, z.real.dtype), b.atan2(low.real, high.real))
    return Pair(angle, b.asinh(cross))


def acosh(b: Builder, z: Pair) -> Pair:
    one, two = (b.const(v, z.real.dtype) for v in (1.0, 2.0))
    low = sqrt(b, Pair(b.sub(z.real, one), z.imag))
    high = sqrt(b, Pair(b.add(z.real, one), z.imag))
    inner = b.add(b.mul(low.real, high.real), b.mul(low.imag, high.imag))
    return Pair(b.asinh(inner), b.mul(two, b.atan2(low.imag, high.real)))


def atanh(b: Builder, z: Pair) -> Pair:
    x, y = z
    dtype = x.dtype
    one, half, zero = (b.const(v, dtype) for v in (1.0, 0.5, 0.0))
    less, more = b.sub(one, x), b.add(one, x)
    square = b.mul(y, y)
    quarter = b.const(0.25, dtype)
    distance = b.add(b.mul(less, less), square)
    size = b.log1p(b.div(b.mul(b.const(4.0, dtype), b.abs(x)), distance))
    left = b.add(b.mul(more, more), square)
    mirrored = b.log1p(b.div(b.mul(b.const(4.0, dtype), b.abs(x)), left))
    real = b.copysign(b.mul(quarter, b.select(b.ge(x, zero), size, mirrored)), x)
    angle = b.atan2(b.mul(b.const(2.0, dtype), y), b.sub(b.mul(less, more), square))
    near = Pair(real, b.mul(half, angle))
    inverse = div(b, Pair(one, zero), z)
    far = b.gt(b.max(b.abs(x), b.abs(y)), b.const(2.0 ** (27 if dtype == "float32" else 54), dtype))
    quarter_turn = b.copysign(b.const(math.pi / 2, dtype), y)
    return b.select(far, Pair(inverse.real, quarter_turn), near)


def asinh(b: Builder, z: Pair) -> Pair:
    return rotate_back(b, asin(b, rotate(b, z)))


def atan(b: Builder, z: Pair) -> Pair:
    return rotate_back(b, atanh(b, rotate(b, z)))


# --- comparisons ------------------------------------------------------------------------------
def atan2(b: Builder, z: Pair, w: Pair) -> Pair:
    """-i log((w + i z) / sqrt(w² + z²))."""
    size = sqrt(b, add(b, mul(b, w, w), mul(b, z, z)))
    return rotate_back(b, log(b, div(b, add(b, w, rotate(b, z)), size)))


def eq(b: Builder, z: Pair, w: Pair) -> Expr:
    return b.and_(b.eq(z.real, w.real), b.eq(z.imag, w.imag))


def ne(b: Builder, z: Pair, w: Pair) -> Expr:
    return b.or_(b.ne(z.real, w.real), b.ne(z.imag, w.imag))


def ordered(name: str) -> Callable[..., Expr]:
    """Lexicographic comparison: real parts first, then imaginary ones."""

    def rule(b: Builder, z: Pair, w: Pair) -> Expr:
        strict = b.op("lt" if name in ("lt", "le") else "gt", z.real, w.real)
        return b.or_(strict, b.and_(b.eq(z.real, w.real), b.op(name, z.imag, w.imag)))

    return rule


def extreme(name: str) -> Callable[..., Pair]:
    """The lexicographically smaller or larger number; one with a NaN part wins."""

    def rule(b: Builder, z: Pair, w: Pair) -> Pair:
        first = ordered(name)(b, z, w)
        return b.select(b.or_(first, ne(b, z, z)), z, w)

    return rule


def is_finite(b: Builder, z: Pair) -> Expr:
    return b.and_(b.is_finite(z.real), b.is_finite(z.imag))


RULES: dict[str, Callable[..., Expr | Pair]] = {
    "add": add, "sub": sub, "mul": mul, "div": div, "neg": neg, "abs": absolute, "sign": sign,
    "sqrt": sqrt, "rsqrt": rsqrt, "exp": exp, "exp2": exp2, "expm1": expm1, "log": log,
    "log2": log2, "log1p": log1p, "pow": power, "sin": sin, "cos": cos, "tan": tan,
    "sinh": sinh, "cosh": cosh, "tanh": tanh, "asin": asin, "acos": acos, "atan": atan,
    "asinh": asinh, "acosh": acosh, "atanh": atanh, "atan2": atan2, "logistic": logistic,
    "eq": eq, "ne": ne, **{name: ordered(name) for name in ("lt", "le", "gt", "ge")},
    "min": extreme("lt"), "max": extreme("gt"), "is_finite": is_finite,
    "select": lambda b, *args: b.select(*args),
}  # fmt: skip
