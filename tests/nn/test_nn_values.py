"""The functions of `nn` give what JAX gives."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from nn_cases import CASES, RECORDED

from fornax import grad, jit, nn, random, vmap
from ulps import ulps_apart

_recorded = np.load(RECORDED)


def check(label: str, got: np.ndarray) -> None:
    want = _recorded[label]
    bfloat16 = np.dtype(ml_dtypes.bfloat16)
    want = want.view(bfloat16) if got.dtype == bfloat16 else want
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    apart = ulps_apart(got, want)
    assert apart <= CASES[label][1], f"{apart} ulps:\n got {got}\nwant {want}"


@pytest.mark.parametrize("label", CASES)
def test_value(label):
    check(label, np.asarray(CASES[label][0](nn, random, grad)))


_TRACED = [x for x in CASES if x.split()[0] in ("softmax", "logsumexp", "gelu", "attention")]


@pytest.mark.parametrize("label", [x for x in _TRACED if "integers" not in x])
def test_value_inside_jit(label):
    check(label, np.asarray(jit(lambda: CASES[label][0](nn, random, grad))()))


def test_one_hot_of_a_mapped_axis():
    out = vmap(lambda x: nn.one_hot(x, 3, axis="classes"), axis_name="classes")(np.array([0, 0, 2]))
    np.testing.assert_array_equal(out, [1, 0, 1])


def test_one_hot_of_floats_warns():
    with pytest.warns(DeprecationWarning, match="integer-typed"):
        nn.one_hot(np.array([0.0, 1.0]), 2)


def test_refusals():
    with pytest.raises(ValueError, match="divisible by 2"):
        nn.glu(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="Unknown algorithm"):
        nn.standardize(np.zeros(3, np.float32), algorithm="slow")
    with pytest.raises(ValueError, match="default in_axis"):
        nn.initializers.he_normal()(random.key(0), (3,))
    with pytest.raises(ValueError, match="invalid mode"):
        nn.initializers.variance_scaling(1.0, "fan", "normal")(random.key(0), (3, 3))
    with pytest.raises(ValueError, match="invalid distribution"):
        nn.initializers.variance_scaling(1.0, "fan_in", "gauss")(random.key(0), (3, 3))
    with pytest.raises(ValueError, match="multiple of key/value heads"):
        nn.dot_product_attention(*(np.zeros((2, n, 4), np.float32) for n in (3, 2, 2)))


def test_initializers_are_initializers():
    assert isinstance(nn.initializers.he_normal(), nn.initializers.Initializer)
