"""From groups to a plan: a flat table of kernel calls, loops and copies over numbered slots.

A slot is a pointer. Programs inside loops and branches become part of the same table; their
carries are memory of the enclosing program, exchanged by swapping pointers where they cannot be
updated in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax import _native
from fornax.compiler import emit, fuse, loops
from fornax.compiler.buffers import Memory, assign
from fornax.compiler.canonical import canonicalize
from fornax.compiler.emit import Recipe
from fornax.compiler.fuse import Fusion, Group
from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var
from fornax.ir.types import ArrayType
from fornax.record import field, record


def nbytes(type: ArrayType) -> int:
    """Bytes of an array of this type."""
    return type.size * type.dtype.itemsize


@record
class Plan:
    """Everything the native executor needs."""

    slots: int = 0
    steps: list[tuple] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    constants: list[tuple[int, Any]] = field(default_factory=list)
    callables: list[Callable] = field(default_factory=list)
    counters: int = 1  # counter 0 stays 0
    kernels: list[Any] = field(default_factory=list)


#: compiles a loop-IR kernel: gives an object with .extent and .grain, which stands in
#: the steps until its machine code is there
CompileKernel = Callable[[Any], Any]


#: recipes of groups by signature, target, threads and compiler; the oldest are dropped
_recipes: dict[tuple, Recipe] = {}
_RECIPES = 4096


def fused(group: Group) -> bool:
    """Whether a group is made of kernels (and is no control or host step)."""
    return group.equation is None or group.equation.primitive.name in emit.KERNELS


class Planner:
    """Builds one plan."""

    def __init__(
        self, compile_kernel: CompileKernel, target: Any, threads: int, compiler: str = ""
    ):
        self.compile_kernel = compile_kernel
        self.compile_kernel_key = compiler  # recipes of different compilers do not mix
        self.target = target
        self.threads = threads
        self.plan = Plan()
        self.literals: dict[tuple, int] = {}

    # --- slots and steps ---
    def slot(self) -> int:
        self.plan.slots += 1
        return self.plan.slots - 1

    def counter(self) -> int:
        self.plan.counters += 1
        return self.plan.counters - 1

    def step(self, *step: Any) -> int:
        self.plan.steps.append(step)
        return len(self.plan.steps) - 1

    @property
    def here(self) -> int:
        return len(self.plan.steps)

    def arena(self, size: int) -> Memory:
        memory = Memory(self.slot(), size, fixed=False, owned=True, start=self.here, end=self.here)
        self.plan.memories.append(memory)
        return memory

    def constant(self, value: Any, type: ArrayType) -> Memory:
        """Memory that holds a constant array or literal."""
        key: tuple
        if isinstance(value, _native.Array):
            key = (id(value),)
        else:
            value = np.asarray(value, type.dtype)
            key = (value.tobytes(), value.shape, type.dtype)
        slot = self.literals.get(key)
        if slot is None:
            slot = self.literals[key] = self.slot()
            if not isinstance(value, _native.Array):
                value = _native.from_numpy(np.array(value), False, False)
            self.plan.constants.append((slot, value))
        return Memory(slot, nbytes(type), fixed=True, owned=False)

    # --- kernels ---
    def recipe(self, fusion: Fusion, group: Group, in_memory: set[Var]) -> tuple[Recipe, list[Var]]:
        """The compiled kernels of a group, and the variables their places refer to by number."""
        content, variables = emit.signature(fusion, group, in_memory)
        key = (content, self.target, self.threads, self.compile_kernel_key)
        found = _recipes.get(key)
        if found is None:
            needed = set(in_memory)
            drafts = emit.drafts(fusion, group, needed, self.target, self.threads)
            compiled = [self.compile_kernel(d.kernel) for d in drafts]
            found = _recipes[key] = emit.record(drafts, compiled, variables, needed - in_memory)
            while len(_recipes) > _RECIPES:
                del _recipes[next(iter(_recipes))]
        in_memory.update(variables[k] for k in found.extra)
        return found, variables

    # --- programs ---
    def program(
        self, jaxpr: Jaxpr, inputs: Sequence[Memory], wanted: Sequence[Memory | None]
    ) -> list[Memory]:
        """Plan a program: its steps are appended; returns where each output is.

        `inputs` are the memories of all inputs of `jaxpr` (constants among them). Output k is put
        into `wanted[k]` unless that is None or the output came to lie in an input's own memory
        (a carry updated in place), which the caller sees by comparing.
        """
        return _Body(self, canonicalize(jaxpr), inputs, wanted).run()

    def finish(self) -> tuple[int, list[tuple[int, int]]]:
        return assign(self.plan.memories)


class _Body:
    """One program being planned: where its variables live."""

    def __init__(
        self,
        planner: Planner,
        jaxpr: Jaxpr,
        inputs: Sequence[Memory],
        wanted: Sequence[Memory | None],
    ):
        self.planner = planner
        self.jaxpr = jaxpr
        self.wanted = list(wanted)
        self.memory: dict[Var, Memory] = dict(zip(jaxpr.inputs, inputs, strict=True))
        self.fusion: Fusion = fuse.fuse(jaxpr)
        self.last: dict[Var, Group | None] = {}
        self.preferred: dict[Var, Memory] = {}
        self.reads: dict[Group, list[Var]] = {}

    def run(self) -> list[Memory]:
        groups = self.fusion.groups
        self.in_memory = self.needed_in_memory()
        made = {g: self.planner.recipe(self.fusion, g, self.in_memory) for g in groups if fused(g)}
        self.find_last_uses(groups)
        self.prefer_outputs(groups)
        for group in groups:
            start = self.planner.here
            equation = group.equation
            if group in made:
                self.kernels(group, *made[group])
            elif equation is not None and equation.primitive.name in fuse.CONTROL:
                _CONTROL[equation.primitive.name](self, equation)
            else:
                self.host(equation)
            self.touch(group, start)
        return [self.output(k, atom) for k, atom in enumerate(self.jaxpr.outputs)]

    def needed_in_memory(self) -> set[Var]:
        """Members that somebody outside their group reads, or that heavy kernels produce."""
        needed = {a for a in self.jaxpr.outputs if isinstance(a, Var)}
        for group in self.fusion.groups:
            for var in self.group_reads(group):
                if var in self.fusion.stored and self.fusion.stored[var] is not group:
                    needed.add(var)
        for group in self.fusion.groups:
            equation = group.equation
            if equation is not None and equation.primitive.name not in fuse.EPILOGUE:
                needed.update(equation.outputs)
        return needed

    def group_reads(self, group: Group) -> list[Var]:
        """Stored variables and inputs that a group reads."""
        if group in self.reads:
            return self.reads[group]
        found: dict[Var, None] = {}
        stack: list[Atom] = []
        seen: set[Var] = set()
        own = set(group.members)
        roots = [self.fusion.definition[v] for v in group.members]
        if group.equation is not None:
            roots.append(group.equation)
        for equation in roots:
            stack.extend(equation.inputs)
        while stack:
            atom = stack.pop()
            if isinstance(atom, Literal) or atom in seen:
                continue
            seen.add(atom)
            if atom in own:
                continue
            if atom in self.fusion.stored or atom not in self.fusion.definition:
                found.setdefault(atom)
            else:
                stack.extend(self.fusion.definition[atom].inputs)
        self.reads[group] = list(found)
        return self.reads[group]

    def find_last_uses(self, groups: list[Group]) -> None:
        for group in groups:
            for var in self.group_reads(group):
                self.last[var] = group
        for atom in self.jaxpr.outputs:
            if isinstance(atom, Var):
                self.last[atom] = None

    def dies(self, var: Var, group: Group) -> bool:
        """Whether `var` is read for the last time by `group` and may be overwritten then."""
        memory = self.memory.get(var)
        return memory is not None and memory.owned and self.last.get(var) is group

    def prefer_outputs(self, groups: list[Group]) -> None:
        """Values that must end up somewhere are made there, also through chains of updates."""
        for k, atom in enumerate(self.jaxpr.outputs):
            memory = self.wanted[k]
            if memory is None or not isinstance(atom, Var) or atom in self.memory:
                continue
            self.preferred.setdefault(atom, memory)
        for group in reversed(groups):
            equation = group.equation
            if equation is None:
                continue
            position = emit.starts_as(equation)
            if position is None:
                continue
            source = equation.inputs[position]
            result = equation.outputs[0]
            if (
                isinstance(source, Var)
                and equation.inputs.count(source) == 1
                and result in self.preferred
                and source not in self.memory
                and source not in self.preferred
                and self.last.get(source) is group
            ):
                self.preferred[source] = self.preferred[result]

    def touch(self, group: Group, start: int) -> None:
        """Extend the lives of what the group read and wrote."""
        end = self.planner.here
        for var in (*self.reads[group], *group.members):
            memory = self.memory.get(var)
            if memory is not None and not memory.fixed:
                memory.start = min(memory.start, start)
                memory.end = max(memory.end, end)

    def of(self, atom: Atom) -> Memory:
        """Where an atom's value is."""
        if isinstance(atom, Literal):
            return self.planner.constant(atom.value, atom.type)
        return self.memory[atom]

    def define(self, var: Var, operands: Sequence[Var] = (), group: Group | None = None) -> Memory:
        """Choose memory for a new value: where it is wanted, over a dying operand, or fresh."""
        found = self.memory.get(var)
        if found is not None:
            return found
        wanted = self.preferred.get(var)
        for operand in operands:
            if group is None or not self.dies(operand, group):
                continue
            memory = self.memory[operand]
            if memory.nbytes < nbytes(var.type):
                continue
            free = wanted is None and not memory.donated
            if free or wanted is memory or self.updates_carry(var, memory):
                if all(self.memory.get(v) is not memory for v in group.members):
                    self.memory[var] = memory
                    return memory
        memory = wanted or self.planner.arena(nbytes(var.type))
        self.memory[var] = memory
        return memory

    def updates_carry(self, var: Var, memory: Memory) -> bool:
        """Whether `var` is the next value of the very carry that `memory` holds."""
        return any(
            atom is var and self.carry_memory(k) is memory
            for k, atom in enumerate(self.jaxpr.outputs)
        )

    def carry_memory(self, position: int) -> Memory | None:
        wanted = self.wanted[position]
        return getattr(wanted, "carry", None)

    # --- kernels ---
    def kernels(self, group: Group, recipe: Recipe, variables: list[Var]) -> None:
        equation = group.equation
        if equation is not None:
            position = emit.starts_as(equation)
            if position is not None:
                self.start_as(group, equation, position)
        for _, _, in_place in recipe.steps:
            for result, operands in in_place.items():
                self.define(variables[result], [variables[k] for k in operands], group)
        spaces = [
            self.planner.arena(s.nbytes * (self.planner.threads if s.per_worker else 1))
            for s in recipe.spaces
        ]
        for compiled, places, _ in recipe.steps:
            slots = []
            for kind, k in places:
                if kind:
                    slots.append(spaces[k].slot)
                elif variables[k] in group.members:
                    slots.append(self.define(variables[k]).slot)
                else:
                    slots.append(self.of(variables[k]).slot)
            self.planner.plan.kernels.append(compiled)
            self.planner.step("kernel", compiled, tuple(slots), compiled.extent, compiled.grain)
        for memory in spaces:
            memory.end = self.planner.here
        for var in group.members:
            if var in self.in_memory:
                self.define(var)  # an empty array has no kernel but needs a place

    def start_as(self, group: Group, equation: Equation, position: int) -> None:
        source = equation.inputs[position]
        result = equation.outputs[0]
        alone = isinstance(source, Var) and equation.inputs.count(source) == 1
        operands = [source] if alone else []
        memory = self.define(result, operands, group)
        origin = self.of(source)
        self.planner.step("copy", memory.slot, origin.slot, nbytes(result.type))

    # --- host steps ---
    def host(self, equation: Equation) -> None:
        """An operation run by Python between kernels: callbacks, and what has no kernel."""
        plan = self.planner.plan
        primitive, params = equation.primitive, equation.params
        inputs = tuple((self.of(a).slot, a.type.dtype, a.type.shape) for a in equation.inputs)
        outputs = tuple((self.define(v).slot, v.type.dtype, v.type.shape) for v in equation.outputs)

        def call(*arrays: np.ndarray) -> list[np.ndarray]:
            return primitive.reference(*arrays, **params)

        plan.callables.append(call)
        self.planner.step("host", len(plan.callables) - 1, inputs, outputs)

    # --- outputs ---
    def output(self, k: int, atom: Atom) -> Memory:
        """Make sure that output k is where it is wanted."""
        memory = self.of(atom)
        wanted = self.wanted[k]
        if wanted is None or memory is wanted:
            return memory
        if getattr(wanted, "carry", None) is memory:
            return memory
        self.planner.step("copy", wanted.slot, memory.slot, nbytes(atom.type))
        if not memory.fixed:
            memory.end = max(memory.end, self.planner.here)
        return wanted


