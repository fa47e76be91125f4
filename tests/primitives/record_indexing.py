"""Writes recorded_indexing.json: what JAX gives for random index expressions.

Run with an interpreter that has jax: python tests/primitives/record_indexing.py
"""

from __future__ import annotations

import json
import random
import warnings
from pathlib import Path

import index_cases
import jax.numpy as jnp
import numpy as np

COUNT = 260


def attempt(function):
    """{"shape", "values"} of a result, or {"error": its class}."""
    try:
        result = np.asarray(function())
    except Exception as error:
        return {"error": type(error).__name__}
    values = [None if v != v else round(float(v), 4) for v in result.ravel().tolist()]
    return {"shape": result.shape, "values": values, "dtype": result.dtype.name}


def main() -> None:
    warnings.simplefilter("ignore")
    generator = random.Random(20)
    cases = []
    while len(cases) < COUNT:
        rank = generator.randint(0, 3)
        shape = tuple(generator.choice([1, 2, 3, 4]) for _ in range(rank))
        items = index_cases.draw(generator, shape)
        x = jnp.arange(np.prod(shape, dtype=int), dtype=jnp.float32).reshape(shape) + 1
        mode, write = generator.choice(index_cases.MODES), generator.choice(index_cases.WRITES)
        index = tuple(items)
        cases.append({
            "shape": shape, "index": [index_cases.encode(i) for i in items], "mode": mode,
            "write": write,
            "read": attempt(lambda x=x, index=index: x[index]),
            "get": attempt(lambda x=x, index=index, mode=mode: x.at[index].get(mode=mode)),
            "written": attempt(
                lambda x=x, index=index, write=write: getattr(x.at[index], write)(2.0)
            ),
            "clipped": attempt(
                lambda x=x, index=index, write=write: getattr(x.at[index], write)(3, mode="clip")
            ),
        })  # fmt: skip
    lines = ",\n".join(json.dumps(case) for case in cases)
    Path(__file__).with_name("recorded_indexing.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
