"""Derivatives compared with differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax import pytree
from fornax.api.forward import jvp as forward
from fornax.api.grad import vjp as backward
from fornax.ir.types import typeof
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["check_grads", "check_jvp", "check_vjp"]

#: by how much arguments are moved
STEP = 1e-4
#: how far derivatives may be from differences, by dtype
TOLERANCE = {
    dtypes.bfloat16: 1e-1, dtypes.float16: 1e-2, dtypes.float32: 2e-3, dtypes.float64: 1e-5,
    dtypes.complex64: 1e-3, dtypes.complex128: 1e-5,
}  # fmt: skip


def _tolerance(leaf: Any, given: float | None) -> float:
    return TOLERANCE.get(typeof(leaf).dtype, 0.0) if given is None else given


def _assert_close(got: Any, wanted: Any, atol: float | None, rtol: float | None, what: str) -> None:
    got_leaves, structure = pytree.tree_flatten(got)
    wanted_leaves, other = pytree.tree_flatten(wanted)
    if structure != other:
        raise AssertionError(
            located(
                f"{what}: trees differ: {structure} and {other}",
                attempt="the same containers from both functions",
            )
        )
    for a, b in zip(got_leaves, wanted_leaves, strict=True):
        if typeof(a).dtype == dtypes.float0:
            continue
        wide = np.complex128 if dtypes.is_complex(typeof(a).dtype) else np.float64
        np.testing.assert_allclose(
            np.asarray(a).astype(wide), np.asarray(b).astype(wide),
            atol=max(_tolerance(a, atol), _tolerance(b, atol)),
            rtol=max(_tolerance(a, rtol), _tolerance(b, rtol)), err_msg=what,
        )  # fmt: skip


def _direction(random: np.random.RandomState, x: Any) -> Any:
    """A random tangent of a value: float0 zeros for integers."""
    type = typeof(x)
    tangent = dtypes.tangent_dtype(type.dtype)
    if tangent == dtypes.float0:
        return np.zeros(type.shape, tangent)
    values = random.standard_normal(type.shape)
    if dtypes.is_complex(tangent):
        values = values + 1j * random.standard_normal(type.shape)
    return np.asarray(values).astype(tangent)


def _directions(random: np.random.RandomState, tree: Any) -> Any:
    return pytree.tree_map(lambda x: _direction(random, x), tree)


def _moved(primals: Any, tangents: Any, step: float) -> Any:
    def one(x: Any, t: Any) -> Any:
        type = typeof(x)
        if typeof(t).dtype == dtypes.float0:
            return x
        return (np.asarray(x) + np.asarray(t) * step).astype(type.dtype)

    return pytree.tree_map(one, primals, tangents)


def _difference(f: Callable[..., Any], primals: Any, tangents: Any, step: float) -> Any:
    """The derivative of f at `primals` in the direction `tangents`, by a central difference."""
    above = f(*_moved(primals, tangents, step))
    below = f(*_moved(primals, tangents, -step))

    def one(a: Any, b: Any) -> Any:
        type = typeof(a)
        if dtypes.tangent_dtype(type.dtype) == dtypes.float0:
            return np.zeros(type.shape, dtypes.float0)
        return ((np.asarray(a) - np.asarray(b)) * (0.5 / step)).astype(type.dtype)

    return pytree.tree_map(one, above, below)


def _inner(xs: Any, ys: Any) -> Any:
    """The real part of the inner product of two trees."""
    pairs = zip(pytree.tree_leaves(xs), pytree.tree_leaves(ys), strict=True)
    return sum(
        np.real(np.vdot(np.conj(np.asarray(x)), np.asarray(y)))
        for x, y in pairs
        if dtypes.float0 not in (typeof(x).dtype, typeof(y).dtype)
    )


def check_jvp(
    f: Callable[..., Any],
    f_jvp: Callable[..., Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Compare a forward derivative with a difference in a random direction.

    f_jvp: (primals, tangents) -> (value, tangent). atol, rtol: tolerances, by dtype by default.
    eps: the step. Raises AssertionError where they differ.
    """
    random = np.random.RandomState(0)
    primals = tuple(args)
    tangents = _directions(random, primals)
    value, tangent = f_jvp(primals, tangents)
    where = f"{err_msg} " if err_msg else ""
    _assert_close(value, f(*primals), atol, rtol, f"{where}value of the jvp")
    expected = _difference(f, primals, tangents, STEP if eps is None else eps)
    _assert_close(tangent, expected, atol, rtol, f"{where}jvp tangent")


def check_vjp(
    f: Callable[..., Any],
    f_vjp: Callable[..., Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Compare a reverse derivative with a difference in a random direction.

    f_vjp: like `vjp` without its first argument. Otherwise as `check_jvp`.
    """
    random = np.random.RandomState(0)
    primals = tuple(args)
    value, pullback = f_vjp(*primals)
    where = f"{err_msg} " if err_msg else ""
    _assert_close(value, f(*primals), atol, rtol, f"{where}value of the vjp")
    tangents = _directions(random, primals)
    expected = _difference(f, primals, tangents, STEP if eps is None else eps)
    cotangents = _directions(random, value)
    pulled = pullback(pytree.tree_map(_as_cotangent, cotangents, value))
    left, right = _inner(tangents, pulled), _inner(expected, cotangents)
    kind = np.result_type(*(typeof(x).dtype for x in pytree.tree_leaves(value)), np.float32)
    kind = np.dtype(np.float32) if kind in (np.float32, np.complex64) else np.dtype(np.float64)
    _assert_close(
        np.asarray(left).astype(kind), np.asarray(right).astype(kind), atol, rtol,
        f"{where}vjp cotangent projection",
    )  # fmt: skip


def _as_cotangent(cotangent: Any, value: Any) -> Any:
    return np.asarray(cotangent).astype(dtypes.tangent_dtype(typeof(value).dtype))


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
) -> None:
    """Compare derivatives of f up to an order with differences, in random directions.

    args: where; trees of arrays. order: how often to differentiate. modes: "fwd", "rev", or both
    (which are then nested in all ways). atol, rtol: tolerances, by dtype by default. eps: the step.
    Raises AssertionError where they differ, ValueError for another mode.
    """
    if unknown := set(modes) - {"fwd", "rev"}:
        raise ValueError(
            located(f"check_grads: unknown modes {sorted(unknown)}", attempt="'fwd' and 'rev'")
        )
    options = {"atol": atol, "rtol": rtol, "eps": eps}

    def check(g: Callable[..., Any], at: Sequence[Any], left: int, path: str) -> None:
        if "fwd" in modes:
            where = f"{path}jvp"

            def derivative(primals: Any, tangents: Any) -> Any:
                return forward(g, primals, tangents)

            check_jvp(g, derivative, at, err_msg=where, **options)
            if left > 1:
                check(lambda *x: derivative(tuple(x), tuple(x))[1], at, left - 1, f"{where} of ")
        if "rev" in modes:
            where = f"{path}vjp"

            def pull(*x: Any) -> Any:
                return backward(g, *x)

            check_vjp(g, pull, at, err_msg=where, **options)
            if left > 1:

                def pulled(*x: Any) -> Any:
                    value, pullback = backward(g, *x)
                    return pullback(value)

                check(pulled, at, left - 1, f"{where} of ")

    check(f, args, order, "")
