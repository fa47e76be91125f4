"""Transformations of one function, written against a package with JAX's names.

Tangents, cotangents and batches are made here, so that both sides use the same.
"""

from __future__ import annotations

import numpy as np


def direction(jax, type):
    """A tangent or cotangent of a type: smooth numbers, or nothing where there are none."""
    dtype = np.dtype(type.dtype)
    if not jax.numpy.issubdtype(dtype, jax.numpy.inexact):
        return np.zeros(type.shape, jax.dtypes.float0)
    numbers = np.cos(1.0 + np.arange(int(np.prod(type.shape)))).reshape(type.shape)
    return (numbers * (1 + 0.5j) if dtype.kind == "c" else numbers).astype(dtype)


def jvp(jax, function, operands):
    """Results and their tangents."""
    directions = [direction(jax, np.asarray(x)) for x in operands]
    return jax.jvp(function, operands, tuple(directions))


def vjp(jax, function, operands):
    """Results and the cotangents of the operands."""
    results, pullback = jax.vjp(function, *operands)
    return results, pullback(jax.tree.map(lambda x: direction(jax, x), results))


def weak_jvp(jax, function, operands):
    """Results and their tangents, where operands and tangents are Python's numbers."""
    return jax.jvp(function, operands, (0.5,) * len(operands))


def weak_vjp(jax, function, operands):
    """Results and the cotangents of the operands, where the cotangent is weakly typed."""
    results, pullback = jax.vjp(function, *operands)
    return results, pullback(jax.tree.map(lambda x: 0.5 * x, results))


def batched(jax, function, operands, dims):
    """The function mapped over two slices, the second one the first one backwards."""
    stacked = [
        x if dim is None else np.stack([x, np.flip(x)], dim)
        for x, dim in zip(operands, dims, strict=True)
    ]
    return jax.vmap(function, dims)(*stacked)


def batched_gradient(jax, function, operands, dims):
    """Derivatives of the function mapped over two slices."""

    def mapped(*xs):
        return jax.vmap(function, dims)(*xs)

    stacked = [
        x if dim is None else np.stack([x, np.flip(x)], dim)
        for x, dim in zip(operands, dims, strict=True)
    ]
    return vjp(jax, mapped, stacked)