@record(eq=False)
class Next(Memory):
    """Where the next value of a carry goes; `carry` is the memory of the current one, `spare`
    the arena memory that the two exchange."""

    carry: Memory | None = None
    spare: Memory | None = None


def _run_branches(body: _Body, equation: Equation) -> None:
    planner = body.planner
    branches = equation.params["branches"]
    which, *operands = equation.inputs
    outputs = [body.define(v) for v in equation.outputs]
    inputs = [_borrowed(body.of(a)) for a in operands]
    switch = planner.step("switch")
    targets, exits = [], []
    for branch in branches:
        targets.append(planner.here)
        planner.program(branch, inputs, outputs)
        exits.append(planner.step("jump"))
    planner.plan.steps[switch] = ("switch", body.of(which).slot, tuple(targets))
    for position in exits:
        planner.plan.steps[position] = ("jump", planner.here)


def _borrowed(memory: Memory) -> Memory:
    """The same memory, not to be overwritten."""
    return Memory(memory.slot, memory.nbytes, fixed=True, owned=False)


@record
class _Carries:
    """Current and next memory of loop carries."""

    current: list[Memory]
    following: list[Next]

    def swap(self, planner: Planner, ends: Sequence[Memory]) -> None:
        for now, new, end in zip(self.current, self.following, ends, strict=True):
            if end is not now:
                planner.step("swap", now.slot, new.slot)


