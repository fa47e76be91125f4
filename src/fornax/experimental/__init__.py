"""What JAX has under `jax.experimental`."""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {"callback": ("io_callback",)},
    modules=("checkify", "layout", "sparse"),
    before="fornax.numpy.methods",
)
