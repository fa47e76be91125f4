"""Comparisons: two numbers to a boolean. They have no derivatives."""

from __future__ import annotations

import numpy as np

from fornax.primitives.family import ANY, FLOAT, ORDERED, Elementwise, boolean


def _comparison(name, function, accepts):
    return Elementwise(name, function, (accepts, accepts), result=boolean)


eq_p = _comparison("eq", np.equal, ANY)
ne_p = _comparison("ne", np.not_equal, ANY)
ge_p = _comparison("ge", np.greater_equal, ORDERED)
gt_p = _comparison("gt", np.greater, ORDERED)
le_p = _comparison("le", np.less_equal, ORDERED)
lt_p = _comparison("lt", np.less, ORDERED)
is_finite_p = Elementwise("is_finite", np.isfinite, FLOAT, result=boolean)
