"""pmap: a function of single examples, run on several devices, one example on each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fornax import pytree
from fornax.api import device
from fornax.api.jit import jit
from fornax.api.signature import check_callable
from fornax.api.vmap import vmap
from fornax.errors import message
from fornax.ir.types import typeof

__all__ = ["pmap"]


def pmap(
    fun: Callable[..., Any],
    axis_name: Any = None,
    *,
    in_axes: Any = 0,
    out_axes: Any = 0,
    static_broadcasted_argnums: int | Iterable[int] = (),
    devices: Sequence[Any] | None = None,
    backend: str | None = None,
    axis_size: int | None = None,
    donate_argnums: int | Iterable[int] = (),
) -> Any:
    """`fun`, compiled and mapped over an axis of its arguments, each element on its own device.

    Arguments as of `vmap` and `jit`; static_broadcasted_argnums: arguments that are the same
    everywhere and known when tracing. Raises ValueError where the mapped axis is longer than there
    are devices.
    """
    check_callable(fun)
    present = list(devices) if devices is not None else device.devices(backend)
    statics = static_broadcasted_argnums
    statics = (statics,) if isinstance(statics, int) else tuple(statics)

    def mapped(*args: Any, **kwargs: Any) -> Any:
        fixed = {i % len(args): args[i] for i in statics}
        varying = [x for i, x in enumerate(args) if i not in fixed]

        def one(*values: Any, **options: Any) -> Any:
            rest = iter(values)
            return fun(*(fixed[i] if i in fixed else next(rest) for i in range(len(args))),
                       **options)  # fmt: skip

        axes = in_axes
        if isinstance(in_axes, tuple | list):
            axes = tuple(a for i, a in enumerate(in_axes) if i not in fixed)
        return vmap(one, axes, out_axes, axis_name=axis_name, axis_size=axis_size)(
            *varying, **kwargs
        )

    functools.update_wrapper(mapped, fun)
    compiled = jit(mapped, static_argnums=statics, donate_argnums=donate_argnums)

    def size_of(args: Sequence[Any], kwargs: dict[str, Any]) -> int | None:
        """The length of the first mapped axis, as far as it can be told from the arguments."""
        axes = in_axes if isinstance(in_axes, tuple | list) else (in_axes,) * len(args)
        for i, (x, axis) in enumerate(zip(args, axes, strict=False)):
            if i in statics or not isinstance(axis, int):
                continue
            for leaf in pytree.tree_leaves(x):
                shape = typeof(leaf).shape
                if -len(shape) <= axis < len(shape):
                    return shape[axis]
        return axis_size

    @functools.wraps(fun)
    def pmap_f(*args: Any, **kwargs: Any) -> Any:
        size = size_of(args, kwargs)
        if size is not None and size > len(present):
            raise ValueError(
                message(
                    f"compiling computation that requires {size} logical devices, but only "
                    f"{len(present)} XLA devices are available (num_replicas={size})",
                    where=f"pmap of {getattr(fun, '__name__', fun)}",
                    why="every element of the mapped axis runs on a device of its own",
                    attempt="vmap, which runs all elements on one device",
                )
            )
        return compiled(*args, **kwargs)

    pmap_f.lower = compiled.lower  # type: ignore[attr-defined]
    return pmap_f
