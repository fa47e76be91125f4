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
from fornax.compiler import blocks, control, emit, fuse, rows
from fornax.compiler.buffers import Memory, assign, nbytes
from fornax.compiler.canonical import CONTROL, canonicalize
from fornax.compiler.chain import chained
from fornax.compiler.emit import Draft
from fornax.compiler.groups import Fusion, Group, starts_as
from fornax.compiler.kernels import has_kernel
from fornax.compiler.literals import lift
from fornax.compiler.merge import Unit
from fornax.compiler.signatures import Recipe, Signature, recipe_of, signature_of
from fornax.compiler.target import Target
from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var
from fornax.ir.types import ArrayType
from fornax.record import field, record


@record
class Plan:
    """Everything the native executor needs."""

    slots: int = 0
    steps: list[tuple[Any, ...]] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    constants: list[tuple[int, Any]] = field(default_factory=list)
    callables: list[Callable[..., Any]] = field(default_factory=list)
    counters: int = 1  # counter 0 stays 0
    kernels: list[Any] = field(default_factory=list)


#: compiles a loop-IR kernel: gives an object with .extent and .grain, which stands in
#: the steps until its machine code is there
CompileKernel = Callable[[Any], Any]


#: recipes of groups by signature, target, threads and compiler; the oldest are dropped
_recipes: dict[tuple[Any, ...], Recipe] = {}
_RECIPES = 1024
#: (fusion, group, in memory, target, threads, whether a loop is around) -> kernels of the group
Drafter = Callable[[Fusion, Group, set[Var], Target, int, bool], list[Draft]]


def fused(group: Group) -> bool:
    """Whether a group is made of kernels (and is no control or host step)."""
    return group.equation is None or has_kernel(group.equation)


