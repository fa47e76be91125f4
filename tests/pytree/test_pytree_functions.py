"""The public tree functions: map, reduce, transpose, broadcast, Partial."""

import functools
import pickle

import pytest
from pytree_cases import PREFIXES, Box, Layer, Plain, Point, Tag

import fornax.tree
import fornax.tree_util as tree_util
from fornax.pytree import (
    broadcast_prefix,
    equality_errors_pytreedef,
    flatten_axes,
    structure_paths,
)
from fornax.tree_util import (
    Partial,
    tree_broadcast,
    tree_flatten,
    tree_leaves,
    tree_map,
    tree_reduce,
    tree_reduce_associative,
    tree_structure,
    tree_transpose,
)


def collect(*arguments):
    return arguments


@pytest.mark.parametrize(("prefix", "full", "fits"), PREFIXES)
def test_map_over_two_trees(prefix, full, fits):
    if fits:
        leaves = tree_leaves(prefix)
        mapped = tree_map(collect, prefix, full)
        subtrees = tree_structure(prefix).flatten_up_to(full)
        expected = list(zip(leaves, subtrees, strict=True))
        assert tree_leaves(mapped, is_leaf=lambda x: type(x) is tuple and x in expected) == expected
        return
    with pytest.raises(ValueError, match="pytree structure mismatch at tree_map tree"):
        tree_map(collect, prefix, full)
    with pytest.raises(ValueError, match="tree_map_with_path tree"):
        tree_util.tree_map_with_path(collect, prefix, full)
    with pytest.raises(ValueError, match="broadcast_prefix prefix_tree"):
        tree_broadcast(prefix, full)


def test_map():
    assert tree_map(lambda x: x + 1, {"b": 1, "a": (2, None)}) == {"a": (3, None), "b": 2}
    assert tree_map(collect, [1, None], [2, None], is_leaf=lambda x: x is None) == [
        (1, 2),
        (None, None),
    ]
    assert tree_map(collect, [1, 2], [3, [4]], [(5,), 6]) == [(1, 3, (5,)), (2, [4], 6)]
    assert tree_map(f=lambda x: -x, tree=[1]) == [-1]
    with pytest.raises(ZeroDivisionError):
        tree_map(lambda x: 1 / 0, [1])


def test_errors_of_user_functions_name_the_place():
    class Broken:
        pass

    tree_util.register_pytree_node(Broken, lambda b: 1 / 0, lambda m, c: Broken())
    with pytest.raises(ZeroDivisionError) as caught:
        tree_flatten({"a": [0, Broken()]})
    assert caught.value.__notes__ == ["This happened at pytree key path ['a'][1]"]


def test_reduce():
    tree = {"a": [1, 2], "b": (3, None, 4)}
    assert tree_reduce(lambda a, b: a + b, tree) == 10
    assert tree_reduce(collect, tree, 0) == ((((0, 1), 2), 3), 4)
    assert tree_reduce(collect, tree, None) == ((((None, 1), 2), 3), 4)
    assert tree_reduce(collect, [[1], [2]], is_leaf=lambda x: x in ([1], [2])) == ([1], [2])
    with pytest.raises(TypeError, match="empty"):
        tree_reduce(collect, [])


def test_reduce_associative():
    shapes = {
        1: 0,
        4: ((0, 1), (2, 3)),
        5: ((0, 1), (2, (3, 4))),
        7: ((0, (1, 2)), ((3, 4), (5, 6))),
    }
    for count, expected in shapes.items():
        assert tree_reduce_associative(collect, list(range(count))) == expected
    assert tree_reduce_associative(collect, [1, 2], identity=0) == (1, 2)
    assert tree_reduce_associative(collect, [], identity=0) == 0
    with pytest.raises(TypeError, match="identity"):
        tree_reduce_associative(collect, [])


def test_all():
    assert tree_util.tree_all([]) is tree_util.tree_all([1, None, (True,)]) is True
    assert tree_util.tree_all([1, 0]) is False
    assert tree_util.all_leaves([1, "a"]) is True
    assert tree_util.all_leaves([1, None]) is tree_util.all_leaves([[1]]) is False
    assert tree_util.all_leaves([None, 1], is_leaf=lambda x: x is None) is True
    assert tree_util.all_leaves(iter([])) is True
    assert tree_util.is_tree_node(Point) and tree_util.is_tree_node(type(None))
    assert not tree_util.is_tree_node(int)


