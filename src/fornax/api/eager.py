"""Functions on arrays as users call them: run as written, compiled as a whole once that pays.

Outside of transformations the native dispatch adds up what each kind of call costs: types of the
arguments, values of the static ones, settings. Once that is more than compiling costs, such calls
become one program, found by one look-up. Inside of a transformation the function just runs.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

from fornax import _native
from fornax.lazy import Table
from fornax.runtime.eager import PROMOTE_AFTER
from fornax.runtime.transfers import takes_arrays

__all__ = ["clear", "eager"]

_compile = Table("fornax.api", {"promote": ("entry_for",)})
_functions: weakref.WeakSet[Any] = weakref.WeakSet()


def _promote(function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    return _compile["entry_for"](function, args, kwargs)


def eager(function: Callable | None = None, *, static: str = "") -> Any:
    """`function` with the dispatch of eager calls.

    static: names of the parameters that are not arrays, separated by blanks. The function must
    not depend on the values of the others, Python numbers included.
    """
    if function is None:
        return functools.partial(eager, static=static)
    names = tuple(static.split())
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    numbers = tuple(positional.index(name) for name in names if name in positional)
    made = _native.EagerFunction(function, _promote, PROMOTE_AFTER, numbers, names)
    functools.update_wrapper(made, function)
    made.static_argnums, made.static_argnames = numbers, names
    _functions.add(made)
    takes_arrays(static)(function)
    return made


def clear() -> None:
    """Forget what calls have cost and what was compiled for them."""
    for function in _functions:
        function.clear_cache()
