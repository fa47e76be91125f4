"""JAXopt: unconstrained, proximal, projected and implicit solvers."""

import json

import jax
import jax.numpy as jnp
import jaxopt
from jaxopt import projection, prox

A = jax.random.normal(jax.random.key(0), (30, 5))
b = A @ jnp.array([1.0, -2.0, 0.0, 0.0, 3.0]) + 0.01 * jax.random.normal(jax.random.key(1), (30,))


def least_squares(w, penalty=0.0):
    return jnp.mean((A @ w - b) ** 2) + penalty * jnp.sum(w**2)


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


start = jnp.zeros(5)
results = {}
for solver in [
    jaxopt.GradientDescent(least_squares, maxiter=500),
    jaxopt.LBFGS(least_squares, maxiter=100),
    jaxopt.NonlinearCG(least_squares, maxiter=100),
    jaxopt.BFGS(least_squares, maxiter=100),
]:
    results[type(solver).__name__] = solver.run(start).params.tolist()
results["~rosenbrock"] = jaxopt.LBFGS(rosenbrock, maxiter=200).run(jnp.zeros(4)).params.tolist()
lasso = jaxopt.ProximalGradient(least_squares, prox.prox_lasso, maxiter=500)
results["lasso"] = lasso.run(start, hyperparams_prox=0.1).params.tolist()
simplex = jaxopt.ProjectedGradient(least_squares, projection.projection_simplex, maxiter=300)
results["simplex"] = simplex.run(jnp.ones(5) / 5).params.tolist()
results["GaussNewton"] = jaxopt.GaussNewton(lambda w: A @ w - b).run(start).params.tolist()
results["LevenbergMarquardt"] = (
    jaxopt.LevenbergMarquardt(lambda w: jnp.sin(A @ w) - jnp.sin(b))
    .run(start + 0.5)
    .params.tolist()
)
results["Bisection"] = float(jaxopt.Bisection(lambda x: x**3 - x - 1, 1.0, 2.0).run().params)
results["AndersonAcceleration"] = float(
    jaxopt.AndersonAcceleration(jnp.cos, history_size=3).run(jnp.array(0.5)).params
)


def ridge(penalty):
    return jaxopt.LBFGS(least_squares, maxiter=100).run(start, penalty=penalty).params


results["implicit"] = jax.jacobian(ridge)(0.1).tolist()
results["unrolled"] = float(
    jax.grad(
        lambda p: jnp.sum(
            jaxopt.GradientDescent(least_squares, maxiter=20, implicit_diff=False)
            .run(start, penalty=p)
            .params
        )
    )(0.1)
)
quadratic = jaxopt.OSQP()
found = quadratic.run(
    params_obj=(jnp.eye(2), jnp.array([1.0, -1.0])),
    params_eq=(jnp.ones((1, 2)), jnp.ones(1)),
    params_ineq=(-jnp.eye(2), jnp.zeros(2)),
).params
results["OSQP"] = found.primal.tolist()
print(json.dumps(results))
