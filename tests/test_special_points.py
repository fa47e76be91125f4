"""Special functions where they have no value or an infinite one: as in JAX, compiled or not."""

import numpy as np
import pytest

import fornax
from fornax import lax

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
