"""One-dimensional signals: convolution, interpolation, windows."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fornax.api.jit import jit
from fornax.ir.primitive import REGISTRY
from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.numpy import ufuncs
from fornax.numpy.creation import asarray, full
from fornax.numpy.indexing import take
from fornax.numpy.joining import concatenate
from fornax.numpy.products import dot
from fornax.numpy.promotion import as_dtype, check, concrete_form, promote_inexact, scalar
from fornax.numpy.rearranging import flip
from fornax.numpy.selection import where
from fornax.numpy.sorting import searchsorted
from fornax.primitives import special  # noqa: F401  (fill the registry)
from fornax.primitives.composite import optimization_barrier_p
from fornax.primitives.iota import iota
from fornax.primitives.sort import sort_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "bartlett", "blackman", "convolve", "correlate", "hamming", "hanning", "i0", "interp", "kaiser",
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


# --- interpolation ----------------------------------------------------------------------------
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
