"""Writes library_names.json: which names of JAX two or more libraries use.

    python tests/surface/library_names.py SURFACE.json

SURFACE.json holds for each full name which libraries use it, how often in their code and in their
tests. What is kept are the names that JAX itself has, by module, with how many libraries use them.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

PLACE = Path(__file__).with_name("library_names.json")


def found(name: str) -> Any:
    """The object that a full name means. Raises AttributeError if there is none."""
    package, *parts = name.split(".")
    value, path = importlib.import_module(package), package
    for part in parts:
        path = f"{path}.{part}"
        try:
            value = getattr(value, part)
        except AttributeError:
            try:
                value = importlib.import_module(path)
            except ImportError:
                raise AttributeError(f"there is no {path}") from None
    return value


def absent(names: list[str]) -> list[str]:
    """The full names that mean nothing here."""
    missing = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            try:
                found(name)
            except AttributeError:
                missing.append(name)
    return missing


def record(surface: dict[str, dict[str, list[int]]]) -> None:
    used = {name: sum(map(any, users.values())) for name, users in surface.items()}
    names = [name for name, count in used.items() if count >= 2]
    without = set(absent(names))
    modules: dict[str, dict[str, int]] = {}
    for full in sorted(set(names) - without):
        module, _, name = full.rpartition(".")
        modules.setdefault(module, {})[name] = used[full]
    rows = [f"{json.dumps(module)}: {json.dumps(kept)}" for module, kept in modules.items()]
    PLACE.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    print(sum(map(len, modules.values())), "names,", PLACE.stat().st_size, "bytes")


if __name__ == "__main__":
    record(json.loads(Path(sys.argv[1]).read_text()))
