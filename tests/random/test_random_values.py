"""The functions of `random` give what JAX gives for the same key."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from random_cases import CASES, RECORDED, ULPS, WIDE

from fornax import jit, random, settings
from ulps import ulps_apart

_recorded = np.load(RECORDED)
#: functions that are also tried inside of a compiled one
_TRACED = ("uniform", "normal", "bits", "randint", "permutation", "categorical", "gamma", "choice")


def expected(label: str, dtype: np.dtype) -> np.ndarray:
    value = _recorded[label]
    bfloat16 = np.dtype(ml_dtypes.bfloat16)
    return value.view(bfloat16) if dtype == bfloat16 else value


def check(label: str, got: np.ndarray) -> None:
    want = expected(label, got.dtype)
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    apart = ulps_apart(got, want)
    assert apart <= ULPS[label], f"{apart} ulps:\n got {got}\nwant {want}"


@pytest.mark.parametrize("label", CASES)
def test_value(label):
    with settings.override(enable_x64=label in WIDE):
        check(label, np.asarray(CASES[label](random, random.key(1234))))


@pytest.mark.parametrize("label", [x for x in CASES if x.split()[0] in _TRACED])
def test_value_inside_jit(label):
    with settings.override(enable_x64=label in WIDE):
        function = jit(lambda key: CASES[label](random, key))
        check(label, np.asarray(function(random.key(1234))))
