"""`dft`: transforms along one axis, by Stockham's passes of mixed radix.

A pass takes the sums of a few elements that lie far apart, turns them and puts them beside one
another, so that the last one leaves everything in order. Lanes are what lies beside one another:
places of one transform, or transforms of neighbouring columns. Scratch memory holds real and
imaginary parts apart, the first pass reads the operand, the last one writes the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fornax.compiler.kernels.arithmetic import power_of_two
from fornax.compiler.kernels.context import KernelContext
from fornax.compiler.kernels.product import Index, split
from fornax.compiler.loop.builder import Builder, Value
from fornax.compiler.loop.ir import (
    COMPLEX,
    REAL,
    WIDTH,
    Axis,
    Buffer,
    Expr,
    For,
    Pair,
    Statement,
    Store,
)
from fornax.primitives.fft import FftType

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: additions and multiplications that are worth a thread of their own
WORTH_A_THREAD = 1 << 15
#: bytes of real or imaginary parts of neighbouring columns that are transformed together
SIDE_BY_SIDE = 64
#: factors of lengths
RADICES = (8, 7, 5, 4, 3, 2)
#: powers of i
AXES = np.array([1, 1j, -1, -1j])


def radices(length: int, registers: int = 32) -> list[int] | None:
    """The factors of a length, in the order of the passes; None if it has others."""
    found: list[int] = []
    for radix in RADICES:
        while length % radix == 0 and not (radix == 8 and (length == 16 or registers < 32)):
            found.append(radix)
            length //= radix
    # the first pass stores squares, if there is one of four or eight sums
    return sorted(found, key=lambda radix: (radix % 4 != 0, -radix)) if length == 1 else None


# --- arithmetic -------------------------------------------------------------------------------
class Arithmetic:
    """Complex numbers as pairs, in one direction of the transform."""

    def __init__(self, b: Builder, part: DtypeName, sign: int):
        self.b, self.part, self.sign = b, part, sign

    def number(self, value: float) -> Expr:
        return self.b.const(value, self.part)

    def add(self, x: Pair, y: Pair) -> Pair:
        return Pair(self.b.add(x.real, y.real), self.b.add(x.imag, y.imag))

    def sub(self, x: Pair, y: Pair) -> Pair:
        return Pair(self.b.sub(x.real, y.real), self.b.sub(x.imag, y.imag))

    def times(self, x: Pair, y: Pair) -> Pair:
        b = self.b
        real = b.op("fma", x.real, y.real, b.neg(b.mul(x.imag, y.imag)))
        return Pair(real, b.op("fma", x.real, y.imag, b.mul(x.imag, y.real)))

    def conj(self, x: Pair) -> Pair:
        return Pair(x.real, self.b.neg(x.imag))

    def turned(self, x: Pair, turns: int) -> Pair:
        """x times the turns-th power of i."""
        for _ in range(turns % 4):
            x = Pair(self.b.neg(x.imag), x.real)
        return x

    def more(self, total: Pair, x: Pair, factor: float) -> Pair:
        """total + factor x"""
        number = self.number(factor)
        halves = zip(x, total, strict=True)
        return Pair(*(self.b.op("fma", part, number, sum) for part, sum in halves))

    def scaled(self, x: Pair, factor: float) -> Pair:
        return Pair(*(self.b.mul(part, self.number(factor)) for part in x))

    def rotated(self, x: Pair, j: int, radix: int) -> Pair:
        """x times exp(±2πi j / radix), radix being 2, 4 or 8."""
        eighths = 8 * j // radix * self.sign % 8
        if eighths % 2:
            b, half = self.b, self.number(math.sqrt(0.5))
            x = Pair(b.mul(b.sub(x.real, x.imag), half), b.mul(b.add(x.real, x.imag), half))
        return self.turned(x, eighths // 2)

    def sums(self, xs: Sequence[Pair]) -> list[Pair]:
        """The transform of a few numbers."""
        radix = len(xs)
        if radix == 1:
            return list(xs)
        if radix % 2:
            return self.odd(xs)
        even, odd = self.sums(xs[::2]), self.sums(xs[1::2])
        odd = [self.rotated(x, j, radix) for j, x in enumerate(odd)]
        low = [self.add(x, y) for x, y in zip(even, odd, strict=True)]
        return low + [self.sub(x, y) for x, y in zip(even, odd, strict=True)]

    def odd(self, xs: Sequence[Pair]) -> list[Pair]:
        """By pairs from both ends, whose cosines are equal and whose sines are opposite."""
        radix = len(xs)
        count = radix // 2
        plus = [self.add(xs[k], xs[radix - k]) for k in range(1, count + 1)]
        minus = [self.sub(xs[k], xs[radix - k]) for k in range(1, count + 1)]
        first = xs[0]
        for x in plus:
            first = self.add(first, x)
        results = [first] * radix
        for j in range(1, count + 1):
            even, odd = xs[0], Pair(self.number(0.0), self.number(0.0))
            for k in range(1, count + 1):
                root = roots(radix, np.array([j * k]), self.sign)[0]
                even = self.more(even, plus[k - 1], root.real)
                odd = self.more(odd, minus[k - 1], root.imag)
            turned = self.turned(odd, 1)
            results[j], results[radix - j] = self.add(even, turned), self.sub(even, turned)
        return results


def roots(length: int, powers: np.ndarray, sign: int) -> np.ndarray:
    """exp(±2πi powers / length) in float64, from angles below π/4 of more digits, if there are."""
    eighth, rest = np.divmod(8 * (powers % length), length)
    odd = eighth % 2 == 1
    angle = np.where(odd, length - rest, rest) * (np.arctan(np.longdouble(1)) / length)
    cosine, sine = (f(angle).astype(np.float64) for f in (np.cos, np.sin))
    value = (cosine + 1j * np.where(odd, -sine, sine)) * AXES[(eighth + 1) // 2 % 4]
    return value if sign > 0 else value.conj()


# --- passes -----------------------------------------------------------------------------------
Read = Callable[[Expr, Expr], Pair]
Write = Callable[[Expr, Expr, Pair], tuple[Statement, ...]]


class Step(NamedTuple):
    """A pass: from element q + done (p + rest k) to element q + done (radix p + j), q being less
    than done and p less than rest."""

    radix: int
    rest: int
    done: int


class Low(NamedTuple):
    """Where in the densest part of a pass: the column of element q, together `flat`."""

    q: Expr
    column: Expr
    flat: Expr


class Passes:
    """The transforms of `columns` lines of `length` elements side by side, by one worker.

    Element `at` of column `c` lies at `at * columns + c` of scratch memory.
    """

    def __init__(self, k: KernelContext, part: DtypeName, length: int, columns: int, sign: int):
        self.k, self.b, self.part = k, k.b, part
        self.length, self.columns, self.sign = length, columns, sign
        self.lanes = k.target.lanes(part)
        self.calculus = Arithmetic(self.b, part, sign)
        self.sides = [k.scratch(f"side{n}", part, (2, length * columns)) for n in (0, 1)]
        self.next = 0
        self.statements: list[Statement] = []

    def load(self, side: Buffer, at: Expr) -> Pair:
        return Pair(*(self.b.load(side, (self.b.index(p), at)) for p in (0, 1)))

    def save(self, side: Buffer, at: Expr, value: Pair) -> tuple[Statement, ...]:
        return tuple(Store(side, (self.b.index(p), at), x) for p, x in enumerate(value))

    def fresh(self) -> Buffer:
        """The side that is written next."""
        self.next = 1 - self.next
        return self.sides[1 - self.next]

    def vector(
        self, extent: int, name: str, body: Callable[[Expr], Sequence[Statement]], most: int = 64
    ) -> For:
        """A loop whose lanes fill as wide registers as there is something for."""
        axis = Axis(extent, name)
        lanes = min(self.lanes, most, power_of_two(extent))
        return For(axis, tuple(body(self.b.axis(axis))), kind="vector", lanes=lanes)

    @property
    def last(self) -> Buffer:
        """The side that was written last."""
        return self.sides[1 - self.next]

    def run(self, read: Read | None, write: Write | None) -> None:
        """Transform what `read` gives, or what lies in the last side, and `write` it, or leave it
        in a side."""
        factors = radices(self.length, self.k.target.registers)
        assert factors is not None, "others are left to the host"
        factors = factors or [1]
        done, last = 1, len(factors) - 1
        for number, radix in enumerate(factors):
            first = read if number == 0 else None
            final = write if number == last else None
            source = self.last
            target = source if final else self.fresh()
            self.step(Step(radix, self.length // done // radix, done), source, target, first, final)
            done *= radix

    def step(
        self, step: Step, source: Buffer, target: Buffer, read: Read | None, write: Write | None
    ) -> None:
        """One pass, from one side to the other where nothing reads or writes in their place."""
        b, zero = self.b, self.b.index(0)
        radix, rest, done = step
        across = done == 1 and self.columns == 1  # lanes are places p
        turn = self.turn(step, across)

        def body(p: Expr, low: Low) -> tuple[Statement, ...]:
            wide, dense = b.index(done * self.columns), b.index(done)
            xs = []
            for k in range(radix):
                high = b.add_index(p, rest * k)
                if read:
                    xs.append(read(b.add(low.q, b.mul(high, dense)), low.column))
                else:
                    xs.append(self.load(source, b.add(low.flat, b.mul(high, wide))))
            found: list[Statement] = []
            for j, y in enumerate(self.calculus.sums(xs)):
                high = b.add_index(b.mul(p, b.index(radix)), j)
                value = turn(p, j, y)
                if write:
                    found += write(b.add(low.q, b.mul(high, dense)), low.column, value)
                else:
                    found += self.save(target, b.add(low.flat, b.mul(high, wide)), value)
            # real parts beside one another: squares are what is stored one after the other
            return tuple(found if write else found[::2] + found[1::2])

        if across:
            # as many lanes as there are sums, or a part of them, make squares
            most = radix & -radix if radix % 4 == 0 else self.lanes
            loop = self.vector(rest, "p", lambda p: body(p, Low(zero, zero, zero)), most)
            self.statements.append(loop)
            return
        outer, inner = Axis(rest, "p"), Axis(done, "q")
        p, q = (b.axis(a) if a.extent != 1 else zero for a in (outer, inner))
        if self.columns > 1 and (read or write):
            place = b.mul(q, b.index(self.columns))
            loop = self.vector(self.columns, "c", lambda c: body(p, Low(q, c, b.add(place, c))))
            loop = For(inner, (loop,)) if done > 1 else loop
        else:
            loop = self.vector(done * self.columns, "q", lambda q: body(p, Low(q, zero, q)))
        self.statements.append(For(outer, (loop,)) if rest > 1 else loop)

    def turn(self, step: Step, across: bool) -> Callable[[Expr, int, Pair], Pair]:
        """Multiplies sum j of place p by its root of unity."""
        radix, rest, done = step
        if rest == 1:
            return lambda p, j, value: value
        b = self.b
        powers = np.multiply.outer(np.arange(rest), np.arange(1, radix))
        table = roots(rest * radix, powers, self.sign)
        halves = np.stack((table.real, table.imag), -1)  # places p, sums j, halves
        # what is read together lies together
        halves = halves.transpose((1, 2, 0)) if across else halves
        buffer = self.k.constant(f"turns{done}", self.part, halves)

        def turned(p: Expr, j: int, value: Pair) -> Pair:
            if j == 0:
                return value
            places = [(b.index(j - 1), b.index(half)) for half in (0, 1)]
            root = Pair(*(b.load(buffer, (*at, p) if across else (p, *at)) for at in places))
            return self.calculus.times(root, value)

        return turned


# --- the operation ----------------------------------------------------------------------------
def dft(k: KernelContext) -> None:
    """One task for every line, or for some columns side by side."""
    if 0 in k.inputs[0].shape or 0 in k.outputs[0].shape:
        return
    b, axis, length = k.b, k.params["axis"], k.params["length"]
    shape, dtype = k.outputs[0].shape, k.outputs[0].dtype_name
    inner = prod(shape[axis + 1 :])
    columns = min(inner, SIDE_BY_SIDE * 8 // WIDTH[COMPLEX.get(dtype, dtype)])
    groups = -(-inner // columns)
    task = Axis(prod(shape[:axis]) * groups, "task")
    line = b.idiv(b.axis(task), b.index(groups))
    lines = Lines(k, line, b.imod(b.axis(task), b.index(groups)), columns)
    grain = max(1, WORTH_A_THREAD // (length * length.bit_length() * columns))
    k.emit((For(task, lines.body(), kind="parallel"),), task.length, grain)


class Lines:
    """The lines that one worker transforms: a group of columns of block `line`."""

    def __init__(self, k: KernelContext, line: Expr, group: Expr, columns: int):
        self.k, self.b, self.group = k, k.b, group
        self.kind, self.axis, self.length = (k.params[n] for n in ("kind", "axis", "length"))
        shape, dtype = k.outputs[0].shape, k.outputs[0].dtype_name
        self.before, self.inner = split(k.b, line, shape[: self.axis]), shape[self.axis + 1 :]
        self.inverse = self.kind in (FftType.IFFT, FftType.IRFFT)
        #: real numbers of an even count are transformed in pairs, each as one complex number
        self.half = self.kind in (FftType.RFFT, FftType.IRFFT) and self.length % 2 == 0
        self.count = self.length // 2
        length = self.count if self.half else self.length
        sign = 1 if self.inverse else -1
        self.passes = Passes(k, COMPLEX.get(dtype) or REAL[dtype], length, columns, sign)
        self.zero = k.b.index(0)
        # the last columns overlap those before
        self.over = prod(self.inner) - columns
        self.first = k.b.min(k.b.mul(group, k.b.index(columns)), k.b.index(self.over))
        self.turned = self.turns_of_whole() if k.params["whole"] else None

    def body(self) -> tuple[Statement, ...]:
        if self.kind == FftType.RFFT:
            self.of_real()
        elif self.kind == FftType.IRFFT:
            self.to_real()
        else:
            self.passes.run(self.read, self.write)
        return tuple(self.passes.statements)

    def index(self, at: Expr, column: Expr) -> Index:
        return (*self.before, at, *split(self.b, self.b.add(self.first, column), self.inner))

    def read(self, at: Expr, column: Expr) -> Pair:
        value = self.k.operand(0, self.index(at, column))
        return value if isinstance(value, Pair) else Pair(value, self.passes.calculus.number(0.0))

    def write(self, at: Expr, column: Expr, value: Value) -> tuple[Statement, ...]:
        if self.inverse:
            calculus, size = self.passes.calculus, 1 / self.length
            if isinstance(value, Pair):
                value = calculus.scaled(value, size)
            else:
                value = self.b.mul(value, calculus.number(size))
        if self.turned is not None:
            assert isinstance(value, Pair), "parts of long lines are complex"
            value = self.passes.calculus.times(self.turned(at, column), value)
        return self.k.store(0, self.index(at, column), value)

    def turns_of_whole(self) -> Callable[[Expr, Expr], Pair]:
        """Root at · (first + column), as a product: a table of all were as large as the line."""
        b, passes, whole = self.b, self.passes, self.k.params["whole"]
        columns, places = passes.columns, np.arange(self.length)
        firsts = np.minimum(np.arange(0, prod(self.inner), columns), self.over)
        coarse = roots(whole, np.multiply.outer(firsts, places), passes.sign)
        fine = roots(whole, np.multiply.outer(places, np.arange(columns)), passes.sign)
        groups = self.k.constant("groups", passes.part, np.stack((coarse.real, coarse.imag), -1))
        within = self.k.constant("within", passes.part, np.stack((fine.real, fine.imag), 1))

        def turned(at: Expr, column: Expr) -> Pair:
            halves = (b.index(0), b.index(1))
            low = Pair(*(b.load(groups, (self.group, at, half)) for half in halves))
            return passes.calculus.times(
                low, Pair(*(b.load(within, (at, half, column)) for half in halves))
            )

        return turned

    def turns(self, factor: complex) -> Callable[[Expr], Pair]:
        """Roots of unity, of the real length, times a factor."""
        passes = self.passes
        table = factor * roots(self.length, np.arange(self.count), passes.sign)
        halves = np.stack((table.real, table.imag))
        buffer = self.k.constant("real", passes.part, halves)
        return lambda at: passes.load(buffer, at)

    def of_real(self) -> None:
        b, passes, zero, count = self.b, self.passes, self.zero, self.count
        calculus = passes.calculus
        if not self.half:

            def some(at: Expr, column: Expr, value: Pair) -> tuple[Statement, ...]:
                mask = b.lt(at, b.index(count + 1))
                return self.k.store_where(0, self.index(at, column), value, mask)

            passes.run(self.read, some)
            return

        def pair(at: Expr, column: Expr) -> Pair:
            first = b.mul(at, b.index(2))
            return Pair(*(self.read(b.add_index(first, p), column).real for p in (0, 1)))

        passes.run(pair, None)
        side, turns = passes.last, self.turns(-0.5j)

        def middle(step: Expr) -> Sequence[Statement]:
            at = b.add_index(step, 1)
            low = passes.load(side, at)
            high = calculus.conj(passes.load(side, b.sub(b.index(count), at)))
            even = calculus.scaled(calculus.add(low, high), 0.5)
            odd = calculus.times(turns(at), calculus.sub(low, high))
            return self.write(at, zero, calculus.add(even, odd))

        first = passes.load(side, zero)
        ends = (b.add(first.real, first.imag), b.sub(first.real, first.imag))
        for at, end in zip((0, count), ends, strict=True):
            passes.statements += self.write(b.index(at), zero, Pair(end, calculus.number(0.0)))
        if count > 1:
            passes.statements.append(passes.vector(count - 1, "k", middle))

    def to_real(self) -> None:
        """The way back: what is not there is the mirror image of what is."""
        b, passes, zero, count = self.b, self.passes, self.zero, self.count
        calculus, side = passes.calculus, passes.fresh()
        start = self.read(zero, zero)
        start = Pair(start.real, calculus.number(0.0))
        turns = self.turns(1j) if self.half else None
        if self.half:
            last = self.read(b.index(count), zero)
            start = Pair(b.add(start.real, last.real), b.sub(start.real, last.real))
        passes.statements += passes.save(side, zero, start)

        def middle(step: Expr) -> Sequence[Statement]:
            at = b.add_index(step, 1)
            low = self.read(at, zero)
            if turns is None:
                mirror = b.sub(b.index(self.length), at)
                return *passes.save(side, at, low), *passes.save(side, mirror, calculus.conj(low))
            high = calculus.conj(self.read(b.sub(b.index(count), at), zero))
            odd = calculus.times(turns(at), calculus.sub(low, high))
            return passes.save(side, at, calculus.add(calculus.add(low, high), odd))

        steps = count - 1 if self.half else count
        if steps:
            passes.statements.append(passes.vector(steps, "k", middle))

        def real(at: Expr, column: Expr, value: Pair) -> tuple[Statement, ...]:
            if not self.half:
                return self.write(at, column, value.real)
            first = b.mul(at, b.index(2))
            return tuple(
                store
                for p, part in enumerate(value)
                for store in self.write(b.add_index(first, p), column, part)
            )

        passes.run(None, real)
