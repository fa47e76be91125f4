"""Trees that are prefixes of other trees: broadcasting them, and saying where they are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

from fornax._native import PyTreeDef
from fornax._native import pytree as native
from fornax.source import located

from .keys import KeyPath, keystr

__all__ = ["broadcast_prefix", "flatten_axes", "prefix_errors", "raise_prefix_error"]

IsLeaf = Callable[[Any], bool] | None


def broadcast_prefix(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """For every leaf of `full_tree` the leaf of `prefix_tree` at or above it, as a list.

    `is_leaf` applies to `prefix_tree`; `lambda x: x is None` lets None be a value in it.
    Raises ValueError, naming the key path, where `prefix_tree` is not a prefix.
    """
    leaves, structure = native.flatten(prefix_tree, is_leaf)
    try:
        subtrees = structure.flatten_up_to(full_tree)
    except ValueError as error:
        raise_prefix_error(
            "broadcast_prefix prefix_tree", prefix_tree, (full_tree,), is_leaf, error
        )
    result: list[Any] = []
    for leaf, subtree in zip(leaves, subtrees, strict=True):
        result.extend([leaf] * len(native.leaves(subtree)))
    return result


class Placeholder:
    """Stands for a leaf where only the structure is known."""

    def __repr__(self) -> str:
        return "<leaf>"


placeholder = Placeholder()


def flatten_axes(
    name: str, treedef: PyTreeDef, axis_tree: Any, *, kws: bool = False, tupled_args: bool = False
) -> list[Any]:
    """One entry of `axis_tree` for every leaf of a tree with structure `treedef`.

    Args:
      name: what the caller calls `axis_tree`, for the message ("vmap in_axes").
      treedef: structure of the value.
      axis_tree: a prefix of such a tree; None is an entry like any other.
      kws: `treedef` and `axis_tree` are pairs (arguments, keyword arguments); a message then only
        speaks of the arguments.
      tupled_args: `treedef` is that of an argument list, which the message says.

    Raises ValueError with the key path of every place where `axis_tree` is not a prefix.
    """
    leaves, structure = native.flatten(axis_tree, None, True)
    counts: list[int] = []
    if _count_leaves(structure, treedef, counts):
        return [leaf for leaf, count in zip(leaves, counts, strict=True) for _ in range(count)]
    if kws:
        treedef, axis_tree = treedef.children()[0], axis_tree[0]
    advice = ""
    if tupled_args:
        advice = (
            f" {name} has one entry per argument: wrap it in a tuple, so that it reads like the "
            "argument list."
        )
    try:
        full = treedef.unflatten([placeholder] * treedef.num_leaves)
        found = _mismatches((), axis_tree, full, lambda node: node is None)
        details = "\n".join(_mismatch(name, path, text) for path, text in found)
    except Exception:  # a class that refuses placeholders
        details = f"  {structure}\n  is not a prefix of\n  {treedef}"
    raise ValueError(
        located(
            f"{name} does not fit the value it describes.{advice}\n{details}",
            attempt="one entry for the whole, or the same containers with an entry for each part",
        )
    )


def _count_leaves(prefix: PyTreeDef, full: PyTreeDef, out: list[int]) -> bool:
    """Appends the number of leaves of `full` under each leaf of `prefix`; False if it is none."""
    described = prefix.node_data()
    if described is None:
        out.append(full.num_leaves)
        return True
    children, full_children = prefix.children(), full.children()
    return (
        described == full.node_data()
        and len(children) == len(full_children)
        and all(
            _count_leaves(child, full_child, out)
            for child, full_child in zip(children, full_children, strict=True)
        )
    )


def raise_prefix_error(
    name: str, prefix: Any, others: tuple[Any, ...], is_leaf: IsLeaf, error: ValueError
) -> NoReturn:
    """Raises the ValueError that says best why `prefix` does not fit one of `others`.

    `error` is what the native walk said; it is raised where no mismatch can be found again, for
    example because a user's flatten function failed.
    """
    try:
        found = [make for other in others for make in prefix_errors(prefix, other, is_leaf)]
    except Exception:  # user code, such as an == of metadata, fails in this walk as it did before
        found = []
    if found:
        raise found[0](name) from None
    raise error


def prefix_errors(
    prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf = None
) -> list[Callable[[str], ValueError]]:
    """Every place where `prefix_tree` is not a prefix of `full_tree`.

    Each entry takes the name of the prefix tree and returns a ValueError that tells the key path
    and what differs there.
    """
    found = _mismatches((), prefix_tree, full_tree, is_leaf)
    return [partial(_prefix_error, path=path, text=text) for path, text in found]


def _mismatch(name: str, path: KeyPath[Any], text: str) -> str:
    return f"pytree structure mismatch at {name}{keystr(path)}:\n  {text}"


def _prefix_error(name: str, path: KeyPath[Any], text: str) -> ValueError:
    return ValueError(
        located(
            _mismatch(name, path, text),
            "a prefix has an entry for each leaf, or one for all that is below it",
            "the same containers as the full tree has there, or one entry in place of them",
        )
    )


def _mismatches(
    path: KeyPath[Any], prefix: Any, full: Any, is_leaf: IsLeaf
) -> Iterator[tuple[KeyPath[Any], str]]:
    """The key path of every mismatch, and what differs there."""
    if is_leaf is not None and is_leaf(prefix):
        return
    level = native.flatten_one_level(prefix, True)
    if level is None:
        return
    if type(prefix) is not type(full):
        yield path, f"the prefix has a {type(prefix)} here, and the full tree has a {type(full)}"
        return
    full_level = native.flatten_one_level(full, True)
    assert full_level is not None  # of the same type, so a node as well
    children, keys, metadata = level
    full_children, full_keys, full_metadata = full_level
    if isinstance(prefix, (tuple, list)) and len(children) != len(full_children):
        yield (
            path,
            f"the prefix has a {type(prefix).__name__} of length {len(children)} here, and the "
            f"full tree has one of length {len(full_children)}",
        )
    elif len(children) != len(full_children):
        yield path, _children_text(type(prefix), keys, full_keys)
    elif metadata != full_metadata:
        yield path, _metadata_text(type(prefix), metadata, full_metadata)
    else:
        for key, child, full_child in zip(keys, children, full_children, strict=True):
            yield from _mismatches((*path, key), child, full_child, is_leaf)


def _children_text(nodetype: type, keys: list[Any], full_keys: list[Any]) -> str:
    missing = [str(key) for key in full_keys if key not in keys]
    extra = [str(key) for key in keys if key not in full_keys]
    text = (
        f"both have a {nodetype} here, but the prefix's has {len(keys)} children and the full "
        f"tree's has {len(full_keys)}"
    )
    if missing:
        text += f"; missing in the prefix: {' '.join(missing)}"
    if extra:
        text += f"; only in the prefix: {' '.join(extra)}"
    return text


def _metadata_text(nodetype: type, metadata: Any, full_metadata: Any) -> str:
    before = [f"    - {line}" for line in repr(metadata).splitlines()]
    after = [f"    + {line}" for line in repr(full_metadata).splitlines()]
    lines = "\n".join(before + after)
    return (
        f"both have a {nodetype} here, but their metadata differ "
        f"(- in the prefix, + in the full tree):\n{lines}"
    )
