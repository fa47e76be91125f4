"""custom_vmap: functions that bring the rule of their batching."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax import pytree
from fornax.api.custom import Custom
from fornax.api.signature import as_arrays, check_values, function_name
from fornax.ir.types import typeof
from fornax.primitives.custom_vmap import custom_vmap_p
from fornax.primitives.one_by_one import one_by_one
from fornax.source import located
from fornax.transforms.stage import stage

__all__ = ["custom_vmap", "sequential_vmap"]


class custom_vmap(Custom):  # noqa: N801  (JAX's name)
    """A function with a rule of its own for vmap.

        @custom_vmap
        def f(x, y): ...

        @f.def_vmap
        def rule(axis_size, in_batched, x, y):
            ...
            return output, out_batched

    The rule gets mapped arguments with the mapped axis in front; `in_batched` and `out_batched` are
    trees of booleans like the arguments and the output. Differentiated, the rule is differentiated
    too; backwards, mapping goes by the function itself.
    """

    kind = "custom_vmap"

    def __init__(self, fun: Callable[..., Any]):
        super().__init__(fun)
        self.vmap_rule: Callable[..., tuple[Any, Any]] | None = None

    def def_vmap(self, vmap_rule: Callable[..., tuple[Any, Any]]) -> Callable[..., Any]:
        """Set the rule; returns it, so that this can be a decorator."""
        self.vmap_rule = vmap_rule
        return vmap_rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function. Raises AttributeError if it has no rule yet."""
        name = function_name(self.fun)
        given = self.positional(args, kwargs)
        if self.vmap_rule is None:
            raise AttributeError(
                located(
                    f"No batching rule defined for custom_vmap function {name} using def_vmap.",
                    attempt=f"@{name}.def_vmap on a function of (axis_size, in_batched, *args)",
                )
            )
        leaves, structure = pytree.tree_flatten(given)
        check_values(leaves, "Argument")
        found: list[pytree.PyTreeDef] = []

        def flat(*leaves: Any) -> list[Any]:
            outputs, out_structure = pytree.tree_flatten(
                self.fun(*pytree.tree_unflatten(structure, leaves))
            )
            found[:] = [out_structure]
            return outputs

        program = stage(flat, [typeof(x) for x in leaves], name)
        rule = RuleOnTrees(self.vmap_rule, len(program.consts), structure, found[0])
        outputs = custom_vmap_p.bind(
            *program.consts, *leaves, call=program.without_consts(), rule=rule
        )
        return pytree.tree_unflatten(found[0], as_arrays(outputs))


class RuleOnTrees:
    """A user's rule for vmap as the flat rule of the operation."""

    def __init__(
        self,
        rule: Callable[..., tuple[Any, Any]],
        num_consts: int,
        structure: pytree.PyTreeDef,
        out_structure: pytree.PyTreeDef,
    ):
        self.rule = rule
        self.num_consts = num_consts
        self.structure = structure
        self.out_structure = out_structure

    def __call__(
        self, size: int, flags: Sequence[bool], operands: Sequence[Any]
    ) -> tuple[list[Any], list[bool]]:
        name, n = function_name(self.rule), self.num_consts
        if any(flags[:n]):
            raise ValueError(
                located(
                    "a custom_vmap function closes over a value that vmap maps",
                    why="its rule says how to map its arguments only",
                    attempt="make the value an argument",
                )
            )
        args = pytree.tree_unflatten(self.structure, as_arrays(operands[n:]))
        batched = pytree.tree_unflatten(self.structure, flags[n:])
        output, out_batched = self.rule(size, list(batched), *args)
        outputs, structure = pytree.tree_flatten(output)
        mapped, mapped_structure = pytree.tree_flatten(out_batched)
        if structure != mapped_structure:
            raise ValueError(
                located(
                    "structure of output value and output batching specification returned by "
                    f"custom vmap rule ({name}) do not match.\nOutput values: {structure}\n"
                    f"Batching spec: {mapped_structure}",
                    attempt="return (outputs, out_batched) with one bool for each output",
                )
            )
        if structure != self.out_structure:
            raise ValueError(
                located(
                    f"structure of output returned by custom vmap rule ({name}) does not match "
                    "that of original custom-vmapped function.\nOriginal output: "
                    f"{self.out_structure}\nRule output: {structure}",
                    attempt=f"return the same containers from the rule as {name} returns",
                )
            )
        return outputs, [bool(m) for m in mapped]


def sequential_vmap(f: Callable[..., Any]) -> custom_vmap:
    """`f`, of which vmap makes a loop over the examples: for what cannot work on all at once."""
    wrapped = custom_vmap(f)

    @wrapped.def_vmap
    def rule(axis_size: int, in_batched: list[Any], *args: Any) -> tuple[Any, Any]:
        leaves, structure = pytree.tree_flatten(tuple(args))
        found: list[pytree.PyTreeDef] = []

        def flat(*leaves: Any) -> list[Any]:
            output = wrapped(*pytree.tree_unflatten(structure, leaves))
            outputs, out_structure = pytree.tree_flatten(output)
            found[:] = [out_structure]
            return outputs

        dims = [0 if b else None for b in pytree.tree_leaves(in_batched)]
        outputs, _ = one_by_one(flat, "sequential_vmap", axis_size, leaves, dims)
        return (
            pytree.tree_unflatten(found[0], outputs),
            pytree.tree_unflatten(found[0], [True] * len(outputs)),
        )

    return wrapped
