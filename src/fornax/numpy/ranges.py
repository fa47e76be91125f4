"""Numbers in steps: by a distance, by their count, in a geometric progression.

There is one device: `device` and `out_sharding` are checked and change nothing.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from fornax import _native
from fornax.ir.basis import broadcast_in_dim, move_axis
from fornax.ir.requested import requested
from fornax.ir.static import static_integer
from fornax.ir.trace import Tracer, current
from fornax.ir.types import ArrayType, typeof
from fornax.numpy import ufuncs
from fornax.numpy.creation import array, full
from fornax.numpy.promotion import (
    as_dtype,
    broadcast_shapes,
    broadcast_to,
    joint_dtype,
    promote_inexact,
    scalar,
)
from fornax.primitives.iota import iota
from fornax.primitives.select import where as select_where
from fornax.primitives.shape import expand_dims
from fornax.runtime.exhausted import allocating
from fornax.runtime.placement import check_place
from fornax.scalars import dtypes
from fornax.scalars.promotion import inexact
from fornax.source import located

__all__ = ["arange", "geomspace", "linspace", "logspace"]


def arange(start, stop=None, step=None, dtype=None, *, device=None, out_sharding=None):
    """Numbers from `start` (0) up to, not including, `stop`, in steps of `step` (1).

    All three must be concrete, because the length of the result is static.
    """
    check_place("arange", device, out_sharding)
    given = [v for v in (start, stop, step) if v is not None]
    for v in given:
        if isinstance(v, Tracer):
            static_integer(v, "an argument of numpy.arange")
    _check_bounds(start, stop, step)
    if dtype is None:
        dtype, weak = joint_dtype(*map(typeof, given))
        dtype = dtypes.canonical(dtype)
    else:
        dtype = requested(dtype)
    if dtype == dtypes.bool_:
        raise TypeError(
            located(
                "arange: bool is no dtype to count in: give numbers, or a dtype",
                attempt="arange(int(start), int(stop)), or numpy.array([False, True])",
            )
        )
    given = [np.asarray(v)[()] for v in given]
    if stop is None and step is None:
        size = max(0, math.ceil(given[0]))
        if current() is None:
            with allocating([ArrayType((size,), dtype)]):
                return _native.from_numpy(np.arange(size).astype(dtype), False, False)
        return iota(dtype, (size,), 0)
    bounds = (0, start, step) if stop is None else (start, stop, 1 if step is None else step)
    first, last, stride = (np.asarray(v).item() for v in bounds)
    with allocating([ArrayType((_count(first, last, stride),), dtype)]):
        values = np.arange(first, last, stride)
    return array(values, dtype)


def _check_bounds(start: Any, stop: Any, step: Any) -> None:
    """Raise TypeError without an end, ValueError for arrays and complex numbers."""
    if start is None and stop is None:
        raise TypeError(
            located("arange: the end must be a real number, not NoneType", attempt="arange(stop)")
        )
    for name, v in (("start", start), ("stop", stop), ("step", step)):
        if v is not None and typeof(v).shape:
            raise ValueError(
                located(
                    f"jax.numpy.arange: arguments must be scalars; got {name}={v!r:.80}",
                    attempt=f"{name}[0], or vmap over {name} for several ranges",
                )
            )
        if v is not None and typeof(v).dtype.kind == "c":
            raise ValueError(
                located(
                    f"Passing complex start/stop/step to jnp.arange is not supported: {name}={v!r}",
                    "complex numbers have no order to count in",
                    f"{name}.real, or arange(..., dtype=complex) of real numbers",
                )
            )


def _count(first: Any, last: Any, stride: Any) -> int:
    """How many numbers a range has; 0 for bounds that NumPy refuses."""
    try:
        return builtins.max(0, math.ceil((last - first) / stride))
    except (ArithmeticError, TypeError, ValueError):
        return 0


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    """`num` evenly spaced numbers from `start` to `stop` (included unless endpoint=False)."""
    num = static_integer(num, "'num' argument of numpy.linspace")
    if num < 0:
        raise ValueError(
            located(
                f"Number of samples, {num}, must be non-negative.", attempt="a count of 0 or more"
            )
        )
    joint, _ = joint_dtype(typeof(start), typeof(stop))
    computed = dtypes.canonical(inexact(joint))
    out = computed if dtype is None else requested(dtype)
    start, stop = (array(v, computed) for v in (start, stop))
    common = broadcast_shapes(typeof(start).shape, typeof(stop).shape)
    start, stop = (broadcast_to(v, common) for v in (start, stop))
    steps = num - 1 if endpoint else num
    real = dtypes.real_dtype(computed)
    rank = typeof(start).ndim
    fraction = iota(real, (num,), 0)
    fraction = ufuncs.divide(fraction, scalar(max(steps, 1), real))
    fraction = broadcast_in_dim(fraction, (num, *(1,) * rank), (0,))
    fraction = as_dtype(fraction, computed)
    low, high = (expand_dims(v, (0,)) for v in (start, stop))
    one = scalar(1, computed)
    values = ufuncs.add(
        ufuncs.multiply(low, ufuncs.subtract(one, fraction)), ufuncs.multiply(high, fraction)
    )
    if endpoint and num > 1:  # the last number exactly
        last = ufuncs.equal(iota(dtypes.canonical(int), values.shape, 0), num - 1)
        values = select_where(last, broadcast_in_dim(high, values.shape, range(rank + 1)),
                                     values)  # fmt: skip
    if dtypes.is_integer(out):
        values = ufuncs.floor(values)
    values = as_dtype(values, out)
    if axis:
        values = move_axis(values, 0, axis % (rank + 1))
    if retstep:
        step = (
            ufuncs.divide(ufuncs.subtract(stop, start), steps)
            if steps > 0
            else full((), np.nan, real)
        )
        return values, step
    return values


def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    """`num` numbers from base**start to base**stop, evenly spaced in the exponent."""
    values = ufuncs.power(float(base), linspace(start, stop, num, endpoint, axis=axis))
    return values if dtype is None else as_dtype(values, requested(dtype))


def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """`num` numbers from start to stop in a geometric progression."""
    start, stop = (array(v) for v in promote_inexact(start, stop))
    turn = ufuncs.sign(start)
    # no progression starts at zero
    nowhere = full(typeof(turn).shape, np.nan, typeof(turn).dtype)
    turn = select_where(ufuncs.equal(start, 0), nowhere, turn)
    logs = (ufuncs.log(ufuncs.multiply(v, turn)) for v in (start, stop))
    values = linspace(*logs, num, endpoint)
    values = ufuncs.multiply(ufuncs.exp(values), turn)
    places = iota(dtypes.canonical(int), typeof(values).shape, 0)
    for k, exact in ((0, start), (num - 1, stop)):
        if k == 0 or endpoint:
            exact = broadcast_to(ufuncs.multiply(exact, abs(turn)), typeof(values).shape)
            values = select_where(ufuncs.equal(places, k), exact, values)
    if axis:
        values = move_axis(values, 0, axis % typeof(values).ndim)
    return values if dtype is None else as_dtype(values, requested(dtype))
