"""Tangents of integers: values of dtype float0 go through every transformation and program."""

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
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


@pytest.mark.parametrize("f, shape", [
    (fnp.asarray, (3,)), (fnp.zeros_like, (3,)), (lambda z: fnp.stack([z, z]), (2, 3)),
    (lambda z: fnp.concatenate([z, z]), (6,)), (lambda z: fnp.reshape(z, (3, 1)), (3, 1)),
    (fornax.device_put, (3,)), (lambda z: fnp.where(True, z, z), (3,)),
    (lambda z: fnp.full_like(z, 1), (3,)),
])  # fmt: skip
def test_functions_that_only_move_elements_take_it(f, shape):
    moved = f(np.zeros(3, float0))
    assert isinstance(moved, np.ndarray) and moved.dtype == float0 and moved.shape == shape


@pytest.mark.parametrize("f", [
    fnp.sin, fnp.sum, fnp.negative, lambda z: fnp.add(z, 1), lambda z: fnp.add(z, z),
    lambda z: fnp.asarray(z, "float32"), fornax.lax.neg,
])  # fmt: skip
def test_functions_that_compute_refuse_it(f):
    with pytest.raises(
        TypeError, match="float0s do not support any operations by design"
    ) as raised:
        f(np.zeros(3, float0))
    assert str(raised.value).count("try:") == 1


def test_jacobians_of_integer_outputs_are_zeros():
    found = fornax.jacfwd(lambda x: {"n": x.astype(int), "x": x})(fnp.ones(2))
    assert found["n"].dtype == np.int32 and not np.any(found["n"])
    np.testing.assert_array_equal(found["x"], np.eye(2))
