"""A call taken apart: static arguments, leaves, the key that its program is remembered under."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from fornax import pytree, settings
from fornax.api.references import firsts, refuse_aliases
from fornax.api.signature import abstract, describe, leaf_names
from fornax.errors import message
from fornax.ir.ref import AbstractRef, Ref, described
from fornax.ir.trace import axis_environment
from fornax.ir.types import ArrayType, is_value
from fornax.record import record
from fornax.source import located

__all__ = ["Options", "prepare"]


@record(frozen=True)
class Options:
    """How a function is jitted. Numbers are positions, not negative."""

    fun: Callable[..., Any]
    name: str
    static_argnums: tuple[int, ...] = ()
    static_argnames: tuple[str, ...] = ()
    donate_argnums: tuple[int, ...] = ()
    donate_argnames: tuple[str, ...] = ()
    keep_unused: bool = False
    inline: bool = False
    #: most threads that may work at once; 0: as the settings say
    threads: int = 0
    #: whether static arguments that cannot be hashed are refused; else nothing is remembered
    refuse_unhashable: bool = True
    #: what the function is traced for, in messages
    purpose: str = "jit"
    #: whether one reference may be there twice, and be closed over too where it is only read
    shared_refs: bool = False
    #: makes the function that is traced out of `fun`, which the program is remembered under
    adapt: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None


@record(frozen=True)
class Key:
    """What a traced program depends on besides the function."""

    statics: tuple[tuple[int | str, type, Hashable], ...]
    structure: pytree.PyTreeDef
    types: tuple[ArrayType, ...]
    settings: settings.Settings
    axes: tuple[tuple[Any, int], ...]
    donated: tuple[bool, ...]
    keep_unused: bool
    purpose: str
    #: positions and kinds of the leaves that are references, and where the same was first
    refs: tuple[tuple[int, str | None, int], ...] = ()
    threads: int = 0


class Unhashable:
    """A static argument that cannot be looked up: equal to itself only."""

    def __init__(self, value: Any):
        self.value = value


def static_values(
    options: Options, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[tuple[int | str, type, Hashable], ...]:
    """(place, type, value) of the static arguments.

    Raises ValueError if one is not hashable, unless the options say otherwise.
    """
    found = [(i, args[i]) for i in options.static_argnums if i < len(args)]
    found += [(name, kwargs[name]) for name in options.static_argnames if name in kwargs]
    for k, (place, value) in enumerate(found):
        try:
            hash(value)
        except TypeError as error:
            if not options.refuse_unhashable:
                found[k] = place, Unhashable(value)
                continue
            where = f"argument {place}" if isinstance(place, int) else f"argument {place!r}"
            raise ValueError(
                message(
                    "Non-hashable static arguments are not supported. An error occurred while "
                    f"trying to hash an object of type {type(value)}, {value!r:.80}. The error "
                    f"was:\nTypeError: {error}",
                    where=f"{where} of {describe(options.fun)}",
                    why="static arguments are looked up in a cache, by hash and equality",
                    attempt="pass a tuple instead of a list, or do not mark it static",
                )
            ) from error
    return tuple((place, type(value), value) for place, value in found)


def donated_leaves(
    options: Options, places: Sequence[int], dynamic: Sequence[Any], keywords: dict[str, Any]
) -> tuple[bool, ...]:
    """Which leaves of (dynamic, keywords) are donated; places[i] is where dynamic[i] was."""
    if not options.donate_argnums and not options.donate_argnames:
        return ()
    flags: list[bool] = []
    for place, value in zip(places, dynamic, strict=True):
        count = len(pytree.tree_leaves(value))
        flags += [place in options.donate_argnums] * count
    for name in sorted(keywords):
        flags += [name in options.donate_argnames] * len(pytree.tree_leaves(keywords[name]))
    return tuple(flags)


@record
class Prepared:
    """A call taken apart: `trace` gives its program, `leaves` its dynamic arguments."""

    options: Options
    leaves: list[Any]
    key: Key
    places: list[int]
    args: Sequence[Any]
    kwargs: dict[str, Any]

    @property
    def can_be_found(self) -> bool:
        """Whether a program for this call can be looked up by its key."""
        return all(kind is not Unhashable for _, kind, _ in self.key.statics)

    def call(self, leaves: Sequence[Any]) -> Any:
        """The function's result for other dynamic leaves."""
        dynamic, keywords = pytree.tree_unflatten(self.key.structure, leaves)
        args: list[Any] = list(self.args)
        for place, value in zip(self.places, dynamic, strict=True):
            args[place] = value
        for place, _, value in self.key.statics:
            if isinstance(place, str):
                keywords[place] = value.value if isinstance(value, Unhashable) else value
        adapt = self.options.adapt
        fun = self.options.fun if adapt is None else adapt(self.options.fun)
        return fun(*args, **keywords)


