"""Memory: the peak of a case, and whether a process grows over many calls and shapes."""

from __future__ import annotations

import gc
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.cases.library import jax, jnp

CHECKS = 20


def status(field: str) -> int:
    """Bytes of a field of /proc/self/status."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def peak(work) -> dict[str, int]:
    """Peak resident bytes of the process during work, and how far they are above those before."""
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins anew
    work()
    highest = status("VmHWM")
    return {"peak": highest, "added": highest - before}


def series(step, count: int) -> dict[str, list[int]]:
    """Resident bytes at CHECKS times during `count` steps."""
    found = []
    for k in range(count):
        step(k)
        if (k + 1) % max(1, count // CHECKS) == 0:
            gc.collect()
            found.append(status("VmRSS"))
    return {"resident": found}


def calls(count: int) -> dict[str, list[int]]:
    """The MLP step again and again, its parameters taken from the step before."""
    case = next(c for c in CASES.values() if c.name.startswith("MLP SGD step"))
    function, (params, *data) = case.make()
    function, held = jax.jit(function), [params]

    def step(_):
        held[0] = jax.block_until_ready(function(held[0], *data))[0]

    return series(step, count)


def shapes(count: int) -> dict[str, list[int]]:
    """A small function compiled for one shape after the other."""
    function = jax.jit(lambda x: jnp.sum(jnp.tanh(x) * 2 + 1))

    def step(k):
        jax.block_until_ready(function(jnp.zeros(8 + k)))

    return series(step, count)


ANSWERS = {"calls": calls, "shapes": shapes}
