"""Users' derivative rules, which are functions of trees, as the flat rules of operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax import pytree
from fornax.api.rule_references import CallWithRefs, RuleRefs, RuleRefsBackward
from fornax.api.signature import check_values, function_name
from fornax.ir.basis import instantiate
from fornax.ir.primitive import Zero
from fornax.ir.ref import Ref
from fornax.ir.types import ArrayType, typeof
from fornax.record import record
from fornax.runtime.values import to_array, wrap
from fornax.scalars import dtypes
from fornax.source import in_own_lines, located

__all__ = ["BackwardOnTrees", "CustomVJPPrimal", "ForwardOnTrees", "JVPOnTrees", "SymbolicZero",
           "zero_from_primal"]  # fmt: skip


class SymbolicZero:
    """A tangent or cotangent that is known to be zero; `aval` is its type."""

    def __init__(self, aval: ArrayType):
        self.aval = aval

    @property
    def shape(self) -> tuple[int, ...]:
        return self.aval.shape

    @property
    def dtype(self) -> Any:
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        return self.aval.ndim

    def __repr__(self) -> str:
        return f"SymbolicZero({self.aval.short()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SymbolicZero) and other.aval is self.aval

    def __hash__(self) -> int:
        return hash((SymbolicZero, self.aval))


@record(frozen=True)
class CustomVJPPrimal:
    """An argument of a fwd rule with symbolic zeros: its value, and whether it has a tangent."""

    value: Any
    perturbed: bool


def zero_from_primal(val: Any, symbolic_zeros: bool = False) -> Any:
    """The zero tangents of a tree of values, as `SymbolicZero`s if asked for."""

    def zero_of(x: Any) -> Any:
        zero = Zero(typeof(x).tangent())
        return SymbolicZero(zero.type) if symbolic_zeros else instantiate(zero)

    return pytree.tree_map(zero_of, val)


def visible(tangent: Any, symbolic: bool) -> Any:
    """A tangent as the user's rule gets it."""
    if isinstance(tangent, Zero):
        if symbolic:
            return SymbolicZero(tangent.type)
        if tangent.type.weak_type and tangent.type.dtype != dtypes.float0:
            return wrap(np.zeros(tangent.type.shape, tangent.type.dtype), tangent.type)
        tangent = instantiate(tangent)
    return array_like(tangent)


def array_like(x: Any) -> Any:
    """Numbers as Arrays, so that rules can rely on their methods."""
    return to_array(x) if isinstance(x, bool | int | float | complex | np.generic) else x


def internal(tangent: Any) -> Any:
    """A tangent that the user's rule gave, as operations take it."""
    return Zero(tangent.aval) if isinstance(tangent, SymbolicZero) else tangent


def long(type: ArrayType) -> str:
    """float32[3]"""
    name = "float0" if type.dtype == dtypes.float0 else type.dtype.name
    return f"{name}[{','.join(map(str, type.shape))}]"


def type_of(x: Any) -> ArrayType:
    return x.aval if isinstance(x, SymbolicZero) else typeof(x)


def _hidden_residuals(
    leaves: Sequence[Any], refs: RuleRefs, what: str
) -> tuple[tuple[tuple[int, Any], ...], list[Any]]:
    """((position, leaf) of the residuals that are no arrays, the arrays).

    References are not values: they are remembered by their number. Python's numbers are handed to
    the bwd rule as they are, since rules decide by them what to do.
    """
    numbers = (bool, int, float, complex)
    hidden = tuple(
        (i, _Numbered(refs.number(x, what)) if isinstance(x, Ref) else x)
        for i, x in enumerate(leaves)
        if isinstance(x, Ref) or type(x) in numbers
    )
    positions = {i for i, _ in hidden}
    return hidden, [x for i, x in enumerate(leaves) if i not in positions]


@record(frozen=True)
class _Numbered:
    """Among residuals: the reference that is argument number `k` of the references."""

    k: int


