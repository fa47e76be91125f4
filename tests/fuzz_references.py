"""Operations on mutable references: made, read, written, added to, passed on and closed over.

A body may use the references that were made around it, where that is allowed: a mapped function
writes no mapped values to one from outside, a differentiated one cuts the derivatives of what it
writes. Since a loop reads what a later line writes, the bounds of a reference's numbers hold for
whatever a program writes to it (`Cell`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fornax as fx
import fornax.numpy as fnp
from fornax import lax
from tests.fuzz_nested import BACKWARDS, carried, nested, unknown
from tests.fuzz_operations import indices, operation
from tests.fuzz_values import V, bits_of, convert, dtype_for, fit, real, tame

#: floats that are exact are multiples of 2**-2 below 2**3 when they are written
FINE, LARGE = -2, 3
#: and below 2**10 when they are read, after many additions
SUMMED = 10
#: bodies that are mapped, or whose derivative is mapped
MAPPED = frozenset(("vmap", "derivative", "lent_rows"))
#: bodies that may run another number of times, or not at all, for each example of a mapped one
UNEVEN = frozenset(("loop", "branch", "counted"))


@dataclass(frozen=True, eq=False)
class Cell:
    """A reference. `path`: the bodies that it was made in; `low` and `high` as those of `V`.
    `own`: whether it was made by an instruction, and may end."""

    ref: Any
    named: str
    low: int | None
    high: int
    path: tuple[str, ...]
    own: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.ref.shape

    def bounded(self, array: Any) -> V:
        """What was read, whole or in part."""
        if self.named == "bool" or self.low is None or self.high > SUMMED:
            found = V(array, self.named, self.low, self.high)
            return found if self.low is not None else tame(found)
        if dtype_for(self.named).kind in "iu":
            return V(array, self.named, self.low, self.high)
        bound = 2.0**SUMMED
        return V(fnp.clip(array, -bound, bound), self.named, self.low, self.high)

    def read(self) -> V:
        return self.bounded(self.ref[...])

    def taken(self, v: V, shape: tuple[int, ...], program: Any) -> Any:
        """The numbers of a value as they may be written, in a shape."""
        if self.low is None:
            v = tame(v)
        elif self.named.startswith("float"):
            v = real(program.firm(v))
            fine = 2.0**-FINE
            most = 2.0**LARGE
            v = v.with_(fnp.clip(fnp.round(v.array * fine) / fine, -most, most))
        array = fit(convert(v, self.named), shape).array.astype(self.ref.dtype)
        between = program.path[len(self.path) :]
        return lax.stop_gradient(array) if not BACKWARDS.isdisjoint(between) else array

    def written_in(self, program: Any) -> bool:
        """Whether it may be written where `program` is."""
        return MAPPED.isdisjoint(program.path[len(self.path) :])

    def read_in(self, program: Any) -> bool:
        """Whether it may be read. Rules do not close over what was made in a differentiated
        function (as in jax); and a function with rules gives back the values of all that it closes
        over, which uneven examples make one for each: that is not there yet."""
        if "custom" not in program.path[len(self.path) :]:
            return True
        return BACKWARDS.isdisjoint(self.path) and any(
            part.isdisjoint(program.path) for part in (MAPPED, UNEVEN)
        )


def cell_of(v: V, path: tuple[str, ...]) -> Cell:
    """The cell of a value whose array is a reference already."""
    low, high = v.low, v.high
    if v.whole:
        low, high = 0, bits_of(v.named)
    elif v.named in ("float32", "float64") and v.low is not None and v.low >= FINE:
        high = SUMMED
    else:
        low, high = None, SUMMED
    return Cell(v.array, v.named, low, high, path)


def made_cell(v: V, program: Any) -> Cell:
    v = real(v) if v.kind == "c" else v
    template = cell_of(v, program.path)
    if template.low is None:
        v = convert(tame(v), v.named)
    elif not v.whole:
        v = v.with_(fnp.clip(v.array, -(2.0**SUMMED), 2.0**SUMMED))
    return Cell(fx.new_ref(v.array), v.named, template.low, template.high, program.path, True)


def found_cell(x: V, choice: int, program: Any, writing: bool) -> Cell:
    """A cell of the program; a new one of `x` where there is none."""
    cells = [
        c for c in program.cells if c.read_in(program) and (not writing or c.written_in(program))
    ]
    if not cells:
        cells = [made_cell(x, program)]
        program.cells += cells
    return cells[-1 - choice % len(cells)]


def place(cell: Cell, y: V, choice: int, program: Any) -> Any:
    """An index of a part of a reference."""
    n = cell.shape[0] if cell.shape else 0
    if not n:
        return ...
    k = choice % n
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: ..., lambda: k, lambda: slice(k, None), lambda: slice(None, None, 2),
        lambda: (..., slice(None, None, -1)), lambda: slice(None, n - k), lambda: -1,
        lambda: indices(y, 1, n, choice, program, False).array[0],
        lambda: indices(y, 1 + choice % 4, n, choice, program, False).array,
        lambda: (..., 0) if cell.shape[-1] else ...,
        lambda: (indices(y, 1, n, choice, program, False).array[0], ...),
    )  # fmt: skip
    return kinds[choice // 3 % len(kinds)]()


@operation(2)
def remembered(x, y, choice, program):
    """A new reference."""
    program.cells.append(made_cell(x, program))
    return x


@operation(3)
def recalled(x, y, choice, program):
    """A part of a reference is read, directly or through a view."""
    cell = found_cell(x, choice, program, False)
    index = place(cell, y, choice, program)
    array = cell.ref.at[index][...] if choice % 7 == 0 else cell.ref[index]
    return cell.bounded(array)


@operation(4)
def overwritten(x, y, choice, program):
    """A part of a reference is replaced; what was there, or is then."""
    cell = found_cell(x, choice, program, True)
    index = place(cell, y, choice, program)
    old = cell.ref[index]
    if choice // 3 % 11 == 8:  # repeats get the same value, or their order would matter
        row = cell.taken(x, cell.shape[1:], program)
        new = fnp.broadcast_to(row, old.shape)
    else:
        new = cell.taken(x, old.shape, program)
    if choice % 5 == 0:
        return cell.bounded(fx.ref.swap(cell.ref, index, new))
    if choice % 5 == 1:
        cell.ref.at[index][...] = new
    else:
        cell.ref[index] = new
    return cell.bounded(old) if choice % 5 == 2 else cell.read()


@operation(4)
def accumulated(x, y, choice, program):
    """Something is added to a part of a reference."""
    cell = found_cell(x, choice, program, True)
    if cell.named == "bool":
        return x
    index = place(cell, y, choice, program)
    new = cell.taken(x, cell.ref[index].shape, program)
    if choice % 3 == 0:
        fx.ref.addupdate(cell.ref, index, new)
    elif choice % 3 == 1 and choice // 3 % 11 != 8:
        cell.ref[index] += new
    else:
        cell.ref.addupdate(new, index)
    return cell.read() if choice % 2 else x


@operation(1)
def ended(x, y, choice, program):
    """A reference that was made here gives up its value."""
    own = [c for c in program.cells if c.own and c.path == program.path]
    if not own:
        return x
    cell = own[choice % len(own)]
    program.cells.remove(cell)
    return cell.bounded(fx.freeze(cell.ref))


@nested(2)
def lent(x, y, choice, program, body):
    """A reference is an argument of a compiled function."""
    cell = made_cell(y, program)
    seen = []

    def function(array, ref):
        seen.append(body(x.with_(array), cells=[inside(cell, ref, program, "lent")]))
        return seen[-1].array

    out = fx.jit(function)(x.array, cell.ref)
    if choice % 3 == 0:  # a call more, of the same program
        out = fx.jit(function)(x.array, cell.ref)
    program.cells.append(cell)  # only now: what is an argument must not be closed over, too
    return seen[-1].with_(out)


@nested(2)
def lent_rows(x, y, choice, program, body):
    """A reference is an argument of a mapped function."""
    axis = choice % max(y.ndim, 1)
    if not x.ndim or not y.ndim or not x.shape[0] or x.shape[0] != y.shape[axis]:
        y, axis = x, 0
    if not x.ndim or not x.shape[0]:
        return x
    cell = made_cell(y, program)
    seen = []

    def function(array, ref):
        seen.append(body(x.with_(array), cells=[inside(cell, ref, program, "lent_rows")]))
        return seen[-1].array

    out = fx.vmap(function, in_axes=(0, axis))(x.array, cell.ref)
    program.cells.append(cell)
    return seen[-1].with_(out)


@nested(2)
def lent_to_loop(x, y, choice, program, body):
    """A loop over the rows of a reference, each of which it may write."""
    y = y if y.ndim and 0 < y.shape[0] <= 40 else fit(y, (3, *y.shape)) if y.size < 100 else x
    if not y.ndim or not 0 < y.shape[0] <= 40:
        return x
    cell = made_cell(y, program)
    x = unknown(x)

    def step(carry, ref):
        out = body(x.with_(carry), cells=[inside(cell, ref, program, "lent_to_loop")])
        return carried(out, x).array, None

    last, _ = lax.scan(step, x.array, cell.ref, reverse=choice % 3 == 0)
    program.cells.append(cell)
    return x.with_(last)


@nested(2)
def counted(x, y, choice, program, body):
    """A loop that goes on as long as a reference says, which it counts in."""
    if program.backwards:
        return x
    x = unknown(x)
    start = V(fnp.zeros((), "int32"), "int32")
    cell = made_cell(start, program)
    limit = indices(y, 1, 4, choice, program, False).array[0]

    def step(value):
        if choice % 2 == 0:
            cell.ref[...] += 1
        out = carried(body(x.with_(value)), x).array
        if choice % 2:
            cell.ref.addupdate(1)
        return out

    def going(value):
        if choice % 3 == 0:  # conditions may write as well, where bodies do not
            other.ref[...] += 1
        return cell.ref[...] < limit

    other = made_cell(start, program)
    out = lax.while_loop(going, step, x.array)
    program.cells.append(cell if choice % 3 else other)
    return x.with_(out)


def inside(cell: Cell, ref: Any, program: Any, name: str) -> Cell:
    """What a body that gets a reference knows of it."""
    return Cell(ref, cell.named, cell.low, cell.high, (*program.path, name))
