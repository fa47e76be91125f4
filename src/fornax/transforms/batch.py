"""vmap: every value may carry one more axis, which operations leave alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax import source
from fornax.errors import message
from fornax.ir.basis import move_axis, move_to_front
from fornax.ir.evaluate import evaluate
from fornax.ir.late import RefsFromOutside
from fornax.ir.primitive import Primitive
from fornax.ir.ref import Backward, Ref, read_in, write_in
from fornax.ir.trace import Trace, Tracer, check_alive, current, named_axis, new_trace, running
from fornax.ir.types import typeof


class BatchTracer(Tracer):
    """`value` has the mapped axis at `dim`; the tracer's type is without it."""

    __slots__ = ("dim", "value")

    def __init__(self, trace: Batch, value: Any, dim: int):
        self._trace = trace
        self.value = value
        self.dim = dim
        type = typeof(value)
        self.type = type.update(shape=type.shape[:dim] + type.shape[dim + 1 :])

    def origin(self) -> str:
        return self.value.origin() if isinstance(self.value, Tracer) else ""


class Batch(Trace):
    """Operations on values with a mapped axis of `size`, called `axis_name` if not None."""

    purpose = "a vmapped function"

    def __init__(self, parent: Trace | None, size: int, axis_name: Any = None):
        self.parent = parent
        self.size = size
        self.axis_name = axis_name
        #: of references among the arguments: those outside and their mapped axes, and the states
        #: backwards
        self.ref_dims: dict[Ref, tuple[Ref, int]] = {}
        self.states: dict[Backward, Any] = {}

    def pair(self, x: Any) -> tuple[Any, int | None]:
        if isinstance(x, BatchTracer) and x._trace is self:
            return x.value, x.dim
        if isinstance(x, Tracer):
            check_alive(x)
        return x, None

    def read_ref(self, ref: Ref) -> Any:
        """References from outside are the same for all examples; states go with the arguments."""
        if not isinstance(ref, Backward) or ref.of not in self.ref_dims:
            return read_in(self.parent, ref)
        if ref not in self.states:
            outer, dim = self.ref_dims[ref.of]
            self.states[ref] = BatchTracer(self, read_in(self.parent, outer.backward), dim)
        return self.states[ref]

    def write_ref(self, ref: Ref, value: Any) -> None:
        """References from outside take values that are the same for all examples."""
        if isinstance(ref, Backward) and ref.of in self.ref_dims:
            self.states[ref] = value
            return
        value, dim = self.pair(value)
        if dim is not None:
            raise ValueError(
                message(
                    "performing a set/swap operation with vmapped value on an unbatched array "
                    f"reference of type {ref.aval}.",
                    where=str(source.here() or "unknown"),
                    why="the reference has room for one value, and every example has another",
                    attempt="Move the array reference to be an argument to the vmapped function",
                )
            )
        write_in(self.parent, ref, value)

    def process(
        self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        pairs = [self.pair(x) for x in operands]
        values = [v for v, _ in pairs]
        dims = [d for _, d in pairs]
        mine = (
            primitive.named_axes
            and self.axis_name is not None
            and self.axis_name in axis_names(params[primitive.axis_param])
        )
        rule = getattr(primitive, "batch_named", None)
        # a program may use the named axis although no operand is mapped
        inside = rule is not None and self.axis_name is not None
        if not mine and not inside and all(d is None for d in dims):
            with running(self.parent):
                return primitive.bind(*values, **params)
        if mine:
            with running(self.parent):
                outputs, out_dims = primitive.collective(
                    self.axis_name, self.size, values, dims, **params
                )
        elif rule is not None:  # operations that hold programs pass the name on
            try:
                with running(self.parent):
                    outputs, out_dims = rule(self.axis_name, self.size, values, dims, **params)
            except RefsFromOutside as error:
                program = primitive.in_the_open(error, params)
                with running(self):
                    return evaluate(program, *operands)
        elif not primitive.has_batch and not primitive.has_leading and primitive.has_expand:
            with running(self):
                return primitive.expand(*operands, **params)
        else:
            with running(self.parent):
                outputs, out_dims = apply_batch(primitive, self.size, values, dims, params)
        return [
            v if d is None else BatchTracer(self, v, d)
            for v, d in zip(outputs, out_dims, strict=True)
        ]


def axis_names(names: Any) -> tuple[Any, ...]:
    """The named axes of a collective as a tuple."""
    return tuple(names) if isinstance(names, tuple | list) else (names,)


def apply_batch(
    primitive: Primitive,
    size: int,
    values: Sequence[Any],
    dims: Sequence[int | None],
    params: dict[str, Any],
) -> tuple[list[Any], list[int | None]]:
    """A primitive's batching rule, derived from `leading` where it has none of its own."""
    if primitive.has_batch or not primitive.has_leading:
        return primitive.batch(size, values, dims, **params)
    fronted = [move_to_front(x, d, size) for x, d in zip(values, dims, strict=True)]
    outputs = primitive.bind(*fronted, **primitive.leading(**params))
    return outputs, [0] * len(outputs)


def batch_flat(
    function: Callable[..., Sequence[Any]],
    size: int,
    values: Sequence[Any],
    dims: Sequence[int | None],
    axis_name: Any = None,
) -> tuple[list[Any], list[int | None]]:
    """Outputs of a flat function mapped over an axis, and where each output has it."""
    trace = Batch(current(), size, axis_name)
    with new_trace(trace), named_axis(axis_name, size):
        outputs = function(
            *[
                x if d is None else BatchTracer(trace, x, d)
                for x, d in zip(values, dims, strict=True)
            ]
        )
        pairs = [trace.pair(x) for x in outputs]
    return [v for v, _ in pairs], [d for _, d in pairs]


def place(x: Any, dim: int | None, size: int, wanted: int) -> Any:
    """Put (or make) the mapped axis of `x` at `wanted`."""
    if dim is None:
        x, dim = move_to_front(x, None, size), 0
    return move_axis(x, dim, wanted)
