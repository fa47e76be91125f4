"""vmap: a function of single examples as a function of stacks of them."""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Sequence
from typing import Any

from fornax import pytree
from fornax.api.leaks import checked
from fornax.api.references import RefArguments, refuse_aliases
from fornax.api.signature import as_arrays, check_callable, check_values, describe, leaf_names
from fornax.ir.ref import Ref
from fornax.ir.types import ArrayType, typeof
from fornax.source import located
from fornax.transforms.batch import batch_flat, place

__all__ = ["vmap"]


def vmap(
    fun: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
    sum_match: bool = False,
) -> Callable[..., Any]:
    """`fun`, mapped over an axis of its arguments.

    in_axes: which axis of each positional argument is mapped: an int, None for not mapped, or a
    tuple of trees of those. Keyword arguments are mapped along axis 0. out_axes: where the mapped
    axis goes in the outputs; None for outputs that are the same for all examples.
    axis_name: a name for collectives such as `lax.psum`. axis_size: needed where no argument is
    mapped. spmd_axis_name and sum_match have no effect on one device.

    Raises ValueError where axes do not fit the arguments, or sizes differ; TypeError for axes that
    are not integers.
    """
    check_callable(fun)
    del spmd_axis_name, sum_match
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not (in_axes is None or isinstance(in_axes, int | tuple)):
        raise TypeError(
            located(
                "vmap in_axes must be an int, None, or a tuple of entries corresponding to the "
                f"positional arguments passed to the function, but got {in_axes}.",
                attempt="in_axes=0, or a tuple such as (0, None), not a list",
            )
        )
    _check_entries("in_axes", in_axes)
    _check_entries("out_axes", out_axes)

    @functools.wraps(fun)
    def vmap_f(*args: Any, **kwargs: Any) -> Any:
        if isinstance(in_axes, tuple) and len(in_axes) != len(args):
            raise ValueError(
                located(
                    "vmap in_axes must be an int, None, or a tuple of entries corresponding to "
                    "the positional arguments passed to the function, but got "
                    f"len(in_axes)={len(in_axes)}, len(args)={len(args)}",
                    "each positional argument has its entry; keyword arguments are mapped along "
                    "axis 0",
                    "one int or None per argument, or functools.partial for those that are fixed",
                )
            )
        leaves, structure = pytree.tree_flatten((args, kwargs))
        if not leaves and axis_size is None:
            raise ValueError(
                located(
                    "vmap wrapped function must be passed at least one argument containing an "
                    f"array or axis_size must be specified, got empty *args={args} and "
                    f"**kwargs={kwargs}",
                    attempt="pass an array to map over, or axis_size=n",
                )
            )
        check_values([x for x in leaves if not isinstance(x, Ref)], "Argument")
        axes = pytree.flatten_axes("vmap in_axes", structure, (in_axes, 0), kws=True)
        types = [x.type if isinstance(x, Ref) else typeof(x) for x in leaves]
        axes = [_axis(t, axis) for t, axis in zip(types, axes, strict=True)]
        size = _mapped_size(fun, args, kwargs, types, axes, axis_size)
        out_structure: list[pytree.PyTreeDef] = []
        # the others are the same for all examples, so that the function gets them as they are
        refs = RefArguments(
            leaves,
            [i for i, x in enumerate(leaves) if isinstance(x, Ref) and axes[i] is not None],
        )
        if refs.places:
            mapped = [x if i in refs.places else None for i, x in enumerate(leaves)]
            refuse_aliases(fun, "vmap", mapped, lambda: leaf_names(fun, args, kwargs))

        def flat(*values: Any) -> list[Any]:
            remember()
            inner_args, inner_kwargs = pytree.tree_unflatten(structure, refs.opened(values, axes))
            outputs, found = pytree.tree_flatten(fun(*inner_args, **inner_kwargs))
            check_values(outputs, "Output from batched function")
            out_structure[:] = [found]
            return [*outputs, *refs.closed()]

        with checked() as remember:
            values, dims = batch_flat(flat, size, refs.values(leaves), axes, axis_name)
        placed = [*refs.places, *(refs.places[k] for k in refs.touched)]
        for k, i in enumerate(placed, len(values) - len(placed)):
            values[k] = place(values[k], dims[k], size, axes[i])
        values = refs.settle(values, fun, "vmap")
        dims = dims[: len(values)]
        wanted = pytree.flatten_axes("vmap out_axes", out_structure[0], out_axes)
        results = [
            _placed(fun, value, dim, size, axis)
            for value, dim, axis in zip(values, dims, wanted, strict=True)
        ]
        return pytree.tree_unflatten(out_structure[0], as_arrays(results))

    return vmap_f


