"""The order of groups against plain searches, for random graphs."""

import random

import pytest

from fornax.compiler.order import Node, Order


def reaches(edges, start, goal):
    stack, seen = [start], {start}
    while stack:
        for a, b in edges:
            if a is stack[-1] and b not in seen:
                seen.add(b)
                stack.insert(0, b)
        stack.pop()
    return goal in seen - {start} or (start, goal) in edges


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs(seed):
    choose = random.Random(seed)
    order, nodes, edges = Order(), [], set()
    for _ in range(60):
        action = choose.random()
        if action < 0.3 or len(nodes) < 2:
            nodes.append(Node())
            order.add(nodes[-1])
            continue
        a, b = choose.sample(nodes, 2)
        assert order.depends(a, b) == reaches(edges, a, b)
        if action < 0.8 and not reaches(edges, b, a):
            order.need(a, b)
            edges.add((a, b))
        elif action >= 0.8 and not reaches(edges, a, b) and not reaches(edges, b, a):
            order.merge(a, b)
            nodes.remove(b)
            edges = {(a if x is b else x, a if y is b else y) for x, y in edges}
        assert all(x.rank > y.rank for x, y in edges)
        assert len({n.rank for n in nodes}) == len(nodes)
        assert {(n, m) for n in nodes for m in n.needs} == edges
        assert {(m, n) for n in nodes for m in n.users} == edges
