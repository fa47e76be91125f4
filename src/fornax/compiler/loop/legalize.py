"""Operations a machine lacks become operations it has; the last pass before machine code.

Mathematical functions become polynomials (`math`), narrow storage formats become integer
operations, rounding and fused multiply-adds are replaced where there are no instructions for them,
"unroll" loops are unrolled, and x * y + z is contracted. Where a kernel uses one function many
times, its operations stay and the back end makes a function of it: machine code is what compilation
spends its time on.

Contraction is a function of the expression alone, so that a value computed twice is the same twice:
a sum of exactly one product and something else becomes an `fma`. Differences are left alone: in
exp(x - max(x)) an x kept to more digits than the maximum it is compared with can overflow. Only
products with powers of two, which are exact, are part of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import frexp, isfinite
from typing import TYPE_CHECKING

from fornax._native import reachable
from fornax.compiler.loop import affine, math, math_arithmetic, storage
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import (
    COMPARE,
    MATH,
    STORAGE,
    UNSIGNED,
    WIDTH,
    Buffer,
    Expr,
    For,
    Kernel,
    Statement,
    Store,
    is_float,
)
from fornax.compiler.loop.math_power import root
from fornax.compiler.loop.quotients import quotient, shared_divisors
from fornax.compiler.loop.rewrite import Rewriter, expressions, walk
from fornax.compiler.loop.running import running
from fornax.compiler.target import Target
from fornax.scalars.formats import FORMATS

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: mathematical functions in a kernel from which on the frequent ones become calls,
MANY = 24
#: and how often such a one is used
FREQUENT = 6
#: what may be done to integers before they are made wide
NARROWED = {"min", "max", *COMPARE} - {"is_finite"}
#: functions too short to call
SHORT = {"sign", "round_away", "is_finite", "nextafter", "rsqrt"}


#: units of the divider that a register of float32 takes, in the time of two products
DIVIDER = {"div": 10, "sqrt": 12}


def legalize(kernel: Kernel, target: Target) -> Kernel:
    """The kernel in operations that the target's instructions cover."""
    legalizer = Legalizer(Builder(), target)
    legalizer.called = frequent(kernel)
    legalizer.shared = shared_divisors(kernel, target)
    loops = (s for s in walk(kernel.body) if isinstance(s, For) and s.kind == "vector")
    legalizer.running = frozenset(c.next for s in loops for c in running(s).values())
    return legalizer.kernel(kernel)


def frequent(kernel: Kernel) -> frozenset[tuple[str, str]]:
    """(function, dtype) of the mathematical functions to call rather than to expand."""
    nodes = reachable(expressions(kernel.body))
    uses = Counter(
        (node.data, node.dtype)
        for node in nodes
        if node.kind == "op" and node.data in MATH and node.data not in SHORT
    )
    if uses.total() < MANY:
        return frozenset()
    return frozenset(key for key, count in uses.items() if count >= FREQUENT)


def formula(b: Builder, target: Target, name: str, args: tuple[Expr, ...]) -> Expr:
    """The legal form of one mathematical function."""
    node = b.node("op", args[0].dtype, name, args)
    return Legalizer(b, target).expand(node, args)


