"""The stages of compiling a function: JAX's `jax.stages`."""

from fornax.api.stages import Compiled, Lowered, Traced

__all__ = ["Compiled", "Lowered", "Traced"]
