"""What needs no more of a matrix than its products with vectors."""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, {}, modules=("linalg",), before="fornax.numpy.methods"
)
