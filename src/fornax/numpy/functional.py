"""Functions of functions: mapped over arrays, along dimensions, over pieces."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

from fornax.api.vmap import vmap
from fornax.ir.static import static_integers
from fornax.ir.types import typeof
from fornax.numpy import ufuncs
from fornax.numpy.axes import canonical_axis
from fornax.numpy.creation import asarray, full
from fornax.numpy.matrices import indices
from fornax.numpy.promotion import as_dtype, broadcast_shapes, check, concrete_form
from fornax.numpy.selection import where
from fornax.numpy.shaping import expand_dims, reshape
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["apply_along_axis", "apply_over_axes", "fromfunction", "piecewise", "vectorize"]

_NAMES = r"\((?:\w+(?:,\w+)*)?\)"
_SIGNATURE = re.compile(rf"^({_NAMES}(?:,{_NAMES})*)->({_NAMES}(?:,{_NAMES})*)$")


def _dimensions(text: str) -> list[tuple[str, ...]]:
    return [tuple(n for n in part[1:-1].split(",") if n) for part in re.findall(_NAMES, text)]


def _parsed(signature: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    found = _SIGNATURE.match(signature.replace(" ", ""))
    if not found:
        raise ValueError(
            located(
                f"not a valid gufunc signature: {signature!r}, as in '(n,m),(m)->(n)'",
                attempt="'(n,m),(m)->(n)': one pair of parentheses for each argument and result",
            )
        )
    return _dimensions(found[1]), _dimensions(found[2])


def vectorize(pyfunc, *, excluded=frozenset(), signature=None):
    """A function of arrays that maps `pyfunc` over their dimensions by `vmap`, broadcasting.

    signature: the core dimensions that pyfunc takes and gives, as '(n,m),(m)->(n)'; scalars by
    default. excluded: positions and names of arguments that are passed on as they are.
    Raises ValueError where the arguments do not fit the signature.
    """
    excluded = frozenset(excluded)
    if any(not isinstance(e, str | int) for e in excluded):
        raise TypeError(
            located(
                f"vectorize: excluded must hold positions and names, got {set(excluded)}",
                attempt="excluded={0, 'axis'}",
            )
        )
    if any(isinstance(e, int) and e < 0 for e in excluded):
        raise ValueError(
            located(
                f"vectorize: excluded positions must not be negative, got {set(excluded)}",
                attempt="count positions from 0",
            )
        )
    parsed = None if signature is None else _parsed(signature)

    @functools.wraps(pyfunc)
    def vectorized(*args, **kwargs):
        moved = {k: v for k, v in kwargs.items() if k not in excluded}
        kept = {k: v for k, v in kwargs.items() if k in excluded}
        mapped = [k for k in range(len(args)) if k not in excluded and args[k] is not None]
        names = list(moved)
        values = [asarray(args[k]) for k in mapped] + [asarray(moved[k]) for k in names]

        def core(*parts):
            full_args = list(args)
            for k, part in zip(mapped, parts, strict=False):
                full_args[k] = part
            by_name = dict(zip(names, parts[len(mapped) :], strict=True))
            return pyfunc(*full_args, **by_name, **kept)

        if parsed is None:
            inputs, outputs = [()] * len(values), None
        else:
            inputs, outputs = parsed
            if len(inputs) != len(values):
                raise TypeError(
                    located(
                        f"wrong number of positional arguments: {len(values)} instead of "
                        f"{len(inputs)}",
                        attempt=f"{len(inputs)} arguments, or a signature with one group for each",
                    )
                )
        return _mapped(core, values, inputs, outputs)

    return vectorized


def _mapped(core: Callable, values: list[Any], inputs: list, outputs: Any) -> Any:
    sizes: dict[str, int] = {}
    leads = []
    for value, names in zip(values, inputs, strict=True):
        shape = typeof(value).shape
        if len(shape) < len(names):
            raise ValueError(
                located(
                    f"input with shape {shape} does not have enough dimensions for all core "
                    f"dimensions {names}",
                    attempt="x[None] for a missing dimension, or fewer core dimensions in the "
                    "signature",
                )
            )
        split = len(shape) - len(names)
        leads.append(shape[:split])
        for name, n in zip(names, shape[split:], strict=True):
            expected = int(name) if name.isdigit() else sizes.setdefault(name, n)
            if expected != n:
                raise ValueError(
                    located(
                        f"inconsistent size for core dimension {name!r}: {n} vs {expected}",
                        attempt=f"arguments that agree along {name!r}, or another name for one "
                        "of the dimensions",
                    )
                )
    lead = broadcast_shapes(*leads)

    def checked(*parts):
        return _check_outputs(core(*parts), outputs, sizes)

    function = checked
    arrays = list(values)
    rank = len(lead)
    # one vmap per dimension, from the last to the first; dimensions of 1 are dropped and not mapped
    for d in reversed(range(rank)):
        axes = []
        for own in leads:
            place = d - (rank - len(own))
            axes.append(0 if place >= 0 and (own[place] != 1 or lead[d] == 1) else None)
        function = vmap(function, in_axes=tuple(axes)) if any(a == 0 for a in axes) else function
    for position, own in enumerate(leads):
        extra = rank - len(own)
        single = [k for k, n in enumerate(own) if n == 1 and lead[k + extra] != 1]
        if single:
            shape = typeof(arrays[position]).shape
            arrays[position] = reshape(
                arrays[position], [n for k, n in enumerate(shape) if k not in single]
            )
    return function(*arrays)


def _check_outputs(result: Any, outputs: Any, sizes: dict[str, int]) -> Any:
    if outputs is None:
        return result
    several = isinstance(result, tuple)
    parts = list(result) if several else [result]
    if len(outputs) == 1 and several:
        raise TypeError(
            located(
                f"output must be an array when the signature has one output, got {result!r}",
                attempt="return one array, or name the other outputs in the signature, as in "
                "'(n)->(),()'",
            )
        )
    if len(outputs) > 1 and (not several or len(parts) != len(outputs)):
        raise TypeError(
            located(
                f"wrong number of output arguments: expected {len(outputs)}, got {len(parts)}",
                attempt=f"return a tuple of {len(outputs)} arrays",
            )
        )
    sizes = dict(sizes)
    for part, names in zip(parts, outputs, strict=True):
        shape = typeof(part).shape
        if len(shape) != len(names):
            raise ValueError(
                located(
                    f"output shape {shape} does not match the core dimensions {names} of the "
                    "signature",
                    attempt=f"a result with the dimensions {names}, or another signature",
                )
            )
        for name, n in zip(names, shape, strict=True):
            if sizes.setdefault(name, n) != n:
                raise ValueError(
                    located(
                        f"output shape {shape}: core dimension {name!r} is {sizes[name]} elsewhere",
                        attempt="another name for that dimension in the signature",
                    )
                )
    return result


def apply_along_axis(func1d, axis, arr, *args, **kwargs):
    """`func1d(row, *args, **kwargs)` for every row of `arr` along `axis`.

    The dimensions of what it gives take the place of the axis.
    """
    check("apply_along_axis", arr)
    arr = asarray(concrete_form(arr))
    axis = canonical_axis(axis, typeof(arr).ndim)

    def function(row):
        return func1d(row, *args, **kwargs)

    for _ in range(typeof(arr).ndim - 1 - axis):
        function = vmap(function, in_axes=1, out_axes=-1)
    for _ in range(axis):
        function = vmap(function)
    return function(arr)


def apply_over_axes(func, a, axes):
    """`func(a, axis)` for one axis after the other; results may lack that dimension."""
    a = asarray(a)
    for axis in axes:
        b = func(a, canonical_axis(axis, typeof(a).ndim))
        if typeof(b).ndim == typeof(a).ndim - 1:
            b = expand_dims(b, axis)
        if typeof(b).ndim != typeof(a).ndim:
            raise ValueError(
                located(
                    "function is not returning an array of the correct shape",
                    attempt="keepdims=True in the function's reductions",
                )
            )
        a = b
    return a


def fromfunction(function, shape, *, dtype=float, **kwargs):
    """`function` of the coordinates of every element of an array of this shape, by `vmap`."""
    shape = static_integers(shape, "shape")
    grids = indices(shape, dtype=dtype) if shape else []

    def bound(*places):
        return function(*places, **kwargs)

    mapped = bound
    for _ in shape:
        mapped = vmap(mapped)
    return mapped(*(grids[k] for k in range(len(shape))))


def piecewise(x, condlist, funclist, *args, **kw):
    """Where the k-th condition is true, the k-th function of x (or constant); else the last.

    condlist: conditions of the shape of x. funclist: as many functions or numbers, and one more
    for elements where no condition holds (0 by default).
    """
    check("piecewise", x)
    x = asarray(concrete_form(x))
    if isinstance(condlist, Sequence) and not condlist:
        raise ValueError(
            located(
                "condlist must not be empty",
                attempt="at least one condition; numpy.where takes a single one",
            )
        )
    if not isinstance(condlist, Sequence):
        conditions = asarray(condlist)
        condlist = [conditions] if typeof(conditions).shape == typeof(x).shape else list(conditions)
    elif isinstance(condlist[0], bool | int):
        condlist = [asarray(list(condlist))]
    n, m = len(condlist), len(funclist)
    if m == n + 1:
        *choices, default = funclist
    elif m == n:
        choices, default = list(funclist), 0
    else:
        raise ValueError(
            located(
                f"with {n} condition(s), either {n} or {n + 1} functions are expected; got {m}",
                attempt="one function for each condition, and one more as the default",
            )
        )
    dtype = typeof(x).dtype

    def value(choice):
        result = choice(x, *args, **kw) if callable(choice) else full((), choice)
        return as_dtype(asarray(result), dtype)

    result = value(default)
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        mask = asarray(condition)
        if typeof(mask).dtype != dtypes.bool_:
            mask = ufuncs.not_equal(mask, 0)
        result = where(mask, value(choice), result)
    return result if typeof(result).shape == typeof(x).shape else where(True, result, x)
