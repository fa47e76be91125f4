"""Types of values that libraries define: they can be defined, and say so when they are used."""

from __future__ import annotations

import collections

import pytest

import fornax
import fornax.numpy as fnp
from fornax.compat import hijax, tree_names
from fornax.ir.effects import Effect


def test_types_and_operations_can_be_defined():
    class Pair:
        pass

    class PairType(hijax.MutableHiType):
        half = hijax.aval_property(fget=lambda self: 1)
        whole = hijax.aval_method(lambda self: 2)

    class Make(hijax.HiPrimitive):
        multiple_results = True

    class Made(Effect):
        pass

    hijax.register_hitype(Pair, lambda pair: PairType())
    hijax.control_flow_allowed_effects.add_type(Made)
    assert hijax.control_flow_allowed_effects.contains(Made) and str(Made()) == "Made"
    assert isinstance(hijax.hitypes[Pair](Pair()), hijax.HiType)
    with pytest.raises(NotImplementedError, match="make_pair is an operation on values of types"):
        Make("make_pair").bind(1.0)
    with pytest.raises(TypeError, match="Pair"):
        fornax.jit(lambda p: 1)(Pair())


def test_zeros_of_tangents():
    zero = hijax.Zero(fornax.typeof(fnp.ones(2)))
    assert hijax.instantiate_zeros(zero).shape == (2,)
    assert hijax.AvalQDD(zero.type, None).aval is zero.type


def test_the_table_of_nodes():
    @fornax.tree_util.register_pytree_node_class
    class Node:
        def __init__(self, *children):
            self.children = children

        def tree_flatten(self):
            return self.children, None

        @classmethod
        def tree_unflatten(cls, _, children):
            return cls(*children)

    table = tree_names._registry
    assert {tuple, dict, list, type(None), collections.OrderedDict, Node} <= set(table)
    assert int not in table and len(table) == len(list(table))
    for value in ((1, 2), {"b": 1, "a": 2}, Node(1, 2), None):
        entry = table[type(value)]
        children, known = entry.to_iter(value)
        assert fornax.tree.leaves(entry.from_iter(known, children)) == fornax.tree.leaves(value)
    with pytest.raises(KeyError):
        table[int]
    assert tree_names.tree_map is fornax.tree_util.tree_map
