"""Flatten, rebuild, compare and describe: behaviour recorded from JAX 0.10.2."""

import copy
import gc
import itertools
import pickle
import sys
import weakref
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
from pytree_cases import PREFIXES, TREES, Box, KeyedBox, Layer, Plain, Point, Tag

import fornax.tree_util as tree_util
from fornax._native import pytree as native
from fornax.pytree import none_leaf_registry, reference, treedef_is_strict_leaf
from fornax.tree_util import (
    PyTreeDef,
    tree_flatten,
    tree_leaves,
    tree_map,
    tree_structure,
    tree_unflatten,
)

identifier = [text for _, text in TREES]


@pytest.mark.parametrize(("tree", "text"), TREES, ids=identifier)
def test_text_counts_and_round_trip(tree, text):
    leaves, structure = tree_flatten(tree)
    assert repr(structure) == str(structure) == f"PyTreeDef({text})"
    expected_leaves, expected = reference.flatten(tree)
    assert leaves == expected_leaves == tree_leaves(tree)
    assert str(expected) == str(structure)
    assert (structure.num_leaves, structure.num_nodes) == (expected.num_leaves, expected.num_nodes)
    rebuilt = structure.unflatten(leaves)
    assert type(rebuilt) is type(tree)
    assert rebuilt == tree
    assert expected.unflatten(leaves) == tree
    assert tree_structure(rebuilt) == structure
    assert hash(tree_structure(rebuilt)) == hash(structure)
    assert structure.flatten_up_to(tree) == leaves


@pytest.mark.parametrize(("tree", "text"), TREES, ids=identifier)
def test_structures_are_taken_apart_and_rebuilt(tree, text):
    structure = tree_structure(tree)
    for restored in (
        pickle.loads(pickle.dumps(structure)),
        copy.deepcopy(structure),
        copy.copy(structure),
        PyTreeDef.from_node_data_and_children(
            tree_util.default_registry, structure.node_data(), structure.children()
        ),
        structure.compose(tree_structure(0)),
        tree_structure(0).compose(structure),
    ):
        assert restored == structure
        assert str(restored) == str(structure)
    pair = structure.compose(tree_structure((0, None)))
    assert str(pair) == str(structure).replace("*", "(*, None)")
    assert pair.num_leaves == structure.num_leaves


def test_structures_of_different_trees_differ():
    structures = [tree_structure(tree) for tree, _ in TREES]
    for (first_tree, first_text), first in zip(TREES, structures, strict=True):
        for (second_tree, second_text), second in zip(TREES, structures, strict=True):
            assert (first == second) == (first_text == second_text), (first_tree, second_tree)
            assert (first != second) == (first_text != second_text)
    assert tree_structure([1]) != 3
    with pytest.raises(TypeError):
        assert tree_structure([1]) < tree_structure([1])


def test_equality_is_that_of_the_metadata():
    assert tree_structure({1: 0}) == tree_structure({True: 0}) == tree_structure({np.int64(1): 0})
    assert tree_structure(Box(info=1)) == tree_structure(Box(info=1.0))
    assert hash(tree_structure(Box(info=1))) == hash(tree_structure(Box(info=np.int32(1))))
    assert tree_structure(Box(info=[1])) == tree_structure(Box(info=[1]))
    assert hash(tree_structure(Box(info=[1]))) == hash(tree_structure(Box(info=[1])))


def test_metadata_without_a_truth_value():
    array = np.arange(3)
    first, second = tree_structure(Box(info=array)), tree_structure(Box(info=array.copy()))
    assert first == first == tree_structure(Box(info=array))
    with pytest.raises(ValueError, match="metadata of two pytree nodes of type Box"):
        assert first == second
    with pytest.raises(ValueError, match="metadata of two pytree nodes of type Box"):
        first.flatten_up_to(Box(info=array.copy()))
    with pytest.raises(ValueError, match="metadata of two pytree nodes of type Box"):
        tree_map(lambda a, b: a, Box(info=array), Box(info=array.copy()))