class Legalizer(Rewriter):
    called: frozenset[tuple[str, str]] = frozenset()
    #: divisions of many by one number
    shared: frozenset[Expr] = frozenset()
    #: what lanes get by combining those before them (`running`): no part of another operation
    running: frozenset[Expr] = frozenset()
    #: whether square roots of float32 are computed by products and sums
    roots = False

    def __init__(self, b: Builder, target: Target, memo: dict[Expr, Expr] | None = None):
        super().__init__(b, memo)
        self.target = target
        self.formulas = math_arithmetic.Target(b, target.fma, target.tables, target.scales)

    # --- expressions ---
    def rule(self, node: Expr, args: tuple[Expr, ...]) -> Expr | None:
        if node.kind == "load":
            return self.load(node, args)
        if node.kind != "op":
            return None
        name = node.data
        if name in MATH:
            return None if (name, node.dtype) in self.called else self.expand(node, args)
        if name in ("cast", "bitcast"):
            return self.convert(node, args[0])
        if name == "add" and is_float(node.dtype) and self.target.fma:
            if self.running and not self.running.isdisjoint((node, *node.args)):
                return None
            return contract(self.b, *args)
        if name == "sub" and is_float(node.dtype) and self.target.fma:
            return contract_exact(self.b, *args)
        if name == "div" and node in self.shared:
            return quotient(self.b, *args)
        if name == "fma" and not self.target.fma and node.dtype == "float32":
            return wide_fma(self.b, *args)
        if name == "sqrt" and self.roots and node.dtype == "float32":
            return root(math_arithmetic.Term(self.formulas, args[0])).expr
        if name in ROUNDING and not self.target.rounding:
            return ROUNDING[name](self.b, args[0])
        if name == "and" and node.dtype == "bool":
            return from_zero(self.b, *args)
        if name in NARROWED and is_widened(args[0]):
            return narrowed(self.b, name, *args)
        if name in COMPARE and all(map(is_short_index, args)):
            return self.b.op(name, *(self.b.cast(a, "int32") for a in args))
        return None

    def expand(self, node: Expr, args: tuple[Expr, ...]) -> Expr:
        """A mathematical function in basic operations, themselves legalized."""
        plain = math.rebuild(self.formulas, node, args)
        if self.target.fma and self.target.rounding:
            return plain
        below = Legalizer(self.b, self.target, {a: a for a in args})
        return below(plain)

    def load(self, node: Expr, args: tuple[Expr, ...]) -> Expr | None:
        buffer: Buffer = node.data
        if buffer.dtype not in STORAGE or node.dtype != STORAGE[buffer.dtype]:
            return None
        rank = len(buffer.shape)
        index, masked = args[:rank], args[rank:]
        if masked and masked[0].kind == "const":
            if not masked[0].data:
                return masked[1]
            masked = ()
        kept = self.kept(buffer.dtype)
        zero = (masked[0], self.zero(kept)) if masked else ()
        raw = self.b.node("load", kept, buffer, (*index, *zero))
        value = self.from_storage(raw, buffer.dtype)
        return self.b.select(masked[0], value, masked[1]) if masked else value

    def zero(self, dtype: DtypeName) -> Expr:
        if dtype == "float16":
            return self.b.op("cast", self.b.const(0.0, "float32"), dtype="float16")
        return self.b.const(0, dtype)

    def kept(self, dtype: DtypeName) -> DtypeName:
        """The dtype in which bits of a storage format are held."""
        if dtype == "float16" and self.target.half:
            return dtype
        return FORMATS[dtype].raw

    def from_storage(self, raw: Expr, dtype: str) -> Expr:
        if raw.dtype == "float16":
            return self.b.op("cast", raw, dtype="float32")
        return storage.widen(self.b, raw, dtype)

    def to_storage(self, x: Expr, dtype: DtypeName) -> Expr:
        x = self.b.cast(x, STORAGE[dtype])
        if self.kept(dtype) == "float16":
            return self.b.op("cast", x, dtype="float16")
        return storage.narrow(self.b, x, dtype, self.target.adds_pairs)

    def convert(self, node: Expr, x: Expr) -> Expr | None:
        before, after = node.args[0].dtype, node.dtype
        if node.data == "bitcast":
            to = self.kept(after) if after in STORAGE else after
            return self.b.op("bitcast", x, dtype=to)
        if before in STORAGE:
            inner = rounding(node, before)
            if before == "bfloat16" and after == "float32" and inner is not None:
                return storage.rounded(self.b, self(inner), self.target.adds_pairs)
            wide = self.from_storage(x, before)
            if after in STORAGE:
                return self.to_storage(wide, after)
            return self.b.cast(wide, after)
        return self.to_storage(x, after) if after in STORAGE else None

    def divides_most(self, loop: For) -> bool:
        """Whether a vector loop has roots beside divisions, which take more time than the rest."""
        busy, rest, roots, divisions = 0, 0, 0, 0
        for node in reachable([*expressions((loop,))]):
            if node.kind == "op" and node.dtype == "float32" and node not in self.shared:
                busy += DIVIDER.get(node.data, 0)
                rest += 20 if node.data in MATH else node.data not in DIVIDER
                roots += node.data == "sqrt"
                divisions += node.data == "div"
        return bool(roots and divisions) and busy > rest // 2 + 6

    # --- statements ---
    def statement(self, old: Statement) -> Iterator[Statement]:
        if isinstance(old, For) and old.kind == "unroll":
            yield from self.unroll(old)
            return
        before = self.roots
        if isinstance(old, For) and old.kind == "vector":
            self.roots = self.target.estimates and self.target.fma and self.divides_most(old)
        yield from self.rounded(old)
        self.roots = before

    def rounded(self, old: Statement) -> Iterator[Statement]:
        """The copy of a statement, with what is stored rounded to the formats of memory."""
        if isinstance(old, Store) and old.buffer.dtype in STORAGE:
            inner = rounding(old.value, old.buffer.dtype)
            if inner is not None and inner.dtype == STORAGE[old.buffer.dtype]:
                # it is rounded when it is stored
                old = Store(old.buffer, old.index, inner, old.mask, old.ahead)
        for new in super().statement(old):
            if isinstance(new, Store) and new.buffer.dtype in STORAGE:
                dtype = new.buffer.dtype
                if new.value.dtype == STORAGE[dtype]:
                    value = self.to_storage(new.value, dtype)
                    new = Store(new.buffer, new.index, value, new.mask, new.ahead)
            yield new

    def unroll(self, loop: For) -> Iterator[Statement]:
        """The body once for every value of the axis."""
        b = self.b
        assert isinstance(loop.axis.extent, int), "an unrolled loop has a static extent"
        values = [self(carried.start) for carried in loop.carries]
        steps = range(loop.axis.extent)
        for position in reversed(steps) if loop.reverse else steps:
            copy = Legalizer(b, self.target, dict(self.memo))
            copy.called, copy.shared, copy.roots = self.called, self.shared, self.roots
            copy.running = self.running
            copy.fresh = True  # loops in the body get axes and carries of their own each time
            copy.buffers = dict(self.buffers)
            copy.bound, copy.copied = dict(self.bound), set(self.copied)
            copy.bind("axis", loop.axis, b.index(position))
            for carried, value in zip(loop.carries, values, strict=True):
                copy.bind("carry", carried.carry, value)
            yield from copy.statements(loop.body)
            values = [copy(carried.next) for carried in loop.carries]
        for carried, value in zip(loop.carries, values, strict=True):
            self.bind("final", carried.carry, value)


