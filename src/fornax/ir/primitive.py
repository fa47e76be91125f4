"""The protocol of operations: one object per primitive carries every rule about it.

Operands are positional, parameters are keywords, static and hashable. Rules take and give lists.
What can be derived is derived: a linear operation's derivative, a batching rule from `leading`,
everything from `expand`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fornax import _native
from fornax.ir.types import ArrayType, register_value
from fornax.source import located

if TYPE_CHECKING:
    from fornax.compiler.loop.builder import Builder, Value
    from fornax.ir.jaxpr import Jaxpr
    from fornax.ir.late import RefsFromOutside


class Zero:
    """A tangent or cotangent known to be zero, of `type` (already the tangent type)."""

    __slots__ = ("type",)

    def __init__(self, type: ArrayType):
        self.type = type

    @property
    def aval(self) -> ArrayType:
        return self.type

    def __repr__(self) -> str:
        return f"Zero({self.type.short()})"


class Linear:
    """During transposition: an operand that is linear, known only by its type."""

    __slots__ = ("type",)

    def __init__(self, type: ArrayType):
        self.type = type

    @property
    def aval(self) -> ArrayType:
        return self.type

    def __repr__(self) -> str:
        return f"Linear({self.type.short()})"


def _product(x: Linear) -> ArrayType:
    """Rules bind a linear operand only where they multiply it by another one."""
    raise NotImplementedError(
        located(
            "linear_transpose of a product of two values that both depend on the inputs",
            "such a product is not linear: with twice the inputs it is four times as large",
            "lax.stop_gradient on one of them, or vjp for the derivative",
        )
    )


register_value(Linear, _product)

REGISTRY: dict[str, Primitive] = {}


class Primitive(_native.Operation):
    """Base of all operations. See the methods for what a subclass provides.

    `bind(*operands, **params)` applies one under the current trace, and gives the list of results.
    """

    #: scalar work per output element, in units of an addition; steers fusion
    cost: int = 1
    #: estimated seconds of `reference` on next to no elements; steers when eager calls are compiled
    reference_cost: float = 1e-5
    #: outputs are linear in all operands jointly: `jvp` is derived by applying it to tangents
    linear: bool = False
    #: the reduction that makes one result of a key's words, for operations that take random keys
    over_words: str | None = None
    #: whether the rules are those of the program that it holds, which may be applied to its
    #: operations one by one: that is how rules of users reach references from outside
    transparent = False
    #: equations inlined from one application are not merged with equal ones outside
    keeps_recomputation: bool = False
    #: takes part in named axes: the param `axis_param` names them, and there is `collective`
    named_axes: bool = False
    #: whether `element` reads every operand at the result's index, and scalars at ()
    pointwise: bool = False
    axis_param: str = "axis_name"
    #: `type` depends on its arguments alone: those that can be hashed are asked for once
    remembers_types: bool = False
    #: no application has effects, as `effects` is not defined: asked for every equation
    pure: bool = False

    def __init__(self, name: str, register: bool = True):
        self.name = name
        self.known_types = {} if self.remembers_types else None
        self.pure = type(self).effects is Primitive.effects
        if register:
            REGISTRY[name] = self

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return primitive_named, (self.name,)

    # --- rules ---
    def type(self, *types: ArrayType, **params: Any) -> list[ArrayType]:
        """Types of the results. Raises TypeError or ValueError for operands that do not fit."""
        raise NotImplementedError(
            located(
                f"{self.name} has no type rule",
                attempt="define `type` in its class: the types of the results from those of the "
                "operands",
            )
        )

    def reference(self, *arrays: Any, **params: Any) -> list[Any]:
        """What the operation means, on NumPy arrays. The executable specification."""
        raise NotImplementedError(
            located(
                f"{self.name} has no reference",
                attempt="define `reference` in its class: what it means, with NumPy",
            )
        )

    def expand(self, *operands: Any, **params: Any) -> list[Any]:
        """The operation in terms of other operations."""
        raise NotImplementedError(
            located(
                f"{self.name} has no expand",
                attempt="define `expand` in its class: the same in terms of other operations",
            )
        )

    def jvp(
        self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any
    ) -> tuple[list[Any], list[Any]]:
        """Results and their tangents. A tangent may be `Zero` on the way in and out.

        Derived for `linear` operations and for those with `expand`.
        """
        raise NotImplementedError(
            located(
                f"differentiation of {self.name} is not defined",
                attempt="lax.stop_gradient on its operands, or a custom_jvp function around it "
                "with a rule of your own",
            )
        )

    def transpose(self, cotangents: Sequence[Any], *operands: Any, **params: Any) -> list[Any]:
        """Cotangents of the operands (None where an operand is not `Linear`).

        Cotangents may be `Zero`; operands are `Linear` placeholders where linear.
        """
        raise NotImplementedError(
            located(
                f"{self.name} is not linear: it has no transpose",
                attempt="custom_vjp around it with a rule of your own, or forward mode (jvp, "
                "jacfwd)",
            )
        )

    def leading(self, **params: Any) -> dict[str, Any]:
        """The params for the same operation with one more mapped axis in front."""
        raise NotImplementedError(
            located(
                f"{self.name} has no batching rule",
                attempt="lax.map instead of vmap, or define `leading` or `batch` in its class",
            )
        )

    def batch(
        self, size: int, operands: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[list[Any], list[int | None]]:
        """The operation mapped over an axis of `size`: `dims[i]` is where operand i has it.

        Derived from `leading`, or else from `expand`.
        """
        raise NotImplementedError(
            located(
                f"{self.name} has no batching rule",
                attempt="lax.map instead of vmap, or define `leading` or `batch` in its class",
            )
        )

    def collective(
        self,
        name: Any,
        size: int,
        operands: Sequence[Any],
        dims: Sequence[int | None],
        **params: Any,
    ) -> tuple[list[Any], list[int | None]]:
        """`batch` over the axis called `name`, for operations with `named_axes`."""
        raise NotImplementedError(
            located(
                f"{self.name} is not a collective",
                attempt="an operation over named axes, such as lax.psum",
            )
        )

    def element(
        self,
        b: Builder,
        types: Sequence[ArrayType],
        operands: Sequence[Any],
        index: Sequence[Any],
        **params: Any,
    ) -> list[Value]:
        """The results' element at `index` as loop-IR values, one per result.

        `operands[i](index)` gives an element of operand i, `types[i]` its type; `b` builds.
        """
        raise NotImplementedError(
            located(
                f"{self.name} has no element rule",
                attempt="define `element` or `expand` in its class, or run it in `with "
                "fornax.disable_jit():`",
            )
        )

    def inlined(self, **params: Any) -> Jaxpr | None:
        """The program that one application is, if the compiler may put it in its place."""
        return None

    def in_the_open(self, error: RefsFromOutside, params: dict[str, Any]) -> Jaxpr:
        """The program that it holds, to be applied operation by operation.

        Raises `error`, which its rule met, if that would be something else, here or in it.
        """
        program = self.inlined(**params) if self.transparent and not error.refused else None
        if program is None:
            error.refused = True  # before a part of the programs around it has been applied
            raise error
        return program

    def hands_on(self, position: int, params: dict[str, Any]) -> int | None:
        """The operand that a result is, unless a user's rule writes to the reference whose value
        it is: see `transforms.handed`. None for what is computed."""
        return None

    def effects(self, **params: Any) -> frozenset[Any]:
        """Effects of one application; most operations have none."""
        return frozenset()

    # --- what there is ---
    @property
    def has_element(self) -> bool:
        return type(self).element is not Primitive.element

    @property
    def has_jvp(self) -> bool:
        return type(self).jvp is not Primitive.jvp

    @property
    def has_batch(self) -> bool:
        return type(self).batch is not Primitive.batch

    @property
    def has_leading(self) -> bool:
        return type(self).leading is not Primitive.leading

    @property
    def has_expand(self) -> bool:
        return type(self).expand is not Primitive.expand


def primitive_named(name: str) -> Primitive:
    """The registered primitive of that name."""
    return REGISTRY[name]