def test_mapping_keeps_keys_and_metadata_as_they_are():
    tree_map(lambda x: x, {1: 0})
    keep = tree_structure({1: 0}), tree_structure(Box(info=1)), tree_structure({0.0: 1})
    assert [type(key) for key in tree_map(lambda x: x, {True: 0})] == [bool]
    assert type(tree_map(lambda x: x, Box(info=True)).info) is bool
    assert str(*tree_map(lambda x: x, {-0.0: 1})) == "-0.0"
    info = [1]
    keep += (tree_structure(Box(info=[1])),)
    assert tree_map(lambda x: x, Box(info=info)).info is info


def test_equal_structures_are_shared_while_they_live():
    tree = {"a": (1, None), "b": [Point(1, 2), OrderedDict(q=1)], "c": Layer(1, 2, "n")}
    assert tree_structure(tree) is tree_structure(copy.deepcopy(tree))
    assert native.canonical_structure(tree) is tree_structure(tree)
    opaque = native.canonical_structure(Box(info=[1, 2]))
    assert native.canonical_structure(Box(info=[1, 2])) is opaque
    assert tree_structure(Box(info=[1, 2])) is not opaque
    assert native.canonical_structure(Box(info=[1, 3])) is not opaque


def test_nothing_is_kept_alive():
    class Info:
        pass

    info = Info()
    structure = native.canonical_structure([Box(1, info=info)])
    alive, structure_alive = weakref.ref(info), weakref.ref(structure)
    del info
    assert alive() is not None
    del structure
    assert alive() is None
    assert structure_alive() is None


def test_cycles_through_metadata_are_collected():
    class Info:
        pass

    info = Info()
    info.structure = native.canonical_structure(Box(info=info))
    alive = weakref.ref(info)
    del info
    gc.collect()
    assert alive() is None


def test_reference_counts_stay_level():
    leaf, bad = object(), {"a": object(), 1: object()}
    tree = {"a": [leaf, (leaf,)], "b": Box(leaf, info="i"), "c": Layer(leaf, leaf)}

    def everything():
        leaves, structure = tree_flatten(tree)
        structure.unflatten(leaves)
        structure.flatten_up_to(tree)
        structure.children()
        tree_util.tree_flatten_with_path(tree)
        for failing in (
            lambda: tree_flatten([tree, bad]),
            lambda: tree_util.tree_flatten_with_path([tree, bad]),
            lambda: structure.unflatten([leaf]),
            lambda: structure.flatten_up_to({**tree, "a": [leaf, leaf]}),
        ):
            with pytest.raises(ValueError):
                failing()

    everything()
    before = sys.getrefcount(leaf)
    for _ in range(20):
        everything()
    assert sys.getrefcount(leaf) == before


def test_insertion_order_does_not_matter():
    for _ in range(3):
        forwards = {f"k{i}": i for i in range(20)}
        backwards = dict(reversed(forwards.items()))
        other = {f"k{i}": i for i in reversed(range(20))}
        for tree in (forwards, backwards, other):
            assert tree_leaves(tree) == [forwards[key] for key in sorted(forwards)]
            assert list(tree_map(lambda x: x, tree)) == sorted(forwards)
            assert tree_structure(tree) is tree_structure(forwards)


def test_ordered_dict_follows_its_own_order():
    tree = OrderedDict(a=1, b=2)
    tree.move_to_end("a")
    leaves, structure = tree_flatten(tree)
    assert leaves == [2, 1]
    rebuilt = structure.unflatten(leaves)
    assert list(rebuilt) == ["b", "a"]
    rebuilt.move_to_end("b")
    assert list(rebuilt) == ["a", "b"]


def test_defaultdict_keeps_its_factory():
    rebuilt = tree_map(lambda x: x, defaultdict(list, a=1))
    assert rebuilt["new"] == []


@pytest.mark.parametrize("nest", [lambda x: x, lambda x: [0, x], lambda x: {"deep": (x,)}])
def test_keys_that_cannot_be_sorted(nest):
    for function in (tree_flatten, tree_util.tree_flatten_with_path, tree_leaves):
        with pytest.raises(ValueError, match="dict cannot be sorted.*'<' not supported") as caught:
            function(nest({1: 0, "a": 1}))
        assert isinstance(caught.value.__cause__, TypeError)
    with pytest.raises(ValueError, match=r"at key path \[1\]\['q'\]"):
        tree_flatten([0, {"q": {1: 0, "a": 1}}])


