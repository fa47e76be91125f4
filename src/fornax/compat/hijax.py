"""`jax.experimental.hijax`: types of values and operations that libraries define by others.

Libraries (Flax NNX) define such types when they are imported, and use them only where they are
told to. Here they can be defined; using one raises NotImplementedError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fornax.compat.derivatives import is_undefined_primal
from fornax.ir.basis import instantiate
from fornax.ir.primitive import Zero
from fornax.ir.ref import AbstractRef
from fornax.ir.types import ArrayType
from fornax.record import record
from fornax.source import located

__all__ = [
    "AbstractRef", "AbstractValue", "AvalMutableQDD", "AvalQDD", "HiPrimitive", "HiPspec",
    "HiType", "MutableHiType", "ShapedArray", "TransformedRef", "VJPHiPrimitive", "Zero",
    "aval_method", "aval_property", "control_flow_allowed_effects", "instantiate_zeros",
    "is_undefined_primal", "register_hitype",
]  # fmt: skip

ShapedArray = ArrayType
instantiate_zeros = instantiate


class AbstractValue:
    """Base of types that libraries define."""


class HiType(AbstractValue):
    """Base of types of values that are made of several arrays."""


class MutableHiType(HiType):
    """Base of such types whose values change."""


class HiPspec:
    """Base of descriptions of how such values are mapped."""


class TransformedRef:
    """A part of a reference; references here give parts when they are indexed."""


@record(frozen=True)
class AvalQDD:
    """A type with what is known about the contents of a value now."""

    aval: Any
    qdd: Any


@record
class AvalMutableQDD:
    """As AvalQDD, for values that change."""

    aval: Any
    mutable_qdd: Any


class HiPrimitive:
    """Base of operations on such values."""

    multiple_results = False

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def bind(self, *operands: Any, **params: Any) -> Any:
        """Raises NotImplementedError: these operations can be defined and not used."""
        raise NotImplementedError(
            located(
                f"{self.name} is an operation on values of types that a library defines (hijax)",
                "values of programs here are arrays and references",
                "trees of arrays or references; for Flax NNX its default, without "
                "flax_hijax_variable",
            )
        )

    bind_with_trace = bind


class VJPHiPrimitive(HiPrimitive):
    """Base of such operations with a derivative of their own."""


class aval_method:  # noqa: N801  (JAX's name)
    """A method that the stand-ins of a type's values have."""

    def __init__(self, fun: Callable[..., Any]) -> None:
        self.fun = fun


class aval_property:  # noqa: N801  (JAX's name)
    """A property that the stand-ins of a type's values have."""

    def __init__(self, fget: Callable[[Any], Any]) -> None:
        self.fget = fget


class _Effects:
    """The kinds of effects that loops and branches may have: all of them, here."""

    def __init__(self) -> None:
        self.types: list[type] = []

    def add_type(self, kind: type) -> None:
        self.types.append(kind)

    def contains(self, kind: type) -> bool:
        return any(issubclass(kind, known) for known in self.types)


control_flow_allowed_effects = _Effects()
#: class of values -> what gives the type of one
hitypes: dict[type, Callable[[Any], HiType]] = {}


def register_hitype(value_class: type, typeof: Callable[[Any], HiType]) -> None:
    """Say how the type of a value of a class is found. Such values cannot be passed to programs."""
    hitypes[value_class] = typeof
