"""The references that functions close over, found without calling them.

Users' rules run when their function is transformed, which may be long after the program that holds
it was made. A program has places for references only if they are known when it is made. One that is
not found here turns up when a rule uses it, and the program is made again: see `ir.late`.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fornax._native import Array
from fornax.ir.ref import Backward, Ref
from fornax.ir.trace import Tracer
from fornax.source import is_inside

__all__ = ["closed_over_refs"]

#: how many values are looked at, for functions that reach whole programs; later ones turn up late
_LIMIT = 5000
#: the flag of classes that a class statement made
_MADE_BY_PYTHON = 1 << 9
#: what holds no reference
_PLAIN = (
    bool, int, float, complex, str, bytes, types.ModuleType, types.BuiltinFunctionType,
    Tracer, Array, np.ndarray, np.generic, np.dtype,
)  # fmt: skip


def closed_over_refs(functions: Iterable[Any]) -> list[Ref]:
    """The references that these functions, or what they call, can reach and use here.

    They are looked for in closures, defaults, global names, attributes of modules, bound objects,
    classes and their methods, and containers, not in what Fornax and NumPy define.
    """
    if not Ref.made:
        return []
    found: dict[Ref, None] = {}
    seen: set[int] = set()
    waiting = list(functions)
    while waiting and len(seen) < _LIMIT:
        value = waiting.pop()
        if value is None or isinstance(value, _PLAIN) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Ref):
            if value.known and not isinstance(value, Backward):
                found[value] = None
            continue
        waiting.extend(_parts(value))
    return list(found)


def _parts(value: Any) -> Iterator[Any]:
    """What a value holds or, if it is a function, can use."""
    if isinstance(value, types.FunctionType):
        if is_inside(value.__code__):
            # wrappers of libraries lead to the functions of users by their closures
            yield from _cells(value)
            return
        yield from _cells(value)
        yield from value.__defaults__ or ()
        yield from (value.__kwdefaults__ or {}).values()
        known, names = value.__globals__, _names(value.__code__)
        for each in (known[name] for name in names if name in known):
            if isinstance(each, types.ModuleType):  # its attributes are among the names as well
                yield from (vars(each)[name] for name in names if name in vars(each))
            else:
                yield each
    elif isinstance(value, types.MethodType):
        yield value.__func__
        yield value.__self__
    elif isinstance(value, functools.partial):
        yield value.func
        yield from value.args
        yield from value.keywords.values()
    elif isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif isinstance(value, type):
        if _defined_by_users(value):
            yield from vars(value).values()
            yield from value.__bases__
    elif isinstance(value, property):
        yield from (value.fget, value.fset, value.fdel)
    elif isinstance(value, staticmethod | classmethod):
        yield value.__func__
    else:
        yield type(value)
        yield from getattr(value, "__dict__", {}).values()
        for kind in type(value).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if isinstance(kind.__dict__.get(name), types.MemberDescriptorType):
                    yield getattr(value, name, None)


def _defined_by_users(kind: type) -> bool:
    """Whether a class is neither Python's nor of Fornax or NumPy."""
    return bool(kind.__flags__ & _MADE_BY_PYTHON) and (
        kind.__module__.partition(".")[0] not in ("builtins", "fornax", "numpy")
    )


def _cells(function: types.FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it has no value yet
            continue


@functools.lru_cache(maxsize=4096)
def _names(code: types.CodeType) -> tuple[str, ...]:
    """The global names of a function and of the functions in it."""
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names += _names(constant)
    return tuple(dict.fromkeys(names))
