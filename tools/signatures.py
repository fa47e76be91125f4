"""Signatures as data, and how two of them differ: names, order, kinds and values of defaults."""

from __future__ import annotations

import enum
import inspect
import re
from typing import Any

import numpy

#: [name, kind, default as text or None where there is none]
Parameters = list[list[Any]]

#: how classes are called whose one object stands for an argument that was not given
_STAND_INS = re.compile(r"not.?given|not.?specified|no.?default|unspecified|infer|deprecated", re.I)
_POSITIONAL = ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")
_WORDS = {
    "POSITIONAL_ONLY": "positional-only",
    "POSITIONAL_OR_KEYWORD": "a name, too",
    "KEYWORD_ONLY": "keyword-only",
    "VAR_POSITIONAL": "any number of arguments",
    "VAR_KEYWORD": "any keywords",
}


def parameters(value: Any) -> Parameters | None:
    """The parameters of a function or class; None if Python does not know them."""
    try:
        found = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return None
    return [
        [p.name, p.kind.name, None if p.default is inspect.Parameter.empty else text(p.default)]
        for p in found
    ]


def text(value: Any) -> str:
    """A default in words that do not depend on the package: of sentinels, the part they play."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if value is None or isinstance(value, bool | str | complex):
        return repr(value)
    if isinstance(value, int | float | numpy.number):
        return repr(value.item() if isinstance(value, numpy.number) else value)
    if isinstance(value, tuple | list):
        return f"{type(value).__name__}({', '.join(map(text, value))})"
    if isinstance(value, frozenset | set):
        return f"{type(value).__name__}({', '.join(sorted(map(text, value)))})"
    if isinstance(value, numpy.dtype) or (
        isinstance(value, type) and issubclass(value, numpy.generic)
    ):
        return f"dtype {numpy.dtype(value).name}"
    if type(value) is object or _STAND_INS.search(type(value).__name__):
        return "not given"
    if hasattr(value, "__name__"):
        return f"{'class' if isinstance(value, type) else 'function'} {value.__name__}"
    return f"{type(value).__name__}"


def differences(theirs: Parameters, ours: Parameters) -> list[str]:
    """What a call written for their signature could notice of ours, one text for each thing."""
    left, right = _named(theirs), _named(ours)
    pairs = []
    for their, mine in zip(_positional(theirs), _positional(ours), strict=False):
        if their[1] == "POSITIONAL_ONLY" and their[0] not in right and mine[0] not in left:
            pairs.append((left.pop(their[0]), right.pop(mine[0])))  # its name cannot be said
    found = []
    for name, mine in right.items():
        if name not in left:
            found.append(f"{'needs' if _is_needed(mine) else 'adds'} `{_shown(mine)}`")
    for name, their in left.items():
        if name not in right:
            found.append(f"lacks `{_shown(their)}`")
        else:
            pairs.append((their, right[name]))
    for (name, kind, default), (_, our_kind, our_default) in pairs:
        if kind != our_kind:
            found.append(f"`{name}` is {_WORDS[our_kind]}, in JAX {_WORDS[kind]}")
        if default != our_default:
            found.append(f"`{name}` is {_default(our_default)}, in JAX {_default(default)}")
    names = [[p[0] for p in _positional(side)] for side in (theirs, ours)]
    both = set(names[0]) & set(names[1]) & set(left) & set(right)
    orders = [[n for n in side if n in both] for side in names]
    if orders[0] != orders[1]:
        found.append(f"order `{', '.join(orders[1])}`, in JAX `{', '.join(orders[0])}`")
    return found


def _named(found: Parameters) -> dict[str, list[Any]]:
    return {p[0]: p for p in found}


def _positional(found: Parameters) -> Parameters:
    return [p for p in found if p[1] in _POSITIONAL]


def _is_needed(parameter: list[Any]) -> bool:
    return parameter[2] is None and not parameter[1].startswith("VAR")


def _shown(parameter: list[Any]) -> str:
    stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
    return stars.get(parameter[1], "") + parameter[0]


def _default(found: str | None) -> str:
    return "needed" if found is None else f"`{found}` by default"
