"""Incomplete gamma and beta functions: elementwise, by series and continued fractions.

Their number of terms depends on the values, so they are `while` loops over whole arrays rather than
element rules. Formulas: Press et al., "Numerical Recipes", 6.2 and 6.4 (modified Lentz's method).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import broadcast_in_dim
from fornax.ir.types import typeof
from fornax.primitives.arrange import run_reference
from fornax.primitives.compare import eq_p, ge_p, gt_p, lt_p, ne_p
from fornax.primitives.convert import convert_element_type
from fornax.primitives.elementwise import (
    abs_p,
    add_p,
    and_p,
    div_p,
    exp_p,
    log1p_p,
    log_p,
    mul_p,
    neg_p,
    or_p,
    sub_p,
)
from fornax.primitives.family import FLOAT, Elementwise, computed_in, constant, not_implemented
from fornax.primitives.reduce import reduce_or_p
from fornax.primitives.select import where
from fornax.primitives.special import digamma_p, lgamma_p
from fornax.primitives.while_ import while_p
from fornax.scalars import dtypes
from fornax.source import located
from fornax.transforms.jvp import jvp_flat
from fornax.transforms.stage import stage

#: most terms of a series or continued fraction
LIMIT = 2000


class Iterated(Elementwise):
    """A member of the elementwise family that is computed by `body` on arrays of one shape."""

    has_element = False  # the loop runs over arrays: `expand` says how

    def __init__(self, name, body, derivatives, function=None, cost=400):
        super().__init__(name, function, (FLOAT,) * len(derivatives), derivatives, cost=cost)
        self.body = body
        if function is None:
            self.reference_cost = 0.02  # a loop, interpreted

    def reference(self, *arrays):
        if self.function is not None:
            return super().reference(*arrays)
        program = stage(self.expand, [typeof(x) for x in arrays], self.name)
        return run_reference(program, arrays)

    def expand(self, *operands):
        (out,) = self.type(*map(typeof, operands))
        wide = computed_in(out.dtype)
        spread = [
            broadcast_in_dim(convert_element_type(x, wide), out.shape, tuple(range(typeof(x).ndim)))
            for x in operands
        ]
        return [convert_element_type(self.body(*spread), out.dtype, out.weak_type)]


def _scipy(
    name: str, at_zero: float = np.nan, at_infinity: float = np.nan
) -> Callable[..., np.ndarray]:
    """SciPy's function; of an infinite order, `at_infinity` for x there and `at_zero` below."""

    def function(a, *others):
        import scipy.special

        x = others[-1]
        ends = np.where(x == np.inf, at_infinity, np.where(x >= 0, at_zero, np.nan))
        result = getattr(scipy.special, name)(a, *others)
        return np.where(np.isinf(a), np.where(a > 0, ends, np.nan), result)

    return function


def repeat(active: Callable[..., Any], body: Callable[..., Sequence[Any]], carry: Sequence[Any]):
    """Apply `body` to the carry as long as `active` of it holds anywhere, at most LIMIT times."""
    carry = [np.int32(0), *carry]
    types = [typeof(x).strip_weak_type() for x in carry]

    def condition(count, *values):
        some = active(*values)
        every = tuple(range(typeof(some).ndim))
        return [and_p(lt_p(count, np.int32(LIMIT)), reduce_or_p.bind(some, axes=every)[0])]

    def step(count, *values):
        return [add_p(count, np.int32(1)), *body(*values)]

    programs = {
        "cond_jaxpr": stage(condition, types, "unfinished"),
        "body_jaxpr": stage(step, types, "term"),
    }
    return while_p.bind(*carry, **programs, cond_nconsts=0, body_nconsts=0)[1:]


def _epsilon(x: Any) -> Any:
    return constant(x, float(dtypes.finfo(typeof(x).dtype).eps))


def _ones(x: Any) -> Any:
    type = typeof(x)
    one = np.ones((), type.dtype)[()]
    return broadcast_in_dim(one, type.shape, ())


def _add(x: Any, value: float) -> Any:
    return add_p(x, constant(x, value))


def _prefactor(a: Any, x: Any) -> Any:
    """x^a exp(-x) / gamma(a)."""
    return exp_p(sub_p(sub_p(mul_p(a, log_p(x)), x), lgamma_p(a)))


def _series(a: Any, x: Any) -> Any:
    """The regularized lower function for x below a + 1, without its prefactor."""

    def active(a, x, term, total):
        return gt_p(abs_p(term), mul_p(abs_p(total), _epsilon(total)))

    def body(a, x, term, total):
        a = _add(a, 1)
        term = mul_p(term, div_p(x, a))
        return a, x, term, add_p(total, term)

    first = div_p(constant(a, 1), a)
    return repeat(active, body, [a, x, first, first])[3]


def _away_from_zero(x: Any) -> Any:
    tiny = constant(x, float(dtypes.finfo(typeof(x).dtype).tiny) * 8)
    return where(lt_p(abs_p(x), tiny), tiny, x)


