"""The vocabulary in which mathematical functions are written: terms, formats, exact sums.

A `Term` is an expression with Python operators, so that formulas read as formulas. Integer terms
are unsigned: bit patterns wrap and are never mistaken for indices.

Every rewrite is branch-free. Where the formulas compare or clamp they use `where` on ordered
comparisons, which one instruction does and which lets NaN through, and never `min`/`max`, which
propagate NaN at the price of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Expr
from fornax.record import record

if TYPE_CHECKING:
    from fornax._native import DtypeName


@record(frozen=True)
class Format:
    """The numbers that describe a floating dtype."""

    dtype: DtypeName
    unsigned: DtypeName  #: dtype of its bit patterns
    digits: int  #: binary digits of the significand, the hidden one included
    bias: int

    @property
    def width(self) -> int:
        """Bits of the whole number."""
        return 32 if self.digits == 24 else 64

    @property
    def mantissa(self) -> int:
        """Stored bits of the significand."""
        return self.digits - 1

    @property
    def exponent_mask(self) -> int:
        """Bit pattern of infinity: all ones in the exponent."""
        return (2 * self.bias + 1) << self.mantissa

    @property
    def magic(self) -> float:
        """1.5 · 2^mantissa: adding it rounds to an integer and leaves that in the low bits."""
        return 1.5 * 2.0**self.mantissa

    @property
    def sign(self) -> int:
        """Bit pattern of -0.0."""
        return 1 << (self.width - 1)

    @property
    def one(self) -> int:
        """Bit pattern of 1.0."""
        return self.bias << self.mantissa

    @property
    def largest(self) -> float:
        return 2.0**self.bias * (2.0 - 0.5**self.mantissa)

    @property
    def smallest_normal(self) -> float:
        return 2.0 ** (1 - self.bias)


FORMATS = {
    "float32": Format("float32", "uint32", 24, 127),
    "float64": Format("float64", "uint64", 53, 1023),
}


@record(frozen=True)
class Target:
    """Where terms go: the builder, whether `fma` is an instruction, whether tables are looked up in
    registers, and whether multiplying by a power of two is an instruction, and limiting is."""

    b: Builder
    fused: bool
    tables: bool = False
    scales: bool = False


class Term:
    """An expression with operators. Python numbers on either side become constants."""

    __slots__ = ("expr", "target")

    def __init__(self, target: Target, expr: Expr):
        self.target = target
        self.expr = expr

    # --- plumbing ---
    @property
    def dtype(self) -> DtypeName:
        return self.expr.dtype

    @property
    def format(self) -> Format:
        return FORMATS[self.expr.dtype]

    def like(self, value: Term | float) -> Term:
        """`value` as a term of the same dtype."""
        if isinstance(value, Term):
            return value
        return Term(self.target, self.target.b.const(value, self.dtype))

    def op(self, name: str, *others: Term | float, dtype: DtypeName | None = None) -> Term:
        args = [self.like(o).expr for o in others]
        return Term(self.target, self.target.b.op(name, self.expr, *args, dtype=dtype))

    def cast(self, dtype: DtypeName) -> Term:
        return Term(self.target, self.target.b.cast(self.expr, dtype))

    @property
    def bits(self) -> Term:
        """The bit pattern of a float."""
        return self.op("bitcast", dtype=self.format.unsigned)

    @property
    def real(self) -> Term:
        """The float with this bit pattern."""
        return self.op("bitcast", dtype="float32" if self.dtype == "uint32" else "float64")

    # --- operators ---
    def __add__(self, other: Term | float) -> Term:
        return self.op("add", other)

    def __radd__(self, other: Term | float) -> Term:
        return self.like(other).op("add", self)

    def __sub__(self, other: Term | float) -> Term:
        return self.op("sub", other)

    def __rsub__(self, other: Term | float) -> Term:
        return self.like(other).op("sub", self)

    def __mul__(self, other: Term | float) -> Term:
        return self.op("mul", other)

    __rmul__ = __mul__

    def __truediv__(self, other: Term | float) -> Term:
        return self.op("div", other)

    def __rtruediv__(self, other: Term | float) -> Term:
        return self.like(other).op("div", self)

    def __neg__(self) -> Term:
        return self.op("neg")

    def __abs__(self) -> Term:
        return self.op("abs")

    def __and__(self, other: Term | float) -> Term:
        return self.op("and", other)

    def __or__(self, other: Term | float) -> Term:
        return self.op("or", other)

    def __xor__(self, other: Term | float) -> Term:
        return self.op("xor", other)

    def __invert__(self) -> Term:
        return self.op("not")

    def __lshift__(self, other: Term | float) -> Term:
        return self.op("shl", other)

    def __rshift__(self, other: Term | float) -> Term:
        return self.op("shr_logical", other)

    def __lt__(self, other: Term | float) -> Term:
        return self.op("lt", other)

    def __le__(self, other: Term | float) -> Term:
        return self.op("le", other)

    def __gt__(self, other: Term | float) -> Term:
        return self.op("gt", other)

    def __ge__(self, other: Term | float) -> Term:
        return self.op("ge", other)

    def __eq__(self, other: Term | float) -> Term:  # type: ignore[override]
        return self.op("eq", other)

    def __ne__(self, other: Term | float) -> Term:  # type: ignore[override]
        return self.op("ne", other)


# --- one instruction each ---------------------------------------------------------------------
def fma(x: Term, y: Term | float, z: Term | float) -> Term:
    """x·y + z: rounded once where `fma` is an instruction, twice where it is not."""
    if x.target.fused:
        return x.op("fma", y, z)
    return x * y + z


def where(condition: Term, then: Term | float, otherwise: Term | float) -> Term:
    """`then` where `condition` else `otherwise`; at least one of them is a term."""
    return condition.op("select", *alike(then, otherwise))


def rarely(condition: Term, then: Term | float, otherwise: Term | float) -> Term:
    """`where`, for a condition that hardly ever holds and a costly `then`, which is jumped over."""
    return condition.op("rarely", *alike(then, otherwise))


def alike(x: Term | float, y: Term | float) -> tuple[Term, Term]:
    """Both as terms of one dtype."""
    if isinstance(x, Term):
        return x, x.like(y)
    assert isinstance(y, Term), "one of the two is a term"
    return y.like(x), y


def sqrt(x: Term) -> Term:
    return x.op("sqrt")


def half_inverse_root(x: Term) -> Term:
    """1/(2 sqrt x) to two digits, from the bits: enough to scale a correction."""
    magic = 0x5F3759DF if x.dtype == "float32" else 0x5FE6EB50C7B537A9
    return (x.bits.like(magic) - (x.bits >> 1)).real * 0.5


def nearest(x: Term) -> Term:
    """The nearest integer, ties to even."""
    return x.op("round_even")


def copysign(x: Term, sign: Term) -> Term:
    return x.op("copysign", sign)


def at_least(x: Term, low: float) -> Term:
    """max(x, low); NaN stays."""
    return where(x.like(low) > x, low, x)


def at_most(x: Term, high: float) -> Term:
    """min(x, high); NaN stays."""
    return where(x.like(high) < x, high, x)


def clamp(x: Term, low: float, high: float) -> Term:
    return at_most(at_least(x, low), high)


# --- polynomials ------------------------------------------------------------------------------
def horner(x: Term, coefficients: Sequence[float]) -> Term:
    """c0 + c1·x + c2·x² + …"""
    total = x.like(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = fma(total, x, c) if total.expr.kind != "const" else fma(x, total, c)
    return total


# --- exact arithmetic: a value as an unevaluated sum of two floats -----------------------------
def two_sum(x: Term, y: Term) -> tuple[Term, Term]:
    """x + y rounded, and the rounding error, exactly."""
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)


def quick_two_sum(x: Term, y: Term) -> tuple[Term, Term]:
    """`two_sum` where |x| >= |y| or x is zero."""
    total = x + y
    return total, y - (total - x)


def split(x: Term) -> tuple[Term, Term]:
    """x as the sum of two floats of half as many digits (x below 2^(max/2))."""
    scaled = x * float(2 ** ((x.format.digits + 1) // 2) + 1)
    high = scaled - (scaled - x)
    return high, x - high


def two_product(x: Term, y: Term | float) -> tuple[Term, Term]:
    """x·y rounded, and the rounding error, exactly (unless the error underflows)."""
    y = x.like(y)
    product = x * y
    if x.target.fused:
        return product, x.op("fma", y, -product)
    (x_high, x_low), (y_high, y_low) = split(x), split(y)
    error = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    return product, error


# --- powers of two ----------------------------------------------------------------------------
def from_low_bits(t: Term) -> Term:
    """2^n where `t` is magic + bias + n, n an integer in range: one shift."""
    return (t.bits << t.format.mantissa).real


def scaled(x: Term, n: Term) -> Term:
    """x · 2^floor(n), for targets that have the instruction: rounded once, also to a denormal."""
    return x.op("scale", n)


def within(x: Term, limit: float) -> Term:
    """x between -limit and limit, one of which NaN is, too; for targets that have it."""
    return x.op("within", limit)


def exponent_of(u: Term, lift: Term | None = None) -> Term:
    """The exponent of a bit pattern below the sign, as a float; `lift` is `bias_and(n)` for one
    that is n lower."""
    form = FORMATS["float32" if u.dtype == "uint32" else "float64"]
    shifted = u >> form.mantissa
    pattern = (form.bias + form.mantissa) << form.mantissa  # 2^mantissa
    return (shifted | pattern).real - (bias_and(form, 0) if lift is None else lift)


def bias_and(form: Format, n: int) -> float:
    """What `exponent_of` subtracts, at once."""
    return 2.0**form.mantissa + form.bias + n
