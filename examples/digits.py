"""Train a small network and a small transformer on scikit-learn's handwritten digits.

Run it with `make demo`. It prints what importing, tracing, compiling and training cost, the
accuracy on held-out images, and the same with compilation disabled, and draws the loss curves.
"""

from __future__ import annotations

import argparse
import sys
import time

started = time.perf_counter()
import fornax as fx  # noqa: E402
import fornax.numpy as fnp  # noqa: E402
from fornax import lax, nn, random, tree  # noqa: E402

IMPORT_SECONDS = time.perf_counter() - started

import numpy as np  # noqa: E402

CLASSES, SIDE = 10, 8


# --- data -------------------------------------------------------------------------------------
def load_digits(seed: int = 0):
    """(train images, train labels, test images, test labels); images are (n, 8, 8) in [0, 1]."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    images = (data.images / 16.0).astype(np.float32)
    labels = data.target.astype(np.int32)
    parts = train_test_split(images, labels, test_size=360, random_state=seed, stratify=labels)
    return parts[0], parts[2], parts[1], parts[3]


# --- models: init(key) -> params, apply(params, images) -> logits -------------------------------
def dense(key, inputs, outputs):
    return {
        "w": nn.initializers.glorot_normal()(key, (inputs, outputs)),
        "b": fnp.zeros((outputs,)),
    }


def init_mlp(key):
    sizes = (SIDE * SIDE, 256, 128, CLASSES)
    keys = random.split(key, len(sizes) - 1)
    return [dense(k, n, m) for k, n, m in zip(keys, sizes, sizes[1:], strict=False)]


def apply_mlp(params, images):
    x = images.reshape(images.shape[0], -1)
    for layer in params[:-1]:
        x = nn.relu(x @ layer["w"] + layer["b"])
    return x @ params[-1]["w"] + params[-1]["b"]


WIDTH, HEADS, LAYERS = 64, 4, 2


def init_transformer(key):
    """Every row of an image is a token."""
    key_in, key_position, key_out, *keys = random.split(key, 3 + LAYERS)

    def block(key):
        k = random.split(key, 4)
        return {
            "norm1": {"scale": fnp.ones((WIDTH,)), "bias": fnp.zeros((WIDTH,))},
            "norm2": {"scale": fnp.ones((WIDTH,)), "bias": fnp.zeros((WIDTH,))},
            "qkv": dense(k[0], WIDTH, 3 * WIDTH),
            "out": dense(k[1], WIDTH, WIDTH),
            "up": dense(k[2], WIDTH, 4 * WIDTH),
            "down": dense(k[3], 4 * WIDTH, WIDTH),
        }

    return {
        "embed": dense(key_in, SIDE, WIDTH),
        "position": 0.02 * random.normal(key_position, (SIDE, WIDTH)),
        "blocks": [block(k) for k in keys],
        "norm": {"scale": fnp.ones((WIDTH,)), "bias": fnp.zeros((WIDTH,))},
        "head": dense(key_out, SIDE * WIDTH, CLASSES),
    }


def layer_norm(params, x):
    mean = x.mean(-1, keepdims=True)
    variance = x.var(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * params["scale"] + params["bias"]


def attention(params, x):
    batch, length, width = x.shape
    qkv = x @ params["qkv"]["w"] + params["qkv"]["b"]
    q, k, v = (
        part.reshape(batch, length, HEADS, width // HEADS) for part in fnp.split(qkv, 3, axis=-1)
    )
    scores = fnp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(width // HEADS)
    mixed = fnp.einsum("bhqk,bkhd->bqhd", nn.softmax(scores, axis=-1), v)
    return mixed.reshape(batch, length, width) @ params["out"]["w"] + params["out"]["b"]


def apply_transformer(params, images):
    x = images @ params["embed"]["w"] + params["embed"]["b"] + params["position"]
    for block in params["blocks"]:
        x = x + attention(block, layer_norm(block["norm1"], x))
        hidden = nn.gelu(layer_norm(block["norm2"], x) @ block["up"]["w"] + block["up"]["b"])
        x = x + hidden @ block["down"]["w"] + block["down"]["b"]
    x = layer_norm(params["norm"], x).reshape(images.shape[0], SIDE * WIDTH)
    return x @ params["head"]["w"] + params["head"]["b"]


# --- training: Adam with tree.map ---------------------------------------------------------------
def make_step(apply, rate):
    """A training step: (params, moments, step number, images, labels) -> the same, and the loss."""

    def loss(params, images, labels):
        log_probabilities = nn.log_softmax(apply(params, images))
        return -(nn.one_hot(labels, CLASSES) * log_probabilities).sum(-1).mean()

    @fx.jit
    def step(params, moments, count, images, labels):
        value, grads = fx.value_and_grad(loss)(params, images, labels)
        count = count + 1
        first = tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], grads)
        second = tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], grads)
        scale = rate * fnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        params = tree.map(
            lambda p, m, v: p - scale * m / (fnp.sqrt(v) + 1e-8), params, first, second
        )
        return params, (first, second), count, value

    return step


def initial_state(init):
    params = init(random.PRNGKey(0))
    zeros = tree.map(fnp.zeros_like, params)
    return params, (zeros, zeros), fnp.float32(0)


def progress(name, done, total, loss):
    if sys.stderr.isatty() or done in (0, total):
        bar = "#" * (30 * done // total)
        end = "\n" if done == total else ""
        print(f"\r{name:12} [{bar:30}] {done}/{total} loss {loss:.4f}", end=end, file=sys.stderr)


def train(name, init, apply, data, epochs, batch=64, rate=1e-3):
    """A row of the table, and the losses."""
    train_images, train_labels, test_images, test_labels = data
    step = make_step(apply, rate)
    params, moments, count = initial_state(init)
    rng = np.random.default_rng(0)
    losses = []
    per_epoch = len(train_images) // batch
    total = epochs * per_epoch

    began = time.perf_counter()
    *_, loss = step(params, moments, count, train_images[:batch], train_labels[:batch])
    float(loss)
    first = time.perf_counter() - began

    began = time.perf_counter()
    for epoch in range(epochs):
        order = rng.permutation(len(train_images))
        for k in range(per_epoch):
            chosen = order[k * batch : (k + 1) * batch]
            noise = rng.standard_normal((batch, SIDE, SIDE), dtype=np.float32)
            images = train_images[chosen] + 0.2 * noise  # against learning images by heart
            params, moments, count, loss = step(
                params, moments, count, images, train_labels[chosen]
            )
            losses.append(float(loss))
        progress(name, (epoch + 1) * per_epoch, total, losses[-1])
    seconds = time.perf_counter() - began
    predicted = np.asarray(fx.jit(apply)(params, test_images)).argmax(-1)
    accuracy = float((predicted == test_labels).mean())

    plain = 0
    with fx.disable_jit():
        state = initial_state(init)
        began = time.perf_counter()
        while plain < 3 or time.perf_counter() - began < 1.0:
            *state, loss = step(*state, train_images[:batch], train_labels[:batch])
            plain += 1
        disabled = plain / (time.perf_counter() - began)

    traced = [e for e in fx.observe.recent(fx.observe.Traced) if e.name == "step"][-1]
    compiled = [e for e in fx.observe.recent(fx.observe.Compiled) if e.name == "step"][-1]
    return (
        {
            "first step": f"{first * 1e3:.0f} ms",
            "trace": f"{traced.seconds * 1e3:.0f} ms",
            "compile": f"{compiled.seconds * 1e3:.0f} ms",
            "kernels": f"{compiled.kernels} ({compiled.shared} shared)",
            "steps/s": f"{total / seconds:.0f}",
            "steps/s, jit disabled": f"{disabled:.0f}",
            "test accuracy": f"{accuracy:.2%}",
        },
        losses,
        accuracy,
    )


def table(columns):
    rows = list(next(iter(columns.values())))
    width = max(len(r) for r in rows)
    print(f"\n{'':{width}}  " + "".join(f"{name:>18}" for name in columns))
    for row in rows:
        print(f"{row:{width}}  " + "".join(f"{c[row]:>18}" for c in columns.values()))


def draw(curves, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    for name, losses in curves.items():
        smooth = np.convolve(losses, np.ones(20) / 20, mode="valid")
        axes.semilogy(smooth, label=name)
    axes.set(xlabel="step", ylabel="cross-entropy (mean of 20 steps)", title="Training on digits")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--plot", default="build/digits.png", help="where to save the loss curves")
    options = parser.parse_args()
    data = load_digits()
    print(f"import fornax: {IMPORT_SECONDS * 1e3:.0f} ms")
    columns, curves, accuracies = {}, {}, []
    for name, init, apply in (
        ("MLP", init_mlp, apply_mlp),
        ("transformer", init_transformer, apply_transformer),
    ):
        columns[name], curves[name], accuracy = train(name, init, apply, data, options.epochs)
        accuracies.append(accuracy)
    table(columns)
    draw(curves, options.plot)
    print(f"\nloss curves: {options.plot}")
    return 0 if min(accuracies) >= 0.97 or options.epochs < 40 else 1


if __name__ == "__main__":
    raise SystemExit(main())