def _fraction(a: Any, x: Any) -> Any:
    """The regularized upper function for x above a + 1, without its prefactor."""

    def active(a, i, b, c, d, h, delta):
        return gt_p(abs_p(_add(delta, -1)), _epsilon(delta))

    def body(a, i, b, c, d, h, delta):
        i = _add(i, 1)
        numerator = mul_p(i, sub_p(a, i))
        b = _add(b, 2)
        d = _away_from_zero(add_p(mul_p(numerator, d), b))
        c = _away_from_zero(add_p(b, div_p(numerator, c)))
        d = div_p(constant(d, 1), d)
        delta = mul_p(d, c)
        return a, i, b, c, d, mul_p(h, delta), delta

    one = _ones(a)
    b = _away_from_zero(sub_p(add_p(x, one), a))
    d = div_p(one, b)
    huge = broadcast_in_dim(
        constant(a, 1 / (float(dtypes.finfo(typeof(a).dtype).tiny) * 8)), typeof(a).shape, ()
    )
    start = [a, sub_p(one, one), b, huge, d, d, add_p(one, one)]
    return repeat(active, body, start)[5]


def _incomplete(a: Any, x: Any) -> tuple[Any, Any]:
    """(regularized lower, upper incomplete gamma function), for positive a and x; else junk."""
    far = gt_p(x, _add(a, 1))
    # the branch that is not taken works on numbers it is quick with
    series = mul_p(
        _series(where(far, constant(a, 1), a), where(far, constant(x, 0.5), x)),
        _prefactor(a, x),
    )
    fraction = mul_p(
        _fraction(where(far, a, constant(a, 1)), where(far, x, constant(x, 50))),
        _prefactor(a, x),
    )
    one = constant(x, 1)
    return (
        where(far, sub_p(one, fraction), series),
        where(far, fraction, sub_p(one, series)),
    )


def _guarded(position: int, at_zero: float, at_infinity: float) -> Callable[[Any, Any], Any]:
    def body(a, x):
        usual = and_p(and_p(gt_p(a, constant(a, 0)), gt_p(x, constant(x, 0))), _finite(a, x))
        safe_a, safe_x = where(usual, a, constant(a, 1)), where(usual, x, constant(x, 1))
        result = _incomplete(safe_a, safe_x)[position]
        zero, infinity = constant(x, 0), constant(x, np.inf)
        nan = constant(x, np.nan)
        endless = and_p(eq_p(a, infinity), gt_p(x, zero))
        edge = where(or_p(eq_p(x, zero), endless), constant(x, at_zero), nan)
        sure = or_p(eq_p(x, infinity), and_p(eq_p(a, zero), gt_p(x, zero)))
        edge = where(sure, constant(x, at_infinity), edge)
        wrong = or_p(lt_p(a, zero), ne_p(a, a))
        wrong = or_p(wrong, and_p(eq_p(a, zero), eq_p(x, zero)))
        return where(usual, result, where(wrong, nan, edge))

    return body


def _finite(*values: Any) -> Any:
    result = None
    for x in values:
        below = lt_p(abs_p(x), constant(x, np.inf))
        result = below if result is None else and_p(result, below)
    return result


def _density(a: Any, x: Any) -> Any:
    """x^(a-1) exp(-x) / gamma(a), the derivative of the lower function in x."""
    power = mul_p(_add(a, -1), log_p(x))
    return exp_p(sub_p(sub_p(power, x), lgamma_p(a)))


def _order_slope(a: Any, x: Any) -> Any:
    """The derivative of the lower function in a, through the loop."""
    lower = _guarded(0, 0.0, 1.0)
    _, (slope,) = jvp_flat(lambda a: [lower(a, x)], [a], [_ones(a)])
    zero, infinity = constant(x, 0), constant(x, np.inf)
    defined = and_p(and_p(gt_p(a, zero), lt_p(a, infinity)), ge_p(x, zero))
    return where(defined, slope, constant(x, np.nan))


def _sample_slope(a: Any, x: Any) -> Any:
    """How a sample x of the gamma distribution moves with a at a fixed quantile.

    The quotient of two derivatives of the lower function, in a and in x, without the factor that
    both have: far out in the tail that is no number any more. Samples of 0 stay where they are.
    """
    proper = and_p(gt_p(a, constant(a, 0)), _finite(a, x))
    usual = and_p(proper, gt_p(x, constant(x, 0)))
    other = where(and_p(proper, eq_p(x, constant(x, 0))), constant(x, 0), constant(x, np.nan))
    a, x = where(usual, a, constant(a, 1)), where(usual, x, constant(x, 1))
    far = gt_p(x, _add(a, 1))

    def parts(a):
        near_x, far_x = where(far, constant(x, 0.5), x), where(far, x, constant(x, 50))
        series = _series(where(far, constant(a, 1), a), near_x)
        return [where(far, neg_p(_fraction(where(far, a, constant(a, 1)), far_x)), series)]

    (part,), (slope,) = jvp_flat(parts, [a], [_ones(a)])
    slope = add_p(slope, mul_p(part, sub_p(log_p(x), digamma_p(a))))
    return where(usual, neg_p(mul_p(x, slope)), other)