class JVPOnTrees:
    """The rule of a custom_jvp function."""

    def __init__(self, fun, rule: Callable[..., Any], nondiff: Sequence[Any], call: Any,
                 symbolic: bool):  # fmt: skip
        self.fun = function_name(fun)
        self.rule = rule
        self.nondiff = list(nondiff)
        self.call = call
        self.symbolic = symbolic
        self.__name__ = function_name(rule)

    def __call__(self, primals: Sequence[Any], tangents: Sequence[Any]):
        structure = self.call.in_structure
        refs = RuleRefs(self.call, primals)
        given = list(tangents[: len(refs.leaves)])
        places = self.call.places
        changes = {i: Ref(instantiate(given[i])) for i in places}
        for i, first in zip(places, self.call.firsts, strict=True):
            changes[i] = changes[places[first]]
        before = {i: ref.read() for i, ref in changes.items()}
        shown = [
            changes[i] if i in changes else visible(t, self.symbolic) for i, t in enumerate(given)
        ]
        with refs.running():
            pair = in_own_lines(
                self.rule,
                *self.nondiff,
                pytree.tree_unflatten(structure, map(array_like, refs.leaves)),
                pytree.tree_unflatten(structure, shown),
            )
        head = f"Custom JVP rule {self.__name__} for function {self.fun} must produce a pair " \
               "(list or tuple of length two)"  # fmt: skip
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(
                located(
                    f"{head} representing primal and tangent outputs, but got {pair!r:.100}.",
                    attempt="return primal_out, tangent_out",
                )
            )
        outs, out_structure = pytree.tree_flatten(pair[0])
        out_tangents, tangent_structure = pytree.tree_flatten(pair[1])
        if out_structure != tangent_structure:
            raise TypeError(
                located(
                    f"Custom JVP rule {self.__name__} for function {self.fun} must produce primal "
                    "and tangent outputs with equal container (pytree) structures, but got "
                    f"{out_structure} and {tangent_structure} respectively.",
                    attempt="return a tangent for each primal output, in the same containers",
                )
            )
        check_values(outs, f"Output of the custom JVP rule {self.__name__}: value")
        self._check_outputs(head, outs, out_structure)
        results = []
        for out, tangent in zip(outs, out_tangents, strict=True):
            type = typeof(out)
            expected, found = type.tangent(), type_of(tangent)
            if found.shape != expected.shape or found.dtype != expected.dtype:
                raise TypeError(
                    located(
                        "Custom JVP rule must produce primal and tangent outputs with "
                        f"corresponding shapes and dtypes. Expected {long(expected)} (tangent "
                        f"type of {long(type)}) but got {long(found)} from the rule "
                        f"{self.__name__} for function {self.fun}.",
                        attempt="tangent.astype(primal_out.dtype), or broadcast it to the shape "
                        "of primal_out",
                    )
                )
            tangent = internal(tangent)
            results.append(Zero(expected) if expected.dtype == dtypes.float0 else tangent)
        last = refs.last()
        for i, ref in changes.items():
            kept = ref.read() is before[i]
            results.append(given[i] if kept else ref.read())
        count = len(refs.leaves)
        for primal, tangent, final in zip(
            primals[count:], tangents[count:], last[len(changes) :], strict=True
        ):
            results.append(tangent if final is primal else Zero(typeof(final).tangent()))
        return [*outs, *last], results

    def _check_outputs(self, head: str, outs: Sequence[Any], structure: Any) -> None:
        """The rule's output must be like the function's, where that is known."""
        if self.call.out_structure is None:
            self.call.out_structure = structure
            return
        if structure != self.call.out_structure:
            raise TypeError(
                located(
                    f"{head} where the first element represents the primal output (equal in value "
                    f"to the output of the custom_jvp-decorated function {self.fun}, and in "
                    "particular of the same container/pytree structure), but instead the JVP "
                    "rule output's first element had container/pytree structure:\n    "
                    f"{structure}\nwhile the custom_jvp-decorated function {self.fun} had output "
                    f"container/pytree structure:\n    {self.call.out_structure}",
                    attempt=f"primal_out = {self.fun}(*primals) in the rule",
                )
            )
        if self.call.out_types is not None:
            _check_types(head, "JVP", "custom_jvp", self.fun, outs, self.call.out_types)


def _check_types(head, rule, kind, fun, outs, types) -> None:
    found = [typeof(x) for x in outs]
    if any(f.shape != t.shape or f.dtype != t.dtype for f, t in zip(found, types, strict=True)):
        raise TypeError(
            located(
                f"{head} where the first element represents the primal output (equal in value to "
                f"the output of the {kind}-decorated function {fun}, and in particular with "
                f"leaves of the same shape/dtype), but instead the {rule} rule output's first "
                f"element had shapes/dtypes of:\n    {', '.join(map(long, found))}\nwhile the "
                f"{kind}-decorated function {fun} had output shapes/dtypes of:\n    "
                f"{', '.join(map(long, types))}",
                attempt=f"compute the first element as {fun} itself does, for example by calling "
                "it",
            )
        )


