"""Type promotion: the join in a lattice of dtypes and weak (Python scalar) types.

The lattice is JAX's (JEP 9407): integers never widen to a wider float because of their size,
Python scalars adopt the dtype of the array they meet. `join` is memoised.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from fornax import settings
from fornax.errors import TypePromotionError, message
from fornax.scalars import dtypes as d
from fornax.scalars.dtypes import Dtype
from fornax.source import located

#: node (a dtype, or the name of a weak type) -> the nodes directly above it.
EDGES: dict[Any, tuple[Any, ...]] = {
    d.bool_: ("int",),
    "int": (d.uint8, d.int8, *d.ALONE["int"]),
    d.uint8: (d.int16, d.uint16),
    d.int8: (d.int16,),
    d.uint16: (d.int32, d.uint32),
    d.int16: (d.int32,),
    d.uint32: (d.int64, d.uint64),
    d.int32: (d.int64,),
    d.uint64: ("float",),
    d.int64: ("float",),
    "float": (d.bfloat16, d.float16, *d.ALONE["float"], "complex"),
    **dict.fromkeys((*d.ALONE["int"], *d.ALONE["float"]), ()),
    d.bfloat16: (d.float32,),
    d.float16: (d.float32,),
    d.float32: (d.float64, d.complex64),
    "complex": (d.complex64,),
    d.float64: (d.complex128,),
    d.complex64: (d.complex128,),
    d.complex128: (),
}
#: which Python numbers a dtype has: those of its kind and of the kinds before
_KINDS = {"int": 1, "float": 2, "complex": 3}
_WEAK_DTYPE = {"int": d.int64, "float": d.float64, "complex": d.complex128}


def _closure() -> dict[Any, frozenset[Any]]:
    above: dict[Any, frozenset[Any]] = {}

    def reach(node: Any) -> frozenset[Any]:
        if node not in above:
            above[node] = frozenset((node,)).union(*(reach(up) for up in EDGES[node]))
        return above[node]

    for node in EDGES:
        reach(node)
    return above


ABOVE = _closure()


def node(dtype: Dtype, weak: bool) -> Any:
    """The lattice node of a dtype."""
    if not weak or dtype == d.bool_:
        found = d.computable(dtype)
        if found is None:
            raise TypePromotionError(
                message(
                    f"dtype={dtype!r} is not a valid dtype for JAX type promotion",
                    why="only numbers and booleans are promoted",
                    attempt="a dtype of numbers, such as 'float32'",
                )
            )
        return found
    if d.is_integer(dtype):
        return "int"
    return "complex" if d.is_complex(dtype) else "float"


@functools.cache
def _join(nodes: frozenset[Any]) -> Any:
    common = frozenset.intersection(*(ABOVE[n] for n in nodes))
    least = [n for n in common if common == ABOVE[n] & common and common <= ABOVE[n]]
    if len(least) != 1:
        names = sorted(n if isinstance(n, str) else n.name for n in nodes)
        raise TypePromotionError(
            located(
                f"dtypes {names} have no implicit promotion: none of them can hold the others "
                "without losing what makes it useful.",
                attempt="convert explicitly, for example x.astype('float32')",
            )
        )
    return least[0]


def _check_strict(pairs: list[tuple[Dtype, bool]]) -> None:
    """Raise TypePromotionError unless all have one dtype that Python numbers may take as well."""
    strong = {t for t, weak in pairs if not weak}
    held = {_KINDS.get(node(t, True), 0) for t in strong}
    asked = [_KINDS.get(node(t, True), 0) for t, weak in pairs if weak]
    if len(strong) > 1 or any(kind > most for kind in asked for most in held):
        weak_names = (f"a Python {node(t, True)}" for t, weak in pairs if weak)
        names = dict.fromkeys((*sorted(t.name for t in strong), *weak_names))
        raise TypePromotionError(
            message(
                f"Input dtypes {tuple(names)} have no available implicit dtype promotion path "
                "when jax_numpy_dtype_promotion=strict.",
                why="in this mode only Python numbers take another dtype, and only one that has "
                "such numbers",
                attempt="convert explicitly with .astype, or jax_numpy_dtype_promotion='standard'",
            )
        )


def join(operands: Iterable[tuple[Dtype, bool]]) -> tuple[Dtype, bool]:
    """The promoted (dtype, weak) of several (dtype, weak) pairs; not canonicalised.

    A join of weak types only is weak. Raises TypePromotionError where none exists.
    """
    pairs = list(operands)
    if not pairs:
        raise ValueError(
            located(
                "at least one array or dtype is required to promote",
                attempt="numpy.result_type(x, ...) with at least one argument",
            )
        )
    first = pairs[0]
    if all(p == first for p in pairs) and d.computable(first[0]) is not None:
        return first[0], first[1] and first[0] != d.bool_
    for dtype, _ in pairs:
        if dtype == d.float0:
            raise no_float0("an operation", [t for t, _ in pairs])
        if isinstance(dtype, d.ExtendedDtype):
            raise TypePromotionError(
                message(
                    f"dtype {d.short_name(dtype)} takes no part in promotion: all operands must "
                    f"have it, got {[d.short_name(t) for t, _ in pairs]}",
                    why="it is no number",
                    attempt="random.key_data(key) for the words of a key",
                )
            )
    if settings.current().numpy_dtype_promotion == "strict":
        _check_strict(pairs)
    result = _join(frozenset(node(t, weak) for t, weak in pairs))
    if isinstance(result, str):
        weak_dtypes = [t for t, weak in pairs if node(t, weak) == result]
        return max(weak_dtypes, key=lambda t: t.itemsize, default=_WEAK_DTYPE[result]), True
    return result, all(weak for _, weak in pairs) and result != d.bool_


def no_float0(name: str, found: Iterable[Dtype]) -> TypeError:
    """The error of an operation on numbers that was given the tangent of an integer."""
    return TypeError(
        located(
            f"Called {name} with a float0 array, got dtypes {[d.short_name(t) for t in found]}. "
            "float0s do not support any operations by design",
            "float0 is the dtype of tangents of integers, which are zero and no numbers; it comes "
            "from a gradient with respect to an integer argument",
            "numpy.zeros(x.shape) in its place, or argnums without the integer argument",
        )
    )


def check_numbers(name: str, found: Iterable[Dtype]) -> None:
    """Raise TypeError for random keys and float0 among the dtypes of what is computed with."""
    for dtype in found:
        if dtype == d.float0:
            raise no_float0(name, (dtype,))
        if isinstance(dtype, d.ExtendedDtype):
            raise TypeError(
                located(
                    f"{name} does not accept dtype {dtype.name}",
                    "keys are moved, chosen and compared, but no numbers",
                    "random.key_data(key) for the words of a key",
                )
            )


def promote(operands: Iterable[tuple[Dtype, bool]]) -> tuple[Dtype, bool]:
    """`join`, canonicalised to the current x64 setting."""
    dtype, weak = join(operands)
    return d.canonical(dtype), weak


def python_scalar(value: Any) -> tuple[Dtype, bool] | None:
    """(dtype, weak) of a Python scalar, None for anything else."""
    kind = type(value)
    if kind is bool:
        return d.bool_, False
    if kind is int:
        return d.canonical(d.int64), True
    if kind is float:
        return d.canonical(d.float64), True
    if kind is complex:
        return d.canonical(d.complex128), True
    if isinstance(value, np.generic):
        return d.canonical(value.dtype), False
    return None


def inexact(dtype: Dtype) -> Dtype:
    """The floating dtype that functions such as sin compute an integer or bool in."""
    if d.is_inexact(dtype):
        return dtype
    return d.canonical(d.float64 if dtype.itemsize == 8 else d.float32)
