"""`scipy.special` against SciPy itself."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.special as reference

import fornax.numpy as fnp
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
    "logsumexp": (SPREAD,), "loggamma": (POSITIVE,), "expi": (SPREAD,),
    "exp1": (np.append(POSITIVE, [0, 600]),), "erfcx": (np.append(SPREAD[1:], np.inf),),
    "dawsn": (np.append(SPREAD, 1e9),), "spence": (np.append(POSITIVE, [0, -1]),),
    "expn": (np.array([[0], [1], [2], [9], [60]]), np.append(POSITIVE, [0])),
    "owens_t": (SPREAD[1:-1, None], np.array([0, 0.3, -1, 1.5, 20, np.inf])),
}  # fmt: skip
#: relative errors allowed where formulas lose digits (differences of logarithms of gamma)
LOOSE = {"ndtr": 1e-12, "comb": 1e-12, "poch": 1e-12, "beta": 1e-12, "gamma": 1e-11,
         "polygamma": 1e-12,
         "betaln": 1e-12, "gammainc": 1e-9, "gammaincc": 1e-9, "betainc": 1e-9,
         "expi": 1e-13, "dawsn": 1e-13, "owens_t": 1e-12, "erfcx": 1e-13, "expn": 1e-13,
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
    "gamma": POSITIVE[1:6], "expi": SPREAD[SPREAD != 0], "exp1": POSITIVE[:-1],
    "erfcx": np.array([-2.0, 0, 0.5, 30]), "dawsn": SPREAD, "spence": POSITIVE,
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


PAIRS = {"sici": np.append(SPREAD, [3.99, 4.01, -np.inf, np.inf, np.nan]),
         "fresnel": np.append(SPREAD, [1.59, 1.61, 300, -np.inf, np.inf, np.nan])}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_of_integrals(name):
    function = getattr(special, name)
    want = getattr(reference, name)(PAIRS[name])
    for change in (lambda f: f, jit):
        with settings.override(enable_x64=True):
            got = change(function)(PAIRS[name])
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=2e-14)
    got = function(PAIRS[name].astype(np.float32))
    assert {part.dtype for part in got} == {np.dtype(np.float32)}
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=2e-6)
    x = np.array([-7.0, -0.3, 0.2, 2, 9])
    with settings.override(enable_x64=True):
        for k in range(2):
            slope = vmap(grad(lambda x: function(x)[k]))(np.abs(x))  # noqa: B023
            step = (
                np.asarray(function(np.abs(x) + 1e-6)[k]) - function(np.abs(x) - 1e-6)[k]
            ) / 2e-6
            np.testing.assert_allclose(slope, step, rtol=1e-5, atol=1e-8)


#: function -> its meaning in mpmath, arguments, and the largest relative error
TRUE = {
    "expi": (mpmath.ei, np.geomspace(0.5, 700, 40), 4e-15),
    "exp1": (mpmath.e1, np.geomspace(1e-3, 600, 40), 4e-15),
    "dawsn": (lambda x: mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(-x * x) * mpmath.erfi(x),
              np.geomspace(1e-3, 60, 40), 4e-15),
    "erfcx": (lambda x: mpmath.exp(x * x) * mpmath.erfc(x), np.linspace(-25, 30, 41), 1e-14),
    "spence": (lambda x: mpmath.re(mpmath.polylog(2, 1 - x)), np.geomspace(1e-4, 1e4, 40), 4e-15),
}  # fmt: skip


@pytest.mark.parametrize("name", TRUE)
def test_accuracy(name):
    """SciPy's own errors are larger."""
    meaning, x, bound = TRUE[name]
    with settings.override(enable_x64=True), mpmath.workdps(40):
        got = np.asarray(getattr(special, name)(x))
        want = [meaning(mpmath.mpf(float(v))) for v in x]
        worst = max(abs(mpmath.mpf(float(g)) / w - 1) for g, w in zip(got, want, strict=True))
    assert worst < bound


