"""From a program to something that runs: plan it, compile its kernels, hand it to the executor."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import Any

from fornax import _native, settings
from fornax.backends import cpu
from fornax.compiler.buffers import Memory, Next, nbytes
from fornax.compiler.canonical import canonicalize
from fornax.compiler.plan import Planner
from fornax.compiler.updates import of_lasting_inputs
from fornax.ir import garbage
from fornax.ir.jaxpr import Jaxpr, Literal
from fornax.ir.types import ArrayType
from fornax.observe import events
from fornax.record import field, record
from fornax.runtime import dump, shared
from fornax.runtime.key_array import KeyArray
from fornax.runtime.values import stored, to_array, wrap
from fornax.scalars import dtypes
from fornax.transforms.hash import signature
from fornax.transforms.physical import key_dtype_of, physical


@record(eq=False)
class Executable:
    """A compiled program. `program` is the native executor's form of it."""

    program: Any
    jaxpr: Jaxpr
    kernels: list[Any]
    seconds: dict[str, float] = field(default_factory=dict)

    def call(self, arrays: Sequence[Any], donated: Sequence[bool] = ()) -> list[Any]:
        """Run on arrays (one per input of the jaxpr that is no constant); returns Arrays.

        Arrays whose flag in `donated` is true are deleted.
        """
        results = self.program.run([stored(x) for x in arrays], donated)
        return [
            result if make is None else make(result)
            for make, result in zip(self.wraps, results, strict=True)
        ]

    @functools.cached_property
    def wraps(self) -> tuple[Any, ...]:
        """Per output what makes a random key of its words, or float0; None for other arrays."""
        return tuple(map(_wrapper, self.jaxpr.out_types))

    @property
    def shared_kernels(self) -> int:
        """How many kernel steps reuse the machine code of another."""
        return len(self.kernels) - len({k.address for k in self.kernels})


def _wrapper(type: ArrayType) -> Any:
    """What makes a value of the array that stores it, None if that is the value."""
    dtype = key_dtype_of(type)
    if dtype is not None:
        return functools.partial(KeyArray, dtype=dtype)
    if type.dtype == dtypes.float0:
        return lambda stored: wrap(None, type)
    return None


def plan(
    jaxpr: Jaxpr, target: Any, threads: int, compile_kernel: Any, donated: Sequence[bool] = ()
) -> tuple[Planner, dict[str, Any]]:
    """(the planned steps, the description of inputs and outputs that `_native.Program` takes).

    Kernel steps hold the compiled kernels, whose addresses `_native.Program` wants.
    """
    jaxpr = physical(jaxpr)
    canonical = canonicalize(jaxpr)
    dumping = bool(settings.current().dump)
    compiler = f"{compile_kernel.__module__}.{compile_kernel.__qualname__} {dumping}"
    planner = Planner(compile_kernel, target, threads, compiler)
    n_consts = len(jaxpr.consts)
    arguments = canonical.inputs[n_consts:]
    flags = tuple(donated) or (False,) * len(arguments)
    kept = {v for v, donate in zip(arguments, flags, strict=True) if not donate}
    canonical = of_lasting_inputs(canonical, kept.union(canonical.inputs[:n_consts]))
    memories = [
        Memory(planner.slot(), nbytes(v.type), fixed=True, owned=False) for v in canonical.inputs
    ]
    inputs = memories[n_consts:]
    position = {v: k for k, v in enumerate(arguments)}
    const_position = {v: k for k, v in enumerate(canonical.inputs[:n_consts])}

    wanted: list[Next | None] = []
    outputs: list[tuple[Any, ...] | None] = []
    free = [k for k, donate in enumerate(flags) if donate]
    entries: dict[int, tuple[int, int]] = {}  # donated input -> (first step, slot given to it)
    for atom, original in zip(canonical.outputs, jaxpr.outputs, strict=True):
        weak = original.type.weak_type
        if isinstance(atom, Literal):
            value = wrap(atom.value, original.type)
            slot = planner.slot()
            planner.plan.constants.append((slot, value))
            outputs.append(("constant", len(planner.plan.constants) - 1, weak))
            wanted.append(None)
        elif atom in const_position:
            slot = planner.slot()
            planner.plan.constants.append((slot, to_array(jaxpr.consts[const_position[atom]])))
            outputs.append(("constant", len(planner.plan.constants) - 1, weak))
            wanted.append(None)
        elif atom in position:
            outputs.append(("input", position[atom], weak))
            wanted.append(None)
        else:
            size = nbytes(atom.type)
            match = next(
                (k for k in free if arguments[k].type.shape == atom.type.shape
                 and arguments[k].type.dtype == atom.type.dtype), None
            )  # fmt: skip
            carry = None
            if match is not None:
                free.remove(match)
                carry = inputs[match]
                carry.owned = carry.donated = True
                entries[match] = (planner.step("copy", carry.slot, carry.slot, 0), carry.slot)
            wanted.append(Next(planner.slot(), size, fixed=True, owned=True, carry=carry))
            outputs.append(None)
    for memory, const in zip(memories, jaxpr.consts, strict=False):
        planner.plan.constants.append((memory.slot, to_array(const)))
    ends = planner.program(canonical, memories, wanted)
    in_place: set[int] = set()
    for k, (end, want, original) in enumerate(zip(ends, wanted, jaxpr.outputs, strict=True)):
        if outputs[k] is not None:
            continue
        assert want is not None
        type = original.type
        common = (type.dtype, type.shape, type.weak_type)
        if want.carry is not None and end is want.carry:
            donor = inputs.index(want.carry)
            in_place.add(donor)
            outputs[k] = ("donate", donor, end.slot, *common)
        else:
            outputs[k] = ("new", want.slot, *common)
    in_entries = []
    for k, (var, memory) in enumerate(zip(arguments, inputs, strict=True)):
        slot = memory.slot
        if k in in_place:  # its memory is the output's: fill it from the argument (or be it)
            slot = planner.slot()
            planner.plan.steps[entries[k][0]] = ("copy", memory.slot, slot, memory.nbytes)
        in_entries.append((slot, var.type.dtype, var.type.shape, var.type.weak_type))
    size, offsets = planner.finish()
    return planner, {
        "slots": planner.plan.slots,
        "inputs": in_entries,
        "constants": planner.plan.constants,
        "arena_bytes": size,
        "arena_slots": offsets,
        "outputs": outputs,
        "steps": planner.plan.steps,
        "callables": planner.plan.callables,
    }


