"""Special functions, element by element, and sums of exponentials."""

# ruff: noqa: F403
from fornax.nn.normalization import logsumexp
from fornax.scipy import (
    special_entropy,
    special_error,
    special_gamma,
    special_integrals,
    special_sequences,
    special_tails,
)
from fornax.scipy.special_entropy import *
from fornax.scipy.special_error import *
from fornax.scipy.special_gamma import *
from fornax.scipy.special_integrals import *
from fornax.scipy.special_sequences import *
from fornax.scipy.special_tails import *

__all__ = [
    "logsumexp", *special_entropy.__all__, *special_error.__all__, *special_gamma.__all__,
    *special_integrals.__all__, *special_sequences.__all__, *special_tails.__all__,
]  # fmt: skip
