"""Leaves together with the key paths that lead to them."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

from fornax._native import PyTreeDef
from fornax._native import pytree as native

from .keys import DictKey, FlattenedIndexKey, GetAttrKey, KeyPath, SequenceKey
from .prefix import placeholder, raise_prefix_error
from .registry import Registered, entries

__all__ = [
    "child_keys",
    "structure_paths",
    "tree_flatten_with_path",
    "tree_leaves_with_path",
    "tree_map_with_path",
]

IsLeaf = Callable[..., bool] | None


def tree_flatten_with_path(
    tree: Any, is_leaf: IsLeaf = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath[Any], Any]], PyTreeDef]:
    """([(key path, leaf)], structure) of `tree`.

    `is_leaf` is called with a node, or with (key path, node) when `is_leaf_takes_path`.
    """
    paths, leaves, structure = native.flatten_with_path(tree, is_leaf, False, is_leaf_takes_path)
    return list(zip(paths, leaves, strict=True)), structure


def tree_leaves_with_path(
    tree: Any, is_leaf: IsLeaf = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath[Any], Any]]:
    """[(key path, leaf)] of `tree`; see `tree_flatten_with_path`."""
    return tree_flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def tree_map_with_path(
    f: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: IsLeaf = None,
    is_leaf_takes_path: bool = False,
) -> Any:
    """Like `tree_map` with `f(key path, leaf, *corresponding parts of rest)`."""
    paths, leaves, structure = native.flatten_with_path(tree, is_leaf, False, is_leaf_takes_path)
    try:
        columns = [structure.flatten_up_to(other) for other in rest]
    except ValueError as error:
        # The search for the mismatch walks by structure, where leaves are leaves already.
        prefix = structure.unflatten(leaves)
        ends = {id(leaf) for leaf in leaves}
        raise_prefix_error(
            "tree_map_with_path tree", prefix, rest, lambda node: id(node) in ends, error
        )
    return structure.unflatten(map(f, paths, leaves, *columns))


def structure_paths(structure: PyTreeDef) -> list[KeyPath[Any]]:
    """The key path of every leaf of a structure, without a tree.

    Children of a registered class that cannot be built from placeholders are numbered.
    """
    paths: list[KeyPath[Any]] = []
    _collect_paths(structure, (), paths)
    return paths


def _collect_paths(structure: PyTreeDef, path: KeyPath[Any], out: list[KeyPath[Any]]) -> None:
    described = structure.node_data()
    if described is None:
        out.append(path)
        return
    children = structure.children()
    for key, child in zip(child_keys(*described, len(children)), children, strict=True):
        _collect_paths(child, (*path, key), out)


def child_keys(nodetype: type, metadata: Any, count: int) -> list[Any]:
    """The keys of the `count` children of a node, from what `PyTreeDef.node_data` says of it."""
    if nodetype in (tuple, list):
        return [SequenceKey(i) for i in range(count)]
    if nodetype in (dict, OrderedDict):
        return [DictKey(key) for key in metadata]
    if nodetype is defaultdict:
        return [DictKey(key) for key in metadata[1]]
    if nodetype in entries:
        return _registered_keys(entries[nodetype], metadata, count)
    return [GetAttrKey(name) for name in getattr(nodetype, "_fields", ())]


def _registered_keys(entry: Registered, metadata: Any, count: int) -> list[Any]:
    if entry.fields is not None:
        return [GetAttrKey(name) for name in entry.fields]
    if entry.flatten_with_keys is not None:
        # Only an instance knows its keys. A class may well refuse to hold placeholders.
        try:
            node = entry.unflatten(metadata, (placeholder,) * count)
            keys = [key for key, _ in entry.flatten_with_keys(node)[0]]
        except Exception:
            keys = []
        if len(keys) == count:
            return keys
    return [FlattenedIndexKey(i) for i in range(count)]
