"""Functions with vmap rules of their own: JAX's `jax.custom_batching`."""

from fornax.api.batching import custom_vmap, sequential_vmap

__all__ = ["custom_vmap", "sequential_vmap"]
