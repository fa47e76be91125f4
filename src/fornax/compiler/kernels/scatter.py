"""The scatter family: write or combine windows of updates into an array at indices from an array.

The loop over scatter indices is serial, so that windows that meet are combined in the order of the
updates and results are deterministic. What may run in parallel are dimensions in which no two
updates of different windows can meet: batching dimensions, window dimensions that no index moves,
and, where the caller promises `unique_indices`, the scatter indices themselves. Where there is no
such dimension, many updates of few elements are summed in a fixed number of copies of the operand,
and many single updates of a large one are made in parts of it (`scatter_parts`).
"""

from __future__ import annotations

from functools import partial
from math import prod

from fornax.compiler.kernels.context import KernelContext, stores
from fornax.compiler.kernels.product import split
from fornax.compiler.kernels.scatter_parts import BLOCK, MANY, in_parts
from fornax.compiler.kernels.update import around, clamp_start
from fornax.compiler.loop.builder import Builder, Value, compute_dtype
from fornax.compiler.loop.ir import (
    COMPLEX,
    Alloc,
    Axis,
    Buffer,
    Expr,
    For,
    If,
    Pair,
    Statement,
    Store,
    row_major,
)
from fornax.record import record

#: Elements worth a thread of their own.
WORTH_A_THREAD = 1 << 14

