"""How the elements of arrays follow one another in memory: JAX's `jax.experimental.layout`."""

from __future__ import annotations

from typing import Any

from fornax.record import record

__all__ = ["Format", "Layout"]


@record(frozen=True)
class Layout:
    """The order of dimensions in memory, slowest first. Arrays here are always in row order.

    major_to_minor: the dimensions. tiling, sub_byte_element_size_in_bits: accepted, not used.
    """

    major_to_minor: tuple[int, ...]
    tiling: Any = None
    sub_byte_element_size_in_bits: int = 0


@record(frozen=True)
class Format:
    """A Layout (None: any) together with a sharding."""

    layout: Layout | None = None
    sharding: Any = None