def _refuse(name: str, what: str):
    def derivative(g, out, *operands):
        raise ValueError(
            located(
                f"{name} gradient with respect to {what} not supported.",
                attempt="lax.stop_gradient on that argument, or a custom_jvp function with a "
                "rule of your own",
            )
        )

    return derivative


igamma_p = Iterated(
    "igamma", _guarded(0, 0.0, 1.0),
    (
        lambda g, out, a, x: mul_p(g, igamma_grad_a_p(a, x)),
        lambda g, out, a, x: mul_p(g, _density(a, x)),
    ),
    _scipy("gammainc", 0.0, 1.0),
)  # fmt: skip
igammac_p = Iterated(
    "igammac", _guarded(1, 1.0, 0.0),
    (
        lambda g, out, a, x: neg_p(mul_p(g, igamma_grad_a_p(a, x))),
        lambda g, out, a, x: neg_p(mul_p(g, _density(a, x))),
    ),
    _scipy("gammaincc", 1.0, 0.0),
)  # fmt: skip
igamma_grad_a_p: Iterated = Iterated(
    "igamma_grad_a", _order_slope,
    (not_implemented("igamma_grad_a"),) * 2,
)  # fmt: skip
random_gamma_grad_p = Iterated(
    "random_gamma_grad", _sample_slope,
    (_refuse("random_gamma_grad", "a"), _refuse("random_gamma_grad", "sample")),
)  # fmt: skip


# --- the incomplete beta function --------------------------------------------------------------
def _beta_fraction(a: Any, b: Any, x: Any) -> Any:
    """The continued fraction of the incomplete beta function, without its prefactor."""

    def active(a, b, x, m, c, d, h, delta):
        return gt_p(abs_p(_add(delta, -1)), _epsilon(delta))

    def lentz(numerator, c, d):
        d = _away_from_zero(_add(mul_p(numerator, d), 1))
        c = _away_from_zero(_add(div_p(numerator, c), 1))
        return c, div_p(constant(d, 1), d)

    def body(a, b, x, m, c, d, h, delta):
        m = _add(m, 1)
        twice = add_p(m, m)
        even = div_p(
            mul_p(mul_p(m, sub_p(b, m)), x),
            mul_p(_add(add_p(a, twice), -1), add_p(a, twice)),
        )
        c, d = lentz(even, c, d)
        first = mul_p(d, c)
        odd = div_p(
            mul_p(mul_p(neg_p(add_p(a, m)), add_p(add_p(a, b), m)), x),
            mul_p(add_p(a, twice), _add(add_p(a, twice), 1)),
        )
        c, d = lentz(odd, c, d)
        delta = mul_p(d, c)
        return a, b, x, m, c, d, mul_p(h, mul_p(first, delta)), delta

    one = _ones(x)
    d = sub_p(one, div_p(mul_p(add_p(a, b), x), _add(a, 1)))
    d = div_p(one, _away_from_zero(d))
    return repeat(active, body, [a, b, x, sub_p(one, one), one, d, d, add_p(one, one)])[6]


def _log_beta(a: Any, b: Any) -> Any:
    return sub_p(add_p(lgamma_p(a), lgamma_p(b)), lgamma_p(add_p(a, b)))


def _beta(a: Any, b: Any, x: Any) -> Any:
    zero, one = constant(x, 0), constant(x, 1)
    positive = and_p(gt_p(a, zero), gt_p(b, zero))
    inside = and_p(and_p(gt_p(x, zero), lt_p(x, one)), and_p(positive, _finite(a, b)))
    a0, b0 = a, b
    a, b = where(inside, a, one), where(inside, b, one)
    y = where(inside, x, constant(x, 0.5))
    # the fraction converges quickly on one side of the mean: use the symmetry on the other
    mirrored = ge_p(y, div_p(_add(a, 1), _add(add_p(a, b), 2)))
    p, q = where(mirrored, b, a), where(mirrored, a, b)
    z = where(mirrored, sub_p(one, y), y)
    front = add_p(mul_p(a, log_p(y)), mul_p(b, log1p_p(neg_p(y))))
    front = exp_p(sub_p(front, _log_beta(a, b)))
    value = div_p(mul_p(front, _beta_fraction(p, q, z)), p)
    value = where(mirrored, sub_p(one, value), value)
    edge = where(eq_p(x, zero), zero, where(eq_p(x, one), one, constant(x, np.nan)))
    edge = where(positive, edge, constant(x, np.nan))
    within = and_p(gt_p(x, zero), lt_p(x, one))
    edge = where(and_p(within, and_p(eq_p(a0, zero), gt_p(b0, zero))), one, edge)
    edge = where(and_p(within, and_p(gt_p(a0, zero), eq_p(b0, zero))), zero, edge)
    return where(inside, value, edge)


def _beta_density(g: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
    power = add_p(mul_p(_add(a, -1), log_p(x)), mul_p(_add(b, -1), log1p_p(neg_p(x))))
    return mul_p(g, exp_p(sub_p(power, _log_beta(a, b))))


_UNKNOWN = _refuse("Betainc", "a and b")
regularized_incomplete_beta_p = Iterated(
    "regularized_incomplete_beta", _beta, (_UNKNOWN, _UNKNOWN, _beta_density), _scipy("betainc")
)
