"""Waiting for effects: part of `jax._src.dispatch`."""

from fornax.api.callback import effects_barrier as wait_for_tokens

__all__ = ["wait_for_tokens"]
