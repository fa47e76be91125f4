"""`jax._src.tree_util`: Fornax's, and the table of classes that are nodes, which Flax NNX reads."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fornax import tree_util
from fornax.pytree.registry import entries
from fornax.source import located

__all__ = [*tree_util.__all__]

#: nodes without having been registered; named tuples are, too, and in no table
_BUILT_IN = (tuple, list, dict, OrderedDict, defaultdict, type(None))


class Entry(NamedTuple):
    """How a node is taken apart and put together."""

    to_iter: Any
    from_iter: Any


class _Registry(Mapping[type, Entry]):
    """The classes whose objects are nodes now."""

    def __getitem__(self, kind: type) -> Entry:
        if kind in entries:
            return Entry(entries[kind].flatten, entries[kind].unflatten)
        if kind not in _BUILT_IN:
            raise KeyError(located(f"{kind} is no class of nodes", attempt="tree_util.register_*"))

        def take_apart(node: Any) -> tuple[list[Any], Any]:
            return tree_util.tree_flatten(node, is_leaf=lambda x: x is not node)

        return Entry(take_apart, lambda structure, leaves: structure.unflatten(leaves))

    def __iter__(self) -> Iterator[type]:
        return iter(dict.fromkeys((*_BUILT_IN, *entries)))

    def __len__(self) -> int:
        return sum(1 for _ in self)


_registry = _Registry()


def __getattr__(name: str) -> Any:
    return getattr(tree_util, name)
