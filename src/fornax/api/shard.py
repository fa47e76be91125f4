"""Meshes of devices, and where values lie. There is one device: nothing ever moves."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax import pytree
from fornax.api import device
from fornax.api.signature import as_arrays
from fornax.ir.types import typeof
from fornax.partition.mesh import (
    AbstractMesh,
    AxisType,
    Mesh,
    current_mesh,
    mesh_scope,
    set_current,
)
from fornax.partition.shardings import NamedSharding, Sharding
from fornax.partition.spec import PartitionSpec
from fornax.source import located

__all__ = [
    "get_abstract_mesh",
    "get_mesh",
    "make_mesh",
    "reshard",
    "set_mesh",
    "use_abstract_mesh",
    "with_sharding_constraint",
]

_NO_MESH = Mesh(np.empty((), dtype=object), ())


def make_mesh(
    axis_shapes: Sequence[int],
    axis_names: Sequence[Any],
    axis_types: AxisType | Sequence[AxisType] | None = None,
    *,
    devices: Sequence[Any] | None = None,
) -> Mesh:
    """A mesh of the devices.

    axis_shapes: how many devices along each axis. axis_names: a name for each. axis_types: Explicit
    by default. devices: which ones, all by default. Raises ValueError if there are too few.
    """
    shapes = tuple(axis_shapes)
    names = (axis_names,) if isinstance(axis_names, str) else tuple(axis_names)
    if len(shapes) != len(names):
        raise ValueError(
            located(
                f"Number of axis_shapes ({len(shapes)}) and axis_names ({len(names)}) must be "
                "equal",
                attempt="make_mesh((2, 4), ('x', 'y')): a name for each size",
            )
        )
    present = list(device.devices() if devices is None else devices)
    if len(present) < math.prod(shapes):
        raise ValueError(
            located(
                f"Number of devices {len(present)} must be >= the product of mesh_shape {shapes}",
                why="every place of the mesh needs a device of its own",
                attempt="smaller axis_shapes",
            )
        )
    types = (AxisType.Explicit,) * len(shapes) if axis_types is None else axis_types
    grid = np.empty(math.prod(shapes), dtype=object)
    grid[:] = present[: grid.size]
    return Mesh(grid.reshape(shapes), names, types)


class set_mesh:  # noqa: N801  (JAX's name)
    """Make a mesh current: for good, or for the body of a `with`."""

    def __init__(self, mesh: Mesh | None):
        if mesh is not None and not isinstance(mesh, Mesh):
            raise ValueError(
                located(
                    f"Expected mesh of type `jax.sharding.Mesh`. Got {type(mesh)}",
                    attempt="make_mesh((2,), ('x',))",
                )
            )
        self._before = current_mesh()
        self._mesh = mesh
        set_current(mesh)

    def __enter__(self) -> Mesh | None:
        return self._mesh

    def __exit__(self, *exception: Any) -> None:
        set_current(self._before)


def use_abstract_mesh(mesh: AbstractMesh) -> contextlib.AbstractContextManager[Any]:
    """Make an abstract mesh current for the body of a `with`. Raises ValueError for others."""
    if not isinstance(mesh, AbstractMesh):
        raise ValueError(
            located(
                f"Expected mesh of type `jax.sharding.AbstractMesh`. Got type: {type(mesh)}",
                attempt="mesh.abstract_mesh of a Mesh",
            )
        )
    return mesh_scope(mesh)


def get_mesh() -> Mesh:
    """The current mesh; one without axes if there is none."""
    mesh = current_mesh()
    return mesh if isinstance(mesh, Mesh) else _NO_MESH


def get_abstract_mesh() -> AbstractMesh:
    """The axes of the current mesh; none if there is none."""
    mesh = current_mesh()
    return (_NO_MESH if mesh is None else mesh).abstract_mesh


def _checked(name: str, x: Any, shardings: Any) -> Any:
    """The tree `x` of arrays, after each sharding has been found to fit its leaf."""
    leaves, structure = pytree.tree_flatten(x)
    types = [typeof(leaf) for leaf in leaves]
    given = pytree.flatten_axes(f"{name} shardings", structure, shardings)
    for type_, sharding in zip(types, given, strict=True):
        _sharding(name, sharding).check_compatible_aval(type_.shape)
    return pytree.tree_unflatten(structure, as_arrays(leaves))


def _sharding(name: str, given: Any) -> Sharding:
    """The sharding that was meant, by itself or as a specification for the current mesh."""
    if isinstance(getattr(given, "sharding", None), Sharding):
        given = given.sharding  # a format: this, and how elements follow one another
    if isinstance(given, Sharding):
        return given
    if given is None:
        raise ValueError(
            located(
                f"One of {name} arguments got sharding None which is not allowed",
                "it would say nothing",
                "a NamedSharding, or PartitionSpec() for a copy on every device",
            )
        )
    if not isinstance(given, PartitionSpec):
        raise TypeError(
            located(
                "shardings leaf specifications are expected to be PartitionSpec instances or "
                f"None, but got {given!r:.80}",
                attempt="NamedSharding(mesh, PartitionSpec('axis'))",
            )
        )
    mesh = current_mesh()
    if mesh is None:
        raise RuntimeError(
            located(
                f"{name} requires a non-empty mesh in context if you are passing "
                "`PartitionSpec`s to shardings",
                attempt="with jax.set_mesh(mesh): …, or a NamedSharding",
            )
        )
    return NamedSharding(mesh, given)


def with_sharding_constraint(x: Any, shardings: Any) -> Any:
    """`x`, laid out as `shardings` says: a sharding or PartitionSpec, or a tree of them.

    With one device the values stay where they are. Raises ValueError for a sharding that does not
    fit, RuntimeError for a PartitionSpec without a current mesh, TypeError for what is neither.
    """
    return _checked("with_sharding_constraint", x, shardings)


def reshard(xs: Any, out_shardings: Any) -> Any:
    """`xs`, moved to lie as `out_shardings` says; on one device the values stay where they are."""
    return _checked("reshard", xs, out_shardings)