def rounding(node: Expr, dtype: str) -> Expr | None:
    """What a value is rounded from, if it is a `dtype` made wide again."""
    if node.kind != "op" or node.data != "cast" or node.args[0].dtype != dtype:
        return None
    narrow = node.args[0]
    if narrow.kind != "op" or narrow.data != "cast" or narrow.args[0].dtype != STORAGE[dtype]:
        return None
    return narrow.args[0]


# --- replacements -----------------------------------------------------------------------------
def from_zero(b: Builder, above: Expr, below: Expr) -> Expr | None:
    """`0 <= x and x < n` as one comparison: a negative number is a large one without a sign."""
    if not (above.kind == below.kind == "op" and (above.data, below.data) == ("ge", "lt")):
        return None
    (x, zero), (y, end) = above.args, below.args
    if x is not y or zero.kind != "const" or end.kind != "const" or zero.data or end.data < 0:
        return None
    if not x.dtype.startswith("int"):
        return None
    plain = UNSIGNED[WIDTH[x.dtype]]
    return b.op("lt", b.cast(x, plain), b.const(end.data, plain))


def narrowed(b: Builder, name: str, x: Expr, end: Expr) -> Expr | None:
    """A clamp or comparison of an index before it is made wide: vectors of narrow ones have more
    lanes."""
    (inner,) = x.args
    low, high = affine.limits(inner.dtype)
    if end.kind != "const" or not low <= end.data <= high:
        return None
    found = b.op(name, inner, b.const(end.data, inner.dtype))
    return found if name in COMPARE else b.cast(found, x.dtype)


