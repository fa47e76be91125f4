"""Calls of the functions of `nn` whose results are recorded from JAX.

Each case is a function of the modules `nn`, `random` and `grad`. Run this file with a Python that
has JAX to write `recorded.npz` anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

RECORDED = os.path.join(os.path.dirname(__file__), "recorded.npz")
F4, F2, BF = np.float32, np.float16, ml_dtypes.bfloat16
#: label -> function(nn, random, grad) and the largest difference in ulps of numbers of size 1/8
CASES: dict[str, tuple[Callable[[Any, Any, Any], Any], float]] = {}


def case(label: str, function: Callable[[Any, Any, Any], Any], ulps: float = 8) -> None:
    assert label not in CASES
    CASES[label] = (function, ulps)


X = np.array([-100, -7.5, -3, -1, -0.3, -0.0, 0.0, 1e-3, 0.5, 1, 2.7, 6, 9, 90], F4)
INTEGERS = np.array([-7, -1, 0, 2, 6, 9])
ROWS = np.random.default_rng(3).normal(size=(3, 4, 5)).astype(F4)
MASK = np.random.default_rng(4).random((3, 4, 5)) < 0.7
ACTIVATIONS = (
    "relu", "relu6", "sigmoid", "softplus", "silu", "swish", "gelu", "leaky_relu", "elu", "celu",
    "selu", "tanh", "soft_sign", "hard_tanh", "hard_sigmoid", "hard_silu", "hard_swish",
    "log_sigmoid", "squareplus", "mish", "identity", "sparse_plus", "sparse_sigmoid",
)  # fmt: skip


def slope(grad: Any, f: Callable[[Any], Any], *args: Any) -> Any:
    return grad(lambda *a: f(*a).sum())(*args)


for name in ACTIVATIONS:
    for dtype in (F4, F2, BF):
        case(f"{name} {np.dtype(dtype)}",
             lambda nn, r, g, n=name, d=dtype: getattr(nn, n)(X[2:-2].astype(d)))  # fmt: skip
    case(f"{name} extremes", lambda nn, r, g, n=name: getattr(nn, n)(X), 64)
    if name not in ("sigmoid", "silu", "swish"):
        case(f"{name} integers", lambda nn, r, g, n=name: getattr(nn, n)(INTEGERS), 64)
    case(f"{name} number", lambda nn, r, g, n=name: getattr(nn, n)(1.5))
    case(f"{name} slope", lambda nn, r, g, n=name: slope(g, getattr(nn, n), X), 64)
case("gelu exact", lambda nn, r, g: nn.gelu(X, approximate=False), 64)
case("gelu exact slope", lambda nn, r, g: slope(g, lambda x: nn.gelu(x, approximate=False), X), 64)
case("leaky_relu slope 0.2", lambda nn, r, g: nn.leaky_relu(X, 0.2))
case("elu alpha", lambda nn, r, g: nn.elu(X, 0.5))
case("celu alpha", lambda nn, r, g: nn.celu(X, 0.5))
case("squareplus b", lambda nn, r, g: nn.squareplus(X, 1.0), 64)
case("log1mexp", lambda nn, r, g: nn.log1mexp(np.abs(X) + F4(0.01)))
case("log1mexp slope", lambda nn, r, g: slope(g, nn.log1mexp, np.abs(X) + F4(0.01)), 64)
case("glu", lambda nn, r, g: nn.glu(ROWS, 1))
case("glu last", lambda nn, r, g: nn.glu(ROWS[..., :4]))

# --- softmax and others ------------------------------------------------------------------------
for name in ("softmax", "log_softmax", "standardize"):
    for axis in (-1, (0, 2), None):
        case(f"{name} axis {axis}",
             lambda nn, r, g, n=name, a=axis: getattr(nn, n)(ROWS, axis=a), 32)  # fmt: skip
        case(f"{name} where {axis}",
             lambda nn, r, g, n=name, a=axis: getattr(nn, n)(ROWS, axis=a, where=MASK),
             32)  # fmt: skip
    case(f"{name} slope", lambda nn, r, g, n=name: slope(
        g, lambda x: getattr(nn, n)(x)[..., :2], ROWS), 32)  # fmt: skip
    for dtype in (F2, BF):
        case(f"{name} {np.dtype(dtype)}",
             lambda nn, r, g, n=name, d=dtype: getattr(nn, n)(ROWS.astype(d)), 32)  # fmt: skip
case("softmax integers", lambda nn, r, g: nn.softmax(INTEGERS))
case("softmax where slope", lambda nn, r, g: slope(
    g, lambda x: nn.softmax(x, where=MASK)[..., :2], ROWS))  # fmt: skip
case("softmax infinite", lambda nn, r, g: nn.softmax(np.array([-np.inf, 1, 2], F4)))
case("log_softmax large", lambda nn, r, g: nn.log_softmax(np.array([1000, 1, 2], F4)))
case("standardize stable", lambda nn, r, g: nn.standardize(ROWS, algorithm="stable"), 32)
case("standardize given", lambda nn, r, g: nn.standardize(ROWS, mean=F4(0.5), variance=F4(2)))
for axis in (None, 0, (0, 2), -1):
    for keep in (False, True):
        case(f"logsumexp {axis} {keep}",
             lambda nn, r, g, a=axis, k=keep: nn.logsumexp(ROWS, axis=a, keepdims=k))  # fmt: skip
        case(f"logmeanexp {axis} {keep}",
             lambda nn, r, g, a=axis, k=keep: nn.logmeanexp(ROWS, axis=a, keepdims=k),
             32)  # fmt: skip
case("logsumexp where", lambda nn, r, g: nn.logsumexp(ROWS, axis=-1, where=MASK))
case("logmeanexp where", lambda nn, r, g: nn.logmeanexp(ROWS, axis=-1, where=MASK))
case("logsumexp b", lambda nn, r, g: nn.logsumexp(ROWS, axis=-1, b=np.abs(ROWS)))
case("logsumexp negative b", lambda nn, r, g: nn.logsumexp(ROWS, axis=-1, b=ROWS), 32)
case("logsumexp sign 0", lambda nn, r, g: nn.logsumexp(
    ROWS, axis=-1, b=ROWS, return_sign=True)[0], 32)  # fmt: skip
case("logsumexp sign 1", lambda nn, r, g: nn.logsumexp(ROWS, axis=-1, b=ROWS, return_sign=True)[1])
case("logsumexp infinite", lambda nn, r, g: nn.logsumexp(
    np.array([[-np.inf, -np.inf], [np.inf, 1], [1, np.nan]], F4), axis=1))  # fmt: skip
case("logsumexp complex", lambda nn, r, g: nn.logsumexp(ROWS + F4(0.5) * 1j, axis=-1))
case("logsumexp integers", lambda nn, r, g: nn.logsumexp(INTEGERS))
case("logsumexp slope", lambda nn, r, g: slope(g, lambda x: nn.logsumexp(x, axis=0), ROWS))
case("one_hot", lambda nn, r, g: nn.one_hot(np.array([[0, 2], [3, -1]]), 3))
case("one_hot axis", lambda nn, r, g: nn.one_hot(np.array([[0, 2], [3, 1]]), 4, axis=0))
case("one_hot dtype", lambda nn, r, g: nn.one_hot(2, 4, dtype=np.int8))
case("one_hot uint8", lambda nn, r, g: nn.one_hot(np.array([3, 1], np.uint8), 5, dtype=bool))

# --- attention ---------------------------------------------------------------------------------
_R = np.random.default_rng(5)
QUERY, KEY, VALUE = (
    _R.normal(size=s).astype(F4) for s in ((2, 5, 4, 8), (2, 6, 2, 8), (2, 6, 2, 8))
)
BIAS = _R.normal(size=(2, 4, 5, 6)).astype(F4)
ALLOWED = _R.random((2, 1, 5, 6)) < 0.8
for label, options in {
    "plain": {}, "scale": {"scale": 0.3}, "causal": {"is_causal": True}, "bias": {"bias": BIAS},
    "mask": {"mask": ALLOWED}, "window": {"local_window_size": 2},
    "window 2": {"local_window_size": (1, 3), "is_causal": True},
    "lengths": {"query_seq_lengths": np.array([3, 5], np.int32),
                "key_value_seq_lengths": np.array([6, 2], np.int32)},
}.items():  # fmt: skip
    case(f"attention {label}",
         lambda nn, r, g, o=options: nn.dot_product_attention(QUERY, KEY, VALUE, **o),
         32)  # fmt: skip
case("attention 3", lambda nn, r, g: nn.dot_product_attention(QUERY[0], KEY[0], VALUE[0]), 32)
case("attention residual", lambda nn, r, g: nn.dot_product_attention(
    QUERY, KEY, VALUE, bias=BIAS, return_residual=True)[1], 32)  # fmt: skip
case("attention slope", lambda nn, r, g: slope(
    g, lambda q: nn.dot_product_attention(q, KEY, VALUE, is_causal=True), QUERY), 64)  # fmt: skip

# --- initializers ------------------------------------------------------------------------------
for name in ("glorot_uniform", "glorot_normal", "xavier_uniform", "xavier_normal", "he_uniform",
             "he_normal", "kaiming_uniform", "kaiming_normal", "lecun_uniform",
             "lecun_normal"):  # fmt: skip
    case(f"{name}", lambda nn, r, g, n=name: getattr(nn.initializers, n)()(r.key(7), (6, 5)))
for mode in ("fan_in", "fan_out", "fan_avg", "fan_geo_avg"):
    for distribution in ("truncated_normal", "normal", "uniform"):
        for dtype in (F4, np.complex64):
            case(f"scaling {mode} {distribution} {np.dtype(dtype)}",
                 lambda nn, r, g, m=mode, s=distribution, d=dtype: nn.initializers.variance_scaling(
                     2.0, m, s)(r.key(7), (3, 4, 5), d), 32)  # fmt: skip
case("scaling axes", lambda nn, r, g: nn.initializers.variance_scaling(
    1.0, "fan_in", "normal", in_axis=(0, 1), out_axis=2, batch_axis=3)(
        r.key(7), (2, 3, 4, 2)))  # fmt: skip
for label, make in {
    "uniform": lambda i: i.uniform(), "normal": lambda i: i.normal(0.3), "zeros": lambda i: i.zeros,
    "ones": lambda i: i.ones, "truncated": lambda i: i.truncated_normal(0.2, lower=-1.0),
    "constant": lambda i: i.constant(2.5),
}.items():  # fmt: skip
    case(f"initializer {label}", lambda nn, r, g, m=make: m(nn.initializers)(r.key(7), (4, 3)))
    case(f"initializer {label} bfloat16",
         lambda nn, r, g, m=make: m(nn.initializers)(r.key(7), (4, 3), BF))  # fmt: skip


if __name__ == "__main__":
    import jax

    found = {}
    for label, (function, _) in CASES.items():
        value = np.asarray(function(jax.nn, jax.random, jax.grad))
        found[label] = value.view(np.uint16) if value.dtype == BF else value
    np.savez_compressed(RECORDED, **found)
    print(len(found), "results recorded")
