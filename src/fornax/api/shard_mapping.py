"""shard_map: a function of the parts of arrays that lie on the devices of a mesh.

There is one device, so that a mesh has one place, every part is whole, and what is left of the
mapping are the names of the mesh's axes: the function runs under maps over axes of one example.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fornax import pytree
from fornax.api.signature import as_arrays, function_name
from fornax.api.vmap import vmap
from fornax.given import not_given
from fornax.ir.types import typeof
from fornax.partition.mesh import AbstractMesh, Mesh, current_mesh, manual_scope
from fornax.partition.spec import PartitionSpec
from fornax.primitives.shape import reshape
from fornax.source import located

__all__ = ["shard_map"]


def shard_map(
    f: Callable[..., Any] | None = None,
    /,
    *,
    out_specs: Any,
    in_specs: Any = not_given,
    mesh: Mesh | AbstractMesh | None = None,
    axis_names: Iterable[Any] = frozenset(),
    check_vma: bool = True,
) -> Any:
    """`f`, applied to each device's parts of the arguments; collectives take the mesh's axes.

    f: a function of trees of arrays; left out, a decorator is returned. in_specs, out_specs: trees
    of PartitionSpec, prefixes of the arguments and of the results; None for an argument that is no
    array. mesh: of one device; the current one by default. axis_names: those of the mesh that f
    names, all by default. check_vma: accepted; with one device all results are the same everywhere.

    Raises TypeError for what is no function or no specification, ValueError for a mesh that there
    is not, for axes that it lacks, and for specifications longer than an array has dimensions.
    """
    if f is None:
        return functools.partial(
            shard_map, out_specs=out_specs, in_specs=in_specs, mesh=mesh, axis_names=axis_names,
            check_vma=check_vma,
        )  # fmt: skip
    if not callable(f):
        raise TypeError(
            located(
                "shard_map requires a callable for its first argument, but got "
                f"{f!r:.80} of type {type(f)}.",
                attempt="shard_map(function, mesh=..., in_specs=..., out_specs=...)",
            )
        )
    if in_specs is not_given:
        raise TypeError(
            located(
                "shard_map in_specs argument must be a pytree of `jax.sharding.PartitionSpec` "
                "instances, but it was not given",
                "how arguments lie says nothing with one device",
                "in_specs=PartitionSpec() for arguments that every device has whole",
            )
        )
    chosen = frozenset(axis_names)

    @functools.wraps(f)
    def mapped(*args: Any) -> Any:
        names = _manual_axes(mesh, chosen)
        operands, put_back = _split_operands(f, args, in_specs, names)
        structure: Any = None

        def flat(*leaves: Any) -> list[Any]:
            nonlocal structure
            leaves_out, structure = pytree.tree_flatten(f(*put_back(leaves)))
            return leaves_out

        run: Callable[..., Any] = flat
        for name in names:
            run = vmap(run, in_axes=None, axis_size=1, axis_name=name)
        with manual_scope(names):
            results = run(*operands)
        results = [reshape(x, typeof(x).shape[len(names) :]) for x in results]
        specs = pytree.flatten_axes("shard_map out_specs", structure, out_specs)
        for spec, x in zip(specs, results, strict=True):
            _check_spec("out_specs", f, spec, typeof(x).shape, names)
        return pytree.tree_unflatten(structure, as_arrays(results))

    return mapped


def _manual_axes(mesh: Any, chosen: frozenset[Any]) -> tuple[Any, ...]:
    """The names of the axes that the function may name. Raises ValueError as `shard_map` does."""
    if mesh is None:
        mesh = current_mesh()
    if mesh is None or not mesh.axis_names:
        raise ValueError(
            located(
                "The context mesh cannot be empty. Use `jax.set_mesh(mesh)` to enter into a mesh "
                "context",
                attempt="mesh=make_mesh((1,), ('x',))",
            )
        )
    if mesh.size > 1:
        raise ValueError(
            located(
                f"shard_map: a mesh of {mesh.size} places, and there is one device",
                attempt="make_mesh((1,), ('x',)), or vmap with axis_name for several examples",
            )
        )
    if not chosen <= set(mesh.axis_names):
        raise ValueError(
            located(
                f"jax.shard_map requires axis_names={set(chosen)} to be a subset of "
                f"mesh.axis_names={mesh.axis_names}",
                attempt="names of the mesh's axes, or none for all",
            )
        )
    return tuple(name for name in mesh.axis_names if not chosen or name in chosen)


def _split_operands(
    f: Any, args: tuple[Any, ...], in_specs: Any, names: Sequence[Any]
) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The leaves that are arrays, and what puts them back among the others."""
    leaves, structure = pytree.tree_flatten(args)
    specs = pytree.flatten_axes("shard_map in_specs", structure, in_specs)
    places = [k for k, spec in enumerate(specs) if spec is not None]
    for k in places:
        _check_spec("in_specs", f, specs[k], typeof(leaves[k]).shape, names)

    def put_back(values: Sequence[Any]) -> Any:
        whole = list(leaves)
        for k, value in zip(places, values, strict=True):
            whole[k] = value
        return pytree.tree_unflatten(structure, whole)

    return [leaves[k] for k in places], put_back


def _check_spec(
    which: str, f: Any, spec: Any, shape: tuple[int, ...], names: Sequence[Any]
) -> None:
    if not isinstance(spec, PartitionSpec):
        raise TypeError(
            located(
                f"shard_map {which} argument must be a pytree of `jax.sharding.PartitionSpec` "
                f"instances, but: {spec!r:.80} is of type {type(spec)}",
                attempt="PartitionSpec('axis'), or PartitionSpec()",
            )
        )
    unknown = [name for name in spec.axes() if name not in names]
    if unknown:
        raise ValueError(
            located(
                f"shard_map {which} argument must refer to an axis marked as manual "
                f"({tuple(names)}), but: {which} refers to {unknown[0]!r}",
                attempt="names of the mesh's axes",
            )
        )
    if len(spec.partitions) > len(shape):
        kind = "input" if which == "in_specs" else "output"
        raise ValueError(
            located(
                f"shard_map applied to the function {function_name(f)!r} was given an {which} "
                "entry which is too long to be compatible with the corresponding "
                f"{kind} value from the function: {spec} for shape {shape}",
                attempt=f"at most {len(shape)} entries",
            )
        )
