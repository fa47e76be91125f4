"""Diffrax: an explicit, a stiff and a stochastic equation, gradients through the solution."""

import json

import diffrax
import jax
import jax.numpy as jnp


def lotka_volterra(t, y, args):
    prey, predator = y
    a, b, c, d = args
    return jnp.stack([a * prey - b * prey * predator, c * prey * predator - d * predator])


def solve(args, adjoint):
    return diffrax.diffeqsolve(
        diffrax.ODETerm(lotka_volterra), diffrax.Tsit5(), 0.0, 10.0, 0.1, jnp.array([10.0, 5.0]),
        args=args, saveat=diffrax.SaveAt(ts=jnp.linspace(0, 10, 6)), adjoint=adjoint,
        stepsize_controller=diffrax.PIDController(rtol=1e-5, atol=1e-5),
    )  # fmt: skip


args = jnp.array([0.1, 0.02, 0.01, 0.3])
checkpointed = diffrax.RecursiveCheckpointAdjoint()
solution = solve(args, checkpointed)
gradient = jax.grad(lambda a: solve(a, checkpointed).ys[-1].sum())(args)
backsolve = jax.grad(lambda a: solve(a, diffrax.BacksolveAdjoint()).ys[-1].sum())(args)


def robertson(t, y, args):
    a, b, c = args
    x, y, z = y
    first = -a * x + c * y * z
    last = b * y**2
    return jnp.stack([first, -first - last, last])


stiff = diffrax.diffeqsolve(
    diffrax.ODETerm(robertson), diffrax.Kvaerno3(), 0.0, 10.0, 1e-4, jnp.array([1.0, 0.0, 0.0]),
    args=(0.04, 3e3, 1e2), stepsize_controller=diffrax.PIDController(rtol=1e-4, atol=1e-6),
)  # fmt: skip

path = diffrax.VirtualBrownianTree(0.0, 1.0, tol=1e-3, shape=(), key=jax.random.key(0))
terms = diffrax.MultiTerm(
    diffrax.ODETerm(lambda t, y, args: -y), diffrax.ControlTerm(lambda t, y, args: 0.3 * y, path)
)
noisy = diffrax.diffeqsolve(terms, diffrax.Heun(), 0.0, 1.0, 0.02, jnp.array(1.0))
many = jax.vmap(
    lambda y: diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: -(y**2)), diffrax.Dopri5(), 0.0, 1.0, 0.1, y
    ).ys[-1]
)(jnp.array([0.5, 1.0, 2.0]))
print(
    json.dumps(
        {
            "solution": solution.ys.ravel().tolist(),
            "steps": int(solution.stats["num_steps"]),
            "gradient": gradient.tolist(),
            "backsolve": backsolve.tolist(),
            "stiff": stiff.ys.ravel().tolist(),
            "stochastic": float(noisy.ys[0]),
            "mapped": many.tolist(),
        }
    )
)
