"""Compiled programs by what they compute: equal functions are compiled once.

A lambda written inside a loop is another function in every iteration, and so is the body of a
`scan` outside of jit; their programs are equal. The last used ones are kept while they are small.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

#: most programs that are kept, and most bytes of their working memory and constants
MOST = 256
MOST_BYTES = 64 << 20

_kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()


def find(key: Hashable) -> Any | None:
    """What was kept under a key."""
    found = _kept.get(key)
    if found is None:
        return None
    _kept.move_to_end(key)
    return found[0]


def keep(key: Hashable, program: Any, nbytes: int) -> None:
    """Keep a program that holds so many bytes; those used longest ago make room."""
    if nbytes > MOST_BYTES // 4:
        return
    _kept[key] = program, nbytes
    total = sum(size for _, size in _kept.values())
    while len(_kept) > MOST or total > MOST_BYTES:
        _, (_, size) = _kept.popitem(last=False)
        total -= size


def clear() -> None:
    """Keep nothing any more."""
    _kept.clear()
