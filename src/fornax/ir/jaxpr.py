"""A program: inputs, equations, outputs. Immutable, flat, in single-assignment form.

`consts` are the values of the first `len(consts)` inputs. A program inside the params of an
equation owns no values: what it closes over is passed as operands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fornax.ir.types import ArrayType, typeof

if TYPE_CHECKING:
    from fornax.ir.primitive import Primitive
    from fornax.source import Source


class Var:
    """A value of a program, known by identity."""

    __slots__ = ("type",)

    def __init__(self, type: ArrayType):
        self.type = type

    @property
    def aval(self) -> ArrayType:
        return self.type

    def __repr__(self) -> str:
        return f"Var:{self.type.short()}"


class Literal:
    """A scalar constant inside a program: a Python or NumPy scalar and its type."""

    __slots__ = ("type", "value")

    def __init__(self, value: Any, type: ArrayType | None = None):
        self.value = value
        self.type = typeof(value) if type is None else type

    @property
    def aval(self) -> ArrayType:
        return self.type

    @property
    def val(self) -> Any:
        return self.value

    def __repr__(self) -> str:
        return f"{self.value}:{self.type.short()}"


Atom = Var | Literal
_NONE: frozenset[Any] = frozenset()


class Equation:
    """outputs = primitive(inputs, **params)."""

    __slots__ = ("inputs", "outputs", "params", "primitive", "source")

    def __init__(
        self,
        primitive: Primitive,
        inputs: tuple[Atom, ...],
        params: dict[str, Any],
        outputs: tuple[Var, ...],
        source: Source | None = None,
    ):
        self.primitive = primitive
        self.inputs = inputs
        self.params = params
        self.outputs = outputs
        self.source = source

    @property
    def invars(self) -> tuple[Atom, ...]:
        return self.inputs

    @property
    def outvars(self) -> tuple[Var, ...]:
        return self.outputs

    @property
    def effects(self) -> frozenset[Any]:
        """What it does besides computing its outputs."""
        return _NONE if self.primitive.pure else self.primitive.effects(**self.params)

    def replace(self, **changes: Any) -> Equation:
        """The same equation with some fields changed."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return Equation(**{**fields, **changes})

    def __repr__(self) -> str:
        return f"{self.outputs} = {self.primitive.name} {self.inputs}"


class Jaxpr:
    """A program. Hashes and compares by identity; `transforms.hash` compares contents."""

    __slots__ = (
        "__weakref__", "consts", "debug_name", "equations", "inputs", "memo", "outputs", "refs",
    )  # fmt: skip

    def __init__(
        self,
        inputs: tuple[Var, ...],
        equations: tuple[Equation, ...],
        outputs: tuple[Atom, ...],
        consts: tuple[Any, ...] = (),
        debug_name: str = "",
    ):
        self.inputs = tuple(inputs)
        self.equations = tuple(equations)
        self.outputs = tuple(outputs)
        self.consts = tuple(consts)
        self.debug_name = debug_name
        self.memo: dict[Any, Any] = {}  # results of transformations of this very program
        # what the last outputs are the new values of: positions of arguments that were references,
        # and references that the function closes over, whose values are the last inputs
        self.refs: tuple[Any, ...] = ()

    @property
    def in_types(self) -> list[ArrayType]:
        """Types of the arguments (constants not among them)."""
        return [v.type for v in self.inputs[len(self.consts) :]]

    @property
    def out_types(self) -> list[ArrayType]:
        return [a.type for a in self.outputs]

    # JAX's names for the same things
    in_avals = in_types
    out_avals = out_types

    @property
    def jaxpr(self) -> Jaxpr:
        return self

    @property
    def invars(self) -> tuple[Var, ...]:
        return self.inputs[len(self.consts) :]

    @property
    def constvars(self) -> tuple[Var, ...]:
        return self.inputs[: len(self.consts)]

    @property
    def outvars(self) -> tuple[Atom, ...]:
        return self.outputs

    @property
    def eqns(self) -> tuple[Equation, ...]:
        return self.equations

    @property
    def literals(self) -> tuple[Any, ...]:
        return self.consts

    @property
    def effects(self) -> frozenset[Any]:
        """The union of the effects of the equations."""
        found = self.memo.get("effects")
        if found is None:
            parts = (e.effects for e in self.equations)
            found = self.memo["effects"] = frozenset().union(*parts)
        return found

    def without_consts(self) -> Jaxpr:
        """The same program with its constants as ordinary leading inputs."""
        if not self.consts:
            return self
        return Jaxpr(self.inputs, self.equations, self.outputs, (), self.debug_name)

    def pretty_print(self, **_: Any) -> str:
        return str(self)


def subprograms(params: dict[str, Any]) -> Iterator[tuple[str, Jaxpr]]:
    """The programs among the params of an equation, with the param's name."""
    for name, value in params.items():
        if isinstance(value, Jaxpr):
            yield name, value
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, Jaxpr):
                    yield name, item
