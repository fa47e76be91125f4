"""Importing this module makes `import jax` answer with Fornax, installed jax or not.

    import fornax.as_jax
    import jax, jax.numpy as jnp       # these are Fornax's modules

Raises ImportError when another jax has been imported before.
"""

from fornax.compat.alias import install

__all__ = ["install"]

install()
