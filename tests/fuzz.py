"""Differential fuzzing: random programs, evaluated in NumPy and compiled for every target.

    make fuzz ARGS="--programs 1000 --seed 7"

A program is a list of instructions over a growing list of values; shapes broadcast, values are
shared, sliced, updated in place, reduced, multiplied, looped over and branched on. The expected
result is evaluation by the references with jit disabled. A failing program is shrunk by leaving
out instructions while it still fails, and printed with its seed.
"""

from __future__ import annotations

import argparse
import random as python_random
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

import fornax as fx
import fornax.numpy as fnp
from fornax import lax, settings
from fornax.tree_util import tree_leaves as leaves

Value = object
SHAPES = (
    (),
    (1,),
    (3,),
    (8,),
    (17,),
    (3, 4),
    (1, 5),
    (4, 1),
    (5, 6),
    (2, 3, 4),
    (16, 33),
    (7, 130),
    (0, 3),
)


@dataclass(frozen=True)
class Instruction:
    """`operation` applied to earlier values (by position, modulo how many there are)."""

    operation: str
    operands: tuple[int, ...]
    choice: int


def _align(x, y):
    """Make two values fit: the second one is reduced or repeated to the shape of the first."""
    if x.shape == y.shape or not y.shape or not x.shape:
        return x, y
    return x, fnp.full(x.shape, 1, x.dtype) * fnp.sum(y)


def _sin(x):
    """Of moderate numbers: the sine of large ones makes rounding errors visible."""
    return fnp.sin(fnp.clip(x, -20.0, 20.0))


def _two(function: Callable) -> Callable:
    return lambda x, y, choice: function(*_align(x, y))


def _rows(x):
    columns = int(np.prod(x.shape[1:]))
    return x.reshape(x.shape[0], columns) if x.ndim else x.reshape(1, 1)


def _matmul(x, y, choice):
    a, b = _rows(x), _rows(y)
    k = min(a.shape[1], b.shape[1])
    return a[:, :k] @ b[:, :k].T


def _scan(x, y, choice):
    if not x.ndim or not x.shape[0]:
        return x
    start = fnp.zeros(x.shape[1:], x.dtype)

    def body(carry, row):
        new = fnp.tanh(carry * 0.5 + row)
        return new, (new * row if choice % 2 else carry)

    last, stacked = lax.scan(body, start, x, reverse=bool(choice % 3 == 0))
    return stacked + last


def _while(x, y, choice):
    limit = choice % 4

    def body(state):
        count, value = state
        return count + 1, _sin(value) + 0.1

    return lax.while_loop(lambda s: s[0] < limit, body, (0, x))[1]


