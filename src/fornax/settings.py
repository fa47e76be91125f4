"""All settings: one frozen, interned object, so that comparing settings is comparing pointers.

`current()` is what holds now on this thread. `update` changes the process-wide default;
`override` is a context manager for the thread. Environment variables `FORNAX_X` (or JAX's
`JAX_X`) give the initial values.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fornax import _native


@dataclass(frozen=True)
class Settings:
    """Field names are JAX's where JAX has the setting. Made only by `intern`."""

    enable_x64: bool = False
    disable_jit: bool = False
    #: report values of a transformation that are still referred to when it has ended
    check_tracer_leaks: bool = False
    log_compiles: bool = False
    numpy_dtype_promotion: str = "standard"
    numpy_rank_promotion: str = "allow"
    default_matmul_precision: str | None = None
    default_prng_impl: str = "threefry2x32"
    threefry_partitionable: bool = True
    #: instruction set to generate code for: native, avx512, avx2, sse2
    target: str = "native"
    #: threads a kernel may use; 0 means as many as the process may run on
    threads: int = 0
    #: folder that every compiler stage is written to, "" for none
    dump: str = ""

    @property
    def x64(self) -> bool:
        return self.enable_x64


_CHOICES = {
    "numpy_dtype_promotion": ("standard", "strict"),
    "numpy_rank_promotion": ("allow", "warn", "raise"),
    "target": ("native", "avx512", "avx2", "sse2"),
}
_interned: dict[Settings, Settings] = {}


def intern(values: Settings) -> Settings:
    """The one object with these values. Raises ValueError for a value that is not allowed."""
    for name, choices in _CHOICES.items():
        if getattr(values, name) not in choices:
            raise ValueError(
                f"setting {name}={getattr(values, name)!r} is not one of {', '.join(choices)}"
            )
    return _interned.setdefault(values, values)


def field_name(name: str) -> str:
    """The field for a setting's name, with or without JAX's prefix."""
    plain = name.removeprefix("jax_")
    if plain not in Settings.__dataclass_fields__:
        known = ", ".join(Settings.__dataclass_fields__)
        raise AttributeError(f"there is no setting {name!r}; there are: {known}")
    return plain


def _parse(field: dataclasses.Field[Any], text: str) -> Any:
    if field.type == "bool":
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off", ""):
            return False
        raise ValueError(f"environment: {field.name} must be true or false, got {text!r}")
    return int(text) if field.type == "int" else text


def _from_environment() -> Settings:
    values = {}
    for field in dataclasses.fields(Settings):
        for prefix in ("FORNAX_", "JAX_"):
            text = os.environ.get(prefix + field.name.upper())
            if text is not None:
                values[field.name] = _parse(field, text)
                break
    return intern(Settings(**values))


default = _from_environment()
_native.set_default_settings(default)
current = _native.current_settings


def update(name: str, value: Any) -> None:
    """Change a setting for the process (JAX's `config.update`)."""
    global default
    default = intern(dataclasses.replace(default, **{field_name(name): value}))
    _native.set_default_settings(default)


@contextlib.contextmanager
def override(**values: Any) -> Iterator[Settings]:
    """Settings for the body of a `with`, on this thread."""
    new = intern(dataclasses.replace(current(), **{field_name(k): v for k, v in values.items()}))
    before = _native.swap_settings(new)
    try:
        yield new
    finally:
        _native.swap_settings(before)
