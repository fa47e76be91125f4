"""How elementwise functions are made public, and what their promotions share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fornax import _native
from fornax.api.eager import eager
from fornax.ir.types import typeof
from fornax.lazy import Table
from fornax.numpy.promotion import as_dtype, promote_dtypes
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["numbers", "ufunc"]

#: functions with the methods and properties of `numpy.ufunc`, as in JAX
UNIVERSAL = frozenset((
    "add", "bitwise_and", "bitwise_or", "bitwise_xor", "logaddexp", "logaddexp2", "logical_and",
    "logical_or", "logical_xor", "maximum", "minimum", "multiply", "negative", "subtract",
))  # fmt: skip
_methods = Table("fornax.numpy", {"universal": ("universal",)})


class _Attribute:
    """An attribute of universal functions, which is loaded at first use; others have none."""

    def __init__(self, name: str):
        self.name = name
        setattr(_native.EagerFunction, name, self)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        if "universal" not in instance.__dict__:
            raise AttributeError(
                located(f"function '{instance.__name__}' has no attribute '{self.name}'",
attempt="a binary function such as add, maximum or logical_or, or the "
"array's own methods"),
                name=self.name, obj=instance,
            )  # fmt: skip
        return getattr(_methods["universal"](instance), self.name)


for _name in (
    "nin", "nout", "nargs", "identity", "reduce", "accumulate", "at", "outer", "reduceat",
):  # fmt: skip
    _Attribute(_name)


def ufunc(function: Callable | None = None, *, static: str = "") -> Any:
    """A function of `fornax.numpy` with the dispatch of eager calls; see `api.eager`."""
    if function is None:
        return lambda function: ufunc(function, static=static)
    made = eager(function, static=static)
    made.__module__ = "fornax.numpy"
    if function.__name__ in UNIVERSAL:
        made.universal = True
    return made


def refuse(name: str, out: Any, where: Any) -> None:
    """Raise NotImplementedError for arguments that universal functions have and do not take."""
    for argument, value in (("out", out), ("where", where)):
        if value is not None:
            raise NotImplementedError(
                located(
                    f"{argument} argument of {name}",
                    attempt="the result of the call; arrays do not change",
                )
            )


def numbers(*args: Any) -> list[Any]:
    """Joint dtype; bool becomes int32 for operations that need numbers."""
    args = promote_dtypes(*args)
    if typeof(args[0]).dtype == dtypes.bool_:
        args = [as_dtype(x, dtypes.canonical(dtypes.int32)) for x in args]
    return args
