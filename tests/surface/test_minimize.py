"""scipy.optimize.minimize finds the minima of well-known functions."""

from __future__ import annotations

import numpy as np
import pytest

import fornax as fx
import fornax.numpy as fnp
from fornax import settings
from fornax.scipy.optimize import OptimizeResults, minimize


def rosenbrock(x):
    return fnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def himmelblau(p):
    return (p[0] ** 2 + p[1] - 11) ** 2 + (p[0] + p[1] ** 2 - 7) ** 2


def beale(p):
    x, y = p
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def matyas(p):
    return 0.26 * (p[0] ** 2 + p[1] ** 2) - 0.48 * p[0] * p[1]


#: function, start, minimum
CASES = {
    "rosenbrock": (rosenbrock, [0.0, 0.0], [1, 1]),
    "rosenbrock in five dimensions": (rosenbrock, [0.5, 0.5, 0.5, 0.5, 0.5], [1, 1, 1, 1, 1]),
    "himmelblau": (himmelblau, [0.0, 0.0], [3, 2]),
    "beale": (beale, [1.0, 1.0], [3, 0.5]),
    "matyas": (matyas, [1.0, 2.0], [0, 0]),
    "at the minimum": (matyas, [0.0, 0.0], [0, 0]),
}


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_minimum(name, wide):
    function, start, expected = CASES[name]
    with settings.override(enable_x64=wide):
        dtype = np.float64 if wide else np.float32
        found = minimize(function, fnp.asarray(start, dtype), method="BFGS")
        assert isinstance(found, OptimizeResults) and found.x.dtype == dtype
        if wide or "five" not in name:  # float32 may not reach the gradient's bound there
            assert found.success and found.status == 0
        np.testing.assert_allclose(found.x, expected, atol=1e-5 if wide else 2e-2)
        assert found.nfev == found.njev >= found.nit
        assert found.nit.dtype == (np.int64 if wide else np.int32)
        jitted = fx.jit(lambda x: minimize(function, x, method="bfgs").x)
        np.testing.assert_allclose(jitted(fnp.asarray(start, dtype)), expected, atol=2e-2)


def test_a_quadratic_takes_what_jax_takes():
    found = minimize(
        lambda p, a: fnp.sum((p - a) ** 2), fnp.zeros(3), (fnp.arange(3.0),), method="BFGS"
    )
    assert (int(found.nit), int(found.nfev)) == (2, 3)
    np.testing.assert_allclose(
        found.hess_inv, [[1, 0, 0], [0, 0.9, -0.2], [0, -0.2, 0.6]], atol=1e-5
    )


def test_mapped():
    starts = fnp.array([[0.0, 0.5], [1.0, 0.3], [-1.0, 1.0]])
    found = fx.vmap(lambda x: minimize(rosenbrock, x, method="BFGS").x)(starts)
    np.testing.assert_allclose(found, np.ones((3, 2)), atol=2e-2)


def test_status_says_why_it_ended():
    few = minimize(rosenbrock, fnp.zeros(4), method="BFGS", options={"maxiter": 5})
    assert (bool(few.success), int(few.status), int(few.nit)) == (False, 1, 5)
    endless = minimize(lambda x: fnp.sum(x), fnp.zeros(2), method="BFGS")
    assert (bool(endless.success), int(endless.status)) == (False, 5)
    loose = minimize(rosenbrock, fnp.zeros(2), method="BFGS", options={"gtol": 10.0, "norm": 2})
    assert loose.success and loose.nit == 0


def test_mistakes():
    with pytest.raises(ValueError, match="Method Newton not recognized"):
        minimize(rosenbrock, fnp.zeros(2), method="Newton")
    with pytest.raises(TypeError, match="must be a tuple, got 3.0"):
        minimize(rosenbrock, fnp.zeros(2), 3.0, method="BFGS")
