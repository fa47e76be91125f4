"""The rules of custom_jvp and custom_vjp functions over mapped values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax.ir.basis import reduce_sum
from fornax.ir.primitive import Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.arrange import chosen, nonzero_flags, split, spread
from fornax.source import located
from fornax.transforms.batch import batch_flat, place

__all__ = ["BackwardRule", "ForwardRule", "JVPRule", "MappedJVP", "MappedVJP"]

#: (primals, tangents) -> (outputs, their tangents); tangents may be `Zero`
JVPRule = Callable[[Sequence[Any], Sequence[Any]], tuple[list[Any], list[Any]]]
#: (primals, which have tangents) -> (outputs, residuals, what bwd needs to know about them)
ForwardRule = Callable[[Sequence[Any], Sequence[bool]], tuple[list[Any], list[Any], Any]]
#: (what fwd said, residuals, cotangents, states of references) -> (cotangents of all primals,
#: states); cotangents may be `Zero`, states None
BackwardRule = Callable[
    [Any, Sequence[Any], Sequence[Any], Sequence[Any]], tuple[list[Any], list[Any]]
]


class MappedJVP:
    """A jvp rule over mapped values: the mapped axis is in front."""

    def __init__(self, rule: JVPRule, size: int, axis_name: Any, mapped, out_mapped):
        self.rule = rule
        self.size = size
        self.axis_name = axis_name
        self.mapped = tuple(mapped)
        self.out_mapped = tuple(out_mapped)
        self.__name__ = f"mapped {getattr(rule, '__name__', 'rule')}"

    def __call__(self, primals: Sequence[Any], tangents: Sequence[Any]):
        given = nonzero_flags(tangents)
        types = [
            ArrayType(t.shape[1:], t.dtype, t.weak_type) if m else t
            for t, m in zip(map(typeof, primals), self.mapped, strict=True)
        ]
        out_zero: list[Any] = []

        def function(*args: Any) -> list[Any]:
            values, given_tangents = split(args, len(primals))
            outs, out_tangents = self.rule(values, spread(given, given_tangents, types))
            out_zero[:] = [t if isinstance(t, Zero) else None for t in out_tangents]
            return [*outs, *(t for t in out_tangents if not isinstance(t, Zero))]

        dims = [0 if m else None for m in self.mapped]
        values, out_dims = batch_flat(
            function, self.size, [*primals, *chosen(tangents, given)],
            [*dims, *chosen(dims, given)], self.axis_name,
        )  # fmt: skip
        count = len(self.out_mapped)
        outs = placed(values[:count], out_dims[:count], self.out_mapped, self.size)
        rest = iter(zip(values[count:], out_dims[count:], strict=True))
        out_tangents = []
        for zero, out, m in zip(out_zero, outs, self.out_mapped, strict=True):
            if zero is not None:
                out_tangents.append(Zero(typeof(out).tangent()))
            else:
                value, dim = next(rest)
                out_tangents += placed([value], [dim], [m], self.size)
        return outs, out_tangents


def placed(values, dims, mapped, size: int) -> list[Any]:
    """Values with the mapped axis in front where it is wanted."""
    results = []
    for value, dim, wanted in zip(values, dims, mapped, strict=True):
        if dim is not None and not wanted:
            raise ValueError(
                located(
                    "a custom derivative rule gave a result that depends on the mapped axis where "
                    "the function's own result does not",
                    attempt="sum the cotangent over the mapped axis, or make it from the mapped "
                    "arguments alone",
                )
            )
        results.append(place(value, dim, size, 0) if wanted else value)
    return results


class MappedVJP:
    """The rules of a custom_vjp function over mapped values: the mapped axis is in front."""

    def __init__(self, fwd: ForwardRule | None, bwd: BackwardRule, size: int, axis_name: Any,
                 mapped, out_mapped, states_mapped=()):  # fmt: skip
        self.fwd = fwd
        self.bwd = bwd
        self.size = size
        self.axis_name = axis_name
        self.mapped = tuple(mapped)
        self.out_mapped = tuple(out_mapped)
        self.states_mapped = tuple(states_mapped)

    def forward(self, primals: Sequence[Any], nonzero: Sequence[bool]):
        token: list[Any] = []
        fwd = self.fwd
        assert fwd is not None, "what has no forward rule is not differentiated"

        def function(*values: Any) -> list[Any]:
            outs, residuals, told = fwd(values, nonzero)
            token[:] = [told]
            return [*outs, *residuals]

        dims = [0 if m else None for m in self.mapped]
        values, out_dims = batch_flat(function, self.size, primals, dims, self.axis_name)
        count = len(self.out_mapped)
        outs = placed(values[:count], out_dims[:count], self.out_mapped, self.size)
        return outs, values[count:], (token[0], tuple(out_dims[count:]))

    def backward(
        self, token: Any, residuals: Sequence[Any], cotangents: Sequence[Any],
        states: Sequence[Any] = (),
    ) -> tuple[list[Any], list[Any]]:  # fmt: skip
        told, dims = token
        given = nonzero_flags(cotangents)
        types = [
            ArrayType(t.shape[1:], t.dtype) if m else t
            for t, m in zip(
                [c.type if isinstance(c, Zero) else typeof(c) for c in cotangents],
                self.out_mapped[: len(cotangents)], strict=True,
            )
        ]  # fmt: skip
        zeros: list[Any] = []
        in_reach = [s is not None for s in states]

        def function(*args: Any) -> list[Any]:
            saved, known, cts = split(args, len(residuals), sum(in_reach))
            rest = iter(known)
            before = [next(rest) if known else None for known in in_reach]
            grads, after = self.bwd(told, saved, spread(given, cts, types), before)
            zeros[:] = [g if isinstance(g, Zero) else None for g in grads]
            return [*chosen(after, in_reach), *(g for g in grads if not isinstance(g, Zero))]

        ct_dims = [0 if m else None for m in self.out_mapped[: len(cotangents)]]
        state_dims = [0 if m else None for m in chosen(self.states_mapped, in_reach)]
        values, out_dims = batch_flat(
            function, self.size,
            [*residuals, *chosen(states, in_reach), *chosen(cotangents, given)],
            [*dims, *state_dims, *chosen(ct_dims, given)], self.axis_name,
        )  # fmt: skip
        found = iter(zip(values, out_dims, strict=True))
        after = []
        for known, mapped in zip(in_reach, self.states_mapped, strict=True):
            after.append(_state(*next(found), mapped, self.size) if known else None)
        grads = []
        for zero, mapped in zip(zeros, self.mapped, strict=True):
            if zero is not None:
                shape = (self.size, *zero.type.shape) if mapped else zero.type.shape
                grads.append(Zero(zero.type.update(shape=shape)))
                continue
            value, dim = next(found)
            if mapped:
                grads.append(place(value, dim, self.size, 0))
            else:  # one value served all examples: their cotangents add up
                grads.append(value if dim is None else reduce_sum(value, (dim,)))
        return grads, after


def _state(value: Any, dim: int | None, mapped: bool, size: int) -> Any:
    """The state of a reference after a mapped bwd rule."""
    if mapped:
        return place(value, dim, size, 0)
    if dim is not None:
        raise ValueError(
            located(
                "performing a set/swap operation with vmapped value on an unbatched array "
                "reference, in a custom VJP bwd rule",
                "the reference has room for one value, and every example has another",
                "Move the array reference to be a mapped argument of the vmapped function",
            )
        )
    return value
