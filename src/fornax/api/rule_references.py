"""References that users' rules of derivatives and of vmap get or close over."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from fornax import pytree
from fornax.api.backward_state import decode, encode
from fornax.api.closures import closed_over_refs
from fornax.api.references import RefArguments, firsts, refuse_aliases
from fornax.api.signature import check_values, function_name, leaf_names
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.late import is_taken
from fornax.ir.late import known as late_refs
from fornax.ir.ref import Backward, Ref, away, behind, standing_for
from fornax.ir.trace import current
from fornax.ir.types import ArrayType, typeof
from fornax.source import located
from fornax.transforms.stage import stage

__all__ = ["CallWithRefs", "RuleRefs", "RuleRefsBackward"]


_NOTHING = contextlib.nullcontext()
_NO_REFS = RefArguments(())


class CallWithRefs:
    """One call of a function with rules: flat to flat, with the trees on both sides.

    Its flat arguments are the leaves, with the values of references in their places, and then the
    values of references that it closes over; the last values of both follow its outputs.
    """

    def __init__(self, kind: str, fun: Any, args: Sequence[Any]):
        self.fun = fun
        self.leaves, self.in_structure = pytree.tree_flatten(tuple(args))
        self.refs = RefArguments(self.leaves)
        if self.refs.places:
            if kind == "custom_vjp":
                refuse_aliases(fun, kind, self.leaves, lambda: leaf_names(fun, args, {}))
            check_values([x for x in self.leaves if not isinstance(x, Ref)], "Argument")
        else:
            check_values(self.leaves, "Argument")
        self.places = self.refs.places
        self.types = [ref.type for ref in self.refs.outer]
        self.kinds = [ref.kind for ref in self.refs.outer]
        self.firsts = firsts(self.refs.outer)
        #: what the rules are and get beside the arguments: they close over references too
        self.rules: Sequence[Any] = ()
        #: references that the function and its rules close over, known once it has been traced
        self.closed: list[Ref] = []
        #: the references among the arguments, where no program was made
        self.outer: list[Ref] = []
        self.out_structure: pytree.PyTreeDef | None = None
        self.out_types: list[Any] | None = None

    def directly(self) -> list[Any]:
        """The outputs of the function on the arguments as they are."""
        return self._outputs(self.take_leaves())

    def __call__(self, *values: Any) -> list[Any]:
        return [*self._outputs(self.refs.opened(values)), *self.refs.closed()]

    def _outputs(self, leaves: Sequence[Any]) -> list[Any]:
        outputs, self.out_structure = pytree.tree_flatten(self.fun(*self.arguments(leaves)))
        check_values(outputs, f"Output of {function_name(self.fun)}: value")
        self.out_types = [typeof(x) for x in outputs]
        return outputs

    def program(self, values: Sequence[Any], name: str) -> Jaxpr:
        """The function for such values; from now on `closed` is known.

        What its rules alone close over it hands on, but for what is passed here or further out:
        they could see two values of that.
        """
        passed, trace = set(self.refs.outer), current()
        outer = trace
        while outer is not None:
            passed.update(outer.taken or ())
            outer = outer.parent
        found = [*closed_over_refs(self.rules), *(ref for ref in late_refs() if ref.known)]
        reached = [ref for ref in found if ref not in passed and not is_taken(behind(trace, ref))]

        def function(*values: Any) -> list[Any]:
            for ref in reached:
                ref.read()
            return self(*values)

        used: list[Ref | int] = []
        jaxpr = stage(function, [typeof(x) for x in values], name, refs=used)
        arguments = dict(zip(self.places, self.refs.outer, strict=True))
        self.closed = [arguments[x].backward if isinstance(x, int) else x for x in used]
        return jaxpr

    def arguments(self, leaves: Sequence[Any]) -> Sequence[Any]:
        """The arguments of the function, from their leaves."""
        return pytree.tree_unflatten(self.in_structure, leaves)

    def take_leaves(self) -> list[Any]:
        """The argument leaves, which the rules must not keep alive."""
        leaves, self.leaves = self.leaves, []
        return leaves

    def forget(self) -> None:
        """Let go of what belongs to the transformation that is running now."""
        self.refs = _NO_REFS


class RuleRefs:
    """The references of one run of a rule, made of the values that the operation was given."""

    def __init__(self, call: CallWithRefs, primals: Sequence[Any]):
        if not call.places and not call.closed:
            self.leaves, self.arguments, self.all = list(primals), [], []
            self.standing: dict[Ref, Ref] = {}
            return
        count = len(primals) - len(call.closed)
        self.leaves = list(primals[:count])
        self.arguments: list[Ref] = []
        for i, kind, first in zip(call.places, call.kinds, call.firsts, strict=True):
            new = first == len(self.arguments)
            self.arguments.append(Ref(primals[i], kind) if new else self.arguments[first])
        for i, ref in zip(call.places, self.arguments, strict=True):
            self.leaves[i] = ref
        closed = [Ref(x, ref.kind) for x, ref in zip(primals[count:], call.closed, strict=True)]
        self.standing = dict(zip(call.closed, closed, strict=True))
        self.all = [*self.arguments, *closed]

    def running(self) -> contextlib.AbstractContextManager[None]:
        """While this lasts, these references stand for those that the rule closes over."""
        return standing_for(self.standing) if self.standing else _NOTHING

    def last(self) -> list[Any]:
        """Their values at the end."""
        return [ref.read() for ref in self.all]

    def number(self, ref: Ref, what: str) -> int:
        """Which argument a reference is. Raises ValueError if it is none."""
        for k, known in enumerate(self.arguments):
            if known is ref:
                return k
        raise ValueError(
            located(
                f"{what} returned a mutable array reference of type {ref.aval} that was not an "
                "argument",
                "the way back knows references among the arguments only",
                "make it an argument of the function, and return None for its cotangent; or "
                "return freeze(ref), the value",
            )
        )


class RuleRefsBackward:
    """The references of one run of a bwd rule.

    states: a cotangent for each reference, arguments first, which is its value; None for one that
    is out of reach.
    """

    def __init__(self, call: CallWithRefs, states: Sequence[Any]):
        self.plain = [ref for ref in call.closed if not isinstance(ref, Backward)]
        types = [*call.types, *(ref.type for ref in self.plain)]
        kinds = [*call.kinds, *(ref.kind for ref in self.plain)]
        self.outer = call.outer
        self.states = list(states)
        self.all = [_state(*each) for each in zip(states, types, kinds, strict=True)]

    def running(self) -> contextlib.AbstractContextManager[None]:
        """While this lasts, these references stand for those that the rule closes over."""
        if not self.all:
            return _NOTHING
        count = len(self.all) - len(self.plain)
        known = dict(zip(self.outer, self.all[:count], strict=True)) if self.outer else {}
        known.update(zip(self.plain, self.all[count:], strict=True))
        return standing_for(known)

    def last(self) -> list[Any]:
        """Their states at the end."""
        return [
            None if state is None else encode(ref.read())
            for state, ref in zip(self.states, self.all, strict=True)
        ]


def _state(state: Any, type: ArrayType, kind: str | None) -> Ref:
    if state is not None:
        return Ref(decode(state, type), kind)
    ref = Ref(0, kind)
    ref.type = type
    return away(ref, "left behind")
