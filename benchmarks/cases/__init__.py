"""The benchmark cases, one file per group, written once for the `jax` interface.

`library.load` decides which library they run on. `CASES` has them by name, in the order of the
page.
"""

from importlib import import_module

from benchmarks.cases.case import CASES, Case

FILES = (
    *("stream", "reduce", "dense", "fused", "irregular", "random_numbers", "algebra"),
    *("loop", "recurrence", "regressions", "model", "dispatch", "compile", "shapes"),
)
for name in FILES:
    import_module(f"{__name__}.{name}")

__all__ = ["CASES", "Case"]
