"""What `vjp` returns: the backward half of a function, which can add to references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax import pytree
from fornax.api.flat import Pullback
from fornax.api.signature import as_arrays
from fornax.ir.basis import add, instantiate
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.primitive import Zero
from fornax.ir.ref import Ref
from fornax.ir.types import typeof
from fornax.record import record
from fornax.source import located

__all__ = ["VJP", "DidntWant", "DontWant", "GradRef", "GradValue"]


@record(frozen=True)
class GradValue:
    """For `VJP.with_refs`: the cotangent of this argument is returned."""


@record(frozen=True)
class DontWant:
    """For `VJP.with_refs`: the cotangent of this argument is not needed."""


@pytree.register_pytree_node_class
@record(frozen=True)
class GradRef:
    """In the place of a cotangent that is in a reference. A tree without leaves."""

    def tree_flatten(self) -> tuple[tuple[()], None]:
        return (), None

    @classmethod
    def tree_unflatten(cls, _: Any, __: Any) -> GradRef:
        return cls()


@pytree.register_pytree_node_class
@record(frozen=True)
class DidntWant:
    """In the place of a cotangent that was not needed. A tree without leaves."""

    def tree_flatten(self) -> tuple[tuple[()], None]:
        return (), None

    @classmethod
    def tree_unflatten(cls, _: Any, __: Any) -> DidntWant:
        return cls()


@pytree.register_pytree_node_class
class VJP:
    """A function from the cotangent of an output to the cotangents of the arguments.

    A tree whose leaves are the values of the forward pass that it needs.
    """

    def __init__(self, linear: Pullback, residuals: Sequence[Any]):
        self.linear = linear
        self.opaque_residuals = list(residuals)

    in_tree = property(lambda self: self.linear.in_structure)
    out_tree = property(lambda self: self.linear.out_structure)

    @property
    def jaxpr(self) -> Jaxpr:
        """The linear program, which is run backwards."""
        return self.linear.program

    def __call__(self, out_ct: Any, *extra_args: Any) -> Any:
        """The cotangents of the arguments, as a tuple. Raises where the tree or types differ."""
        return self.linear(self.opaque_residuals, out_ct, *extra_args)

    def with_refs(self, *maybe_ct_refs: Any) -> Any:
        """The same function, adding cotangents to references.

        maybe_ct_refs: like the arguments, with a `Ref` in the place of those whose cotangents are
        added to it, `ad.GradValue()` where they are returned, `ad.DontWant()` where they are not
        needed. The result has `ad.GradRef()` in the place of references. Where an argument is
        itself a reference, the given one holds the cotangent of its last value before, and that
        of its first value after. Raises ValueError for another structure.
        """
        leaves, structure = pytree.tree_flatten(maybe_ct_refs)
        if structure != self.in_tree:
            raise ValueError(
                located(
                    f"with_refs got {structure}, but the arguments of {self.linear.name} were "
                    f"{self.in_tree}",
                    "each argument has one cotangent",
                    "a Ref, ad.GradValue() or ad.DontWant() for each leaf of the arguments",
                )
            )
        kinds = tuple(type(x) if isinstance(x, Ref | DontWant) else GradValue for x in leaves)
        refs = [x for x in leaves if isinstance(x, Ref)]
        return pytree.Partial(_Adding(self.linear, kinds), self.opaque_residuals, refs)

    def tree_flatten(self) -> tuple[list[Any], Pullback]:
        return self.opaque_residuals, self.linear

    @classmethod
    def tree_unflatten(cls, linear: Pullback, residuals: Sequence[Any]) -> VJP:
        return cls(linear, residuals)


class _Adding:
    """A pullback, and what becomes of the cotangent of each argument."""

    def __init__(self, linear: Pullback, kinds: tuple[type, ...]):
        self.linear = linear
        self.kinds = kinds

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Adding) and (other.linear, other.kinds) == (
            self.linear, self.kinds)  # fmt: skip

    def __hash__(self) -> int:
        return hash((self.linear, self.kinds))

    def __call__(self, residuals: Sequence[Any], refs: Sequence[Ref], *args: Any) -> Any:
        linear = self.linear
        given = linear.cotangents(args)
        left = iter(refs)
        targets = [next(left) if kind is Ref else None for kind in self.kinds]
        last = []
        for k, i in enumerate(linear.in_refs):
            type = linear.out_types[linear.count + k].tangent()
            target = targets[i]
            if target is not None and linear.nonzero[i]:
                _check(target, type)
            known = target is not None and linear.nonzero[i]
            last.append(target.read() if known else Zero(type))
        grads = linear.pull(residuals, [*given, *last])
        for i in linear.in_refs:  # before cotangents are added, to the same reference perhaps
            if targets[i] is not None and linear.nonzero[i]:
                targets[i].write(instantiate(grads[i]))
        results: list[Any] = []
        for i, (grad, target, kind) in enumerate(zip(grads, targets, self.kinds, strict=True)):
            if target is not None:
                results.append(GradRef())
                if linear.nonzero[i] and i not in linear.in_refs:
                    _check(target, linear.in_types[i].tangent())
                    if not isinstance(grad, Zero):
                        target.write(add(target.read(), grad))
            elif kind is DontWant:
                results.append(DidntWant())
            elif i in linear.in_refs:
                results.append(linear.untouched(linear.in_types[i], grad))
            else:
                results += as_arrays([instantiate(grad)])
        return pytree.tree_unflatten(linear.in_structure, results)


def _check(ref: Ref, type: Any) -> None:
    """Raise ValueError unless a reference has room for a cotangent of this type."""
    found = typeof(ref.read())
    if found.shape != type.shape:
        raise ValueError(
            located(
                f"Invalid shape for `addupdate`. Ref shape: {found.shape}. Expected shape: "
                f"{found.shape}. Value shape: {type.shape}.",
                "a cotangent has the shape of its argument",
                "new_ref(numpy.zeros_like(argument))",
            )
        )
    if found.dtype != type.dtype:
        raise ValueError(
            located(
                f"Invalid dtype for `addupdate`. Ref dtype: {found.dtype.name}. Value dtype: "
                f"{type.dtype.name}.",
                "a cotangent has the dtype of its argument",
                "new_ref(numpy.zeros_like(argument))",
            )
        )
