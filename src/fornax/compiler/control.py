"""Branches and loops of a plan. A loop whose body is small becomes one kernel: `loops` makes it of
expressions, with the carry in registers, `merge` of the kernels of the body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fornax.compiler import loops
from fornax.compiler.buffers import Memory, Next, nbytes
from fornax.compiler.invariant import hoist
from fornax.compiler.loop.estimate import UNKNOWN_EXTENT
from fornax.compiler.merge import Merge, NotMergeable, Row
from fornax.ir.jaxpr import Atom, Equation, Literal, Var

if TYPE_CHECKING:
    from fornax.compiler.plan import _Body


def run_branches(body: _Body, equation: Equation) -> None:
    """Plan a cond: a switch to the steps of one branch; inside of a loop one kernel, if it can."""
    planner = body.planner
    branches = equation.params["branches"]
    which, *operands = equation.inputs
    outputs = [body.define(v) for v in equation.outputs]
    inputs = [_borrowed(body.of(a)) for a in operands]
    slot = body.of(which).slot
    switch = planner.step("switch")
    targets, exits = [], []
    for branch in branches:
        targets.append(planner.here)
        planner.program(branch, inputs, outputs)
        exits.append(planner.step("jump"))
    if planner.loops:
        steps = planner.plan.steps
        sides = [steps[a:b] for a, b in zip(targets, exits, strict=True)]
        try:
            every = [step for side in sides for step in side]
            merged = Merge(planner.target, every, reads={slot: "int32"})
            planner.replace(switch, *merged.branches(slot, sides))
            return
        except NotMergeable:
            pass
    planner.plan.steps[switch] = ("switch", slot, tuple(targets))
    for position in exits:
        planner.plan.steps[position] = ("jump", planner.here)


def _borrowed(memory: Memory) -> Memory:
    """The same memory, not to be overwritten."""
    return Memory(memory.slot, memory.nbytes, fixed=True, owned=False)


class _Carries:
    """The carries of a loop: current memory, and where the next values go."""

    def __init__(self, body: _Body, atoms: Sequence[Atom], results: Sequence[Var]):
        """Copy the initial values to where the results will be, with a second place for each."""
        planner = body.planner
        self.planner = planner
        self.current: list[Memory] = []
        self.following: list[Next] = []
        #: the arena memory that current and next values exchange with their homes
        self.spares: list[Memory] = []
        self.homes = [body.define(var) for var in results]
        #: memory that is read after the loop
        self.live = [h.slot for h, v in zip(self.homes, results, strict=True) if v in body.last]
        self.atoms = atoms
        for atom, home in zip(atoms, self.homes, strict=True):
            planner.step("copy", home.slot, body.of(atom).slot, nbytes(atom.type))
        #: the steps from here on are not needed when the loop becomes a kernel
        self.begin = planner.here
        for atom, home in zip(atoms, self.homes, strict=True):
            size = nbytes(atom.type)
            now = Memory(planner.slot(), size, fixed=True, owned=True)
            planner.step("address", now.slot, home.slot, 0, 0)
            spare = planner.arena(size)
            new = Next(planner.slot(), size, True, True, carry=now)
            planner.step("address", new.slot, spare.slot, 0, 0)
            self.current.append(now)
            self.following.append(new)
            self.spares.append(spare)

    def borrowed(self) -> list[Memory]:
        return [_borrowed(m) for m in self.current]

    def moved(self, ends: Sequence[Memory]) -> list[tuple[Memory, Next]]:
        """The carries whose next value is not where the current one is."""
        three = zip(self.current, self.following, ends, strict=True)
        return [(now, new) for now, new, end in three if end is not now]

    def swap(self, ends: Sequence[Memory]) -> None:
        for now, new in self.moved(ends):
            self.planner.step("swap", now.slot, new.slot)

    def end(self) -> None:
        """Copy what is elsewhere after the last swap to where the results are wanted."""
        planner = self.planner
        for now, spare, home in zip(self.current, self.spares, self.homes, strict=True):
            planner.step("copy", home.slot, now.slot, now.nbytes)
            spare.end = planner.here

    def slots(self) -> list[int]:
        """The slots of memory that changes."""
        every = (*self.current, *self.following, *self.homes, *self.spares)
        return [memory.slot for memory in every]

    # --- as one kernel ---
    def copies(self, ends: Sequence[Memory]) -> list[tuple[Any, ...]]:
        """What a kernel does instead of exchanging pointers."""
        return [("copy", now.slot, new.slot, now.nbytes) for now, new in self.moved(ends)]

    def same(self) -> dict[int, int]:
        """What the slots of current and next values are."""
        found = {m.slot: home.slot for m, home in zip(self.current, self.homes, strict=True)}
        spares = zip(self.following, self.spares, strict=True)
        return found | {new.slot: spare.slot for new, spare in spares}

    def starts(self) -> dict[int, Any]:
        """Carries that start from a constant."""
        pairs = zip(self.homes, self.atoms, strict=True)
        return {h.slot: a.value for h, a in pairs if isinstance(a, Literal) and not a.type.shape}


#: nanoseconds per iteration from which on a loop of scalars is compared with one of kernels,
COMPARED = 30.0
#: and what a kernel inside of a loop costs besides its work: its loops begin and end
EACH = 4.0
#: kernels must be so much faster than scalars: what is in registers is not in memory
FASTER = 0.7


class _Choice:
    """A loop as a kernel of scalars, where it can be one, against the kernels of its body."""

    def __init__(
        self, body: _Body, equation: Equation, found: loops.Native | None, iterations: int
    ):
        self.body = body
        self.found = found
        self.cost = 0.0
        for var in equation.outputs:
            body.define(var)
        if found is not None and found.written_out:
            self.cost = found.cost(body.planner.target, iterations)
        self.begin = body.planner.mark()

    def decided(self) -> bool:
        """Whether the loop is cheap as scalars; then it is planned."""
        if self.found is None or self.cost > COMPARED:
            return False
        self.found.submit(self.body)
        return True

    def beats(self, merged: Merge) -> bool:
        """Whether scalars are better than `merged`; then the loop is planned."""
        cost = merged.cost + EACH * len(merged.steps)
        return cost > FASTER * self.cost and self.instead()

    def instead(self) -> bool:
        """Plan the loop as scalars after all, if it can be."""
        if self.found is None:
            return False
        self.body.planner.back_to(self.begin)
        self.found.submit(self.body)
        return True


def run_while(body: _Body, equation: Equation) -> None:
    """Plan a while: one kernel if it can be, else steps that are jumped back to."""
    choice = _Choice(body, equation, loops.while_kernel(equation), UNKNOWN_EXTENT)
    if choice.decided():
        return
    planner, params = body.planner, equation.params
    n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
    cond_consts = [_borrowed(body.of(a)) for a in equation.inputs[:n_cond]]
    body_consts = [_borrowed(body.of(a)) for a in equation.inputs[n_cond : n_cond + n_body]]
    carries = _Carries(body, equation.inputs[n_cond + n_body :], equation.outputs)
    planner.loops += 1
    flag = planner.arena(1)
    top = planner.here
    planner.program(params["cond_jaxpr"], [*cond_consts, *carries.borrowed()], [flag])
    leave = planner.step("jump_if_not")
    ends = planner.program(
        params["body_jaxpr"], [*body_consts, *carries.current], carries.following
    )
    moved = hoist(planner, carries.begin, top, carries.slots())
    carries.begin, top = carries.begin + moved, top + moved
    steps = planner.plan.steps
    leave = next(k for k in range(top, len(steps)) if steps[k] == ("jump_if_not",))
    planner.loops -= 1
    test, work = steps[top:leave], steps[leave + 1 :]
    try:
        all_steps = [*test, *work, *carries.copies(ends)]
        merged = Merge(planner.target, all_steps, same=carries.same(), reads={flag.slot: "bool"})
        if choice.beats(merged):
            return
        if not merged.worth():
            raise NotMergeable("steps cost little here")
        made = merged.whiled(len(test), flag.slot, carries.live, carries.starts())
        planner.replace(carries.begin, *made)
        planner.settle(choice.begin[0])
        return
    except NotMergeable:
        if choice.instead():
            return
    carries.swap(ends)
    planner.step("jump", top)
    planner.plan.steps[leave] = ("jump_if_not", flag.slot, planner.here)
    flag.end = planner.here
    carries.end()
    planner.settle(choice.begin[0])


def run_scan(body: _Body, equation: Equation) -> None:
    """Plan a scan: one kernel if it can be, else steps that are jumped back to."""
    choice = _Choice(body, equation, loops.scan_kernel(equation), equation.params["length"])
    if choice.decided():
        return
    planner, params = body.planner, equation.params
    n_consts, n_carry, length = params["num_consts"], params["num_carry"], params["length"]
    consts = [_borrowed(body.of(a)) for a in equation.inputs[:n_consts]]
    starts = equation.inputs[n_consts : n_consts + n_carry]
    columns = equation.inputs[n_consts + n_carry :]
    stacked = equation.outputs[n_carry:]
    carries = _Carries(body, starts, equation.outputs[:n_carry])
    stack_homes = [body.define(v) for v in stacked]
    if not length:
        carries.end()
        return
    position, count = planner.counter(), planner.counter()
    reverse = bool(params["reverse"])
    planner.step("counter", position, length - 1 if reverse else 0)
    planner.step("counter", count, 0)
    top = planner.here
    rows: dict[int, Row] = {}

    def row(atom: Atom, home: Memory) -> Memory:
        size = nbytes(atom.type) // length
        slot = planner.slot()
        planner.step("address", slot, home.slot, position, size)
        rows[slot] = Row(home.slot, size, length)
        return Memory(slot, size, fixed=True, owned=False)

    inside = [row(a, body.of(a)) for a in columns]
    slices = [row(v, home) for v, home in zip(stacked, stack_homes, strict=True)]
    begin = planner.here
    planner.loops += 1
    ends = planner.program(
        params["jaxpr"],
        [*consts, *carries.current, *inside],
        [*carries.following, *slices],
    )
    moved = hoist(planner, carries.begin, begin, [*carries.slots(), *rows])
    carries.begin, top, begin = carries.begin + moved, top + moved, begin + moved
    planner.loops -= 1
    try:
        steps = [*planner.plan.steps[begin:], *carries.copies(ends[:n_carry])]
        merged = Merge(planner.target, steps, rows, carries.same())
        if choice.beats(merged):
            return
        if not merged.worth():
            raise NotMergeable("steps cost little here")
        live = [*carries.live, *(home.slot for home in stack_homes)]
        made = merged.counted(length, reverse, live, carries.starts())
        planner.replace(carries.begin, *made)
        planner.settle(choice.begin[0])
        return
    except NotMergeable:
        if choice.instead():
            return
    carries.swap(ends[:n_carry])
    planner.step("advance", position, -1 if reverse else 1)
    planner.step("advance", count, 1)
    planner.step("jump_lt", count, length, top)
    carries.end()
    planner.settle(choice.begin[0])


#: what plans each operation of control flow
PLANNERS: dict[str, Callable[[Any, Equation], None]] = {
    "scan": run_scan,
    "while": run_while,
    "cond": run_branches,
}
