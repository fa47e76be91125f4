"""Registering classes, and what goes wrong with it."""

import dataclasses
from collections import OrderedDict
from typing import Any

import pytest

import fornax.tree
import fornax.tree_util as tree_util
from fornax.tree_util import tree_flatten, tree_flatten_with_path, tree_map, tree_structure


def fresh(name="Fresh", **members):
    return type(name, (), members)


@pytest.mark.parametrize(
    "register",
    [
        lambda c: tree_util.register_pytree_node(c, lambda n: ((), None), lambda m, c: None),
        lambda c: tree_util.register_pytree_with_keys(c, lambda n: ((), None), lambda m, c: None),
        tree_util.register_static,
        lambda c: tree_util.register_dataclass(c, data_fields=[], meta_fields=[]),
        lambda c: tree_util.default_registry.register_node(c, lambda n: n, lambda m, c: None),
    ],
)
def test_registration_is_final_and_for_classes(register):
    cls = fresh()
    register(cls)
    for taken in (cls, tuple, list, dict, type(None), OrderedDict):
        with pytest.raises(ValueError, match="already registered"):
            register(taken)
    with pytest.raises(TypeError, match="class"):
        register(3)


@pytest.mark.parametrize(
    "result", [[(1, 2), None], (1, 2, 3), None, (3, None)], ids=["list", "three", "none", "no iter"]
)
def test_flatten_functions_that_return_nonsense(result):
    cls = fresh("Odd")
    tree_util.register_pytree_node(cls, lambda n: result, lambda m, c: None)
    for function in (tree_flatten, tree_flatten_with_path, tree_util.flatten_one_level):
        with pytest.raises(
            ValueError, match=r"type Odd should return a tuple \(children, metadata"
        ):
            function(cls())
    with pytest.raises(ValueError, match=r"\(at key path \[0\]\['k'\]\)"):
        tree_flatten([{"k": cls()}])


def test_keys_that_are_no_pairs():
    cls = fresh("Odd")
    tree_util.register_pytree_with_keys(
        cls, lambda n: ([(1, 2, 3)], None), lambda m, c: None, lambda n: ((), None)
    )
    assert tree_flatten(cls())[0] == []
    with pytest.raises(ValueError, match="pairs"):
        tree_flatten_with_path(cls())


def test_children_may_come_from_a_generator():
    cls = fresh()
    tree_util.register_pytree_node(cls, lambda n: ((i for i in (1, 2)), "m"), lambda m, c: (m, c))
    assert tree_map(lambda x: x + 1, cls()) == ("m", (2, 3))

    def broken(node):
        yield 1
        raise TypeError("from the generator")

    other = fresh()
    tree_util.register_pytree_node(other, lambda n: (broken(n), None), lambda m, c: None)
    with pytest.raises(TypeError, match="from the generator"):
        tree_flatten(other())


def test_errors_of_unflatten_pass_through():
    cls = fresh()
    tree_util.register_pytree_node(cls, lambda n: ((1, 2), None), lambda m, c: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tree_map(lambda x: x, [cls()])


def test_classes_by_methods():
    with pytest.raises(AttributeError, match="tree_flatten"):
        tree_util.register_pytree_node_class(fresh())
    with pytest.raises(AttributeError, match="tree_flatten_with_keys"):
        tree_util.register_pytree_with_keys_class(fresh())

    @tree_util.register_pytree_with_keys_class
    class Named:
        def __init__(self, value):
            self.value = value

        def tree_flatten_with_keys(self):
            return ((tree_util.GetAttrKey("value"), self.value),), "meta"

        @classmethod
        def tree_unflatten(cls, metadata, children):
            assert metadata == "meta"
            return cls(*children)

    assert tree_map(lambda x: x + 1, Named(1)).value == 2
    assert tree_util.keystr(tree_flatten_with_path(Named(1))[0][0][0]) == ".value"

    class Child(Named):
        pass

    child = Child(1)
    assert tree_flatten(child)[0] == [child]


def test_a_registered_named_tuple_and_a_registered_number():
    from collections import namedtuple

    pair = namedtuple("pair", "x y")
    tree_util.register_pytree_node(pair, lambda p: ((p.x,), p.y), lambda y, c: pair(c[0], y))
    assert str(tree_structure(pair(1, "m"))) == "PyTreeDef(CustomNode(pair[m], [*]))"
    assert tree_map(lambda x: x + 1, pair(1, "m")) == pair(2, "m")
    number = type("number", (int,), {})
    tree_util.register_static(number)
    assert tree_flatten([number(3), 3])[0] == [3]


def test_registering_while_flattening():
    late = fresh("Late")
    early = fresh("Early", inside=late())

    def flatten(node):
        if not tree_util.is_tree_node(late):
            tree_util.register_static(late)
        return (node.inside,), None

    tree_util.register_pytree_node(early, flatten, lambda m, c: None)
    assert tree_flatten(early())[0] == []


def test_dataclasses_are_inferred():
    @tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class Model:
        weight: Any
        kind: str = fornax.tree.static(default="dense")
        bias: Any = dataclasses.field(default=None, kw_only=True)

    model = Model(1, bias=2)
    assert str(tree_structure(model)) == "PyTreeDef(CustomNode(Model[('dense',)], [*, *]))"
    assert tree_map(lambda x: x + 1, model) == Model(2, bias=3)
    paths = [tree_util.keystr(path) for path, _ in tree_flatten_with_path(model)[0]]
    assert paths == [".weight", ".bias"]
    with pytest.raises(TypeError):
        fornax.tree.static(nonsense=1)
    assert dict(fornax.tree.static(metadata={"a": 1}).metadata) == {"a": 1, "static": True}


def test_dataclass_fields_are_checked():
    @dataclasses.dataclass
    class Model:
        x: Any
        y: Any = 3
        z: Any = dataclasses.field(default=4, init=False)

    register = tree_util.register_dataclass
    with pytest.raises(TypeError, match="both data_fields and meta_fields"):
        register(Model, data_fields=["x"])
    with pytest.raises(TypeError, match="no dataclass"):
        register(fresh())
    with pytest.raises(TypeError, match="no dataclass"):
        register(3)
    with pytest.raises(ValueError, match=r"neither.*\['y'\]"):
        register(Model, data_fields=["x"], meta_fields=[])
    with pytest.raises(ValueError, match=r"both.*\['x'\]"):
        register(Model, data_fields=["x", "y"], meta_fields=["x"])
    with pytest.raises(ValueError, match=r"no such fields: \['q'\]"):
        register(Model, data_fields=["x", "y", "q"], meta_fields=[])
    with pytest.raises(ValueError, match=r"no such fields: \['z'\]"):
        register(Model)
    with pytest.raises(TypeError, match="strings"):
        register(fresh(), data_fields=[1], meta_fields=[])
    register(Model, data_fields=["x"], meta_fields=[], drop_fields=["y"])
    assert tree_map(lambda x: x + 1, Model(1, 2)) == Model(2, 3)


def test_a_missing_attribute():
    cls = fresh()
    tree_util.register_dataclass(cls, data_fields=["a"], meta_fields=["b"])
    node = cls()
    with pytest.raises(AttributeError, match="'a'"):
        tree_flatten(node)
    node.a = 1
    with pytest.raises(AttributeError, match="'b'"):
        tree_flatten(node)
