"""Writes recorded.json: what JAX gives for `programs.py`. Needs jax 0.10.2."""

import json
import pathlib

import jax
import numpy as np
import programs_more  # noqa: F401  (adds programs)
from programs import PROGRAMS

PLACE = pathlib.Path(__file__).parent / "recorded.json"


def encoded(x):
    x = np.asarray(x)
    values = x.ravel()
    if x.dtype.kind == "c":
        values = values.view(x.real.dtype)
    return {"dtype": x.dtype.name, "shape": list(x.shape), "values": values.tolist()}


class Package:
    """jax with the names that Fornax has at its top."""

    def __getattr__(self, name):
        if name == "custom_gradient":
            return jax.custom_derivatives.custom_gradient
        return getattr(jax, name)


if __name__ == "__main__":
    found = {}
    for name, make in PROGRAMS.items():
        found[name] = [encoded(x) for x in jax.tree.leaves(make(Package()))]
        print(name, len(found[name]))
    PLACE.write_text(json.dumps(found, indent=None, separators=(",", ":")) + "\n")
    print(f"{len(found)} programs, {PLACE.stat().st_size} bytes")
