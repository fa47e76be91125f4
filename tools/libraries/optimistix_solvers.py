"""Optimistix: roots, fixed points, least squares, minimisation, gradients through them."""

import json

import jax
import jax.numpy as jnp
import optimistix as optx

results = {}


def equation(y, args):
    a, b = y
    return jnp.tanh(a) - b * args, a**2 + b - 2.0


for solver in (optx.Newton(1e-6, 1e-6), optx.Chord(1e-6, 1e-6), optx.Dogleg(1e-6, 1e-6)):
    name = type(solver).__name__
    root = optx.root_find(equation, solver, (jnp.array(1.0), jnp.array(0.5)), args=1.3)
    results[name] = [float(value) for value in root.value]
results["gradient"] = float(
    jax.grad(
        lambda a: optx.root_find(
            equation, optx.Newton(1e-6, 1e-6), (jnp.array(1.0), jnp.array(0.5)), args=a
        ).value[0]
    )(1.3)
)
results["bisection"] = float(
    optx.root_find(
        lambda x, _: x**3 - x - 1, optx.Bisection(1e-5, 1e-5), jnp.array(1.5),
        options={"lower": 1.0, "upper": 2.0},
    ).value
)  # fmt: skip
results["fixed"] = float(
    optx.fixed_point(lambda y, _: jnp.cos(y), optx.FixedPointIteration(1e-6, 1e-6), 0.5).value
)


def rosenbrock(y, _):
    return 10 * (y[1:] - y[:-1] ** 2), 1 - y[:-1]


def total(y, _):
    return sum(jnp.sum(part**2) for part in rosenbrock(y, _))


for solver in (optx.LevenbergMarquardt(1e-6, 1e-6), optx.GaussNewton(1e-6, 1e-6)):
    found = optx.least_squares(rosenbrock, solver, jnp.zeros(3) + 0.5, max_steps=500)
    results[type(solver).__name__] = found.value.tolist()
for solver in (optx.BFGS(1e-6, 1e-6), optx.NelderMead(1e-6, 1e-6)):
    found = optx.minimise(total, solver, jnp.zeros(3) + 0.5, max_steps=2000)
    results["~" + type(solver).__name__] = found.value.tolist()
print(json.dumps(results))
