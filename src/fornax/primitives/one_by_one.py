"""Mapping without a batched operation: one example after another, in a scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax.ir.basis import move_axis
from fornax.ir.types import typeof
from fornax.primitives.arrange import rearranged
from fornax.primitives.scan import scan_p
from fornax.transforms.stage import stage

__all__ = ["one_by_one"]


def one_by_one(
    function: Callable[..., Sequence[Any]],
    name: str,
    size: int,
    operands: Sequence[Any],
    dims: Sequence[int | None],
    unroll: int = 1,
) -> tuple[list[Any], list[int | None]]:
    """A flat function of every example in order; the mapped axis of the results is in front.

    References from outside that it uses go from example to example.
    """
    fixed = [x for x, d in zip(operands, dims, strict=True) if d is None]
    mapped = [move_axis(x, d, 0) for x, d in zip(operands, dims, strict=True) if d is not None]
    flags = [d is not None for d in dims]

    def example(*args: Any) -> Sequence[Any]:
        given, rows = iter(args[: len(fixed)]), iter(args[len(fixed) :])
        return function(*(next(rows) if flag else next(given) for flag in flags))

    types = [typeof(x) for x in fixed]
    types += [t.update(shape=t.shape[1:]) for t in map(typeof, mapped)]
    refs: list[Any] = []
    body = stage(example, types, name, refs=refs)
    k, n = len(refs), len(body.consts) + len(fixed)
    last, results = len(body.inputs) - k, len(body.outputs) - k
    inputs = [*range(n), *range(last, last + k), *range(n, last)]
    outputs = scan_p.bind(
        *body.consts, *fixed, *(ref.read() for ref in refs), *mapped,
        jaxpr=rearranged(
            body.without_consts(), inputs, [*range(results, results + k), *range(results)]
        ),
        length=size, num_carry=k, num_consts=n, reverse=False, unroll=unroll,
    )  # fmt: skip
    for ref, value in zip(refs, outputs, strict=False):
        ref.write(value)
    return outputs[k:], [0] * results
