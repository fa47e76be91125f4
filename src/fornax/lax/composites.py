"""Functions about how programs are compiled: composite and its kin."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fornax import pytree
from fornax.api.signature import as_arrays
from fornax.api.tracing import trace_types
from fornax.ir.late import retraced
from fornax.primitives.composite import composite_p, optimization_barrier_p
from fornax.source import located

__all__ = ["composite", "optimization_barrier", "platform_dependent"]


def composite(decomposition: Callable[..., Any], name: str, version: int = 0) -> Callable[..., Any]:
    """`decomposition` as one named operation of programs, which runs as what it is made of.

    The result takes its positional arguments; keyword arguments are static attributes. It can be
    mapped but not differentiated (ValueError); name and version are for other compilers.
    """

    @functools.wraps(decomposition)
    @retraced
    def call(*args: Any, **attributes: Any) -> Any:
        function = functools.partial(decomposition, **attributes)
        traced = trace_types(function, args, "composite", refs=True)
        jaxpr, leaves = traced.jaxpr, pytree.tree_leaves(args)
        outputs = traced.applied(
            leaves,
            lambda operands: composite_p.bind(
                *jaxpr.consts, *operands, name=name, version=version,
                attributes=tuple(sorted(attributes.items())), jaxpr=jaxpr.without_consts(),
            ),
        )  # fmt: skip
        return pytree.tree_unflatten(traced.out_tree, as_arrays(outputs))

    return call


def optimization_barrier(operand: Any, /) -> Any:
    """The operand, a tree of arrays; work on the result is not merged with work on the operand."""
    return pytree.tree_map(lambda x: as_arrays(optimization_barrier_p.bind(x))[0], operand)


def platform_dependent(
    *args: Any, default: Callable[..., Any] | None = None, **per_platform: Callable[..., Any]
) -> Any:
    """`per_platform["cpu"](*args)`, for that is where programs run; else `default(*args)`.

    Raises TypeError for a branch that cannot be called, ValueError for the platform "gpu" (which is
    called "cuda" or "rocm"), NotImplementedError where no branch is for the processor.
    """
    for name, branch in per_platform.items():
        if not callable(branch):
            raise TypeError(
                located(
                    f"lax.platform_dependent: the '{name}' branch must be a callable.",
                    attempt=f"{name}=function",
                )
            )
        if name == "gpu":
            raise ValueError(
                located(
                    "Use 'cuda' or 'rocm' for lax.platform_dependent.",
                    attempt="cuda=function or rocm=function",
                )
            )
    if default is not None and not callable(default):
        raise TypeError(
            located(
                "lax.platform_dependent: the 'default' branch must be a callable.",
                attempt="default=function",
            )
        )
    chosen = per_platform.get("cpu", default)
    if chosen is None:
        raise NotImplementedError(
            located(
                f"platform_dependent has branches for {sorted(per_platform)} and runs on cpu",
                attempt="add cpu=... or default=...",
            )
        )
    return chosen(*args)
