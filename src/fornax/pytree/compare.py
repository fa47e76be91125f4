"""Where and how two trees differ in structure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from fornax._native import PyTreeDef
from fornax._native import pytree as native

from .keys import KeyPath
from .paths import child_keys

__all__ = ["equality_errors", "equality_errors_pytreedef"]

IsLeaf = Callable[[Any], bool] | None
#: (key path, what the first tree has there, what the second has, what is wrong)
Difference = tuple[KeyPath[Any], str, str, str]


class _Node(NamedTuple):
    """One node of a tree or of a structure; a leaf has no children and `metadata` _no_node."""

    nodetype: type | None  #: None for a leaf of a bare structure
    children: list[Any]
    keys: list[Any]
    metadata: Any


_no_node = object()
Open = Callable[[Any], _Node]


def equality_errors(tree1: Any, tree2: Any, is_leaf: IsLeaf = None) -> Iterator[Difference]:
    """Every place where two trees differ in structure; leaves are not compared.

    Yields (key path, what `tree1` has there, what `tree2` has there, explanation). The explanation
    completes a sentence such as "... so {explanation}".
    """

    def open_tree(tree: Any) -> _Node:
        cut = is_leaf is not None and is_leaf(tree)
        level = None if cut else native.flatten_one_level(tree, True)
        if level is None:
            return _Node(type(tree), [], [], _no_node)
        children, keys, metadata = level
        return _Node(type(tree), children, keys, metadata)

    yield from _differences((), tree1, tree2, open_tree)


def equality_errors_pytreedef(treedef1: PyTreeDef, treedef2: PyTreeDef) -> Iterator[Difference]:
    """`equality_errors` for two structures."""
    yield from _differences((), treedef1, treedef2, _open_structure)


def _open_structure(structure: PyTreeDef) -> _Node:
    described = structure.node_data()
    if described is None:
        return _Node(None, [], [], _no_node)
    nodetype, metadata = described
    children = structure.children()
    return _Node(nodetype, children, child_keys(nodetype, metadata, len(children)), metadata)


def _count(number: int) -> str:
    return "1 child" if number == 1 else f"{number} children"


def _name(node: _Node) -> str:
    return "pytree leaf" if node.nodetype is None else str(node.nodetype)


def _differences(path: KeyPath[Any], first: Any, second: Any, look: Open) -> Iterator[Difference]:
    one, two = look(first), look(second)
    leaves = [node.metadata is _no_node for node in (one, two)]
    if all(leaves):
        return
    if one.nodetype is not two.nodetype:
        yield path, _name(one), _name(two), "their Python types differ"
        return
    if any(leaves):
        left, right = ("pytree leaf" if leaf else _name(one) for leaf in leaves)
        yield path, left, right, "only one of them is a leaf"
        return
    counts = len(one.children), len(two.children)
    if counts[0] != counts[1] and issubclass(one.nodetype or object, (tuple, list)):
        name = getattr(one.nodetype, "__name__", "")
        left, right = (f"{name} of length {count}" for count in counts)
        yield path, left, right, "the lengths do not match"
    elif counts[0] != counts[1]:
        why = "the numbers of children do not match"
        if odd := sorted(set(map(str, one.keys)) ^ set(map(str, two.keys))):
            why += f"; these keys are in one of them only: {' '.join(odd)}"
        left, right = (f"{_name(one)} with {_count(count)}" for count in counts)
        yield path, left, right, why
    elif one.metadata != two.metadata:
        left, right = (f"{_name(node)} with pytree metadata {node.metadata}" for node in (one, two))
        yield path, left, right, "the pytree node metadata does not match"
    else:
        for key, child, other in zip(one.keys, one.children, two.children, strict=True):
            yield from _differences((*path, key), child, other, look)
