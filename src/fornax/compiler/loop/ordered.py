"""Extremes of narrow floats, taken of integers that are in the same order.

    c <- max(c, x[i])      becomes      c <- max(c, place(x[i]))

where `place` turns the order of negative numbers round, of the bits as a signed integer, and moves
the NaNs at the wrong end past the other one, so that the extreme is NaN if any number is. A
register holds twice the integers that it holds float32s, and no NaN is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fornax._native import reachable
from fornax.compiler.loop.builder import Builder, identity
from fornax.compiler.loop.ir import (
    SIGNED,
    STORAGE,
    UNSIGNED,
    WIDTH,
    Carried,
    Carry,
    Expr,
    For,
    Kernel,
)
from fornax.compiler.loop.rewrite import Rewriter, walk
from fornax.scalars.formats import FORMATS

if TYPE_CHECKING:
    from fornax._native import DtypeName


def ordered(kernel: Kernel) -> Kernel:
    """The flat kernel, before its loops are marked, with such reductions of integers."""
    found = [s for s in walk(kernel.body) if isinstance(s, For) and is_extreme(s)]
    return Orderer(set(found)).kernel(kernel) if found else kernel


def is_extreme(loop: For) -> bool:
    """Whether a loop computes nothing but extremes of narrow floats from memory."""
    if loop.body or loop.kind != "serial" or not loop.carries:
        return False
    if not isinstance(loop.axis.extent, int):
        return False
    return all(read(c) is not None for c in loop.carries)


def read(carried: Carried) -> tuple[Expr, list[str]] | None:
    """The load whose extreme a carry is, and which changes of its sign come before, the last one
    first."""
    how, carry, following = carried.combiner, carried.carry, carried.next
    if how not in ("max", "min") or following.kind != "op" or following.data != how:
        return None
    if carried.start.kind != "const" or carried.start.data != identity(how, carry.dtype):
        return None
    others = [a for a in following.args if a.kind != "carry" or a.data is not carry]
    if len(others) != 1:
        return None
    found, signs = others[0], []
    while found.kind == "op" and found.data in ("abs", "neg", "cast"):
        if found.data != "cast":
            signs.append(found.data)
        (found,) = found.args
    row = FORMATS.get(found.data.dtype) if found.kind == "load" and not found.masked else None
    if row is None or not row.has_infinity or row.bits != WIDTH[row.name]:
        return None
    # what the casts round to is the format that was read: signs change nothing else
    casts = {a.dtype for a in reachable(others) if a.kind == "op" and a.data == "cast"}
    exact = casts <= {row.name, row.computed}
    return (found, signs) if exact and found.dtype == carry.dtype == row.computed else None


class Orderer(Rewriter):
    def __init__(self, found: set[For]):
        super().__init__(Builder())
        self.found = found

    def loop(self, old: For) -> For:
        if old not in self.found:
            return super().loop(old)
        b = self.b
        axis = old.axis
        carries = []
        for carried in old.carries:
            what, how = read(carried), carried.combiner
            assert what is not None and how is not None, "it is an extreme"
            load, signs = what
            dtype = load.data.dtype
            raw = b.node("load", UNSIGNED[WIDTH[dtype]], load.data, tuple(map(self, load.args)))
            word = b.op("bitcast", raw, dtype=SIGNED[WIDTH[dtype]])
            for change in reversed(signs):
                if change == "neg":
                    word = b.xor(word, sign(b, word.dtype))
                else:
                    word = b.and_(word, b.not_(sign(b, word.dtype)))
            found = place(b, word, dtype, how)
            carry = Carry(found.dtype, carried.carry.name)
            start = b.const(identity(how, carry.dtype), carry.dtype)
            carries.append(Carried(carry, start, b.op(how, b.carry(carry), found), how))
            value = number(b, b.final(carry), dtype, how)
            self.bind("final", carried.carry, value)
        return For(axis, (), tuple(carries), old.kind, old.lanes, old.reverse)


def place(b: Builder, word: Expr, dtype: DtypeName, how: str) -> Expr:
    """Where the number of these bits stands among all of its format, as a signed integer.

    NaNs come last for maxima and first for minima; the infinity at the other end is the first or
    last of all integers."""
    signed = SIGNED[WIDTH[dtype]]
    # one more bit than a mask of the others needs, as that would become a second shift
    found = b.xor(word, b.or_(negative(b, word), sign(b, signed)))
    return b.op("add", found, b.sub(sign(b, signed), nans(b, dtype, how)))


def number(b: Builder, found: Expr, dtype: DtypeName, how: str) -> Expr:
    """The number that stands at a place, as it is computed on."""
    back = b.op("add", found, nans(b, dtype, how))
    word = b.xor(back, b.and_(negative(b, back), b.not_(sign(b, found.dtype))))
    bits = b.op("bitcast", word, dtype=UNSIGNED[WIDTH[dtype]])
    return b.op("cast", b.op("bitcast", bits, dtype=dtype), dtype=STORAGE[dtype])


def sign(b: Builder, dtype: DtypeName) -> Expr:
    return b.const(-1 << (WIDTH[dtype] - 1), dtype)


def negative(b: Builder, word: Expr) -> Expr:
    """All bits, where the sign is set."""
    return b.op("shr_arithmetic", word, b.const(WIDTH[word.dtype] - 1, word.dtype))


def nans(b: Builder, dtype: DtypeName, how: str) -> Expr:
    """How many places to the left numbers move: as many as there are NaNs of one sign."""
    row = FORMATS[dtype]
    count = (1 << (row.bits - 1)) - 1 - row.top
    return b.const(count if how == "max" else -count, SIGNED[WIDTH[dtype]])
