"""The package `jax._src`: only its modules that `places` lists exist."""
