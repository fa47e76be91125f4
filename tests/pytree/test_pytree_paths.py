"""Key paths, and messages that use them."""

import copy
import pickle
from collections import OrderedDict, defaultdict

import pytest
from pytree_cases import TREES, Box, KeyedBox, Layer, Plain, Point

import fornax.tree_util as tree_util
from fornax.pytree import (
    equality_errors,
    equality_errors_pytreedef,
    prefix_errors,
    structure_paths,
)
from fornax.tree_util import (
    DictKey,
    FlattenedIndexKey,
    GetAttrKey,
    SequenceKey,
    keystr,
    tree_flatten,
    tree_flatten_with_path,
    tree_leaves_with_path,
    tree_map_with_path,
    tree_structure,
)

KEYS = [
    (SequenceKey(1), "SequenceKey(idx=1)", "[1]", "1"),
    (DictKey("a"), "DictKey(key='a')", "['a']", "a"),
    (DictKey(3), "DictKey(key=3)", "[3]", "3"),
    (GetAttrKey("n"), "GetAttrKey(name='n')", ".n", "n"),
    (FlattenedIndexKey(3), "FlattenedIndexKey(key=3)", "[<flat index 3>]", "3"),
]


@pytest.mark.parametrize(("key", "representation", "text", "simple"), KEYS)
def test_keys(key, representation, text, simple):
    assert repr(key) == representation
    assert str(key) == keystr((key,)) == text
    assert keystr((key,), simple=True) == simple
    for twin in (copy.copy(key), pickle.loads(pickle.dumps(key))):
        assert twin == key
        assert hash(twin) == hash(key)
    (field,) = key.__match_args__
    assert type(key)(**{field: getattr(key, field)}) == key
    with pytest.raises(AttributeError):
        setattr(key, field, 0)


def test_keys_of_different_kinds_differ():
    assert SequenceKey(1) != FlattenedIndexKey(1)
    assert DictKey(1) != SequenceKey(1)
    assert SequenceKey(1) != 1
    for wrong in (lambda: SequenceKey("a"), lambda: GetAttrKey(3), lambda: FlattenedIndexKey("a")):
        with pytest.raises(TypeError):
            wrong()


def test_paths_as_text():
    path = (SequenceKey(1), DictKey("a"), GetAttrKey("n"), FlattenedIndexKey(3), "plain", 5)
    assert keystr(path) == "[1]['a'].n[<flat index 3>]plain5"
    assert keystr(path, simple=True, separator="/") == "1/a/n/3/plain/5"
    assert keystr(path[:2], separator="/") == "[1]/['a']"
    assert keystr(()) == ""


@pytest.mark.parametrize(("tree", "text"), TREES, ids=[text for _, text in TREES])
def test_paths_lead_to_the_leaves(tree, text):
    with_path, structure = tree_flatten_with_path(tree)
    leaves, expected = tree_flatten(tree)
    assert [leaf for _, leaf in with_path] == leaves
    assert structure == expected
    assert tree_leaves_with_path(tree) == with_path
    for path, leaf in with_path:
        node = tree
        for key in path:
            match key:
                case SequenceKey(idx):
                    node = node[idx]
                case DictKey(key):
                    node = node[key]
                case GetAttrKey(name) if name.startswith("part"):
                    node = node.children[int(name.removeprefix("part"))]
                case GetAttrKey(name):
                    node = getattr(node, name)
                case FlattenedIndexKey(index):
                    node = node.children[index]
        assert node == leaf


def test_paths_of_a_structure():
    tree = {
        "a": (1, [2]),
        "b": Point(3, None),
        "c": OrderedDict(z=1),
        "d": defaultdict(int, q=2),
        "e": Layer(1, (2,)),
        "f": Plain(1, 2),
        "g": Box(1, 2),
    }
    paths = [path for path, _ in tree_leaves_with_path(tree)]
    assert structure_paths(tree_structure(tree)) == paths
    assert structure_paths(tree_structure(KeyedBox(1))) == [(GetAttrKey("part0"),)]
    assert structure_paths(tree_structure(0)) == [()]


def test_is_leaf_with_and_without_path():
    tree = {"a": (1, [2])}
    [(path, leaf)] = tree_leaves_with_path(tree, is_leaf=lambda x: isinstance(x, tuple))
    assert (keystr(path), leaf) == ("['a']", (1, [2]))
    pairs = tree_leaves_with_path(
        tree, is_leaf=lambda path, _: len(path) == 2, is_leaf_takes_path=True
    )
    assert [(keystr(path), leaf) for path, leaf in pairs] == [("['a'][0]", 1), ("['a'][1]", [2])]


