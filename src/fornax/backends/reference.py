"""The reference back end: runs a plan step by step in Python, kernels by the interpreter.

Slow and simple. It checks the planner without any generated machine code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fornax.compiler.loop.interpret import interpret
from fornax.compiler.loop.ir import WIDTH, Kernel
from fornax.errors import InternalError
from fornax.record import record


@record(eq=False)
class InterpretedKernel:
    """Stands where a compiled kernel would: it is run from its loop IR."""

    kernel: Kernel
    extent: int = 1
    grain: int = 1


def compile_kernel(kernel: Kernel) -> InterpretedKernel:
    """No compiling at all."""
    return InterpretedKernel(kernel, kernel.extent, kernel.grain)


def run(description: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Outputs of a described plan (see `runtime.compile.plan`) whose kernels are interpreted."""
    memory = [np.empty(0, np.uint8)] * description["slots"]

    def raw(array: Any) -> np.ndarray:
        return np.ascontiguousarray(array).reshape(-1).view(np.uint8).copy()

    for (slot, dtype, _, _), array in zip(description["inputs"], arrays, strict=True):
        memory[slot] = raw(np.asarray(array, dtype))
    constants = [np.asarray(a) for _, a in description["constants"]]
    for (slot, _), array in zip(description["constants"], constants, strict=True):
        memory[slot] = raw(array)
    arena = np.zeros(description["arena_bytes"] + 64, np.uint8)
    for slot, offset in description["arena_slots"]:
        memory[slot] = arena[offset:]
    for entry in description["outputs"]:
        if entry[0] in ("new", "donate"):
            slot, dtype, shape = entry[-4], entry[-3], entry[-2]
            memory[slot] = np.zeros(int(np.prod(shape)) * dtype.itemsize, np.uint8)
    _steps(description, memory)
    results = []
    for entry in description["outputs"]:
        if entry[0] == "input":
            results.append(np.asarray(arrays[entry[1]]))
        elif entry[0] == "constant":
            results.append(constants[entry[1]])
        else:
            slot, dtype, shape = entry[-4], entry[-3], entry[-2]
            size = int(np.prod(shape)) * dtype.itemsize
            results.append(memory[slot][:size].view(dtype).reshape(shape))
    return results


def _steps(description: Mapping[str, Any], memory: list[np.ndarray]) -> None:
    counters: dict[int, int] = {}
    steps = description["steps"]
    here = 0
    while here < len(steps):
        kind, *rest = steps[here]
        here += 1
        if kind == "kernel":
            kernel, slots = rest[0], rest[1]
            _kernel(kernel.kernel, [memory[s] for s in slots])
        elif kind == "copy":
            target, source, size = rest
            memory[target][:size] = memory[source][:size]
        elif kind == "counter":
            counters[rest[0]] = rest[1]
        elif kind == "advance":
            counters[rest[0]] += rest[1]
        elif kind == "address":
            target, base, counter, stride = rest
            memory[target] = memory[base][counters.get(counter, 0) * stride :]
        elif kind == "swap":
            a, b = rest
            memory[a], memory[b] = memory[b], memory[a]
        elif kind == "jump":
            here = rest[0]
        elif kind == "jump_if_not":
            here = here if memory[rest[0]][0] else rest[1]
        elif kind == "jump_lt":
            counter, limit, target = rest
            here = target if counters[counter] < limit else here
        elif kind == "switch":
            which = int(memory[rest[0]][:4].view(np.int32)[0])
            here = rest[1][min(max(which, 0), len(rest[1]) - 1)]
        elif kind == "host":
            _host(description, memory, *rest)
        else:
            raise InternalError(f"unknown step {kind}")


def _kernel(kernel: Kernel, places: list[np.ndarray]) -> None:
    views = []
    for buffer, place in zip(kernel.buffers, places, strict=True):
        size = buffer.size * WIDTH[buffer.dtype] // 8
        views.append(place[:size].view(np.uint8))
    interpret(kernel, views)


#: a slot with the dtype and shape of what it holds
Place = tuple[int, np.dtype, tuple[int, ...]]


def _host(
    description: Mapping[str, Any],
    memory: list[np.ndarray],
    index: int,
    inputs: Sequence[Place],
    outputs: Sequence[Place],
) -> None:
    def view(slot: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        size = int(np.prod(shape)) * dtype.itemsize
        return memory[slot][:size].view(dtype).reshape(shape)

    results = description["callables"][index](*(view(*i) for i in inputs))
    for out, result in zip(outputs, results, strict=True):
        view(*out)[...] = result


__all__ = ["InterpretedKernel", "compile_kernel", "run"]
