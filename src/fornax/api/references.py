"""Mutable references among arguments: a function that takes them is one from values to values.

Each transformation runs the function with references that are its own, made of the values that
those outside have, and gives the last values back as further outputs, which are written outside.
What a transformation does to arrays it so does to references: it batches them, differentiates
them, records them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax.api.signature import describe
from fornax.ir.evaluate import evaluate
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.late import taken
from fornax.ir.ref import Ref, behind
from fornax.ir.trace import current
from fornax.source import located

__all__ = [
    "RefArguments", "argument", "eval_program", "firsts", "refuse_aliases", "refuse_both",
]  # fmt: skip


class RefArguments:
    """The references among the leaves of a call, at `places`; outside and inside.

    Outside, `values` reads them and `settle` writes them. Inside, while the function runs,
    `opened` makes those that it gets, and `closed` reads them at the end.
    """

    __slots__ = ("_first", "inner", "mixed", "outer", "places", "touched")

    def __init__(self, leaves: Sequence[Any], places: Sequence[int] | None = None):
        if places is None and Ref not in map(type, leaves):
            places = ()
        if places is None:
            places = [i for i, x in enumerate(leaves) if isinstance(x, Ref)]
        self.places = tuple(places)
        self.outer: list[Ref] = [leaves[i] for i in self.places]
        self.inner: list[Ref] = []
        #: those whose state backwards the mapped function used
        self.touched: list[int] = []
        #: whether the function used a reference from outside, whose argument it also wrote
        self.mixed: list[Ref] = []

    def values(self, leaves: Sequence[Any]) -> list[Any]:
        """The leaves with the values of the references in their place."""
        found = list(leaves)
        if not self.places:
            return found
        for i, ref in zip(self.places, self.outer, strict=True):
            found[i] = ref.read()
        return found

    def opened(self, values: Sequence[Any], dims: Sequence[int | None] | None = None) -> list[Any]:
        """The leaves that the function gets: references to these values.

        dims: where the values are mapped, for vmap.
        """
        if not self.places:
            return list(values)
        found = list(values)
        made: dict[Ref, Ref] = {}
        for i, ref in zip(self.places, self.outer, strict=True):
            if ref not in made:
                made[ref] = argument(values[i], ref, i)
            found[i] = made[ref]
        self.inner = [found[i] for i in self.places]
        trace = current()
        if trace is not None:
            trace.taken = dict.fromkeys(self.outer, False)
        if dims is not None:
            for i, ref, outer in zip(self.places, self.inner, self.outer, strict=True):
                trace.ref_dims[ref] = outer, dims[i]
        self._first = [values[i] for i in self.places]
        return found

    def closed(self) -> list[Any]:
        """The last values of the references that the function got."""
        if not self.places:
            return []
        last = [ref.read() for ref in self.inner]
        trace = current()
        if trace is not None and trace.taken is not None:
            self.mixed = [
                ref
                for ref, before, after in zip(self.outer, self._first, last, strict=True)
                if trace.taken[ref] and after is not before
            ]
        mapped = getattr(trace, "ref_dims", {})
        self.touched = [
            k for k, ref in enumerate(self.inner) if ref in mapped and ref.backward in trace.states
        ]
        return [*last, *(trace.states[self.inner[k].backward] for k in self.touched)]

    def settle(self, outputs: Sequence[Any], fun: Any = None, purpose: str = "") -> list[Any]:
        """The outputs of the function itself; the others are for the references.

        Raises ValueError if the function wrote to one and used the same from outside.
        """
        if not self.places:
            return list(outputs)
        if self.mixed:
            raise refuse_both(fun, purpose, self.mixed[0], self.places[self.outer.index(
                self.mixed[0])])  # fmt: skip
        written = [*self.outer, *(self.outer[k].backward for k in self.touched)]
        count = len(outputs) - len(written)
        for ref, value in zip(written, outputs[count:], strict=True):
            ref.write(value)
        return list(outputs[:count])


def eval_program(jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """The outputs of a program of `make_jaxpr`, one operation after another.

    Where the function had references, they or their values may be passed; those that it closes
    over may be left out. The references get their new values, which are no outputs then. Raises
    ValueError if one is there twice.
    """
    program, closed = jaxpr.without_consts(), [x for x in jaxpr.refs if isinstance(x, Ref)]
    given = list(args)
    if len(consts) + len(given) + len(closed) == len(program.inputs):
        given += closed
    elif len(consts) + len(given) != len(program.inputs):
        return evaluate(program, *consts, *given)  # says what is wrong
    first = len(given) - len(jaxpr.refs)  # those that it closes over come after its arguments
    places = [x if isinstance(x, int) else first + k for k, x in enumerate(jaxpr.refs)]
    passed = {k: given[p] for k, p in enumerate(places) if isinstance(given[p], Ref)}
    if not passed:
        return evaluate(program, *consts, *given)
    if len(set(passed.values())) < len(passed):
        raise ValueError(
            located(
                "a mutable array reference was passed twice, or is closed over too, for the "
                f"program {program.debug_name!r}",
                "the program would see two values of one reference",
                "pass the reference once",
            )
        )
    count = len(program.outputs) - len(places)
    inputs = program.inputs[len(consts) :]
    written = {
        ref: program.outputs[count + k] is not inputs[places[k]] for k, ref in passed.items()
    }
    for k, ref in passed.items():
        given[places[k]] = ref.read()
    with taken({behind(current(), ref): writes for ref, writes in written.items()}):
        outputs = evaluate(program, *consts, *given)
    for k, ref in passed.items():
        if written[ref]:
            ref.write(outputs[count + k])
    return [x for k, x in enumerate(outputs) if k - count not in passed]


def firsts(refs: Sequence[Ref]) -> list[int]:
    """For each of these references the position at which it is there first."""
    seen: dict[Ref, int] = {}
    return [seen.setdefault(ref, i) for i, ref in enumerate(refs)]


def argument(value: Any, outer: Ref, place: int | None) -> Ref:
    """A reference inside, to this value, for one outside."""
    ref = Ref(value, outer.kind)
    ref._outer, ref._place = outer, place
    return ref


def refuse_both(fun: Any, purpose: str, ref: Ref, place: Any) -> ValueError:
    """The error for a reference that a function gets and closes over."""
    return ValueError(
        located(
            f"when tracing {describe(fun)} for {purpose}, a mutable array reference of type "
            f"{ref.aval} was both closed over and passed as the argument {place}",
            "the function would see two values of one reference",
            "use the argument only, or the closed-over reference only",
        )
    )


def refuse_aliases(
    fun: Any, purpose: str, leaves: Sequence[Any], names: Callable[[], Sequence[str]]
) -> None:
    """Raise ValueError if one reference is there twice."""
    seen: dict[Ref, int] = {}
    for i, leaf in enumerate(leaves):
        if not isinstance(leaf, Ref):
            continue
        first = seen.setdefault(leaf, i)
        if first != i:
            known = names()
            raise ValueError(
                located(
                    "only one reference to a mutable array may be passed as an argument to a "
                    f"function, but when tracing {describe(fun)} for {purpose} the mutable array "
                    f"reference of type {leaf.aval} appeared at both {known[first]} and "
                    f"{known[i]}.",
                    "the function would see two values of one reference",
                    "pass the reference once",
                )
            )
