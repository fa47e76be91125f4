"""Reductions across the examples of `vmap`, by the name of its axis."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax.nn import logsumexp, softmax

X = np.arange(6.0, dtype=np.float32).reshape(2, 3) ** 2
ACROSS = {
    "sum": (fnp.sum, np.sum), "max": (fnp.max, np.max), "min": (fnp.min, np.min),
    "mean": (fnp.mean, np.mean), "var": (fnp.var, np.var), "std": (fnp.std, np.std),
    "logsumexp": (logsumexp, lambda x, axis: np.log(np.sum(np.exp(x), axis=axis))),
}  # fmt: skip


def mapped(function):
    return fornax.vmap(function, axis_name="batch")(X)


@pytest.mark.parametrize("name", ACROSS)
def test_across_examples(name):
    ours, theirs = ACROSS[name]
    expected = np.broadcast_to(theirs(X, axis=0), X.shape)
    for function in (ours, fornax.jit(ours, static_argnames="axis")):
        np.testing.assert_allclose(mapped(lambda r: function(r, axis="batch")), expected, 1e-6)  # noqa: B023
        both = mapped(lambda r: function(r, axis=(0, "batch")))  # noqa: B023
        np.testing.assert_allclose(both, np.full(2, theirs(X, axis=None)), 1e-6)


def test_softmax_across_examples():
    result = mapped(lambda r: softmax(r, axis="batch"))
    np.testing.assert_allclose(result, np.exp(X) / np.exp(X).sum(0), 1e-5)
    gradient = fornax.grad(lambda x: (fornax.vmap(
        lambda r: softmax(r, axis="batch"), axis_name="batch")(x) ** 2).sum())(X / 9)  # fmt: skip
    expected = fornax.grad(lambda x: (softmax(x, axis=0) ** 2).sum())(X / 9)
    np.testing.assert_allclose(gradient, expected, 1e-4, 1e-6)


def test_masks_and_small_floats_across_examples():
    mask = X > 3
    result = fornax.vmap(
        lambda r, m: fnp.mean(r, axis=("batch", 0), where=m), axis_name="batch"
    )(X, mask)  # fmt: skip
    np.testing.assert_allclose(result, np.full(2, X[mask].mean()))
    small = fornax.vmap(lambda r: fnp.sum(r, axis="batch"), axis_name="batch")(X.astype(np.float16))
    assert small.dtype == np.float16


@pytest.mark.parametrize("name", ["prod", "all", "any"])
def test_reductions_that_are_not_taken_across(name):
    with pytest.raises(NotImplementedError, match="Named reductions not implemented"):
        mapped(lambda r: getattr(fnp, name)(r, axis="batch"))


@pytest.mark.parametrize("name", ["argmax", "cumsum", "median"])
def test_functions_without_named_axes(name):
    with pytest.raises(TypeError):
        mapped(lambda r: getattr(fnp, name)(r, axis="batch"))


def test_names_that_are_not_in_scope():
    with pytest.raises(NameError, match="unbound axis name"):
        fnp.sum(X, axis="batch")
    with pytest.raises(ValueError, match="duplicate"):
        mapped(lambda r: fnp.sum(r, axis=("batch", "batch")))
