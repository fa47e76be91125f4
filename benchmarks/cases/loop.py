"""Loops of scalars and small vectors, and loops that write arrays; Numba beside the scalar ones."""

from __future__ import annotations

import numpy as np

from benchmarks.cases.case import case, normal
from benchmarks.cases.library import jax, jnp, lax

#: how many times Numba's time a scalar loop may take
NUMBA = 1.2


def compiled(function):
    """The function as Numba compiles it; imported here because only one side has Numba."""
    import numba

    return numba.njit(function)


def loop(name, function, make, numba=None, **fields):
    """A case; `numba`: a function of plain Python scalars and arrays, and its arguments."""
    if numba is not None:
        fields["sides"] = {"numba": (lambda: (compiled(numba[0]), numba[1]()), NUMBA)}
    case(name, "loop", **fields)(lambda: (function, make()))


# --- scalars ------------------------------------------------------------------------------------
STEPS = 1_000_000


def logistic_numba(x):
    three, one = np.float32(2.9), np.float32(1)
    for _ in range(STEPS):
        x = three * x * (one - x)
    return x


def decay(x, rates):
    return lax.scan(lambda x, r: (x * 0.999 + r, x), x, rates)


def decay_numba(x, rates):
    seen = np.empty_like(rates)
    factor = np.float32(0.999)
    for k in range(rates.shape[0]):
        seen[k] = x
        x = x * factor + rates[k]
    return x, seen


def rates():
    return np.random.default_rng(0).standard_normal(STEPS).astype(np.float32)


loop(
    "scalar scan, 1 M steps",
    lambda x: lax.scan(lambda x, _: (2.9 * x * (1 - x), None), x, None, length=STEPS)[0],
    lambda: (jnp.float32(0.3),),
    (logistic_numba, lambda: (np.float32(0.3),)),
    limit=3e-9 * STEPS,
    smoke=True,
)
loop(
    "scalar scan with inputs and outputs, 1 M steps",
    decay,
    lambda: (jnp.float32(0.3), jnp.asarray(rates())),
    (decay_numba, lambda: (np.float32(0.3), rates())),
    limit=3e-9 * STEPS,
    gradient={"tolerance": 1e-3},
)


