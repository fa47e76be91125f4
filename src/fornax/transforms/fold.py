"""Folding: inside a transformation, operations on known values run at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from fornax.ir.primitive import Primitive
from fornax.ir.trace import Trace, Tracer, current, running

__all__ = ["folding"]


class Fold(Trace):
    """Operations on values run; those on tracers go to the parent."""

    purpose = "ensure_compile_time_eval"

    def __init__(self, parent: Trace | None):
        self.parent = parent

    def process(
        self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        traced = any(isinstance(x, Tracer) for x in operands)
        with running(self.parent if traced else None):
            return primitive.bind(*operands, **params)


@contextlib.contextmanager
def folding() -> Iterator[None]:
    """Inside the `with`, operations on known values run although something is being traced."""
    if current() is None:
        yield
        return
    with running(Fold(current())):
        yield
