"""Random numbers from explicit keys: `key`, `split`, and a function for each distribution.

A function gives the same numbers for the same key, shape and dtype, and those that JAX gives.
"""

# ruff: noqa: F403
from fornax.random.continuous import *
from fornax.random.counts import *
from fornax.random.discrete import *
from fornax.random.gamma import *
from fornax.random.keys import *
from fornax.random.normal import *
from fornax.random.uniform import *
