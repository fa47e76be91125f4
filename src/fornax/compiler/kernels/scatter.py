"""The scatter family: write or combine windows of updates into an array at indices from an array.

The loop over scatter indices is serial, so that windows that meet are combined in the order of the
updates and results are deterministic. What may run in parallel are dimensions in which no two
updates of different windows can meet: batching dimensions, window dimensions that no index moves,
and, where the caller promises `unique_indices`, the scatter indices themselves.
"""

from __future__ import annotations

from functools import partial
from math import prod

from fornax.compiler.kernels.context import KernelContext, stores
from fornax.compiler.kernels.update import around, clamp_start
from fornax.compiler.loop.builder import Value
from fornax.compiler.loop.ir import Alloc, Axis, Buffer, Expr, For, If, Pair, Statement, Store
from fornax.record import record

#: Elements worth a thread of their own.
WORTH_A_THREAD = 1 << 14

LOGICAL = {"add": "or", "sub": "xor", "mul": "and", "min": "and", "max": "or"}


@record(frozen=True)
class Layout:
    """Which dimension plays which role. Operand dimensions are those of operand 0.

    Attributes:
      scatter: dimensions of the updates that walk over the indices, in order.
      window: operand dimension -> dimension of the updates that walks over it.
      indexed: operand dimension -> component of the index vector that moves it.
      batching: operand dimension -> position in `scatter` of the dimension it goes with.
    """

    scatter: tuple[int, ...]
    window: dict[int, int]
    indexed: dict[int, int]
    batching: dict[int, int]


def layout(k: KernelContext) -> Layout:
    """The roles that `dimension_numbers` gives to dimensions."""
    numbers = k.params["dimension_numbers"]
    operand_rank, update_rank = len(k.inputs[0].shape), len(k.inputs[2].shape)
    batching = tuple(numbers.operand_batching_dims)
    gone = {*numbers.inserted_window_dims, *batching}
    windows = [d for d in range(operand_rank) if d not in gone]
    return Layout(
        tuple(d for d in range(update_rank) if d not in numbers.update_window_dims),
        dict(zip(windows, numbers.update_window_dims, strict=True)),
        {d: n for n, d in enumerate(numbers.scatter_dims_to_operand_dims)},
        dict(zip(batching, numbers.scatter_indices_batching_dims, strict=True)),
    )


def mode_of(k: KernelContext) -> str:
    """Either "clip" or "drop": a promise that indices are in bounds is not trusted with memory."""
    mode = k.params.get("mode")
    name = getattr(mode, "name", mode)
    return "clip" if str(name).lower() == "clip" else "drop"


