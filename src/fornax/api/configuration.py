"""`fornax.config` and the context managers for single settings, with JAX's names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from fornax import settings

__all__ = [
    "checking_leaks", "config", "default_matmul_precision", "enable_x64", "numpy_dtype_promotion",
    "numpy_rank_promotion",
]  # fmt: skip


class Config:
    """The current settings as attributes (`config.jax_enable_x64`), and `update`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(settings.current(), settings.field_name(name))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"config.{name} cannot be assigned; use config.update({name!r}, …)")

    def update(self, name: str, value: Any) -> None:
        """Change a setting for the whole process.

        name: the setting, with or without the prefix "jax_". Raises AttributeError for an unknown
        name, ValueError for a value that is not allowed.
        """
        settings.update(name, value)

    def read(self, name: str) -> Any:
        """The current value of a setting."""
        return getattr(self, name)


config = Config()


def _manager(name: str, default: Any, text: str):
    @contextlib.contextmanager
    def manager(value: Any = default) -> Iterator[None]:
        with settings.override(**{name: value}):
            yield

    manager.__name__ = manager.__qualname__ = name
    manager.__doc__ = text
    return manager


enable_x64 = _manager("enable_x64", True, "64-bit types inside the `with` (or not, for False).")
numpy_dtype_promotion = _manager(
    "numpy_dtype_promotion", "standard", "'standard' or 'strict' promotion of dtypes."
)
numpy_rank_promotion = _manager(
    "numpy_rank_promotion", "allow", "'allow', 'warn' or 'raise' where ranks differ."
)
default_matmul_precision = _manager(
    "default_matmul_precision", None, "The precision of products where none is given."
)


@contextlib.contextmanager
def checking_leaks() -> Iterator[None]:
    """Leaked tracers are an error when their transformation ends, inside the `with`."""
    with settings.override(check_tracer_leaks=True):
        yield