def _start_carries(body: _Body, atoms: Sequence[Atom], results: Sequence[Var]) -> _Carries:
    """Copy the initial values to where the results will be, with a second place for each."""
    planner = body.planner
    current, following = [], []
    for atom, var in zip(atoms, results, strict=True):
        size = nbytes(var.type)
        home = body.define(var)
        planner.step("copy", home.slot, body.of(atom).slot, size)
        now = Memory(planner.slot(), size, fixed=True, owned=True)
        planner.step("address", now.slot, home.slot, 0, 0)
        spare = planner.arena(size)
        following.append(Next(planner.slot(), size, True, True, carry=now, spare=spare))
        planner.step("address", following[-1].slot, spare.slot, 0, 0)
        current.append(now)
    return _Carries(current, following)


def _end_carries(body: _Body, carries: _Carries, results: Sequence[Var]) -> None:
    planner = body.planner
    for now, new, var in zip(carries.current, carries.following, results, strict=True):
        home = body.define(var)
        planner.step("copy", home.slot, now.slot, nbytes(var.type))
        new.spare.end = planner.here


def _run_while(body: _Body, equation: Equation) -> None:
    if loops.while_kernel(body, equation):
        return
    planner, params = body.planner, equation.params
    n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
    cond_consts = [_borrowed(body.of(a)) for a in equation.inputs[:n_cond]]
    body_consts = [_borrowed(body.of(a)) for a in equation.inputs[n_cond : n_cond + n_body]]
    carries = _start_carries(body, equation.inputs[n_cond + n_body :], equation.outputs)
    flag = planner.arena(1)
    top = planner.here
    current = [_borrowed(m) for m in carries.current]
    planner.program(params["cond_jaxpr"], [*cond_consts, *current], [flag])
    leave = planner.step("jump_if_not")
    ends = planner.program(
        params["body_jaxpr"], [*body_consts, *carries.current], carries.following
    )
    carries.swap(planner, ends)
    planner.step("jump", top)
    planner.plan.steps[leave] = ("jump_if_not", flag.slot, planner.here)
    flag.end = planner.here
    _end_carries(body, carries, equation.outputs)