def test_exponential_integrals_of_orders():
    with settings.override(enable_x64=True):
        assert np.isnan(special.expn(-1, 1.0)) and np.isnan(special.expn(2, -1.0))
        assert special.expn(0, 0.0) == special.expn(1, 0.0) == np.inf
        slope = grad(special.expn, argnums=1)(3.0, 0.7)
        assert slope == pytest.approx(-reference.expn(2, 0.7), rel=1e-14)
        assert grad(special.expn)(3.0, 0.7) == 0
        assert special.expn([2, 3], 0.5).shape == (2,)


def test_slopes_of_owens_t():
    with settings.override(enable_x64=True):
        for h, a in ((0.4, 0.7), (-1.5, 2.0), (0.0, 3.0)):
            slopes = grad(special.owens_t, argnums=(0, 1))(h, a)
            step = 1e-6
            by_h = (reference.owens_t(h + step, a) - reference.owens_t(h - step, a)) / (2 * step)
            by_a = (reference.owens_t(h, a + step) - reference.owens_t(h, a - step)) / (2 * step)
            np.testing.assert_allclose(slopes, (by_h, by_a), rtol=1e-5, atol=1e-9)


def test_sequences():
    x = np.array([[0, 1e-3, 0.5], [2.5, -3, 40]])
    with settings.override(enable_x64=True):
        got = special.bessel_jn(x, v=6, n_iter=90)
        assert got.shape == (7, 2, 3)
        want = reference.jv(np.arange(7)[:, None, None], x)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(special.bernoulli(20), reference.bernoulli(20), rtol=1e-11)
    assert special.bessel_jn(np.float32(1), v=0).shape == (1,)
    assert special.bernoulli(0).tolist() == [1] and special.bernoulli(1).tolist() == [1, -0.5]
    assert special.bernoulli(20).dtype == np.float32
    with pytest.raises(ValueError, match="non-negative"):
        special.bernoulli(-1)
    with pytest.raises(TypeError):
        special.bessel_jn(1.0, v=1.5)


@pytest.mark.parametrize("name", ["expi", "exp1", "sici", "fresnel", "dawsn", "erfcx"])
def test_integrals_are_of_real_numbers(name):
    error = NotImplementedError if name == "fresnel" else ValueError  # as in JAX
    with pytest.raises(error, match="complex-valued"):
        getattr(special, name)(1j)
    with pytest.raises(TypeError, match="ndarray or scalar"):
        getattr(special, name)([1.0])
    half = getattr(special, name)(fnp.bfloat16(1))
    assert (half[0] if isinstance(half, tuple) else half).dtype == fnp.bfloat16


def test_slopes_at_the_edge():
    assert grad(special.xlogy)(0.0, 2.0) == pytest.approx(np.log(2))
    assert grad(special.xlogy, argnums=1)(0.0, 0.5) == 0
    assert grad(special.xlog1py)(0.0, 1.0) == pytest.approx(np.log(2))
    assert special.xlogy(0.0, 0.0) == 0 and np.isnan(special.xlogy(0.0, np.nan))
    assert special.multigammaln(np.float32(5), 3) == pytest.approx(reference.multigammaln(5, 3))


def test_refusals():
    for function in (special.ndtr, special.spence):
        with pytest.raises(TypeError, match="not supported"):
            function(3)
    with pytest.raises(ValueError, match="0 … 30"):
        special.log_ndtr(np.float32(1), 31)
    with pytest.raises(ValueError, match="integer type"):
        special.polygamma(1.0, 2.0)
    with pytest.raises(ValueError, match="complex-valued"):
        special.entr(1j)
    with pytest.raises(NotImplementedError):
        special.factorial(3, exact=True)


def test_slope_of_rising_factorials():
    """That in the number of factors, also where there are none."""
    z = fnp.asarray([1.0, 0.5, 2.0, 3.0, -2.5], fnp.float32)
    m = fnp.asarray([0.0, 0.0, 0.0, 2.0, 0.0], fnp.float32)
    found = vmap(grad(special.poch, 1))(z, m)
    np.testing.assert_allclose(found, special.poch(z, m) * special.digamma(z + m), rtol=1e-5)
