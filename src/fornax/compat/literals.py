"""Constants with a type: part of `jax._src.literals`."""

__all__ = ["TypedNdArray"]


class TypedNdArray:
    """A NumPy array that has a JAX type. Constants here are arrays or numbers: none is one."""
