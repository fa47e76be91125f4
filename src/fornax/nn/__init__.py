"""Functions for neural networks: activations, softmax, one_hot, attention, initializers."""

# ruff: noqa: F403
from fornax.nn import activations, attention, initializers, normalization
from fornax.nn.activations import *
from fornax.nn.attention import *
from fornax.nn.normalization import *

__all__ = [*activations.__all__, *attention.__all__, *normalization.__all__, "initializers"]
