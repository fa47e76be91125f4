"""The stages of compiling a function: JAX's `jax.stages`."""

from fornax.api.stages import Compiled, CompilerOptions, Lowered, Traced, Wrapped
from fornax.api.structs import ArgInfo

__all__ = ["ArgInfo", "Compiled", "CompilerOptions", "Lowered", "Traced", "Wrapped"]
