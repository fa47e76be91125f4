"""One-dimensional signals: convolution, interpolation, integrals, derivatives, windows."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fornax.api.jit import jit
from fornax.ir.primitive import REGISTRY
from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.numpy import reductions, ufuncs
from fornax.numpy.axes import canonical_axes, canonical_axis
from fornax.numpy.creation import asarray, full
from fornax.numpy.indexing import take
from fornax.numpy.joining import concatenate
from fornax.numpy.products import dot
from fornax.numpy.promotion import as_dtype, check, concrete_form, promote_inexact, scalar
from fornax.numpy.rearranging import flip
from fornax.numpy.running import cumsum
from fornax.numpy.selection import diff, searchsorted, where
from fornax.numpy.shaping import moveaxis, ravel
from fornax.primitives import sort as _sort  # noqa: F401  (fill the registry)
from fornax.primitives import special  # noqa: F401  (fill the registry)
from fornax.primitives.composite import optimization_barrier_p
from fornax.primitives.iota import iota
from fornax.primitives.sort import sort_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "bartlett", "blackman", "convolve", "correlate", "ediff1d", "gradient", "hamming", "hanning",
    "i0", "interp", "kaiser", "trapezoid", "unwrap",
]  # fmt: skip


# --- convolution ------------------------------------------------------------------------------
def _slide(name: str, a: Any, v: Any, mode: str, precision: Any, preferred: Any) -> Any:
    """The sums of products of `v` with the windows of `a`, v as it lies."""
    if typeof(a).ndim != 1 or typeof(v).ndim != 1:
        raise ValueError(
            located(
                f"{name} expects one-dimensional arrays", attempt="x.ravel(), or vmap over the rows"
            )
        )
    m = typeof(v).shape[0]
    low, high = {
        "full": (m - 1, m - 1), "valid": (0, 0), "same": (m // 2, m - m // 2 - 1),
    }[mode]  # fmt: skip
    config = ((low, high, 0),)
    wide = REGISTRY["pad"].bind(a, scalar(0, typeof(a).dtype), padding_config=config)[0]
    if typeof(wide).size >= 2**31:
        raise ValueError(
            located(
                f"{name} of {typeof(a).size} and {m} elements",
                "places are counted with 32 bits",
                "pieces of the longer array that overlap by the length of the other",
            )
        )
    return _of_windows(wide, v, precision, preferred)


@partial(jit, static_argnums=(2, 3))
def _of_windows(wide: Any, v: Any, precision: Any, preferred: Any) -> Any:
    """The products of v with all windows of `wide`: a program, in which no window is stored."""
    wide = optimization_barrier_p.bind(wide)[0]  # every element is read by many windows
    m = typeof(v).shape[0]
    shape = (typeof(wide).shape[0] - m + 1, m)
    places = iota(np.int32, shape, 0) + iota(np.int32, shape, 1)
    windows = wide.at[places].get(mode="promise_in_bounds")
    return dot(windows, v, precision=precision, preferred_element_type=preferred)


def _signals(name: str, a: Any, v: Any, mode: str) -> list[Any]:
    check(name, a, v)
    if mode not in ("full", "same", "valid"):
        raise ValueError(
            located(
                f"{name}: mode must be one of 'full', 'same', 'valid', got {mode!r}",
                attempt="mode='full', the default",
            )
        )
    a, v = (asarray(x) for x in promote_inexact(concrete_form(a), concrete_form(v)))
    if typeof(a).ndim != 1 or typeof(v).ndim != 1:
        raise ValueError(
            located(
                f"{name}() only support 1-dimensional inputs.",
                f"their shapes are {typeof(a).shape} and {typeof(v).shape}",
                "vmap over the other dimensions, or scipy.signal's functions of several",
            )
        )
    if typeof(a).size == 0 or typeof(v).size == 0:
        raise ValueError(
            located(
                f"{name}: inputs cannot be empty, got shapes {a.shape} and {v.shape}",
                attempt="arrays with at least one element",
            )
        )
    return [a, v]


def convolve(a, v, mode="full", *, precision=None, preferred_element_type=None):
    """The sums of a[i] v[k - i]. mode: 'full', 'same' (as long as the longer) or 'valid'."""
    a, v = _signals("convolve", a, v, mode)
    if typeof(a).size < typeof(v).size:
        a, v = v, a
    if mode == "same":  # the element that NumPy counts as the middle
        m = typeof(v).shape[0]
        whole = _slide("convolve", a, flip(v), "full", precision, preferred_element_type)
        start = (m - 1) // 2
        return whole[start : start + typeof(a).shape[0]]
    return _slide("convolve", a, flip(v), mode, precision, preferred_element_type)


def correlate(a, v, mode="valid", *, precision=None, preferred_element_type=None):
    """The sums of a[i + k] conj(v[i]). mode: 'valid', 'same' or 'full'."""
    a, v = _signals("correlate", a, v, mode)
    v = ufuncs.conj(v)
    n, m = typeof(a).size, typeof(v).size
    if n < m:
        turned = _slide("correlate", flip(v), flip(a), mode, precision, preferred_element_type)
        return turned if mode != "same" else _same(a, v, precision, preferred_element_type)
    return _slide("correlate", a, v, mode, precision, preferred_element_type)


def _same(a: Any, v: Any, precision: Any, preferred: Any) -> Any:
    n, m = typeof(a).size, typeof(v).size
    whole = _slide("correlate", flip(v), flip(a), "full", precision, preferred)
    return whole[n // 2 : n // 2 + m]


# --- between and below points -----------------------------------------------------------------
def interp(x, xp, fp, left=None, right=None, period=None):
    """The piecewise linear function through the points (xp, fp) at x.

    xp must increase, unless `period` is given. left, right: values outside (fp[0] and fp[-1]);
    'extrapolate' continues the outer pieces.
    """
    check("interp", x, xp, fp)
    xp, fp = asarray(concrete_form(xp)), asarray(concrete_form(fp))
    if typeof(xp).shape != typeof(fp).shape or typeof(xp).ndim != 1:
        raise ValueError(
            located(
                "xp and fp must be one-dimensional arrays of equal size",
                attempt="vmap(numpy.interp, (None, None, 0)) for several curves",
            )
        )
    x, xp = (asarray(v) for v in promote_inexact(concrete_form(x), xp))
    (fp,) = promote_inexact(fp)
    if dtypes.is_complex(typeof(x).dtype):
        raise ValueError(
            located(
                "interp: complex values of x and xp are not supported",
                attempt="interp of abs(x), or of x.real",
            )
        )
    for name, value in (("left", left), ("right", right)):
        if isinstance(value, str) and value != "extrapolate":
            raise ValueError(
                located(
                    f"the only valid string value of {name!r} is 'extrapolate', got {value!r}",
                    attempt=f"{name}='extrapolate', or a number",
                )
            )
    if period is not None:
        left = right = None
        if not typeof(period).shape == ():
            raise ValueError(
                located(f"period must be a scalar; got {period}", attempt="period=2 * numpy.pi")
            )
        period = ufuncs.absolute(period)
        x, xp = ufuncs.remainder(x, period), ufuncs.remainder(xp, period)
        xp, fp = sort_p.bind(xp, fp, dimension=0, is_stable=True, num_keys=1)
        xp = concatenate([ufuncs.subtract(xp[-1:], period), xp, ufuncs.add(xp[:1], period)])
        fp = concatenate([fp[-1:], fp, fp[:1]])
    n = typeof(xp).shape[0]
    place = ufuncs.minimum(ufuncs.maximum(searchsorted(xp, x, side="right"), 1), max(n - 1, 1))
    below = ufuncs.subtract(place, 1)
    x0, x1 = take(xp, below, mode="clip"), take(xp, place, mode="clip")
    y0, y1 = take(fp, below, mode="clip"), take(fp, place, mode="clip")
    width = ufuncs.subtract(x1, x0)
    tiny = np.spacing(np.finfo(np.float32).eps) if typeof(width).dtype.itemsize <= 4 else (
        np.spacing(np.finfo(np.float64).eps)
    )  # fmt: skip
    flat = ufuncs.less_equal(ufuncs.absolute(width), as_dtype(tiny, typeof(width).dtype))
    slope = ufuncs.divide(ufuncs.subtract(x, x0), where(flat, 1, width))
    result = where(flat, y0, ufuncs.add(y0, ufuncs.multiply(slope, ufuncs.subtract(y1, y0))))
    if not isinstance(left, str):
        result = where(ufuncs.less(x, xp[0]), fp[0] if left is None else left, result)
    if not isinstance(right, str):
        result = where(ufuncs.greater(x, xp[-1]), fp[-1] if right is None else right, result)
    return result


def trapezoid(y, x=None, dx=1.0, axis=-1):
    """The integral of y along `axis` by the trapezoidal rule, at positions x or in steps dx.

    Raises IndexError where there are no elements.
    """
    check("trapezoid", y)
    if x is None:
        y, dx = promote_inexact(concrete_form(y), concrete_form(dx))
        y = moveaxis(asarray(y), axis, -1)
    else:
        check("trapezoid", x)
        y, x = (asarray(v) for v in promote_inexact(concrete_form(y), concrete_form(x)))
        one = typeof(x).ndim == 1
        y = moveaxis(y, axis, -1)
        dx = diff(x) if one else moveaxis(diff(x, axis=axis), axis, -1)
    if not typeof(y).shape[-1]:
        raise IndexError(
            located(
                f"trapezoid: axis {axis} has no elements",
                "the integral is from the first to the last of them",
                "0.0, where that is meant",
            )
        )
    pairs = ufuncs.multiply(dx, ufuncs.add(y[..., 1:], y[..., :-1]))
    return ufuncs.multiply(0.5, reductions.sum(pairs, -1))


def gradient(f, *varargs, axis=None, edge_order=None):
    """Derivatives by central differences along each `axis`, one-sided at the ends.

    varargs: the distance of neighbours (1), one per axis, or the coordinates along each.
    Gives an array for one axis, else a list.
    """
    check("gradient", f, *varargs)
    if edge_order is not None:
        raise NotImplementedError(
            located(
                "gradient: the 'edge_order' argument is not supported",
                attempt="edge_order=1, or one-sided differences written out at the ends",
            )
        )
    (f,) = promote_inexact(concrete_form(f))
    f = asarray(f)
    rank = typeof(f).ndim
    axes = canonical_axes(axis, rank)
    if len(varargs) not in (0, 1, len(axes)):
        raise TypeError(
            located(
                f"gradient: got {len(varargs)} spacings for {len(axes)} axes",
                attempt="one spacing for all axes, or one for each",
            )
        )
    spacing = list(varargs) or [1.0]
    if len(spacing) == 1:
        spacing = spacing * len(axes)
    results = []
    for k, h in zip(axes, spacing, strict=True):
        n = typeof(f).shape[k]
        if n < 2:
            raise ValueError(
                located(
                    "Shape of array too small to calculate a numerical gradient, at least 2 "
                    "elements are required.",
                    attempt="at least 2 points along the axis, or axis= for those that have them",
                )
            )
        results.append(moveaxis(_slope(moveaxis(f, k, 0), asarray(concrete_form(h))), 0, k))
    return results[0] if len(results) == 1 else results


def _slope(f: Any, h: Any) -> Any:
    rank = typeof(f).ndim
    if typeof(h).ndim == 0:
        first = ufuncs.divide(ufuncs.subtract(f[1:2], f[:1]), h)
        last = ufuncs.divide(ufuncs.subtract(f[-1:], f[-2:-1]), h)
        inner = ufuncs.divide(ufuncs.multiply(ufuncs.subtract(f[2:], f[:-2]), 0.5), h)
        return concatenate([first, inner, last])
    if typeof(h).ndim != 1 or typeof(h).shape[0] != typeof(f).shape[0]:
        raise ValueError(
            located(
                "Spacing arrays must be 1D with the length of the dimension they belong to",
                attempt="a number, or positions of shape (n,) for an axis of n elements",
            )
        )
    steps = diff(h).reshape((-1, *(1,) * (rank - 1)))
    rises = ufuncs.divide(diff(f, axis=0), steps)
    before, behind = steps[:-1], steps[1:]
    total = ufuncs.add(before, behind)
    inner = ufuncs.divide(
        ufuncs.add(ufuncs.multiply(rises[:-1], behind), ufuncs.multiply(rises[1:], before)), total
    )
    return concatenate([rises[:1], inner, rises[-1:]])


def ediff1d(ary, to_end=None, to_begin=None):
    """Differences of neighbours of the flattened array, between `to_begin` and `to_end`."""
    check("ediff1d", ary)
    ary = ravel(asarray(concrete_form(ary)))
    dtype = typeof(ary).dtype
    parts = [ufuncs.subtract(ary[1:], ary[:-1])]
    if to_begin is not None:
        parts.insert(0, ravel(as_dtype(asarray(to_begin), dtype)))
    if to_end is not None:
        parts.append(ravel(as_dtype(asarray(to_end), dtype)))
    return concatenate(parts)


def unwrap(p, discont=None, axis=-1, period=2 * np.pi):
    """p with multiples of `period` added so that neighbours differ by at most half of it."""
    check("unwrap", p)
    p = asarray(concrete_form(p))
    dtype = typeof(p).dtype
    if dtypes.is_complex(dtype):
        raise ValueError(
            located("unwrap: complex values are not supported", attempt="unwrap of numpy.angle(x)")
        )
    axis = canonical_axis(axis, typeof(p).ndim)
    if typeof(p).shape[axis] == 0:
        return promote_inexact(p)[0]
    if not dtypes.is_inexact(dtype) and isinstance(period, float):
        (p,) = promote_inexact(p)
    dtype = typeof(p).dtype
    half = ufuncs.divide(period, 2) if dtypes.is_inexact(dtype) else ufuncs.floor_divide(period, 2)
    change = diff(p, axis=axis)
    wrapped = ufuncs.subtract(ufuncs.remainder(ufuncs.add(change, half), period), half)
    ends = ufuncs.logical_and(
        ufuncs.equal(wrapped, ufuncs.negative(half)), ufuncs.greater(change, 0)
    )
    wrapped = where(ends, half, wrapped)
    fix = ufuncs.subtract(wrapped, change)
    bound = half if discont is None else discont
    fix = where(ufuncs.less(ufuncs.absolute(change), bound), 0, fix)
    axis = canonical_axis(axis, typeof(p).ndim)
    begin = [0 if k == axis else slice(None) for k in range(typeof(p).ndim)]
    begin[axis] = slice(0, 1)
    behind = list(begin)
    behind[axis] = slice(1, None)
    moved = ufuncs.add(p[tuple(behind)], cumsum(fix, axis))
    return as_dtype(concatenate([p[tuple(begin)], moved], axis), dtype)


# --- windows ----------------------------------------------------------------------------------
def _window(M: Any, formula) -> Any:
    """A window of M points from its formula at 0 … M - 1."""
    M = int(M) if isinstance(M, float | np.floating) else static_integer(M, "M")
    real = dtypes.canonical(float)
    if M <= 1:
        return full((max(M, 0),), 1, real)
    return formula(iota(real, (M,), 0), M)


def _cosines(n: Any, M: int, *weights: float) -> Any:
    total = scalar(weights[0], typeof(n).dtype)
    for k, weight in enumerate(weights[1:], 1):
        wave = ufuncs.cos(ufuncs.divide(ufuncs.multiply(2 * np.pi * k, n), M - 1))
        total = ufuncs.add(total, ufuncs.multiply(weight, wave))
    return total


def bartlett(M):
    """The triangular window of M points."""
    return _window(
        M, lambda n, m: ufuncs.subtract(1, ufuncs.absolute(
            ufuncs.divide(ufuncs.subtract(ufuncs.multiply(2, n), m - 1), m - 1)
        ))
    )  # fmt: skip


def blackman(M):
    """The Blackman window of M points."""
    return _window(M, lambda n, m: _cosines(n, m, 0.42, -0.5, 0.08))


def hamming(M):
    """The Hamming window of M points."""
    return _window(M, lambda n, m: _cosines(n, m, 0.54, -0.46))


def hanning(M):
    """The Hann window of M points."""
    return _window(M, lambda n, m: _cosines(n, m, 0.5, -0.5))


def kaiser(M, beta):
    """The Kaiser window of M points with shape parameter beta."""

    def formula(n, m):
        half = 0.5 * (m - 1)
        ratio = ufuncs.divide(ufuncs.subtract(n, half), half)
        inner = ufuncs.sqrt(ufuncs.maximum(ufuncs.subtract(1, ufuncs.square(ratio)), 0))
        return ufuncs.divide(i0(ufuncs.multiply(beta, inner)), i0(beta))

    return _window(M, formula)


def i0(x):
    """The modified Bessel function of the first kind of order 0."""
    check("i0", x)
    (x,) = promote_inexact(concrete_form(x))
    if dtypes.is_complex(typeof(x).dtype):
        raise ValueError(
            located("i0: complex values are not supported", attempt="i0 of x.real, if x is real")
        )
    x = ufuncs.absolute(asarray(x))
    return ufuncs.multiply(ufuncs.exp(x), REGISTRY["bessel_i0e"].bind(x)[0])
