"""`scipy.special` against SciPy itself."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special as reference

from fornax import grad, jit, settings, vmap
from fornax.scipy import special

SPREAD = np.array([-30, -8.5, -3.2, -1.5, -0.7, -1e-3, 0, 1e-4, 0.3, 1, 2.5, 6, 12, 40])
POSITIVE = np.array([1e-3, 0.1, 0.5, 1, 1.7, 4, 9.5, 25, 150])
UNIT = np.array([0, 1e-30, 1e-4, 0.02, 0.3, 0.5, 0.8, 0.99, 1 - 1e-7, 1])
INSIDE = UNIT[1:-1]

#: function -> arguments, which broadcast
CASES = {
    "erf": (SPREAD,), "erfc": (SPREAD,), "erfinv": (2 * UNIT - 1,), "expit": (SPREAD,),
    "logit": (UNIT,), "ndtr": (SPREAD,), "ndtri": (UNIT,), "log_ndtr": (SPREAD,),
    "xlogy": (SPREAD[:, None], POSITIVE), "xlog1py": (SPREAD[:, None], POSITIVE),
    "entr": (SPREAD,), "rel_entr": (SPREAD[:, None], SPREAD), "kl_div": (SPREAD[:, None], SPREAD),
    "boxcox": (POSITIVE[:, None], np.array([0, 0.5, 1, -2])),
    "boxcox1p": (POSITIVE[:, None], np.array([0, 0.5, 1, -2])),
    "gammaln": (SPREAD + 0.1,), "gammasgn": (SPREAD[1:] + 0.1,), "gamma": (SPREAD[1:] + 0.1,),
    "digamma": (SPREAD + 0.1,), "polygamma": (np.array([[0], [1], [3]]), POSITIVE),
    "zeta": (np.array([[1.5], [2], [7]]), POSITIVE), "gammainc": (POSITIVE[:, None], POSITIVE),
    "gammaincc": (POSITIVE[:, None], POSITIVE), "betaln": (POSITIVE[:, None], POSITIVE),
    "beta": (POSITIVE[:5, None], POSITIVE[:5]), "factorial": (np.array([0, 1, 2.5, 7, -1]),),
    "betainc": (POSITIVE[:, None, None], POSITIVE[:, None], INSIDE),
    "comb": (np.array([[5], [9], [12]]), np.array([0, 2, 5])),
    "poch": (POSITIVE[:6, None], np.array([0, 1, 2.5])), "i0": (SPREAD,), "i0e": (SPREAD,),
    "i1": (SPREAD,), "i1e": (SPREAD,), "softmax": (SPREAD,), "log_softmax": (SPREAD,),
    "logsumexp": (SPREAD,), "loggamma": (POSITIVE,),
}  # fmt: skip
#: relative errors allowed where formulas lose digits (differences of logarithms of gamma)
LOOSE = {"ndtr": 1e-12, "comb": 1e-12, "poch": 1e-12, "beta": 1e-12, "gamma": 1e-11,
         "polygamma": 1e-12,
         "betaln": 1e-12, "gammainc": 1e-9, "gammaincc": 1e-9, "betainc": 1e-9,
         "log_ndtr": 1e-6, "ndtri": 1e-13, "digamma": 1e-12, "kl_div": 1e-13}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_value(name):
    arguments = CASES[name]
    with np.errstate(all="ignore"):
        want = getattr(reference, name)(*arguments)
    for change in (lambda f: f, jit):
        with settings.override(enable_x64=True):
            got = np.asarray(change(getattr(special, name))(*arguments))
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, want, rtol=LOOSE.get(name, 1e-14), atol=1e-300)


@pytest.mark.parametrize("name", CASES)
def test_float32(name):
    arguments = [np.asarray(x, np.float32) if name != "polygamma" or k else x
                 for k, x in enumerate(CASES[name])]  # fmt: skip
    got = np.asarray(getattr(special, name)(*arguments))
    assert got.dtype == np.float32


#: functions of one argument with a derivative -> where it is tried
SLOPES = {
    "erf": SPREAD, "erfc": SPREAD, "erfinv": np.array([-0.7, 0.1, 0.9]), "expit": SPREAD[2:-2],
    "logit": INSIDE[2:-2], "ndtr": np.array([-2.0, 0.3, 4]), "ndtri": INSIDE[2:-2],
    "log_ndtr": np.array([-25.0, -12, -3, 0.1, 6]), "entr": POSITIVE, "gammaln": POSITIVE,
    "digamma": POSITIVE, "i0e": np.array([-2.0, 0.5, 3]), "i1e": np.array([-2.0, 0.5, 3]),
    "gamma": POSITIVE[1:6],
}  # fmt: skip


@pytest.mark.parametrize("name", SLOPES)
def test_slope(name):
    x = SLOPES[name]
    function = getattr(special, name)
    with settings.override(enable_x64=True):
        slope = np.asarray(vmap(grad(function))(x))
        step = 1e-6 * np.maximum(np.abs(x), 1e-2)
        want = (np.asarray(function(x + step)) - np.asarray(function(x - step))) / (2 * step)
    np.testing.assert_allclose(slope, want, rtol=2e-5, atol=1e-9)


def test_slopes_at_the_edge():
    assert grad(special.xlogy)(0.0, 2.0) == pytest.approx(np.log(2))
    assert grad(special.xlogy, argnums=1)(0.0, 0.5) == 0
    assert grad(special.xlog1py)(0.0, 1.0) == pytest.approx(np.log(2))
    assert special.xlogy(0.0, 0.0) == 0 and np.isnan(special.xlogy(0.0, np.nan))
    assert special.multigammaln(np.float32(5), 3) == pytest.approx(reference.multigammaln(5, 3))


def test_refusals():
    with pytest.raises(TypeError, match="not supported"):
        special.ndtr(3)
    with pytest.raises(ValueError, match="0 … 30"):
        special.log_ndtr(np.float32(1), 31)
    with pytest.raises(ValueError, match="integer type"):
        special.polygamma(1.0, 2.0)
    with pytest.raises(ValueError, match="complex-valued"):
        special.entr(1j)
    with pytest.raises(NotImplementedError):
        special.factorial(3, exact=True)