def halving(n):
    """Halves even numbers, triples odd ones, until the limit of steps."""

    def step(state):
        n, steps = state
        return jnp.where(n % 2 == 0, n // 2, (3 * n + 1) % 1_000_003), steps + 1

    return lax.while_loop(lambda s: (s[0] >= 0) & (s[1] < STEPS), step, (n, 0))


def halving_numba(n):
    steps = np.int32(0)
    while n >= 0 and steps < STEPS:
        n = np.int32(n // 2) if n % 2 == 0 else np.int32((3 * n + 1) % 1_000_003)
        steps += np.int32(1)
    return n, steps


def newton(x):
    """A root that is approached until the limit of steps."""
    return lax.while_loop(
        lambda s: s[1] < STEPS, lambda s: (s[0] * 0.5 + 1.0 / s[0], s[1] + 1), (x, 0)
    )[0]


def newton_numba(x):
    half, one, steps = np.float32(0.5), np.float32(1.0), 0
    while steps < STEPS:
        x = x * half + one / x
        steps += 1
    return x


loop(
    "scalar while of integers, 1 M steps",
    halving,
    lambda: (jnp.int32(97),),
    (halving_numba, lambda: (np.int32(97),)),
)
loop(
    "scalar while, 1 M steps",
    newton,
    lambda: (jnp.float32(3),),
    (newton_numba, lambda: (np.float32(3),)),
)
loop(
    "fori_loop sum, 1 M steps",
    lambda x: lax.fori_loop(0, STEPS, lambda i, s: s + x[i], jnp.float32(0)),
    lambda: (jnp.asarray(rates()),),
    tolerance=1e-3,
)


# --- ordinary differential equations ------------------------------------------------------------
def runge_kutta(velocity, state, step):
    k1 = velocity(state)
    k2 = velocity(state + step / 2 * k1)
    k3 = velocity(state + step / 2 * k2)
    k4 = velocity(state + step * k3)
    return state + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def lorenz(state, steps):
    """With 10 instead of 28 the path ends in a point, so that both sides can be compared."""

    def velocity(s):
        x, y, z = s
        return jnp.stack([10 * (y - x), x * (10 - z) - y, x * y - 8 / 3 * z])

    return lax.scan(lambda s, _: (runge_kutta(velocity, s, 0.01), None), state, None, length=steps)[
        0
    ]


def lorenz_numba(x, y, z):
    step = np.float32(0.01)
    half, sixth, two = np.float32(0.005), np.float32(0.01 / 6), np.float32(2)
    ten, ratio = np.float32(10), np.float32(8 / 3)
    for _ in range(100_000):
        a1, b1, c1 = ten * (y - x), x * (ten - z) - y, x * y - ratio * z
        u, v, w = x + half * a1, y + half * b1, z + half * c1
        a2, b2, c2 = ten * (v - u), u * (ten - w) - v, u * v - ratio * w
        u, v, w = x + half * a2, y + half * b2, z + half * c2
        a3, b3, c3 = ten * (v - u), u * (ten - w) - v, u * v - ratio * w
        u, v, w = x + step * a3, y + step * b3, z + step * c3
        a4, b4, c4 = ten * (v - u), u * (ten - w) - v, u * v - ratio * w
        x = x + sixth * (a1 + two * a2 + two * a3 + a4)
        y = y + sixth * (b1 + two * b2 + two * b3 + b4)
        z = z + sixth * (c1 + two * c2 + two * c3 + c4)
    return x, y, z


def three():
    return (jnp.array([1.0, 1.0, 1.0]),)


loop(
    "Lorenz by RK4, 100k steps",
    lambda s: lorenz(s, 100_000),
    three,
    (lorenz_numba, lambda: (np.float32(1),) * 3),
    smoke=True,
)
loop("Lorenz by RK4, 1000 steps", lambda s: lorenz(s, 1000), three, gradient={"tolerance": 1e-3})


def planets(state, steps=200):
    """Five bodies around each other: places and speeds of shape (5, 2, 3)."""

    def velocity(s):
        between = s[None, :, 0] - s[:, None, 0]
        squares = jnp.sum(between * between, -1, keepdims=True) + 0.1
        pull = jnp.sum(between / (squares * jnp.sqrt(squares)), 1)
        return jnp.stack([s[:, 1], pull], 1)

    return lax.scan(lambda s, _: (runge_kutta(velocity, s, 0.01), None), state, None, length=steps)[
        0
    ]


loop(
    "five planets by RK4, 200 steps",
    planets,
    lambda: (normal(5, 2, 3),),
    tolerance=1e-3,
    gradient={"tolerance": 1e-2},
)


# --- writing arrays -----------------------------------------------------------------------------
def written(n):
    def program(x):
        def step(i, out):
            return out.at[i].set(out[i - 1] * 0.5 + x[i])

        return lax.fori_loop(1, n, step, jnp.zeros(n))

    return program


def written_numba(x):
    out = np.zeros(x.shape[0], np.float32)
    half = np.float32(0.5)
    for i in range(1, x.shape[0]):
        out[i] = out[i - 1] * half + x[i]
    return out


for n, name in ((10_000, "10k"), (100_000, "100k"), (1_000_000, "1 M"), (10_000_000, "10 M")):
    loop(
        f".at[i].set in a loop, n = {name}",
        written(n),
        lambda n=n: (normal(n),),
        (
            written_numba,
            lambda n=n: (np.random.default_rng(0).standard_normal(n).astype(np.float32),),
        ),
        gradient={} if n == 10_000 else None,
    )


def jacobi(steps):
    def program(x, heat):
        def step(_, x):
            inner = (x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]) * 0.25
            return x.at[1:-1, 1:-1].set(inner + heat[1:-1, 1:-1])

        return lax.fori_loop(0, steps, step, x)

    return program


def jacobi_numba(x, heat):
    quarter = np.float32(0.25)
    for _ in range(1000):
        new = x.copy()
        for i in range(1, x.shape[0] - 1):
            for j in range(1, x.shape[1] - 1):
                total = x[i - 1, j] + x[i + 1, j] + x[i, j - 1] + x[i, j + 1]
                new[i, j] = total * quarter + heat[i, j]
        x = new
    return x


def plates():
    return normal(256, 256), normal(256, 256, seed=1) * 0.01


def numpy_plates():
    first, second = (np.random.default_rng(k).standard_normal((256, 256)) for k in range(2))
    return first.astype(np.float32), second.astype(np.float32) * np.float32(0.01)


loop("Jacobi, 1000 steps of 256²", jacobi(1000), plates, (jacobi_numba, numpy_plates))
loop("Jacobi, 100 steps of 256²", jacobi(100), plates, gradient={})


def mandelbrot(real, imaginary):
    def pixel(a, b):
        def step(state):
            x, y, n = state
            return x * x - y * y + a, 2 * x * y + b, n + 1

        def inside(state):
            x, y, n = state
            return (x * x + y * y < 4) & (n < 200)

        return lax.while_loop(inside, step, (a * 0, b * 0, 0))[2]

    return jax.vmap(pixel)(real, imaginary)


def mandelbrot_numba(real, imaginary):
    counts = np.empty(real.shape[0], np.int32)
    two, four = np.float32(2), np.float32(4)
    for k in range(real.shape[0]):
        x = y = np.float32(0)
        n = 0
        while x * x + y * y < four and n < 200:
            x, y = x * x - y * y + real[k], two * x * y + imaginary[k]
            n += 1
        counts[k] = n
    return counts


def plane():
    x, y = np.meshgrid(np.linspace(-2, 0.5, 400), np.linspace(-1.2, 1.2, 400))
    return x.ravel().astype(np.float32), y.ravel().astype(np.float32)


#: rounding decides pixels at the edge: a few counts differ
loop(
    "mandelbrot by vmap(while), 160k",
    mandelbrot,
    lambda: tuple(map(jnp.asarray, plane())),
    (mandelbrot_numba, plane),
    tolerance=1.0,
)
