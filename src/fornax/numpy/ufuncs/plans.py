"""What operands of certain types need before an operation takes them, remembered per function.

Promotion, alignment and the choice of the operation depend on types and settings only, not on
values, and a program applies few functions to few types, thousands of times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax.ir.primitive import Primitive
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.numpy.promotion import promote_dtypes, promote_inexact
from fornax.numpy.ufuncs.publishing import numbers
from fornax.scalars import dtypes
from fornax.scalars.dtypes import Dtype
from fornax.settings import current

__all__: list[str] = []

#: types of operands remembered per function
REMEMBERED = 1024
#: numbers whose class says their type, under given settings
_NUMBERS = frozenset((
    bool, int, float, complex, np.bool_, np.int32, np.int64, np.float32, np.float64,
))  # fmt: skip

#: what two operands need: dtype and weak type for those of x and y that are not kept as they are,
#: and equal shapes unless aligned; and the operation (dtype, weak, keep x, keep y, aligned, it)
Plan = tuple[Dtype, bool, bool, bool, bool, Primitive]


class Ready(set[tuple[Any, Any]]):
    """(type, settings) of operands that a function takes as they are."""

    def add(self, key: tuple[Any, Any]) -> None:
        if len(self) >= REMEMBERED:
            self.clear()
        super().add(key)


class Plans(dict[tuple[Any, Any, Any], Plan]):
    """(form of x, form of y, settings) -> what they need.

    The form of a tracer is its type, that of a number its class; other operands have none.
    """

    def __init__(self, promote: Callable[..., list[Any]]):
        super().__init__()
        self.promote = promote

    def remember(
        self,
        operands: Sequence[Any],
        promoted: Sequence[Any],
        aligned: Sequence[Any],
        operation: Primitive,
    ) -> None:
        """Learn from what promotion and alignment made of operands."""
        forms = [x.type if isinstance(x, Tracer) else x.__class__ for x in operands]
        known = all(isinstance(x, Tracer) or x.__class__ in _NUMBERS for x in operands)
        first, second = map(typeof, promoted)
        alike = first.dtype == second.dtype and first.weak_type is second.weak_type
        if not (known and alike and self._plain(operands)):
            return
        if len(self) >= REMEMBERED:
            self.clear()
        keep_x, keep_y = (
            isinstance(x, Tracer) and x is y for x, y in zip(operands, promoted, strict=True)
        )
        unchanged = all(x is y for x, y in zip(promoted, aligned, strict=True))
        wanted = first.dtype, first.weak_type
        self[*forms, current()] = (*wanted, keep_x, keep_y, unchanged, operation)

    def _plain(self, operands: Sequence[Any]) -> bool:
        """Whether promotion is conversion of each operand to the joint dtype."""
        if self.promote is numbers:
            return any(typeof(x).dtype != dtypes.bool_ for x in operands)
        return self.promote is promote_dtypes or self.promote is promote_inexact
