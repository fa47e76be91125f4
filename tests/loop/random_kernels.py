"""Random kernels, and what it takes to run them: the fuzz behind `test_compiled.py`."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from fornax.compiler.loop.builder import Builder, compute_dtype
from fornax.compiler.loop.ir import Axis, Buffer, Expr, Kernel, is_float, row_major
from fornax.compiler.loop.meaning import numpy_dtype
from fornax.compiler.loop.schedule import nest
from fornax.scalars.formats import FORMATS

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float32", "float64")
STORED = tuple(FORMATS)
COMPUTED = ("bool", *INTEGERS, *FLOATS)
BINARY = {
    "bool": ("and", "or", "xor"),
    "float": ("add", "sub", "mul", "div", "min", "max", "copysign", "rem"),
    "integer": ("add", "sub", "mul", "div", "rem", "min", "max", "and", "or", "xor",
                "shl", "shr_arithmetic", "shr_logical"),
}  # fmt: skip
UNARY = {
    "bool": ("not",),
    "float": ("neg", "abs", "floor", "ceil", "trunc", "round_even", "sqrt"),
    "integer": ("neg", "abs", "not", "popcount", "clz"),
}
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 40, 64, 67, 100, 129)


def kind_of(dtype: str) -> str:
    return "bool" if dtype == "bool" else "float" if is_float(dtype) else "integer"


def buffer(name: str, dtype: str, shape: tuple[int, ...], role: str = "in") -> Buffer:
    """A C-contiguous buffer."""
    return Buffer(name, dtype, shape, row_major(shape), role)


def data(dtype: str, shape: tuple[int, ...], seed: int, whole: bool = False) -> np.ndarray:
    """Random elements with a few special ones; small whole numbers where `whole`."""
    rng = np.random.default_rng(seed)
    target = numpy_dtype(dtype)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype in FORMATS and not is_float(dtype):
        low, high = FORMATS[dtype].limits
        return rng.integers(low, high + 1, shape).astype(np.int8).astype(target)
    if is_float(dtype):
        if whole:
            return rng.integers(-3, 4, shape).astype(np.float32).astype(target)
        values = rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4, shape)
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, 1.5, -2.5, 1e-40, 3e9])
        picked = rng.integers(0, 60, shape)
        values = np.where(picked < len(special), special[picked % len(special)], values)
        with np.errstate(all="ignore"):
            return values.astype(np.float32).astype(target)
    if whole:
        return rng.integers(0 if dtype[0] == "u" else -3, 4, shape).astype(target)
    info = np.iinfo(target)
    values = rng.integers(info.min, info.max, shape, dtype=target, endpoint=True)
    small = rng.integers(0 if dtype[0] == "u" else -9, 10, shape).astype(target)
    special = np.array([info.min, info.max, 0, 1], target)[rng.integers(0, 4, shape)]
    choice = rng.integers(0, 8, shape)
    return np.where(choice < 2, values, np.where(choice == 2, special, small))


@dataclass
class Made:
    """A kernel with arrays for its buffers; `outputs` are the positions of those it writes."""

    kernel: Kernel
    arrays: list[np.ndarray]
    outputs: list[int]

    def copies(self) -> list[np.ndarray]:
        return [a.copy() for a in self.arrays]


class Maker:
    """Makes one random kernel. Reductions get whole numbers, so that their order is free."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.seed = seed
        self.b = Builder()
        self.buffers: list[Buffer] = []
        self.arrays: list[np.ndarray] = []
        self.whole = False

    def pick(self, options):
        return self.random.choice(options)

    def input(self, dtype: str, shape: tuple[int, ...]) -> Buffer:
        made = buffer(f"x{len(self.buffers)}", dtype, shape)
        self.buffers.append(made)
        self.arrays.append(data(dtype, shape, self.seed + len(self.buffers), self.whole))
        return made

    # --- leaves ---
    def leaf(self, dtype: str, axes: list[Axis]) -> Expr:
        """An expression of `dtype`: a load in one of several patterns, a constant, an index."""
        b = self.b
        chance = self.random.random()
        if chance < 0.12:
            value = self.pick((0, 1, 2, 3, 5, -1, 7) if dtype[0] not in "ub" else (0, 1, 2, 5))
            return b.const(value, dtype)
        if chance < 0.2 and axes and kind_of(dtype) == "integer" and not self.whole:
            return b.cast(b.axis(self.pick(axes)), dtype)
        stored = [d for d in STORED if compute_dtype(d) == dtype]
        kept = self.pick(stored) if stored and self.random.random() < 0.4 else dtype
        return self.load(kept, axes)

    def load(self, dtype: str, axes: list[Axis]) -> Expr:
        b = self.b
        pattern = self.pick(("plain", "plain", "plain", "subset", "transposed", "reversed",
                             "stepped", "shifted", "gathered", "interleaved"))  # fmt: skip
        index = [b.axis(a) for a in axes]
        shape = [a.extent for a in axes]
        if not axes or pattern == "plain":
            return b.load(self.input(dtype, tuple(shape)), index)
        if pattern == "subset":
            kept = [k for k in range(len(axes)) if self.random.random() < 0.5]
            shape, index = [shape[k] for k in kept], [index[k] for k in kept]
        elif pattern == "transposed":
            order = list(range(len(axes)))
            self.random.shuffle(order)
            shape, index = [shape[k] for k in order], [index[k] for k in order]
        elif pattern == "reversed":
            k = self.random.randrange(len(axes))
            index[k] = b.sub(b.index(shape[k] - 1), index[k])
        elif pattern == "stepped":
            k, step = self.random.randrange(len(axes)), self.pick((2, 3, 5))
            index[k] = b.add(b.mul(index[k], b.index(step)), b.index(1))
            shape[k] = shape[k] * step + 2
        elif pattern == "interleaved":
            wide = self.input(dtype, (*shape, 2))
            first = b.load(wide, (*index, b.index(0)))
            second = b.load(wide, (*index, b.index(1)))
            return self.pick((first, second))
        elif pattern == "shifted":
            k, by = self.random.randrange(len(axes)), self.pick((-2, -1, 1, 3))
            moved = b.add(index[k], b.index(by))
            mask = b.within(moved, 0, shape[k])
            index[k] = moved
            other = b.const(1, dtype)
            return b.load(self.input(dtype, tuple(shape)), index, mask=mask, other=other)
        elif pattern == "gathered":
            k = self.random.randrange(len(axes))
            size = self.pick((1, 4, 9))
            which = b.load(self.input("int32", tuple(shape)), index)
            index[k] = b.clamp_index(which, 0, size - 1)
            shape[k] = size
        return b.load(self.input(dtype, tuple(shape)), index)

    # --- expressions ---
    def expression(self, dtype: str, axes: list[Axis], depth: int) -> Expr:
        b = self.b
        if depth == 0 or self.random.random() < 0.1:
            return self.leaf(dtype, axes)
        chance, kind = self.random.random(), kind_of(dtype)
        if dtype == "bool" and chance < 0.5:
            of = self.pick(COMPUTED[1:])
            name = self.pick(("eq", "ne", "lt", "le", "gt", "ge"))
            return b.op(
                name, self.expression(of, axes, depth - 1), self.expression(of, axes, depth - 1)
            )
        if chance < 0.6:
            name = self.pick(BINARY[kind])
            x, y = (self.expression(dtype, axes, depth - 1) for _ in range(2))
            return b.op(name, x, y)
        if chance < 0.75:
            return b.op(self.pick(UNARY[kind]), self.expression(dtype, axes, depth - 1))
        if chance < 0.85:
            condition = self.expression("bool", axes, depth - 1)
            x, y = (self.expression(dtype, axes, depth - 1) for _ in range(2))
            return b.select(condition, x, y)
        if chance < 0.92 and dtype == "float32":
            narrow = self.pick(("float16", "bfloat16", "float8_e5m2", "float8_e4m3fn"))
            return b.cast(self.expression(dtype, axes, depth - 1), narrow)
        return b.cast(self.expression(self.pick(COMPUTED), axes, depth - 1), dtype)

    def sizes(self, rank: int) -> list[int]:
        most = {1: 129, 2: 67, 3: 17}[rank]
        allowed = [n for n in SIZES if n <= most and (n or self.random.random() < 0.2)]
        return [self.pick(allowed) for _ in range(rank)]

    # --- kernels ---
    def elementwise(self) -> Made:
        axes = [Axis(n, f"i{k}") for k, n in enumerate(self.sizes(self.pick((1, 2, 2, 3))))]
        index = [self.b.axis(a) for a in axes]
        stores = []
        for k in range(self.pick((1, 1, 2))):
            dtype = self.pick((*COMPUTED, *STORED))
            value = self.expression(compute_dtype(dtype), axes, self.pick((1, 2, 3, 4)))
            stores.append((self.output(f"y{k}", dtype, axes), index, value))
        return self.finish(nest(self.b, axes, stores))

    def reduction(self) -> Made:
        self.whole = True
        b = self.b
        axes = [Axis(n, f"i{k}") for k, n in enumerate(self.sizes(self.pick((1, 2, 2, 3))))]
        over = [a for a in axes if self.random.random() < 0.5] or [self.pick(axes)]
        outer = [a for a in axes if a not in over]
        dtype = self.pick((*INTEGERS, *FLOATS, "bool"))
        value = self.leaf(dtype, axes)
        if self.random.random() < 0.5:
            value = b.op("and" if dtype == "bool" else "add", value, self.leaf(dtype, axes))
        names = {"bool": ("and", "or", "xor"), "float": ("add", "min", "max", "argmax", "argmin"),
                 "integer": ("add", "mul", "min", "max", "and", "or", "xor", "argmax")}  # fmt: skip
        name = self.pick(names[kind_of(dtype)])
        result = dtype
        if name.startswith("arg") and any(a.extent == 0 for a in over):
            name = "min"  # there is no first extreme of nothing
        if name.startswith("arg"):
            where = b.cast(b.axis(over[-1]), "int32")
            total = b.reduce_component(name, over[-1:], 1, value, where)
            for axis in over[:-1]:
                total = b.reduce("max", [axis], total)
            result = "int32"
        else:
            total = b.reduce(name, over, value)
        index = [b.axis(a) for a in outer]
        stores = [(self.output("y0", result, outer), index, total)]
        if self.random.random() < 0.3 and result == dtype and dtype in FLOATS:
            full = b.op("sub", self.leaf(dtype, axes), total)
            stores = [(self.output("y1", dtype, axes), [b.axis(a) for a in axes], full)]
            outer = [*outer, *over]
        return self.finish(nest(b, outer, stores))

    def output(self, name: str, dtype: str, axes: list[Axis]) -> Buffer:
        return buffer(name, dtype, tuple(a.extent for a in axes), "out")

    def finish(self, body) -> Made:
        from fornax.compiler.loop.ir import Store
        from fornax.compiler.loop.rewrite import walk

        written = list(dict.fromkeys(s.buffer for s in walk(body) if isinstance(s, Store)))
        arrays = [np.zeros(o.shape, numpy_dtype(o.dtype)) for o in written]
        count = len(self.buffers)
        kernel = Kernel("random", (*self.buffers, *written), body)
        outputs = list(range(count, count + len(written)))
        return Made(kernel, [*self.arrays, *arrays], outputs)


def make(kind: str, seed: int) -> Made:
    """A random kernel: "elementwise" or "reduction"."""
    return getattr(Maker(seed), kind)()
