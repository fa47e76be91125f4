"""Differential fuzzing: random programs, evaluated in NumPy and compiled.

    make fuzz ARGS="--programs 1000 --seed 7"

A program is a list of instructions over a growing list of values (`fuzz_operations`,
`fuzz_nested`, `fuzz_loops`, `fuzz_references`, `fuzz_callbacks`); what is known of the numbers
(`fuzz_values`) tells which results must be equal bit for bit. The expected result is evaluation by
the references with jit disabled; so is what callbacks are called with, how often, in which
order. Each program is compiled for one target, number of threads and quality of code; these rotate.
A failing program is shrunk while it still fails, and printed as it goes into `fuzz_found`.

The programs run in child processes, a chunk in each: so a crash or a hang is a finding like any
other, thresholds of the compiler can be lowered for small arrays, and memory ends with the chunk.
"""

from __future__ import annotations

import argparse
import random as python_random
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import ml_dtypes
import numpy as np

import fornax as fx
import fornax.numpy as fnp
from fornax import settings
from tests import (
    fuzz_callbacks,
    fuzz_loops,
    fuzz_nested,
    fuzz_operations,
    fuzz_plain,
    fuzz_references,
)
from tests.fuzz_callbacks import journal
from tests.fuzz_chunks import run_chunks
from tests.fuzz_references import Cell, cell_of
from tests.fuzz_rounding import shaken
from tests.fuzz_values import MAX_SIZE, WIDEST, V, exact_pool, fit, truth

SHAPES = (
    (), (1,), (3,), (8,), (17,), (33,), (65,), (3, 4), (1, 5), (4, 1), (5, 6), (2, 3, 4), (16, 33),
    (7, 130), (0, 3), (2, 1, 3), (9, 17), (3, 33), (2, 65), (17, 9),
)  # fmt: skip
#: how arrays lie in memory; a "reference" is passed as one, and what is in it afterwards counts
LAYOUTS = ("plain",) * 6 + ("odd", "stepped", "reversed", "transposed", "frozen", "repeated",
                            "reference")  # fmt: skip
NAMES = ("float32",) * 3 + fuzz_operations.DTYPES
WIDE = ("float64", "int64", "complex128", "uint64")
TARGETS = ("native",) * 6 + ("avx2", "avx2", "sse2")
#: enter their operations into the table when they are imported
MODULES = (fuzz_operations, fuzz_nested, fuzz_loops, fuzz_references, fuzz_callbacks)
#: relative error that inexact results may have before the truth is asked
TOLERANCE = {"bfloat16": 6e-2, "float16": 1e-2, "float64": 1e-6, "complex128": 1e-6}
#: how often a program is rounded at random, and how many times further apart than these results
#: one may be that was rounded in yet another order
SHAKEN, SCATTERED = 8, 4.0


@dataclass(frozen=True)
class Instruction:
    """`operation` applied to earlier values (by position, modulo how many there are)."""

    operation: str
    operands: tuple[int, int]
    choice: int
    body: tuple[Instruction, ...] = ()

    def __repr__(self) -> str:
        rest = f", {self.body}" if self.body else ""
        return f"I({self.operation!r}, {self.operands}, {self.choice}{rest})"


