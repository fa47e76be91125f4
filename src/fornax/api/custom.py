"""custom_jvp and custom_vjp: functions that bring the rules of their derivatives."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fornax import pytree
from fornax.api.rule_references import CallWithRefs
from fornax.api.rules import BackwardOnTrees, ForwardOnTrees, JVPOnTrees
from fornax.api.signature import (
    as_arrays,
    as_indices,
    as_names,
    check_callable,
    function_name,
    parameters,
)
from fornax.api.tracing import trace_types
from fornax.errors import UnexpectedTracerError
from fornax.ir.basis import instantiate
from fornax.ir.evaluate import evaluate
from fornax.ir.primitive import Zero
from fornax.ir.trace import Tracer
from fornax.ir.types import typeof
from fornax.primitives.convert import stop_gradient_p
from fornax.primitives.custom import call_custom, custom_jvp_call_p, custom_vjp_call_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["closure_convert", "custom_gradient", "custom_jvp", "custom_vjp"]


class Custom:
    """What both decorators share: arguments by position, some of them not differentiated."""

    kind = ""

    def __init__(
        self,
        fun: Callable[..., Any],
        nondiff_argnums: int | Sequence[int] = (),
        nondiff_argnames: str | Iterable[str] = (),
    ):
        check_callable(fun)
        functools.update_wrapper(self, fun)
        self.fun = fun
        numbers = as_indices(nondiff_argnums, "nondiff_argnums") or ()
        names = as_names(nondiff_argnames, "nondiff_argnames") or ()
        known = parameters(fun)
        positions = [p.name for p in known or []]
        plain = known is not None and all(
            p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in known
        )
        self.arity = len(positions) if plain else None  # calls with as many need no binding
        numbers = tuple(i % len(positions) if i < 0 else i for i in numbers)
        self.nondiff_argnums = (*numbers, *(positions.index(name) for name in names))

    def __getattr__(self, name: str) -> Any:
        """What a custom function around a custom function does not have itself is the inner's."""
        inner = self.__dict__.get("fun")
        if isinstance(inner, Custom) and not name.startswith("__"):
            return getattr(inner, name)
        return object.__getattribute__(self, name)  # Python's own answer

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def positional(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position. Raises TypeError where that is impossible."""
        if not kwargs and len(args) == self.arity:
            return tuple(args)
        known = parameters(self.fun)
        if known is None:
            if kwargs:
                raise TypeError(
                    located(
                        f"{self.kind}: the signature of {function_name(self.fun)} is unknown, so "
                        "it can only be called with positional arguments",
                        attempt="positional arguments, or a def or lambda around the function",
                    )
                )
            return tuple(args)
        try:
            bound = inspect.signature(self.fun).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(
                located(
                    f"The input arguments to the {self.kind}-decorated function "
                    f"{function_name(self.fun)} could not be resolved to positional-only "
                    f"arguments. Binding failed with the error:\n{error}",
                    attempt="f(x, y) with every argument in its place; functools.partial or a "
                    "closure for keyword-only ones",
                )
            ) from error
        bound.apply_defaults()
        if bound.kwargs:
            names = ", ".join(sorted(bound.kwargs))
            raise TypeError(
                located(
                    f"The input arguments to the {self.kind}-decorated function "
                    f"{function_name(self.fun)} could not be resolved to positional-only "
                    "arguments. Binding failed with the error:\nThe following keyword arguments "
                    f"could not be resolved to positions: {names}",
                    why="its rules take positional arguments only",
                    attempt="make them positional",
                )
            )
        return bound.args

    def split(self, args: Sequence[Any]) -> tuple[list[tuple[int, Any]], list[Any]]:
        """((position, value) of arguments that are not differentiated, the others)."""
        fixed = [(i, a) for i, a in enumerate(args) if i in self.nondiff_argnums]
        return fixed, [a for i, a in enumerate(args) if i not in self.nondiff_argnums]


class _Call(CallWithRefs):
    """One call of a custom function, of whose arguments some are fixed."""

    def __init__(
        self, kind: str, fun: Callable[..., Any], fixed: Sequence[tuple[int, Any]], rest: list[Any]
    ):
        super().__init__(kind, fun, rest)
        self.fixed = list(fixed)
        self.count = len(fixed) + len(rest)

    def arguments(self, leaves: Sequence[Any]) -> list[Any]:
        """All arguments."""
        values = iter(super().arguments(leaves))
        fixed = dict(self.fixed)
        return [fixed[i] if i in fixed else next(values) for i in range(self.count)]

    def tree(self, outputs: Sequence[Any]) -> Any:
        return pytree.tree_unflatten(self.out_structure, as_arrays(outputs))


class custom_jvp(Custom):  # noqa: N801  (JAX's name)
    """A function with a rule of its own for its tangents.

    nondiff_argnums: positions of arguments that the rule gets first, as they are.

        @custom_jvp
        def f(x, y): ...

        @f.defjvp
        def f_jvp(primals, tangents):
            ...
            return output, output_tangent
    """

    kind = "custom_jvp"

    def __init__(self, fun, nondiff_argnums=(), nondiff_argnames=()):
        super().__init__(fun, nondiff_argnums, nondiff_argnames)
        self.jvp: Callable[..., Any] | None = None
        self.symbolic_zeros = False

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Set the rule: (nondiff arguments, primals, tangents) -> (output, its tangent).

        With symbolic_zeros, tangents that are known to be zero come as `SymbolicZero`.
        Returns the rule, so that this can be a decorator.
        """
        self.jvp = jvp
        self.symbolic_zeros = symbolic_zeros
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Set the rule by one function per argument: (tangent, output, *primals) -> contribution.

        None stands for an argument without influence. Not for functions with nondiff arguments.
        Raises TypeError for those.
        """
        if self.nondiff_argnums:
            raise TypeError(
                located(
                    "Can't use ``defjvps`` with ``nondiff_argnums``.",
                    attempt="defjvp, one rule for all arguments",
                )
            )

        def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
            output = self(*primals)
            total = None
            for each, tangent in zip(jvps, tangents, strict=True):
                if each is not None:
                    part = each(tangent, output, *primals)
                    total = part if total is None else pytree.tree_map(_add, total, part)
            if total is None:
                total = pytree.tree_map(_zero, output)
            return output, total

        self.defjvp(rule)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function. Raises AttributeError if it has no rule yet."""
        if self.jvp is None:
            name = function_name(self.fun)
            raise AttributeError(
                located(
                    f"No JVP defined for custom_jvp function {name} using defjvp.",
                    attempt=f"@{name}.defjvp on a function of (primals, tangents)",
                )
            )
        fixed, rest = self.split(self.positional(args, kwargs))
        fixed = [(place, _constant(value)) for place, value in fixed]
        call = _Call(self.kind, self.fun, fixed, rest)
        call.rules = (self.jvp, *(v for _, v in fixed))
        rule = JVPOnTrees(self.fun, self.jvp, [v for _, v in fixed], call, self.symbolic_zeros)
        outputs = call_custom(
            custom_jvp_call_p, call, name=function_name(self.fun), jvp=rule,
            symbolic_zeros=self.symbolic_zeros,
        )  # fmt: skip
        return call.tree(outputs)


def _constant(value: Any) -> Any:
    """An argument that is not differentiated: the rule has no tangent for what is traced in it."""
    if not isinstance(value, Tracer) or not dtypes.is_inexact(value.type.dtype):
        return value
    return stop_gradient_p.bind(value)[0]


def _add(x: Any, y: Any) -> Any:
    return x + y


def _zero(x: Any) -> Any:
    return instantiate(Zero(typeof(x).tangent()))


class custom_vjp(Custom):  # noqa: N801  (JAX's name)
    """A function with rules of its own for going backwards.

    nondiff_argnums: positions of arguments that `bwd` gets first, as they are.

        @custom_vjp
        def f(x, y): ...

        def f_fwd(x, y):
            return output, residuals
        def f_bwd(residuals, output_cotangent):
            return x_cotangent, y_cotangent
        f.defvjp(f_fwd, f_bwd)
    """

    kind = "custom_vjp"

    def __init__(self, fun, nondiff_argnums=(), nondiff_argnames=()):
        super().__init__(fun, nondiff_argnums, nondiff_argnames)
        self.fwd: Callable[..., Any] | None = None
        self.bwd: Callable[..., Any] | None = None
        self.symbolic_zeros = False

    def defvjp(
        self,
        fwd: Callable[..., Any],
        bwd: Callable[..., Any],
        symbolic_zeros: bool = False,
        optimize_remat: bool = False,
    ) -> None:
        """Set the rules. fwd takes the function's arguments; bwd the nondiff arguments, the
        residuals and the output's cotangent, and gives a tuple with a cotangent per argument, where
        None means zero.

        With symbolic_zeros, fwd gets each value as `CustomVJPPrimal` and bwd gets `SymbolicZero`
        for cotangents known to be zero. optimize_remat: `fwd` may be recomputed; the program says
        so already, so that it has no effect. Raises NotImplementedError for both together.
        """
        if optimize_remat and symbolic_zeros:
            raise NotImplementedError(
                located(
                    "remat optimization for custom_vjp does not support symbolic zeros",
                    "what a recomputed fwd is given has no place for them",
                    "one of the two",
                )
            )
        self.fwd, self.bwd, self.symbolic_zeros = fwd, bwd, symbolic_zeros

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function. Raises AttributeError if it has no rules yet."""
        if self.fwd is None or self.bwd is None:
            name = function_name(self.fun)
            raise AttributeError(
                located(
                    f"No VJP defined for custom_vjp function {name} using defvjp.",
                    attempt=f"{name}.defvjp(fwd, bwd)",
                )
            )
        fixed, rest = self.split(self.positional(args, kwargs))
        for place, value in fixed:
            leaves = pytree.tree_leaves(value)
            if any(isinstance(x, Tracer) or getattr(x, "_place", None) is not None for x in leaves):
                raise UnexpectedTracerError(
                    located(
                        f"Found a JAX Tracer object passed as argument {place} to the custom_vjp "
                        f"function {function_name(self.fun)}, a position indicated by "
                        "nondiff_argnums as non-differentiable.",
                        why="nondiff_argnums is for arguments that are no arrays, such as "
                        "functions",
                        attempt="make it an ordinary argument, and return None for its cotangent",
                    )
                )
        call = _Call(self.kind, self.fun, fixed, rest)
        call.rules = (self.fwd, self.bwd, *(v for _, v in fixed))
        forward = ForwardOnTrees(self.fun, self.fwd, call, self.symbolic_zeros)
        nondiff = [v for _, v in fixed]
        backward = BackwardOnTrees(self.bwd, nondiff, call, self.symbolic_zeros)
        outputs = call_custom(
            custom_vjp_call_p, call, name=function_name(self.fun), fwd=forward, bwd=backward,
            symbolic_zeros=self.symbolic_zeros,
        )  # fmt: skip
        return call.tree(outputs)


def _output_and_rule(fun: Callable[..., Any], args: Sequence[Any]) -> tuple[Any, Any]:
    """What a function for `custom_gradient` gives. Raises TypeError if that is no pair."""
    made = fun(*args)
    if not isinstance(made, tuple | list) or len(made) != 2:
        raise TypeError(
            located(
                f"custom_gradient: {function_name(fun)} gives {type(made).__name__}, not a pair",
                "the output comes with the function that takes its cotangent backwards",
                "return output, lambda cotangent: ...",
            )
        )
    return made[0], made[1]


def custom_gradient(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function that gives (output, function from its cotangent to the arguments' cotangents).

    The result is a function of the same arguments that gives the output alone, and is
    differentiated with the other.
    """

    @custom_vjp
    def wrapped(*args: Any) -> Any:
        output, _ = _output_and_rule(fun, args)
        return output

    def fwd(*args: Any) -> tuple[Any, Any]:
        output, rule = _output_and_rule(fun, args)
        _, structure = pytree.tree_flatten(output)
        cotangents = [typeof(x).tangent() for x in pytree.tree_leaves(output)]
        tree = pytree.tree_unflatten(structure, cotangents)
        traced = trace_types(rule, (tree,), "custom_gradient")
        half = _Rule(traced.jaxpr.without_consts(), traced.out_tree)
        return output, pytree.Partial(half, list(traced.jaxpr.consts))

    def bwd(residuals: Any, cotangent: Any) -> Any:
        found = residuals(cotangent)
        return found if isinstance(found, tuple) else (found,)

    wrapped.defvjp(fwd, bwd)
    return functools.wraps(fun)(lambda *args: wrapped(*args))


def closure_convert(
    fun: Callable[..., Any], *example_args: Any
) -> tuple[Callable[..., Any], list[Any]]:
    """(function of more arguments, values for them): what `fun` closes over and differentiates.

    The first takes the arguments of `fun` and then the values, floating arrays that depend on what
    is being traced; other values that `fun` closes over stay inside. For handing functions to
    custom rules, which may not close over traced values.
    """
    structure = pytree.tree_structure(example_args)
    traced = trace_types(fun, example_args, "closure_convert", refs=True)
    jaxpr = traced.jaxpr
    moved = [isinstance(c, Tracer) and dtypes.is_inexact(typeof(c).dtype) for c in jaxpr.consts]
    hoisted = [c for c, m in zip(jaxpr.consts, moved, strict=True) if m]
    program = jaxpr.without_consts()
    kept = [c for c, m in zip(jaxpr.consts, moved, strict=True) if not m]

    def converted(*args: Any) -> Any:
        given = args[: len(example_args)]
        found, found_structure = pytree.tree_flatten(given)
        if found_structure != structure or len(args) != len(example_args) + len(hoisted):
            raise TypeError(
                located(
                    "The inputs to the closure produced by closure_convert must have the same "
                    "Pytree structure as the example arguments passed when closure_convert was "
                    f"called. Expected {structure} and {len(hoisted)} values, but got {len(args)} "
                    f"arguments of structure {found_structure}",
                    attempt="arguments with the same containers as those of closure_convert",
                )
            )
        new, old = iter(args[len(example_args) :]), iter(kept)
        consts = [next(new) if m else next(old) for m in moved]
        outputs = traced.applied(found, lambda given: evaluate(program, *consts, *given))
        return pytree.tree_unflatten(traced.out_tree, outputs)

    return converted, hoisted


class _Rule:
    """A traced rule without its constants, which come as its first argument."""

    def __init__(self, jaxpr: Any, out_structure: pytree.PyTreeDef):
        self.jaxpr = jaxpr
        self.out_structure = out_structure

    def __call__(self, constants: Sequence[Any], cotangent: Any) -> Any:
        outputs = evaluate(self.jaxpr, *constants, *pytree.tree_leaves(cotangent))
        return pytree.tree_unflatten(self.out_structure, outputs)
