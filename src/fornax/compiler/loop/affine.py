"""Index arithmetic: intervals and linear forms of integer expressions.

Every integer `Expr` has an interval [low, high], computed when `Builder` makes the node, from those
of its operands. Every int64 sum also has a linear form, a tuple of (part, coefficient) pairs and a
constant, which is kept where it is first needed: every sum that `Builder` makes is built from its
form, so nothing here walks deep graphs. Linear forms wrap like int64;
division rules (`quotient`, `modulo`) are for indices, which do not overflow.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from fornax.compiler.loop.ir import COMPARE, STORAGE, WIDTH, Axis, Expr, is_float, is_signed
from fornax.scalars.formats import FORMATS

if TYPE_CHECKING:
    from fornax.compiler.loop.builder import Builder

#: (combiner, component) of reductions whose result is one of the values
BOUNDED_REDUCTIONS = {("min", 0), ("max", 0), ("argmin", 1), ("argmax", 1)}

Terms = tuple[tuple[Expr, int], ...]


def bounds_of(dtype: str) -> tuple[int, int]:
    if dtype in FORMATS:
        return FORMATS[dtype].limits
    width = WIDTH[dtype]
    if dtype == "bool":
        return 0, 1
    if is_signed(dtype):
        return -(1 << (width - 1)), (1 << (width - 1)) - 1
    return 0, (1 << width) - 1


LIMITS = {dtype: bounds_of(dtype) for dtype in WIDTH if not is_float(dtype)}
#: dtypes whose expressions have intervals: integers and bool, not those that are memory only
INTEGERS = frozenset(LIMITS) - set(STORAGE)


def limits(dtype: str) -> tuple[int, int]:
    """Smallest and largest value of an integer dtype or bool."""
    return LIMITS[dtype]


def wrap(value: int, dtype: str = "int64") -> int:
    """`value` modulo the width of an integer dtype."""
    low, high = LIMITS[dtype]
    return value if low <= value <= high else (value - low) % (high - low + 1) + low


# --- intervals --------------------------------------------------------------------------------
def interval(node: Expr) -> tuple[int, int]:
    """Bounds of an integer or bool expression whose operands already have theirs."""
    full = LIMITS[node.dtype]
    kind = node.kind
    if kind == "const":
        return int(node.data), int(node.data)
    if kind == "axis":
        return 0, last_value(node.data)
    if kind == "param":
        return 0, full[1]
    if kind == "carry" and node.args:
        return node.args[0].low, node.args[1].high
    if kind == "reduce":
        value = node.args[node.data[2]]
        if (node.data[0], node.data[2]) in BOUNDED_REDUCTIONS:
            return value.low, value.high
        return full
    if kind != "op" or node.data in COMPARE:
        return full
    found = operation_interval(node.data, node.args, node.dtype)
    if found is None or found[0] < full[0] or found[1] > full[1]:
        return full
    return found


def last_value(axis: Axis) -> int:
    """The largest value the axis can take (0 for an empty one)."""
    extent = axis.extent
    return max((extent.high if isinstance(extent, Expr) else extent) - 1, 0)


def operation_interval(name: str, args: tuple[Expr, ...], dtype: str) -> tuple[int, int] | None:
    """Bounds of an operation before wrapping, or None when nothing is known."""
    if name in ("select", "rarely"):
        (a, b), (c, d) = chosen(args[0], args[1], True), chosen(args[0], args[2], False)
        return min(a, c), max(b, d)
    x = args[0]
    if x.low is None:  # a float operand (cast, bitcast)
        return None
    a, b = x.low, x.high
    if name == "cast":
        return a, b
    if name == "neg":
        return -b, -a
    if name == "abs":
        return (0 if a <= 0 <= b else min(abs(a), abs(b))), max(abs(a), abs(b))
    if name in ("popcount", "clz"):
        return 0, WIDTH[dtype]
    if len(args) != 2 or args[1].low is None:
        return None
    c, d = args[1].low, args[1].high
    if name == "add":
        return a + c, b + d
    if name == "sub":
        return a - d, b - c
    if name == "mul":
        corners = (a * c, a * d, b * c, b * d)
        return min(corners), max(corners)
    if name == "min":
        return min(a, c), min(b, d)
    if name == "max":
        return max(a, c), max(b, d)
    if name == "idiv" and c > 0:
        corners = (a // c, a // d, b // c, b // d)
        return min(corners), max(corners)
    if name == "imod" and c > 0:
        return (a, b) if 0 <= a and b < c else (0, d - 1)
    if name == "rem" and c > 0:
        return max(a, 1 - d) if a < 0 else 0, min(b, d - 1) if b > 0 else 0
    if name == "div" and c > 0 and a >= 0:
        return a // d, b // c
    if name in ("shr_logical", "shr_arithmetic") and a >= 0 and c >= 0:
        return (a >> d if d < 64 else 0), (b >> c if c < 64 else 0)
    if name == "and" and dtype != "bool" and (a >= 0 or c >= 0):
        return 0, min(b if a >= 0 else d, d if c >= 0 else b)
    return None


def chosen(condition: Expr, value: Expr, holds: bool) -> tuple[int, int]:
    """Bounds of a value that is chosen where a condition holds, or where it does not."""
    low, high = value.low, value.high
    if condition.kind != "op" or condition.args[0] is not value or condition.args[-1].low is None:
        return low, high
    bound, name = condition.args[-1], condition.data
    if (name in ("ge", "gt")) if holds else (name in ("lt", "le")):
        low = max(low, bound.low + (name in ("gt", "le")))
    elif name in ("lt", "le", "ge", "gt"):
        high = min(high, bound.high - (name in ("lt", "ge")))
    return (low, high) if low <= high else (value.low, value.high)


# --- linear forms -----------------------------------------------------------------------------
#: half of the range of int64
_HALF = 1 << 63


def linear(x: Expr) -> tuple[Terms, int]:
    """x as (parts with coefficients, constant)."""
    found = form(x)
    if found is not None:
        return found
    if x.kind == "const":
        return (), x.data
    return ((x, 1),), 0


def combine(*scaled: tuple[Expr, int], constant: int = 0) -> tuple[dict[Expr, int], int]:
    """The linear form of sum(coefficient * x) + constant."""
    total: dict[Expr, int] = {}
    for x, scale in scaled:
        found = x.linear or form(x)
        if found is not None:
            terms, offset = found
            constant += scale * offset
            for part, coefficient in terms:
                total[part] = total.get(part, 0) + scale * coefficient
        elif x.kind == "const":
            constant += scale * x.data
        else:
            total[x] = total.get(x, 0) + scale
    for c in total.values():
        if not c or not -_HALF <= c < _HALF:
            total = {p: w for p, c in total.items() if (w := wrap(c))}
            break
    return total, constant if -_HALF <= constant < _HALF else wrap(constant)


def form(node: Expr) -> tuple[Terms, int] | None:
    """The linear form of an int64 operation that is a sum or a multiple, else None."""
    if node.linear is not None:
        return node.linear
    if node.kind != "op" or node.dtype != "int64":
        return None
    name, args = node.data, node.args
    if name == "add":
        total = combine((args[0], 1), (args[1], 1))
    elif name == "sub":
        total = combine((args[0], 1), (args[1], -1))
    elif name == "neg":
        total = combine((args[0], -1))
    elif name == "mul" and args[1].kind == "const":
        total = combine((args[0], args[1].data))
    else:
        return None
    node.linear = tuple(total[0].items()), total[1]
    return node.linear


def build(b: Builder, terms: dict[Expr, int], constant: int) -> Expr:
    """The canonical expression of a linear form: parts in order of creation, constant last."""
    if not terms:
        return b.index(constant)
    total = None
    if len(terms) > 1:
        ordered = tuple(sorted(terms.items(), key=_by_number))
    else:
        ordered = tuple(terms.items())
        if not constant and ordered[0][1] == 1:
            return ordered[0][0]
    for part, coefficient in ordered:
        negate = coefficient < 0 and total is not None
        size = -coefficient if negate else coefficient
        scaled = part if size == 1 else b.node("op", "int64", "mul", (part, b.index(size)))
        if total is None:
            total = scaled
        else:
            total = b.node("op", "int64", "sub" if negate else "add", (total, scaled))
    assert total is not None
    if constant:
        total = b.node("op", "int64", "add", (total, b.index(constant)))
    if total.kind == "op" and total.linear is None and total.data in _SUMS:
        total.linear = ordered, constant
    return total


#: operations that have a linear form (a product if one factor is constant)
_SUMS = frozenset(("add", "sub", "mul"))


def _by_number(term: tuple[Expr, int]) -> int:
    return term[0].number


def sum_of(b: Builder, *scaled: tuple[Expr, int], constant: int = 0) -> Expr:
    """sum(coefficient * x) + constant in canonical form, with divisions put together again."""
    terms, constant = combine(*scaled, constant=constant)
    if len(terms) > 1:
        terms, constant = rejoin(b, terms, constant)
    return build(b, terms, constant)


def rejoin(b: Builder, terms: dict[Expr, int], constant: int) -> tuple[dict[Expr, int], int]:
    """Use n * (x idiv n) + x imod n = x, which turns the index of a reshape back into one."""
    changed = True
    while changed:
        changed = False
        for part, coefficient in terms.items():
            if part.kind != "op" or part.data != "imod" or part.args[1].kind != "const":
                continue
            x, size = part.args
            whole = quotient(b, x, size.data)
            factor = coefficient * size.data
            # the quotient may itself be a sum or have become 0: compare in linear form
            found, offset = linear(whole)
            if found and all(terms.get(p, 0) == factor * c for p, c in found):
                rest = {p: c for p, c in terms.items() if p is not part}
                for p, _ in found:
                    rest.pop(p, None)
                total, more = combine((x, coefficient), constant=constant - factor * offset)
                for p, c in rest.items():
                    total[p] = total.get(p, 0) + c
                terms, constant = {p: c for p, c in total.items() if c}, wrap(more)
                changed = True
                break
    return terms, constant


def span(terms: dict[Expr, int], constant: int) -> tuple[int, int]:
    """Bounds of a linear form."""
    low = high = constant
    for part, coefficient in terms.items():
        a, b = coefficient * part.low, coefficient * part.high
        low += min(a, b)
        high += max(a, b)
    return low, high


# --- division ---------------------------------------------------------------------------------
def quotient(b: Builder, x: Expr, size: int) -> Expr:
    """Floor division of an index by a positive constant, simplified."""
    if size == 1:
        return x
    terms, constant = combine((x, 1))
    whole = {p: c // size for p, c in terms.items() if c % size == 0}
    rest = {p: c for p, c in terms.items() if c % size}
    offset, constant = constant // size, constant % size
    low, high = span(rest, constant)
    if low // size == high // size:
        return build(b, whole, offset + low // size)
    inner, size = reduced(b, rest, constant, size)
    if inner.kind == "op" and inner.args[-1].kind == "const":
        argument, divisor = inner.args[0], inner.args[-1].data
        if inner.data == "idiv":
            return sum_with(b, whole, offset, quotient(b, argument, divisor * size))
        if inner.data == "imod" and divisor % size == 0:
            inside = modulo(b, quotient(b, argument, size), divisor // size)
            return sum_with(b, whole, offset, inside)
    divided = b.node("op", "int64", "idiv", (inner, b.index(size))) if size > 1 else inner
    return sum_with(b, whole, offset, divided)


def modulo(b: Builder, x: Expr, size: int) -> Expr:
    """The remainder in [0, size) of an index by a positive constant, simplified."""
    if size == 1:
        return b.index(0)
    terms, constant = combine((x, 1))
    rest = {p: c for p, c in terms.items() if c % size}
    constant %= size
    low, high = span(rest, constant)
    if low // size == high // size:
        return build(b, rest, constant - size * (low // size))
    scale = gcd(size, *rest.values())
    inner, small = reduced(b, rest, constant, size)
    if inner.kind == "op" and inner.data == "imod" and inner.args[1].kind == "const":
        if inner.args[1].data % small == 0:
            inner = modulo(b, inner.args[0], small)
            return sum_of(b, (inner, scale), constant=constant % scale)
    kept = b.node("op", "int64", "imod", (inner, b.index(small))) if small > 1 else b.index(0)
    return sum_of(b, (kept, scale), constant=constant % scale)


def reduced(b: Builder, rest: dict[Expr, int], constant: int, size: int) -> tuple[Expr, int]:
    """Divide a form and the divisor by the common factor of the coefficients and the divisor."""
    scale = gcd(size, *rest.values())
    terms = {p: c // scale for p, c in rest.items()}
    return build(b, terms, constant // scale), size // scale


def sum_with(b: Builder, terms: dict[Expr, int], constant: int, x: Expr) -> Expr:
    """A linear form plus one more expression."""
    return sum_of(b, (x, 1), *terms.items(), constant=constant)


def depends_on_axis(x: Expr, axes: set[Axis]) -> bool:
    """True when x depends on one of `axes`, or on values carried by loops."""
    seen: set[Expr] = set()
    stack = [x]
    while stack:
        node = stack.pop()
        if node.kind in ("carry", "final") or (node.kind == "axis" and node.data in axes):
            return True
        if node not in seen:
            seen.add(node)
            stack.extend(node.args)
    return False
