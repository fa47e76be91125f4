"""custom_vmap: functions that bring the rule of their batching."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax import pytree
from fornax.api.custom import Custom
from fornax.api.references import RefArguments
from fornax.api.rule_references import CallWithRefs, RuleRefs
from fornax.api.signature import as_arrays, check_values, function_name
from fornax.ir.late import retraced
from fornax.ir.ref import Ref
from fornax.primitives.custom_vmap import custom_vmap_p
from fornax.primitives.one_by_one import one_by_one
from fornax.source import in_own_lines, located

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
        call = CallWithRefs(self.kind, self.fun, given)
        values = call.refs.values(call.take_leaves())
        call.rules = (self.vmap_rule,)
        outputs = call.refs.settle(self._as_program(call, values, name))
        call.forget()
        return pytree.tree_unflatten(call.out_structure, as_arrays(outputs))

    @retraced
    def _as_program(self, call: CallWithRefs, values: Sequence[Any], name: str) -> list[Any]:
        program = call.program(values, name)
        closed = call.closed
        outputs = custom_vmap_p.bind(
            *program.consts, *values, *(ref.read() for ref in closed),
            call=program.without_consts(),
            rule=RuleOnTrees(self.vmap_rule, call, len(program.consts)),
        )  # fmt: skip
        count = len(outputs) - len(closed)
        for ref, value in zip(closed, outputs[count:], strict=True):
            ref.write(value)
        return outputs[:count]


class RuleOnTrees:
    """A user's rule for vmap as the flat rule of the operation."""

    def __init__(
        self,
        rule: Callable[..., tuple[Any, Any]],
        call: CallWithRefs,
        num_consts: int,
    ):
        self.rule = rule
        self.call = call
        self.num_consts = num_consts
        self.num_closed = len(call.closed)
        self.out_structure = call.out_structure

    def __call__(
        self, size: int, flags: Sequence[bool], operands: Sequence[Any]
    ) -> tuple[list[Any], list[bool]]:
        name, n = function_name(self.rule), self.num_consts
        before, refs = flags[:n], RuleRefs(self.call, operands[n:])
        flags, of_closed = flags[n:], flags[len(flags) - len(self.call.closed) :]
        if any(before) or any(of_closed):
            raise ValueError(
                located(
                    "a custom_vmap function closes over a value that vmap maps",
                    why="its rule says how to map its arguments only",
                    attempt="make the value an argument",
                )
            )
        given = [x if isinstance(x, Ref) else as_arrays([x])[0] for x in refs.leaves]
        batched = self.call.arguments(flags[: len(given)])
        with refs.running():
            output, out_batched = in_own_lines(
                self.rule, size, list(batched), *self.call.arguments(given)
            )
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
        check_values(outputs, f"Output of the custom vmap rule {name}: value")
        kept = [flags[i] for i in self.call.places]
        return [*outputs, *refs.last()], [*map(bool, mapped), *kept, *of_closed]


def sequential_vmap(f: Callable[..., Any]) -> custom_vmap:
    """`f`, of which vmap makes a loop over the examples: for what cannot work on all at once."""
    wrapped = custom_vmap(f)

    @wrapped.def_vmap
    def rule(axis_size: int, in_batched: list[Any], *args: Any) -> tuple[Any, Any]:
        leaves, structure = pytree.tree_flatten(tuple(args))
        flags = pytree.tree_leaves(in_batched)
        # a reference that all examples share goes from one to the next, as what they close over
        shared = [isinstance(x, Ref) and not b for x, b in zip(leaves, flags, strict=True)]
        given = [x for x, s in zip(leaves, shared, strict=True) if not s]
        dims = [0 if b else None for b, s in zip(flags, shared, strict=True) if not s]
        refs = RefArguments(given)
        found: list[pytree.PyTreeDef] = []

        def flat(*values: Any) -> list[Any]:
            rest = iter(refs.opened(values))
            whole = [x if s else next(rest) for x, s in zip(leaves, shared, strict=True)]
            output = wrapped(*pytree.tree_unflatten(structure, whole))
            outputs, out_structure = pytree.tree_flatten(output)
            found[:] = [out_structure]
            return [*outputs, *refs.closed()]

        outputs, _ = one_by_one(flat, "sequential_vmap", axis_size, refs.values(given), dims)
        outputs = refs.settle(outputs)
        return (
            pytree.tree_unflatten(found[0], outputs),
            pytree.tree_unflatten(found[0], [True] * len(outputs)),
        )

    return wrapped
