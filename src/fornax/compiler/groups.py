"""Groups of a program: what fusion gives, and what becomes one step of a plan each."""

from __future__ import annotations

from typing import NamedTuple

from fornax.compiler.kernels import STARTS_AS
from fornax.compiler.loop.ir import Axis, Expr
from fornax.compiler.order import Node
from fornax.ir.jaxpr import Atom, Equation, Var
from fornax.record import field, record


@record(eq=False)
class Group(Node):
    """One unit of execution: a fused loop nest, a heavy kernel, or a control or host step."""

    number: int
    shape: tuple[int, ...]
    axes: tuple[Axis, ...] = ()
    index: tuple[Expr, ...] = ()
    #: values this group writes to memory or gives to its own members, in reverse program order;
    #: their shapes are `shape` or what it begins with
    members: list[Var] = field(default_factory=list)
    #: the heavy, control or host equation that this group is built around
    equation: Equation | None = None
    has_reduction: bool = False
    work: int = 0
    chain: Chain | None = None
    #: the elements along the last dimension are computed side by side, with what they share once
    unrolled: bool = False
    #: a group over rows and others that add them up, of which this one is made (`rows`)
    together: tuple[Group, ...] = ()

    def depth(self, shape: tuple[int, ...]) -> int | None:
        """How many outer loops of the group run over the elements of a value that it stores: what
        belongs to a row is stored once for each row, be its last dimensions 1 or not there.
        None if the loops run over something else."""
        depth = len(shape)
        if self.equation is not None:
            return depth
        if depth > len(self.shape):
            return None
        while depth and shape[depth - 1] == 1 and self.shape[depth - 1] != 1:
            depth -= 1
        return depth if shape[:depth] == self.shape[:depth] else None

    def depth_of(self, member: Var) -> int:
        """The depth of a value that the group stores."""
        depth = self.depth(member.type.shape)
        assert depth is not None, "loops run over the elements of what they store"
        return depth

    @property
    def parts(self) -> tuple[Group, ...]:
        """The groups that a chain is made of."""
        return () if self.chain is None else self.chain.parts


@record(frozen=True, eq=False)
class Chain:
    """A group made of others, which run one after the other for blocks of rows (`chain`).

    at: for each part the dimensions of what it computes that the blocks are cut along.
    flows: values that one part gives to another, with these dimensions.
    again: values that another chain has computed before.
    """

    parts: tuple[Group, ...]
    at: tuple[tuple[int, ...], ...]
    flows: dict[Var, tuple[int, ...]]
    again: frozenset[Var] = frozenset()


class Read(NamedTuple):
    """A group reads a value at the index `at`, inside the loops `path` (outermost first).

    `at` is None for a heavy operation, which may read anywhere.
    """

    group: Group
    at: tuple[Expr, ...] | None
    path: tuple[Axis, ...]


@record
class Fusion:
    """The result: groups in execution order, which variables live in memory, who reads what."""

    groups: list[Group]
    stored: dict[Var, Group]
    definition: dict[Atom, Equation]
    readers: dict[Var, set[Group]]


def starts_as(equation: Equation) -> Atom | None:
    """The operand whose contents the result of an operation begins with, if there is one."""
    position = STARTS_AS.get(equation.primitive.name)
    return None if position is None else equation.inputs[position]
