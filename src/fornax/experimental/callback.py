"""Calls of Python functions with side effects."""

from fornax.api.callback import io_callback

__all__ = ["io_callback"]
