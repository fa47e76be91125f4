"""Functions for neural networks: activations, the softmax family, initialisers."""

from fornax.nn import initializers
from fornax.nn.activations import *
from fornax.nn.activations import __all__ as _activations
from fornax.nn.normalize import *
from fornax.nn.normalize import __all__ as _normalize

__all__ = [*_activations, *_normalize, "initializers"]
