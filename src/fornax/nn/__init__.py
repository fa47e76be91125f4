"""Functions for neural networks: activations, softmax, one_hot, attention, initializers."""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "activations": (
            "celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
            "identity", "leaky_relu", "log1mexp", "log_sigmoid", "mish", "relu", "relu6", "selu",
            "sigmoid", "silu", "soft_sign", "softplus", "sparse_plus", "sparse_sigmoid",
            "squareplus", "swish", "tanh",
        ),
        "attention": ("dot_product_attention",),
        "normalization": (
            "log_softmax", "logmeanexp", "logsumexp", "one_hot", "softmax", "standardize",
        ),
    },
    modules=("initializers",),
    before="fornax.numpy.methods",
)  # fmt: skip
