"""Special functions, element by element, and sums of exponentials."""

# ruff: noqa: F403
from fornax.nn.normalization import logsumexp
from fornax.scipy import special_entropy, special_error, special_gamma
from fornax.scipy.special_entropy import *
from fornax.scipy.special_error import *
from fornax.scipy.special_gamma import *

__all__ = [
    "logsumexp", *special_entropy.__all__, *special_error.__all__, *special_gamma.__all__,
]  # fmt: skip
