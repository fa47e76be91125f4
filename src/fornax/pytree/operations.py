"""Flatten, rebuild, map and reduce trees."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from fornax._native import PyTreeDef
from fornax._native import pytree as native
from fornax.errors import message
from fornax.given import not_given
from fornax.source import located

from .prefix import broadcast_prefix, raise_prefix_error
from .registry import default_registry

__all__ = [
    "all_leaves",
    "build_tree",
    "flatten_one_level",
    "flatten_one_level_with_keys",
    "is_tree_node",
    "tree_all",
    "tree_broadcast",
    "tree_flatten",
    "tree_leaves",
    "tree_map",
    "tree_reduce",
    "tree_reduce_associative",
    "tree_structure",
    "tree_transpose",
    "tree_unflatten",
    "treedef_children",
    "treedef_is_leaf",
    "treedef_is_strict_leaf",
    "treedef_tuple",
]

IsLeaf = Callable[[Any], bool] | None


def tree_flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], PyTreeDef]:
    """The leaves of `tree` in order, as a list, and its structure.

    Args:
      tree: any nesting of tuples, lists, dicts, named tuples, None and registered classes.
      is_leaf: called with every node; True makes it a leaf whatever its type.

    Raises ValueError for dictionaries whose keys cannot be sorted, RecursionError for trees deeper
    than the interpreter's recursion limit.
    """
    return native.flatten(tree, is_leaf)


def tree_unflatten(treedef: PyTreeDef, leaves: Iterable[Any]) -> Any:
    """The tree with structure `treedef` and the given leaves; inverse of `tree_flatten`.

    Raises ValueError when the number of leaves does not fit.
    """
    if not isinstance(treedef, PyTreeDef):
        raise TypeError(
            message(
                f"tree_unflatten needs a PyTreeDef first, got {type(treedef).__name__}",
                why="the structure says where in the tree each leaf goes",
                attempt="tree_unflatten(tree_structure(tree), leaves)",
            )
        )
    return treedef.unflatten(leaves)


def tree_leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """The leaves of `tree` as a list; see `tree_flatten`."""
    return native.leaves(tree, is_leaf)


def tree_structure(tree: Any, is_leaf: IsLeaf = None) -> PyTreeDef:
    """The structure of `tree`; see `tree_flatten`."""
    return native.structure(tree, is_leaf)


def tree_map(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf = None) -> Any:
    """A tree like `tree` with each leaf replaced by `f(leaf, *corresponding parts of rest)`.

    Args:
      f: called with one leaf of `tree` and, for each tree in `rest`, the subtree at that place.
      tree: decides the structure.
      rest: trees that have the structure of `tree` as a prefix.
      is_leaf: as in `tree_flatten`; applies to `tree`.

    Raises ValueError, naming the key path, where a tree in `rest` does not fit.
    """
    leaves, structure = native.flatten(tree, is_leaf)
    if not rest:
        return structure.unflatten(map(f, leaves))
    try:
        columns = [structure.flatten_up_to(other) for other in rest]
    except ValueError as error:
        raise_prefix_error("tree_map tree", tree, rest, is_leaf, error)
    return structure.unflatten(map(f, leaves, *columns))


def tree_all(tree: Any, *, is_leaf: IsLeaf = None) -> bool:
    """Whether every leaf is true; True for a tree without leaves."""
    return all(native.leaves(tree, is_leaf))


def tree_reduce(
    function: Callable[[Any, Any], Any],
    tree: Any,
    initializer: Any = not_given,
    is_leaf: IsLeaf = None,
) -> Any:
    """`functools.reduce` over the leaves, from left to right.

    Raises TypeError for a tree without leaves when there is no `initializer`.
    """
    leaves = native.leaves(tree, is_leaf)
    if initializer is not_given:
        return functools.reduce(function, leaves)
    return functools.reduce(function, leaves, initializer)


def tree_reduce_associative(
    operation: Callable[[Any, Any], Any],
    tree: Any,
    *,
    identity: Any = not_given,
    is_leaf: IsLeaf = None,
) -> Any:
    """Combines the leaves pairwise in a balanced tree of calls, for an associative `operation`.

    Returns `identity` for a tree without leaves; raises TypeError when there is none to return.
    """
    leaves = native.leaves(tree, is_leaf)
    if leaves:
        return _reduce_halves(operation, leaves)
    if identity is not_given:
        raise TypeError(
            located(
                "tree_reduce_associative: the tree has no leaves and no identity was given to "
                "return",
                attempt="identity=..., the result for a tree without leaves",
            )
        )
    return identity


def _reduce_halves(operation: Callable[[Any, Any], Any], items: list[Any]) -> Any:
    if len(items) == 1:
        return items[0]
    middle = len(items) // 2
    left = _reduce_halves(operation, items[:middle])
    return operation(left, _reduce_halves(operation, items[middle:]))


def tree_transpose(
    outer_treedef: PyTreeDef, inner_treedef: PyTreeDef | None, pytree_to_transpose: Any
) -> Any:
    """Turns a tree of structure outer(inner) into one of structure inner(outer).

    With `inner_treedef=None` the inner structure is that of the first outer leaf.
    Raises TypeError when the numbers of leaves do not multiply up, or for what is no structure.
    """
    for given in (outer_treedef, outer_treedef if inner_treedef is None else inner_treedef):
        if not isinstance(given, PyTreeDef):
            raise TypeError(
                located(
                    f"tree_transpose needs PyTreeDefs first, got {type(given).__name__}",
                    attempt="tree_structure(tree)",
                )
            )
    leaves, structure = native.flatten(pytree_to_transpose)
    if inner_treedef is None:
        first = outer_treedef.flatten_up_to(pytree_to_transpose)[0]
        inner_treedef = native.structure(first)
    outer, inner = outer_treedef.num_leaves, inner_treedef.num_leaves
    if structure.num_leaves != outer * inner:
        raise TypeError(
            located(
                f"tree_transpose: the tree has structure\n  {structure}\nbut the outer and inner "
                f"structures together make\n  {outer_treedef.compose(inner_treedef)}",
                attempt="outer_treedef=tree_structure of the outside, "
                "inner_treedef=tree_structure of one of its leaves",
            )
        )
    columns = (leaves[i::inner] for i in range(inner))
    return inner_treedef.unflatten(outer_treedef.unflatten(column) for column in columns)


def tree_broadcast(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf = None) -> Any:
    """A tree like `full_tree` that has at each leaf the leaf of `prefix_tree` above it.

    Raises ValueError, naming the key path, where `prefix_tree` is not a prefix.
    """
    leaves = broadcast_prefix(prefix_tree, full_tree, is_leaf=is_leaf)
    return native.structure(full_tree).unflatten(leaves)


def all_leaves(iterable: Iterable[Any], is_leaf: IsLeaf = None) -> bool:
    """Whether every item of `iterable` is a leaf."""
    if is_leaf is None:
        return native.all_leaves(iterable)
    items = list(iterable)
    leaves = native.leaves(items, is_leaf)
    return len(leaves) == len(items) and all(a is b for a, b in zip(leaves, items, strict=True))


def is_tree_node(typ: type) -> bool:
    """Whether instances of exactly the class `typ` are pytree nodes."""
    return default_registry.is_node(typ)


def flatten_one_level(tree: Any) -> tuple[Iterable[Any], Any]:
    """(children, metadata) of the root of `tree`. Raises ValueError for a leaf."""
    level = default_registry.flatten_one_level(tree)
    if level is None:
        raise ValueError(
            located(
                f"{type(tree)} is not a pytree node type, so it has no children: {tree!r}",
                attempt="tree_util.all_leaves([x]) to ask first, or register_pytree_node for "
                "your class",
            )
        )
    return level


def flatten_one_level_with_keys(tree: Any) -> tuple[Iterable[tuple[Any, Any]], Any]:
    """([(key, child)], metadata) of the root of `tree`. Raises ValueError for a leaf."""
    level = default_registry.flatten_one_level_with_keys(tree)
    if level is None:
        raise ValueError(
            located(
                f"{type(tree)} is not a pytree node type, so it has no children: {tree!r}",
                attempt="tree_util.all_leaves([x]) to ask first, or register_pytree_node for "
                "your class",
            )
        )
    return level


def treedef_is_leaf(treedef: PyTreeDef) -> bool:
    """Whether the structure is a single node; None and empty containers count as well."""
    return treedef.num_nodes == 1


def treedef_is_strict_leaf(treedef: PyTreeDef) -> bool:
    """Whether the structure is one leaf and nothing else."""
    return treedef.num_nodes == 1 and treedef.num_leaves == 1


def treedef_children(treedef: PyTreeDef) -> list[PyTreeDef]:
    """The structures of the root's children."""
    return treedef.children()


def treedef_tuple(treedefs: Iterable[PyTreeDef]) -> PyTreeDef:
    """The structure of a tuple of trees with these structures."""
    return native.treedef_tuple(treedefs)


def build_tree(treedef: PyTreeDef, xs: Any) -> Any:
    """The tree of structure `treedef` whose children are given as nested iterables."""
    return treedef.from_iterable_tree(xs)
