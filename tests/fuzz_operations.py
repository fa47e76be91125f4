"""Operations of the fuzzer's programs: arithmetic, structure, indexing, reductions, products.

Each takes two values, a number that chooses among its variants, and the program so far; and gives a
value. `fuzz_nested` has those that hold programs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import fornax.numpy as fnp
from fornax import lax
from tests.fuzz_values import (
    MAX_SIZE,
    V,
    convert,
    dtype_for,
    fit,
    floating,
    like,
    numeric,
    promoted,
    real,
    result,
    steady,
    value,
)

Operation = Callable[[V, V, int, Any], V]
OPERATIONS: dict[str, Operation] = {}
#: how often each is chosen
WEIGHTS: dict[str, int] = {}
#: the module of each
MODULES: dict[str, str] = {}
DTYPES = ("float32", "int32", "bfloat16", "float16", "int8", "uint8", "bool", "uint16", "int16",
          "uint32", "complex64")  # fmt: skip


def operation(weight: int = 4) -> Callable[[Operation], Operation]:
    """Enter a function into the table under its name."""

    def enter(function: Operation) -> Operation:
        name = function.__name__.strip("_")
        OPERATIONS[name] = function
        WEIGHTS[name] = weight
        MODULES[name] = function.__module__
        return function

    return enter


def both(x: V, y: V, choice: int) -> tuple[V, V, str]:
    """Operands of one shape after broadcasting, of one dtype or of mixed ones."""
    x, y = numeric(x), numeric(y)
    if choice % 4:
        y = convert(y, x.named)
    elif x.whole and not y.whole and x.high > 7:
        x = convert(x, "int8")
    elif y.whole and not x.whole and y.high > 7:
        y = convert(y, "int8")
    try:
        shape = np.broadcast_shapes(x.shape, y.shape)
        fits = math.prod(shape) <= MAX_SIZE
    except ValueError:
        fits = False
    return x, y if fits else fit(y, x.shape), promoted(x, y)


def lowest(x: V, y: V) -> int | None:
    return None if x.low is None or y.low is None else min(x.low, y.low)


def summed(x: V, y: V, choice: int, function: Callable) -> V:
    x, y, named = both(x, y, choice)
    return result(function(x.array, y.array), named, lowest(x, y), max(x.high, y.high) + 1)


@operation(8)
def plus(x, y, choice, program):
    return summed(x, y, choice, lambda a, b: a + b)


@operation(6)
def minus(x, y, choice, program):
    return summed(x, y, choice, lambda a, b: a - b)


@operation(8)
def times(x, y, choice, program):
    x, y, named = both(x, y, choice)
    low = None if lowest(x, y) is None else x.low + y.low
    more = 1 if named.startswith("complex") else 0
    return result(x.array * y.array, named, low, x.high + y.high + more)


@operation()
def larger(x, y, choice, program):
    x, y = (real(v) if v.kind == "c" else v for v in (x, y))
    kind = (fnp.maximum, fnp.minimum)[choice % 2]
    if choice % 5:  # where rounding decides, it decides about derivatives, too
        x, y = (real(v) if v.kind == "c" else v for v in (program.firm(x), program.firm(y)))
    x, y, named = both(x, y, choice // 2)
    return result(kind(x.array, y.array), named, lowest(x, y), max(x.high, y.high))


@operation(6)
def one(x, y, choice, program):
    """An operation of one operand that keeps exact numbers exact."""
    a = x.array
    if x.kind == "b":
        return x.with_(~a)
    if x.kind == "c":
        kinds = (lambda: -a, lambda: fnp.conj(a), lambda: a * 2, lambda: fnp.real(a) * (1 + 1j),
                 lambda: lax.complex(fnp.imag(a), fnp.real(a)))  # fmt: skip
        return value(kinds[choice % 5]().astype(a.dtype), x.named, x.low, x.high + 1)
    if x.whole:
        kinds = (lambda: -a, lambda: fnp.abs(a), lambda: ~a, lambda: a >> 1, lambda: a << 1,
                 lambda: lax.population_count(a), lambda: lax.clz(a), lambda: a & 5,
                 lambda: fnp.sign(a), lambda: a * a)  # fmt: skip
        return value(kinds[choice % 10](), x.named, 0, 99)
    half = None if x.low is None else x.low - 1
    if choice % 4 == 3 and x.exact:
        floor = (fnp.floor, fnp.ceil, fnp.round, fnp.trunc, fnp.sign)[choice % 5]
        return value(floor(a), x.named, 0, max(x.high, 1) + 1)
    kinds = (lambda: -a, lambda: a * 0.5, lambda: fnp.abs(a) if x.exact else a)
    return value(kinds[choice % 3](), x.named, half, x.high)


@operation(3)
def integer_pair(x, y, choice, program):
    """Division, remainder, shifts and bits of whole numbers."""
    x = x if x.whole and x.kind != "b" else convert(x, ("int32", "uint8", "int16")[choice % 3])
    y = like(y, x)
    a, b = x.array, y.array
    small = b & 7
    kinds = (
        lambda: a // (small + 1), lambda: a % (small + 1), lambda: a << small, lambda: a >> small,
        lambda: a & b, lambda: a | b, lambda: a ^ b, lambda: lax.rem(a, small + 1),
        lambda: lax.div(a, small + 1), lambda: lax.shift_right_logical(a, small),
    )  # fmt: skip
    return value(kinds[choice % 10](), x.named, 0, 99)


@operation(4)
def test(x, y, choice, program):
    """A comparison."""
    x, y = program.firm(x), program.firm(y)
    x, y, _ = both(real(x) if x.kind == "c" else x, real(y) if y.kind == "c" else y, choice)
    kinds = (fnp.less, fnp.equal, fnp.greater_equal, fnp.not_equal, fnp.greater)
    return V(kinds[choice % 5](x.array, y.array), "bool", 0, 1)


@operation(5)
def select(x, y, choice, program):
    condition = fit(convert(program.firm(y), "bool"), x.shape)
    other = like(program.value(choice), x)
    if choice % 5 == 0 and x.ndim:  # a condition that broadcasts
        condition = condition.with_(condition.array[..., :1])
    array = fnp.where(condition.array, x.array, other.array)
    return x.with_(array) if other is x else value(
        array, x.named, lowest(x, other), max(x.high, other.high))  # fmt: skip


@operation(4)
def cast(x, y, choice, program):
    names = DTYPES + (("float64", "int64", "complex128", "uint64") if program.x64 else ())
    return convert(x, names[choice % len(names)])


# --- smooth operations ---
@operation(3)
def smooth(x, y, choice, program):
    x = real(x)
    a = steady(x)
    square = a * a  # and not the absolute value, whose derivative rounding may decide
    kinds = (
        lambda: fnp.sin(a), lambda: fnp.tanh(a), lambda: fnp.exp(-square),
        lambda: fnp.sqrt(square + 0.5), lambda: fnp.log1p(square), lambda: 1 / (1.5 + square),
        lambda: fnp.cos(a), lambda: lax.logistic(a), lambda: fnp.arctan2(a, 1 + square),
        lambda: lax.erf(a), lambda: fnp.cbrt(a + 8), lambda: fnp.power(square + 0.5, 1.5),
        lambda: lax.integer_pow(a, 3), lambda: lax.rsqrt(square + 1), lambda: fnp.expm1(a),
    )  # fmt: skip
    return value(kinds[choice % len(kinds)](), x.named, None, 6)


@operation(3)
def quotient(x, y, choice, program):
    x, y = floating(x), floating(y)
    y = like(y, x)
    if choice % 3 == 0:  # by powers of two: exact
        low = None if x.low is None else x.low - 2
        return value(x.array / np.asarray(4, dtype_for(x.named)), x.named, low, x.high)
    below = steady(y)
    if x.kind == "c":
        below = fnp.real(below)
    return value(x.array / (1 + below * below), x.named, None, x.high)


# --- structure ---
def divisor(n: int, choice: int) -> int:
    found = [d for d in range(1, n + 1) if n % d == 0]
    return found[choice % len(found)] if found else 1


@operation(6)
def shaped(x, y, choice, program):
    a = x.array
    axis = choice % (x.ndim or 1)
    if choice % 6 == 0 or not x.ndim:
        return x.with_(a.reshape(-1) if choice % 2 else a.reshape((*x.shape, 1)))
    if choice % 6 == 1:
        d = divisor(x.size, choice)
        return x.with_(a.reshape(d, x.size // d) if x.size else a.reshape(-1))
    if choice % 6 == 2:
        return x.with_(fnp.moveaxis(a, axis, 0))
    if choice % 6 == 3:
        return x.with_(a.T)
    if choice % 6 == 4:
        return x.with_(fnp.expand_dims(a, axis))
    return x.with_(fnp.squeeze(a))


@operation(7)
def cut(x, y, choice, program):
    """A slice with starts, ends, steps and directions along an axis."""
    if not x.ndim:
        return x
    axis = choice % x.ndim
    n = x.shape[axis]
    k = choice % max(n, 1)
    slices = (slice(k, None), slice(None, n - k), slice(None, None, 2), slice(None, None, -1),
              slice(k // 2, n - k // 3), slice(None, None, -2), slice(k, None, 3), slice(1, None),
              slice(None, -1), slice(n, None))  # fmt: skip
    index = [slice(None)] * x.ndim
    index[axis] = slices[choice % (10 if choice > 60 else 9)]
    return x.with_(x.array[tuple(index)])


@operation(5)
def joined(x, y, choice, program):
    axis = choice % (x.ndim or 1)
    if not x.ndim or choice % 5 == 0:
        other = like(y, x)
        array = fnp.stack([x.array, other.array], axis=choice % (x.ndim + 1))
    else:
        other = convert(y, x.named)
        shape = list(x.shape)
        if other.ndim == x.ndim:
            shape[axis] = other.shape[axis]
        other = fit(other, tuple(shape))
        array = fnp.concatenate([x.array, other.array, x.array][: 2 + choice % 2], axis)
    return value(array, x.named, lowest(x, other), max(x.high, other.high))


@operation(3)
def spread(x, y, choice, program):
    """Repeats of numbers, by strides of 0 or by copies."""
    a = x.array
    kinds = (
        lambda: fnp.broadcast_to(a, (2, *x.shape)),
        lambda: fnp.broadcast_to(a[..., None], (*x.shape, 3)),
        lambda: fnp.tile(a, 2), lambda: fnp.repeat(a, 2, axis=0 if x.ndim else None),
        lambda: fnp.broadcast_to(a[:1], x.shape) if x.ndim else a,
        lambda: fnp.broadcast_to(a.reshape(-1)[:1], (3, 5)) if x.size else a,
    )  # fmt: skip
    return x.with_(kinds[choice % 6]())


@operation(4)
def padded(x, y, choice, program):
    if not x.ndim:
        return x
    sides = ((1, 0), (0, 2), (1, 1), (-1, 2), (2, -1), (-1, 0), (0, -1), (3, 3))
    config = [(0, 0, 0)] * x.ndim
    axis = choice % x.ndim
    before, after = sides[choice % 8]
    config[axis] = (before, after, choice % 3 if choice % 7 == 0 else 0)
    if choice % 5 == 0:
        config[-1] = (*sides[choice % 3], 0)
    fill = fnp.asarray(choice % 2, x.array.dtype)
    if any(n + a + b < 0 for n, (a, b, _) in zip(x.shape, config, strict=True)):
        return x
    return value(lax.pad(x.array, fill, config), x.named, x.low, max(x.high, 1))


@operation(4)
def moved(x, y, choice, program):
    a = x.array
    if not x.ndim or x.size == 0:
        return x
    axis = choice % x.ndim
    kinds = (
        lambda: fnp.roll(a, choice % 5 - 2, axis), lambda: fnp.flip(a, axis),
        lambda: fnp.tril(a) if x.ndim > 1 else a, lambda: fnp.diagonal(a) if x.ndim > 1 else a,
        lambda: fnp.split(a, 2, axis)[choice % 2] if x.shape[axis] % 2 == 0 else a,
        lambda: fnp.rot90(a) if x.ndim > 1 else a, lambda: fnp.swapaxes(a, 0, axis),
        lambda: fnp.triu(a, 1) if x.ndim > 1 else a,
    )  # fmt: skip
    return x.with_(kinds[choice % 8]())


# --- indexing ---
def indices(y: V, count: int, size: int, choice: int, program, beyond: bool) -> V:
    """`count` whole numbers made of a value, some out of bounds where `beyond`."""
    firm = fit(convert(program.firm(y), "int32"), (count,)).array
    if beyond:
        return V(firm % (size + 4) - 2, "int32")
    return V(firm % size, "int32")


@operation(5)
def gathered(x, y, choice, program):
    if not x.ndim or 0 in x.shape:
        return x
    axis = choice % x.ndim
    n = x.shape[axis]
    mode = ("clip", "fill", "wrap", None)[choice % 4]
    index = indices(y, 1 + choice % 6, n, choice, program, mode is not None).array
    if choice % 3 == 0 and x.ndim > 1:
        rows = indices(program.value(choice), index.shape[0], x.shape[0], choice, program, False)
        columns = index % x.shape[1]
        return x.with_(x.array[rows.array, columns])
    if choice % 3 == 1:
        along = fnp.broadcast_to(
            index.reshape([-1 if k == axis else 1 for k in range(x.ndim)]) % n,
            [index.shape[0] if k == axis else m for k, m in enumerate(x.shape)],
        )
        return x.with_(fnp.take_along_axis(x.array, along, axis))
    fill = 1 if mode == "fill" else None
    return value(fnp.take(x.array, index, axis=axis, mode=mode, fill_value=fill), x.named,
                 x.low, max(x.high, 1))  # fmt: skip


@operation(7)
def written(x, y, choice, program):
    """Updates at places known in advance, of slices that overlap with what is read."""
    if not x.ndim or not x.shape[0]:
        return x
    x = numeric(x) if choice % 12 in (1, 5, 7, 8, 10) else x
    a, n = x.array, x.shape[0]
    k = choice % n
    other = like(y, x).array if choice % 3 else a
    kinds = (
        lambda: a.at[k].set(other[0]), lambda: a.at[k].add(other[n - 1]),
        lambda: a.at[::2].set(other[::2][::-1]), lambda: a.at[k:].set(other[: n - k]),
        lambda: a.at[: n - k].set(other[k:]), lambda: a.at[k:].add(other[: n - k]),
        lambda: a.at[::-1].set(other), lambda: a.at[: n - k].max(other[k:]) if x.kind != "c" else a,
        lambda: a.at[1::2].min(other[1::2]) if x.kind != "c" else a,
        lambda: a.at[..., 0].set(other[..., -1]) if a.shape[-1] else a,
        lambda: a.at[k:, ...].add(a[: n - k]), lambda: a.at[:1].set(other[k : k + 1]),
    )  # fmt: skip
    after = kinds[choice % 12]()
    if x.kind == "b":
        return x.with_(after)
    high = max(x.high, like(y, x).high) + 1
    low = lowest(x, like(y, x)) if choice % 3 else x.low
    return value(after, x.named, low, high)


@operation(5)
def scattered(x, y, choice, program):
    """Updates at places that are computed, with repeats where the operation allows them."""
    if not x.ndim or 0 in x.shape or x.kind == "b":
        return x
    n = x.shape[0]
    mode = ("drop", "clip", None)[choice % 3]
    count = 1 + choice % 5
    index = indices(y, count, n, choice, program, mode is not None).array
    update = like(program.value(choice), x.with_(x.array[:1]))
    update = fit(update, (count, *x.shape[1:]))
    at = x.array.at[index]
    kinds = ["add", "min", "max", "set", "mul"] if x.kind != "c" else ["add", "set"]
    kind = kinds[choice % len(kinds)]
    low, high = lowest(x, update), max(x.high, update.high)
    if kind == "set":  # of one value, or the order of repeats would matter
        return value(at.set(update.array[0], mode=mode), x.named, low, high)
    if kind == "mul":
        small = update.with_(fnp.clip(update.array, 0, 1)) if not update.whole else update
        low = None if x.low is None or small.low is None else x.low + min(small.low, 0)
        unique = x.array.at[np.arange(count) % n if count <= n else np.arange(n)]
        after = unique.multiply(small.array[:n], mode=mode, unique_indices=True)
        return value(after, x.named, low, high + 1)
    more = 4 if kind == "add" else 0
    return value(getattr(at, kind)(update.array, mode=mode), x.named, low, high + more)


@operation(4)
def sliced_at(x, y, choice, program):
    """Slices at places that are computed."""
    if not x.ndim or 0 in x.shape:
        return x
    start = indices(y, 1, x.shape[0], choice, program, True).array[0]
    if choice % 2:
        length = 1 + choice % x.shape[0]
        return x.with_(lax.dynamic_slice_in_dim(x.array, start, length, 0))
    other = like(program.value(choice), x)
    length = 1 + choice % x.shape[0]
    piece = other.array[-length:]
    array = lax.dynamic_update_slice_in_dim(x.array, piece, start, 0)
    return value(array, x.named, lowest(x, other), max(x.high, other.high))


# --- reductions and orders ---
@operation(7)
def reduced(x, y, choice, program):
    if x.kind == "c":
        total = fnp.sum(x.array, axis=choice % x.ndim if x.ndim else None)
        return value(total, x.named, x.low, x.high + 12)
    axes = (None, 0, -1, (0, -1) if x.ndim > 1 else None)[choice % 4] if x.ndim else None
    keep = bool(choice % 3 == 0)
    a = x.array
    if x.kind == "b":
        kind = (fnp.any, fnp.all, fnp.sum)[choice % 3]
        return result(kind(a, axis=axes, keepdims=keep), "bool" if choice % 3 < 2 else "int32",
                      0, 14)  # fmt: skip
    kinds = [fnp.sum] if 0 in x.shape else [fnp.sum, fnp.max, fnp.min, fnp.sum, fnp.mean, fnp.prod]
    kind = kinds[choice % len(kinds)]
    if kind is fnp.prod:  # of ones and halves
        a = fnp.clip(a, 0, 2) if x.whole else fnp.tanh(a) + 0.25
        return result(kind(a, axis=axes, keepdims=keep), x.named, None, 6)
    if kind is fnp.mean:
        floats = real(x)
        return value(kind(floats.array, axis=axes, keepdims=keep), floats.named, None, x.high)
    more = (math.ceil(math.log2(x.size + 1)) + 1) if kind is fnp.sum else 0
    return result(kind(a, axis=axes, keepdims=keep), x.named, x.low, x.high + more)


@operation(3)
def normalized(x, y, choice, program):
    """What networks do with rows."""
    if not x.ndim or 0 in x.shape:
        return x
    x = real(x)
    a = x.array * 2.0 ** -max(x.high - 3, 0)
    if choice % 3 == 0:
        e = fnp.exp(a - fnp.max(a, -1, keepdims=True))
        return value(e / fnp.sum(e, -1, keepdims=True), x.named, None, 1)
    if choice % 3 == 1:
        shifted = a - fnp.mean(a, -1, keepdims=True)
        spread_ = fnp.mean(shifted * shifted, -1, keepdims=True)
        return value(shifted * lax.rsqrt(spread_ + 1), x.named, None, 5)
    largest = fnp.max(a, -1, keepdims=True)
    total = fnp.log(fnp.sum(fnp.exp(a - largest), -1)) + largest[..., 0]
    return value(total, x.named, None, 6)


@operation(4)
def running(x, y, choice, program):
    if not x.ndim or x.kind == "c":
        return x
    x = numeric(x)
    axis, reverse = choice % x.ndim, bool(choice // 4 % 2)
    kind = choice % 4
    if kind == 3 and not x.whole:
        return value(lax.cumprod(fnp.tanh(x.array), axis, reverse), x.named, None, 1)
    function = (lax.cumsum, lax.cummax, lax.cummin, lax.cumsum)[kind]
    more = math.ceil(math.log2(x.shape[axis] + 1)) + 1 if kind in (0, 3) else 0
    return value(function(x.array, axis, reverse), x.named, x.low, x.high + more)


@operation(4)
def ordered(x, y, choice, program):
    """Sorts, with and without passengers, and positions of extremes."""
    if not x.ndim or 0 in x.shape or x.kind == "c":
        return x
    x = program.firm(x)
    x = real(x) if x.kind == "c" else x
    a, axis = x.array, choice % x.ndim
    if choice % 6 == 0:
        return x.with_(fnp.sort(a, axis=axis))
    if choice % 6 == 1:
        order = fnp.argsort(a, axis=axis, descending=bool(choice % 4 == 1))
        return result(order, "int32", 0, 12)
    if choice % 6 == 2:
        key, other = lax.sort((a, like(y, x).array), dimension=axis, num_keys=1)
        other_value = like(y, x)
        return other_value.with_(other) if choice % 4 else x.with_(key)
    x = numeric(x)
    if choice % 6 == 3:
        top, where = lax.top_k(x.array, 1 + choice % min(x.shape[-1], 5))
        return x.with_(top) if choice % 4 else result(where, "int32", 0, 12)
    kind = (fnp.argmax, fnp.argmin)[choice % 2]
    return result(kind(x.array, axis=axis), "int32", 0, 12)


# --- products ---
@operation(6)
def product(x, y, choice, program):
    """Matrix products with and without batches, of vectors, over several dimensions."""
    x, y = numeric(x), numeric(y)
    y = convert(y, x.named)
    if 0 in (x.size, y.size):
        return fit(x, (3, 2)) if x.size else x
    a, b = x.array, y.array
    if choice % 4 == 0 and x.ndim == 3:  # a batch in front
        b = fit(y, x.shape).array
        out, depth = lax.dot_general(a, b, (((2,), (2,)), ((0,), (0,)))), x.shape[2]
    elif choice % 4 == 1 and x.ndim >= 2:  # over two dimensions
        b = fit(y, x.shape).array
        axes = (0, 1)
        out, depth = lax.dot_general(a, b, ((axes, axes), ((), ()))), x.shape[0] * x.shape[1]
    else:
        a = a.reshape(x.shape[0], -1) if x.ndim else a.reshape(1, 1)
        b = b.reshape(y.shape[0], -1) if y.ndim else b.reshape(1, 1)
        if choice % 5 == 0:
            a = a.T
        depth = min(a.shape[1], b.shape[1])
        a, b = a[:, :depth], b[:, :depth]
        out = a @ b[0] if choice % 7 == 0 else a[0] @ b.T if choice % 7 == 1 else a @ b.T
    more = math.ceil(math.log2(depth + 1)) + 1
    low = None if lowest(x, y) is None else x.low + y.low
    return result(out, x.named, low, x.high + y.high + more)


@operation(2)
def row_values(x, y, choice, program):
    """Values of rows, read by the elements and by each other."""
    if not x.ndim or not x.size:
        return x
    x = real(x)
    a = x.array * 2.0 ** -max(x.high - 1, 0)
    row = (fnp.sum, fnp.max, fnp.mean)[choice % 3](a, axis=-1)
    row = row / (1 + fnp.abs(row))
    return value(a * row[..., None] + fnp.mean(row), x.named, None, 3)