@dataclass(frozen=True)
class Input:
    """An array from NumPy: `seed` makes its numbers, `layout` says how it lies in memory."""

    named: str
    shape: tuple[int, ...]
    seed: int
    layout: str = "plain"

    def make(self) -> V:
        numbers = np.random.default_rng(self.seed)
        dtype = np.dtype(getattr(ml_dtypes, self.named, None) or self.named)
        kind = "f" if self.named == "bfloat16" else dtype.kind
        if kind == "b":
            return V(self.laid_out(numbers.integers(0, 2, self.shape) > 0), self.named, 0, 1)
        if kind in "iu":
            info = np.iinfo(dtype)
            if self.seed % 4 == 0:  # extremes, too
                array = numbers.integers(info.min, info.max, self.shape, dtype, endpoint=True)
                special = np.array([info.min, info.max, 0, 1], dtype)
                array = np.where(array % 3 == 0, special[array % 4], array)
                return V(self.laid_out(array), self.named, 0, info.bits)
            array = numbers.integers(-8 if kind == "i" else 0, 8, self.shape).astype(dtype)
            return V(self.laid_out(array), self.named, 0, 4)
        parts = 2 if kind == "c" else 1
        array = numbers.integers(-16, 17, (parts, *self.shape)) / 4
        exact = self.seed % 4 > 0
        if not exact:
            array = numbers.standard_normal((parts, *self.shape)).clip(-4, 4)
        array = (array[0] + 1j * array[1] if kind == "c" else array[0]).astype(dtype)
        return V(self.laid_out(array), self.named, -2 if exact else None, 3)

    def laid_out(self, array) -> np.ndarray:
        """The same numbers elsewhere in memory."""
        array = np.asarray(array)
        if self.layout == "odd":
            raw = np.zeros(array.nbytes + 64, np.uint8)[3 : 3 + array.nbytes]
            moved = np.ndarray(array.shape, array.dtype, raw)
        elif self.layout == "stepped" and array.ndim:
            moved = np.zeros((*array.shape[:-1], array.shape[-1] * 2), array.dtype)[..., ::2]
        elif self.layout == "reversed" and array.ndim:
            moved = np.zeros(array.shape, array.dtype)[::-1]
        elif self.layout == "transposed":
            moved = np.zeros(array.shape[::-1], array.dtype).T
        elif self.layout == "repeated" and array.ndim and array.shape[0]:
            return np.broadcast_to(array[:1], array.shape)
        else:
            moved = np.zeros(array.shape, array.dtype)
        moved[...] = array
        moved.flags.writeable = self.layout != "frozen"
        return moved


@dataclass(frozen=True)
class Program:
    """Inputs, instructions, and how it is compiled."""

    inputs: tuple[Input, ...]
    instructions: tuple[Instruction, ...]
    x64: bool = False
    target: str = "native"
    threads: int = 0

    def __repr__(self) -> str:
        lines = "".join(f"\n    {i}," for i in self.instructions)
        inputs = "".join(f"\n    {i}," for i in self.inputs)
        return (f"Program(({inputs}\n), ({lines}\n), {self.x64}, {self.target!r}, "
                f"{self.threads})")  # fmt: skip


