"""What a case is, and the table that all cases register in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.cases.library import jax, jnp, tree


@dataclass(frozen=True)
class Case:
    """One program, timed on every side.

    make: a function that returns a function and its arguments; `jit` is applied unless `eager`.
    unit: "time", of many calls, or "first", of the first call in a fresh process.
    flops: of one call; bound: the limit that the case is held against ("memory", "f32", "f64" or
    "bf16"). read and written: bytes that go through memory, where these are not all arguments and
    results, which the worker counts.
    part: where arithmetic may take longer than memory, one of so many parts along the leading axes
    of all arguments, which fits the caches, is timed too: the longer of both is the limit then.
    share: the part of that limit that is the goal; limit: seconds, at most.
    tolerance: how far the results of both sides may differ, relative to the largest value.
    sides: functions like `make` for a third side ("numpy", "numba"), and how many times its time
    is the goal. fresh: a process of its own, because state matters; x64: 64-bit types are on.
    memory: peak memory is compared; tail: single calls are timed too, for the slowest in 1000.
    seconds: of a round, at most.
    """

    name: str
    group: str
    make: Callable[[], tuple]
    unit: str = "time"
    eager: bool = False
    flops: float = 0.0
    read: float = 0.0
    written: float = 0.0
    bound: str = ""
    part: int = 1
    share: float | None = None
    limit: float | None = None
    tolerance: float = 1e-4
    sides: dict[str, tuple[Callable[[], tuple], float]] = field(default_factory=dict)
    fresh: bool = False
    x64: bool = False
    memory: bool = False
    tail: bool = False
    seconds: float = math.inf
    smoke: bool = False


CASES: dict[str, Case] = {}


def add(case: Case) -> None:
    if case.name in CASES:
        raise ValueError(f"two cases are named {case.name!r}")
    CASES[case.name] = case


def case(name: str, group: str, *, gradient: dict | None = None, **fields):
    """Register the decorated function as `make`; `gradient`: fields of the gradient's own case."""

    def register(make):
        first = Case(name, group, make, **fields)
        add(first)
        if gradient is not None:
            flops = 2 * first.flops
            second = replace(first, name=f"{name}, gradient", sides={}, limit=None, flops=flops)
            add(replace(second, **{"make": lambda: gradient_of(*make()), **gradient}))
        return make

    return register


def gradient_of(function, arguments) -> tuple:
    """The pull-back of a function at its arguments, applied to random cotangents."""
    chosen = [k for k, a in enumerate(arguments) if inexact(a)]
    results = jax.eval_shape(function, *arguments)
    leaves, structure = tree.flatten(results)
    cotangents = tree.unflatten(
        structure, [normal(*r.shape, seed=77 + k, dtype=r.dtype) for k, r in enumerate(leaves)]
    )

    def pull(cotangents, *arguments):
        def of_chosen(*values):
            given = list(arguments)
            for k, value in zip(chosen, values, strict=True):
                given[k] = value
            return function(*given)

        return jax.vjp(of_chosen, *(arguments[k] for k in chosen))[1](cotangents)

    return pull, (cotangents, *arguments)


def inexact(argument) -> bool:
    """Whether every leaf is of floating point."""
    return all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in tree.leaves(argument))


def normal(*shape, seed=0, dtype="float32"):
    """Normal numbers, the same on both sides; as the other inputs they lie in the library's own
    memory, as what it has computed does."""
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return jnp.array(values).astype(dtype)


def uniform(*shape, seed=0, low=0.0, high=1.0, dtype="float32"):
    """Numbers in an interval, the same on both sides."""
    values = np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)
    return jnp.array(values).astype(dtype)


def integers(high: int, *shape, seed=0, dtype="int32"):
    """Integers from 0 to below `high`, the same on both sides."""
    return jnp.array(np.random.default_rng(seed).integers(0, high, shape).astype(dtype))
