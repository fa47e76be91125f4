"""In which order groups run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fornax.compiler.groups import Group, Read, starts_as
from fornax.compiler.order import Node, Order
from fornax.ir.jaxpr import Jaxpr, Var


def in_order(groups: Iterable[Group], jaxpr: Jaxpr) -> list[Group]:
    """Groups so that each comes after those it needs."""
    position = {x: i for i, e in enumerate(jaxpr.equations) for x in (e, *e.outputs)}

    def first(group: Group) -> int:
        if group.equation is not None and not group.members:
            return position[group.equation]
        return min(position[v] for v in group.members)

    order: list[Group] = []
    state: dict[Node, int] = {}
    for root in sorted(groups, key=first):
        stack = [root]
        while stack:
            group = stack[-1]
            if state.get(group) == 2:
                stack.pop()
                continue
            pending = [g for g in group.needs if isinstance(g, Group) and state.get(g) != 2]
            if state.get(group) == 1 or not pending:
                assert not pending, "groups depend on one another"
                state[group] = 2
                order.append(group)
                stack.pop()
                continue
            state[group] = 1
            stack.extend(sorted(pending, key=first, reverse=True))
    return order


def readers_first(
    groups: Sequence[Group], order: Order, reads: dict[Var, dict[tuple[Any, ...], Read]]
) -> None:
    """What is updated is read by others before: then the update can be made in place.

    That is so for one update of a value at most, so the others stay as free as they are.
    """
    known, done = set(groups), set()
    for group in groups:
        source = None if group.equation is None else starts_as(group.equation)
        if not isinstance(source, Var) or source in done:
            continue
        readers = {read.group for read in reads.get(source, {}).values()} & known
        readers.discard(group)
        if readers and not order.needed_by(group, readers):
            done.add(source)
            for reader in readers:
                order.need(group, reader)
