"""Trees as one vector: JAX's `jax.flatten_util`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax import pytree as tree_util
from fornax.ir.types import typeof
from fornax.source import located

__all__ = ["ravel_pytree"]


def ravel_pytree(pytree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """(all leaves in one 1-D array, the function that makes the tree again).

    The array has the promoted dtype of the leaves; the function gives every leaf its own dtype
    and raises ValueError for an array of another length, TypeError for one of another dtype.
    """
    leaves, structure = tree_util.tree_flatten(pytree)
    if not leaves:
        return fnp.zeros(0), lambda _: tree_util.tree_unflatten(structure, [])
    leaves = [fnp.asarray(leaf) for leaf in leaves]
    shapes = [typeof(leaf).shape for leaf in leaves]
    dtypes = [typeof(leaf).dtype for leaf in leaves]
    joint = fnp.result_type(*leaves)
    flat = fnp.concatenate([leaf.astype(joint).reshape(-1) for leaf in leaves])
    ends = np.cumsum([int(np.prod(s)) for s in shapes]).tolist()

    def unravel(vector: Any) -> Any:
        vector = fnp.asarray(vector)
        if vector.shape != (ends[-1],):
            raise ValueError(
                located(
                    f"the unravel function expects a vector of shape {(ends[-1],)}, got "
                    f"{vector.shape}",
                    attempt="the vector that ravel_pytree gave, or one of its length",
                )
            )
        if vector.dtype != joint:
            raise TypeError(
                located(
                    f"the unravel function expects dtype {joint}, got {vector.dtype}",
                    attempt=f"vector.astype({str(joint)!r})",
                )
            )
        parts = fnp.split(vector, ends[:-1])
        return tree_util.tree_unflatten(
            structure,
            [p.reshape(s).astype(d) for p, s, d in zip(parts, shapes, dtypes, strict=True)],
        )

    return flat, unravel
