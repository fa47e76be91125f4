"""Linear algebra: JAX's `jax.numpy.linalg`."""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "decompositions": (
            "cholesky", "eig", "eigh", "eigvals", "eigvalsh", "qr", "svd", "svdvals",
        ),
        "equations": (
            "det", "inv", "lstsq", "matrix_rank", "pinv", "slogdet", "solve",
            "tensorinv", "tensorsolve",
        ),
        "norms": (
            "cond", "cross", "diagonal", "matmul", "matrix_norm", "matrix_power",
            "matrix_transpose", "multi_dot", "norm", "outer", "tensordot", "trace", "vecdot",
            "vector_norm",
        ),
    },
    before="fornax.numpy.methods",
)  # fmt: skip