def _loop(x, y, choice):
    """Loops whose bodies are made of several kernels: updates, branches, loops, reductions."""
    x = x.reshape(-1)[:40]
    if not x.size:
        return x
    n, steps, other = x.size, 1 + choice % 5, fnp.sum(y) * 0.01

    def fill(i, s):
        return s.at[i % n].set(s[(i - 1) % n] * 0.5 + other), None

    def exchange(i, s):
        a, b = s
        return (b * 0.5, a.at[i % n].add(b[0])), a[0]

    def branches(i, s):
        return lax.cond(i % 3 == 1, lambda v: v.at[0].set(v[-1] * 0.5), lambda v: v * 0.9, s), s[0]

    def scalars(i, s):
        k, total = s
        total = lax.cond(total > 0, lambda t: t - 0.3, lambda t: t + 0.2, total)
        return ((k + 2) % n, total + x[k]), (k, total)

    def nested(i, s):
        inner = lambda c, r: (c * 0.5 + r, c)  # noqa: E731
        last, stacked = lax.scan(inner, s[0], s, reverse=bool(choice % 2))
        return s.at[i % n].set(last) * 0.9, stacked

    def product(i, s):
        return fnp.tanh(fnp.outer(s, s) @ s * 0.1), fnp.max(s)

    def slide(i, s):
        window = lax.dynamic_slice(s, (i,), (1 + n // 2,))
        return lax.dynamic_update_slice(s, window * 0.5, (n - i,)), window

    zero = fnp.zeros((), fnp.int32)
    bodies = [
        (fill, x), (exchange, (x, x[::-1])), (branches, x), (scalars, (zero, x[0])), (nested, x),
        (product, x), (slide, x),
    ]  # fmt: skip
    body, start = bodies[(choice // 5) % len(bodies)]
    if choice % 4 == 3:
        go = lambda s: (s[0] < steps) & ~fnp.isnan(fnp.sum(fnp.asarray(leaves(s[1])[-1])))  # noqa: E731
        out = lax.while_loop(go, lambda s: (s[0] + 1, body(s[0], s[1])[0]), (0, start))
        results = leaves(out)
    else:
        step = lambda s, i: body(i, s)  # noqa: E731
        results = leaves(lax.scan(step, start, fnp.arange(steps), reverse=choice % 4 == 2))
    return fnp.concatenate([fnp.reshape(r, (-1,)).astype(x.dtype) for r in results])


def _loop_gradient(x, y, choice):
    flat = x.reshape(-1)[:40]
    if not flat.size or x.dtype != fnp.float32:
        return flat
    return fx.grad(lambda v: fnp.sum(_loop(v, y, choice - choice % 4) ** 2))(flat)


def _cond(x, y, choice):
    test = fnp.sum(x) > 0
    return lax.cond(test, lambda v: v * 2 + 1, lambda v: fnp.abs(v) - v, x)


def _update(x, y, choice):
    if not x.ndim or not x.shape[0]:
        return x
    k = choice % x.shape[0]
    kinds = (
        lambda: x.at[k].set(0.5), lambda: x.at[k].add(x[0]), lambda: x.at[::2].multiply(2.0),
        lambda: x.at[fnp.array([0, k])].add(1.0),
    )  # fmt: skip
    return kinds[choice % len(kinds)]()


def _pad(x, y, choice):
    if not x.ndim:
        return x
    config = [(choice % 3, (choice // 3) % 2, 0)] + [(0, 0, 0)] * (x.ndim - 1)
    return lax.pad(x, fnp.zeros((), x.dtype), config)


def _reduce(x, y, choice):
    axis = None if not x.ndim else choice % x.ndim
    kind = (fnp.sum, fnp.mean, fnp.max, fnp.min, fnp.prod)[choice % 5]
    if x.size == 0:
        kind = fnp.sum
    return kind(fnp.tanh(x), axis=axis, keepdims=bool(choice % 2))


def _softmax(x, y, choice):
    if not x.ndim or not x.size:
        return x
    e = fnp.exp(x - fnp.max(x, -1, keepdims=True))
    return e / fnp.sum(e, -1, keepdims=True)


def _row_values(x, y, choice):
    """Values of rows, read by the elements and by each other."""
    if not x.ndim or not x.size:
        return x
    row = (fnp.sum, fnp.max, fnp.mean)[choice % 3](fnp.tanh(x), axis=-1)
    if choice % 5 == 0:
        return row
    return x * fnp.exp(-row * row)[..., None] + fnp.mean(row)


def _product_with_rows(x, y, choice):
    """A product with a vector, and what a gradient makes of it."""
    if x.ndim != 2 or not x.size:
        return x
    weights = fnp.cos(fnp.arange(x.shape[1], dtype=x.dtype))[:, None]
    row = fnp.tanh(x @ weights)[:, 0]
    g = row * (1 - row)
    return (g[:, None] @ weights.T) * (1 - fnp.tanh(x)) + (x.T @ g[:, None])[:, 0]


def _take(x, y, choice):
    if not x.ndim or not x.shape[0]:
        return x
    index = fnp.array([choice % x.shape[0], 0, -1])
    return fnp.take(x, index, axis=0)


def _grad(x, y, choice):
    def loss(v):
        return fnp.sum(_sin(v) * fnp.cumsum(fnp.tanh(v).reshape(-1)).reshape(v.shape))

    # bounded, or the sine of large numbers would make rounding errors visible
    return fnp.tanh(fx.grad(loss)(x))


def _vmap(x, y, choice):
    if not x.ndim or not x.shape[0]:
        return x
    return fx.vmap(lambda row: fnp.sum(row * row) + row)(x)


def _custom(x, y, choice):
    @fx.custom_vjp
    def f(v):
        return _sin(v)

    f.defvjp(lambda v: (f(v), v), lambda v, g: (g * fnp.tanh(v) * 2,))
    return fx.grad(lambda v: fnp.sum(f(v)))(x) + f(x)


OPERATIONS: dict[str, Callable] = {
    "add": _two(lambda x, y: x + y),
    "sub": _two(lambda x, y: x - y),
    "mul": _two(lambda x, y: x * y * 0.5),
    "div": _two(lambda x, y: x / (1.5 + y * y)),
    "max": _two(fnp.maximum),
    "where": _two(lambda x, y: fnp.where(x > y, x, y * 0.25)),
    "sin": lambda x, y, c: _sin(x),
    "tanh": lambda x, y, c: fnp.tanh(x),
    "exp": lambda x, y, c: fnp.exp(-fnp.abs(x)),
    "sqrt": lambda x, y, c: fnp.sqrt(fnp.abs(x) + 0.1),
    "reshape": lambda x, y, c: x.reshape(-1) if c % 2 else x.reshape((*x.shape, 1)),
    "transpose": lambda x, y, c: x.T,
    "slice": lambda x, y, c: x[c % max(x.shape[0], 1) :] if x.ndim and x.shape[0] > 1 else x,
    "stride": lambda x, y, c: x[:: 1 + c % 3] if x.ndim else x,
    "reverse": lambda x, y, c: x[::-1] if x.ndim else x,
    "broadcast": lambda x, y, c: fnp.broadcast_to(x, (2, *x.shape)),
    "concatenate": lambda x, y, c: fnp.concatenate([x, x * 2], 0) if x.ndim else x,
    "cumsum": lambda x, y, c: fnp.cumsum(fnp.tanh(x), axis=c % x.ndim) if x.ndim else x,
    # of whole numbers: rounding must not decide between neighbours
    "argmax": lambda x, y, c: (
        fnp.argmax(fnp.floor(x * 8 + 0.123), -1).astype(x.dtype) if x.ndim and x.size else x
    ),
    "reduce": _reduce, "softmax": _softmax, "matmul": _matmul, "scan": _scan, "while": _while,
    "cond": _cond, "loop": _loop, "loop gradient": _loop_gradient,
    "update": _update, "pad": _pad, "take": _take, "grad": _grad, "vmap": _vmap,
    "custom_vjp": _custom, "rows": _row_values, "product with rows": _product_with_rows,
}  # fmt: skip
MAX_SIZE = 4000


def arrays(seed: int, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    numbers = np.random.default_rng(seed)
    return [numbers.standard_normal(shape).astype(np.float32) for shape in shapes]


def make(seed: int) -> tuple[list[np.ndarray], list[Instruction]]:
    """The inputs and instructions of program number `seed`."""
    choose = python_random.Random(seed)
    inputs = arrays(seed, [choose.choice(SHAPES) for _ in range(choose.randint(1, 3))])
    names = sorted(OPERATIONS)
    instructions = [
        Instruction(
            choose.choice(names), (choose.randrange(64), choose.randrange(64)), choose.randrange(64)
        )
        for _ in range(choose.randint(2, 14))
    ]
    return inputs, instructions


def run(instructions: list[Instruction], *inputs: Value) -> list[Value]:
    """All values of a program (the last few are what is compared)."""
    values = [fnp.asarray(x) for x in inputs]
    for instruction in instructions:
        x, y = (values[-1 - k % len(values)] for k in instruction.operands)
        result = OPERATIONS[instruction.operation](x, y, instruction.choice)
        if result.size <= MAX_SIZE and result.ndim <= 5:
            values.append(result)
    return values[-3:]


def difference(inputs: list[np.ndarray], instructions: list[Instruction], targets) -> str | None:
    """What is wrong with a program, or None."""
    with fx.disable_jit():
        expected = [np.asarray(v) for v in run(instructions, *inputs)]
    for target in targets:
        try:
            with settings.override(target=target):
                got = fx.jit(lambda *xs: run(instructions, *xs))(*inputs)
        except Exception:
            return f"{target}: {traceback.format_exc(limit=-4)}"
        for k, (a, b) in enumerate(zip(got, expected, strict=True)):
            a = np.asarray(a)
            if a.shape != b.shape or a.dtype != b.dtype:
                return f"{target}: output {k} is {a.dtype}{a.shape}, expected {b.dtype}{b.shape}"
            apart = ~np.isclose(a, b, rtol=2e-3, atol=2e-4, equal_nan=True)
            if apart.any():
                # both about as far from the truth: an ill-conditioned program, no wrong one
                truth = exact(inputs, instructions)[k]
                apart &= ~(np.abs(a - truth) <= 8 * np.nanmax(np.abs(b - truth)))
            if apart.any():
                worst = np.nanmax(np.abs(a - b)[apart])
                return f"{target}: output {k} differs by {worst}"
    return None


def exact(inputs: list[np.ndarray], instructions: list[Instruction]) -> list[np.ndarray]:
    """What a program gives in float64."""
    with fx.enable_x64(True), fx.disable_jit():
        return [np.asarray(v) for v in run(instructions, *(x.astype(np.float64) for x in inputs))]


def shrink(inputs, instructions, targets) -> tuple[list[Instruction], str]:
    """The shortest sub-list of instructions found that still fails."""
    problem = difference(inputs, instructions, targets)
    k = 0
    while k < len(instructions):
        fewer = instructions[:k] + instructions[k + 1 :]
        found = difference(inputs, fewer, targets)
        if found is not None:
            instructions, problem = fewer, found
        else:
            k += 1
    return instructions, problem


def check(seed: int, targets=("native",)) -> None:
    """Raise AssertionError with a shrunk program if program `seed` is compiled wrongly."""
    compare(f"seed {seed}", *make(seed), targets)


def compare(
    name: str, inputs: list[np.ndarray], instructions: list[Instruction], targets=("native",)
) -> None:
    """Raise AssertionError with a shrunk program if the program is compiled wrongly."""
    if difference(inputs, instructions, targets) is not None:
        short, problem = shrink(inputs, instructions, targets)
        lines = "\n".join(f"  {i}" for i in short)
        shapes = [x.shape for x in inputs]
        raise AssertionError(f"{name}, inputs {shapes}:\n{lines}\n{problem}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", default="native,sse2")
    options = parser.parse_args()
    failures = 0
    began = time.perf_counter()
    for seed in range(options.seed, options.seed + options.programs):
        try:
            check(seed, options.targets.split(","))
        except AssertionError as error:
            failures += 1
            print(error, flush=True)
    seconds = time.perf_counter() - began
    print(f"{options.programs} programs from seed {options.seed}: {failures} mismatches, "
          f"{seconds:.0f} s")  # fmt: skip
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
