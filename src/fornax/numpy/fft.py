"""Fourier transforms: JAX's `jax.numpy.fft`.

`norm` says where the factor 1/size goes: "backward" (to inverses, the default), "forward", or
"ortho" (its square root to both).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.ir.requested import requested
from fornax.ir.static import static_integer, static_integers
from fornax.ir.types import typeof
from fornax.lax.spectral import FftType
from fornax.lax.spectral import fft as transform
from fornax.numpy import rearranging, shaping, ufuncs
from fornax.numpy.axes import canonical_axis
from fornax.numpy.creation import asarray, zeros
from fornax.numpy.padding import pad
from fornax.numpy.promotion import as_dtype, check, promote_inexact
from fornax.numpy.ranges import arange
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift",
    "ihfft", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

_INVERSE = (FftType.IFFT, FftType.IRFFT)


def _scale(kind: FftType, lengths: Sequence[int], norm: str | None) -> float:
    """What the transform is multiplied with to have the wanted norm."""
    size = math.prod(lengths)
    inverse = kind in _INVERSE
    if norm in (None, "backward"):
        return 1.0
    if norm == "ortho":
        return math.sqrt(size) if inverse else 1 / math.sqrt(size)
    if norm == "forward":
        return float(size) if inverse else 1 / size
    raise ValueError(
        located(
            f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".',
            attempt="norm=None, which is 'backward'",
        )
    )


def _axes(name: str, x: Any, s: Any, axes: Any) -> list[int]:
    rank = typeof(x).ndim
    if axes is None:
        count = rank if s is None else len(s)
        axes = range(rank - count, rank)
    axes = list(static_integers(axes, "axes"))
    if s is not None and len(s) != len(axes):
        raise ValueError(
            located(
                f"{name}: Shape and axes have different lengths: {len(s)}, {len(axes)}",
                attempt="one length in s for each axis, or leave axes out",
            )
        )
    for axis in axes:
        if not -rank <= axis < rank:
            raise ValueError(
                located(
                    f"axis {axis} is out of bounds for array of dimension {rank}",
                    attempt=f"axes from {-rank} to {rank - 1}",
                )
            )
    axes = [a % rank for a in axes]
    if len(set(axes)) != len(axes):
        raise ValueError(
            located(
                f"{name} does not support repeated axes. Got axes {axes}.",
                attempt="name each axis once",
            )
        )
    return axes


def _resized(x: Any, axes: Sequence[int], lengths: Sequence[int]) -> Any:
    """x with zeros appended, or the end cut off, to have these lengths."""
    shape = typeof(x).shape
    widths = [(0, 0)] * len(shape)
    cut = [slice(None)] * len(shape)
    for axis, n in zip(axes, lengths, strict=True):
        cut[axis] = slice(0, min(n, shape[axis]))
        widths[axis] = (0, max(n - shape[axis], 0))
    return pad(x[tuple(cut)], widths)


def _transform(name: str, kind: FftType, x: Any, s: Any, axes: Any, norm: str | None) -> Any:
    check(name, x)
    (x,) = promote_inexact(x)
    x = asarray(x)
    if kind == FftType.RFFT and dtypes.is_complex(typeof(x).dtype):
        raise ValueError(
            located(
                f"{name} requires real input, got {typeof(x).dtype.name}",
                attempt="fft, or the real part",
            )
        )
    if typeof(x).dtype.itemsize < 4:
        x = as_dtype(x, dtypes.float32)
    axes = _axes(name, x, s, axes)
    if not axes:
        return x if kind == FftType.RFFT else ufuncs.add(x, 0j)
    shape = typeof(x).shape
    if s is None:
        lengths = [shape[a] for a in axes]
        if kind == FftType.IRFFT:
            lengths[-1] = max(2 * (lengths[-1] - 1), 0)
    else:
        lengths = list(static_integers(s, "s"))
    real = kind == FftType.RFFT
    if s is None and 0 in lengths and not (real and not lengths[-1]):
        sizes = dict(zip(axes, lengths, strict=True))
        if real:
            sizes[axes[-1]] = lengths[-1] // 2 + 1
        dtype = dtypes.complex_dtype(typeof(x).dtype)
        dtype = dtypes.real_dtype(dtype) if kind == FftType.IRFFT else dtype
        return zeros(tuple(sizes.get(a, n) for a, n in enumerate(shape)), dtype)
    if any(n < 1 for n in lengths):
        raise ValueError(
            located(
                f"Invalid number of FFT data points ({tuple(lengths)}) specified.",
                attempt="lengths of at least 1",
            )
        )
    held = list(lengths)
    if kind == FftType.IRFFT:
        held[-1] = lengths[-1] // 2 + 1
    if held != [shape[a] for a in axes]:
        x = _resized(x, axes, held)
    factor = _scale(kind, lengths, norm)
    last = tuple(range(len(shape) - len(axes), len(shape)))
    moved = shaping.moveaxis(x, tuple(axes), last)
    result = transform(moved, kind, tuple(lengths))
    if factor != 1:
        result = ufuncs.multiply(result, factor)
    return shaping.moveaxis(result, last, tuple(axes))


def _one(name: str, kind: FftType, a: Any, n: Any, axis: Any, norm: str | None) -> Any:
    if isinstance(axis, tuple | list):
        raise ValueError(
            located(
                f"{name} does not support multiple axes. Please use {name}n. Got {axis}.",
                attempt=f"{name}n, or a single integer",
            )
        )
    return _transform(name, kind, a, None if n is None else (n,), (axis,), norm)


def fftn(a, s=None, axes=None, norm=None):
    """The transform over `axes` (all by default); s: their lengths, padded with zeros or cut."""
    return _transform("jax.numpy.fft.fftn", FftType.FFT, a, s, axes, norm)


def ifftn(a, s=None, axes=None, norm=None):
    """The inverse of `fftn`."""
    return _transform("jax.numpy.fft.ifftn", FftType.IFFT, a, s, axes, norm)


def rfftn(a, s=None, axes=None, norm=None):
    """The transform of real numbers: the first n // 2 + 1 elements of the last of `axes`."""
    return _transform("jax.numpy.fft.rfftn", FftType.RFFT, a, s, axes, norm)


