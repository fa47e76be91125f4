"""Comparisons: two numbers to a boolean. They have no derivatives."""

from __future__ import annotations

import numpy as np

from fornax.primitives.family import ANY, FLOAT, KEY, ORDERED, Elementwise, boolean


def _comparison(name, function, accepts):
    return Elementwise(name, function, (accepts, accepts), result=boolean)


def _rank(x):
    """Integers in the total order of floats: -NaN, -inf … -0, 0 … inf, NaN."""
    if x.dtype.kind != "f":
        return x
    bits = x.view(f"i{x.dtype.itemsize}")
    return bits ^ ((bits >> (x.dtype.itemsize * 8 - 1)) & np.iinfo(bits.dtype).max)


def _rank_operation(b, x):
    if "float" not in x.dtype:
        return x
    raw, width = ("int32", 32) if x.dtype == "float32" else ("int64", 64)
    bits = b.bitcast(x, dtype=raw)
    sign = b.shr_arithmetic(bits, b.const(width - 1, raw))
    return b.xor(bits, b.and_(sign, b.const((1 << (width - 1)) - 1, raw)))


def _total(name, function):
    """A comparison in the total order, in which NaN equals itself and -0 is below 0."""

    def meaning(x, y):
        return function(_rank(x), _rank(y))

    def operation(b, x, y):
        return b.op(name, _rank_operation(b, x), _rank_operation(b, y))

    return Elementwise(
        f"{name}_to", meaning, (ORDERED, ORDERED), operation=operation, result=boolean, cost=4
    )


eq_p = _comparison("eq", np.equal, ANY + KEY)
ne_p = _comparison("ne", np.not_equal, ANY + KEY)
# keys are equal if all their words are
eq_p.over_words, ne_p.over_words = "reduce_and", "reduce_or"
ge_p = _comparison("ge", np.greater_equal, ORDERED)
gt_p = _comparison("gt", np.greater, ORDERED)
le_p = _comparison("le", np.less_equal, ORDERED)
lt_p = _comparison("lt", np.less, ORDERED)
eq_to_p = _total("eq", np.equal)
le_to_p = _total("le", np.less_equal)
lt_to_p = _total("lt", np.less)
is_finite_p = Elementwise("is_finite", np.isfinite, FLOAT, result=boolean)
