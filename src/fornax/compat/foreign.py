"""Operations that libraries define: JAX's `Primitive` and its tables of rules.

A library makes a Primitive and enters rules for it in tables. Behind it stands an operation of
Fornax that finds its rules there. The rule by which it is compiled is a function of arrays that is
traced in its place (`lower_fun`), or else the function that evaluates it (`def_impl`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax.errors import message
from fornax.ir import primitive as operations
from fornax.ir.basis import instantiate
from fornax.ir.types import ArrayType
from fornax.numpy.creation import asarray
from fornax.source import located

__all__ = [
    "Primitive", "axis_primitive_batchers", "deflinear", "fancy_primitive_batchers", "lower_fun",
    "primitive_batchers", "primitive_jvps", "primitive_transposes", "register_lowering",
]  # fmt: skip

Rule = Callable[..., Any]
#: the tables that libraries write to, by primitive
primitive_jvps: dict[Any, Rule] = {}
primitive_transposes: dict[Any, Rule] = {}
primitive_batchers: dict[Any, Rule] = {}
#: rules that learn of the mapped axis, and the same in the older form: (size, name, None, …)
fancy_primitive_batchers: dict[Any, Rule] = {}
axis_primitive_batchers: dict[Any, Rule] = {}
_lowerings: dict[Any, Rule] = {}


class Primitive:
    """An operation with rules from outside.

    `bind` applies it: to one result, or a list of them where `multiple_results` is set.
    """

    multiple_results = False

    def __init__(self, name: str):
        self.name = name
        self.impl: Rule | None = None
        self.abstract_eval: Rule | None = None
        self.operation = _Operation(self)

    def def_impl(self, impl: Rule) -> Rule:
        """Declare how it is evaluated on arrays."""
        self.impl = impl
        return impl

    def def_abstract_eval(self, rule: Rule) -> Rule:
        """Declare the types of its results."""
        self.abstract_eval = rule
        return rule

    def def_effectful_abstract_eval(self, rule: Rule) -> Rule:
        """Declare the types of its results; the rule gives (types, effects), which must be none."""

        def types(*args: Any, **params: Any) -> Any:
            found, effects = rule(*args, **params)
            if effects:
                raise NotImplementedError(
                    located(
                        f"effects of the primitive {self.name}: {effects}",
                        attempt="a primitive without effects, or io_callback for what it does "
                        "outside",
                    )
                )
            return found

        self.abstract_eval = types
        return rule

    def bind(self, *args: Any, **params: Any) -> Any:
        """Apply it under the current transformation."""
        operands = [x if hasattr(x, "aval") else asarray(x) for x in args]
        return self.given(self.operation.bind(*operands, **params))

    def given(self, results: Sequence[Any]) -> Any:
        """Results as this primitive's callers and rules have them."""
        return list(results) if self.multiple_results else results[0]

    def listed(self, results: Any) -> list[Any]:
        """What `given` makes one or many of, as a list."""
        return list(results) if self.multiple_results else [results]

    def __repr__(self) -> str:
        return self.name


class _Operation(operations.Primitive):
    """The operation behind a Primitive."""

    def __init__(self, facade: Primitive):
        super().__init__(facade.name, register=False)
        self.facade = facade

    def rule(self, table: dict[Any, Rule], what: str) -> Rule:
        found = table.get(self.facade)
        if found is None:
            raise NotImplementedError(
                message(
                    f"{what} rule for '{self.name}' not implemented",
                    attempt=f"enter one in the table of rules, for the primitive {self.name}",
                )
            )
        return found

    def type(self, *types: ArrayType, **params: Any) -> list[ArrayType]:
        if self.facade.abstract_eval is None:
            raise NotImplementedError(
                located(
                    f"Abstract evaluation for '{self.name}' not implemented",
                    attempt="def_abstract_eval on it, which gives the shapes and dtypes of the "
                    "results",
                )
            )
        found = self.facade.listed(self.facade.abstract_eval(*types, **params))
        return [ArrayType(t.shape, t.dtype, getattr(t, "weak_type", False)) for t in found]

    def reference(self, *arrays: Any, **params: Any) -> list[Any]:
        if self.facade.impl is None:
            raise NotImplementedError(
                located(
                    f"Evaluation rule for '{self.name}' not implemented",
                    attempt="def_impl on it, which computes with arrays",
                )
            )
        results = self.facade.listed(self.facade.impl(*map(asarray, arrays), **params))
        return [np.asarray(x) for x in results]

    def expand(self, *operands: Any, **params: Any) -> list[Any]:
        rule = _lowerings.get(self.facade, self.facade.impl)
        if rule is None:
            raise NotImplementedError(
                located(
                    f"MLIR translation rule for primitive '{self.name}' not found for platform cpu",
                    attempt="mlir.register_lowering for it, or def_impl, which runs as a callback",
                )
            )
        return self.facade.listed(rule(*operands, **params))

    def jvp(self, primals, tangents, **params):
        rule = self.rule(primitive_jvps, "Differentiation")
        outputs, slopes = rule(tuple(primals), tuple(tangents), **params)
        return self.facade.listed(outputs), self.facade.listed(slopes)

    def transpose(self, cotangents, *operands, **params):
        rule = self.rule(primitive_transposes, "Transpose")
        found = list(rule(self.facade.given(cotangents), *operands, **params))
        return [
            operations.Zero(x.type.tangent()) if ct is None and isinstance(x, operations.Linear)
            else ct if isinstance(x, operations.Linear) else None
            for ct, x in zip(found, operands, strict=True)
        ]  # fmt: skip

    def batch_named(self, axis_name, size, operands, dims, **params):
        values, places = tuple(operands), tuple(dims)
        if self.facade in fancy_primitive_batchers:
            rule = fancy_primitive_batchers[self.facade]
            outputs, out_dims = rule(_Axis(axis_name, size), values, places, **params)
        elif self.facade in axis_primitive_batchers:
            rule = axis_primitive_batchers[self.facade]
            outputs, out_dims = rule(size, axis_name, None, values, places, **params)
        else:
            rule = self.rule(primitive_batchers, "Batching")
            outputs, out_dims = rule(values, places, **params)
        return self.facade.listed(outputs), self.facade.listed(out_dims)

    def batch(self, size, operands, dims, **params):
        return self.batch_named(None, size, operands, dims, **params)


class _Axis:
    """What a batching rule learns of the mapped axis."""

    spmd_name = None
    explicit_mesh_axis = None

    def __init__(self, name: Any, size: int):
        self.name = name
        self.size = size


def lower_fun(fun: Rule, multiple_results: bool = True) -> Rule:
    """A function of arrays as a rule for `register_lowering`: it is traced in the place."""
    return fun


def register_lowering(prim: Primitive, rule: Rule, platform: str | None = None, **options: Any):
    """Declare how a primitive is compiled; rule: made by `lower_fun`."""
    if platform in (None, "cpu"):
        _lowerings[prim] = rule
    return rule


def deflinear(primitive: Primitive, transpose_rule: Rule) -> None:
    """Declare that a primitive is linear: its derivative is itself. rule: (cotangent) -> list."""

    def slope(primals: Any, tangents: Any, **params: Any) -> Any:
        slopes = map(instantiate, tangents)
        return primitive.bind(*primals, **params), primitive.bind(*slopes, **params)

    def pulled(ct: Any, *operands: Any, **params: Any) -> Any:
        if isinstance(ct, operations.Zero):
            return [None] * len(operands)
        return transpose_rule(ct, **params)

    primitive_jvps[primitive] = slope
    primitive_transposes[primitive] = pulled
