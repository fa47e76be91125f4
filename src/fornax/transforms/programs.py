"""The transformations of whole programs that operations holding programs are written with.

Each takes a program that owns no constants and remembers its result on it. The result may own
constants, where a rule (a user's, say) made or closed over an array: `opened` takes them out, and
they become operands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax.errors import InternalError
from fornax.ir.basis import instantiate
from fornax.ir.evaluate import evaluate
from fornax.ir.jaxpr import Jaxpr, Var
from fornax.ir.primitive import Linear, Zero
from fornax.ir.trace import Tracer, axis_environment
from fornax.ir.types import ArrayType
from fornax.transforms.batch import batch_flat, place
from fornax.transforms.dce import dead_code
from fornax.transforms.jvp import jvp_flat
from fornax.transforms.linearize import linearize_flat
from fornax.transforms.stage import stage
from fornax.transforms.transpose import transpose_program


def remembered(jaxpr: Jaxpr, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """`make()`, done once per program, key and named axes in scope."""
    key = (*key, axis_environment())
    found = jaxpr.memo.get(key)
    if found is None:
        found = make()
        if not _holds_tracer(found):  # those belong to the transformation that is running now
            jaxpr.memo[key] = found
    return found


def _holds_tracer(found: Any) -> bool:
    programs = found if isinstance(found, tuple) else (found,)
    return any(isinstance(c, Tracer) for p in programs if isinstance(p, Jaxpr) for c in p.consts)


def opened(jaxpr: Jaxpr) -> tuple[Jaxpr, list[Any]]:
    """The program with its constants as first inputs (always the same object), and those."""
    if not jaxpr.consts:
        return jaxpr, []
    program = jaxpr.memo.get("opened")
    if program is None:
        program = jaxpr.memo["opened"] = jaxpr.without_consts()
    return program, list(jaxpr.consts)


def closed(jaxpr: Jaxpr) -> tuple[Jaxpr, list[Any]]:
    """A program without constants, and the constants to pass as its first operands."""
    return jaxpr.without_consts(), list(jaxpr.consts)


def jvp_jaxpr(
    jaxpr: Jaxpr, nonzero: Sequence[bool], all_outputs: bool | Sequence[bool] = False
) -> tuple[Jaxpr, list[bool]]:
    """(program, which outputs have tangents).

    The program takes the primals, then the tangents of the `nonzero` ones; it gives the outputs,
    then the tangents of those that have one. `all_outputs` (or a True per output) asks for a
    tangent even where it is zero.
    """
    nonzero = tuple(nonzero)
    wanted = (
        (bool(all_outputs),) * len(jaxpr.outputs)
        if isinstance(all_outputs, bool)
        else tuple(all_outputs)
    )

    def make() -> tuple[Jaxpr, list[bool]]:
        types = jaxpr.in_types
        tangent_types = [t.tangent() for t, nz in zip(types, nonzero, strict=True) if nz]
        has_tangent: list[bool] = []

        def function(*args: Any) -> list[Any]:
            primals, given = args[: len(types)], iter(args[len(types) :])
            tangents = [
                next(given) if nz else Zero(t.tangent())
                for t, nz in zip(types, nonzero, strict=True)
            ]
            outs, out_tangents = jvp_flat(lambda *xs: evaluate(jaxpr, *xs), primals, tangents)
            has_tangent[:] = [
                w or not isinstance(t, Zero) for w, t in zip(wanted, out_tangents, strict=True)
            ]
            kept = [t for t, h in zip(out_tangents, has_tangent, strict=True) if h]
            return [*outs, *map(instantiate, kept)]

        program = stage(function, [*types, *tangent_types], jaxpr.debug_name)
        return dead_code(program), list(has_tangent)

    return remembered(jaxpr, ("jvp", nonzero, wanted), make)


#: where a residual comes from: its kind and position
Source = tuple[str, int]


def linearize_jaxpr(
    jaxpr: Jaxpr, nonzero: Sequence[bool], wanted: Sequence[bool] | None = None
) -> tuple[Jaxpr, Jaxpr, list[Source], list[bool]]:
    """(forward, linear, residuals, has_tangent): split a program into primal and linear parts.

    forward: inputs -> outputs, then new residuals. linear: residuals, tangents of the `nonzero`
    inputs -> tangents of the outputs with `has_tangent`. `residuals[i]` says where residual i
    comes from: ("input", k), ("output", k) of the original outputs, ("new", k): the k-th extra
    output of forward, or ("constant", k) of forward. `wanted[k]` asks for a tangent of output k
    even where it is zero.
    """
    nonzero = tuple(nonzero)
    wanted = tuple(wanted) if wanted is not None else (False,) * len(jaxpr.outputs)

    def make() -> tuple[Jaxpr, Jaxpr, list[Source], list[bool]]:
        types = jaxpr.in_types
        linear_parts: list[Any] = []

        def function(*primals: Any) -> list[Any]:
            outs, linear, has_tangent = linearize_flat(
                lambda *xs: evaluate(jaxpr, *xs), primals, nonzero
            )
            linear_parts[:] = [linear, has_tangent]
            return [*outs, *linear.consts]

        forward = stage(function, types, jaxpr.debug_name)
        linear, has_tangent = linear_parts
        n_out = len(jaxpr.outputs)
        input_position = {v: ("input", k) for k, v in enumerate(forward.invars)}
        input_position.update({v: ("constant", k) for k, v in enumerate(forward.constvars)})
        output_position: dict[Any, int] = {}
        for k, atom in enumerate(forward.outputs[:n_out]):
            if isinstance(atom, Var):
                output_position.setdefault(atom, k)
        new: dict[Any, int] = {}
        residuals = []
        for atom in forward.outputs[n_out:]:
            if atom in input_position:
                residuals.append(input_position[atom])
            elif atom in output_position:
                residuals.append(("output", output_position[atom]))
            else:
                residuals.append(("new", new.setdefault(atom, len(new))))
        forward = dead_code(
            Jaxpr(
                forward.inputs,
                forward.equations,
                (*forward.outputs[:n_out], *new),
                forward.consts,
                jaxpr.debug_name,
            )  # fmt: skip
        )
        linear = Jaxpr(linear.inputs, linear.equations, linear.outputs, (), jaxpr.debug_name)
        linear, has_tangent = _with_wanted(linear, has_tangent, wanted, jaxpr.out_types)
        return forward, dead_code(linear), residuals, has_tangent

    return remembered(jaxpr, ("linearize", nonzero, wanted), make)


def _with_wanted(
    linear: Jaxpr,
    has_tangent: Sequence[bool],
    wanted: Sequence[bool],
    out_types: Sequence[ArrayType],
) -> tuple[Jaxpr, list[bool]]:
    """Add zero outputs to a linear program where a tangent is wanted but there is none."""
    if all(h or not w for h, w in zip(has_tangent, wanted, strict=True)):
        return linear, list(has_tangent)

    def function(*args: Any) -> list[Any]:
        outs = iter(evaluate(linear, *args))
        results = []
        for h, w, t in zip(has_tangent, wanted, out_types, strict=True):
            if h:
                results.append(next(outs))
            elif w:
                results.append(instantiate(Zero(t.tangent())))
        return results

    program = stage(function, linear.in_types, linear.debug_name)
    return program, [h or w for h, w in zip(has_tangent, wanted, strict=True)]


def transpose_jaxpr(
    jaxpr: Jaxpr, linear: Sequence[bool], nonzero_out: Sequence[bool] | None = None
) -> Jaxpr:
    """The backward program of a program that is linear in its `linear` inputs.

    It takes the other inputs, then the cotangents of the outputs (only of those `nonzero_out`),
    and gives the cotangents of the linear inputs, zeros instantiated.
    """
    linear = tuple(linear)
    given = tuple(nonzero_out) if nonzero_out is not None else (True,) * len(jaxpr.outputs)

    def make() -> Jaxpr:
        known = [t for t, is_linear in zip(jaxpr.in_types, linear, strict=True) if not is_linear]
        out_types = [t.tangent() for t in jaxpr.out_types]

        def function(*args: Any) -> list[Any]:
            values, cts = iter(args[: len(known)]), iter(args[len(known) :])
            operands = [
                Linear(t) if is_linear else next(values)
                for t, is_linear in zip(jaxpr.in_types, linear, strict=True)
            ]
            cotangents = [
                next(cts) if g else Zero(t) for g, t in zip(given, out_types, strict=True)
            ]
            grads = transpose_program(jaxpr, operands, cotangents)
            return [instantiate(g) for g, is_linear in zip(grads, linear, strict=True) if is_linear]

        types = [*known, *(t for t, g in zip(out_types, given, strict=True) if g)]
        return dead_code(stage(function, types, jaxpr.debug_name))

    return remembered(jaxpr, ("transpose", linear, given), make)


def batch_jaxpr(
    jaxpr: Jaxpr,
    size: int,
    mapped: Sequence[bool],
    axis_name: Any = None,
    wanted: Sequence[bool] | bool = False,
) -> tuple[Jaxpr, list[bool]]:
    """(program, which outputs are mapped): the mapped axis is in front everywhere.

    `wanted` asks for outputs to be mapped even where they are not (all of them if True).
    """
    mapped = tuple(mapped)
    ask = (wanted,) * len(jaxpr.outputs) if isinstance(wanted, bool) else tuple(wanted)

    def make() -> tuple[Jaxpr, list[bool]]:
        types = [
            t.update(shape=(size, *t.shape)) if m else t
            for t, m in zip(jaxpr.in_types, mapped, strict=True)
        ]
        out_mapped: list[bool] = []

        def function(*args: Any) -> list[Any]:
            dims = [0 if m else None for m in mapped]
            outs, out_dims = batch_flat(
                lambda *xs: evaluate(jaxpr, *xs), size, args, dims, axis_name
            )
            out_mapped[:] = [w or d is not None for w, d in zip(ask, out_dims, strict=True)]
            return [
                place(x, d, size, 0) if m else x
                for x, d, m in zip(outs, out_dims, out_mapped, strict=True)
            ]

        program = stage(function, types, jaxpr.debug_name)
        return program, list(out_mapped)

    return remembered(jaxpr, ("batch", size, mapped, axis_name, ask), make)


def fixpoint(step: Callable[[list[bool]], list[bool]], start: Sequence[bool]) -> list[bool]:
    """The least flags above `start` that `step` does not raise any more."""
    flags = list(start)
    for _ in range(len(flags) + 1):
        raised = [a or b for a, b in zip(flags, step(flags), strict=True)]
        if raised == flags:
            return flags
        flags = raised
    raise InternalError("a monotone step reaches its fixpoint within one pass per flag")
