"""Where the residuals of a linearized loop body come from: kept once, or stacked per iteration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax.ir.jaxpr import Jaxpr, Var
from fornax.primitives.arrange import dependent, prune
from fornax.primitives.call import closed_call
from fornax.record import record
from fornax.transforms.programs import remembered

__all__ = ["Placed", "place_residuals"]


@record(frozen=True)
class Placed:
    """The residuals of a scan, sorted into loop-invariant and stacked ones.

    forward: the body that also gives the residuals that have to be stacked. sources: for every
    residual ("operand", i), ("result", i) of the forward loop, or ("invariant", i). invariant: the
    program that computes the last kind from the constants, or None.
    """

    forward: Jaxpr
    sources: tuple[tuple[str, int], ...]
    stacked: tuple[bool, ...]
    invariant: Jaxpr | None
    num_consts: int

    def values(self, operands: Sequence[Any], results: Sequence[Any]) -> tuple[list, list]:
        """(loop-invariant residuals, stacked ones), in order."""
        once: Sequence[Any] = ()
        if self.invariant is not None:
            once = closed_call(self.invariant, *operands[: self.num_consts])
        table = {"operand": operands, "result": results, "invariant": once}
        values = [table[kind][i] for kind, i in self.sources]
        fixed = [v for v, s in zip(values, self.stacked, strict=True) if not s]
        return fixed, [v for v, s in zip(values, self.stacked, strict=True) if s]

    def order(
        self, count: int, consts: Sequence[bool], carry: Sequence[bool], tangents: int
    ) -> list[int]:
        """How the linear body's inputs (residuals, tangents) are sorted for the linear loop."""
        fixed = [i for i in range(count) if not self.stacked[i]]
        stacked = [i for i in range(count) if self.stacked[i]]
        cut = count + sum(consts) + sum(carry)
        return [*fixed, *range(count, cut), *stacked, *range(cut, count + tangents)]


def place_residuals(
    forward: Jaxpr,
    residuals: Sequence[tuple[str, int]],
    count: int,
    first: int,
    num_consts: int,
    num_carry: int,
) -> Placed:
    """Sort the residuals that `linearize_jaxpr` reports for a scan's body of `count` outputs.

    forward: the forward body with its constants as `first` more inputs.

    A residual that is a constant, a carry that never changes, or computed from such alone is the
    same in every iteration: it is not stacked. A residual that is an input or output of the loop
    already is used from there.
    """
    key = ("residuals", *residuals, count, first, num_consts, num_carry)
    num_consts += first
    residuals = [
        ("input", k + (first if kind == "input" else 0)) if kind in ("input", "constant")
        else (kind, k)
        for kind, k in residuals
    ]  # fmt: skip

    def make():
        unchanging = [
            forward.outputs[k] is forward.inputs[num_consts + k] for k in range(num_carry)
        ]
        varying = dependent(
            forward,
            [
                i >= num_consts + num_carry or (i >= num_consts and not unchanging[i - num_consts])
                for i in range(len(forward.inputs))
            ],
            effects=True,  # the loop has them each time, and nobody else may have them
        )
        reads_carry = dependent(
            forward, [num_consts <= i < num_consts + num_carry for i in range(len(forward.inputs))]
        )
        invariant: list[Any] = []  # atoms computed from the constants alone
        extra: list[Any] = []  # atoms stacked by the forward loop
        sources, stacked = [], []

        def stack(atom):
            if atom not in extra:
                extra.append(atom)
            sources.append(("result", count + extra.index(atom)))
            stacked.append(True)

        for kind, k in residuals:
            if kind == "input":
                if k < num_consts or (k < num_consts + num_carry and unchanging[k - num_consts]):
                    sources.append(("operand", k))
                    stacked.append(False)
                elif k >= num_consts + num_carry:
                    sources.append(("operand", k))
                    stacked.append(True)
                else:
                    stack(forward.inputs[k])
                continue
            atom = forward.outputs[k if kind == "output" else count + k]
            fixed = not isinstance(atom, Var) or (atom not in varying and atom not in reads_carry)
            if fixed:
                if atom not in invariant:
                    invariant.append(atom)
                sources.append(("invariant", invariant.index(atom)))
                stacked.append(False)
            elif kind == "output" and k >= num_carry:
                sources.append(("result", k))
                stacked.append(True)
            else:
                stack(atom)
        body = Jaxpr(
            forward.inputs, forward.equations, (*forward.outputs[:count], *extra), (),
            forward.debug_name,
        )  # fmt: skip
        body, kept = prune(body, [True] * len(body.outputs), len(body.inputs))
        assert all(kept)
        once = None
        if invariant:
            equations = tuple(e for e in forward.equations if not e.effects)
            whole = Jaxpr(forward.inputs, equations, tuple(invariant), (), forward.debug_name)
            pruned, _ = prune(whole, [True] * len(invariant), num_consts)
            assert len(pruned.inputs) == num_consts
            once = pruned
        return Placed(body, tuple(sources), tuple(stacked), once, num_consts)

    return remembered(forward, key, make)
