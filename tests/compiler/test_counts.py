"""What the compiler makes of typical programs, counted: nothing here depends on the machine.

More kernels, more bytes, more memory or more instructions than in golden/counts.json are failures;
pytest --update-golden writes the file anew, also when they have become fewer.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from counted_programs import PROGRAMS

import fornax
from fornax.backends import cpu
from fornax.backends.llvm import generate
from fornax.backends.llvm.target import TARGETS
from fornax.backends.llvm.text import text
from fornax.compiler.loop.meaning import numpy_dtype
from fornax.record import record
from fornax.runtime.compile import plan

GOLDEN = Path(__file__).parent / "golden" / "counts.json"
TARGET = TARGETS["avx2"]  # x86-64-v3
THREADS = 2
#: relative growth that is no failure: instruction selection differs between versions of LLVM
SLACK = {"kernels": 0.0, "host": 0.0, "bytes": 0.0, "temporaries": 0.0, "instructions": 0.03}


@record(eq=False)
class Counted:
    """A kernel whose assembly is being made; what a plan wants of a compiled kernel."""

    name: str
    bytes: int
    extent: int
    grain: int
    generation: object


def compile_kernel(kernel) -> Counted:
    ready = cpu.prepare(kernel, TARGET)
    moved = 0
    for buffer in kernel.buffers:
        times = {"in": 1, "out": 1, "inout": 2}.get(buffer.role, 0)
        moved += times * buffer.size * np.dtype(numpy_dtype(buffer.dtype)).itemsize
    generation = generate.start(text(ready, TARGET, "kernel"), TARGET, assembly=True)
    return Counted(cpu.key(kernel, TARGET), moved, ready.extent, ready.grain, generation)


def instructions(assembly: str) -> int:
    """Lines that are neither labels nor directives."""
    return len(re.findall(r"^\t[a-z]", assembly, re.MULTILINE))


def counts(name: str) -> dict[str, int]:
    """Kernel steps, functions of the host, bytes of the kernels' buffers, bytes of the arena,
    instructions of distinct kernels.

    Steps inside of a loop count once.
    """
    function, *arguments = PROGRAMS[name]
    traced = fornax.jit(function).trace(*arguments)
    _, description = plan(traced.jaxpr, TARGET, THREADS, compile_kernel)
    made = [step[1] for step in description["steps"] if step[0] == "kernel"]
    distinct = {kernel.name: kernel for kernel in made}.values()
    return {
        "kernels": len(made),
        "host": len(description["callables"]),
        "bytes": sum(kernel.bytes for kernel in made),
        "temporaries": description["arena_bytes"],
        "instructions": sum(instructions(k.generation.wait()[0].decode()) for k in distinct),
    }


def worse(expected: dict[str, int], got: dict[str, int]) -> list[str]:
    """What has grown by more than its slack, in words."""
    return [
        f"{what}: {got[what]} instead of {before} ({(got[what] - before) / max(before, 1):+.1%})"
        for what, before in expected.items()
        if got[what] > before * (1 + SLACK[what])
    ]


@pytest.fixture(scope="module")
def recorded(request):
    """The golden counts; those that a run with --update-golden finds are written at its end."""
    updating = request.config.getoption("--update-golden")
    known = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    yield None if updating else known
    if updating:
        known = {name: known[name] for name in PROGRAMS if name in known} | FOUND
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(known[k])}" for k in sorted(known))
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(f"{{\n{lines}\n}}\n")


FOUND: dict[str, dict[str, int]] = {}


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_has_become_worse(name, recorded):
    got = FOUND[name] = counts(name)
    if recorded is None:
        return
    assert name in recorded, f"{name!r} has no counts: run pytest --update-golden"
    grown = worse(recorded[name], got)
    assert not grown, f"{name}: {'; '.join(grown)}; run pytest --update-golden if intended"


def test_the_file_has_no_others(recorded):
    assert recorded is None or set(recorded) == set(PROGRAMS)


def test_worse_is_what_has_grown():
    before = {"kernels": 2, "bytes": 100, "temporaries": 0, "instructions": 100}
    assert worse(before, before) == []
    assert worse(before, before | {"kernels": 1, "instructions": 102}) == []
    assert worse(before, before | {"kernels": 3, "instructions": 110}) == [
        "kernels: 3 instead of 2 (+50.0%)", "instructions: 110 instead of 100 (+10.0%)",
    ]  # fmt: skip
    assert worse(before, before | {"temporaries": 64}) == [
        "temporaries: 64 instead of 0 (+6400.0%)"
    ]