def prepare(options: Options, args: Sequence[Any], kwargs: dict[str, Any]) -> Prepared:
    """Take a call apart. Raises TypeError for an argument that is not an array or a number."""
    statics = static_values(options, args, kwargs)
    places = [i for i in range(len(args)) if i not in options.static_argnums]
    dynamic = tuple(args[i] for i in places)
    keywords = {k: v for k, v in kwargs.items() if k not in options.static_argnames}
    leaves, structure = pytree.tree_flatten((dynamic, keywords))
    if AbstractRef in map(type, leaves):
        leaves = [described(x) if isinstance(x, AbstractRef) else x for x in leaves]
    try:
        found = tuple(map(abstract, leaves))
    except TypeError:
        raise refused_argument(options, leaves, places, args, keywords) from None
    key = Key(
        statics,
        structure,
        found,
        settings.current(),
        axis_environment(),
        donated_leaves(options, places, dynamic, keywords),
        options.keep_unused,
        options.purpose,
        found_refs(leaves),
        options.threads,
    )
    if key.refs and not options.shared_refs:
        refuse_aliases(
            options.fun, options.purpose, leaves,
            lambda: names_of(options, places, args, keywords),
        )  # fmt: skip
    return Prepared(options, leaves, key, places, args, kwargs)


def found_refs(leaves: Sequence[Any]) -> tuple[tuple[int, str | None, int], ...]:
    """(position, kind, position of the same before) of the leaves that are references."""
    places = [i for i, x in enumerate(leaves) if isinstance(x, Ref)]
    first = firsts([leaves[i] for i in places])
    return tuple((i, leaves[i].kind, places[k]) for i, k in zip(places, first, strict=True))


def names_of(
    options: Options, places: Sequence[int], args: Sequence[Any], keywords: dict[str, Any]
) -> tuple[str, ...]:
    """The names of the dynamic leaves, in order."""
    shown = [args[i] if i in places else () for i in range(len(args))]
    return tuple(leaf_names(options.fun, shown, keywords))


def refused_argument(options, leaves, places, args, keywords) -> TypeError:
    """The error for a call with a leaf that programs cannot take."""
    names = names_of(options, places, args, keywords)
    for name, leaf in zip(names, leaves, strict=True):
        if not is_value(leaf) and not hasattr(leaf, "shape"):
            return TypeError(
                located(
                    f"Error interpreting argument to {describe(options.fun)} as an abstract "
                    f"array. The problematic value is of type {type(leaf)} and was passed to the "
                    f"function at path {name}.",
                    "This typically means that a jit-wrapped function was called with a non-array "
                    "argument, and this argument was not marked as static using the "
                    "static_argnums or static_argnames parameters of fornax.jit.",
                    f"static_argnames={name.partition('[')[0].partition('.')[0]!r}, or keep the "
                    "value in the function's closure",
                )
            )
    return TypeError(
        located(
            f"an argument of {describe(options.fun)} has no valid type",
            "programs compute on arrays and numbers",
            "arrays only; keep other values in the function's closure",
        )
    )
