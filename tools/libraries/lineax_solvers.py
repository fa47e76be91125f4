"""Lineax: direct and iterative solvers, structured operators, gradients and batches."""

import json

import jax
import jax.numpy as jnp
import lineax as lx

A = jax.random.normal(jax.random.key(0), (5, 5)) + 5 * jnp.eye(5)
b = jax.random.normal(jax.random.key(1), (5,))
positive = lx.MatrixLinearOperator(A @ A.T, lx.positive_semidefinite_tag)
general = lx.MatrixLinearOperator(A)
results = {}
for solver in (lx.AutoLinearSolver(well_posed=True), lx.LU(), lx.QR(), lx.SVD(),
               lx.GMRES(1e-3, 1e-3)):  # fmt: skip
    results[type(solver).__name__] = lx.linear_solve(general, b, solver).value.tolist()
for solver in (lx.Cholesky(), lx.CG(1e-5, 1e-5)):
    results[type(solver).__name__] = lx.linear_solve(positive, b, solver).value.tolist()
tall = lx.MatrixLinearOperator(jax.random.normal(jax.random.key(2), (8, 5)))
results["least squares"] = lx.linear_solve(tall, jnp.ones(8), lx.QR()).value.tolist()
bands = lx.TridiagonalLinearOperator(4 * jnp.ones(5), jnp.ones(4), -jnp.ones(4))
results["tridiagonal"] = lx.linear_solve(bands, b).value.tolist()
jacobian = lx.JacobianLinearOperator(lambda y, _: jnp.tanh(A @ y), 0.1 * b)
results["jacobian"] = lx.linear_solve(
    jacobian, b, lx.AutoLinearSolver(well_posed=True)
).value.tolist()
results["gradient"] = (
    jax.grad(lambda m: lx.linear_solve(lx.MatrixLinearOperator(m), b).value.sum())(A)
    .ravel()[:6]
    .tolist()
)
results["batched"] = (
    jax.vmap(lambda v: lx.linear_solve(general, v).value)(jnp.stack([b, 2 * b])).ravel().tolist()
)
print(json.dumps(results))