#: Copies that updates are added up in,
COPIES = 8
#: and the fewest updates for which they are made.
COPIED = 1 << 15

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
    if copies_pay(k, where, combiner):
        in_copies(k, where)
        return
    dimension = parts_pay(k, where)
    if dimension is not None:
        single = next(u for u, n in enumerate(updates) if n > 1)

        def update(number: Expr) -> tuple[list[Expr], Expr, tuple[Statement, ...]]:
            at = [number if u == single else b.index(0) for u in range(len(updates))]
            return made(k, where, combiner, at)

        in_parts(k, updates[single], dimension, update)
        return
    loops, at = order(k, where)
    _, inside, body = made(k, where, combiner, at)
    body = around(loops.inside, body)
    if not (inside.kind == "const" and inside.data):
        body = (If(inside, body),)
    body = around(loops.outside, body)
    if loops.parallel is None:
        k.emit(body)
        return
    extent = loops.parallel.length
    grain = max(1, WORTH_A_THREAD * extent // prod(updates))
    k.emit((For(loops.parallel, body, kind="parallel"),), extent, grain)


def made(
    k: KernelContext, where: Layout, combiner: str | None, at: list[Expr]
) -> tuple[list[Expr], Expr, tuple[Statement, ...]]:
    """The operand's index that the update at `at` goes to, whether its window fits, and the
    statements that make it."""
    index, inside = target_of(k, where, at)
    value = new_value(k, combiner, index, at)
    body: tuple[Statement, ...] = ()
    plain = combiner is None and k.params.get("update_jaxpr") is None
    if isinstance(value, Pair) and not plain and combiner not in ("add", "sub"):
        value, body = held(k, value)  # each part depends on both: read both, then write
    return index, inside, body + stores(k.b, k.output_buffer(0), index, value)


def parts_pay(k: KernelContext, where: Layout) -> int | None:
    """The dimension whose shares threads own, where nothing is safe in parallel and updates are
    single elements, many of them, to a large operand."""
    updates = k.inputs[2].shape
    long = [u for u, n in enumerate(updates) if n > 1]
    if k.threads == 1 or len(long) != 1 or long[0] not in where.scatter:
        return None
    if min(prod(updates), prod(k.inputs[0].shape)) < MANY or safe_in_parallel(k, where, long[0]):
        return None
    shape = k.inputs[0].shape
    return next((d for d in where.indexed if shape[d] >= k.threads * BLOCK), None)


def target_of(k: KernelContext, where: Layout, at: list[Expr]) -> tuple[list[Expr], Expr]:
    """The operand's index that the update at `at` goes to, and whether its window fits."""
    b, clip = k.b, mode_of(k) == "clip"
    shape, updates = k.inputs[0].shape, k.inputs[2].shape
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
    return index, inside


def held(k: KernelContext, value: Pair) -> tuple[Pair, tuple[Statement, ...]]:
    """A complex value kept on the stack while the parts it was made of are overwritten, and the
    statements that put it there."""
    local = Buffer("held", value.real.dtype, (2,), (1,), "local")
    places = [(k.b.index(p),) for p in (0, 1)]
    saves = tuple(Store(local, at, part) for at, part in zip(places, value, strict=True))
    return Pair(*(k.b.load(local, at) for at in places)), (Alloc(local), *saves)


def new_value(k: KernelContext, combiner: str | None, index: list[Expr], at: list[Expr]) -> Value:
    """What the element at `index` becomes when update `at` meets it."""
    b, dtype = k.b, k.outputs[0].dtype_name
    update = k.operand(2, at)
    if combiner is None:
        function = k.params.get("update_jaxpr")
        if function is None:
            return update
        (value,) = k.apply(function, b.load(k.output_buffer(0), index, dtype), update)
        return value
    old = b.load(k.output_buffer(0), index, dtype)
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


# --- sums in copies ---------------------------------------------------------------------------
def copies_pay(k: KernelContext, where: Layout, combiner: str | None) -> bool:
    """Whether to add the updates up in several copies of the operand, at once, and these then.

    That is so where nothing else is safe in parallel and the copies take less than the updates. It
    does not depend on the number of threads, so the order of additions does not either.
    """
    size = prod(k.inputs[0].shape)
    updates = k.inputs[2].shape
    if combiner != "add" or k.outputs[0].dtype_name == "bool" or prod(updates) < COPIED:
        return False
    safe = any(safe_in_parallel(k, where, u) for u, n in enumerate(updates) if n > 1)
    return not safe and size * COPIES <= prod(updates) and longest(k, where) is not None


def longest(k: KernelContext, where: Layout) -> int | None:
    """The first dimension of the updates, along which they are shared out."""
    updates = k.inputs[2].shape
    return next((u for u in where.scatter if updates[u] >= COPIES), None)


def in_copies(k: KernelContext, where: Layout) -> None:
    """Emit a sum of updates in copies: one nest fills them, one adds them to the operand."""
    b, shape, updates = k.b, k.inputs[0].shape, k.inputs[2].shape
    dtype = k.outputs[0].dtype_name
    first = longest(k, where)
    assert first is not None
    part = COMPLEX.get(dtype) or compute_dtype(dtype)
    parts = 2 if dtype in COMPLEX else 1
    copies = k.workspace("copies", part, (COPIES, prod(shape), parts))
    flat = Axis(prod(shape), "element")
    pair = Axis(COPIES // 2, "pair")
    # -0.0 changes nothing, 0.0 would change -0.0
    nothing = b.const(-0.0 if "float" in part else 0, part)
    lanes = k.target.lanes(part)

    def sums(number: Expr, element: Expr) -> tuple[tuple[Expr, Expr, Expr], ...]:
        return tuple((number, element, b.index(p)) for p in range(parts))

    clear = For(
        flat,
        tuple(
            Store(copies, at, nothing)
            for side in (0, 1)
            for at in sums(b.add_index(b.mul(b.axis(pair), b.index(2)), side), b.axis(flat))
        ),
        kind="vector",
        lanes=lanes,
    )
    share = updates[first] // COPIES
    along = Axis(share, "u")
    axes = [Axis(n, "u") for n in updates]
    rest = [axes[u] for u in range(len(updates)) if u != first and updates[u] > 1]

    def added(copy: Expr, place: Expr) -> tuple[Statement, ...]:
        """Add the updates at `place` of the first dimension to a copy."""
        at = [b.axis(a) for a in axes]
        at[first] = place
        index, inside = target_of(k, where, at)
        update = k.operand(2, at)
        values = tuple(update) if isinstance(update, Pair) else (update,)
        places = sums(copy, flat_index(b, index, shape))
        body: tuple[Statement, ...] = tuple(
            Store(copies, to, b.add(b.load(copies, to), value))
            for to, value in zip(places, values, strict=True)
        )
        return body if inside.kind == "const" and inside.data else (If(inside, body),)

    # two copies in turn: equal indices that follow one another wait for one another half as long
    body: tuple[Statement, ...] = ()
    for number in (
        b.mul(b.axis(pair), b.index(2)),
        b.add_index(b.mul(b.axis(pair), b.index(2)), 1),
    ):
        body += added(number, b.add(b.mul(number, b.index(share)), b.axis(along)))
    loops = (clear, *around([along, *rest], body))
    k.emit((For(pair, loops, kind="parallel"),), COPIES // 2, 1)
    if updates[first] % COPIES:
        left = Axis(updates[first] % COPIES, "u")
        last = added(b.index(0), b.add(b.index(COPIES * share), b.axis(left)))
        k.emit(around([left, *rest], last))

    one = Axis(prod(shape), "element")
    here = split(b, b.axis(one), tuple(shape))
    total = b.load(k.output_buffer(0), here, dtype)
    for copy in range(COPIES):
        found = [b.load(copies, place) for place in sums(b.index(copy), b.axis(one))]
        total = b.add(total, Pair(*found) if parts == 2 else found[0])
    k.emit((For(one, stores(b, k.output_buffer(0), here, b.cast(total, dtype))),))


def flat_index(b: Builder, index: list[Expr], shape: tuple[int, ...]) -> Expr:
    """The number of an element in row-major order."""
    total = b.index(0)
    for i, step in zip(index, row_major(tuple(shape)), strict=True):
        total = b.add(total, b.mul(i, b.index(step)))
    return total


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
