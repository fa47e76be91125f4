"""Functions that are rewritten step by step: JAX's `jax.extend.linear_util` and `jax.api_util`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fornax import pytree
from fornax.ir.types import typeof
from fornax.source import located

__all__ = [
    "StoreException", "WrappedFun", "debug_info", "flatten_fun", "flatten_fun_nokwargs", "safe_map",
    "shaped_abstractify", "transformation", "transformation2", "transformation_with_aux",
    "transformation_with_aux2", "wrap_init",
]  # fmt: skip


class StoreException(Exception):  # noqa: N818  (JAX's name)
    """A result that a transformation stores was read before the function ran."""


class _Store:
    """Where a transformation leaves what it found out when the function ran."""

    def __init__(self) -> None:
        self.value: Any = self

    def __call__(self) -> Any:
        if self.value is self:
            raise StoreException(
                located(
                    "Store empty: the function has not been called yet",
                    attempt="call the wrapped function first, then read the store",
                )
            )
        return self.value


class WrappedFun:
    """A function; `call_wrapped` calls it. Transformations make new ones of it."""

    def __init__(self, f: Callable[..., Any], params: dict[str, Any] | None, debug_info: Any):
        self.f = f
        self.params = dict(params or {})
        self.debug_info = debug_info

    @property
    def __name__(self) -> str:
        return getattr(self.f, "__name__", "<unnamed function>")

    def call_wrapped(self, *args: Any, **kwargs: Any) -> Any:
        return self.f(*args, **{**self.params, **kwargs})

    def changed(self, function: Callable[..., Any]) -> WrappedFun:
        """The same, calling `function`."""
        return WrappedFun(functools.update_wrapper(function, self.f, ()), None, self.debug_info)


def wrap_init(
    f: Callable[..., Any], params: dict[str, Any] | None = None, *, debug_info: Any = None
) -> WrappedFun:
    """A WrappedFun of a plain function; params: keyword arguments it gets always."""
    return WrappedFun(f, params, debug_info)


def transformation2(gen: Callable[..., Any]) -> Callable[..., WrappedFun]:
    """gen(f, *static, *args) -> results; the outcome makes WrappedFuns: (fun, *static)."""

    def transform(fun: WrappedFun, *static: Any) -> WrappedFun:
        return fun.changed(lambda *args, **kw: gen(fun.call_wrapped, *static, *args, **kw))

    return transform


class _Writer:
    """What a transformation stores its result with."""

    def __init__(self, target: _Store):
        self.target = target

    def store(self, value: Any) -> None:
        self.target.value = value


def transformation_with_aux2(gen: Callable[..., Any]) -> Callable[..., tuple[WrappedFun, _Store]]:
    """gen(f, store, *static, *args) -> results, which calls `store.store`: gives (fun, read it)."""

    def transform(fun: WrappedFun, *static: Any) -> tuple[WrappedFun, _Store]:
        store = _Store()
        writer = _Writer(store)
        return (
            fun.changed(lambda *args, **kw: gen(fun.call_wrapped, writer, *static, *args, **kw)),
            store,
        )

    return transform


def _generated(generator: Any, call: Callable[..., Any]) -> Any:
    """Run a generator that first yields (args, kwargs) for the function, then its results."""
    args, kwargs = next(generator)
    return generator.send(call(*args, **kwargs))


def transformation(gen: Callable[..., Any]) -> Callable[..., WrappedFun]:
    """gen(*static, *args): a generator of (args, kwargs) for the function, then of results."""

    def transform(fun: WrappedFun, *static: Any) -> WrappedFun:
        return fun.changed(lambda *args, **kw: _generated(gen(*static, *args, **kw),
                                                          fun.call_wrapped))  # fmt: skip

    return transform


def transformation_with_aux(gen: Callable[..., Any]) -> Callable[..., tuple[WrappedFun, _Store]]:
    """`transformation` whose generator yields (results, aux) in the end: gives (fun, read aux)."""

    def transform(fun: WrappedFun, *static: Any) -> tuple[WrappedFun, _Store]:
        store = _Store()

        def call(*args: Any, **kwargs: Any) -> Any:
            results, store.value = _generated(gen(*static, *args, **kwargs), fun.call_wrapped)
            return results

        return fun.changed(call), store

    return transform


def flatten_fun(f: WrappedFun, in_tree: pytree.PyTreeDef) -> tuple[WrappedFun, _Store]:
    """(function of leaves of a tree (args, kwargs), giving leaves; its output's structure)."""
    store = _Store()

    def flat(*leaves: Any) -> list[Any]:
        args, kwargs = pytree.tree_unflatten(in_tree, leaves)
        outputs, store.value = pytree.tree_flatten(f.call_wrapped(*args, **kwargs))
        return outputs

    return f.changed(flat), store


def flatten_fun_nokwargs(f: WrappedFun, in_tree: pytree.PyTreeDef) -> tuple[WrappedFun, _Store]:
    """`flatten_fun` for a tree of positional arguments."""
    store = _Store()

    def flat(*leaves: Any) -> list[Any]:
        args = pytree.tree_unflatten(in_tree, leaves)
        outputs, store.value = pytree.tree_flatten(f.call_wrapped(*args))
        return outputs

    return f.changed(flat), store


def debug_info(
    traced_for: str, fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any],
    **options: Any,
) -> str:  # fmt: skip
    """What a function is traced for, and its name, for messages."""
    return f"{traced_for} of {getattr(fun, '__name__', fun)}"


def shaped_abstractify(x: Any) -> Any:
    """The type of a value."""
    return typeof(x)


def safe_map(f: Callable[..., Any], *args: Iterable[Any]) -> list[Any]:
    """`map` over sequences, which must have equal lengths (ValueError), as a list."""
    return [f(*items) for items in zip(*map(list, args), strict=True)]
