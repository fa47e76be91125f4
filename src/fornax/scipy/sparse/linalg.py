"""Linear systems solved with products alone: conjugate gradients, BiCGSTAB, GMRES.

Right-hand sides may be trees of arrays; they are one vector inside. Gradients solve the transposed
system, so they cost one solution and remember no iteration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fornax import lax, pytree
from fornax import numpy as fnp
from fornax.flatten_util import ravel_pytree
from fornax.ir.types import typeof
from fornax.source import located

__all__ = ["bicgstab", "cg", "gmres"]

Product = Callable[[Any], Any]


def _product(A: Any, what: str) -> Product:  # noqa: N803
    """The product with a matrix, or with what a function says."""
    if callable(A):
        return A
    shape = typeof(fnp.asarray(A)).shape
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(
            located(
                f"linear operator {what} must be a square matrix, but has shape: {shape}",
                attempt="a square matrix, or a function that gives its product with a vector",
            )
        )
    return lambda x: fnp.matmul(A, x)


def _norm2(x: Any) -> Any:
    return fnp.real(fnp.vdot(x, x))


def _solve(
    step: Callable[..., Any], A: Any, b: Any, x0: Any, tol: Any, atol: Any,  # noqa: N803
    maxiter: Any, M: Any, symmetric: bool, unit: int = 1,  # noqa: N803
) -> tuple[Any, None]:  # fmt: skip
    """(x, None): the part that the methods share.

    step(product, prepare, b, x0, bound, maxiter) iterates on vectors until the square of the
    residual is at most `bound`. unit: how many products one of its iterations takes.
    """
    multiply = _product(A, "A")
    prepare = (lambda x: x) if M is None else _product(M, "M")
    b = pytree.tree_map(fnp.asarray, b)
    x0 = pytree.tree_map(fnp.zeros_like if x0 is None else fnp.asarray, b if x0 is None else x0)
    found, wanted = (pytree.tree_flatten(tree) for tree in (x0, b))
    if found[1] != wanted[1]:
        raise ValueError(
            located(
                f"x0 and b must have matching tree structure: {found[1]} vs {wanted[1]}",
                attempt="leave x0 out to start at zero",
            )
        )
    shapes = [[typeof(x).shape for x in leaves] for leaves, _ in (found, wanted)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            located(
                f"arrays in x0 and b must have matching shapes: {shapes[0]} vs {shapes[1]}",
                attempt="leave x0 out to start at zero",
            )
        )
    start, _ = ravel_pytree(x0)
    flat, restore = ravel_pytree(b)
    if maxiter is None:
        maxiter = 10 * typeof(flat).size // unit  # as many products, however they are grouped

    def on_vectors(product: Product) -> Product:
        return lambda vector: ravel_pytree(product(restore(vector)))[0].astype(flat.dtype)

    def solve(product: Product, right: Any) -> Any:
        vector, _ = ravel_pytree(right)
        bound = fnp.maximum(tol**2 * _norm2(vector), fnp.asarray(atol) ** 2)
        return restore(
            step(on_vectors(product), on_vectors(prepare), vector, start, bound, maxiter)
        )

    x = lax.custom_linear_solve(
        multiply, b, solve=solve, transpose_solve=solve, symmetric=symmetric
    )
    return x, None


def _conjugate(multiply: Product, prepare: Product, b: Any, x: Any, bound: Any, maxiter: Any):
    def goes_on(state: Any) -> Any:
        _, r, _, _, k = state
        return (_norm2(r) > bound) & (k < maxiter)

    def iteration(state: Any) -> Any:
        x, r, gamma, p, k = state
        image = multiply(p)
        alpha = gamma / fnp.vdot(p, image).astype(b.dtype)
        x, r = x + alpha * p, r - alpha * image
        z = prepare(r)
        rest = fnp.vdot(r, z).astype(b.dtype)
        return x, r, rest, z + rest / gamma * p, k + 1

    r = b - multiply(x)
    z = prepare(r)
    state = x, r, fnp.vdot(r, z).astype(b.dtype), z, 0
    return lax.while_loop(goes_on, iteration, state)[0]


def _stabilized(multiply: Product, prepare: Product, b: Any, x: Any, bound: Any, maxiter: Any):
    def goes_on(state: Any) -> Any:
        _, r, *_, k = state  # k is negative after a breakdown
        return (_norm2(r) > bound) & (k < maxiter) & (k >= 0)

    def iteration(state: Any) -> Any:
        x, r, first, alpha, omega, rho, p, q, k = state
        rest = fnp.vdot(first, r)
        p = r + rest / rho * alpha / omega * (p - omega * q)
        ahead = prepare(p)
        q = multiply(ahead)
        alpha = rest / fnp.vdot(first, q)
        s = r - alpha * q
        early = _norm2(s) < bound  # the first half step is enough
        turned = prepare(s)
        t = multiply(turned)
        omega = fnp.where(early, 1, fnp.vdot(t, s) / fnp.vdot(t, t)).astype(b.dtype)
        whole = x + alpha * ahead + omega * turned
        x = fnp.where(early, x + alpha * ahead, whole)
        r = fnp.where(early, s, s - omega * t)
        k = fnp.where((omega == 0) | (alpha == 0), -11, k + 1)
        k = fnp.where(rest == 0, -10, k)
        return x, r, first, alpha, omega, rest, p, q, k

    r = b - multiply(x)
    one = fnp.ones((), b.dtype)
    state = x, r, r, one, one, one, fnp.zeros_like(r), fnp.zeros_like(r), fnp.asarray(0)
    return lax.while_loop(goes_on, iteration, state)[0]


def _minimal(restart: int) -> Callable[..., Any]:
    """GMRES: minimal residuals over the span of `restart` products, again and again."""

    def step(multiply: Product, prepare: Product, b: Any, x: Any, bound: Any, maxiter: Any):
        size = min(restart, typeof(b).size)
        tiny = fnp.finfo(b.dtype).eps

        def residual(x: Any) -> Any:
            return prepare(b - multiply(x))

        def extend(k: Any, state: Any) -> Any:
            basis, heights = state
            w = prepare(multiply(basis[k]))
            before = fnp.sqrt(_norm2(w))
            first = basis.conj() @ w  # rows after k are zero
            w = w - first @ basis
            second = basis.conj() @ w  # what rounding left of the rows
            w = w - second @ basis
            norm = fnp.sqrt(_norm2(w))
            ends = norm <= tiny * before  # the span holds the solution
            w = fnp.where(ends, 0, w / fnp.where(ends, 1, norm))
            column = (first + second).at[k + 1].set(fnp.where(ends, 0, norm).astype(b.dtype))
            return basis.at[k + 1].set(w.astype(b.dtype)), heights.at[:, k].set(column)

        def goes_on(state: Any) -> Any:
            _, rest, k = state
            return (_norm2(rest) > bound) & (k < maxiter)

        def iteration(state: Any) -> Any:
            x, rest, k = state
            norm = fnp.sqrt(_norm2(rest))
            basis = fnp.zeros((size + 1, *b.shape), b.dtype).at[0].set(rest / norm)
            heights = fnp.zeros((size + 1, size), b.dtype)
            basis, heights = lax.fori_loop(0, size, extend, (basis, heights))
            goal = fnp.zeros(size + 1, b.dtype).at[0].set(norm.astype(b.dtype))
            weights = fnp.linalg.lstsq(heights, goal)[0]
            x = x + weights @ basis[:-1]
            return x, residual(x), k + 1

        # the bound is of b's residual; that of the prepared one is as far from b's norm
        scale = _norm2(prepare(b)) / fnp.maximum(_norm2(b), fnp.finfo(b.dtype).tiny)
        bound = bound * fnp.where(scale > 0, scale, 1)
        return lax.while_loop(goes_on, iteration, (x, residual(x), 0))[0]

    return step


def cg(A, b, x0=None, *, tol=1e-5, atol=0.0, maxiter=None, M=None):  # noqa: N803
    """(x, None) with A x = b for a Hermitian positive definite A, by conjugate gradients.

    A: a matrix, or a function that gives A x for x like b, an array or a tree of arrays. It ends
    when the residual's norm is at most max(tol |b|, atol), or after maxiter iterations (10 times
    the size of b). x0: where to start. M: an approximation of A's inverse, as a matrix or function.
    Raises ValueError where shapes or structures do not fit. See `jax.scipy.sparse.linalg.cg`.
    """
    return _solve(_conjugate, A, b, x0, tol, atol, maxiter, M, True)


def bicgstab(A, b, x0=None, *, tol=1e-5, atol=0.0, maxiter=None, M=None):  # noqa: N803
    """(x, None) with A x = b for any A, by stabilized biconjugate gradients.

    Arguments and errors as of `cg`. An iteration takes two products with A.
    """
    return _solve(_stabilized, A, b, x0, tol, atol, maxiter, M, False)


def gmres(
    A, b, x0=None, *, tol=1e-5, atol=0.0, restart=20, maxiter=None, M=None,  # noqa: N803
    solve_method="batched",
):  # fmt: skip
    """(x, info) with A x = b for any A, by minimal residuals over `restart` products at a time.

    info: 0, or -1 where x is not a number. maxiter counts restarts. solve_method: "batched" or
    "incremental", which find the same x. Other arguments and errors as of `cg`.
    """
    if solve_method not in ("batched", "incremental"):
        raise ValueError(
            located(
                f"invalid solve_method {solve_method}, must be either 'incremental' or 'batched'",
                attempt="leave it out",
            )
        )
    x, _ = _solve(_minimal(restart), A, b, x0, tol, atol, maxiter, M, False)
    failed = fnp.isnan(_norm2(ravel_pytree(x)[0]))
    return x, fnp.where(failed, -1, 0)
