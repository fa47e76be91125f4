"""Functions of SciPy on Fornax arrays; sub-packages load when they are used."""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {},
    modules=("fft", "linalg", "optimize", "sparse", "special", "stats"),
    before="fornax.numpy.methods",
)
