"""Node classes and a table of trees that several pytree tests share."""

import dataclasses
from collections import OrderedDict, defaultdict, deque, namedtuple
from typing import Any, NamedTuple

import fornax.tree_util as tree_util

Point = namedtuple("Point", ["x", "y"])


class Typed(NamedTuple):
    """A named tuple with one field."""

    value: Any


class SubPoint(Point):
    """A subclass of a named tuple is a node type of its own."""


class ListChild(list):
    """A subclass of list is a leaf."""


class DictChild(dict):
    """A subclass of dict is a leaf."""


class TupleChild(tuple):
    """A subclass of tuple without fields is a leaf."""


class Box:
    """A registered class: children and one metadata object."""

    def __init__(self, *children, info=None):
        self.children = children
        self.info = info

    def __eq__(self, other):
        return type(self) is type(other) and (self.children, self.info) == (
            other.children,
            other.info,
        )

    def __hash__(self):
        return hash((type(self), self.info))

    def __repr__(self):
        return f"{type(self).__name__}{self.children}"


class KeyedBox(Box):
    """A registered class that names its children."""


class MethodBox(Box):
    """Registered by methods."""

    def tree_flatten(self):
        return self.children, self.info

    @classmethod
    def tree_unflatten(cls, info, children):
        return cls(*children, info=info)


@dataclasses.dataclass
class Layer:
    """A dataclass with two children and one static field."""

    weight: Any
    bias: Any = None
    name: str = dataclasses.field(default="layer", metadata={"static": True})


class Plain:
    """Not a dataclass, but registered with register_dataclass."""

    def __init__(self, data, info):
        self.data = data
        self.info = info

    def __eq__(self, other):
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self):
        return hash(self.info)


class Tag(str):
    """Registered as static."""


def register(module):
    """Registers the classes above with `fornax.tree_util`, or with a module that looks like it."""
    module.register_pytree_node(
        Box, lambda b: (b.children, b.info), lambda info, c: Box(*c, info=info)
    )
    module.register_pytree_with_keys(
        KeyedBox,
        lambda b: ([(module.GetAttrKey(f"part{i}"), c) for i, c in enumerate(b.children)], b.info),
        lambda info, c: KeyedBox(*c, info=info),
    )
    module.register_pytree_node_class(MethodBox)
    module.register_dataclass(Layer)
    module.register_dataclass(Plain, data_fields=["data"], meta_fields=["info"])
    module.register_static(Tag)


register(tree_util)

#: (tree, what PyTreeDef prints for it in JAX)
TREES = [
    (1, "*"),
    ("text", "*"),
    (None, "None"),
    ((), "()"),
    ((1,), "(*,)"),
    ((1, (2, 3)), "(*, (*, *))"),
    ([], "[]"),
    ([1, None, [2]], "[*, None, [*]]"),
    ({}, "{}"),
    ({"b": 1, "a": (2, 3)}, "{'a': (*, *), 'b': *}"),
    ({3: 1, 1: 2, 2.5: 3}, "{1: *, 2.5: *, 3: *}"),
    ({None: 1}, "{None: *}"),
    ({(1, "a"): 1, (0, "b"): 2}, "{(0, 'b'): *, (1, 'a'): *}"),
    (OrderedDict(b=1, a=(2,)), "CustomNode(OrderedDict[('b', 'a')], [*, (*,)])"),
    (
        defaultdict(list, {"b": 1, "a": 2}),
        "CustomNode(defaultdict[(<class 'list'>, ('a', 'b'))], [*, *])",
    ),
    (defaultdict(None, {"a": 1}), "CustomNode(defaultdict[(None, ('a',))], [*])"),
    (Point(1, [2]), "CustomNode(namedtuple[Point], [*, [*]])"),
    (Typed({"k": 1}), "CustomNode(namedtuple[Typed], [{'k': *}])"),
    (SubPoint(1, 2), "CustomNode(namedtuple[SubPoint], [*, *])"),
    (ListChild([1, 2]), "*"),
    (DictChild(a=1), "*"),
    (TupleChild((1, 2)), "*"),
    (deque([1, 2]), "*"),
    (Box(), "CustomNode(Box[None], [])"),
    (Box(1, (2, 3), info="hi"), "CustomNode(Box[hi], [*, (*, *)])"),
    (Box(1, info=(1, "x")), "CustomNode(Box[(1, 'x')], [*])"),
    (KeyedBox(1, None, info=3), "CustomNode(KeyedBox[3], [*, None])"),
    (MethodBox([1], info="m"), "CustomNode(MethodBox[m], [[*]])"),
    (Layer(1, (2, 3), "first"), "CustomNode(Layer[('first',)], [*, (*, *)])"),
    (Layer(1), "CustomNode(Layer[('layer',)], [*, None])"),
    (Plain({"a": 1}, 7), "CustomNode(Plain[(7,)], [{'a': *}])"),
    (Tag("q"), "CustomNode(Tag[q], [])"),
    ([Tag("q"), 1], "[CustomNode(Tag[q], []), *]"),
    (
        {"layers": [Layer(1, 2), Layer(3, 4)], "step": 0, "none": None, "e": ((), [], {})},
        "{'e': ((), [], {}), 'layers': [CustomNode(Layer[('layer',)], [*, *]), "
        "CustomNode(Layer[('layer',)], [*, *])], 'none': None, 'step': *}",
    ),
]

#: (prefix, full tree, whether the first's structure is a prefix of the second)
PREFIXES = [
    (1, None, True),
    (1, {"a": [2]}, True),
    (None, None, True),
    (None, 1, False),
    ((), (), True),
    ((), 1, False),
    ([1, 2], [(3, 4), None], True),
    ([1, 2], (1, 2), False),
    ([1, 2], [1], False),
    ((1, 2), Point(1, 2), False),
    (Point(1, 2), Point([1], 2), True),
    (Point(1, 2), SubPoint(1, 2), False),
    (Point(1, 2), (1, 2), False),
    ({"a": 1, "b": (2, 3)}, {"b": ([2], 3), "a": {}}, True),
    ({"a": 1}, {"a": 1, "b": 2}, False),
    ({"a": 1, "b": 2}, {"a": 1, "c": 2}, False),
    ({"a": 1, "b": (2, 3)}, {"a": 1, "b": (2,)}, False),
    ({"a": 1}, OrderedDict(a=1), False),
    (OrderedDict(a=1, b=2), OrderedDict(a=1, b=[2]), True),
    (OrderedDict(a=1, b=2), OrderedDict(b=1, a=2), False),
    (defaultdict(int, a=1), defaultdict(int, a=(1,)), True),
    (defaultdict(int, a=1), defaultdict(list, a=1), False),
    (defaultdict(int, a=1), {"a": 1}, False),
    (Box(1, info=1), Box((1, 2), info=1), True),
    (Box(1, info=1), Box(1, info=2), False),
    (Box(1, info=1), Box(1, 2, info=1), False),
    (Box(1, info=1), 5, False),
    (Box(1), KeyedBox(1), False),
    (Layer(1, 2), Layer([1], (2,)), True),
    (Layer(1, 2, "a"), Layer(1, 2, "b"), False),
    (Plain(1, 2), Plain([3], 2), True),
    (Tag("a"), Tag("a"), True),
    (Tag("a"), Tag("b"), False),
]