def scatter(k: KernelContext, combiner: str | None) -> None:
    """Emit the nest of a scatter of operands (array, indices, updates).

    Parameters: `dimension_numbers` (ScatterDimensionNumbers; the last dimension of the indices is
    the index vector), `mode` (clip, fill_or_drop, promise_in_bounds), `unique_indices`, and for
    "scatter" perhaps `update_jaxpr`, a function of the old element and the update.

    A window that does not fit is moved (clip) or left out as a whole.
    """
    b, where = k.b, layout(k)
    shape, updates = k.inputs[0].shape, k.inputs[2].shape
    if 0 in updates or 0 in shape:
        return
    loops, at = order(k, where)
    clip = mode_of(k) == "clip"

    index: list[Expr] = []
    inside = b.const(True, "bool")
    for d, extent in enumerate(shape):
        window = updates[where.window[d]] if d in where.window else 1
        start = b.index(0)
        if d in where.batching:
            start = at[where.scatter[where.batching[d]]]
        elif d in where.indexed:
            place = [*(at[u] for u in where.scatter), b.index(where.indexed[d])]
            raw = k.operand(1, place)
            assert isinstance(raw, Expr)
            if clip:
                start = clamp_start(k, raw, extent - window)
            else:
                if raw.dtype == "uint64":  # too large for int64 is out of bounds as well
                    raw = b.min(raw, b.const(extent, "uint64"))
                start = b.cast(raw, "int64")
                inside = b.and_(inside, b.within(start, 0, extent - window + 1))
        index.append(b.add(start, at[where.window[d]]) if d in where.window else start)

    value = new_value(k, combiner, index, at)
    body: tuple[Statement, ...] = ()
    plain = combiner is None and k.params.get("update_jaxpr") is None
    if isinstance(value, Pair) and not plain and combiner not in ("add", "sub"):
        value, body = held(k, value)  # each part depends on both: read both, then write
    body += stores(b, k.output_buffer(0), index, value)
    body = around(loops.inside, body)
    if not (inside.kind == "const" and inside.data):
        body = (If(inside, body),)
    body = around(loops.outside, body)
    if loops.parallel is None:
        k.emit(body)
        return
    extent = loops.parallel.extent
    grain = max(1, WORTH_A_THREAD * extent // prod(updates))
    k.emit((For(loops.parallel, body, kind="parallel"),), extent, grain)


def held(k: KernelContext, value: Pair) -> tuple[Pair, tuple[Statement, ...]]:
    """A complex value kept on the stack while the parts it was made of are overwritten, and the
    statements that put it there."""
    local = Buffer("held", value.real.dtype, (2,), (1,), "local")
    places = [(k.b.index(p),) for p in (0, 1)]
    saves = tuple(Store(local, at, part) for at, part in zip(places, value, strict=True))
    return Pair(*(k.b.load(local, at) for at in places)), (Alloc(local), *saves)


def new_value(k: KernelContext, combiner: str | None, index: list[Expr], at: list[Expr]) -> Value:
    """What the element at `index` becomes when update `at` meets it."""
    b, dtype = k.b, k.outputs[0].dtype.name
    update = k.operand(2, at)
    function = k.params.get("update_jaxpr") if combiner is None else None
    if combiner is None and function is None:
        return update
    old = b.load(k.output_buffer(0), index, dtype)
    if function is not None:
        (value,) = k.apply(function, old, update)
        return value
    if dtype == "bool":
        combiner = LOGICAL[combiner]
    return b.cast(b.op(combiner, old, update), dtype)


@record(frozen=True)
class Loops:
    """The loops of a nest: perhaps a parallel one, those around the test of the bounds, those
    inside of it."""

    parallel: Axis | None
    outside: list[Axis]
    inside: list[Axis]


def order(k: KernelContext, where: Layout) -> tuple[Loops, list[Expr]]:
    """The loops over the updates, and the index of the update they are at.

    Where a scatter dimension is safe in parallel it comes first, else an outer window dimension,
    else chunks of the innermost one, so that a thread writes whole runs of neighbours.
    """
    b, updates = k.b, k.inputs[2].shape
    axes = [Axis(n, "u") for n in updates]
    at = [b.axis(a) for a in axes]
    long = [u for u, n in enumerate(updates) if n > 1]
    outside = [u for u in long if u in where.scatter]
    within = [u for u in long if u not in where.scatter]
    safe = [u for u in (*outside, *within) if safe_in_parallel(k, where, u)]
    first = next((u for u in safe if u in where.scatter), None)
    if first is None and prod(updates) >= 2 * WORTH_A_THREAD:
        first = next((u for u in safe if u != within[-1] and updates[u] >= k.threads), None)
        if first is None and within and within[-1] in safe:
            width = chunk_width(updates[within[-1]], k.threads)
            if width is not None:
                last = within[-1]
                chunk, axes[last] = Axis(updates[last] // width, "chunk"), Axis(width, "u")
                at[last] = b.add(b.mul(b.axis(chunk), b.index(width)), b.axis(axes[last]))
                return Loops(chunk, [axes[u] for u in outside], [axes[u] for u in within]), at
    loops = Loops(
        None if first is None else axes[first],
        [axes[u] for u in outside if u != first],
        [axes[u] for u in within if u != first],
    )
    return loops, at


def chunk_width(extent: int, threads: int) -> int | None:
    """The largest chunk of whole cache lines that divides `extent` and is enough for `threads`."""
    fitting = (w for w in (1024, 512, 256, 128, 64, 32) if extent % w == 0)
    return next((w for w in fitting if extent // w >= threads), None)


def safe_in_parallel(k: KernelContext, where: Layout, dimension: int) -> bool:
    """True when updates at different places along `dimension` never meet."""
    if dimension in where.scatter:
        position = where.scatter.index(dimension)
        unique = bool(k.params.get("unique_indices")) and mode_of(k) != "clip"
        return unique or position in where.batching.values()
    return any(u == dimension and d not in where.indexed for d, u in where.window.items())


scatter_set = partial(scatter, combiner=None)
scatter_add = partial(scatter, combiner="add")
scatter_sub = partial(scatter, combiner="sub")
scatter_mul = partial(scatter, combiner="mul")
scatter_min = partial(scatter, combiner="min")
scatter_max = partial(scatter, combiner="max")