def is_short_index(x: Expr) -> bool:
    """True for an index that 32 bits hold: vectors of those have twice the lanes."""
    low, high = affine.limits("int32")
    return x.dtype == "int64" and x.low is not None and low <= x.low and x.high <= high


def is_widened(x: Expr) -> bool:
    """True for a cast from a signed integer to a wider one."""
    if x.kind != "op" or x.data != "cast":
        return False
    before, after = x.args[0].dtype, x.dtype
    signed = before.startswith("int") and after.startswith("int")
    return signed and WIDTH[before] < WIDTH[after]


def contract(b: Builder, x: Expr, y: Expr) -> Expr | None:
    """fma for a sum of one product and something that is none, or is exact."""
    products = [a.kind == "op" and a.data == "mul" for a in (x, y)]
    if all(products):
        products = [exact(a) is None for a in (x, y)]
        products[0] = products[0] or not products[1]  # of two that are exact, either
    if products == [True, False]:
        return b.op("fma", *x.args, y)
    if products == [False, True]:
        return b.op("fma", *y.args, x)
    return None


def contract_exact(b: Builder, x: Expr, y: Expr) -> Expr | None:
    """fma for a difference of an exact product and something: it is rounded once in any case."""
    for product, other, sign in ((y, x, -1.0), (x, b.neg(y), 1.0)):
        found = exact(product)
        if found is not None:
            factor, power = found
            return b.op("fma", factor, b.const(sign * power, x.dtype), other)
    return None


def exact(x: Expr) -> tuple[Expr, float] | None:
    """A value as a factor and a power of two, if it is their product: only the smallest numbers are
    rounded by that."""
    if x.kind != "op" or x.data != "mul":
        return None
    for factor, power in (x.args, x.args[::-1]):
        if power.kind == "const" and isfinite(power.data) and abs(frexp(power.data)[0]) == 0.5:
            return factor, power.data
    return None


def wide_fma(b: Builder, x: Expr, y: Expr, z: Expr) -> Expr:
    """A float32 fma in float64, where the product is exact; the sum is rounded twice."""
    x, y, z = (b.cast(v, "float64") for v in (x, y, z))
    return b.cast(b.add(b.mul(x, y), z), "float32")


def nearest(b: Builder, size: Expr) -> Expr:
    """Round a non-negative float to the nearest integer, ties to even, by adding 2^mantissa."""
    magic = b.const(2.0**23 if size.dtype == "float32" else 2.0**52, size.dtype)
    rounded = b.sub(b.add(size, magic), magic)
    return b.select(b.lt(size, magic), rounded, size)  # larger ones and NaN stay


def round_even(b: Builder, x: Expr) -> Expr:
    return b.copysign(nearest(b, b.abs(x)), x)


def step_back(b: Builder, x: Expr, rounded: Expr, name: str) -> Expr:
    """`rounded` moved by one towards where `x` is not beyond it."""
    one = b.const(1.0, x.dtype)
    moved = b.op("sub" if name == "gt" else "add", rounded, one)
    return b.copysign(b.select(b.op(name, rounded, x), moved, rounded), x)


def trunc(b: Builder, x: Expr) -> Expr:
    size = b.abs(x)
    return b.copysign(step_back(b, size, nearest(b, size), "gt"), x)


ROUNDING = {
    "round_even": round_even,
    "trunc": trunc,
    "floor": lambda b, x: step_back(b, x, round_even(b, x), "gt"),
    "ceil": lambda b, x: step_back(b, x, round_even(b, x), "lt"),
}
