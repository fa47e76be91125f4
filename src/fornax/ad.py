"""What `vjp(...)[1].with_refs` takes and gives in the place of cotangents: JAX's `jax.ad`."""

from fornax.api.reverse import DidntWant, DontWant, GradRef, GradValue

__all__ = ["DidntWant", "DontWant", "GradRef", "GradValue"]
