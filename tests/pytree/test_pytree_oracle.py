"""The same calls on Fornax and on an installed JAX."""

import types

import pytest
from pytree_cases import PREFIXES, TREES, Box, KeyedBox, Layer, Plain, Point, Tag, register

import fornax.tree as tree
import fornax.tree_util as tree_util
from fornax.pytree import equality_errors, prefix_errors

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def oracle():
    jax = pytest.importorskip("jax")
    for cls in (Box, KeyedBox, Layer, Plain, Tag):
        assert not jax.tree_util.is_tree_node(cls)
    register(jax.tree_util)
    internal = pytest.importorskip("jax._src.tree_util")
    return types.SimpleNamespace(
        tree_util=jax.tree_util,
        tree=jax.tree,
        prefix_errors=internal.prefix_errors,
        equality_errors=internal.equality_errors,
    )


def outcome(call):
    try:
        return call()
    except Exception as error:
        return type(error)


def shown(value):
    """A form in which results of the two libraries can be compared."""
    if type(value).__name__ in ("PyTreeDef", "SequenceKey", "DictKey", "GetAttrKey"):
        return repr(value)
    if type(value).__name__ == "FlattenedIndexKey":
        return repr(value)
    if type(value) in (list, tuple):
        return type(value)(shown(item) for item in value)
    return value


CALLS = {
    "flatten": lambda m, x: m.tree_util.tree_flatten(x),
    "round trip": lambda m, x: m.tree_util.tree_map(lambda leaf: leaf, x),
    "leaves": lambda m, x: m.tree_util.tree_leaves(x, is_leaf=lambda n: n is None),
    "with path": lambda m, x: m.tree_util.tree_flatten_with_path(x),
    "with path, cut": lambda m, x: m.tree_util.tree_leaves_with_path(
        x, is_leaf=lambda p, _: len(p) == 1, is_leaf_takes_path=True
    ),
    "path text": lambda m, x: [
        (m.tree_util.keystr(p), m.tree_util.keystr(p, simple=True, separator="/"))
        for p, _ in m.tree_util.tree_leaves_with_path(x)
    ],
    "children": lambda m, x: m.tree_util.tree_structure(x).children(),
    "node_data": lambda m, x: m.tree_util.tree_structure(x).node_data(),
    "counts": lambda m, x: (
        m.tree_util.tree_structure(x).num_leaves,
        m.tree_util.tree_structure(x).num_nodes,
    ),
    "compose": lambda m, x: m.tree_util.tree_structure(x).compose(
        m.tree_util.tree_structure((1, None))
    ),
    "few leaves": lambda m, x: m.tree_util.tree_structure(x).unflatten([]),
    "reduce": lambda m, x: m.tree.reduce(lambda a, b: (a, b), x),
    "reduce from": lambda m, x: m.tree.reduce(lambda a, b: (a, b), x, 0),
    "reduce_associative": lambda m, x: m.tree.reduce_associative(lambda a, b: (a, b), x),
    "all": lambda m, x: m.tree.all(x),
    "all_leaves": lambda m, x: m.tree_util.all_leaves([x]),
    "one level": lambda m, x: [list(m.tree_util.flatten_one_level(x)[0])],
    "walk": lambda m, x: m.tree_util.tree_structure(x).walk(
        lambda c, d: (c, d), lambda leaf: leaf, m.tree_util.tree_leaves(x)
    ),
    "is leaf": lambda m, x: m.tree_util.treedef_is_leaf(m.tree_util.tree_structure(x)),
    "transpose": lambda m, x: m.tree.transpose(
        m.tree_util.tree_structure([0, 0]), m.tree_util.tree_structure(x), [x, x]
    ),
    "partial": lambda m, x: m.tree_util.tree_flatten_with_path(
        m.tree_util.Partial(print, x, key=x)
    ),
}
fornax = types.SimpleNamespace(
    tree_util=tree_util, tree=tree, prefix_errors=prefix_errors, equality_errors=equality_errors
)


@pytest.mark.parametrize("name", CALLS)
def test_one_tree(oracle, name):
    for case, _ in TREES:
        ours, theirs = (outcome(lambda m=m, c=case: CALLS[name](m, c)) for m in (fornax, oracle))
        assert shown(ours) == shown(theirs), case


PAIRS = {
    "equal": lambda m, a, b: m.tree_util.tree_structure(a) == m.tree_util.tree_structure(b),
    "up to": lambda m, a, b: m.tree_util.tree_structure(a).flatten_up_to(b),
    "map": lambda m, a, b: m.tree_util.tree_map(lambda x, y: (x, y), a, b),
    "map with path": lambda m, a, b: m.tree_util.tree_map_with_path(
        lambda p, x, y: (m.tree_util.keystr(p), x, y), a, b
    ),
    "broadcast": lambda m, a, b: m.tree.broadcast(a, b),
    "differences": lambda m, a, b: [
        (path, left, right) for path, left, right, _ in m.equality_errors(a, b)
    ],
    "number of prefix errors": lambda m, a, b: len(m.prefix_errors(a, b)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_two_trees(oracle, name):
    for first, second, _ in PREFIXES:
        for a, b in ((first, second), (second, first), ([first], [second])):
            ours, theirs = (
                outcome(lambda m=m, a=a, b=b: PAIRS[name](m, a, b)) for m in (fornax, oracle)
            )
            assert shown(ours) == shown(theirs), (a, b)


def test_public_names(oracle):
    for ours, theirs in ((tree_util, oracle.tree_util), (tree, oracle.tree)):
        public = {name for name in dir(theirs) if not name.startswith("_")}
        assert public - set(ours.__all__) == set()
    ours = {name for name in dir(tree_util.PyTreeDef) if not name.startswith("_")}
    theirs = {name for name in dir(oracle.tree_util.PyTreeDef) if not name.startswith("_")}
    assert theirs - ours <= {"serialize_using_proto", "deserialize_using_proto"}
    assert Point is not None
