"""Layers as pairs of functions: (key, input shape) -> (output shape, parameters), and
(parameters, inputs) -> outputs.

    init, apply = serial(Dense(64), Relu, Dense(10), LogSoftmax)
    shape, params = init(key, (-1, 784))
    outputs = apply(params, inputs)

Layers that convolve or pool are not there yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import fornax.numpy as fnp
from fornax import nn, random
from fornax.nn import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    selu,
    sigmoid,
    softmax,
    softplus,
    standardize,
)
from fornax.nn.initializers import glorot_normal, normal, ones, zeros
from fornax.source import located

__all__ = [
    "BatchNorm", "Dense", "Dropout", "Elu", "Exp", "FanInConcat", "FanInSum", "FanOut", "Flatten",
    "Gelu", "Identity", "LeakyRelu", "LogSoftmax", "Relu", "Selu", "Sigmoid", "Softmax", "Softplus",
    "Tanh", "elementwise", "elu", "gelu", "glorot", "glorot_normal", "leaky_relu", "log_softmax",
    "logsoftmax", "normal", "ones", "parallel", "randn", "relu", "selu", "serial",
    "shape_dependent", "sigmoid", "softmax", "softplus", "standardize", "zeros",
]  # fmt: skip

Layer = tuple[Callable[..., Any], Callable[..., Any]]

#: older names
logsoftmax, randn, glorot = nn.log_softmax, normal, glorot_normal


def Dense(out_dim: int, W_init: Any = None, b_init: Any = None) -> Layer:  # noqa: N802, N803
    """inputs @ W + b, with `out_dim` outputs. W_init, b_init: initializers."""
    W_init = W_init or glorot_normal()  # noqa: N806
    b_init = b_init or normal()

    def init(rng, input_shape):
        first, second = random.split(rng)
        weights = W_init(first, (input_shape[-1], out_dim))
        return (*input_shape[:-1], out_dim), (weights, b_init(second, (out_dim,)))

    def apply(params, inputs, **kwargs):
        weights, bias = params
        return fnp.dot(inputs, weights) + bias

    return init, apply


def BatchNorm(  # noqa: N802
    axis=(0, 1, 2), epsilon=1e-5, center=True, scale=True, beta_init=zeros, gamma_init=ones
) -> Layer:
    """Inputs with mean 0 and variance 1 over `axis`, then scaled by gamma and moved by beta."""
    axes = (axis,) if fnp.isscalar(axis) else axis

    def init(rng, input_shape):
        shape = tuple(n for d, n in enumerate(input_shape) if d not in axes)
        first, second = random.split(rng)
        beta = beta_init(first, shape) if center else ()
        gamma = gamma_init(second, shape) if scale else ()
        return input_shape, (beta, gamma)

    def apply(params, x, **kwargs):
        beta, gamma = params
        wide = tuple(None if d in axes else slice(None) for d in range(fnp.ndim(x)))
        x = standardize(x, axes, epsilon=epsilon)
        x = gamma[wide] * x if scale else x
        return x + beta[wide] if center else x

    return init, apply


def elementwise(fun: Callable[..., Any], **fun_kwargs: Any) -> Layer:
    """A layer without parameters that is a function of its inputs."""
    return (
        lambda rng, input_shape: (input_shape, ()),
        lambda params, inputs, **kwargs: fun(inputs, **fun_kwargs),
    )


Tanh = elementwise(fnp.tanh)
Relu = elementwise(relu)
Exp = elementwise(fnp.exp)
LogSoftmax = elementwise(log_softmax, axis=-1)
Softmax = elementwise(softmax, axis=-1)
Softplus = elementwise(softplus)
Sigmoid = elementwise(sigmoid)
Elu = elementwise(elu)
LeakyRelu = elementwise(leaky_relu)
Selu = elementwise(selu)
Gelu = elementwise(gelu)
Identity = elementwise(lambda inputs: inputs)
#: all dimensions but the first as one
Flatten: Layer = (
    lambda rng, input_shape: ((input_shape[0], math.prod(input_shape[1:])), ()),
    lambda params, inputs, **kwargs: fnp.reshape(inputs, (inputs.shape[0], -1)),
)


def FanOut(num: int) -> Layer:  # noqa: N802
    """The inputs, `num` times in a list."""
    return (
        lambda rng, input_shape: ([input_shape] * num, ()),
        lambda params, inputs, **kwargs: [inputs] * num,
    )


#: the sum of a list of inputs
FanInSum: Layer = (
    lambda rng, input_shape: (input_shape[0], ()),
    lambda params, inputs, **kwargs: sum(inputs),
)


def FanInConcat(axis: int = -1) -> Layer:  # noqa: N802
    """A list of inputs one behind the other along `axis`."""

    def init(rng, input_shape):
        first = input_shape[0]
        d = axis % len(first)
        return (*first[:d], sum(shape[d] for shape in input_shape), *first[d + 1 :]), ()

    return init, lambda params, inputs, **kwargs: fnp.concatenate(inputs, axis)


def Dropout(rate: float, mode: str = "train") -> Layer:  # noqa: N802
    """A random part of the inputs, which are kept with probability `rate`; the rest is zero.

    The layer needs a key: apply(params, inputs, rng=key). Raises ValueError without one. mode:
    other than "train", all inputs.
    """

    def apply(params, inputs, **kwargs):
        rng = kwargs.get("rng")
        if rng is None:
            raise ValueError(
                located(
                    "Dropout layer requires apply_fun to be called with a PRNG key argument.",
                    attempt="apply_fun(params, inputs, rng=key)",
                )
            )
        if mode != "train":
            return inputs
        return fnp.where(random.bernoulli(rng, rate, inputs.shape), inputs / rate, 0)

    return (lambda rng, input_shape: (input_shape, ())), apply


def serial(*layers: Layer) -> Layer:
    """One layer after another."""

    def init(rng, input_shape):
        params = []
        for init, _ in layers:
            rng, own = random.split(rng)
            input_shape, param = init(own, input_shape)
            params.append(param)
        return input_shape, params

    def apply(params, inputs, **kwargs):
        keys = _keys(kwargs.pop("rng", None), len(layers))
        for (_, apply), param, rng in zip(layers, params, keys, strict=False):
            inputs = apply(param, inputs, rng=rng, **kwargs)
        return inputs

    return init, apply


def parallel(*layers: Layer) -> Layer:
    """Every layer on its own element of a list of inputs."""

    def init(rng, input_shape):
        keys = random.split(rng, len(layers))
        made = [i(k, s) for (i, _), k, s in zip(layers, keys, input_shape, strict=False)]
        return zip(*made, strict=True)

    def apply(params, inputs, **kwargs):
        keys = _keys(kwargs.pop("rng", None), len(layers))
        rows = zip(layers, params, inputs, keys, strict=False)
        return [apply(p, x, rng=rng, **kwargs) for (_, apply), p, x, rng in rows]

    return init, apply


def _keys(rng: Any, count: int) -> Any:
    return (None,) * count if rng is None else random.split(rng, count)


def shape_dependent(make_layer: Callable[[Any], Layer]) -> Layer:
    """The layer that `make_layer` makes for the shape of the inputs."""
    return (
        lambda rng, input_shape: make_layer(input_shape)[0](rng, input_shape),
        lambda params, inputs, **kwargs: make_layer(inputs.shape)[1](params, inputs, **kwargs),
    )
