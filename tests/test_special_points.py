"""Special functions where they have no value or an infinite one: as in JAX, compiled or not."""

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax, random
from fornax.scipy import special

NAN, INF = np.nan, np.inf
POLES = [0.0, -0.0, -1.0, -2.0, -3.0, -1e10]

#: function, operands, what comes out of them
POINTS = [
    (lax.digamma, POLES, [NAN] * 6),
    (lax.digamma, [INF, -INF, NAN], [INF, NAN, NAN]),
    (lax.lgamma, [*POLES, INF, -INF], [INF] * 8),
    *[(lambda x, n=n: lax.polygamma(np.full_like(x, n), x), POLES, [v] * 6)
      for n, v in ((0, NAN), (1, INF), (2, NAN), (3, INF), (4, NAN))],
    *[(lambda x, n=n: lax.zeta(np.full_like(x, n), x), POLES, [v] * 6)
      for n, v in ((2, INF), (3, NAN), (4, INF), (1.5, NAN), (1, INF), (0, NAN), (NAN, NAN))],
    (lambda x: lax.zeta(np.full_like(x, 2.0), x), [INF, NAN], [0.0, NAN]),
]  # fmt: skip


@pytest.mark.parametrize("mode", ["reference", "compiled"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_poles(mode, dtype):
    with fornax.enable_x64(True), fornax.settings.override(eager=mode):
        for number, (function, points, expected) in enumerate(POINTS):
            found = function(np.array(points, dtype))
            assert found.dtype == dtype
            np.testing.assert_array_equal(found, np.array(expected, dtype), str(number))


def test_gradients_at_poles():
    slopes = fornax.vmap(fornax.grad(lax.lgamma))(np.array(POLES, np.float32))
    assert np.isnan(np.asarray(slopes)).all()


@pytest.mark.parametrize("mode", ["reference", "compiled"])
def test_zeros_keep_their_sign(mode):
    zeros = np.array([-0.0, 0.0], np.float32)
    with fornax.settings.override(eager=mode):
        for function in (
            lax.erf,
            lax.erf_inv,
            lax.bessel_i1e,
            lax.sign,
            special.i1,
            special.erfinv,
        ):
            assert np.signbit(np.asarray(function(zeros))).tolist() == [True, False], function


def test_the_slope_of_bessel_functions_next_to_zero():
    x = np.array([0.0, 1.2e-38, -1e-30, 1e-9, -1e-3], np.float32)
    for function, slope in ((special.i1, 0.5), (special.i1e, 0.5 - np.abs(x))):
        found = fornax.vmap(fornax.grad(function))(x)
        np.testing.assert_allclose(found, np.broadcast_to(slope, 5), rtol=1e-5)


def test_numbers_as_texts():
    assert np.isnan(np.asarray(fnp.float32("nan"))) and fnp.float32("-inf") == -INF
    assert fnp.array("2", "int32") == 2 and fnp.bfloat16("1.5") == 1.5
    assert fnp.complex64("1+2j") == 1 + 2j
    with pytest.raises(ValueError, match="no number of dtype float32"):
        fnp.float32("one")
    with pytest.raises(TypeError, match="Unexpected input type"):
        fnp.array("nan")


def test_what_keys_are_made_of():
    key = random.key(0)
    data = lambda k: random.key_data(k).tolist()  # noqa: E731
    assert data(random.key(True)) == data(random.key(1))
    assert data(random.fold_in(key, 2.5)) == data(random.fold_in(key, 2))
    for number, error in (
        (-1, OverflowError), (2**32, OverflowError), (INF, OverflowError), (NAN, ValueError),
        (1j, TypeError),
    ):  # fmt: skip
        with pytest.raises(error, match="integer of 32 bits"):
            random.fold_in(key, number)
