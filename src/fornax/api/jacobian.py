"""Jacobians and Hessians: the derivative along every unit vector, mapped."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax import pytree
from fornax.api.flat import Flat, Pullback, linearized
from fornax.api.grad import check_input, check_output
from fornax.api.signature import (
    as_arrays,
    as_indices,
    check_callable,
    check_values,
    partial_arguments,
)
from fornax.ir.basis import instantiate, move_axis
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.convert import convert_element_type
from fornax.primitives.shape import reshape
from fornax.primitives.slice import slice_in
from fornax.scalars import dtypes
from fornax.source import located
from fornax.transforms.batch import batch_flat, place
from fornax.transforms.jvp import jvp_flat

__all__ = ["hessian", "jacfwd", "jacobian", "jacrev"]


def unit_vectors(types: Sequence[ArrayType]) -> tuple[int, list[np.ndarray]]:
    """(number, stacks): the unit vectors of the space of all these arrays together.

    stacks[i] has the vectors' parts for types[i] along a new leading axis.
    """
    total = sum(t.size for t in types)
    stacks, start = [], 0
    for t in types:
        flat = np.zeros((total, t.size), t.dtype)
        flat[start : start + t.size] = np.eye(t.size, dtype=t.dtype)
        stacks.append(flat.reshape(total, *t.shape))
        start += t.size
    return total, stacks


def split_axis(x: Any, types: Sequence[ArrayType]) -> list[Any]:
    """Cut the leading axis of unit vectors into the pieces of `types`, each in its own shape."""
    rest = typeof(x).shape[1:]
    pieces, start = [], 0
    for t in types:
        piece = slice_in(x, 0, start, start + t.size) if len(types) > 1 else x
        pieces.append(reshape(piece, (*t.shape, *rest)))
        start += t.size
    return pieces


def split_last(x: Any, types: Sequence[ArrayType]) -> list[Any]:
    """Like `split_axis`, for unit vectors along the leading axis that belongs at the end."""
    x = move_axis(x, 0, typeof(x).ndim - 1)
    shape = typeof(x).shape
    pieces, start = [], 0
    for t in types:
        axis = len(shape) - 1
        piece = slice_in(x, axis, start, start + t.size) if len(types) > 1 else x
        pieces.append(reshape(piece, (*shape[:-1], *t.shape)))
        start += t.size
    return pieces


def jacfwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of `fun`, column by column in forward mode.

    The result has the tree of the output; each leaf holds the tree of the differentiated arguments,
    with the shape of the output followed by that of the argument. Integer outputs have blocks of
    zeros of their dtype. argnums, has_aux, holomorphic: as
    for `grad`. Raises TypeError for arguments that are not real (or complex, if holomorphic).
    """
    check_callable(fun)
    as_indices(argnums, "argnums")

    @functools.wraps(fun)
    def jacobian_f(*args: Any, **kwargs: Any) -> Any:
        function, chosen = partial_arguments(fun, argnums, args, kwargs)
        leaves, structure = pytree.tree_flatten(tuple(chosen))
        for leaf in leaves:
            check_forward_input("jacfwd", leaf, holomorphic)
        types = [typeof(x) for x in leaves]
        flat = Flat(function, structure, has_aux)
        total, stacks = unit_vectors(types)
        outputs: list[Any] = []

        def push(*tangents: Any) -> list[Any]:
            outs, found = jvp_flat(flat, leaves, tangents)
            outputs[:] = outs
            return [instantiate(t) for t in found]

        columns, dims = batch_flat(push, total, stacks, [0] * len(stacks))
        if holomorphic:
            for out in outputs:
                check_output("jacfwd", typeof(out), True)
        rows = []
        for column, dim, out in zip(columns, dims, outputs, strict=True):
            column = _numbers(place(column, dim, total, 0), typeof(out))
            pieces = split_last(column, types)
            tree = pytree.tree_unflatten(structure, as_arrays(pieces))
            rows.append(tree[0] if isinstance(argnums, int) else tree)
        result = pytree.tree_unflatten(flat.out_structure, rows)
        return (result, flat.aux) if has_aux else result

    return jacobian_f


def _numbers(derivatives: Any, type: ArrayType) -> Any:
    """Derivatives of or by a value of this type; those of integers as zeros of their dtype."""
    found = typeof(derivatives)
    return np.zeros(found.shape, type.dtype) if found.dtype == dtypes.float0 else derivatives


def check_forward_input(name: str, leaf: Any, holomorphic: bool) -> None:
    """Raise TypeError unless the argument can be differentiated forwards."""
    check_values([leaf], "Argument")
    dtype = typeof(leaf).dtype
    if holomorphic:
        if not dtypes.is_complex(dtype):
            raise TypeError(
                located(
                    f"{name} with holomorphic=True requires inputs with complex dtype, but got "
                    f"{dtype.name}.",
                    attempt="x.astype(complex), or holomorphic=False for a function of real "
                    "numbers",
                )
            )
    elif not dtypes.is_floating(dtype):
        raise TypeError(
            located(
                f"{name} requires real-valued inputs (input dtype that is a sub-dtype of "
                f"np.floating), but got {dtype.name}. For holomorphic differentiation, pass "
                "holomorphic=True. For differentiation of non-holomorphic functions involving "
                "complex inputs or integer inputs, use fornax.jvp directly.",
                "only along a real number is there one derivative",
                "1.0 instead of 1, or x.astype(float)",
            )
        )


def jacrev(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of `fun`, row by row in reverse mode; the same result as `jacfwd` gives.

    allow_int: integer arguments get blocks of zeros of their dtype.
    """
    check_callable(fun)
    as_indices(argnums, "argnums")

    @functools.wraps(fun)
    def jacobian_f(*args: Any, **kwargs: Any) -> Any:
        function, chosen = partial_arguments(fun, argnums, args, kwargs)
        for leaf in pytree.tree_leaves(chosen):
            check_input("jacrev", leaf, holomorphic, allow_int)
        flat, outputs, linear, residuals = linearized(Pullback, function, chosen, has_aux)
        out_types = [typeof(x) for x in outputs]
        for type in out_types:
            check_output("jacrev", type, holomorphic)
        total, stacks = unit_vectors(out_types)

        def pull(*cotangents: Any) -> list[Any]:
            return [instantiate(g) for g in linear.pull(residuals, cotangents)]

        rows, dims = batch_flat(pull, total, stacks, [0] * len(stacks))
        blocks = []  # [argument leaf][output leaf]
        for row, dim, type in zip(rows, dims, linear.in_types, strict=True):
            row = _numbers(place(row, dim, total, 0), type)
            row = convert_element_type(row, type.dtype, type.weak_type)
            blocks.append(as_arrays(split_axis(row, out_types)))
        results = []
        for number in range(len(out_types)):
            tree = pytree.tree_unflatten(linear.in_structure, [b[number] for b in blocks])
            results.append(tree[0] if isinstance(argnums, int) else tree)
        result = pytree.tree_unflatten(flat.out_structure, results)
        return (result, flat.aux) if has_aux else result

    return jacobian_f


jacobian = jacrev


def hessian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Hessian of a function, forward over reverse; see `jacfwd`."""
    return jacfwd(jacrev(fun, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic)
