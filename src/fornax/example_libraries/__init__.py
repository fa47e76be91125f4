"""What JAX has under `jax.example_libraries`: small optimizers and layers."""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, {}, modules=("optimizers", "stax"), before="fornax.numpy.methods"
)