def _check_entries(name: str, axes: Any) -> None:
    for entry in pytree.tree_leaves(axes):
        if not isinstance(entry, int) or isinstance(entry, bool):
            raise TypeError(
                located(
                    f"vmap {name} must be an int, None, or (nested) container with those types as "
                    f"leaves, but got {axes}.",
                    attempt="0, None, or containers like those of the arguments with 0 or None "
                    "in them",
                )
            )


def _axis(type: ArrayType, axis: int | None) -> int | None:
    """The mapped axis of a value, not negative. Raises ValueError if there is no such axis."""
    if axis is None:
        return None
    if not -type.ndim <= axis < type.ndim:
        needed = axis + 1 if axis >= 0 else -axis
        raise ValueError(
            located(
                f"vmap was requested to map its argument along axis {axis}, which implies that "
                f"its rank should be at least {needed}, but is only {type.ndim} (its shape is "
                f"{type.shape})",
                "the mapped axis is what the function is called along",
                "in_axes=None for arguments that all calls share",
            )
        )
    return axis % type.ndim


def _mapped_size(
    fun: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    types: Sequence[ArrayType],
    axes: Sequence[int | None],
    axis_size: int | None,
) -> int:
    """The common size of the mapped axes. Raises ValueError naming the arguments if none."""
    sizes = [t.shape[a] for t, a in zip(types, axes, strict=True) if a is not None]
    if not sizes and axis_size is None:
        raise ValueError(
            located(
                "vmap must have at least one non-None value in in_axes or axis_size must be "
                "specified",
                "the number of calls is the size of a mapped axis",
                "an axis in in_axes, or axis_size=number_of_calls",
            )
        )
    if axis_size is not None:
        sizes.insert(0, axis_size)
    if len(set(sizes)) == 1:
        return sizes[0]
    names = leaf_names(fun, args, kwargs)
    groups: dict[int, list[str]] = collections.defaultdict(list)
    for name, type, axis in zip(names, types, axes, strict=True):
        if axis is not None:
            text = f"axis {axis} of argument {name} of type {_long(type)}"
            groups[type.shape[axis]].append(text)
    lines = ["vmap got inconsistent sizes for array axes to be mapped:"]
    if axis_size is not None:
        lines.append(f"  * the `axis_size` argument was {axis_size};")
    most = max(len(places) for places in groups.values())
    leaders = [size for size, places in groups.items() if len(places) == most and most > 1]
    for size, places in sorted(groups.items(), key=lambda item: -len(item[1])):
        if len(places) == 1:
            lines.append(f"  * one axis had size {size}: {places[0]};")
        else:
            quantity = "most" if leaders == [size] else "some"
            lines.append(
                f"  * {quantity} axes ({len(places)} of them) had size {size}, e.g. {places[0]};"
            )
    raise ValueError(
        located(
            "\n".join(lines).rstrip(";"),
            "each call takes one element of every mapped axis",
            "in_axes=None for arguments that all calls share, or another axis",
        )
    )


def _long(type: ArrayType) -> str:
    return f"{type.dtype.name}[{','.join(map(str, type.shape))}]"


def _placed(fun: Any, value: Any, dim: int | None, size: int, axis: int | None) -> Any:
    """An output with the mapped axis where out_axes wants it."""
    if axis is None:
        if dim is not None:
            raise ValueError(
                located(
                    f"at vmap out_axes, got axis spec None but output was batched on axis {dim}, "
                    f"in the output of {describe(fun)}",
                    why="an output with out_axes=None must not depend on mapped arguments",
                    attempt="out_axes=0, or reduce over the axis with lax.psum or lax.pmean",
                )
            )
        return value
    ndim = typeof(value).ndim + (dim is None)
    if not -ndim <= axis < ndim:
        raise ValueError(
            located(
                f"axis {axis} is out of bounds for array of dimension {ndim}",
                attempt=f"an axis from {-ndim} to {ndim - 1}, or None for an output that is not "
                "mapped",
            )
        )
    return place(value, dim, size, axis % ndim)
