"""The first table of the fuzzer's operations, on plain float arrays: the programs in `FIRST` of
`fuzz_found` are written in it. New programs are made of `fuzz_operations` and `fuzz_nested`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

import fornax as fx
import fornax.numpy as fnp
from fornax import lax

Value = object


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
    "cond": _cond, "update": _update, "pad": _pad, "take": _take, "grad": _grad, "vmap": _vmap,
    "custom_vjp": _custom, "rows": _row_values, "product with rows": _product_with_rows,
}  # fmt: skip
MAX_SIZE = 4000


def arrays(seed: int, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    numbers = np.random.default_rng(seed)
    return [numbers.standard_normal(shape).astype(np.float32) for shape in shapes]


def run(instructions: Sequence[tuple[str, int, int, int]], *inputs: Value) -> list[Value]:
    """All values of a program (the last few are what is compared)."""
    values = [fnp.asarray(x) for x in inputs]
    for name, *operands, choice in instructions:
        x, y = (values[-1 - k % len(values)] for k in operands)
        result = OPERATIONS[name](x, y, choice)
        if result.size <= MAX_SIZE and result.ndim <= 5:
            values.append(result)
    return values[-3:]