def test_map_with_path():
    def show(path, *values):
        return keystr(path), *values

    expected = {"a": (("['a'][0]", 1, 3), ("['a'][1]", 2, [4]))}
    assert tree_map_with_path(show, {"a": (1, 2)}, {"a": (3, [4])}) == expected
    cut = tree_map_with_path(
        show,
        {"a": (1, 2)},
        {"a": 5},
        is_leaf=lambda path, _: len(path) == 1,
        is_leaf_takes_path=True,
    )
    assert cut == {"a": ("['a']", (1, 2), 5)}
    with pytest.raises(ValueError, match=r"tree_map_with_path tree\['a'\]"):
        tree_map_with_path(show, {"a": (1, 2)}, {"a": (3,)})


def messages(prefix, full, **options):
    return [str(make("NAME")) for make in prefix_errors(prefix, full, **options)]


def test_prefix_errors():
    assert messages([1, 2], [[1], 2]) == []
    assert messages([3], [None]) == []
    first, second, third = messages(({"a": 1}, [1, 2], {"k": 1}), ({"b": 3}, [1], Point(5, 6)))
    assert "NAME[0]" in first and "- ('a',)" in first and "+ ('b',)" in first
    assert "NAME[1]" in second and "list of length 2" in second and "length 1" in second
    assert "NAME[2]" in third and "dict" in third and "Point" in third
    (text,) = messages(KeyedBox(1, 2), KeyedBox(1, 2, 3))
    assert "missing in the prefix: .part2" in text
    (text,) = messages({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]})
    assert "NAME['a'][0]" in text and "only in the prefix: ['y']" in text
    (text,) = messages([None], [3])
    assert "NoneType" in text and "int" in text
    assert messages([None], [3], is_leaf=lambda x: x is None) == []


def test_equality_errors():
    first = ({"a": 1}, [1, 2], 5, Point(1, 2), Plain(1, 2), None, KeyedBox(1))
    second = ({"b": 3}, [1], (6,), (1, 2), Plain(1, 3), 3, KeyedBox(1, 2))
    found = [(keystr(path), *rest) for path, *rest in equality_errors(first, second)]
    assert found[1] == ("[1]", "list of length 2", "list of length 1", "the lengths do not match")
    assert found[2] == ("[2]", "<class 'int'>", "<class 'tuple'>", "their Python types differ")
    assert [(path, why) for path, _, _, why in found] == [
        ("[0]", "the pytree node metadata does not match"),
        ("[1]", "the lengths do not match"),
        ("[2]", "their Python types differ"),
        ("[3]", "their Python types differ"),
        ("[4]", "the pytree node metadata does not match"),
        ("[5]", "their Python types differ"),
        ("[6]", "the numbers of children do not match; these keys are in one of them only: .part1"),
    ]
    assert list(equality_errors([1, {"a": 2}], ["x", {"a": 2.5}])) == []
    assert list(equality_errors([1, (2, 3)], [1, (2, 3)])) == []
    assert list(equality_errors([None], [1.5], is_leaf=lambda x: x is None)) == []
    [(path, left, right, why)] = equality_errors([(1,)], [(2,)], is_leaf=lambda x: x == (1,))
    assert (keystr(path), left, right) == ("[0]", "pytree leaf", "<class 'tuple'>")
    assert why == "only one of them is a leaf"
    [(path, left, right, _)] = equality_errors_pytreedef(
        tree_structure([1, 2]), tree_structure([1, (2,)])
    )
    assert (keystr(path), left, right) == ("[1]", "pytree leaf", "<class 'tuple'>")


def test_registry_object():
    registry = tree_util.default_registry
    tree = {"b": 1, "a": [2]}
    assert registry.flatten(tree) == tree_flatten(tree)
    assert registry.flatten_with_path(tree) == tree_flatten_with_path(tree)
    assert registry.flatten_one_level(3) is registry.flatten_one_level_with_keys(3) is None
    keyed, metadata = registry.flatten_one_level_with_keys(tree)
    assert keyed == [(DictKey("a"), [2]), (DictKey("b"), 1)]
    assert metadata == ("a", "b")
    assert registry.is_node(dict) and not registry.is_node(int)
