"""Looking at functions and values: programs, shapes, types; moving values in and out."""

from __future__ import annotations

import contextlib
import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fornax import pytree, settings
from fornax.api.calls import Options, prepare
from fornax.api.signature import as_indices, check_callable, function_name
from fornax.api.structs import ShapeDtypeStruct
from fornax.api.tracing import trace_call
from fornax.ir.basis import zeros
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.ref import AbstractRef, Ref
from fornax.ir.trace import Tracer, axis_environment, axis_scope
from fornax.ir.types import ArrayType
from fornax.ir.types import typeof as type_of_value
from fornax.runtime import transfers
from fornax.runtime.placement import check_place, is_place
from fornax.runtime.values import Array, to_array
from fornax.scalars.dtypes import canonical
from fornax.source import located
from fornax.transforms.fold import folding

__all__ = [
    "block_until_ready",
    "device_get",
    "device_put",
    "disable_jit",
    "ensure_compile_time_eval",
    "eval_shape",
    "make_jaxpr",
    "named_call",
    "named_scope",
    "typeof",
]


def make_jaxpr(
    fun: Callable[..., Any],
    static_argnums: int | Sequence[int] = (),
    axis_env: Sequence[tuple[Any, int]] | None = None,
    return_shape: bool = False,
) -> Callable[..., Any]:
    """A function that gives the program `fun` performs on its arguments.

    The arguments may be ShapeDtypeStructs. axis_env: (name, size) of named axes to have in scope.
    return_shape: give (program, tree of ShapeDtypeStruct of the output). The program takes the
    values of references and gives the new ones last; `core.eval_jaxpr` takes the references.
    """
    check_callable(fun)
    numbers = as_indices(static_argnums, "static_argnums") or ()

    @functools.wraps(fun)
    def make_jaxpr_f(*args: Any, **kwargs: Any) -> Jaxpr | tuple[Jaxpr, Any]:
        statics = tuple(i % len(args) for i in numbers)
        options = Options(fun, function_name(fun), statics)
        with axis_scope((*axis_environment(), *map(tuple, axis_env or ()))):
            traced = trace_call(prepare(options, args, kwargs), OrderedDict())
        return (traced.jaxpr, traced.out_info) if return_shape else traced.jaxpr

    return make_jaxpr_f


def typeof(x: Any) -> ArrayType | AbstractRef:
    """The type of a value: shape, dtype, weak type.

    A ShapeDtypeStruct is taken for the value it describes. Raises TypeError for what is neither.
    """
    if isinstance(x, ShapeDtypeStruct):
        return ArrayType(x.shape, canonical(x.dtype), x.weak_type)
    return x.aval if isinstance(x, Ref) else type_of_value(x)


def eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The output of `fun` as a tree of ShapeDtypeStruct; nothing is computed.

    The arguments need no more than `shape` and `dtype`; ShapeDtypeStructs in the output stay.
    """
    check_callable(fun)
    options = Options(fun, function_name(fun), adapt=_with_values)
    return trace_call(prepare(options, args, kwargs), OrderedDict()).out_info


def _with_values(fun: Callable[..., Any]) -> Callable[..., Any]:
    """`fun` with some array of its shape and dtype for each ShapeDtypeStruct in its output."""

    def value(leaf: Any) -> Any:
        if not isinstance(leaf, ShapeDtypeStruct):
            return leaf
        return zeros(ArrayType(leaf.shape, canonical(leaf.dtype), leaf.weak_type))

    @functools.wraps(fun)
    def with_values(*args: Any, **kwargs: Any) -> Any:
        return pytree.tree_map(value, fun(*args, **kwargs))

    return with_values


def block_until_ready(x: Any) -> Any:
    """Wait for the arrays in a tree; returns the tree."""
    for leaf in pytree.tree_leaves(x):
        if isinstance(leaf, Array):
            leaf.block_until_ready()
    return x


def device_put(
    x: Any,
    device: Any = None,
    *,
    src: Any = None,
    donate: Any = False,
    may_alias: bool | None = None,
) -> Any:
    """A tree of values as a tree of Arrays. On one device the other arguments have no effect.

    The guards "disallow_explicit" and "log_explicit" of `transfer_guard` look at it.

    Raises TypeError for leaves that are not arrays or numbers, ValueError for a device that is
    neither a device nor a sharding nor a tree of them.
    """
    del src, donate, may_alias
    for place in pytree.tree_leaves(device, is_leaf=is_place):
        check_place("device_put", place)
    leaves, structure = pytree.tree_flatten(x)
    for leaf in leaves:
        type_of_value(leaf)
    if settings.guarding:
        transfers.check_explicit(leaves)
    return pytree.tree_unflatten(
        structure, [leaf if isinstance(leaf, Tracer) else to_array(leaf) for leaf in leaves]
    )


def device_get(x: Any) -> Any:
    """A tree of Arrays as a tree of NumPy arrays; numbers and other leaves stay themselves."""
    return pytree.tree_map(lambda a: np.asarray(a) if isinstance(a, Array) else a, x)


def ensure_compile_time_eval() -> contextlib.AbstractContextManager[None]:
    """Inside the `with`, operations on known values run although something is being traced.

    Their results are arrays, which Python can look into. Operations on traced values are traced.
    """
    return folding()


@contextlib.contextmanager
def disable_jit(disable: bool = True) -> Iterator[None]:
    """Inside a `with`, jitted functions and loops run as ordinary Python on concrete values."""
    with settings.override(disable_jit=disable):
        yield


def named_call(fun: Callable[..., Any], *, name: str | None = None) -> Callable[..., Any]:
    """`fun` inside a `named_scope` of its name, or of `name`. It is not traced by itself."""
    scope = function_name(fun) if name is None else name

    @functools.wraps(fun)
    def named(*args: Any, **kwargs: Any) -> Any:
        with named_scope(scope):
            return fun(*args, **kwargs)

    return named


def named_scope(name: str) -> contextlib.AbstractContextManager[None]:
    """A name for the operations in the body of a `with`. Raises TypeError if it is no string."""
    if not isinstance(name, str):
        raise TypeError(
            located(
                f"named_scope name argument must be a string, got {name!r:.80}",
                attempt="named_scope('layer')",
            )
        )
    return _scope()


@contextlib.contextmanager
def _scope() -> Iterator[None]:
    yield
