"""Random keys are moved, chosen and compared: what computes refuses them, eagerly and in jit."""

import subprocess
import sys

import numpy as np
import pytest

import fornax
from fornax import lax
from fornax import numpy as fnp

COMPUTING = {
    "sum": fnp.sum,
    "sort": fnp.sort,
    "add at": lambda k: k.at[0].add(k[1]),
    "multiply at": lambda k: k.at[0].multiply(k[1]),
    "largest at": lambda k: k.at[0].max(k[1]),
    "dot": lambda k: fnp.dot(k, k),
    "psum": lambda k: fornax.vmap(lambda x: lax.psum(x, "i"), axis_name="i")(k),
    "add": lambda k: lax.add(k, k),
    "cumsum": fnp.cumsum,
    "mean": fnp.mean,
}


@pytest.mark.parametrize("name", COMPUTING)
@pytest.mark.parametrize("around", [lambda f: f, fornax.jit])
def test_computations_refuse_keys(name, around):
    keys = fornax.random.split(fornax.random.key(0))
    with pytest.raises(TypeError, match="key<fry>"):
        around(COMPUTING[name])(keys)


def test_moving_keys_is_fine():
    keys = fornax.random.split(fornax.random.key(0), 3)
    words = np.asarray(fornax.random.key_data(keys))
    moved = keys.at[0].set(keys[2])
    np.testing.assert_array_equal(fornax.random.key_data(moved), words[[2, 1, 2]])
    np.testing.assert_array_equal(keys == moved, [False, True, True])


def test_keys_are_compared_where_nothing_else_was_imported():
    code = "from fornax import random; k = random.key(0); assert k == k and not k != k"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("number", [-1, 2**32])
def test_fold_in_takes_numbers_that_fit(number):
    with pytest.raises(OverflowError):
        fornax.random.fold_in(fornax.random.key(0), number)
    whole = fornax.random.fold_in(fornax.random.key(0), np.int64(number).astype(np.uint32))
    assert whole.shape == ()
