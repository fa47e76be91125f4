"""Short names for the pytree functions: `fornax.tree.map`, `fornax.tree.leaves`, …."""

import dataclasses
from typing import Any

from fornax.pytree import tree_all as all
from fornax.pytree import tree_broadcast as broadcast
from fornax.pytree import tree_flatten as flatten
from fornax.pytree import tree_flatten_with_path as flatten_with_path
from fornax.pytree import tree_leaves as leaves
from fornax.pytree import tree_leaves_with_path as leaves_with_path
from fornax.pytree import tree_map as map
from fornax.pytree import tree_map_with_path as map_with_path
from fornax.pytree import tree_reduce as reduce
from fornax.pytree import tree_reduce_associative as reduce_associative
from fornax.pytree import tree_structure as structure
from fornax.pytree import tree_transpose as transpose
from fornax.pytree import tree_unflatten as unflatten

__all__ = [
    "all",
    "broadcast",
    "flatten",
    "flatten_with_path",
    "leaves",
    "leaves_with_path",
    "map",
    "map_with_path",
    "reduce",
    "reduce_associative",
    "static",
    "structure",
    "transpose",
    "unflatten",
]


def static(**kwargs: Any) -> Any:
    """A `dataclasses.field(**kwargs)` that `register_dataclass` makes part of the structure."""
    metadata = {**(kwargs.pop("metadata", None) or {}), "static": True}
    return dataclasses.field(metadata=metadata, **kwargs)
