"""Which groups need which, in an order that is kept while groups appear, join and merge.

A dynamic topological order (Pearce and Kelly, 2006: A dynamic topological sort algorithm for
directed acyclic graphs): every node has a rank above those of all that it needs. Whether one node
needs another is then a search among the ranks between the two, which lie near each other in a long
program.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from fornax.record import field, record


@record(eq=False)
class Node:
    """`needs` and `users` are the two ends of the same edges."""

    rank: int = field(default=0, kw_only=True)
    needs: set[Node] = field(default_factory=set, kw_only=True)
    users: set[Node] = field(default_factory=set, kw_only=True)


class Order:
    """Ranks of nodes. New nodes come before all others, as in a backward walk."""

    def __init__(self) -> None:
        self.lowest = 0

    def add(self, node: Node) -> None:
        """Rank a node without edges below all others."""
        self.lowest -= 1
        node.rank = self.lowest

    def need(self, node: Node, needed: Node) -> None:
        """Record that `node` needs `needed`, which must not need `node`."""
        if needed in node.needs:
            return
        node.needs.add(needed)
        needed.users.add(node)
        if node.rank < needed.rank:
            below = _needed(needed, node.rank)
            above = _using(node, needed.rank)
            self.rerank(below, above)

    def depends(self, node: Node, other: Node) -> bool:
        """Whether `node` needs `other`, directly or not.

        Searched from both ends in turn: in a long program one of them soon has nowhere to go.
        """
        low, high = other.rank, node.rank
        if high <= low:
            return False
        below, above = {node}, {other}
        down, up = [node], [other]
        while down and up:
            for needed in down.pop().needs:
                if needed in above:
                    return True
                if needed.rank > low and needed not in below:
                    below.add(needed)
                    down.append(needed)
            for user in up.pop().users:
                if user in below:
                    return True
                if user.rank < high and user not in above:
                    above.add(user)
                    up.append(user)
        return False

    def needed_by(self, node: Node, others: Set[Node]) -> bool:
        """Whether one of others needs `node`, directly or not: one search for all of them."""
        highest = max([other.rank for other in others])
        return not others.isdisjoint(_using(node, highest))

    def merge(self, node: Node, other: Node) -> None:
        """Make `node` both; neither may need the other. `other` has no edges afterwards."""
        low, high = sorted((node, other), key=_rank)
        below = _needed(high, low.rank) - {high}
        above = _using(low, high.rank) - {low}
        ranks = sorted({n.rank for n in (*below, *above)} | {node.rank})
        for end in (node, other):
            end.needs.discard(end)
        node.needs |= other.needs
        node.users |= other.users
        for needed in other.needs:
            needed.users.discard(other)
            needed.users.add(node)
        for user in other.users:
            user.needs.discard(other)
            user.needs.add(node)
        other.needs, other.users = set(), set()
        self.assign([*sorted(below, key=_rank), node, *sorted(above, key=_rank)], ranks)

    def rerank(self, below: Set[Node], above: Set[Node]) -> None:
        """Give the ranks of both sets to the first, then to the second."""
        nodes = [*sorted(below, key=_rank), *sorted(above, key=_rank)]
        self.assign(nodes, sorted(n.rank for n in nodes))

    @staticmethod
    def assign(nodes: Iterable[Node], ranks: Iterable[int]) -> None:
        for node, rank in zip(nodes, ranks, strict=True):
            node.rank = rank


def _rank(node: Node) -> int:
    return node.rank


def _needed(start: Node, limit: int) -> set[Node]:
    """What `start` needs, directly or not, down to the rank `limit`; and itself."""
    seen, stack = {start}, [start]
    while stack:
        for node in stack.pop().needs:
            if node.rank >= limit and node not in seen:
                seen.add(node)
                stack.append(node)
    return seen


def _using(start: Node, limit: int) -> set[Node]:
    """What needs `start`, directly or not, up to the rank `limit`; and itself."""
    seen, stack = {start}, [start]
    while stack:
        for node in stack.pop().users:
            if node.rank <= limit and node not in seen:
                seen.add(node)
                stack.append(node)
    return seen
