"""Every error that Fornax raises on purpose, with JAX's names and base classes.

A message says *what* happened (operation, operand types), *where* (the user's line), *why* it
cannot work, and what to *try*. `message` puts the four together.
"""

from __future__ import annotations

__all__ = [
    "ConcretizationTypeError",
    "FornaxError",
    "InconclusiveDimensionOperation",
    "JAXIndexError",
    "JAXTypeError",
    "JaxRuntimeError",
    "JaxprCheckError",
    "JaxprTypeError",
    "KeyReuseError",
    "NonConcreteBooleanIndexError",
    "TracerArrayConversionError",
    "TracerBoolConversionError",
    "TracerIntegerConversionError",
    "TypePromotionError",
    "UnexpectedTracerError",
]


def message(what: str, where: str = "", why: str = "", attempt: str = "") -> str:
    """One text out of the four parts; empty parts are left out."""
    lines = [what]
    if where:
        lines.append(f"  where: {where}")
    if why:
        lines.append(f"  why:   {why}")
    if attempt:
        lines.append(f"  try:   {attempt}")
    return "\n".join(lines)


class FornaxError(Exception):
    """Base of the errors that are Fornax's own rather than Python's."""


class JAXTypeError(FornaxError, TypeError):
    """Base of the errors about values that a transformation does not know or must not meet."""


class JAXIndexError(FornaxError, IndexError):
    """Base of the errors about indices."""


class ConcretizationTypeError(JAXTypeError):
    """A concrete value was needed where only a traced one exists."""


class TracerArrayConversionError(JAXTypeError):
    """A traced array was handed to NumPy."""


class TracerIntegerConversionError(JAXTypeError):
    """A traced value was used where Python needs an integer."""


class TracerBoolConversionError(ConcretizationTypeError):
    """A traced value was used as a condition of Python control flow."""


class NonConcreteBooleanIndexError(JAXIndexError):
    """A traced boolean mask was used as an index; its result would have no static shape."""


class UnexpectedTracerError(JAXTypeError):
    """A traced value was used after the function that made it had ended (a leak)."""


class InconclusiveDimensionOperation(FornaxError):  # noqa: N818  (JAX's name)
    """A question about symbolic dimensions has different answers for different sizes."""


class TypePromotionError(FornaxError, ValueError):
    """Two dtypes have no implicit promotion."""


class JaxprCheckError(FornaxError, TypeError):
    """A program breaks a rule of the intermediate representation: a bug in a pass."""


#: JAX's name for it
JaxprTypeError = JaxprCheckError


class KeyReuseError(JAXTypeError):
    """A random key was used twice."""


class JaxRuntimeError(FornaxError, RuntimeError):
    """Execution of a compiled program failed."""