class ForwardOnTrees:
    """The fwd rule of a custom_vjp function: its token is the structure of the residuals."""

    def __init__(self, fun, rule: Callable[..., Any], call: Any, symbolic: bool):
        self.fun = function_name(fun)
        self.rule = rule
        self.call = call
        self.symbolic = symbolic
        self.__name__ = function_name(rule)

    def __call__(self, primals: Sequence[Any], nonzero: Sequence[bool]):
        refs = RuleRefs(self.call, primals)
        given = list(map(array_like, refs.leaves))
        if self.symbolic:
            flags = nonzero[: len(given)]
            given = [CustomVJPPrimal(p, flag) for p, flag in zip(given, flags, strict=True)]
        with refs.running():
            pair = in_own_lines(self.rule, *self.call.arguments(given))
        head = (
            f"Custom VJP fwd rule {self.__name__} for function {self.fun} must produce a pair "
            "(list or tuple of length two)"
        )
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(
                located(
                    f"{head} where the first element represents the primal output and the second "
                    "element represents residuals (i.e. values stored from the forward pass for "
                    "use on the backward pass), but instead of a pair the fwd rule produced "
                    f"{pair!r:.100}.",
                    attempt="return result, residuals; residuals may be ()",
                )
            )
        outs, out_structure = pytree.tree_flatten(pair[0])
        found, residual_structure = pytree.tree_flatten(pair[1])
        what = f"custom_vjp fwd rule {self.__name__} for function {self.fun}"
        hidden, residuals = _hidden_residuals(found, refs, what)
        check_values(outs, f"Output of the custom VJP fwd rule {self.__name__}: value")
        check_values(residuals, f"Residual of the custom VJP fwd rule {self.__name__}: value")
        if self.call.out_structure is None:
            self.call.out_structure = out_structure
        elif out_structure != self.call.out_structure:
            raise TypeError(
                located(
                    f"{head} where the first element represents the primal output (equal to the "
                    f"output of the custom_vjp-decorated function {self.fun}, and in particular "
                    "of the same container/pytree structure), but instead the fwd rule output's "
                    f"first element had container/pytree structure:\n    {out_structure}\nwhile "
                    f"the custom_vjp-decorated function {self.fun} had output container/pytree "
                    f"structure:\n    {self.call.out_structure}",
                    attempt=f"return {self.fun}(*args), residuals from the fwd rule",
                )
            )
        elif self.call.out_types is not None:
            _check_types(head, "fwd", "custom_vjp", self.fun, outs, self.call.out_types)
        out_types = tuple(typeof(x).tangent() for x in outs)
        token = residual_structure, hidden, out_structure, out_types
        return [*outs, *refs.last()], residuals, token


class BackwardOnTrees:
    """The bwd rule of a custom_vjp function."""

    def __init__(self, rule: Callable[..., Any], nondiff: Sequence[Any], call: CallWithRefs,
                 symbolic: bool):  # fmt: skip
        self.rule = rule
        self.nondiff = list(nondiff)
        self.call = call
        self.structure = call.in_structure
        self.types = [x.type if isinstance(x, Ref) else typeof(x) for x in call.leaves]
        self.symbolic = symbolic
        self.__name__ = function_name(rule)

    def __call__(
        self, token: Any, residuals: Sequence[Any], cotangents: Sequence[Any],
        states: Sequence[Any] = (),
    ) -> tuple[list[Any], list[Any]]:  # fmt: skip
        residual_structure, hidden, out_structure, out_types = token
        refs = RuleRefsBackward(self.call, states)
        leaves = list(map(array_like, residuals))
        for i, x in hidden:
            leaves.insert(i, refs.all[x.k] if isinstance(x, _Numbered) else x)
        shown = [
            visible(Zero(t) if isinstance(c, Zero) else c, self.symbolic)
            for c, t in zip(cotangents, out_types, strict=True)
        ]
        with refs.running():
            result = in_own_lines(
                self.rule,
                *self.nondiff,
                pytree.tree_unflatten(residual_structure, leaves),
                pytree.tree_unflatten(out_structure, shown),
            )
        if isinstance(result, list):
            result = tuple(result)
        grads: list[Any] = []
        for i, (path, found, type) in enumerate(
            zip(pytree.structure_paths(self.structure), self._leaves(result), self.types,
                strict=True)
        ):  # fmt: skip
            expected = type.tangent()
            if isinstance(found, Ref) and i in self.call.places:
                found = None
            if found is None or expected.dtype == dtypes.float0:
                grads.append(Zero(expected))
                continue
            given = type_of(found)
            # as in JAX the dtype may be another one, and is that of the gradient
            if given.shape != expected.shape:
                raise ValueError(
                    located(
                        "Custom VJP bwd rule must produce an output with the same type as the "
                        f"args tuple of the primal function, but at output{pytree.keystr(path)} "
                        f"the bwd rule {self.__name__} produced an output of type {long(given)} "
                        f"corresponding to an input of type {long(type)}",
                        attempt="sum the cotangent over broadcast dimensions",
                    )
                )
            grad = internal(found)
            grads.append(Zero(expected) if i in self.call.places else grad)
        return [*grads, *(Zero(x.type.tangent()) for x in self.call.closed)], refs.last()

    def _leaves(self, result: Any) -> list[Any]:
        """One cotangent or None per input leaf. Raises TypeError if the structure is another."""
        whole = pytree.tree_unflatten(self.structure, [0] * self.structure.num_leaves)
        found, structure = pytree.tree_flatten(result, lambda x: x is None)
        try:
            parts = structure.flatten_up_to(whole)
            counts = [len(pytree.tree_leaves(part)) for part in parts]
            fits = all(
                f is None or (n == 1 and pytree.all_leaves([part]))
                for f, n, part in zip(found, counts, parts, strict=True)
            )
        except ValueError:
            fits = False
        if not fits:
            raise TypeError(
                located(
                    "Custom VJP bwd rule must produce an output with the same container (pytree) "
                    "structure as the args tuple of the primal function, and in particular must "
                    "produce a tuple of length equal to the number of arguments to the primal "
                    f"function, but got bwd output structure {pytree.tree_structure(result)} for "
                    f"primal input structure {self.structure}.",
                    attempt="return (cotangent,) for one argument; None in place of a cotangent "
                    "that is zero",
                )
            )
        return [f for f, n in zip(found, counts, strict=True) for _ in range(n)]