class Planner:
    """Builds one plan."""

    def __init__(
        self, compile_kernel: CompileKernel, target: Target, threads: int, compiler: str = ""
    ):
        self.compile_kernel = compile_kernel
        self.compile_kernel_key = compiler  # recipes of different compilers do not mix
        self.target = target
        self.threads = threads
        self.plan = Plan()
        self.literals: dict[tuple[Any, ...], int] = {}
        self.loops = 0  # how many loops are around what is being planned

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

    def call(self, unit: Unit, slots: tuple[int, ...]) -> None:
        """A step that runs a kernel; inside of a loop it may yet become a part of another."""
        self.step("kernel", unit, slots)
        self.settle(self.here - 1)
        if unit.follows and not self.loops:
            self.plan.steps[-1] += (True,)

    def settle(self, begin: int) -> None:
        """Compile the kernels of the steps from `begin` on, unless a loop is around them."""
        if self.loops:
            return
        for position in range(begin, self.here):
            kind, *operands = self.plan.steps[position]
            if kind == "kernel" and isinstance(operands[0], Unit):
                unit, slots = operands
                made = self.compiled(unit)
                self.plan.kernels.append(made)
                self.plan.steps[position] = ("kernel", made, slots, made.extent, made.grain)

    def compiled(self, unit: Unit) -> Any:
        """What stands for the machine code of a kernel, which is begun here if nobody has yet."""
        if unit.compiled is None:
            unit.compiled = self.compile_kernel(unit.kernel)
        return unit.compiled

    def mark(self) -> tuple[int, int]:
        """A point to go back to."""
        return self.here, len(self.plan.memories)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget what has been planned since, inside of loops: nothing of it is compiled."""
        steps, memories = mark
        del self.plan.steps[steps:], self.plan.memories[memories:]

    def replace(self, begin: int, unit: Unit, slots: tuple[int, ...]) -> None:
        """Put one kernel in the place of all steps from `begin` on."""
        del self.plan.steps[begin:]
        for memory in self.plan.memories:  # what the steps shared in turn is in use at once
            memory.start = min(memory.start, begin)
            memory.end = min(memory.end, begin)
        self.call(unit, slots)

    def arena(self, size: int) -> Memory:
        memory = Memory(self.slot(), size, fixed=False, owned=True, start=self.here, end=self.here)
        self.plan.memories.append(memory)
        return memory

    def constant(self, value: Any, type: ArrayType) -> Memory:
        """Memory that holds a constant array or literal."""
        key: tuple[Any, ...]
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
    def recipe(
        self, fusion: Fusion, group: Group, in_memory: set[Var], signature: Signature
    ) -> tuple[Recipe, list[Var]]:
        """The compiled kernels of a group, and the variables their places refer to by number."""
        content, variables = (signature.shape, signature.numbers), signature.variables
        repeated = self.loops > 0
        key = (content, self.target, self.threads, self.compile_kernel_key, repeated)
        found = _recipes.get(key)
        if found is None:
            needed = set(in_memory)
            make: Drafter = emit.drafts if group.chain is None else blocks.drafts
            if group.together:
                make = rows.drafts
            drafts = make(fusion, group, needed, self.target, self.threads, repeated)
            units = [Unit(d.kernel, d.follows) for d in drafts]
            if not repeated:  # code is generated beside what is planned next
                for unit in units:
                    self.compiled(unit)
            found = _recipes[key] = recipe_of(drafts, units, variables, needed - in_memory)
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
        self.fusion: Fusion = rows.with_sums(chained(fuse.fuse(jaxpr), jaxpr.outputs))
        self.last: dict[Var, Group | None] = {}
        self.preferred: dict[Var, Memory] = {}
        self.reads: dict[Group, list[Var]] = {}

    def run(self) -> list[Memory]:
        groups = self.fusion.groups
        self.in_memory = self.needed_in_memory()
        made = {
            g: self.planner.recipe(self.fusion, g, self.in_memory, signature)
            for g, signature in self.signatures([g for g in groups if fused(g)]).items()
        }
        self.find_last_uses(groups)
        self.prefer_outputs(groups)
        for group in groups:
            start = self.planner.here
            equation = group.equation
            if group in made:
                self.kernels(group, *made[group])
            elif equation is not None and equation.primitive.name in CONTROL:
                control.PLANNERS[equation.primitive.name](self, equation)
            else:
                assert equation is not None, "what has no kernel is an equation"
                self.host(equation)
            self.touch(group, start)
        return [self.output(k, atom) for k, atom in enumerate(self.jaxpr.outputs)]

    def signatures(self, groups: list[Group]) -> dict[Group, Signature]:
        """What the groups compute; numbers in which equal ones differ are moved to memory."""
        signatures = {g: signature_of(self.fusion, g, self.in_memory) for g in groups}
        if self.planner.loops:  # kernels inside of loops are merged, with their numbers
            return signatures
        lifted = lift(self.fusion, signatures.values())
        for var, literal in lifted.items():
            self.memory[var] = self.planner.constant(literal.value, literal.type)
        definition = self.fusion.definition
        for group, signature in signatures.items():
            if lifted and any(definition.get(e.outputs[0]) is not e for e, _ in signature.literals):
                signatures[group] = signature_of(self.fusion, group, self.in_memory)
        return signatures

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
            if equation is None or not equation.outputs:
                continue
            source = starts_as(equation)
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
            if self.planner.loops and operand.type.dtype != var.type.dtype:
                continue  # it could not be a buffer of one kernel
            free = wanted is None and not memory.donated
            if free or wanted is memory or self.updates_carry(var, memory):
                if all(self.memory.get(v) is not memory for v in group.members):
                    self.memory[var] = memory
                    return memory
        memory = wanted or self.planner.arena(nbytes(var.type))
        self.memory[var] = memory
        return memory

    def updates_carry(self, var: Var, memory: Memory) -> bool:
        """Whether `var` is, or by updates becomes, the next value of the very carry that `memory`
        holds."""
        return getattr(self.preferred.get(var), "carry", None) is memory

    # --- kernels ---
    def kernels(self, group: Group, recipe: Recipe, variables: list[Var]) -> None:
        equation = group.equation
        if equation is not None:
            source = starts_as(equation)
            if source is not None:
                self.start_as(group, equation, source)
        for _, _, in_place in recipe.steps:
            for result, operands in in_place.items():
                self.define(variables[result], [variables[k] for k in operands], group)
        # any thread of the pool may run a part, also of a plan made for fewer of them
        workers = max(self.planner.threads, _native.thread_count())
        spaces = [
            self.planner.arena(s.nbytes * (workers if s.per_worker else 1)) for s in recipe.spaces
        ]
        numbers = [self.planner.constant(c.values, c.type) for c in recipe.constants]
        for unit, places, _ in recipe.steps:
            slots = []
            for kind, k in places:
                if kind < 0:
                    slots.append(spaces[k].slot)
                elif kind > 0:
                    slots.append(numbers[k].slot)
                elif variables[k] in group.members:
                    slots.append(self.define(variables[k]).slot)
                else:
                    slots.append(self.of(variables[k]).slot)
            self.planner.call(unit, tuple(slots))
        for memory in spaces:
            memory.end = self.planner.here
        for var in group.members:
            if var in self.in_memory:
                self.define(var)  # an empty array has no kernel but needs a place

    def start_as(self, group: Group, equation: Equation, source: Atom) -> None:
        result = equation.outputs[0]
        operands: list[Var] = []
        if isinstance(source, Var) and equation.inputs.count(source) == 1:
            operands.append(source)
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
            # NaN and infinity are results like others; what Python of the user's warns of is theirs
            if primitive.name.endswith("callback"):
                return primitive.reference(*arrays, **params)
            with np.errstate(all="ignore"):
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
