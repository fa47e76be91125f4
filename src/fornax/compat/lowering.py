"""How primitives of libraries are compiled: parts of `jax.interpreters.mlir`."""

from fornax.compat.foreign import lower_fun, register_lowering

__all__ = ["lower_fun", "register_lowering"]