def test_wrong_numbers_of_leaves():
    structure = tree_structure({"a": 1, "b": (2, 3)})
    assert structure.unflatten(iter([1, 2, 3])) == {"a": 1, "b": (2, 3)}
    with pytest.raises(ValueError, match="too few leaves.*it has 3, got 2"):
        tree_unflatten(structure, [1, 2])
    with pytest.raises(ValueError, match="too many leaves"):
        tree_unflatten(structure, range(4))
    with pytest.raises(ValueError, match="too many leaves"):
        structure.unflatten(itertools.count())
    with pytest.raises(TypeError):
        structure.unflatten(3)
    with pytest.raises(TypeError, match="PyTreeDef"):
        structure.compose(3)
    with pytest.raises(TypeError):
        PyTreeDef()


@pytest.mark.parametrize(("prefix", "full", "fits"), PREFIXES)
def test_flatten_up_to(prefix, full, fits):
    structure, expected = tree_structure(prefix), reference.flatten(prefix)[1]
    if fits:
        assert structure.flatten_up_to(full) == expected.flatten_up_to(full)
        return
    for matcher in (structure, expected):
        with pytest.raises(ValueError, match="expected"):
            matcher.flatten_up_to(full)


def test_flatten_up_to_says_where():
    structure = tree_structure({"a": (1, Layer(2, [3, 4]))})
    pattern = (
        r"list with 2 children.*\(at key path \['a'\]\[1\]\.bias\)\n  where: .*\n  why: .*\n  try: "
    )
    with pytest.raises(ValueError, match=pattern):
        structure.flatten_up_to({"a": (1, Layer(2, [3]))})


def test_is_leaf():
    tree = {"a": (1, 2), "b": None, "c": [3]}
    assert tree_leaves(tree, is_leaf=lambda x: x is None) == [1, 2, None, 3]
    assert tree_leaves(tree, is_leaf=lambda x: isinstance(x, tuple)) == [(1, 2), 3]
    assert tree_leaves(tree, is_leaf=lambda x: True) == [tree]
    with pytest.raises(ZeroDivisionError):
        tree_leaves(tree, is_leaf=lambda x: 1 / 0)
    for answer in (3, [], np.bool_(True)):
        with pytest.raises(ValueError, match="is_leaf should return a bool"):
            tree_leaves(tree, is_leaf=lambda x, answer=answer: answer)


def test_none_as_a_leaf():
    leaves, structure = none_leaf_registry.flatten((1, None))
    assert leaves == [1, None]
    assert structure == tree_structure((1, 2))
    assert structure.unflatten(leaves) == (1, None)
    assert not none_leaf_registry.is_node(type(None))


def test_trees_that_are_too_deep():
    deep = 0
    for _ in range(100_000):
        deep = [deep]
    for function in (tree_flatten, tree_leaves, tree_util.tree_flatten_with_path):
        with pytest.raises(RecursionError):
            function(deep)
    shallow = tree_structure([0])
    structure = shallow
    for _ in range(14):
        structure = structure.compose(structure)
    assert structure.num_nodes == 2**14 + 1
    nested = structure.unflatten([0])
    with pytest.raises(RecursionError):
        structure.flatten_up_to(nested)
    assert repr(structure).count("[") == 2**14
    while nested:  # CPython's own comparison and repr would recurse
        nested = nested[0]


def test_a_list_that_shrinks_while_it_is_flattened():
    tree = [[0], 1, 2, 3]

    def shrink(node):
        if node == [0]:
            del tree[2:]
        return False

    assert tree_leaves(tree, is_leaf=shrink) == [0, 1]


def test_flatten_functions_may_flatten():
    class Nested:
        def __init__(self, inside):
            self.inside = inside

    tree_util.register_pytree_node(
        Nested,
        lambda n: tree_flatten(n.inside),
        lambda structure, leaves: Nested(structure.unflatten(leaves)),
    )
    leaves, structure = tree_flatten([Nested({"a": Nested([1, 2])}), 3])
    assert leaves == [1, 2, 3]
    assert structure.unflatten(leaves)[0].inside["a"].inside == [1, 2]


def test_metadata_whose_comparison_flattens():
    class Info:
        def __init__(self, tree):
            self.tree = tree

        def __eq__(self, other):
            return tree_structure((self.tree, 0)) == tree_structure((other.tree, 0))

    first = native.canonical_structure(Box(info=Info([1])))
    second = native.canonical_structure(Box(info=Info([1, 2])))
    assert native.canonical_structure(Box(info=Info([5]))) is first
    assert native.canonical_structure(Box(info=Info([5, 6]))) is second


