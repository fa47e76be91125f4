"""Rules for mapped operations by primitive: parts of `jax.interpreters.batching`."""

from fornax.compat.foreign import (
    axis_primitive_batchers,
    fancy_primitive_batchers,
    primitive_batchers,
)

__all__ = [
    "axis_primitive_batchers", "fancy_primitive_batchers", "not_mapped", "primitive_batchers",
]  # fmt: skip

#: the dimension of a value that is not mapped
not_mapped = None