def executable(
    jaxpr: Jaxpr, name: str = "", donated: Sequence[bool] = (), threads: int = 0
) -> Executable:
    """Compile a program for the current target setting.

    donated: one flag per input that is no constant; its memory may become an output's.
    threads: most that may work on it at once; 0: what the settings say.
    """
    with garbage.kept():
        return _executable(jaxpr, name, donated, threads)


def _executable(jaxpr: Jaxpr, name: str, donated: Sequence[bool], threads: int) -> Executable:
    started = time.perf_counter()
    current = settings.current()
    target = cpu.find(current.target)
    if not current.flush_denormals:
        target = target.gradual()
    threads = threads or current.threads or _native.thread_count()
    name = name or jaxpr.debug_name or "program"
    key = (
        None
        if current.dump
        else _key(jaxpr, name, tuple(donated), target, threads, current.flush_denormals)
    )
    found = None if key is None else shared.find(key)
    if found is not None:
        events.emit("CacheHit", name=name, cache="programs")
        seconds = {"lower": time.perf_counter() - started, "compile": 0.0}
        return Executable(found.program, jaxpr, found.kernels, seconds)
    kernel_seconds = 0.0

    def compile_kernel(kernel: Any) -> Any:
        nonlocal kernel_seconds
        before = time.perf_counter()
        compiled = cpu.start(kernel, target, stages=bool(current.dump))
        kernel_seconds += time.perf_counter() - before
        return compiled

    planner, description = plan(jaxpr, target, threads, compile_kernel, donated)
    kernels = planner.plan.kernels
    before = time.perf_counter()
    cpu.load(kernels)
    kernel_seconds += time.perf_counter() - before
    description["steps"] = [
        (kind, operands[0].address, *operands[1:]) if kind == "kernel" else (kind, *operands)
        for kind, *operands in description["steps"]
    ]
    program = _native.Program(name, **description, flush=current.flush_denormals, threads=threads)
    program.owner = kernels
    total = time.perf_counter() - started
    result = Executable(
        program, jaxpr, kernels, {"lower": total - kernel_seconds, "compile": kernel_seconds}
    )
    events.emit(
        "Compiled", name=program.name, seconds=total, kernels=len(kernels),
        shared=result.shared_kernels,
    )  # fmt: skip
    if current.dump:
        dump.write(current.dump, program.name, jaxpr, kernels, description, result.seconds)
    if key is not None and not description["callables"]:  # which may hold anything
        held = sum(getattr(value, "nbytes", 0) for value in jaxpr.consts)
        shared.keep(key, result, program.arena_bytes + held)
    return result


def _key(jaxpr: Jaxpr, *others: Any) -> Any:
    """What finds the compiled form of an equal program; None if nothing can.

    Of the canonical program: custom rules, which are functions and equal to no others, are gone.
    """
    try:
        key = (signature(canonicalize(physical(jaxpr))), *others)
        hash(key)
    except TypeError:
        return None
    return key
