"""Minimization: JAX's `jax.scipy.optimize`."""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, {"minimization": ("OptimizeResults", "minimize")}, before="fornax.numpy.methods"
)
