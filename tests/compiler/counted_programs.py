"""Programs whose kernels are counted: those of the benchmarks, at sizes that trace at once."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cases import fused, library, loop, model, recurrence, reduce, regressions, stream

import fornax
import fornax.numpy as jnp
from fornax import lax, random

library.load("fornax")

Spec = fornax.ShapeDtypeStruct


def f32(*shape):
    return Spec(shape, "float32")


def i32(*shape):
    return Spec(shape, "int32")


def pull(function: Callable) -> Callable:
    """The gradient of the sum of squares, in all arguments of floating point."""

    def program(*arguments):
        chosen = [k for k, a in enumerate(arguments) if a.dtype == "float32"]
        return fornax.grad(lambda *a: (function(*a) ** 2).sum(), argnums=chosen)(*arguments)

    return program


def gpt_step(params, tokens):
    return model.descend(model.gpt_loss)(params, tokens)


def shapes(setup: Callable, *arguments, **options):
    """The types of what a benchmark sets up."""
    return fornax.tree.map(lambda a: Spec(a.shape, a.dtype), setup(*arguments, **options))


rows, row = f32(512, 1024), f32(1024)
square, heads = f32(256, 256), f32(2, 128, 64)
options = (f32(4096),) * 5

PROGRAMS: dict[str, tuple] = {
    "2x+1": (lambda x: 2 * x + 1, rows),
    "gelu": (stream.gelu, rows),
    "gelu, gradient": (pull(stream.gelu), rows),
    "gelu of bf16": (stream.gelu, Spec((512, 1024), "bfloat16")),
    "Black-Scholes": (stream.black_scholes, *options),
    "Black-Scholes, greeks": (
        lambda *a: fornax.vmap(fornax.grad(stream.black_scholes, argnums=(0, 1, 2, 3, 4)))(*a),
        *options,
    ),
    "transpose + 1": (lambda x: x.T + 1, rows),
    "concatenate and pad": (lambda x, y: jnp.pad(jnp.concatenate([x, y]), 1), rows, rows),
    "sum over axis 0": (lambda x: x.sum(0), rows),
    "mean and variance": (lambda x: (x.mean(1), x.var(1)), rows),
    "softmax": (reduce.softmax, rows),
    "softmax, gradient": (pull(reduce.softmax), rows),
    "logsumexp": (reduce.logsumexp, rows),
    "layernorm": (reduce.layernorm, rows, row, row),
    "layernorm, gradient": (pull(reduce.layernorm), rows, row, row),
    "argmax": (lambda x: jnp.argmax(x, 1), rows),
    "cumsum": (lambda x: jnp.cumsum(x, 1), rows),
    "n-body forces": (reduce.forces, f32(512, 3), f32(512)),
    "pairwise distances": (reduce.distances, f32(300, 16), f32(200, 16)),
    "k-means step": (reduce.k_means, f32(5000, 16), f32(64, 16)),
    "matmul": (lambda x, y: x @ y, square, square),
    "matmul of bf16": (lambda x, y: x @ y, *[Spec((256, 256), "bfloat16")] * 2),
    "matmul, gradient": (pull(lambda x, y: x @ y), square, square),
    "batched matmul 4x4": (lambda x, y: x @ y, f32(1000, 4, 4), f32(1000, 4, 4)),
    "gelu(x @ w + b)": (lambda x, w, b: stream.gelu(x @ w + b), square, square, f32(256)),
    "layernorm read": (
        lambda x, w, s, b: reduce.layernorm(x, s, b) @ w,
        *(square, square, f32(256), f32(256)),
    ),
    "attention": (fused.attention, heads, heads, heads),
    "attention, gradient": (pull(fused.attention), heads, heads, heads),
    "causal attention": (fused.causal, heads, heads, heads),
    "embedding, gradient": (pull(lambda x, i: x[i]), f32(1000, 64), i32(512)),
    "segment_sum": (lambda x, i: fornax.ops.segment_sum(x, i, 100), f32(5000), i32(5000)),
    "normal": (lambda k: random.normal(k, (4096,)), fornax.eval_shape(random.key, 0)),
    "scan of scalars": (loop.decay, f32(), f32(1000)),
    "RK4": (lambda s: loop.lorenz(s, 1000), f32(3)),
    "x.at[i].set in a loop": (loop.written(1000), f32(1000)),
    "Jacobi": (loop.jacobi(100), f32(64, 64), f32(64, 64)),
    "mandelbrot": (loop.mandelbrot, f32(1000), f32(1000)),
    "Kalman filter": (recurrence.kalman, f32(100, 2), f32(4, 4), f32(4, 4)),
    "HMM forward, gradient": (
        fornax.grad(recurrence.hidden_markov), f32(8), f32(8, 8), f32(100, 8),
    ),
    "LSTM": (recurrence.lstm, *shapes(recurrence.lstm_setup, 64, 8, 16)),
    "while with x.at[i].set": (regressions.filled, f32(1000)),
    "cholesky": (model.cholesky, f32(32, 32)),
    "MLP step": (model.descend(model.mlp_loss), *shapes(model.mlp_setup)),
    "GPT train step, 2 layers": (gpt_step, *shapes(model.gpt_setup, 2, 64, 32, 2, 100)),
    "top_k": (lambda x: lax.top_k(x, 10), f32(64, 256)),
}  # fmt: skip
