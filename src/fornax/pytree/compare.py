"""Where and how two trees differ in structure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fornax._native import PyTreeDef
from fornax._native import pytree as native

from .keys import KeyPath

__all__ = ["equality_errors", "equality_errors_pytreedef"]

IsLeaf = Callable[[Any], bool] | None
#: (key path, what the first tree has there, what the second has, what is wrong)
Difference = tuple[KeyPath[Any], str, str, str]


class _Leaf:
    """Stands for a leaf of a bare structure."""


_leaf = _Leaf()


def equality_errors(tree1: Any, tree2: Any, is_leaf: IsLeaf = None) -> Iterator[Difference]:
    """Every place where two trees differ in structure; leaves are not compared.

    Yields (key path, what `tree1` has there, what `tree2` has there, explanation). The explanation
    completes a sentence such as "... so {explanation}".
    """
    yield from _differences((), tree1, tree2, is_leaf)


def equality_errors_pytreedef(treedef1: PyTreeDef, treedef2: PyTreeDef) -> Iterator[Difference]:
    """`equality_errors` for two structures."""
    yield from equality_errors(
        treedef1.unflatten([_leaf] * treedef1.num_leaves),
        treedef2.unflatten([_leaf] * treedef2.num_leaves),
    )


def _type_text(tree: Any) -> str:
    return "pytree leaf" if isinstance(tree, _Leaf) else str(type(tree))


def _count(number: int) -> str:
    return "1 child" if number == 1 else f"{number} children"


def _differences(
    path: KeyPath[Any], first: Any, second: Any, is_leaf: IsLeaf
) -> Iterator[Difference]:
    first_leaf = is_leaf is not None and is_leaf(first)
    second_leaf = is_leaf is not None and is_leaf(second)
    first_level = None if first_leaf else native.flatten_one_level(first, True)
    second_level = None if second_leaf else native.flatten_one_level(second, True)
    if first_level is None and second_level is None:
        return
    if type(first) is not type(second) or first_level is None or second_level is None:
        same = type(first) is type(second)
        yield (
            path,
            "pytree leaf" if same and first_level is None else _type_text(first),
            "pytree leaf" if same and second_level is None else _type_text(second),
            "only one of them is a leaf" if same else "their Python types differ",
        )
        return
    children1, keys1, metadata1 = first_level
    children2, keys2, metadata2 = second_level
    if isinstance(first, (tuple, list)) and len(children1) != len(children2):
        name = type(first).__name__
        yield (
            path,
            f"{name} of length {len(children1)}",
            f"{name} of length {len(children2)}",
            "the lengths do not match",
        )
        return
    if len(children1) != len(children2):
        text = "the numbers of children do not match"
        names1, names2 = set(map(str, keys1)), set(map(str, keys2))
        if odd := sorted(names1 ^ names2):
            text += f"; these keys are in one of them only: {' '.join(odd)}"
        yield (
            path,
            f"{type(first)} with {_count(len(children1))}",
            f"{type(second)} with {_count(len(children2))}",
            text,
        )
        return
    if metadata1 != metadata2:
        yield (
            path,
            f"{type(first)} with pytree metadata {metadata1}",
            f"{type(second)} with pytree metadata {metadata2}",
            "the pytree node metadata does not match",
        )
        return
    for key, child1, child2 in zip(keys1, children1, children2, strict=True):
        yield from _differences((*path, key), child1, child2, is_leaf)
