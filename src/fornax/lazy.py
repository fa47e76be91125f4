"""What loads at first use: names of packages (`attach`), attributes of types (`Late`), and
functions in tables (`Table`).

A package lists in a table which of its modules defines which public names; nothing is imported
before one of them is asked for. `tests/house` proves that tables and modules agree.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def attach(
    package: str,
    names: Mapping[str, Iterable[str]],
    modules: Iterable[str] = (),
    before: str | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """(`__getattr__`, `__dir__`, `__all__`) of a package whose names load at first use.

    names: which module (its name within the package) defines which names. modules: public modules
    of the package. before: full name of a module to import before any of these.
    """
    owners = {name: owner for owner, listed in names.items() for name in listed}
    public = frozenset(modules)
    everything = sorted({*owners, *public})
    namespace = sys.modules[package].__dict__

    def find(name: str) -> Any:
        owner = owners.get(name, name if name in public else None)
        if owner is None:
            located = import_module("fornax.source").located  # which loads the native core
            # name and obj: Python's traceback adds "Did you mean ...?" from them
            raise AttributeError(
                located(
                    f"module {package!r} has no attribute {name!r}",
                    attempt=f"dir({package}) for the names there are; docs/parity.md says which "
                    "of JAX's are left out",
                ),
                name=name,
                obj=sys.modules[package],
            )
        if before is not None:
            import_module(before)
        module = import_module(f"{package}.{owner}")
        value = module if name in public else getattr(module, name)
        namespace[name] = value
        return value

    return find, lambda: everything, everything


class Late:
    """An attribute of types that is found at first use and then takes its own place.

    types: where it is put, as `name`. module, attribute: where its function is. make: what the
    attribute is, given that function.
    """

    __slots__ = ("attribute", "make", "module", "name", "types")

    def __init__(
        self,
        types: Iterable[type],
        name: str,
        module: str,
        attribute: str,
        make: Callable[[Any], Any],
    ) -> None:
        self.types = tuple(types)
        self.name = name
        self.module = module
        self.attribute = attribute
        self.make = make
        for kind in self.types:
            setattr(kind, name, self)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        found = self.make(getattr(import_module(self.module), self.attribute))
        for kind in self.types:
            setattr(kind, self.name, found)
        return found.__get__(instance, owner)


class Table(Mapping):
    """A mapping to values that load at first use.

    names: module within `package` -> the keys it has values for; a value is called like its key
    unless the keys are given as a mapping to names.
    """

    def __init__(
        self, package: str, names: Mapping[str, Iterable[str] | Mapping[str, str]]
    ) -> None:
        self._places: dict[str, tuple[str, str]] = {}
        for module, keys in names.items():
            named = keys if isinstance(keys, Mapping) else {key: key for key in keys}
            for key, name in named.items():
                self._places[key] = (f"{package}.{module}", name)
        self._found: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        found = self._found.get(key)
        if found is None:
            module, name = self._places[key]
            found = self._found[key] = getattr(import_module(module), name)
        return found

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