# --- making ---
class Maker:
    """Random programs. `often`: operations that are chosen about every other time."""

    def __init__(self, seed: int, often: Sequence[str] = ()):
        self.random = python_random.Random(seed)
        self.names = sorted(fuzz_operations.OPERATIONS)
        self.weights = [fuzz_operations.WEIGHTS[n] for n in self.names]
        usual = sum(self.weights) // max(sum(n in often for n in self.names), 1)
        for k, name in enumerate(self.names):
            self.weights[k] += usual if name in often else 0

    def number(self) -> int:
        return self.random.randrange(64)

    def instruction(self, depth: int) -> Instruction:
        (name,) = self.random.choices(self.names, self.weights)
        body: tuple[Instruction, ...] = ()
        if name in fuzz_nested.NESTED:
            if depth == 0:
                return self.instruction(0)
            body = self.instructions(1, 3, depth - 1)
        # mostly the latest values, so that programs are deep rather than wide
        x = min(self.random.randrange(64), self.random.randrange(64), self.random.randrange(64))
        return Instruction(name, (x // 4, self.number()), self.number(), body)

    def instructions(self, least: int, most: int, depth: int) -> tuple[Instruction, ...]:
        count = self.random.randint(least, most)
        return tuple(self.instruction(depth) for _ in range(count))

    def program(self) -> Program:
        choose = self.random
        x64 = choose.random() < 0.2
        names = NAMES + WIDE * 3 if x64 else NAMES
        inputs = tuple(
            Input(choose.choice(names), choose.choice(SHAPES), choose.randrange(1 << 20),
                  choose.choice(LAYOUTS))
            for _ in range(choose.randint(1, 3))
        )  # fmt: skip
        return Program(inputs, self.instructions(2, 8, 2), x64, choose.choice(TARGETS),
                       choose.choice((0, 1, 2, 3, 4)))  # fmt: skip


def make(seed: int, often: Sequence[str] = ()) -> Program:
    """Program number `seed`."""
    return Maker(seed, often).program()


# --- running ---
class Running:
    """The values of a program, or of a body in it, so far."""

    def __init__(
        self,
        values: Sequence[V],
        x64: bool,
        path: tuple[str, ...] = (),
        cells: Sequence[Cell] = (),
        times: int = 1,
    ):
        self.values = list(values)
        self.x64 = x64
        #: the operations that this is the body of, the outermost one first
        self.path = path
        #: the references that may be used here
        self.cells = list(cells)
        #: about how often the body runs, altogether
        self.times = times
        self.next_body: tuple[Instruction, ...] = ()

    @property
    def backwards(self) -> bool:
        """Whether derivatives may be taken in this direction."""
        return not fuzz_nested.BACKWARDS.isdisjoint(self.path)

    @property
    def forwards(self) -> bool:
        return not fuzz_nested.FORWARDS.isdisjoint(self.path)

    def value(self, k: int) -> V:
        return self.values[-1 - k % len(self.values)]

    def firm(self, v: V) -> V:
        """A value whose numbers are exact, in the shape of `v`."""
        if v.exact:
            return v
        for other in reversed(self.values):
            if other.exact and other.size:
                return fit(other, v.shape)
        return exact_pool(v.shape)

    def body(self, name: str, times: int = 1) -> Callable[..., V]:
        """The body of the instruction that is being run, a function of values. It may also be
        given references, `cells`."""
        instructions = self.next_body
        path, total = (*self.path, name), self.times * times

        def call(*values: V, cells: Sequence[Cell] = ()) -> V:
            inner = Running(values, self.x64, path, [*self.cells, *cells], total)
            inner.run(instructions)
            return inner.values[-1]

        return call

    def run(self, instructions: Sequence[Instruction]) -> None:
        for instruction in instructions:
            x, y = (self.value(k) for k in instruction.operands)
            self.next_body = instruction.body
            made = fuzz_operations.OPERATIONS[instruction.operation](x, y, instruction.choice, self)
            if made.size <= MAX_SIZE and made.ndim <= 5:
                self.values.append(made)


def run(program: Program, inputs: Sequence[V]) -> list[V]:
    """The last values of a program, and those that its references end with, on inputs whose
    arrays may be tracers or references."""
    cells = [cell_of(v, ()) for v in inputs if isinstance(v.array, fx.Ref)]
    values = [v.with_(fnp.asarray(v.array[...] if isinstance(v.array, fx.Ref) else v.array))
              for v in inputs]  # fmt: skip
    running = Running(values, program.x64, (), cells)
    running.run(program.instructions)
    return [*running.values[-3:], *(cell.read() for cell in running.cells)]


def passed(program: Program, arrays: Sequence[np.ndarray]) -> list:
    """The arrays of the inputs, in references where the program wants those."""
    return [fx.new_ref(a) if i.layout == "reference" else a
            for i, a in zip(program.inputs, arrays, strict=True)]  # fmt: skip


def left(arguments: Sequence) -> list[np.ndarray]:
    """What is in the references among the arguments, after the call."""
    return [np.asarray(a[...]) for a in arguments if isinstance(a, fx.Ref)]


def expected_of(program: Program, inputs: Sequence[V]) -> list[V]:
    with fx.enable_x64(program.x64), fx.disable_jit():
        arguments = passed(program, [v.array for v in inputs])
        given = [v.with_(a) for v, a in zip(inputs, arguments, strict=True)]
        made = [v.with_(np.asarray(v.array)) for v in run(program, given)]
        cells = [cell_of(v, ()) for v in given if isinstance(v.array, fx.Ref)]
        return [*made, *(V(a, c.named, c.low, c.high)
                         for a, c in zip(left(arguments), cells, strict=True))]  # fmt: skip


def compiled_of(program: Program) -> Callable[[Sequence[V]], list[np.ndarray]]:
    """The program as a compiled function of inputs."""

    def call(inputs: Sequence[V]) -> list[np.ndarray]:
        with (
            fx.enable_x64(program.x64),
            settings.override(target=program.target, threads=program.threads),
        ):
            arguments = passed(program, [v.array for v in inputs])
            made = [np.asarray(a) for a in function(*arguments)]
            fx.effects_barrier()
            return [*made, *left(arguments)]

    templates = [i.make() for i in program.inputs]
    function = fx.jit(
        lambda *arrays: [
            v.array
            for v in run(program, [t.with_(a) for t, a in zip(templates, arrays, strict=True)])
        ]
    )
    return call


def exact(program: Program, inputs: Sequence[V]) -> list[np.ndarray]:
    """What a program gives without rounding."""
    with fx.enable_x64(True), fx.disable_jit(), truth(), journal():
        wide = [v.array.astype(WIDEST.get(v.named, v.array.dtype)) for v in inputs]
        arguments = passed(program, wide)
        made = run(program, [v.with_(a) for v, a in zip(inputs, arguments, strict=True)])
        return [*(np.asarray(v.array) for v in made), *left(arguments)]


def largest(inputs: Sequence[V]) -> float:
    """The largest finite magnitude of the inputs; of whole numbers, of what floats are made of."""
    found = 1.0
    for v in inputs:
        size = np.abs(v.array.astype(np.complex128))
        most = float(size[np.isfinite(size)].max(initial=0.0))
        found = max(found, min(most, 8.0) if v.whole else most)
    return found


def scatter(program: Program, inputs: Sequence[V], expected: Sequence[V]) -> list[np.ndarray]:
    """How far each result moves when every operation rounds in another way."""
    found = [np.zeros(v.array.shape) for v in expected]
    for seed in range(SHAKEN):
        with shaken(seed), journal(), np.errstate(all="ignore"):
            for k, v in enumerate(expected_of(program, inputs)):
                if not v.whole:
                    kind = np.complex128 if v.array.dtype.kind == "c" else np.float64
                    moved = np.abs(v.array.astype(kind) - expected[k].array.astype(kind))
                    found[k] = np.fmax(found[k], moved)
    return found


def wrong(
    got: np.ndarray,
    expected: V,
    truth_of: Callable[[], np.ndarray],
    operands: float = 1.0,
    scatter_of: Callable[[], np.ndarray] = lambda: np.zeros(()),
) -> str | None:
    """How a result differs from the expected one, or None. `operands`: magnitude of the inputs."""
    a, b = got, expected.array
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"is {a.dtype}{a.shape}, expected {b.dtype}{b.shape}"
    if expected.whole:
        apart = a != b
    else:
        kind = np.complex128 if b.dtype.kind == "c" else np.float64
        a, b = a.astype(kind), b.astype(kind)
        apart = (a != b) & ~((a != a) & (b != b))
        if apart.any() and not expected.exact:
            close = TOLERANCE.get(expected.named, 2e-3)
            scale = np.nanmax(np.abs(np.where(np.isfinite(b), b, 0)), initial=0.0)
            # numbers are of moderate size: what is left where terms cancel has no digits
            near = close * np.maximum(np.abs(b), max(0.1 * scale, 1e-4))
            apart &= ~(np.abs(a - b) <= near)
            if apart.any():
                # both about as far from the truth: an ill-conditioned program, no wrong one;
                # where equal operands cancel, one side may be right by luck
                real = truth_of()
                rounding = float(ml_dtypes.finfo(expected.array.dtype).eps) * operands
                far = max(16 * np.nanmax(np.abs(b - real), initial=0.0), 4 * rounding)
                apart &= ~(np.abs(a - real) <= far)
            if apart.any():
                apart &= ~(np.abs(a - b) <= SCATTERED * scatter_of())
    if not apart.any():
        return None
    place = tuple(int(k) for k in np.argwhere(apart)[0])
    what = f"{'exact' if expected.exact else 'inexact'} {expected.array.dtype} numbers"
    return (
        f"differs in {apart.sum()} of {a.size} {what}, at {place}: {a[place]}, expected {b[place]}"
    )


def difference(program: Program) -> str | None:
    """What is wrong with a program, or None."""
    inputs = [i.make() for i in program.inputs]
    # the same numbers in other places: what was computed while compiling must not show
    turned = [v.with_(v.array[::-1] if v.ndim else v.array) for v in inputs]
    try:
        function = compiled_of(program)
        for which in (inputs, turned)[: 1 + program.inputs[0].seed % 2]:
            with journal() as wanted:
                expected = expected_of(program, which)
            with journal() as seen, np.errstate(all="ignore"):
                results = function(which)
            with np.errstate(all="ignore"):
                for k, (a, b) in enumerate(zip(results, expected, strict=True)):
                    found = wrong(
                        a, b, lambda k=k, which=which: exact(program, which)[k], largest(which),
                        lambda k=k, which=which, to=expected: scatter(program, which, to)[k],
                    )  # fmt: skip
                    if found is not None:
                        return f"output {k} {found}"
            found = seen.differs(wanted)
            if found is not None:
                return found
    except Exception:
        return traceback.format_exc(limit=-4)
    return None


# --- shrinking ---
def smaller(program: Program) -> list[Program]:
    """Programs with an instruction less, or simpler in another way."""
    made = [replace(program, instructions=i) for i in shorter(program.instructions)]
    for k, given in enumerate(program.inputs):
        if given.layout != "plain":
            simple = replace(given, layout="plain")
            made.append(
                replace(program, inputs=(*program.inputs[:k], simple, *program.inputs[k + 1 :]))
            )
    if len(program.inputs) > 1:
        made.append(replace(program, inputs=program.inputs[:-1]))
    if program.threads != 1:
        made.append(replace(program, threads=1))
    if program.target != "native":
        made.append(replace(program, target="native"))
    return [p for p in made if p.instructions]


def shorter(instructions: tuple[Instruction, ...]) -> list[tuple[Instruction, ...]]:
    found = []
    for k, one in enumerate(instructions):
        before, after = instructions[:k], instructions[k + 1 :]
        found.append(before + after)
        if one.body:
            found.append(before + one.body + after)
            found += [
                (*before, replace(one, body=body), *after) for body in shorter(one.body) if body
            ]
    return found


def shrink(program: Program, seconds: float = 60.0) -> tuple[Program, str]:
    """The smallest program found that still fails, and how."""
    problem, until = difference(program), time.perf_counter() + seconds
    going = True
    while going and time.perf_counter() < until:
        going = False
        for candidate in smaller(program):
            found = difference(candidate)
            if found is not None:
                program, problem, going = candidate, found, True
                break
    return program, problem or "does not fail again"


def check(program: Program, name: str = "program") -> None:
    """Raise AssertionError with a shrunk program if a program is compiled wrongly."""
    if difference(program) is not None:
        short, problem = shrink(program)
        raise AssertionError(f"{name}:\n{short}\n{problem}")


def check_plain(seed: int, shapes, instructions, targets: Sequence[str]) -> None:
    """Raise AssertionError if a program in the first table's operations is compiled wrongly."""
    inputs = fuzz_plain.arrays(seed, shapes)
    with fx.disable_jit():
        expected = [np.asarray(v) for v in fuzz_plain.run(instructions, *inputs)]
    with fx.enable_x64(True), fx.disable_jit():
        real = [np.asarray(v) for v in fuzz_plain.run(
            instructions, *(x.astype(np.float64) for x in inputs))]  # fmt: skip
    for target in targets:
        with settings.override(target=target):
            got = fx.jit(lambda *xs: fuzz_plain.run(instructions, *xs))(*inputs)
        for k, (a, b, true) in enumerate(zip(got, expected, real, strict=True)):
            found = wrong(np.asarray(a), V(b, "float32", None), lambda true=true: true)
            assert found is None, f"program {seed}, {target}, output {k} {found}"


def check_seed(seed: int, often: Sequence[str] = ()) -> str | None:
    """What is wrong with program number `seed`, shrunk; None if nothing is."""
    try:
        check(make(seed, often), f"seed {seed}")
    except AssertionError as error:
        return str(error)
    return None


def operations_of(names: Sequence[str]) -> tuple[str, ...]:
    """Operations by name; a module's name (`fuzz_callbacks`) stands for all that it enters."""
    found: list[str] = []
    for name in names:
        if name in fuzz_operations.OPERATIONS:
            found.append(name)
            continue
        inside = [k for k, module in fuzz_operations.MODULES.items() if module == f"tests.{name}"]
        if not inside:
            raise SystemExit(f"no operation and no module of them: {name!r}")
        found += inside
    return tuple(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chunk", type=int, default=500, help="programs per process")
    parser.add_argument("--often", default="", help="operations chosen about every other time: "
                        "their names, or those of modules, with commas")  # fmt: skip
    options = parser.parse_args()
    often = operations_of([name for name in options.often.split(",") if name])
    began = time.perf_counter()
    failures, processor = run_chunks(
        partial(check_seed, often=often), options.seed, options.seed + options.programs,
        options.chunk,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    print(f"{options.programs} programs from seed {options.seed}: {failures} mismatches, "
          f"{seconds:.0f} s, {processor:.0f} s of one processor")  # fmt: skip
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
