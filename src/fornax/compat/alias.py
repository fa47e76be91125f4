"""`import jax` and `import jaxlib` answered with Fornax's modules.

A finder in front of `sys.meta_path` answers every module name below `jax` and `jaxlib`. What it
gives are views: module objects that read their attributes from a Fornax module, so that names keep
their JAX spelling in `sys.modules` while every object behind them is Fornax's own.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from fornax import _native
from fornax.compat import places, version
from fornax.errors import message
from fornax.source import located

__all__ = ["install"]

#: the names this finder answers, and what they are views of
ROOTS = {"jax": "fornax", "jaxlib": "fornax.compat.jaxlib"}
ROADMAP = "docs/roadmap.md lists what is planned"


def _explain(name: str) -> str:
    return message(
        f"Fornax has no {name}",
        why="this program asked for jax, which Fornax answers (fornax.as_jax), and JAX's name "
        "does not exist here yet",
        attempt=ROADMAP,
    )


class View(ModuleType):
    """A module under its JAX name that reads through to the Fornax module behind it."""

    def __init__(self, name: str, target: ModuleType):
        super().__init__(name, target.__doc__)
        self.__dict__["__path__"] = []
        self.__dict__["__file__"] = getattr(target, "__file__", None)
        self.__dict__["_target"] = target
        self.__dict__.update(places.EXTRA.get(name, {}))

    def __getattr__(self, name: str) -> Any:
        target = self.__dict__["_target"]
        try:
            value = getattr(target, name)
        except AttributeError as error:
            path = f"{self.__name__}.{name}"
            # private modules exist as attributes without having been imported
            if path in places.MODULES:
                return importlib.import_module(path)
            raise AttributeError(_explain(path), name=name, obj=self) from error
        if isinstance(value, ModuleType) and value.__name__.split(".")[0] == "fornax":
            return importlib.import_module(f"{self.__name__}.{name}")
        if not name.startswith("__"):
            self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        return sorted({*dir(self.__dict__["_target"]), *places.EXTRA.get(self.__name__, ())})

    def __repr__(self) -> str:
        return f"<module {self.__name__!r}: {self.__dict__['_target'].__name__}>"


def target_name(name: str) -> str:
    """The Fornax module that is behind a JAX module name."""
    place = places.MODULES.get(name)
    if place is not None:
        return place
    root, _, rest = name.partition(".")
    return f"{ROOTS[root]}.{rest}" if rest else ROOTS[root]


def _find_target(name: str) -> str | None:
    target = target_name(name)
    try:
        found = importlib.util.find_spec(target)
    except ModuleNotFoundError:
        found = None
    return None if found is None else target


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers imports of jax and jaxlib, and questions for their installed versions."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in ROOTS:
            return None
        if _find_target(fullname) is None:
            # Under another name than the one asked for, so that `from jax.x import y` reports it.
            raise ModuleNotFoundError(_explain(fullname), name=target_name(fullname))
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return View(spec.name, importlib.import_module(target_name(spec.name)))

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do: the view is complete."""

    @staticmethod
    def find_distributions(
        context: importlib.metadata.DistributionFinder.Context | None = None,
    ) -> Iterable[importlib.metadata.Distribution]:
        name = getattr(context, "name", None)
        return [_Distribution(name)] if name in ROOTS else []


class _Distribution(importlib.metadata.Distribution):
    """The metadata by which libraries check the version of jax."""

    def __init__(self, name: str):
        self._name = name

    def read_text(self, filename: str) -> str | None:
        if filename in ("METADATA", "PKG-INFO"):
            return f"Metadata-Version: 2.1\nName: {self._name}\nVersion: {version.__version__}\n"
        return None

    def locate_file(self, path: Any) -> Any:
        raise FileNotFoundError(
            located(
                f"{self._name} is answered by Fornax, it has no files: {path}",
                attempt="importlib.resources on the package that owns the file",
            )
        )


_finder = Finder()


def install() -> None:
    """Answer `import jax` and `import jaxlib` from now on. Calling it again changes nothing.

    Raises ImportError when another jax or jaxlib has been imported already: two systems would then
    answer to one name, and their arrays do not mix.
    """
    if _finder in sys.meta_path:
        return
    for root in ROOTS:
        present = sys.modules.get(root)
        if present is not None:
            raise ImportError(
                message(
                    f"fornax.as_jax: {root} has been imported already",
                    where=str(getattr(present, "__file__", None)),
                    why="modules that hold the other jax would keep using it",
                    attempt="import fornax.as_jax before anything that imports jax, or start the "
                    "program with `fornax run`",
                ),
                name=root,
            )
    sys.meta_path.insert(0, _finder)
    # libraries recognise jitted functions by the name of their type
    kind: Any = _native.JitFunction
    kind.__name__ = kind.__qualname__ = "PjitFunction"
