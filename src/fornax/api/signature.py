"""Arguments of transformed functions: which are static, which differentiate, what they are called.

Trees end here: transformations work on flat lists of leaves.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType
from typing import Any

from fornax import pytree
from fornax.ir.ref import Ref
from fornax.ir.trace import Tracer, current
from fornax.ir.types import ArrayType, is_value, typeof
from fornax.runtime.values import Array, to_array
from fornax.scalars.dtypes import float0
from fornax.source import located

__all__ = [
    "abstract",
    "as_arrays",
    "check_callable",
    "describe",
    "function_name",
    "insert",
    "leaf_names",
    "partial_arguments",
    "resolve_names",
    "strip_tracers",
]


def check_callable(fun: Any) -> None:
    """Raise TypeError unless `fun` can be transformed."""
    if not callable(fun):
        raise TypeError(
            located(
                f"Expected a callable value, got {fun}",
                "transformations take a function and give a function",
                "pass the function itself, not the result of calling it",
            )
        )
    if inspect.isgeneratorfunction(fun):
        raise TypeError(
            located(
                f"Expected a function, got a generator function: {fun}",
                attempt="return a list or an array instead of `yield`, or lax.scan",
            )
        )


def function_name(fun: Any) -> str:
    """The name that programs made from a function carry."""
    while True:
        name = getattr(fun, "__name__", None)
        if isinstance(name, str):
            return name
        inner = getattr(fun, "func", None)  # functools.partial
        if inner is None:
            return type(fun).__name__
        fun = inner


def describe(fun: Any) -> str:
    """`name at file:line` for error messages."""
    name = function_name(fun)
    target = inspect.unwrap(fun) if callable(fun) else fun
    target = getattr(target, "func", target)
    code = getattr(getattr(target, "__func__", target), "__code__", None)
    return f"{name} at {code.co_filename}:{code.co_firstlineno}" if code else name


def parameters(fun: Any) -> list[inspect.Parameter] | None:
    """The parameters of a function, or None where Python cannot tell."""
    try:
        return list(inspect.signature(fun).parameters.values())
    except (ValueError, TypeError):
        return None


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def as_indices(value: int | Iterable[int] | None, what: str) -> tuple[int, ...] | None:
    """Argument numbers as a tuple of ints; None stays None."""
    if value is None:
        return None
    items = value if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    try:
        return tuple(operator.index(i) for i in items)
    except TypeError:
        raise TypeError(
            located(
                f"{what} must be an int or a tuple of ints, got {value!r}", attempt="0, or (0, 1)"
            )
        ) from None


def as_names(value: str | Iterable[str] | None, what: str) -> tuple[str, ...] | None:
    """Argument names as a tuple of strings; None stays None."""
    if value is None:
        return None
    names = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(n, str) for n in names):
        raise TypeError(
            located(
                f"{what} must be a str or a collection of str, got {value!r}",
                attempt="'name', or ('name', 'other')",
            )
        )
    return names


def resolve_names(
    fun: Callable,
    kind: str,
    argnums: int | Sequence[int] | None,
    argnames: str | Iterable[str] | None,
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """`{kind}_argnums` and `{kind}_argnames` completed from one another by the signature.

    Negative numbers count from the last positional parameter. Raises ValueError for numbers and
    names that the function does not have, TypeError for values that are neither.
    """
    numbers = as_indices(argnums, f"{kind}_argnums")
    names = as_names(argnames, f"{kind}_argnames")
    known = parameters(fun) if numbers or names else None
    if known is None:
        return numbers or (), names or ()
    positional = [p.name for p in known if p.kind in _POSITIONAL]
    by_keyword = {p.name for p in known if p.kind is not inspect.Parameter.POSITIONAL_ONLY}
    variadic = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in known)
    open_names = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known)
    if numbers is not None and not variadic:
        wrong = [i for i in numbers if not -len(positional) <= i < len(positional)]
        if wrong:
            raise ValueError(
                located(
                    f"Jitted function has {kind}_argnums={numbers}, but only accepts "
                    f"{len(positional)} positional arguments.",
                    "arguments are counted from 0",
                    f"{kind}_argnames, which does not depend on the order",
                )
            )
        numbers = tuple(i % len(positional) for i in numbers)
    if names is not None and not open_names:
        invalid = {n for n in names if n not in by_keyword}
        if invalid:
            raise ValueError(
                located(
                    f"Jitted function has invalid argnames {invalid} in {kind}_argnames. Function "
                    "does not take these args.",
                    f"its parameters are {', '.join(by_keyword) or 'none'}",
                    "one of these names",
                )
            )
    if numbers is None:
        numbers = tuple(i for i, name in enumerate(positional) if name in (names or ()))
    elif names is None:
        names = tuple(
            positional[i] for i in numbers if i < len(positional) and positional[i] in by_keyword
        )
    return numbers, names or ()


def insert(dynamic: Sequence[Any], fixed: Sequence[tuple[int, Any]], count: int) -> list[Any]:
    """Positional arguments out of the dynamic ones and (position, value) of the fixed ones."""
    at = dict(fixed)
    rest = iter(dynamic)
    return [at[i] if i in at else next(rest) for i in range(count)]


def partial_arguments(
    fun: Callable, argnums: int | Sequence[int], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], list[Any]]:
    """(function of the arguments `argnums` alone, those arguments)."""
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    count = len(args)
    for i in numbers:
        if not -count <= i < count:
            needed = i + 1 if i >= 0 else -i
            kind = TypeError if i >= 0 else ValueError
            raise kind(
                located(
                    f"differentiating with respect to argnums={argnums} requires at least "
                    f"{needed} positional arguments to be passed by the caller, but got only "
                    f"{count} positional arguments.",
                    "argnums counts positional arguments, from 0",
                    "pass what is differentiated by position, not by keyword",
                )
            )
    positions = [i % count for i in numbers]

    def function(*chosen: Any) -> Any:
        at = dict(zip(positions, chosen, strict=True))
        return fun(*[at[i] if i in at else args[i] for i in range(count)], **kwargs)

    return function, [args[i] for i in positions]


def leaf_names(fun: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[str]:
    """What the leaves of (args, kwargs) are called in the function: `x`, `params['w'][0]`.

    Static arguments must be among `args` still, so that positions are right.
    """
    names: list[str] = []
    labels = positional_labels(fun, len(args))
    for label, value in zip(labels, args, strict=True):
        names += [label + pytree.keystr(p) for p, _ in pytree.tree_flatten_with_path(value)[0]]
    for key in sorted(kwargs):
        paths = pytree.tree_flatten_with_path(kwargs[key])[0]
        names += [key + pytree.keystr(path) for path, _ in paths]
    return names


def positional_labels(fun: Any, count: int) -> list[str]:
    """Names of the first `count` positional arguments."""
    if type(fun) is FunctionType and not fun.__dict__:  # nothing wrapped: its code says it, at once
        code, named = fun.__code__, fun.__code__.co_argcount
        positional = list(code.co_varnames[:named])
        variadic = code.co_flags & inspect.CO_VARARGS
        extra = code.co_varnames[named + code.co_kwonlyargcount] if variadic else "args"
    else:
        known = parameters(fun) or []
        positional = [p.name for p in known if p.kind in _POSITIONAL]
        rest = [p.name for p in known if p.kind is inspect.Parameter.VAR_POSITIONAL]
        extra = rest[0] if rest else "args"
    return [
        positional[i] if i < len(positional) else f"{extra}[{i - len(positional)}]"
        for i in range(count)
    ]


def abstract(x: Any) -> ArrayType:
    """The type of a value or of anything with shape and dtype. Raises TypeError otherwise."""
    if type(x) is ArrayType:
        return x
    if is_value(x):
        return typeof(x)
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return ArrayType(x.shape, x.dtype, bool(getattr(x, "weak_type", False)))
    return typeof(x)


def check_values(leaves: Sequence[Any], what: str) -> None:
    """Raise TypeError for leaves that programs cannot compute on, ValueError for references."""
    for leaf in leaves:
        if isinstance(leaf, Ref):
            raise ValueError(
                located(
                    f"{what} is a mutable array reference of type {leaf.aval}, but mutable array "
                    "references are not taken or returned here",
                    "a reference is no value: it has one, which changes",
                    "ref[...], its value, or freeze(ref); fornax.vjp(...)[1].with_refs and "
                    "fornax.jvp differentiate with respect to references",
                )
            )
        if not is_value(leaf):
            raise TypeError(
                located(
                    f"{what} {leaf!r:.80} of type {type(leaf)} is not a valid JAX type.",
                    why="only arrays and numbers can be transformed",
                    attempt="keep it in the function's closure, or leave it out",
                )
            )


def strip_tracers(leaves: Sequence[Any]) -> list[Any]:
    """Values without the wrapping of the current trace: what they are outside of it."""
    trace = current()
    return [trace.pair(x)[0] if isinstance(x, Tracer) else x for x in leaves]


def as_arrays(values: Iterable[Any]) -> list[Any]:
    """Results as Arrays where nothing is being traced; float0 values stay NumPy arrays."""
    values = list(values)
    if current() is not None:
        return values
    return [
        x if isinstance(x, Array | Tracer) or typeof(x).dtype == float0 else to_array(x)
        for x in values
    ]
