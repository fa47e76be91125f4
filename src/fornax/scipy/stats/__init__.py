"""Probability distributions: JAX's `jax.scipy.stats`."""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, {}, modules=("norm",), before="fornax.numpy.methods"
)
