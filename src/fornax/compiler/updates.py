"""Updates of arrays in forms that can be made in place.

Derivatives and mapped loops write updates in ways that touch the whole array: the transpose of
reading an element is an array of zeros with one element, which is then added; a mapped loop keeps
the old array where its condition is false. Both are scatters that change a few elements:

    x + scatter-add(0, i, u)        ->  scatter-add(x, i, u)
    x + dynamic_update_slice(0, u)  ->  scatter-add(x, starts, u)
    select(p, x, scatter(x, i, u))  ->  scatter(x, select(p, nowhere, i), u)

The other way round, an update that is large and at a known place, of an array that lives on or is
in no memory, is no update in place: the result is written once, as the array and the update side by
side, or what reads it element by element selects between both.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var
from fornax.ir.primitive import primitive_named
from fornax.ir.types import ArrayType
from fornax.primitives.windows import GatherScatterMode, ScatterDimensionNumbers
from fornax.scalars import dtypes
from fornax.transforms.dce import dead_code

#: an update of a larger share of the array is added as an array
SHARE = 4
#: values that are looked at to find what an update is made of
FAR = 200
SCATTERS = frozenset(
    ("scatter", "scatter-add", "scatter-sub", "scatter-mul", "scatter-min", "scatter-max")
)
ADDS = frozenset(("add", "add_any"))


def in_place(
    equations: Sequence[Equation],
    outputs: Sequence[Atom],
    lasting: Collection[Var] = (),
    moving: Collection[Var] = (),
) -> list[Equation]:
    """The equations of a canonical program with such updates rewritten. The memory of `lasting`
    variables may not be changed; what follows `moving` ones may lie elsewhere at no cost."""
    names = {e.primitive.name for e in equations}
    if not names & SCATTERS and "dynamic_update_slice" not in names:
        return list(equations)
    return _Updates(equations, outputs, lasting, moving).equations


def of_lasting_inputs(
    jaxpr: Jaxpr, lasting: Collection[Var], moving: Collection[Var] = ()
) -> Jaxpr:
    """A canonical program, knowing which of its inputs keep their memory, and which are carried by
    a loop, whose next values come to lie beside them."""
    equations = in_place(jaxpr.equations, jaxpr.outputs, lasting, moving)
    if all(map(operator.is_, equations, jaxpr.equations)):
        return jaxpr
    outputs, name = jaxpr.outputs, jaxpr.debug_name
    found = dead_code(Jaxpr(jaxpr.inputs, tuple(equations), outputs, jaxpr.consts, name))
    found.memo["canonical"] = found
    return found


class _Updates:
    def __init__(
        self,
        equations: Sequence[Equation],
        outputs: Sequence[Atom],
        lasting: Collection[Var],
        moving: Collection[Var],
    ):
        self.lasting = lasting
        self.moving = moving
        self.definition: dict[Var, Equation] = {}
        self.uses: dict[Var, int] = {}
        for atom in (*(a for e in equations for a in e.inputs), *outputs):
            if isinstance(atom, Var):
                self.uses[atom] = self.uses.get(atom, 0) + 1
        self.readers: dict[Var, list[Equation | None]] = {}
        for reader in equations:
            for atom in reader.inputs:
                if isinstance(atom, Var):
                    self.readers.setdefault(atom, []).append(reader)
        for atom in outputs:
            if isinstance(atom, Var):
                self.readers.setdefault(atom, []).append(None)
        self.equations: list[Equation] = []
        for equation in equations:
            name = equation.primitive.name
            new = None
            if name in ADDS:
                new = self.added(equation)
            elif name == "select_n" and len(equation.inputs) == 3:
                new = self.kept(equation)
            elif name == "dynamic_update_slice":
                new = self.written_once(equation)
            self.append(new or equation)

    def append(self, equation: Equation) -> None:
        self.equations.append(equation)
        for var in equation.outputs:
            self.definition[var] = equation

    def make(self, name: str, inputs: Sequence[Atom], type: ArrayType, **params: Any) -> Var:
        """The result of a new equation."""
        result = Var(type)
        self.append(Equation(primitive_named(name), tuple(inputs), params, (result,)))
        return result

    def only(self, atom: Atom, names: frozenset[str] | set[str]) -> Equation | None:
        """The equation of one of these operations whose result is used once, and is `atom`."""
        if not isinstance(atom, Var) or self.uses.get(atom) != 1:
            return None
        found = self.definition.get(atom)
        return found if found is not None and found.primitive.name in names else None

    def is_zero(self, atom: Atom) -> bool:
        if isinstance(atom, Literal):
            return bool(np.all(np.asarray(atom.value) == 0))
        found = self.definition.get(atom)
        if found is None or found.primitive.name != "broadcast_in_dim":
            return False
        return self.is_zero(found.inputs[0])

    # --- sums ---
    def added(self, equation: Equation) -> Equation | None:
        for position in (1, 0):
            x, update = equation.inputs[1 - position], equation.inputs[position]
            if not isinstance(x, Var) or x.type.shape != equation.outputs[0].type.shape:
                continue
            found = self.only(update, {"scatter-add", "dynamic_update_slice"})
            if found is None or not self.is_zero(found.inputs[0]):
                continue
            change = found.inputs[-1] if found.primitive.name == "scatter-add" else found.inputs[1]
            if change.type.size * SHARE > x.type.size:
                continue
            if found.primitive.name == "scatter-add":
                return found.replace(inputs=(x, *found.inputs[1:]), outputs=equation.outputs)
            return self.slice_added(x, change, found.inputs[2:], equation)
        return None

    def slice_added(
        self, x: Var, change: Atom, starts: Sequence[Atom], equation: Equation
    ) -> Equation:
        """x with `change` added at `starts`, moved inside as dynamic slices are."""
        rank = len(starts)
        one = ArrayType((1,), starts[0].type.dtype)
        spread = {"shape": (1,), "broadcast_dimensions": ()}
        parts = [self.make("broadcast_in_dim", [s], one, **spread) for s in starts]
        indices = parts[0]
        if rank > 1:
            type = ArrayType((rank,), one.dtype)
            indices = self.make("concatenate", parts, type, dimension=0)
        every = tuple(range(rank))
        return Equation(
            primitive_named("scatter-add"), (x, indices, change),
            {
                "dimension_numbers": ScatterDimensionNumbers(every, (), every, (), ()),
                "indices_are_sorted": True, "unique_indices": True, "update_jaxpr": None,
                "mode": GatherScatterMode.CLIP,
            },
            equation.outputs, equation.source,
        )  # fmt: skip

    # --- large updates ---
    def written_once(self, equation: Equation) -> Equation | None:
        """A large update at a known place, of an array whose memory it cannot take, as a result
        that is written once: the array beside the update, or a selection of both."""
        x, change, *starts = equation.inputs
        known = [start for start in starts if isinstance(start, Literal)]
        if not isinstance(x, Var) or len(known) < len(starts):
            return None
        if change.type.size * SHARE <= x.type.size:
            return None
        low = [
            min(max(int(start.value), 0), extent - size)
            for start, size, extent in zip(known, change.type.shape, x.type.shape, strict=True)
        ]
        axes = [d for d, n in enumerate(x.type.shape) if n != change.type.shape[d]]
        alone = x in self.lasting or self.is_computed(x)
        if alone and len(axes) == 1:
            return self.joined(equation, axes[0], low[axes[0]])
        readers = self.readers.get(equation.outputs[0], [])
        pointwise = all(r is not None and r.primitive.pointwise for r in readers)
        # where it has no other reader it ends here: its memory is changed
        alone = alone or (bool(readers) and pointwise and len(self.readers[x]) > 1)
        moves = x in self.moving or x in self.definition
        if not alone and not (moves and self.is_made_of(change, x)):
            return None
        return self.selected(equation, low)

    def is_made_of(self, change: Atom, x: Var) -> bool:
        """Whether an update is computed from other elements of the array, as stencils are: it would
        have to be in memory by itself before the array may change."""
        pending, seen = [change], set[Atom]()
        while pending and len(seen) < FAR:
            atom = pending.pop()
            if atom is x:
                return True
            made = self.definition.get(atom) if isinstance(atom, Var) else None
            if made is not None and atom not in seen and made.primitive.has_element:
                seen.add(atom)
                pending += made.inputs
        return False

    def is_computed(self, x: Var) -> bool:
        """Whether an array is computed where it is read, and need not be in memory."""
        made = self.definition.get(x)
        names = ("slice", "dynamic_update_slice")
        return (
            made is not None
            and made.primitive.pointwise
            and all(
                r is not None and (r.primitive.pointwise or r.primitive.name in names)
                for r in self.readers[x]
            )
        )

    def joined(self, equation: Equation, axis: int, low: int) -> Equation:
        """What lies before the update, the update, and what lies behind it."""
        x, change = equation.inputs[:2]
        high, extent = low + change.type.shape[axis], x.type.shape[axis]
        parts = [self.rows(x, axis, 0, low), change, self.rows(x, axis, high, extent)]
        parts = [part for part in parts if part.type.shape[axis]]
        join = primitive_named("concatenate")
        return Equation(join, tuple(parts), {"dimension": axis}, equation.outputs, equation.source)

    def rows(self, x: Atom, axis: int, low: int, high: int) -> Atom:
        """x from `low` to `high` along an axis."""
        shape = x.type.shape
        starts = tuple(low if d == axis else 0 for d in range(len(shape)))
        ends = tuple(high if d == axis else n for d, n in enumerate(shape))
        sizes = tuple(end - start for start, end in zip(starts, ends, strict=True))
        params = {"start_indices": starts, "limit_indices": ends, "strides": None}
        return self.make("slice", [x], ArrayType(sizes, x.type.dtype), **params)

    def selected(self, equation: Equation, low: Sequence[int]) -> Equation | None:
        """The update where it lies, the array elsewhere."""
        x, change = equation.inputs[:2]
        if x.type.dtype.kind not in "fiub":
            return None
        config = tuple(
            (first, extent - size - first, 0)
            for first, size, extent in zip(low, change.type.shape, x.type.shape, strict=True)
        )
        true, false, zero = (
            Literal(np.asarray(value, dtype)[()], ArrayType((), dtype))
            for value, dtype in ((True, dtypes.bool_), (False, dtypes.bool_), (0, x.type.dtype))
        )
        flags = ArrayType(change.type.shape, dtypes.bool_)
        spread = {"shape": flags.shape, "broadcast_dimensions": ()}
        inside = self.make("broadcast_in_dim", [true], flags, **spread)
        where = ArrayType(x.type.shape, dtypes.bool_)
        around = {"padding_config": config}
        which = self.make("pad", [inside, false], where, **around)
        new = self.make("pad", [change, zero], x.type, **around)
        select = primitive_named("select_n")
        return Equation(select, (which, x, new), {}, equation.outputs, equation.source)

    # --- selections ---
    def kept(self, equation: Equation) -> Equation | None:
        """An update that is made in some rows only."""
        which, *cases = equation.inputs
        if which.type.dtype != dtypes.bool_:
            return None
        for number, x in enumerate(cases):
            found = self.only(cases[1 - number], SCATTERS)
            if found is None or found.inputs[0] is not x or not isinstance(x, Var):
                continue
            return self.where(found, which, bool(number), equation)
        return None

    def where(
        self, scatter: Equation, which: Atom, kept: bool, equation: Equation
    ) -> Equation | None:
        """The scatter, made nowhere where `which` is `kept`."""
        x, indices, change = scatter.inputs
        mode = GatherScatterMode.from_any(scatter.params["mode"])
        if mode is GatherScatterMode.CLIP or indices.type.dtype.kind != "i":
            return None
        numbers = scatter.params["dimension_numbers"]
        if not numbers.scatter_dims_to_operand_dims:  # no index that could lie outside
            return None
        rows = self.per_index(which, indices.type, numbers)
        if rows is None:
            return None
        nowhere = Literal(np.asarray(-1, indices.type.dtype)[()], ArrayType((), indices.type.dtype))
        cases = (indices, nowhere) if kept else (nowhere, indices)
        moved = self.make("select_n", (rows, *cases), indices.type)
        params = {**scatter.params, "mode": GatherScatterMode.FILL_OR_DROP}
        return scatter.replace(inputs=(x, moved, change), params=params, outputs=equation.outputs)

    def per_index(self, which: Atom, indices: ArrayType, numbers: Any) -> Atom | None:
        """A condition on elements of the array as one on index vectors, if it is one."""
        if not which.type.shape:
            return which
        found = self.definition.get(which) if isinstance(which, Var) else None
        if found is None or found.primitive.name != "broadcast_in_dim":
            return None
        (source,), dims = found.inputs, found.params["broadcast_dimensions"]
        batching = dict(
            zip(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims, strict=True)
        )
        if not all(d in batching for d in dims):
            return None
        places = tuple(batching[d] for d in dims)
        if list(places) != sorted(places):
            return None
        spread = {"shape": indices.shape, "broadcast_dimensions": places}
        type = ArrayType(indices.shape, which.type.dtype)
        return self.make("broadcast_in_dim", [source], type, **spread)
