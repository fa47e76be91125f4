"""`minimize`: the least value of a function of a vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fornax import lax
from fornax import numpy as fnp
from fornax.api.grad import value_and_grad
from fornax.scipy.optimize.line_search import line_search, product, whole
from fornax.source import located

__all__ = ["OptimizeResults", "minimize"]


class OptimizeResults(NamedTuple):
    """What `minimize` found: the point `x`, the value `fun` and the gradient `jac` there.

    status: 0 for success, 1 after too many iterations, 3 and 5 where no good step was found.
    hess_inv: the estimated inverse of the second derivatives. nfev, njev, nit: evaluations of the
    function and its gradient, iterations.
    """

    x: Any
    success: Any
    status: Any
    fun: Any
    jac: Any
    hess_inv: Any
    nfev: Any
    njev: Any
    nit: Any


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple = (),
    *,
    method: str,
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResults:
    """The least value of `fun(x, *args)`, a scalar, near `x0`, a vector.

    method: "BFGS". options: `maxiter`, `norm` and `gtol` (the iteration ends when that norm of the
    gradient is below gtol), `line_search_maxiter`. tol has no effect. Works under jit and vmap; not
    differentiable backwards. Raises ValueError for other methods, TypeError for args that are no
    tuple.
    """
    del tol
    if not isinstance(args, tuple):
        raise TypeError(
            located(
                f"args argument to fornax.scipy.optimize.minimize must be a tuple, got {args}",
                attempt="(args,) for one argument",
            )
        )
    if method.lower() != "bfgs":
        raise ValueError(
            located(
                f"Method {method} not recognized",
                "one method is implemented",
                "method='BFGS', or a library of optimizers",
            )
        )
    return _bfgs(lambda x: fun(x, *args), x0, **(options or {}))


class _State(NamedTuple):
    converged: Any
    failed: Any
    count: Any
    evaluations: Any
    x: Any
    value: Any
    before: Any
    gradient: Any
    inverse: Any
    search_status: Any


def _bfgs(
    function: Callable[[Any], Any],
    x0: Any,
    maxiter: int | None = None,
    norm: Any = np.inf,
    gtol: float = 1e-5,
    line_search_maxiter: int = 10,
) -> OptimizeResults:
    """The method of Broyden, Fletcher, Goldfarb and Shanno: algorithm 6.1 of Nocedal and Wright,
    "Numerical Optimization", 2006."""
    x0 = fnp.asarray(x0)
    if maxiter is None:
        maxiter = 200 * x0.size
    value, gradient = value_and_grad(function)(x0)
    unit = fnp.eye(x0.shape[0], dtype=x0.dtype)

    def small(gradient: Any) -> Any:
        return fnp.linalg.norm(gradient, ord=norm) < gtol

    def going(state: _State) -> Any:
        return ~state.converged & ~state.failed & (state.count < maxiter)

    def step(state: _State) -> _State:
        direction = -product(state.inverse, state.gradient)
        search = line_search(
            function, state.x, direction, state.value, state.before, state.gradient,
            line_search_maxiter,
        )  # fmt: skip
        moved = search.point.step * direction
        change = search.point.gradient - state.gradient
        weight = 1 / product(change, moved)
        rest = unit - weight * fnp.outer(moved, change)
        inverse = product(product(rest, state.inverse), rest.T) + weight * fnp.outer(moved, moved)
        return _State(
            small(search.point.gradient), search.failed, state.count + 1,
            state.evaluations + search.evaluations, state.x + moved, search.point.value,
            state.value, search.point.gradient,
            fnp.where(fnp.isfinite(weight), inverse, state.inverse), search.status,
        )  # fmt: skip

    state = lax.while_loop(
        going,
        step,
        _State(
            small(gradient),
            fnp.asarray(False),
            whole(0),
            whole(1),
            x0,
            value,
            value + fnp.linalg.norm(gradient) / 2,
            gradient,
            unit,
            whole(0),
        ),  # fmt: skip
    )
    status = fnp.where(state.failed, 2 + state.search_status, whole(-1))
    status = fnp.where(state.count == maxiter, 1, status)
    return OptimizeResults(
        state.x, state.converged & ~state.failed, fnp.where(state.converged, 0, status),
        state.value, state.gradient, state.inverse, state.evaluations, state.evaluations,
        state.count,
    )  # fmt: skip
