"""Programs from what a function does with values that are not known: parts of
`jax.interpreters.partial_eval`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax.compat.wrapped_functions import WrappedFun
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.trace import current, new_trace
from fornax.ir.types import ArrayType, typeof
from fornax.transforms.stage import Stage, stage

__all__ = ["PartialVal", "trace_to_jaxpr_dynamic", "trace_to_jaxpr_nounits"]


class PartialVal(tuple):
    """A value that is known, or only its type: (None, value) or (type, None)."""

    @classmethod
    def known(cls, const: Any) -> PartialVal:
        return cls((None, const))

    @classmethod
    def unknown(cls, aval: ArrayType) -> PartialVal:
        return cls((aval, None))

    def is_known(self) -> bool:
        return self[0] is None

    def get_known(self) -> Any:
        """The value, or None if only the type is known."""
        return self[1] if self.is_known() else None

    def get_aval(self) -> ArrayType:
        return typeof(self[1]) if self.is_known() else self[0]


def trace_to_jaxpr_dynamic(
    fun: WrappedFun, in_avals: Sequence[ArrayType], **options: Any
) -> tuple[Jaxpr, list[ArrayType], list[Any]]:
    """(program with its constants as first inputs, types of its outputs, constants)."""
    program = stage(fun.call_wrapped, list(in_avals), fun.__name__)
    return program.without_consts(), program.out_types, list(program.consts)


def trace_to_jaxpr_nounits(
    fun: WrappedFun, pvals: Sequence[PartialVal], instantiate: bool | Sequence[bool] = False
) -> tuple[Jaxpr, list[PartialVal], list[Any]]:
    """(program of what could not be computed, outputs, its constants).

    What depends on known values alone is computed at once. instantiate: put known outputs into the
    program as well.
    """
    trace = Stage(current(), partial=True, purpose=f"partial evaluation of {fun.__name__}")
    with new_trace(trace):
        values = [p[1] if p.is_known() else trace.new_input(p[0]) for p in pvals]
        outputs = list(fun.call_wrapped(*values))
        wanted = [instantiate] * len(outputs) if isinstance(instantiate, bool) else instantiate
        known = [not trace.knows(x) and not w for x, w in zip(outputs, wanted, strict=True)]
        program = trace.finish([x for x, k in zip(outputs, known, strict=True) if not k])
    results = [
        PartialVal.known(x) if k else PartialVal.unknown(typeof(x))
        for x, k in zip(outputs, known, strict=True)
    ]
    return program.without_consts(), results, list(program.consts)
