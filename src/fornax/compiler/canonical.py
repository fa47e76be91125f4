"""Canonical form: one flat program of operations that the compiler knows how to build.

Calls are inlined, composed operations expanded, equal equations merged, dead ones dropped, and a
little algebra done (x*1, x+0 on integers, conversions to the same dtype). Inner programs of loops
and branches stay programs; they are made canonical when their plan is built.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from fornax.compiler import hoist
from fornax.compiler.apart import reads_concatenation, taken_apart
from fornax.compiler.counted import counted
from fornax.compiler.deviations import (
    Deviations,
    Sum,
    deviations,
    spliced,
    squares_of_blocks,
    sums_of_blocks,
)
from fornax.compiler.exponentials import exponentials
from fornax.compiler.factors import without_factors
from fornax.compiler.kernels import KERNELS
from fornax.compiler.spectra import along_axes
from fornax.compiler.thin import multiplied
from fornax.compiler.turns import reduced_as_they_lie, without_detours
from fornax.compiler.two_stages import REDUCTIONS, in_two_stages
from fornax.compiler.updates import in_place, of_lasting_inputs
from fornax.errors import InternalError
from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var
from fornax.ir.primitive import Primitive, primitive_named
from fornax.ir.trace import new_trace
from fornax.ir.types import ArrayType
from fornax.transforms.dce import dead_code
from fornax.transforms.hash import exact
from fornax.transforms.stage import Stage

#: operations the planner turns into control steps of the plan
CONTROL = frozenset(("scan", "while", "cond"))
#: elements beside one another for which a product is worth a batch dimension more
NEIGHBOURS = 64


class _Canonical:
    """Rebuilds a program equation by equation, with a table of what was computed already."""

    def __init__(self, again: bool = False) -> None:
        self.again = again  # whether it is done to what has been made
        #: whether a reduction is left as it is, because it may be taken apart
        self.waits = False
        self.equations: list[Equation] = []
        self.seen: dict[tuple[Any, ...], tuple[Var, ...]] = {}
        self.definition: dict[Atom, Equation] = {}
        #: sums, what is known of their blocks, and maxima
        self.sums: dict[tuple[Atom, tuple[int, ...]], Var] = {}
        self.partial: dict[Sum, tuple[Atom, ...]] = {}
        self.order: dict[Atom, int] = {}
        self.largest: dict[tuple[Atom, tuple[int, ...]], Var] = {}
        self.region = 0  # equations of different regions are never merged
        #: whether doing it again to what has been made would change nothing
        self.settled = True

    def run(self, jaxpr: Jaxpr, env: dict[Var, Atom]) -> list[Atom]:
        for equation in jaxpr.equations:
            inputs = tuple([a if isinstance(a, Literal) else env[a] for a in equation.inputs])
            outputs = self.equation(equation, inputs)
            env.update(zip(equation.outputs, outputs, strict=True))
        return [_read(env, a) for a in jaxpr.outputs]

    def equation(self, equation: Equation, inputs: tuple[Atom, ...]) -> Sequence[Atom]:
        primitive, params = equation.primitive, equation.params
        program = primitive.inlined(**params)
        if program is not None:
            return self.call(program, inputs, primitive)
        if not is_buildable(primitive) and primitive.has_expand:
            program = _expanded(primitive, [a.type for a in inputs], params)
            return self.call(program, inputs, primitive)
        simpler = _SIMPLER.get(primitive.name)
        if simpler is not None:
            atom = simpler(inputs, params)
            if atom is not None:
                return [atom]
        if primitive.name in REDUCTIONS:
            return self.reduction(equation, inputs)
        if primitive.name == "dot_general":
            program = multiplied(inputs, params, equation.outputs[0].type)
            if program is not None:
                return self.call(program, inputs, primitive)
        if primitive.name == "fft":
            program = along_axes(inputs, params)
            if program is not None:
                return self.call(program, inputs, primitive)
        if primitive.name == "while":
            scan = counted(equation, inputs)
            if scan is not None:
                return self.loop(scan, scan.inputs)
        if primitive.name in ("scan", "while"):
            return self.loop(equation, inputs)
        return self.append(equation, inputs)

    def reduction(self, equation: Equation, inputs: tuple[Atom, ...]) -> Sequence[Atom]:
        primitive, (x,) = equation.primitive, inputs
        axes = tuple(sorted(equation.params["axes"]))
        if not self.again and reads_concatenation(equation, x, self.definition):
            self.waits = True
            return self.append(equation, inputs)
        adds = primitive.name == "reduce_sum"
        found = deviations(x, axes, self.definition, self.sums) if adds else None
        if found is not None:
            return self.deviating(found, primitive)
        if adds and (online := exponentials(x, axes, self.definition, self.largest)):
            return self.call(online[-1], online[:-1], primitive)
        shorter = without_factors(x, axes, self.definition, self.order) if adds else None
        if shorter is None:
            program = in_two_stages(primitive, x, equation.params, self.definition)
        else:
            inputs, program = shorter
        if program is None:
            outputs = self.append(equation, inputs)
        else:
            outputs = self.call(program, inputs, primitive)
        result = outputs[0]
        if isinstance(result, Var):
            if adds and isinstance(x, Var):
                self.sums.setdefault((x, axes), result)
            if primitive.name == "reduce_max":
                self.largest[x, axes] = result
        return outputs

    def deviating(self, found: Deviations, primitive: Primitive) -> Sequence[Atom]:
        """A sum of squared deviations, from blocks whose sums give the sum it depends on, too."""
        x, _ = found.of
        partial = self.partial.get(found.of)
        if partial is None:
            total = self.sums[found.of]
            place = next(k for k, e in enumerate(self.equations) if total in e.outputs)
            program = sums_of_blocks(x.type, found.blocks)
            made, partial = spliced(program, (x,), total)
            self.equations[place : place + 1] = made
            self.definition |= {v: e for e in made for v in e.outputs}
            self.partial[found.of] = partial
            self.settled = False
        nears = tuple([near.type for near in partial[::2]])
        how = nears, found.centre.type, found.places, found.blocks
        program = squares_of_blocks(x.type, *how)
        return self.call(program, (x, found.centre, *partial), primitive)

    def loop(self, equation: Equation, inputs: tuple[Atom, ...]) -> Sequence[Atom]:
        """A loop, after what is the same in all of its iterations."""
        self.settled = False
        params = equation.params
        if equation.primitive.name == "scan":
            first, count, key, number = 0, params["num_consts"], "jaxpr", "num_consts"
            if params["length"] < hoist.SHORTEST:
                return self.append(equation, inputs)
        else:
            first, count = params["cond_nconsts"], params["body_nconsts"]
            key, number = "body_jaxpr", "body_nconsts"
        body, given = canonicalize(params[key]), inputs[first : first + count]
        settled = of_lasting_inputs(body, (), body.inputs)
        if settled is not body:
            params = {**params, key: settled}
            body, equation = settled, equation.replace(params=params)
        found = None if body.consts else hoist.hoisted(body, count, given, self.append)
        if found is not None:
            made, more = found
            params = {**params, key: made, number: count + len(more)}
            inputs = (*inputs[: first + count], *more, *inputs[first + count :])
            equation = equation.replace(inputs=inputs, params=params)
        return self.append(equation, inputs)

    def append(self, equation: Equation, inputs: tuple[Atom, ...]) -> Sequence[Atom]:
        """The outputs of an equation: those of an equal one, or of a new one."""
        primitive, params = equation.primitive, equation.params
        effectful = not primitive.pure and bool(primitive.effects(**params))
        key = (
            self.region,
            primitive,
            tuple([_atom_key(a) if isinstance(a, Literal) else a for a in inputs]),
            tuple([(name, exact(params[name])) for name in sorted(params)]) if params else (),
        )
        if not effectful:
            found = self.seen.get(key)
            if found is not None:
                return found
        outputs = tuple([Var(v.type) for v in equation.outputs])
        made = Equation(primitive, inputs, params, outputs, equation.source)
        self.equations.append(made)
        self.definition.update(dict.fromkeys(outputs, made))
        if not effectful:
            self.seen[key] = outputs
        return outputs

    def call(self, program: Jaxpr, inputs: Sequence[Atom], primitive: Primitive) -> list[Atom]:
        before = self.region
        if primitive.keeps_recomputation:
            self.region = len(self.equations) + 1
            self.settled = False
        env: dict[Var, Atom] = dict(zip(program.inputs, inputs, strict=True))
        outputs = self.run(program, env)
        self.region = before
        return outputs


def _read(env: dict[Var, Atom], atom: Atom) -> Atom:
    return atom if isinstance(atom, Literal) else env[atom]


def _atom_key(atom: Atom) -> Any:
    if isinstance(atom, Literal):
        value = atom.value
        return (atom.type, np.asarray(value, atom.type.dtype).tobytes())
    return atom


def is_buildable(primitive: Primitive) -> bool:
    """Whether the compiler builds the operation directly rather than through `expand`."""
    return primitive.has_element or primitive.name in KERNELS or primitive.name in CONTROL


def _expanded(primitive: Primitive, types: Sequence[ArrayType], params: dict[str, Any]) -> Jaxpr:
    trace = Stage(purpose=f"the expansion of {primitive.name}")
    with new_trace(trace):
        outputs = primitive.expand(*map(trace.new_input, types), **params)
        program = trace.finish(outputs, primitive.name)
    return program.without_consts() if not program.consts else _with_literals(program)


def _with_literals(program: Jaxpr) -> Jaxpr:
    raise InternalError(
        f"the expansion of {program.debug_name} makes array constants; build them with iota or full"
    )


def _same_type(inputs: Sequence[Atom], dtype: Any) -> Atom | None:
    (x,) = inputs
    return x if x.type.dtype == dtype and isinstance(x, Var) else None


def _is_literal(atom: Atom, value: float) -> bool:
    return isinstance(atom, Literal) and bool(atom.value == value)


def _times(inputs: Sequence[Atom], params: dict[str, Any]) -> Atom | None:
    x, y = inputs
    if _is_literal(y, 1) and isinstance(x, Var):
        return x
    if _is_literal(x, 1) and isinstance(y, Var):
        return y
    return None


def _plus(inputs: Sequence[Atom], params: dict[str, Any]) -> Atom | None:
    # only integers: -0.0 + 0.0 is 0.0
    x, y = inputs
    if x.type.dtype.kind not in "iu":
        return None
    if _is_literal(y, 0) and isinstance(x, Var):
        return x
    if _is_literal(x, 0) and isinstance(y, Var):
        return y
    return None


def _integer_power(inputs: Sequence[Atom], params: dict[str, Any]) -> Atom | None:
    return inputs[0] if params["y"] == 1 and isinstance(inputs[0], Var) else None


def _reshape(inputs: Sequence[Atom], params: dict[str, Any]) -> Atom | None:
    x = inputs[0]
    same = tuple(params["new_sizes"]) == x.type.shape and isinstance(x, Var)
    return x if same and params.get("dimensions") is None else None


_SIMPLER: dict[str, Callable[[Sequence[Atom], dict[str, Any]], Atom | None]] = {
    "convert_element_type": lambda i, p: _same_type(i, p["new_dtype"]),
    "mul": _times,
    "add": _plus,
    "integer_pow": _integer_power,
    "reshape": _reshape,
    "copy": lambda i, p: i[0] if isinstance(i[0], Var) else None,
}


def _turned(dot: Equation, turn: Equation) -> Equation | None:
    """One product that gives what transposing the result of `dot` gives, if exchanging its
    operands does."""
    (contracted_left, contracted_right), (left_batch, right_batch) = dot.params["dimension_numbers"]
    batch, (left, right) = len(left_batch), dot.inputs
    rows = len(left.type.shape) - batch - len(contracted_left)
    rank = len(turn.inputs[0].type.shape)
    order = (*range(batch), *range(batch + rows, rank), *range(batch, batch + rows))
    if tuple(turn.params["permutation"]) != order:
        return None
    numbers = (contracted_right, contracted_left), (right_batch, left_batch)
    params = {**dot.params, "dimension_numbers": numbers}
    return dot.replace(inputs=(right, left), params=params, outputs=turn.outputs)


def _batched(dot: Equation, turn: Equation) -> list[Equation] | None:
    """A broadcast and a product that give what transposing the result of `dot` gives, if all it
    does is to move the free dimensions of the small operand in between those of the large one.

    The first of these become batch dimensions, the last stay neighbours in memory: einsum
    nchw,oc->nohw is a product for each n then, which reads and writes along w.
    """
    numbers = dot.params["dimension_numbers"]
    count = len(numbers[1][0])
    ranks = [len(atom.type.shape) for atom in dot.inputs]
    frees = [
        [d for d in range(rank) if d not in contracted and d not in batch]
        for rank, contracted, batch in zip(ranks, *numbers, strict=True)
    ]
    permutation = list(turn.params["permutation"])
    places = [
        [*range(count, count + len(frees[0]))], [*range(count + len(frees[0]), len(permutation))]
    ]  # fmt: skip
    for large, small in ((0, 1), (1, 0)):
        x, y = dot.inputs[large], dot.inputs[small]
        for k in range(1, len(frees[large])):
            outer, inner = frees[large][:k], frees[large][k:]
            order = [*range(count), *places[large][:k], *places[small], *places[large][k:]]
            if permutation != order or inner[-1] != ranks[large] - 1 or not places[small]:
                continue
            if prod(x.type.shape[d] for d in inner) < NEIGHBOURS or 4 * y.type.size > x.type.size:
                continue
            shape = (*(x.type.shape[d] for d in outer), *y.type.shape)
            wide = Var(ArrayType(shape, y.type.dtype))
            filling = {"shape": shape, "broadcast_dimensions": tuple(range(k, k + ranks[small]))}
            spread = Equation(
                primitive_named("broadcast_in_dim"), (y,), filling, (wide,), dot.source
            )
            contracted = tuple(d + k for d in numbers[0][small]), tuple(numbers[0][large])
            batch = (
                (*(d + k for d in numbers[1][small]), *range(k)),
                (*numbers[1][large], *outer),
            )
            params = {**dot.params, "dimension_numbers": (contracted, batch)}
            return [spread, dot.replace(inputs=(wide, x), params=params, outputs=turn.outputs)]
    return None


def without_turns(equations: Sequence[Equation], outputs: Sequence[Atom]) -> list[Equation]:
    """Products whose result is only transposed are computed the other way round.

    The gradient of a matrix is such a product; what follows can then be its epilogue.
    """
    uses: dict[Var, int] = {}
    for atom in (*(a for e in equations for a in e.inputs), *outputs):
        if isinstance(atom, Var):
            uses[atom] = uses.get(atom, 0) + 1
    products = {
        e.outputs[0]: k for k, e in enumerate(equations) if e.primitive.name == "dot_general"
    }
    kept: list[list[Equation]] = [[equation] for equation in equations]
    for k, equation in enumerate(equations):
        source = equation.inputs[0] if equation.primitive.name == "transpose" else None
        if isinstance(source, Var) and source in products and uses[source] == 1:
            dot = equations[products[source]]
            turned = _turned(dot, equation)
            made = _batched(dot, equation) if turned is None else [turned]
            if made is not None:
                kept[products[source]], kept[k] = [], made
    return [e for made in kept for e in made]


def canonicalize(jaxpr: Jaxpr) -> Jaxpr:
    """The canonical form of a program, with the same inputs, constants and outputs."""
    found = jaxpr.memo.get("canonical")
    if found is None:
        work = _Canonical()
        env: dict[Var, Atom] = {v: v for v in jaxpr.inputs}
        outputs = work.run(jaxpr, env)
        equations = without_turns(work.equations, outputs)
        equations = without_detours(equations, outputs)
        for rewritten in (taken_apart, reduced_as_they_lie):
            made = rewritten(equations, outputs)
            if made is not None or work.waits:  # there may be another way to compute it
                work = _Canonical(again=True)
                program = Jaxpr(jaxpr.inputs, tuple(made or equations), tuple(outputs))
                outputs = work.run(program, {v: v for v in jaxpr.inputs})
                equations = work.equations
        equations = in_place(equations, outputs)
        found = dead_code(
            Jaxpr(jaxpr.inputs, tuple(equations), tuple(outputs), jaxpr.consts, jaxpr.debug_name)
        )
        if work.settled and len(equations) == len(work.equations):
            if all(map(operator.is_, equations, work.equations)):
                found.memo["canonical"] = found
        jaxpr.memo["canonical"] = found
    return found
