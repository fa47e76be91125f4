"""Random numbers from explicit keys: `key`, `split`, and a function for each distribution.

A function gives the same numbers for the same key, shape and dtype, and those that JAX gives.
"""

# ruff: noqa: F403
from fornax.random import continuous as _continuous
from fornax.random import counts as _counts
from fornax.random import discrete as _discrete
from fornax.random import gamma as _gamma
from fornax.random import keys as _keys
from fornax.random import normal as _normal
from fornax.random import uniform as _uniform
from fornax.random.continuous import *
from fornax.random.counts import *
from fornax.random.discrete import *
from fornax.random.gamma import *
from fornax.random.keys import *
from fornax.random.normal import *
from fornax.random.uniform import *

_PARTS = (_continuous, _counts, _discrete, _gamma, _keys, _normal, _uniform)
__all__ = sorted(name for part in _PARTS for name in part.__all__)
