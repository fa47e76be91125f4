"""References that bodies and branches use: their values as more operands and results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax import pytree
from fornax.api.references import RefArguments
from fornax.api.stages import Traced
from fornax.ir.evaluate import evaluate
from fornax.ir.jaxpr import Jaxpr, Var
from fornax.ir.ref import Ref
from fornax.ir.types import typeof
from fornax.source import located
from fornax.transforms.handed import origin
from fornax.transforms.programs import remembered
from fornax.transforms.stage import stage

__all__ = [
    "RowsAsRefs", "joined_refs", "tested_by", "with_carried_refs", "with_refs", "write_refs",
]  # fmt: skip


class RowsAsRefs:
    """Makes of a body one that takes values for the rows of references, and gives the new ones."""

    def __init__(self, structure: pytree.PyTreeDef, refs: RefArguments):
        self.structure = structure
        self.kinds = [(i, ref.kind) for i, ref in zip(refs.places, refs.outer, strict=True)]
        self.purpose = f"scan over references {self.kinds} of {structure}"

    def __call__(self, f: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def body(carry: Any, rows: Any) -> Any:
            given = list(rows)
            for i, kind in self.kinds:
                given[i] = Ref(rows[i], kind)
                given[i]._place = i
            carry, y = f(carry, pytree.tree_unflatten(self.structure, given))
            return carry, (y, [given[i].read() for i, _ in self.kinds])

        return body


def joined_refs(traced: Sequence[Traced], leaves: Sequence[Any] = ()) -> list[Ref]:
    """The references that any of several functions of these arguments uses."""
    return list(dict.fromkeys(ref for t in traced for ref in t.used(leaves)))


def write_refs(
    refs: Sequence[Ref], outputs: Sequence[Any], programs: Sequence[Jaxpr] = ()
) -> list[Any]:
    """Give references their values, the last outputs; returns the others.

    programs: have the values of the references as last inputs and outputs. A reference that none
    of them writes is left as it is: its value may have become one for each example, of a loop that
    takes another number of steps for each.
    """
    count = len(outputs) - len(refs)
    changed = [True] * len(refs) if not programs else [
        any(p.outputs[k] is not p.inputs[k] for p in programs) for k in range(-len(refs), 0)
    ]  # fmt: skip
    for ref, value, new in zip(refs, outputs[count:], changed, strict=True):
        if new:
            ref.write(value)
    return list(outputs[:count])


def with_refs(traced: Traced, refs: Sequence[Ref], leaves: Sequence[Any] = ()) -> Jaxpr:
    """The program with the values of all of `refs` as its last inputs and outputs."""
    jaxpr, used = traced.jaxpr, traced.used(leaves)
    if not refs or list(refs) == used:
        return jaxpr
    own = len(used)

    def make() -> Jaxpr:
        first = len(jaxpr.inputs) - own
        inputs = dict(zip(used, jaxpr.inputs[first:], strict=True))
        count = traced.out_tree.num_leaves + len(traced.argument_refs)
        outputs = dict(zip(used, jaxpr.outputs[count:], strict=True))
        values = [inputs.get(ref) or Var(ref.type) for ref in refs]
        return Jaxpr(
            (*jaxpr.inputs[:first], *values),
            jaxpr.equations,
            (*jaxpr.outputs[:count],
             *(outputs.get(ref, value) for ref, value in zip(refs, values, strict=True))),
            jaxpr.consts,
            jaxpr.debug_name,
        )  # fmt: skip

    return remembered(jaxpr, ("with references", *refs), make)


def tested_by(
    cond: Traced, body: Traced, refs: Sequence[Ref], carry: Sequence[Any]
) -> tuple[Jaxpr, Jaxpr, list[Any]]:
    """(condition, body, values) of a while loop over a carry and the values of references.

    A condition that writes is computed before the loop and behind its body, and what it said is
    carried first. Raises ValueError if both write to one reference.
    """
    condition, step = with_refs(cond, refs), with_refs(body, refs)
    values = [*carry, *(ref.read() for ref in refs)]
    first, last = len(condition.inputs) - len(refs), len(step.outputs) - len(refs)
    if all(origin(condition, 1 + k) == first + k for k in range(len(refs))):
        return _without_results(condition), step, values
    given = len(step.inputs) - len(refs)
    for k, ref in enumerate(refs):
        if origin(condition, 1 + k) != first + k and origin(step, last + k) != given + k:
            raise ValueError(
                located(
                    "Cannot write to the same ref in both cond and body of while loop: a mutable "
                    f"array reference of type {ref.aval}",
                    "the condition is tested once more than the body runs",
                    "write in body_fun, and carry what the condition needs",
                )
            )

    def test(outputs: Sequence[Any]) -> list[Any]:
        more, *written = evaluate(condition, *outputs)
        return [more, *outputs[: len(carry)], *written]

    def again(_: Any, *given: Any) -> list[Any]:
        return test(evaluate(step, *given))

    values = test(values)
    types = [typeof(x) for x in values]
    return stage(lambda more, *_: [more], types), stage(again, types), values


def _without_results(condition: Jaxpr) -> Jaxpr:
    """A condition without the values of references, which it only reads."""
    if len(condition.outputs) == 1:
        return condition
    return remembered(
        condition,
        ("without results for references",),
        lambda: Jaxpr(
            condition.inputs, condition.equations, condition.outputs[:1], condition.consts,
            condition.debug_name,
        ),
    )  # fmt: skip


def with_carried_refs(traced: Traced, n_carry: int) -> Jaxpr:
    """The body of a scan with the values of references behind its carry.

    The states backwards of rows come in rows as well, at the end.
    """
    jaxpr, k = traced.jaxpr, len(traced.refs)
    if not k:
        return jaxpr
    n = len(jaxpr.consts) + n_carry
    carried = [i for i, ref in enumerate(traced.refs) if isinstance(ref, Ref)]
    rows = [i for i, ref in enumerate(traced.refs) if not isinstance(ref, Ref)]

    def make() -> Jaxpr:
        inputs, outputs = jaxpr.inputs, jaxpr.outputs
        first, last = len(inputs) - k, len(outputs) - k
        return Jaxpr(
            (
                *inputs[:n],
                *(inputs[first + i] for i in carried),
                *inputs[n:first],
                *(inputs[first + i] for i in rows),
            ),
            jaxpr.equations,
            (
                *outputs[:n_carry],
                *(outputs[last + i] for i in carried),
                *outputs[n_carry:last],
                *(outputs[last + i] for i in rows),
            ),
            jaxpr.consts,
            jaxpr.debug_name,
        )

    return remembered(jaxpr, ("carried references", n_carry), make)
