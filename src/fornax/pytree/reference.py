"""The meaning of pytrees in plain Python: slow, short, and the specification of the native code.

Tests compare the two. Nothing else imports this file.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fornax.record import record
from fornax.source import located

from .registry import entries

__all__ = ["ReferenceStructure", "flatten", "one_level"]

IsLeaf = Callable[[Any], bool] | None


def one_level(tree: Any, none_is_leaf: bool = False) -> tuple[list[Any], Any] | None:
    """(children, metadata) of a node, None for a leaf."""
    kind = type(tree)
    if tree is None:
        return None if none_is_leaf else ([], None)
    if kind in entries:
        children, metadata = entries[kind].flatten(tree)
        return list(children), metadata
    if kind in (tuple, list):
        return list(tree), None
    if kind is OrderedDict:
        return list(tree.values()), tuple(tree)
    if kind in (dict, defaultdict):
        keys = tuple(sorted(tree))
        metadata = keys if kind is dict else (tree.default_factory, keys)
        return [tree[key] for key in keys], metadata
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return list(tree), None
    return None


def flatten(
    tree: Any, is_leaf: IsLeaf = None, none_is_leaf: bool = False
) -> tuple[list[Any], ReferenceStructure]:
    """(leaves, structure) of a tree."""
    level = None
    if is_leaf is None or not is_leaf(tree):
        level = one_level(tree, none_is_leaf)
    if level is None:
        return [tree], ReferenceStructure(None, None, ())
    parts = [flatten(child, is_leaf, none_is_leaf) for child in level[0]]
    leaves = [leaf for part, _ in parts for leaf in part]
    return leaves, ReferenceStructure(type(tree), level[1], tuple(s for _, s in parts))


@record(frozen=True)
class ReferenceStructure:
    """A structure as a tree of these; `kind` is None for a leaf."""

    kind: type | None
    metadata: Any
    children: tuple[ReferenceStructure, ...]

    @property
    def num_leaves(self) -> int:
        """Number of leaves."""
        return 1 if self.kind is None else sum(child.num_leaves for child in self.children)

    @property
    def num_nodes(self) -> int:
        """Number of nodes, leaves included."""
        return 1 + sum(child.num_nodes for child in self.children)

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree with these leaves."""
        leaves = list(leaves)
        if len(leaves) != self.num_leaves:
            raise ValueError(
                located(
                    f"expected {self.num_leaves} leaves, got {len(leaves)}",
                    attempt="as many leaves as tree_leaves gave; drop none, not even None",
                )
            )
        return self._build(iter(leaves))

    def _build(self, leaves: Iterator[Any]) -> Any:
        if self.kind is None:
            return next(leaves)
        children = [child._build(leaves) for child in self.children]
        if self.kind is type(None):
            return None
        if self.kind in entries:
            return entries[self.kind].unflatten(self.metadata, tuple(children))
        if self.kind in (tuple, list):
            return self.kind(children)
        if self.kind in (dict, OrderedDict):
            return self.kind(zip(self.metadata, children, strict=True))
        if self.kind is defaultdict:
            factory, keys = self.metadata
            return defaultdict(factory, zip(keys, children, strict=True))
        return self.kind(*children)

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """The subtrees of `tree` at the leaves of this structure; ValueError where it differs."""
        if self.kind is None:
            return [tree]
        level = one_level(tree) if type(tree) is self.kind else None
        if level is None or len(level[0]) != len(self.children) or level[1] != self.metadata:
            raise ValueError(
                located(
                    f"expected {self}, got {tree!r}",
                    attempt="tree_structure of both, to see where they part",
                )
            )
        pairs = zip(self.children, level[0], strict=True)
        return [leaf for structure, child in pairs for leaf in structure.flatten_up_to(child)]

    def compose(self, inner: ReferenceStructure) -> ReferenceStructure:
        """This structure with `inner` in place of each leaf."""
        if self.kind is None:
            return inner
        children = tuple(child.compose(inner) for child in self.children)
        return ReferenceStructure(self.kind, self.metadata, children)

    def __str__(self) -> str:
        return f"PyTreeDef({self._text()})"

    def _text(self) -> str:
        parts = [child._text() for child in self.children]
        inside = ", ".join(parts)
        if self.kind is None:
            return "*"
        if self.kind is type(None):
            return "None"
        if self.kind is tuple:
            return f"({inside},)" if len(parts) == 1 else f"({inside})"
        if self.kind is list:
            return f"[{inside}]"
        if self.kind is dict:
            items = zip(self.metadata, parts, strict=True)
            return "{" + ", ".join(f"{key!r}: {part}" for key, part in items) + "}"
        name, shown = self.kind.__name__, str(self.metadata)
        if self.kind not in entries and self.kind not in (OrderedDict, defaultdict):
            name, shown = "namedtuple", self.kind.__name__
        return f"CustomNode({name}[{shown}], [{inside}])"
