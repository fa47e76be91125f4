"""The package `jax.interpreters`: only its modules that `places` lists exist."""
