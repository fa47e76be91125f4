"""Programs and their types: what every transformation and the compiler agree on."""

from fornax.ir import show as _show  # noqa: F401  (gives programs their printed form)
