"""The library that this process measures: `jax` is Fornax or JAX, as `load` was told."""

from __future__ import annotations

import importlib
from types import ModuleType


class Late:
    """A module of the library, imported when something of it is first asked for."""

    chosen = ""

    def __init__(self, path: str = ""):
        self._path = path

    def __getattr__(self, name: str):
        if not Late.chosen:
            raise RuntimeError("no library yet: call benchmarks.cases.library.load first")
        value = getattr(importlib.import_module(Late.chosen + self._path), name)
        if not isinstance(value, ModuleType):
            setattr(self, name, value)
        return value


jax, jnp, lax, random = Late(), Late(".numpy"), Late(".lax"), Late(".random")
nn, tree, special = Late(".nn"), Late(".tree"), Late(".scipy.special")
linalg = Late(".scipy.linalg")


def load(name: str) -> None:
    """Make `jax`, `jnp` and so on those of "fornax" or "jax"; once per process."""
    if Late.chosen not in ("", name):
        raise RuntimeError(f"this process measures {Late.chosen} already")
    Late.chosen = name
    importlib.import_module(f"{name}.numpy")
