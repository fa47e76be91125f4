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


WHOLE, FLOATS = np.arange(4, dtype=np.int32), np.arange(4, dtype=np.float32)

#: functions of integers, or by way of them, of indices
INTEGERS = {
    "index": lambda i: i[1],
    "slice": lambda i: i[1:3],
    "reversed": lambda i: i[::-1],
    "new axis": lambda i: i[None],
    "gather": lambda i: i[fnp.array([0, 2])],
    "mask": lambda i: i[np.array([True, False, True, False])],
    "set": lambda i: i.at[1].set(True),
    "add": lambda i: i.astype(np.int32).at[fnp.array([1, 1])].add(7),
    "min": lambda i: i.at[1].min(True),
    "fill": lambda i: i.at[9].get(mode="fill", fill_value=True),
    "dynamic_slice": lambda i: fornax.lax.dynamic_slice(i, (1,), (2,)),
    "take": lambda i: fnp.take(i, fnp.array([1])),
    "sort": fnp.sort,
    "argmax": fnp.argmax,
    "pad": lambda i: fnp.pad(i, 1),
}
INDICES = {
    "get": lambda i: fnp.asarray(FLOATS)[i],
    "set": lambda i: fnp.asarray(FLOATS).at[i].set(2.0),
    "add": lambda i: fnp.asarray(FLOATS).at[i].add(FLOATS),
    "take": lambda i: fnp.take(FLOATS, i),
    "take_along_axis": lambda i: fnp.take_along_axis(FLOATS, i, 0),
    "dynamic_slice": lambda i: fornax.lax.dynamic_slice(FLOATS, (i[0],), (2,)),
    "where": lambda i: fnp.where(i > 1, FLOATS, 0.0),
    "scan": lambda i: fornax.lax.scan(lambda c, j: (c + fnp.asarray(FLOATS)[j], j), 0.0, i)[0],
}


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("dtype", [np.int32, np.bool_])
def test_cotangents_of_integers_go_through_indexing(name, dtype):
    f, i = INTEGERS[name], fnp.asarray(WHOLE.astype(dtype))
    out, pull = fornax.vjp(f, i)
    (nothing,) = pull(np.zeros(out.shape, float0))
    assert nothing.dtype == float0 and nothing.shape == i.shape
    same, tangent = fornax.jvp(f, (i,), (np.zeros(4, float0),))
    assert tangent.dtype == float0 and tangent.shape == same.shape == out.shape
    assert fornax.linearize(f, i)[1](np.zeros(4, float0)).dtype == float0


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("wrap", [lambda f: f, fornax.jit, fornax.checkpoint])
def test_gradients_of_indices_are_nothing(name, wrap):
    f = wrap(lambda i: INDICES[name](i).sum())
    nothing = fornax.grad(f, allow_int=True)(fnp.asarray(WHOLE))
    assert nothing.dtype == float0 and nothing.shape == (4,)
    both = fornax.grad(lambda x, i: (x * f(i)).sum(), argnums=(0, 1), allow_int=True)
    of_x, nothing = both(fnp.asarray(FLOATS), fnp.asarray(WHOLE))
    np.testing.assert_allclose(of_x, np.full(4, f(fnp.asarray(WHOLE))), rtol=1e-6)
    assert nothing.dtype == float0
    mapped = fornax.vmap(fornax.grad(f, allow_int=True))(fnp.stack([WHOLE, WHOLE]))
    assert mapped.dtype == float0 and mapped.shape == (2, 4)
