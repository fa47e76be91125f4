"""erf_inv as random normal numbers need it: quick, by polynomials.

M. Giles, "Approximating the erfinv function", GPU Computing Gems 2, 2011. In w = -log(1 - x²),
erf_inv(x) / x is close to a polynomial of w, or of sqrt(w) farther out. Near ±1 the rounding of x²
shows, which does no harm in random numbers, and makes them those of other systems with the same
formula. `special.erf_inv_p` is the accurate function.
"""

from __future__ import annotations

import math

import numpy as np

from fornax.primitives.elementwise import exp_p, mul_p, square_p
from fornax.primitives.family import FLOAT, Elementwise, constant

__all__ = ["erf_inv_giles_p"]

#: per dtype: (upper end of w, shift, coefficients from the highest power) for each range; w itself
#: is shifted in the first range, its root in the others
_RANGES = {
    "float32": (
        (5.0, 2.5, (
            2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
            -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
        )),
        (math.inf, 3.0, (
            -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
            -0.0076224613, 0.00943887047, 1.00167406, 2.83297682,
        )),
    ),
    "float64": (
        (6.25, 3.125, (
            -3.6444120640178196996e-21, -1.685059138182016589e-19, 1.2858480715256400167e-18,
            1.115787767802518096e-17, -1.333171662854620906e-16, 2.0972767875968561637e-17,
            6.6376381343583238325e-15, -4.0545662729752068639e-14, -8.1519341976054721522e-14,
            2.6335093153082322977e-12, -1.2975133253453532498e-11, -5.4154120542946279317e-11,
            1.051212273321532285e-09, -4.1126339803469836976e-09, -2.9070369957882005086e-08,
            4.2347877827932403518e-07, -1.3654692000834678645e-06, -1.3882523362786468719e-05,
            0.0001867342080340571352, -0.00074070253416626697512, -0.0060336708714301490533,
            0.24015818242558961693, 1.6536545626831027356,
        )),
        (16.0, 3.25, (
            2.2137376921775787049e-09, 9.0756561938885390979e-08, -2.7517406297064545428e-07,
            1.8239629214389227755e-08, 1.5027403968909827627e-06, -4.013867526981545969e-06,
            2.9234449089955446044e-06, 1.2475304481671778723e-05, -4.7318229009055733981e-05,
            6.8284851459573175448e-05, 2.4031110387097893999e-05, -0.0003550375203628474796,
            0.00095328937973738049703, -0.0016882755560235047313, 0.0024914420961078508066,
            -0.0037512085075692412107, 0.005370914553590063617, 1.0052589676941592334,
            3.0838856104922207635,
        )),
        (math.inf, 5.0, (
            -2.7109920616438573243e-11, -2.5556418169965252055e-10, 1.5076572693500548083e-09,
            -3.7894654401267369937e-09, 7.6157012080783393804e-09, -1.4960026627149240478e-08,
            2.9147953450901080826e-08, -6.7711997758452339498e-08, 2.2900482228026654717e-07,
            -9.9298272942317002539e-07, 4.5260625972231537039e-06, -1.9681778105531670567e-05,
            7.5995277030017761139e-05, -0.00021503011930044477347, -0.00013871931833623122026,
            1.0103004648645343977, 4.8499064014085844221,
        )),
    ),
}  # fmt: skip


def _operation(b, x):
    """One number in 300 lies beyond the first range: what the others need is jumped over."""
    dtype = x.dtype

    def number(value):
        return b.const(value, dtype)

    w = b.neg(b.log1p(b.neg(b.mul(x, x))))
    root = b.sqrt(w)
    ranges = _RANGES[dtype]
    beyond = None
    for position, (end, shift, coefficients) in reversed(list(enumerate(ranges))):
        argument = b.sub(root if position else w, number(shift))
        total = number(coefficients[0])
        for coefficient in coefficients[1:]:
            total = b.add(b.mul(total, argument), number(coefficient))
        if position:
            beyond = total if beyond is None else b.select(b.lt(w, number(end)), total, beyond)
    edge = b.eq(b.abs(x), number(1))
    far = b.select(edge, b.mul(x, number(math.inf)), b.mul(beyond, x))
    return b.op("rarely", b.ge(w, number(ranges[0][0])), far, b.mul(total, x))


def _meaning(x):
    """In float32, products are added unrounded, as compiled code does."""
    wide = np.float64
    with np.errstate(all="ignore"):
        w = -np.log1p(-(x * x).astype(wide)).astype(x.dtype)
        root = np.sqrt(w)
        result = None
        for position, (end, shift, coefficients) in reversed(
            list(enumerate(_RANGES[x.dtype.name]))
        ):
            argument = ((root if position else w) - x.dtype.type(shift)).astype(wide)
            total = np.full(x.shape, coefficients[0], x.dtype)
            for coefficient in coefficients[1:]:
                total = (total * argument + wide(x.dtype.type(coefficient))).astype(x.dtype)
            result = total if result is None else np.where(w < end, total, result)
        return np.where(np.abs(x) == 1, x * x.dtype.type(np.inf), result * x)


erf_inv_giles_p = Elementwise(
    "erf_inv_giles", _meaning, FLOAT,
    (lambda g, out, x: mul_p(
        g, mul_p(constant(x, math.sqrt(math.pi) / 2), exp_p(square_p(out)))),),
    operation=_operation, cost=30,
)  # fmt: skip
