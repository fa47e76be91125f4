"""Constraints on where values lie: checked as in JAX, without effect on one device."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax.experimental.layout import Format, Layout
from fornax.sharding import Mesh, NamedSharding, SingleDeviceSharding, set_mesh
from fornax.sharding import PartitionSpec as P

MESH = Mesh(np.array(fornax.devices()[:1]), ("x",))
CONSTRAIN = fornax.lax.with_sharding_constraint
X = np.arange(6.0, dtype=np.float32).reshape(2, 3)


def named(*entries):
    return NamedSharding(MESH, P(*entries))


@pytest.mark.parametrize("sharding", [
    named("x"), named(), named(P.UNCONSTRAINED), SingleDeviceSharding(fornax.devices()[0]),
    Format(Layout((0, 1)), named("x")),
])  # fmt: skip
def test_the_values_stay(sharding):
    result = CONSTRAIN(X, sharding)
    assert isinstance(result, fornax.Array)
    np.testing.assert_array_equal(result, X)
    np.testing.assert_array_equal(fornax.jit(lambda x: CONSTRAIN(x, sharding) * 2)(X), X * 2)
    np.testing.assert_array_equal(fornax.grad(lambda x: CONSTRAIN(x, sharding).sum())(X), X * 0 + 1)


def test_trees_of_shardings():
    tree = {"a": X, "b": 1.0}
    for shardings in (named(), {"a": named("x"), "b": named()}):
        result = CONSTRAIN(tree, shardings)
        assert isinstance(result["b"], fornax.Array) and result["a"].shape == (2, 3)
    with pytest.raises(ValueError, match="with_sharding_constraint shardings"):
        CONSTRAIN(tree, {"a": named()})


def test_specifications_need_a_mesh():
    with pytest.raises(RuntimeError, match="non-empty mesh in context"):
        CONSTRAIN(X, P("x"))
    with set_mesh(MESH):
        np.testing.assert_array_equal(CONSTRAIN(X, P("x")), X)
        with pytest.raises(ValueError, match="z"):
            CONSTRAIN(X, P("z"))


@pytest.mark.parametrize(("x", "sharding", "error", "words"), [
    (X, None, ValueError, "got sharding None which is not allowed"),
    (X, "x", TypeError, "expected to be PartitionSpec instances or None"),
    (X, fornax.devices()[0], TypeError, "expected to be PartitionSpec instances or None"),
    (X, named("x", None, None), ValueError, "Sharding"),
    (1.0, named("x"), ValueError, "Sharding"),
    ("a", named(), TypeError, "not a valid JAX type"),
])  # fmt: skip
def test_what_does_not_fit(x, sharding, error, words):
    with pytest.raises(error, match=words):
        CONSTRAIN(x, sharding)


@pytest.mark.parametrize(("word", "pads"), [
    ("VALID", [(0, 0), (0, 0)]), ("same", [(0, 1), (0, 0)]), ("SAME_LOWER", [(1, 0), (0, 0)]),
])  # fmt: skip
def test_padding_in_words(word, pads):
    assert fornax.lax.padtype_to_pads((10, 11), (3, 2), (2, 3), word) == pads
    assert fornax.lax.padtype_to_pads((), (), (), word) == []


@pytest.mark.parametrize(("shape", "word", "error"), [
    ((10, 11), "FULL", RuntimeError), ((10, 11), 3, TypeError), ((10, 11, 5), "SAME", ValueError),
])  # fmt: skip
def test_padding_that_is_no_word(shape, word, error):
    with pytest.raises(error):
        fornax.lax.padtype_to_pads(shape, (3, 2), (2, 3), word)


def test_a_sharding_of_a_tracer():
    assert fornax.vmap(lambda x: CONSTRAIN(x, named("x")))(fnp.asarray(X)).shape == (2, 3)
