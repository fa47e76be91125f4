"""Does machine code do what the interpreter says? Used by the tests of compiled kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_kernels import Made

from fornax.backends import cpu
from fornax.backends.llvm.target import REQUIRED, cpu_flags, find
from fornax.compiler.loop.check import check
from fornax.compiler.loop.interpret import interpret
from fornax.compiler.target import Target

NEEDS = (*REQUIRED, "wide")


def target(name: str) -> Target:
    """A target without fused multiply-adds, so that rounding is that of the interpreter.

    "wide" is avx512 as the passes and the text see it, in instructions that more machines have.
    Skips the test where this machine does not have the instructions.
    """
    needed = REQUIRED["avx2" if name == "wide" else name] if name in NEEDS else {"sse2"}
    if not needed <= cpu_flags():
        pytest.skip(f"this processor does not run {name} code")
    if name == "wide":
        return replace(find("avx512"), cpu="x86-64-v3", features="", fma=False, tables=False)
    return replace(find(name), fma=False)


def equal(x: np.ndarray, y: np.ndarray) -> bool:
    """The same values: bit for bit for integers, NaN equal to NaN for floats."""
    if x.dtype.kind in "fV" or x.dtype.name.startswith(("bfloat", "float")):
        return np.array_equal(x.astype(np.float64), y.astype(np.float64), equal_nan=True)
    return x.tobytes() == y.tobytes()


def first_difference(x: np.ndarray, y: np.ndarray) -> str:
    different = ~((x == y) | ((x != x) & (y != y)))
    place = tuple(int(k) for k in np.argwhere(different)[0])
    return f"at {place}: {x[place]!r} and {y[place]!r}"


def agree(made: Made, chosen: Target) -> None:
    """Assert that passes and machine code keep the meaning of a kernel, chunk by chunk."""
    check(made.kernel)
    expected = made.copies()
    interpret(made.kernel, expected)
    ready = check(cpu.prepare(made.kernel, chosen))
    after_passes = made.copies()
    interpret(ready, after_passes)
    compiled = cpu.compile_kernel(made.kernel, chosen)
    found = made.copies()
    middle = compiled.extent // 2
    for begin, end in ((0, middle), (middle, middle), (middle, compiled.extent)):
        if end > begin or compiled.extent > 1:
            cpu.run(compiled, found, begin, end)
    for k in made.outputs:
        what = f"output {made.kernel.buffers[k].name}, {found[k].dtype}{list(found[k].shape)}"
        passes = equal(expected[k], after_passes[k])
        assert passes, f"passes change {what} {first_difference(expected[k], after_passes[k])}"
        code = equal(expected[k], found[k])
        assert code, f"machine code changes {what} {first_difference(expected[k], found[k])}"
    for k, buffer in enumerate(made.kernel.buffers):
        if buffer.role == "in":
            assert equal(found[k], made.arrays[k]), f"input {buffer.name} was written"