def irfftn(a, s=None, axes=None, norm=None):
    """The inverse of `rfftn`; s: the lengths of the real result, whose last is even by default."""
    return _transform("jax.numpy.fft.irfftn", FftType.IRFFT, a, s, axes, norm)


def fft(a, n=None, axis=-1, norm=None):
    """The transform along `axis`; n: its length, padded with zeros or cut."""
    return _one("jax.numpy.fft.fft", FftType.FFT, a, n, axis, norm)


def ifft(a, n=None, axis=-1, norm=None):
    """The inverse of `fft`."""
    return _one("jax.numpy.fft.ifft", FftType.IFFT, a, n, axis, norm)


def rfft(a, n=None, axis=-1, norm=None):
    """The transform of real numbers along `axis`: its first n // 2 + 1 elements."""
    return _one("jax.numpy.fft.rfft", FftType.RFFT, a, n, axis, norm)


def irfft(a, n=None, axis=-1, norm=None):
    """The inverse of `rfft`; n: the length of the real result, even by default."""
    return _one("jax.numpy.fft.irfft", FftType.IRFFT, a, n, axis, norm)


def _swapped(norm: str | None) -> str | None:
    """The norm of a transform that is written with the inverse one."""
    return {None: "forward", "backward": "forward", "forward": "backward"}.get(norm, norm)


def hfft(a, n=None, axis=-1, norm=None):
    """The transform of numbers with Hermitian symmetry, of which `a` is the first half: real."""
    conjugate = ufuncs.conj(asarray(a))
    return _one("jax.numpy.fft.hfft", FftType.IRFFT, conjugate, n, axis, _swapped(norm))


def ihfft(a, n=None, axis=-1, norm=None):
    """The inverse of `hfft`."""
    result = _one("jax.numpy.fft.ihfft", FftType.RFFT, a, n, axis, _swapped(norm))
    return ufuncs.conj(result)


def _two(name: str, kind: FftType, a: Any, s: Any, axes: Any, norm: str | None) -> Any:
    if len(axes) != 2:
        raise ValueError(
            located(
                f"{name} only supports 2 axes. Got axes = {axes}.",
                attempt="axes=(-2, -1), or the n-dimensional function with `n` at the end of its "
                "name",
            )
        )
    return _transform(name, kind, a, s, axes, norm)


def fft2(a, s=None, axes=(-2, -1), norm=None):
    """`fftn` over two axes."""
    return _two("jax.numpy.fft.fft2", FftType.FFT, a, s, axes, norm)


def ifft2(a, s=None, axes=(-2, -1), norm=None):
    """`ifftn` over two axes."""
    return _two("jax.numpy.fft.ifft2", FftType.IFFT, a, s, axes, norm)


def rfft2(a, s=None, axes=(-2, -1), norm=None):
    """`rfftn` over two axes."""
    return _two("jax.numpy.fft.rfft2", FftType.RFFT, a, s, axes, norm)


def irfft2(a, s=None, axes=(-2, -1), norm=None):
    """`irfftn` over two axes."""
    return _two("jax.numpy.fft.irfft2", FftType.IRFFT, a, s, axes, norm)


def _frequencies(values: Any, n: Any, d: Any, dtype: Any) -> Any:
    dtype = requested(dtype, dtypes.float64)
    return ufuncs.divide(as_dtype(values, dtype), as_dtype(asarray(d * n), dtype))


def _length(name: str, n: Any) -> int:
    if isinstance(n, tuple | list):
        raise ValueError(
            located(
                f"The n argument of jax.numpy.fft.{name} only takes an int. Got n = {list(n)}.",
                attempt=f"an integer, the length along one axis, or {name}n with s",
            )
        )
    return static_integer(n, "n")


def fftfreq(n, d=1.0, *, dtype=None, device=None):
    """The frequencies of the elements of `fft` of n samples at distance d, negative ones last."""
    n = _length("fftfreq", n)
    half = (n - 1) // 2 + 1
    counts = np.concatenate([np.arange(half), np.arange(-(n // 2), 0)])
    return _frequencies(asarray(counts), n, d, dtype) if n else zeros(0, dtype)


def rfftfreq(n, d=1.0, *, dtype=None, device=None):
    """The frequencies of the elements of `rfft` of n samples at distance d."""
    n = _length("rfftfreq", n)
    return _frequencies(arange(n // 2 + 1), n, d, dtype)


def _shift(x: Any, axes: Any, sign: int) -> Any:
    check("jax.numpy.fft.fftshift", x)
    x = asarray(x)
    shape = typeof(x).shape
    if axes is None:
        axes = tuple(range(len(shape)))
    elif not isinstance(axes, Sequence):
        axes = (static_integer(axes, "axes"),)
    axes = [canonical_axis(a, len(shape)) for a in axes]
    shifts = [shape[a] // 2 if sign > 0 else -(shape[a] // 2) for a in axes]
    return rearranging.roll(x, tuple(shifts), tuple(axes)) if len(axes) else x


def fftshift(x, axes=None):
    """The element of frequency zero moved to the middle of `axes` (all by default)."""
    return _shift(x, axes, 1)


def ifftshift(x, axes=None):
    """The inverse of `fftshift`."""
    return _shift(x, axes, -1)
