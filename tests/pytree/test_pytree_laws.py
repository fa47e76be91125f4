"""Laws of flatten and unflatten on generated trees, against the Python reference."""

from collections import OrderedDict, defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st
from pytree_cases import Box, KeyedBox, Layer, Plain, Point, Tag, Typed

from fornax._native import pytree as native
from fornax.pytree import broadcast_prefix, reference, tree_flatten_with_path
from fornax.tree_util import tree_flatten, tree_leaves, tree_map, tree_structure, tree_transpose

keys = st.one_of(st.text(max_size=3), st.integers(-300, 300))
metadata = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=2),
    st.lists(st.integers(), max_size=2),
)
leaves = st.one_of(
    st.integers(), st.text(max_size=2), st.floats(allow_nan=False), st.just(Tag("t"))
)


def dictionaries(children):
    text = st.dictionaries(st.text(max_size=3), children, max_size=5)
    numbers = st.dictionaries(st.integers(-300, 300), children, max_size=5)
    return st.one_of(text, numbers)


def nodes(children):
    few = st.lists(children, max_size=4)
    return st.one_of(
        few,
        few.map(tuple),
        st.none(),
        dictionaries(children),
        dictionaries(children).map(OrderedDict),
        dictionaries(children).map(lambda d: defaultdict(list, d)),
        st.builds(Point, children, children),
        st.builds(Typed, children),
        st.builds(lambda items, info: Box(*items, info=info), few, metadata),
        st.builds(lambda items, info: KeyedBox(*items, info=info), few, metadata),
        st.builds(Layer, children, children, st.text(max_size=2)),
        st.builds(Plain, children, metadata),
    )


trees = st.recursive(leaves, nodes, max_leaves=25)
many = settings(max_examples=150, deadline=None)


def predicate(tree):
    return isinstance(tree, (Point, Box)) and len(str(tree)) % 2 == 0


@many
@given(trees, st.booleans(), st.booleans())
def test_flatten_equals_the_reference(tree, none_is_leaf, cut):
    is_leaf = predicate if cut else None
    leaves, structure = native.flatten(tree, is_leaf, none_is_leaf)
    expected_leaves, expected = reference.flatten(tree, is_leaf, none_is_leaf)
    assert len(leaves) == len(expected_leaves)
    assert all(a is b for a, b in zip(leaves, expected_leaves, strict=True))
    assert str(structure) == str(expected)
    assert (structure.num_leaves, structure.num_nodes) == (expected.num_leaves, expected.num_nodes)
    rebuilt = structure.unflatten(leaves)
    assert rebuilt == tree
    assert str(native.flatten(rebuilt, is_leaf, none_is_leaf)[1]) == str(structure)
    paths, again, same = native.flatten_with_path(tree, is_leaf, none_is_leaf)
    assert len(set(map(str, paths))) == len(paths)
    assert all(a is b for a, b in zip(leaves, again, strict=True))
    assert same == structure
    assert hash(same) == hash(structure)


@many
@given(trees, trees)
def test_equality_equals_the_reference(first, second):
    same = reference.flatten(first)[1] == reference.flatten(second)[1]
    assert (tree_structure(first) == tree_structure(second)) == same
    a, b = native.canonical_structure(first), native.canonical_structure(second)
    if a is b:
        assert same
    assert native.canonical_structure(tree_map(lambda x: x, first)) is a


@many
@given(trees, trees, st.data())
def test_flatten_up_to_equals_the_reference(first, second, data):
    structure, expected = tree_structure(first), reference.flatten(first)[1]
    grown = structure.unflatten([data.draw(st.just(second))] * structure.num_leaves)
    assert structure.flatten_up_to(grown) == expected.flatten_up_to(grown)
    outcomes = []
    for matcher in (structure, expected):
        try:
            outcomes.append(matcher.flatten_up_to(second))
        except ValueError:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]


@many
@given(trees, trees)
def test_composition(first, second):
    outer, inner = tree_structure(first), tree_structure(second)
    composed = outer.compose(inner)
    grown = outer.unflatten([second] * outer.num_leaves)
    assert composed == tree_structure(grown)
    expected = reference.flatten(first)[1].compose(reference.flatten(second)[1])
    assert str(composed) == str(expected)
    repeated = broadcast_prefix(first, grown)
    assert repeated == [leaf for leaf in tree_leaves(first) for _ in range(inner.num_leaves)]
    if outer.num_leaves and inner.num_leaves:
        turned = tree_transpose(outer, inner, grown)
        assert tree_transpose(inner, outer, turned) == grown


@many
@given(trees)
def test_map_laws(tree):
    assert tree_map(lambda x: x, tree) == tree
    paired = tree_map(lambda a, b: (a, b), tree, tree)
    assert tree_flatten(paired, is_leaf=lambda x: type(x) is tuple and len(x) == 2)
    assert tree_map(lambda a, b: a is b, tree, tree) == tree_map(lambda a: True, tree)
    assert [leaf for _, leaf in tree_flatten_with_path(tree)[0]] == tree_leaves(tree)


@many
@given(st.dictionaries(keys, leaves, max_size=6))
def test_sorting_of_keys(tree):
    try:
        expected = sorted(tree)
    except TypeError:
        expected = None
    try:
        assert list(tree_map(lambda x: x, tree)) == expected
    except ValueError:
        assert expected is None
