"""Algebra: factorizations of matrices, alone and in stacks, and Fourier transforms."""

from __future__ import annotations

import numpy as np

from benchmarks.cases.case import case, normal
from benchmarks.cases.library import jnp, linalg


def algebra(name, function, make, **fields):
    case(name, "algebra", **{"tolerance": 1e-3, **fields})(lambda: (function, make()))


def definite(*shape, seed=0):
    """Positive definite matrices with eigenvalues of about the same size."""
    n = shape[-1]
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return jnp.array(values @ values.swapaxes(-1, -2) / n + np.eye(n, dtype=np.float32))


def solve(a, b):
    return jnp.linalg.solve(a, b)


def solve_by_cholesky(a, b):
    return linalg.cho_solve(linalg.cho_factor(a), b)


def solve_triangular(a, b):
    return linalg.solve_triangular(jnp.tril(a), b, lower=True)


def log_density(covariance, x):
    """Of normal numbers with that covariance, without the constant."""
    factor = jnp.linalg.cholesky(covariance)
    z = linalg.solve_triangular(factor, x[..., None], lower=True)[..., 0]
    return -0.5 * jnp.sum(z * z, -1) - jnp.sum(jnp.log(jnp.diagonal(factor, 0, -2, -1)), -1)


SIZES = ((10_000, 4, 4), (1000, 16, 16), (64, 64, 64), (16, 16), (256, 256), (1024, 1024))
for shape in SIZES:
    stack, size = shape[:-2], "x".join(map(str, shape))
    gradient = {} if stack else None
    algebra(
        f"cholesky, {size}", lambda a: jnp.linalg.cholesky(a),
        lambda shape=shape: (definite(*shape),), gradient=gradient,
    )  # fmt: skip
    algebra(
        f"solve, {size}", solve,
        lambda shape=shape: (definite(*shape), normal(*shape, seed=1)), gradient=gradient,
    )  # fmt: skip
    algebra(f"inverse, {size}", lambda a: jnp.linalg.inv(a), lambda s=shape: (definite(*s),))
    algebra(
        f"log determinant, {size}", lambda a: jnp.linalg.slogdet(a), lambda s=shape: (definite(*s),)
    )
    algebra(
        f"triangular solve, {size}", solve_triangular,
        lambda shape=shape: (definite(*shape), normal(*shape, seed=1)),
    )  # fmt: skip
for shape in ((1000, 16, 16), (64, 64, 64), (256, 256)):
    size = "x".join(map(str, shape))
    algebra(
        f"eigenvalues, {size}", lambda a: jnp.linalg.eigvalsh(a), lambda s=shape: (definite(*s),)
    )
    algebra(
        f"singular values, {size}", lambda a: jnp.linalg.svd(a, compute_uv=False),
        lambda s=shape: (normal(*s),),
    )  # fmt: skip
    algebra(
        f"R of QR, {size}", lambda a: jnp.abs(jnp.linalg.qr(a)[1]), lambda s=shape: (normal(*s),)
    )
algebra(
    "normal log densities, 10000 x 8", log_density,
    lambda: (definite(10_000, 8, 8), normal(10_000, 8)), gradient={},
)  # fmt: skip
algebra(
    "solve by Cholesky, 512 with 64 sides", solve_by_cholesky,
    lambda: (definite(512, 512), normal(512, 64)), gradient={},
)  # fmt: skip


def waves(*shape, seed=0):
    values = np.random.default_rng(seed).standard_normal((2, *shape)).astype(np.float32)
    return (jnp.array(values[0] + 1j * values[1]),)


def derivative(x):
    """Of periodic functions."""
    frequencies = jnp.fft.rfftfreq(x.shape[-1]) * 1j
    return jnp.fft.irfft(jnp.fft.rfft(x) * frequencies, x.shape[-1])


def convolved(x, h):
    """By the convolution theorem."""
    n = x.shape[-1] + h.shape[-1] - 1
    return jnp.fft.irfft(jnp.fft.rfft(x, n) * jnp.fft.rfft(h, n), n)


for length in (64, 1000, 1024, 1009, 1 << 14, 1 << 20):
    algebra(f"fft, {length}", lambda x: jnp.fft.fft(x), lambda n=length: waves(n))
for shape in ((10_000, 64), (1000, 1024), (1000, 1000)):
    size = " x ".join(map(str, shape))
    algebra(f"fft of rows, {size}", lambda x: jnp.fft.fft(x), lambda s=shape: waves(*s))
    algebra(f"rfft of rows, {size}", lambda x: jnp.fft.rfft(x), lambda s=shape: (normal(*s),))
    algebra(
        f"spectral derivative of rows, {size}", derivative, lambda s=shape: (normal(*s),),
        gradient={},
    )  # fmt: skip
algebra("fft2, 1024²", lambda x: jnp.fft.fft2(x), lambda: waves(1024, 1024))
algebra("fftn, 64³", lambda x: jnp.fft.fftn(x), lambda: waves(64, 64, 64))
algebra(
    "convolution by rfft, 1 M with 1000", convolved, lambda: (normal(1 << 20), normal(1000, seed=1))
)