def test_leaves_that_change_while_they_are_used():
    leaves = [[0], [1], [2]]

    class Greedy:
        pass

    def unflatten(_, children):
        leaves.clear()
        return Greedy()

    tree_util.register_pytree_node(Greedy, lambda g: ((0,), None), unflatten)
    rebuilt = tree_structure([Greedy(), 1, 2]).unflatten(leaves)
    assert rebuilt[1:] == [[1], [2]]


def test_structure_methods():
    structure = tree_structure({"a": 1, "b": (2, None)})
    assert structure.node_data() == (dict, ["a", "b"])
    assert structure.children() == [tree_structure(0), tree_structure((0, None))]
    assert tree_structure(0).node_data() is None
    assert tree_structure(None).node_data() == (type(None), None)
    assert tree_structure(Point(1, 2)).node_data() == (Point, None)
    assert tree_structure(Plain(1, 2)).node_data() == (Plain, (2,))
    assert tree_structure(Tag("q")).node_data() == (Tag, "q")
    seen = structure.walk(lambda children, data: (children, data), lambda leaf: leaf * 10, [1, 2])
    assert seen == ((10, ((20, ((), None)), None)), ["a", "b"])
    assert structure.walk(lambda children, _: list(children), None, [1, 2]) == [1, [2, []]]
    assert tree_structure(Point(0, 0)).walk(lambda c, cls: cls(*c), None, [1, 2]) == Point(1, 2)
    with pytest.raises(ValueError, match="expects 2 leaves"):
        structure.walk(lambda *a: a, None, [1])
    assert structure.from_iterable_tree([1, (2, ())]) == {"a": 1, "b": (2, None)}
    assert tree_util.build_tree(tree_structure((1, [2])), [3, (4,)]) == (3, [4])
    with pytest.raises(ValueError, match="arity"):
        structure.from_iterable_tree([1])


def test_structures_from_parts_are_checked():
    make, registry, leaf = (
        PyTreeDef.from_node_data_and_children,
        tree_util.default_registry,
        tree_structure(0),
    )
    assert make(registry, None, []) == leaf
    assert make(registry, (dict, ["b", "a"]), [leaf, leaf]).unflatten([1, 2]) == {"b": 1, "a": 2}
    for data, children in (
        ((int, None), []),
        ((dict, ["a"]), []),
        ((type(None), None), [leaf]),
        ((Plain, ()), [leaf]),
        ((defaultdict, ("a",)), [leaf]),
    ):
        with pytest.raises(RuntimeError, match="pytree node of type"):
            make(registry, data, children)
    with pytest.raises(TypeError):
        make(registry, (tuple, None), [3])
    with pytest.raises(TypeError):
        make(registry, 3, [])


def test_treedef_functions():
    leaf, pair = tree_structure(1), tree_structure((1, 2))
    assert str(tree_util.treedef_tuple([leaf, pair])) == "PyTreeDef((*, (*, *)))"
    assert str(tree_util.treedef_tuple(())) == "PyTreeDef(())"
    assert tree_util.treedef_children(pair) == [leaf, leaf]
    trees = (1, None, (), (1, 2))
    is_leaf = [tree_util.treedef_is_leaf(tree_structure(t)) for t in trees]
    assert is_leaf == [True, True, True, False]
    strict = [treedef_is_strict_leaf(tree_structure(t)) for t in trees]
    assert strict == [True, False, False, False]
    with pytest.raises(TypeError, match="entry 0"):
        tree_util.treedef_tuple([3])


def test_one_level():
    one, keyed = tree_util.flatten_one_level, tree_util.flatten_one_level_with_keys
    assert one({"b": 1, "a": [2]}) == ([[2], 1], ("a", "b"))
    assert one(None) == ([], None)
    assert one(Box(1, (2,), info="i")) == ([1, (2,)], "i")
    children, info = keyed(KeyedBox(1, 2, info="i"))
    assert [(str(key), child) for key, child in children] == [(".part0", 1), (".part1", 2)]
    assert info == "i"
    for function in (one, keyed):
        with pytest.raises(ValueError, match="int"):
            function(3)
