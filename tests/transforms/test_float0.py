"""Tangents of integers: values of dtype float0 go through every transformation and program."""

import numpy as np
import pytest

import fornax
from fornax.dtypes import float0


@fornax.custom_vjp
def first(x, i):
    return x


first.defvjp(lambda x, i: (x, None), lambda _, g: (g, None))


def plain(x, i):
    return x * i


@pytest.mark.parametrize("f", [first, plain, fornax.jit(plain)])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_pullbacks(f, shape):
    def pull(x, i):
        return fornax.vjp(f, x, i)[1](f(x, i))

    x, i = np.ones(shape, np.float32), np.full(shape, 2)
    for g in (pull, fornax.jit(pull), fornax.jit(fornax.jit(pull))):
        for _ in range(2):
            gradient, nothing = g(x, i)
            assert isinstance(nothing, np.ndarray)
            assert nothing.dtype == float0 and nothing.shape == shape
            assert gradient.shape == shape and isinstance(gradient, fornax.Array)


def test_jacobians_and_maps():
    jacobian, nothing = fornax.jacrev(plain, argnums=(0, 1), allow_int=True)(2.0, 3)
    assert jacobian == 3 and nothing.dtype == np.int32 and nothing == 0
    gradients = fornax.jit(fornax.grad(plain, argnums=(0, 1), allow_int=True))(2.0, 3)
    assert gradients[0] == 3 and gradients[1].dtype == float0
    x, i = np.ones(3, np.float32), np.arange(3)
    mapped = fornax.vmap(fornax.grad(plain, argnums=(0, 1), allow_int=True))
    for g in (mapped, fornax.jit(mapped)):
        gradient, nothing = g(x, i)
        np.testing.assert_array_equal(gradient, i)
        assert nothing.dtype == float0 and nothing.shape == (3,)


def test_tangents_as_arguments():
    def push(x, i, tangent):
        return fornax.jvp(plain, (x, i), (x, tangent))

    zero = np.zeros((), float0)
    for g in (push, fornax.jit(push)):
        out, tangent = g(2.0, 3, zero)
        assert (out, tangent) == (6, 6)
