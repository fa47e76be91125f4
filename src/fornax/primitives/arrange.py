"""Rearranging programs: what the rules of operations that hold programs have in common."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from fornax.ir.jaxpr import Equation, Jaxpr, Literal, Var
from fornax.ir.primitive import Primitive, Zero
from fornax.ir.types import ArrayType, typeof
from fornax.source import located
from fornax.transforms.dce import live_equations
from fornax.transforms.mixed import dependent_outputs
from fornax.transforms.programs import remembered
from fornax.transforms.stage import stage


def nonzero_flags(tangents: Sequence[Any]) -> list[bool]:
    """Which tangents are not known to be zero."""
    return [not isinstance(t, Zero) for t in tangents]


def chosen(values: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    """The values whose flag is set."""
    return [v for v, flag in zip(values, flags, strict=True) if flag]


def split(values: Sequence[Any], *counts: int) -> list[list[Any]]:
    """Consecutive pieces of these lengths, and the rest."""
    pieces, start = [], 0
    for count in counts:
        pieces.append(list(values[start : start + count]))
        start += count
    return [*pieces, list(values[start:])]


def spread(flags: Sequence[bool], values: Sequence[Any], types: Sequence[ArrayType]) -> list[Any]:
    """One tangent per type: the next value where flagged, else `Zero`."""
    rest = iter(values)
    return [next(rest) if flag else Zero(t.tangent()) for flag, t in zip(flags, types, strict=True)]


def rearranged(jaxpr: Jaxpr, inputs: Sequence[int], outputs: Sequence[int]) -> Jaxpr:
    """The program with its inputs and outputs picked and ordered by position."""
    inputs, outputs = tuple(inputs), tuple(outputs)

    def make():
        return Jaxpr(
            tuple(jaxpr.inputs[i] for i in inputs),
            jaxpr.equations,
            tuple(jaxpr.outputs[i] for i in outputs),
            (),
            jaxpr.debug_name,
        )

    return remembered(jaxpr, ("rearranged", inputs, outputs), make)


def interleaved(count: int, num_consts: int, num_carry: int, flags: Sequence[bool]) -> list[int]:
    """Positions that sort (values, flagged tangents) into consts, carry, rest with their tangents.

    `count` values come first, then one tangent per flag that is set.
    """
    tangent: dict[int, int] = {}
    for i, flag in enumerate(flags):
        if flag:
            tangent[i] = count + len(tangent)
    order: list[int] = []
    for part in split(range(count), num_consts, num_carry):
        order += part
        order += [tangent[i] for i in part if i in tangent]
    return order


def prune(jaxpr: Jaxpr, used: Sequence[bool], keep: int = 0) -> tuple[Jaxpr, list[bool]]:
    """(program with only the `used` outputs, which inputs it reads).

    Inputs that are not read are dropped, except the first `keep`.
    """
    used = tuple(used)

    def make():
        outputs = tuple(chosen(jaxpr.outputs, used))
        equations = tuple(live_equations(jaxpr.equations, outputs))
        read = {a for e in equations for a in e.inputs if isinstance(a, Var)}
        read.update(a for a in outputs if isinstance(a, Var))
        kept = [i < keep or v in read for i, v in enumerate(jaxpr.inputs)]
        inputs = tuple(chosen(jaxpr.inputs, kept))
        return Jaxpr(inputs, equations, outputs, (), jaxpr.debug_name), kept

    return remembered(jaxpr, ("prune", used, keep), make)


def dependent(jaxpr: Jaxpr, inputs: Sequence[bool], effects: bool = False) -> set[Var]:
    """The variables that depend on any of the flagged inputs (those included).

    effects: the results of operations with effects count as well, whatever their operands.
    """
    found = set(chosen(jaxpr.inputs, inputs))
    for equation in jaxpr.equations:
        flags = [isinstance(a, Var) and a in found for a in equation.inputs]
        outputs = equation.outputs
        if any(flags):
            of = dependent_outputs(equation.primitive, equation.params, flags, len(outputs))
            found.update(chosen(outputs, of))
        if effects and equation.effects:
            found.update(outputs)
    return found


def depends(jaxpr: Jaxpr, inputs: Sequence[bool]) -> list[bool]:
    """Which outputs depend on any of the flagged inputs."""
    inputs = tuple(inputs)

    def make():
        found = dependent(jaxpr, inputs)
        return [isinstance(a, Var) and a in found for a in jaxpr.outputs]

    return remembered(jaxpr, ("depends", inputs), make)


def with_common_constants(
    jaxprs: Sequence[Jaxpr],
) -> tuple[tuple[Jaxpr, ...], list[Any]]:
    """The programs with the constants of all of them as first inputs, and those constants."""
    consts: list[Any] = []
    position: dict[int, int] = {}
    places = []
    for jaxpr in jaxprs:
        place = []
        for value in jaxpr.consts:
            if id(value) not in position:
                position[id(value)] = len(consts)
                consts.append(value)
            place.append(position[id(value)])
        places.append(tuple(place))
    if not consts:
        return tuple(jaxprs), consts
    types = tuple(typeof(c) for c in consts)

    def widened(jaxpr: Jaxpr, place: tuple[int, ...]) -> Jaxpr:
        own = dict(zip(place, jaxpr.constvars, strict=True))
        inputs = [own.get(i) or Var(t) for i, t in enumerate(types)]
        return Jaxpr((*inputs, *jaxpr.invars), jaxpr.equations, jaxpr.outputs, (), jaxpr.debug_name)

    return tuple(
        remembered(j, ("with constants", place, types), partial(widened, j, place))
        for j, place in zip(jaxprs, places, strict=True)
    ), consts


def forwarded(jaxpr: Jaxpr) -> list[int | None]:
    """For each output the position of the input that it is, or None."""
    position = {v: i for i, v in enumerate(jaxpr.inputs)}
    return [position.get(a) if isinstance(a, Var) else None for a in jaxpr.outputs]


def restaged(
    jaxpr: Jaxpr, key: tuple, types: Sequence[ArrayType], function: Callable[..., Sequence[Any]]
) -> Jaxpr:
    """A program made from `jaxpr` by staging a function that evaluates it; remembered.

    It may own constants: see `opened`.
    """
    return remembered(jaxpr, key, lambda: stage(function, types, jaxpr.debug_name))


class _Watch(threading.local):
    look: Callable[[Equation, Sequence[Any]], None] | None = None


_watch = _Watch()


@contextlib.contextmanager
def watching(look: Callable[[Equation, Sequence[Any]], None]) -> Iterator[None]:
    """`look(equation, results)` is called for all that `run_reference` does inside the `with`."""
    before, _watch.look = _watch.look, look
    try:
        yield
    finally:
        _watch.look = before


def run_reference(jaxpr: Jaxpr, arrays: Sequence[Any]) -> list[np.ndarray]:
    """The outputs of a program on NumPy arrays, by the references of its operations."""
    env: dict[Var, Any] = dict(zip(jaxpr.inputs, (*jaxpr.consts, *arrays), strict=True))

    def read(atom):
        if isinstance(atom, Literal):
            return np.asarray(atom.value, dtype=atom.type.dtype)
        return env[atom]

    for equation in jaxpr.equations:
        operands = [read(a) for a in equation.inputs]
        results = apply_reference(equation.primitive, operands, equation.params)
        if _watch.look is not None:
            _watch.look(equation, results)
        env.update(zip(equation.outputs, results, strict=True))
    return [np.asarray(read(a)) for a in jaxpr.outputs]


def apply_reference(primitive: Primitive, operands: Sequence[Any], params: dict) -> list[Any]:
    """One operation on NumPy arrays: its reference, or that of its expansion."""
    if type(primitive).reference is not Primitive.reference or not primitive.has_expand:
        return primitive.reference(*operands, **params)
    program = stage(
        lambda *xs: primitive.expand(*xs, **params), [typeof(x) for x in operands], primitive.name
    )
    return run_reference(program.without_consts(), (*map(np.asarray, program.consts), *operands))


def merged_effects(*programs: Jaxpr) -> frozenset:
    """The effects of an operation that runs these programs."""
    return frozenset().union(*(p.effects for p in programs))


def refuse_effects(where: str, effects: frozenset, why: str) -> None:
    """Raise NotImplementedError for effects that must not be repeated or lost."""
    refused = sorted(str(e) for e in effects if not e.innocuous)
    if refused:
        raise NotImplementedError(
            located(
                f"{where}: {', '.join(refused)}",
                why,
                "return the values from the function, and do what has effects outside of it",
            )
        )
