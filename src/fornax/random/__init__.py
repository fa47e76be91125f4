"""Random numbers from explicit keys: `key`, `split`, and a function for each distribution."""

from fornax.random.keys import *  # noqa: F403
