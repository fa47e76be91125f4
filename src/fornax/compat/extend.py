"""The package `jax.extend`: only its modules that `places` lists exist."""
