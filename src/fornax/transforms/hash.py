"""What a program is, apart from the names of its variables.

`signature` is a value that is equal for equal programs: programs can be found in a dictionary by
it. `content_hash` is a name for a program that means the same in every process.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from fornax.errors import Signal
from fornax.ir.jaxpr import Jaxpr, Literal, Var
from fornax.ir.primitive import Primitive
from fornax.ir.types import ArrayType

__all__ = ["content_hash", "exact", "signature"]

#: a token for each kind of container, so that (1,) and [1] differ
_LIST, _DICT, _SET, _ARRAY, _PROGRAM = "list", "dict", "set", "array", "program"


#: types of most params, whose equal values are the same
_PLAIN = frozenset((int, str, type(None)))


class NoContent(Signal, TypeError):
    """Something in a program has no content that could be compared or named."""


def signature(jaxpr: Jaxpr) -> Hashable:
    """Equal for programs that compute the same way: the same equations on the same variables, and
    the same constants (small ones by value, others by identity). Names and sources do not count.

    Raises TypeError where a param can be neither compared by content nor hashed.
    """
    consts = tuple(_constant(value) for value in jaxpr.consts)
    return _structure(jaxpr), consts


def content_hash(jaxpr: Jaxpr) -> str:
    """A digest (32 hexadecimal digits) of a program and its constants, the same in every process.

    Raises TypeError if a param, such as the function of a callback, has no content.
    """
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, _structure(jaxpr))
    for value in jaxpr.consts:
        array = np.ascontiguousarray(value)
        _feed(digest, (_ARRAY, array.dtype.str, array.dtype.name, array.shape))
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


#: bytes up to which constants are compared by value
_SMALL = 4096


def _constant(value: Any) -> Hashable:
    type = getattr(value, "aval", None)
    if getattr(value, "nbytes", _SMALL + 1) > _SMALL:
        return id(value), type  # whoever keeps the signature keeps the program
    return _param(np.asarray(value)), type


def _structure(jaxpr: Jaxpr) -> Hashable:
    """The equations, variables being numbers in order of appearance."""
    found = jaxpr.memo.get("structure")
    if found is None:
        found = jaxpr.memo["structure"] = _numbered(jaxpr)
    return found


def _numbered(jaxpr: Jaxpr) -> Hashable:
    numbers: dict[Var, int] = {v: k for k, v in enumerate(jaxpr.inputs)}

    def atom(x: Var | Literal) -> Hashable:
        if isinstance(x, Var):
            return numbers[x]
        return x.type, np.asarray(x.value, x.type.dtype).tobytes()

    equations = []
    for equation in jaxpr.equations:
        inputs = tuple(map(atom, equation.inputs))
        for v in equation.outputs:
            numbers[v] = len(numbers)
        types = tuple(v.type for v in equation.outputs)
        equations.append((equation.primitive, _param(equation.params), inputs, types))
    types = tuple(v.type for v in jaxpr.inputs)
    return _PROGRAM, len(jaxpr.consts), types, tuple(equations), tuple(map(atom, jaxpr.outputs))


def exact(value: Any) -> Any:
    """A hashable param, with numbers that are equal but not the same told apart: zeros by their
    sign, and True, 1 and 1.0 by their types."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is tuple:
        return tuple([exact(part) for part in value])
    if isinstance(value, np.generic):
        return _ARRAY, value.dtype, (), value.tobytes()
    if isinstance(value, bool | float | complex):
        return type(value).__name__, repr(value)
    return value


def _param(value: Any) -> Hashable:
    """A param as something that compares by content, as far as it has one."""
    if isinstance(value, tuple):
        return tuple(map(_param, value))
    if isinstance(value, list):
        return (_LIST, *map(_param, value))
    if isinstance(value, Mapping):
        return (_DICT, *((key, _param(value[key])) for key in sorted(value)))
    if isinstance(value, set | frozenset):
        return _SET, frozenset(map(_param, value))
    if isinstance(value, Jaxpr):
        return signature(value)
    if isinstance(value, np.ndarray):
        return _ARRAY, value.dtype, value.shape, value.tobytes()
    if isinstance(value, Hashable):
        return exact(value)
    raise NoContent(f"a param of type {type(value).__name__} can not be compared: {value!r}")


def _feed(digest: Any, token: Any) -> None:
    """Add a token of a structure to a digest, so that different tokens give different bytes."""
    if isinstance(token, tuple):
        digest.update(b"(%d" % len(token))
        for part in token:
            _feed(digest, part)
    elif isinstance(token, frozenset):
        digest.update(b"{%d" % len(token))
        parts = []
        for part in token:
            one = hashlib.blake2b(digest_size=16)
            _feed(one, part)
            parts.append(one.digest())
        digest.update(b"".join(sorted(parts)))
    else:
        if isinstance(token, bytes):
            text = token
        elif isinstance(token, Primitive):
            text = token.name.encode()
        elif isinstance(token, str | int | None):
            text = repr(token).encode()
        elif isinstance(token, ArrayType | np.dtype):
            text = str(token).encode()
        elif isinstance(token, type):
            text = f"{token.__module__}.{token.__qualname__}".encode()
        elif _is_plain(token):
            text = repr(token).encode()
        else:
            raise NoContent(
                f"{token!r} has no content that means the same in another process\n"
                "  why:   the program calls it, or keeps it by identity"
            )
        kind = type(token).__name__.encode()
        digest.update(b"%s:%d:" % (kind, len(text)))
        digest.update(text)


def _is_plain(token: Any) -> bool:
    """Whether the text of an object says all about it: enumerations and records of such."""
    if isinstance(token, enum.Enum | complex | np.generic):
        return True
    fields = getattr(type(token), "_record_fields", None)
    if fields is not None:
        return all(
            isinstance(part, str | int | float | bool | None | tuple) or _is_plain(part)
            for part in (getattr(token, name) for name in fields)
        )
    return isinstance(token, tuple)
