"""Classes of named fields, as `dataclasses` makes them, without its cost at import.

`dataclasses.dataclass` writes and compiles five or six methods per class, which for all of Fornax
took longer than importing the rest of it. Here `__init__` is compiled when the first instance is
made, and the other methods are functions that all classes share. `dataclasses.replace`, `fields`
and `is_dataclass` work on records.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

from fornax.source import located

__all__ = ["field", "record", "replace"]

T = TypeVar("T")
_MISSING: Any = object()


class _Field:
    """What is known about a field besides its name. `kind` is its annotation."""

    __slots__ = ("default", "default_factory", "kind", "kw_only", "repr")

    def __init__(self, default: Any, default_factory: Any, repr: bool, kw_only: bool) -> None:
        self.default = default
        self.default_factory = default_factory
        self.repr = repr
        self.kw_only = kw_only
        self.kind: Any = Any


def field(
    *,
    default: Any = _MISSING,
    default_factory: Callable[[], Any] = _MISSING,
    repr: bool = True,
    kw_only: bool = False,
) -> Any:
    """A field with a default made for each instance, left out of `repr`, or only by keyword."""
    return _Field(default, default_factory, repr, kw_only)


@dataclass_transform(field_specifiers=(field,))
def record(
    cls: Any = None, /, *, frozen: bool = False, eq: bool = True, slots: bool = False
) -> Any:
    """Class decorator: the annotated names are the fields, those of base records come first.

    frozen: instances refuse assignment, and hash by their fields if eq. eq: equal if all fields
    are; otherwise by identity. slots: instances have no `__dict__`.
    """
    if cls is None:
        return lambda cls: record(cls, frozen=frozen, eq=eq, slots=slots)
    fields: dict[str, _Field] = {}
    for base in reversed(cls.__mro__[1:]):
        fields |= base.__dict__.get("_record_fields", {})
    for name, kind in cls.__dict__.get("__annotations__", {}).items():
        default = cls.__dict__.get(name, _MISSING)
        known = default if isinstance(default, _Field) else _Field(default, _MISSING, True, False)
        known.kind = kind
        fields[name] = known
        if known.default is not _MISSING and not slots:
            setattr(cls, name, known.default)
        elif default is not _MISSING:
            delattr(cls, name)
    if slots:
        own = tuple(cls.__dict__.get("__annotations__", {}))
        namespace = {k: v for k, v in cls.__dict__.items() if k not in ("__dict__", "__weakref__")}
        namespace |= {"__slots__": own, "__qualname__": cls.__qualname__}
        cls = type(cls)(cls.__name__, cls.__bases__, namespace)
    cls._record_fields = fields
    cls._record_values = attrgetter(*fields) if fields else _nothing
    cls.__dataclass_fields__ = _DATACLASS_FIELDS
    cls.__match_args__ = tuple(name for name, f in fields.items() if not f.kw_only)
    cls.__signature__ = _SIGNATURE
    methods: dict[str, Any] = {"__init__": _late_init(cls, frozen), "__repr__": _repr}
    explicit_hash = cls.__dict__.get("__hash__", None)
    if eq:
        methods["__eq__"] = _equal
        methods["__hash__"] = explicit_hash or (_hash if frozen else None)
    for name, method in methods.items():
        if name not in cls.__dict__ or name == "__hash__":
            setattr(cls, name, method)
    if frozen:
        cls.__setattr__ = _refuse_assignment
        cls.__delattr__ = _refuse_deletion
    return cls


def replace(instance: T, **changes: Any) -> T:
    """A record like `instance` with some fields changed."""
    kind: Any = type(instance)
    return kind(**{**{name: getattr(instance, name) for name in kind._record_fields}, **changes})


# --- the methods of all records -----------------------------------------------------------------
def _nothing(_: Any) -> tuple:
    return ()


def _repr(self: Any) -> str:
    fields = type(self)._record_fields.items()
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name, f in fields if f.repr)
    return f"{type(self).__qualname__}({shown})"


def _equal(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    values = type(self)._record_values
    return values(self) == values(other)


def _hash(self: Any) -> int:
    return hash(type(self)._record_values(self))


def _refuse_assignment(self: Any, name: str, value: Any) -> None:
    raise AttributeError(
        located(
            f"cannot assign to field {name!r} of a {type(self).__name__}",
            attempt="make another one with the field changed: fornax.record.replace(x, "
            f"{name}=...)",
        )
    )


def _refuse_deletion(self: Any, name: str) -> None:
    raise AttributeError(
        located(
            f"cannot delete field {name!r} of a {type(self).__name__}",
            attempt="make another one without it; records keep all their fields",
        )
    )


def _late_init(cls: Any, frozen: bool) -> Callable[..., None]:
    """An `__init__` that puts the compiled one in its place."""

    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
        cls.__init__ = _compile_init(cls, frozen)
        cls.__init__(self, *args, **kwargs)

    return __init__


def _compile_init(cls: Any, frozen: bool) -> Callable[..., None]:
    names: dict[str, Any] = {"_missing": _MISSING, "_set": object.__setattr__}
    parameters: list[str] = []
    only_keyword: list[str] = []
    body = []
    for name, known in cls._record_fields.items():
        parameter, value = name, name
        if known.default is not _MISSING:
            names[f"_default_{name}"] = known.default
            parameter = f"{name}=_default_{name}"
        elif known.default_factory is not _MISSING:
            names[f"_make_{name}"] = known.default_factory
            parameter = f"{name}=_missing"
            value = f"_make_{name}() if {name} is _missing else {name}"
        (only_keyword if known.kw_only else parameters).append(parameter)
        body.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    listed = ", ".join(["self", *parameters, *(["*", *only_keyword] if only_keyword else [])])
    lines = "\n ".join(body or ["pass"])
    exec(f"def __init__({listed}):\n {lines}", names)
    init = names["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    return init


class _Signature:
    """The signature of a record's class, made when somebody asks for it."""

    def __get__(self, instance: Any, cls: Any) -> inspect.Signature:
        if instance is not None:  # of an instance that can be called this says nothing
            raise AttributeError(
                located("only classes of records have a signature", attempt="that of type(x)")
            )
        own = cls.__init__
        if own.__qualname__.startswith("_late_init."):
            own = _compile_init(cls, False)
        _, *parameters = inspect.signature(own).parameters.values()
        return inspect.Signature(parameters)


class _DataclassFields:
    """Makes `__dataclass_fields__` of a record when somebody asks for it."""

    def __get__(self, instance: Any, cls: Any) -> Any:
        described = []
        for name, known in cls._record_fields.items():
            given = {"default": known.default, "default_factory": known.default_factory}
            present = {k: v for k, v in given.items() if v is not _MISSING}
            made = dataclasses.field(repr=known.repr, kw_only=known.kw_only, **present)
            described.append((name, known.kind, made))
        cls.__dataclass_fields__ = dataclasses.make_dataclass(
            cls.__name__, described
        ).__dataclass_fields__
        return cls.__dataclass_fields__


_DATACLASS_FIELDS = _DataclassFields()
_SIGNATURE = _Signature()
