"""Activation functions."""

from __future__ import annotations


import numpy as np

from fornax import numpy as fnp
from fornax.api.custom import custom_jvp
from fornax.ir.primitive import REGISTRY
from fornax.ir.types import typeof
from fornax.numpy.promotion import promote_inexact, scalar

__all__ = [
    "celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "identity", "leaky_relu", "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
    "soft_sign", "softplus", "sparse_plus", "sparse_sigmoid", "squareplus", "swish", "tanh",
]  # fmt: skip

tanh = fnp.tanh


def identity(x):
    """x itself, as an array."""
    return fnp.asarray(x)


@custom_jvp
def relu(x):
    """max(x, 0), with derivative 0 at 0.

    x: array; the result has its shape and dtype.
    """
    return fnp.maximum(x, 0)


@relu.defjvp
def _relu_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return relu(x), fnp.where(x > 0, t, fnp.zeros_like(t))


def relu6(x):
    """min(max(x, 0), 6)."""
    return fnp.minimum(fnp.maximum(x, 0), 6.0)


def sigmoid(x):
    """1 / (1 + exp(-x))."""
    (x,) = promote_inexact(x)
    return REGISTRY["logistic"].bind(x)[0]


def softplus(x):
    """log(1 + exp(x)), without overflow."""
    return fnp.logaddexp(x, 0.0)


def sparse_plus(x):
    """0 below -1, x above 1, a quarter of (x + 1)² between."""
    (x,) = promote_inexact(x)
    return fnp.where(x <= -1.0, 0.0, fnp.where(x >= 1.0, x, (x + 1.0) ** 2 / 4))


def sparse_sigmoid(x):
    """The derivative of `sparse_plus`: (x + 1) / 2 limited to [0, 1]."""
    return 0.5 * fnp.clip(fnp.asarray(x) + 1.0, 0.0, 2.0)


def soft_sign(x):
    """x / (1 + |x|)."""
    (x,) = promote_inexact(x)
    return x / (fnp.abs(x) + 1)


def silu(x):
    """x sigmoid(x)."""
    (x,) = promote_inexact(x)
    return x * sigmoid(x)


swish = silu


def mish(x):
    """x tanh(softplus(x))."""
    (x,) = promote_inexact(x)
    return x * fnp.tanh(softplus(x))


def log_sigmoid(x):
    """log(sigmoid(x)), without overflow."""
    (x,) = promote_inexact(x)
    return -softplus(-x)


def elu(x, alpha=1.0):
    """x where positive, else alpha (exp(x) - 1)."""
    (x,) = promote_inexact(x)
    safe = fnp.where(x > 0, scalar(0.0, typeof(x).dtype), x)
    return fnp.where(x > 0, x, alpha * fnp.expm1(safe))


def celu(x, alpha=1.0):
    """max(x, 0) + alpha (exp(min(x, 0) / alpha) - 1): like `elu`, differentiable for every alpha."""
    (x,) = promote_inexact(x)
    return fnp.maximum(x, 0.0) + alpha * fnp.expm1(fnp.minimum(x, 0.0) / alpha)


def selu(x):
    """`elu` scaled so that activations keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


def leaky_relu(x, negative_slope=1e-2):
    """x where positive, else negative_slope x."""
    (x,) = promote_inexact(x)
    return fnp.where(x >= 0, x, negative_slope * x)


def hard_tanh(x):
    """x limited to [-1, 1]."""
    x = fnp.asarray(x)
    return fnp.where(x > 1, 1, fnp.where(x < -1, -1, x)).astype(typeof(x).dtype)


def hard_sigmoid(x):
    """(x + 3) / 6 limited to [0, 1]."""
    return relu6(fnp.asarray(x) + 3.0) / 6.0


def hard_silu(x):
    """x hard_sigmoid(x)."""
    (x,) = promote_inexact(x)
    return x * hard_sigmoid(x)


hard_swish = hard_silu


def squareplus(x, b=4):
    """(x + sqrt(x² + b)) / 2: a smooth maximum of x and 0 without exponentials."""
    (x,) = promote_inexact(x)
    return (x + fnp.sqrt(fnp.square(x) + b)) / 2


def gelu(x, approximate: bool = True):
    """x times the probability that a standard normal variable is below x.

    approximate: by tanh (Hendrycks and Gimpel 2016) rather than by erf.
    """
    (x,) = promote_inexact(x)
    dtype = typeof(x).dtype
    if approximate:
        factor = scalar(np.sqrt(2 / np.pi), dtype)
        return x * (0.5 * (1.0 + fnp.tanh(factor * (x + 0.044715 * x**3))))
    root = scalar(np.sqrt(0.5), dtype)
    return 0.5 * x * REGISTRY["erfc"].bind(-x * root)[0]


def glu(x, axis=-1):
    """The first half along `axis` times the sigmoid of the second."""
    (x,) = promote_inexact(x)
    size = typeof(x).shape[axis]
    if size % 2:
        raise ValueError(f"glu: axis size must be divisible by 2, got {size}")
    first, second = fnp.split(x, 2, axis)
    return first * sigmoid(second)
