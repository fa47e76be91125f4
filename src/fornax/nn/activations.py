"""Activation functions, element by element.

Each takes an array or number `x` and gives floats (relu and its like keep integer dtypes).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.api.custom import custom_jvp
from fornax.api.eager import eager
from fornax.ir.types import typeof
from fornax.lax.broadcasting import full_like
from fornax.lax.elementwise import erfc, logistic
from fornax.lax.selection import select
from fornax.numpy import ufuncs as fnp
from fornax.numpy.axes import canonical_axis
from fornax.numpy.creation import asarray
from fornax.numpy.promotion import check, concrete_form, promote_inexact
from fornax.numpy.selection import clip, where
from fornax.numpy.splitting import split
from fornax.numpy.ufuncs import tanh
from fornax.numpy.ufuncs.logarithms import logaddexp
from fornax.source import located

__all__ = [
    "celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "identity", "leaky_relu", "log1mexp", "log_sigmoid", "mish", "relu", "relu6", "selu",
    "sigmoid", "silu", "soft_sign", "softplus", "sparse_plus", "sparse_sigmoid", "squareplus",
    "swish", "tanh",
]  # fmt: skip


def _array(name: str, x: Any) -> Any:
    check(name, x)
    return asarray(x)


def identity(x):
    """x itself, as an array."""
    return _array("identity", x)


# --- straight lines ----------------------------------------------------------------------------
@eager
def relu(x):
    """max(x, 0). The derivative at 0 is 0."""
    return _relu(x)


@eager
def relu6(x):
    """min(max(x, 0), 6). The derivative at 0 and at 6 is 0."""
    return _relu6(x)


@custom_jvp
def _relu(x):
    return fnp.maximum(x, 0)


@custom_jvp
def _relu6(x):
    return fnp.minimum(fnp.maximum(x, 0), 6.0)


_relu.defjvps(lambda g, ans, x: select(fnp.greater(x, 0), g, full_like(g, 0)))
_relu6.defjvps(
    lambda g, ans, x: select(fnp.logical_and(fnp.greater(x, 0), fnp.less(x, 6)), g, full_like(g, 0))
)


@eager
def leaky_relu(x, negative_slope=0.01):
    """x where x >= 0, else negative_slope * x."""
    x = _array("leaky_relu", x)
    return where(fnp.greater_equal(x, 0), x, fnp.multiply(negative_slope, x))


@eager
def hard_tanh(x):
    """x limited to [-1, 1]."""
    x = _array("hard_tanh", x)
    return where(fnp.greater(x, 1), 1, where(fnp.less(x, -1), -1, x))


@eager
def hard_sigmoid(x):
    """relu6(x + 3) / 6."""
    return fnp.divide(relu6(fnp.add(x, 3.0)), 6.0)


@eager
def hard_silu(x):
    """x * hard_sigmoid(x)."""
    x = _array("hard_silu", x)
    return fnp.multiply(x, hard_sigmoid(x))


hard_swish = hard_silu


@eager
def sparse_plus(x):
    """0 below -1, x above 1, and (x + 1)² / 4 between."""
    x = _array("sparse_plus", x)
    middle = fnp.divide(fnp.square(fnp.add(x, 1.0)), 4)
    return where(fnp.less_equal(x, -1.0), 0.0, where(fnp.greater_equal(x, 1.0), x, middle))


@eager
def sparse_sigmoid(x):
    """(x + 1) / 2 limited to [0, 1]."""
    return fnp.multiply(0.5, clip(fnp.add(x, 1.0), 0.0, 2.0))


# --- smooth ------------------------------------------------------------------------------------
@eager
def sigmoid(x):
    """1 / (1 + exp(-x)). Raises TypeError for integers and booleans."""
    check("sigmoid", x)
    return logistic(concrete_form(x))


@eager
def log_sigmoid(x):
    """log(sigmoid(x)) without overflow."""
    return fnp.negative(softplus(fnp.negative(_array("log_sigmoid", x))))


@eager
def softplus(x):
    """log(1 + exp(x)) without overflow."""
    return logaddexp(x, 0)


@eager
def squareplus(x, b=4):
    """(x + sqrt(x² + b)) / 2."""
    check("squareplus", x, b)
    return fnp.divide(fnp.add(x, fnp.sqrt(fnp.add(fnp.square(x), b))), 2)


@eager
def soft_sign(x):
    """x / (|x| + 1)."""
    check("soft_sign", x)
    return fnp.divide(x, fnp.add(fnp.absolute(x), 1))


@eager
def silu(x):
    """x * sigmoid(x), also called swish."""
    return fnp.multiply(_array("silu", x), sigmoid(x))


swish = silu


@eager
def mish(x):
    """x * tanh(softplus(x))."""
    return fnp.multiply(_array("mish", x), tanh(softplus(x)))


@eager
def elu(x, alpha=1.0):
    """x where x > 0, else alpha * (exp(x) - 1)."""
    x = _array("elu", x)
    positive = fnp.greater(x, 0)
    # where's derivative would be NaN if the branch that is not taken overflowed
    safe = where(positive, 0.0, x)
    return where(positive, x, fnp.multiply(alpha, fnp.expm1(safe)))


@eager
def celu(x, alpha=1.0):
    """max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)."""
    check("celu", x, alpha)
    below = fnp.expm1(fnp.divide(fnp.minimum(x, 0.0), alpha))
    return fnp.add(fnp.maximum(x, 0.0), fnp.multiply(alpha, below))


#: the fixed point of mean 0 and variance 1 (Klambauer et al., "Self-normalizing networks", 2017)
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


@eager
def selu(x):
    """elu with constants that keep mean and variance through many layers."""
    return fnp.multiply(_SELU_SCALE, elu(x, _SELU_ALPHA))


@eager(static="approximate")
def gelu(x, approximate=True):
    """x times the normal distribution function at x.

    approximate: with tanh in place of erf (Hendrycks and Gimpel, 2016).
    """
    check("gelu", x)
    x = asarray(promote_inexact(x)[0])
    dtype = typeof(x).dtype
    if approximate:
        slope = np.sqrt(2 / np.pi).astype(dtype)
        inner = fnp.multiply(slope, fnp.add(x, fnp.multiply(0.044715, fnp.power(x, 3))))
        return fnp.multiply(x, fnp.multiply(0.5, fnp.add(1.0, tanh(inner))))
    half = np.sqrt(0.5).astype(dtype)
    return fnp.multiply(fnp.multiply(0.5, x), erfc(fnp.multiply(fnp.negative(x), half)))


@eager(static="axis")
def glu(x, axis=-1):
    """The first half of x along `axis` times the sigmoid of the second half.

    Raises ValueError if the size along `axis` is odd.
    """
    x = _array("glu", x)
    axis = canonical_axis(axis, x.ndim)
    if x.shape[axis] % 2:
        raise ValueError(
            located(
                f"axis size must be divisible by 2, got {x.shape[axis]} along axis {axis}",
                attempt="pad the axis by one, or another axis",
            )
        )
    first, second = split(x, 2, axis)
    return fnp.multiply(first, sigmoid(second))


@custom_jvp
def log1mexp(x):
    """log(1 - exp(-x)) for x > 0, accurate at both ends."""
    check("log1mexp", x)
    near = fnp.log(fnp.negative(fnp.expm1(fnp.negative(x))))
    far = fnp.log1p(fnp.negative(fnp.exp(fnp.negative(x))))
    return where(fnp.less(x, np.log(2.0).item()), near, far)


log1mexp.defjvps(lambda g, ans, x: fnp.divide(g, fnp.expm1(x)))
