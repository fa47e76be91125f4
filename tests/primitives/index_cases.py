"""Index expressions as text that JSON can hold, and how to draw them at random."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

MODES = (None, "clip", "fill")
WRITES = ("set", "add", "subtract", "multiply", "divide", "power", "min", "max")


def decode(items: list) -> Any:
    """The index expression that a list of items stands for: a tuple."""
    return tuple(_decode(item) for item in items)


def _decode(item: Any) -> Any:
    if isinstance(item, dict):
        if "slice" in item:
            return slice(*item["slice"])
        if "array" in item:
            return np.array(item["array"], item["dtype"]).reshape(item["shape"])
        return Ellipsis
    return item


def encode(item: Any) -> Any:
    """An item of an index expression in JSON's terms."""
    if isinstance(item, slice):
        return {"slice": [item.start, item.stop, item.step]}
    if isinstance(item, np.ndarray):
        return {"array": item.ravel().tolist(), "dtype": item.dtype.name, "shape": item.shape}
    return {"ellipsis": True} if item is Ellipsis else item


def draw(generator: random.Random, shape: tuple[int, ...]) -> list:
    """A random index expression into an array of `shape`, sometimes out of bounds."""
    items: list[Any] = []
    together = generator.choice([(2,), (3,), (2, 2), (1,), (0,)])
    has_ellipsis = False
    d = 0

    def integers(low, high, size):
        count = int(np.prod(size))
        return np.array([generator.randint(low, high) for _ in range(count)]).reshape(size)

    while d < len(shape) and generator.random() < 0.9:
        n, kind = shape[d], generator.random()
        if kind < 0.08:
            items.append(None)
        elif kind < 0.14 and not has_ellipsis:
            items.append(Ellipsis)
            has_ellipsis = True
            d += generator.randint(0, len(shape) - d)
        elif kind < 0.34:
            items.append(generator.randint(-n - 1, n))
            d += 1
        elif kind < 0.64:
            edges = [None, None, generator.randint(-n - 1, n + 1)]
            step = generator.choice([None, None, 1, -1, 2, -2, 3])
            items.append(slice(generator.choice(edges), generator.choice(edges), step))
            d += 1
        elif kind < 0.72:
            items.append(integers(0, 1, (n,)).astype(bool))
            d += 1
        elif kind < 0.76 and d + 1 < len(shape) and not has_ellipsis:
            items.append(integers(0, 1, shape[d : d + 2]).astype(bool))
            d += 2
        else:
            size = generator.choice([together, together[-1:], (), (1,) * len(together)])
            dtype = generator.choice(["int32", "int8"])
            items.append(integers(-n - 1, n + 1, size).astype(dtype))
            d += 1
    return items
