"""Checks of derivatives against differences: JAX's `jax.test_util`."""

from fornax.api.derivative_check import check_grads, check_jvp, check_vjp

__all__ = ["check_grads", "check_jvp", "check_vjp"]