def _run_scan(body: _Body, equation: Equation) -> None:
    if loops.scan_kernel(body, equation):
        return
    planner, params = body.planner, equation.params
    n_consts, n_carry, length = params["num_consts"], params["num_carry"], params["length"]
    consts = [_borrowed(body.of(a)) for a in equation.inputs[:n_consts]]
    starts = equation.inputs[n_consts : n_consts + n_carry]
    columns = equation.inputs[n_consts + n_carry :]
    stacked = equation.outputs[n_carry:]
    carries = _start_carries(body, starts, equation.outputs[:n_carry])
    stack_homes = [body.define(v) for v in stacked]
    if length:
        position, count = planner.counter(), planner.counter()
        planner.step("counter", position, length - 1 if params["reverse"] else 0)
        planner.step("counter", count, 0)
        top = planner.here

        def row(atom: Atom, home: Memory) -> Memory:
            size = nbytes(atom.type) // length
            slot = planner.slot()
            planner.step("address", slot, home.slot, position, size)
            return Memory(slot, size, fixed=True, owned=False)

        rows = [row(a, body.of(a)) for a in columns]
        slices = [row(v, home) for v, home in zip(stacked, stack_homes, strict=True)]
        ends = planner.program(
            params["jaxpr"],
            [*consts, *carries.current, *rows],
            [*carries.following, *slices],
        )
        carries.swap(planner, ends[:n_carry])
        planner.step("advance", position, -1 if params["reverse"] else 1)
        planner.step("advance", count, 1)
        planner.step("jump_lt", count, length, top)
    _end_carries(body, carries, equation.outputs[:n_carry])


_CONTROL = {"scan": _run_scan, "while": _run_while, "cond": _run_branches}