def test_transpose():
    outer, inner = tree_structure([0, 0]), tree_structure({"a": 0, "b": (0, 0)})
    tree = [{"a": 1, "b": (2, 3)}, {"a": 4, "b": (5, 6)}]
    expected = {"a": [1, 4], "b": ([2, 5], [3, 6])}
    assert tree_transpose(outer, inner, tree) == expected
    assert tree_transpose(outer, None, tree) == expected
    assert tree_transpose(tree_structure(0), tree_structure((1, 2)), (3, 4)) == (3, 4)
    with pytest.raises(TypeError, match="outer and inner"):
        tree_transpose(outer, tree_structure((0,)), tree)


def test_broadcast():
    full = [{"a": 1, "b": 3}, (2, None)]
    assert tree_broadcast([1, 2], full) == [{"a": 1, "b": 1}, (2, None)]
    assert broadcast_prefix([1, 2], full) == [1, 1, 2]
    assert broadcast_prefix(7, full) == [7, 7, 7]
    assert broadcast_prefix([1, None], [[3, 4], 2], is_leaf=lambda x: x is None) == [1, 1, None]
    assert broadcast_prefix(1, [None, 2], is_leaf=lambda x: x is None) == [1]


def test_flatten_axes():
    structure = tree_structure(([1, 2], 3))
    assert flatten_axes("in_axes", structure, 0) == [0, 0, 0]
    assert flatten_axes("in_axes", structure, None) == [None, None, None]
    assert flatten_axes("in_axes", structure, (0, None)) == [0, 0, None]
    assert flatten_axes("in_axes", structure, ([0, 1], None)) == [0, 1, None]
    with_none = tree_structure(([1, 2], 3, None))
    assert flatten_axes("in_axes", with_none, (None, 1, None)) == [None, None, 1]
    with pytest.raises(ValueError, match=r"in_axes\[0\]") as caught:
        flatten_axes("in_axes", structure, ([0], [1]))
    assert "in_axes[1]" in str(caught.value)
    with pytest.raises(ValueError, match="wrap it in a tuple"):
        flatten_axes("in_axes", tree_structure((1, 2)), [0, 1], tupled_args=True)
    call = tree_structure(((1, 2), {"k": 3}))
    assert flatten_axes("in_axes", call, ((0, 1), 0), kws=True) == [0, 1, 0]
    with pytest.raises(ValueError, match=r"at in_axes:"):
        flatten_axes("in_axes", call, ((0, 1, 2), 0), kws=True)


def test_classes_that_refuse_placeholders():
    class Strict:
        def __init__(self, value):
            if not isinstance(value, int):
                raise TypeError("numbers only")
            self.value = value

    tree_util.register_pytree_with_keys(
        Strict,
        lambda s: ([(tree_util.GetAttrKey("value"), s.value)], None),
        lambda _, children: Strict(*children),
    )
    structure = tree_structure((Strict(1), [2]))
    assert flatten_axes("in_axes", structure, (Strict(0), None)) == [0, None]
    assert flatten_axes("in_axes", structure, (0, 1)) == [0, 1]
    with pytest.raises(ValueError, match="is not a prefix of"):
        flatten_axes("in_axes", structure, [0, 1])
    assert structure_paths(structure)[0] == (
        tree_util.SequenceKey(0),
        tree_util.FlattenedIndexKey(0),
    )
    [(_, *texts)] = equality_errors_pytreedef(structure, tree_structure((Strict(1), (2,))))
    assert texts == ["<class 'list'>", "<class 'tuple'>", "their Python types differ"]


def add(a, b, scale=1):
    return (a + b) * scale


def test_partial():
    partial = Partial(add, 1, scale=3)
    assert isinstance(partial, functools.partial)
    assert partial(2) == 9
    leaves, structure = tree_flatten(partial)
    assert leaves == [1, 3]
    assert structure.unflatten([2, 4])(1) == 12
    assert structure == tree_structure(Partial(add, 5, scale=6))
    assert structure != tree_structure(Partial(print, 5, scale=6))
    assert tree_map(lambda x: x * 2, partial)(2) == 24
    for inner in (Partial(add, 1), functools.partial(add, 1)):
        nested = Partial(inner, 2)
        assert tree_leaves(nested) == [2]
        assert nested() == 3
        assert tree_structure(nested) == tree_structure(Partial(inner, 7))
    assert pickle.loads(pickle.dumps(partial))(2) == 9
    with pytest.raises(TypeError):
        Partial(3)


def test_short_names():
    for name in fornax.tree.__all__:
        if name != "static":
            assert getattr(fornax.tree, name) is getattr(tree_util, f"tree_{name}")
    for module in (fornax.tree, tree_util):
        assert all(getattr(module, name).__doc__ for name in module.__all__)
    assert tree_map(lambda x: x + 1, [Layer(1, 2), Plain(3, "i"), Tag("t"), Box(4)]) == [
        Layer(2, 3),
        Plain(4, "i"),
        "t",
        Box(5),
    ]
