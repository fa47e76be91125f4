"""Cosine transforms, by Fourier transforms of the same length."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fornax import numpy as fnp
from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.lax.shapes import canonical_axis
from fornax.numpy.promotion import check, promote_inexact
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["dct", "dctn", "idct", "idctn"]


def _checked(name: str, x: Any, type: int, norm: str | None) -> Any:
    check(name, x)
    if type != 2:
        raise NotImplementedError(
            located(f"Only DCT type 2 is implemented, got type={type}", attempt="type=2")
        )
    if norm not in (None, "ortho"):
        raise ValueError(
            located(f"jax.scipy.fft.{name}: {norm=} is not implemented", attempt="None or 'ortho'")
        )
    (x,) = promote_inexact(fnp.asarray(x))
    return x.astype(np.promote_types(typeof(x).dtype, np.float32))


def _resized(x: Any, n: int | None, axis: int) -> Any:
    """`x` cut or filled with zeros to n elements along an axis."""
    shape = typeof(x).shape
    axis = canonical_axis(axis, len(shape))
    n = shape[axis] if n is None else static_integer(n, "n")
    if n == shape[axis]:
        return x
    if n < shape[axis]:
        return fnp.take(x, np.arange(n), axis=axis)
    missing = [(0, n - size if i == axis else 0) for i, size in enumerate(shape)]
    return fnp.pad(x, missing)


def _turns(n: int, dtype: Any) -> Any:
    """exp(-i pi k / 2n) for k < n."""
    return np.exp(-0.5j * math.pi * np.arange(n) / n).astype(np.result_type(dtype, np.complex64))


def _weights(n: int, norm: str | None, dtype: Any) -> np.ndarray:
    """What the sums of cosines are multiplied with."""
    if norm is None:
        return np.full(n, 2, dtype)
    weights = np.full(n, math.sqrt(2 / n))
    weights[0] = math.sqrt(1 / n)
    return weights.astype(dtype)


def _forward(x: Any, n: int | None, axis: int, norm: str | None) -> Any:
    if dtypes.is_complex(typeof(x).dtype):
        return _forward(x.real, n, axis, norm) + 1j * _forward(x.imag, n, axis, norm)
    x = fnp.moveaxis(_resized(x, n, axis), axis, -1)
    size, dtype = typeof(x).shape[-1], typeof(x).dtype
    # the even elements, then the odd ones backwards: a Fourier transform of the length itself
    order = np.concatenate([np.arange(0, size, 2), np.arange(1, size, 2)[::-1]])
    turned = fnp.fft.fft(x[..., order]) * _turns(size, dtype)
    return fnp.moveaxis(turned.real.astype(dtype) * _weights(size, norm, dtype), -1, axis)


def _backward(x: Any, n: int | None, axis: int, norm: str | None) -> Any:
    if dtypes.is_complex(typeof(x).dtype):
        return _backward(x.real, n, axis, norm) + 1j * _backward(x.imag, n, axis, norm)
    x = fnp.moveaxis(_resized(x, n, axis), axis, -1)
    size, dtype = typeof(x).shape[-1], typeof(x).dtype
    x = x / _weights(size, norm, dtype)
    # the sums of sines are those of cosines backwards, the first of them is zero
    sines = fnp.concatenate([fnp.zeros_like(x[..., :1]), x[..., :0:-1]], -1)
    values = fnp.fft.ifft((x - 1j * sines) * _turns(size, dtype).conj()).real.astype(dtype)
    order = np.concatenate([np.arange(0, size, 2), np.arange(1, size, 2)[::-1]])
    return fnp.moveaxis(values[..., np.argsort(order)], -1, axis)


def dct(x, type=2, n=None, axis=-1, norm=None):
    """The cosine transform of the second type along an axis.

    n: elements to use, cut or filled with zeros. norm: None or "ortho". Raises NotImplementedError
    for other types, ValueError for other norms. See `scipy.fft.dct`.
    """
    return _forward(_checked("dct", x, type, norm), n, axis, norm)


def idct(x, type=2, n=None, axis=-1, norm=None):
    """The inverse of `dct`, with the same arguments and errors. See `scipy.fft.idct`."""
    return _backward(_checked("idct", x, type, norm), n, axis, norm)


def _several(name: str, one: Any, x: Any, s: Any, axes: Any, norm: str | None) -> Any:
    count = typeof(x).ndim
    if axes is None:
        axes = range(count) if s is None else range(count - len(s), count)
    sizes = [None] * len(axes) if s is None else s
    if len(sizes) != len(axes):
        raise ValueError(
            located(f"jax.scipy.fft.{name}: {s=} and {axes=} must have the same length",
                    attempt="a size for each axis")
        )  # fmt: skip
    for n, axis in zip(sizes, axes, strict=True):
        x = one(x, n, axis, norm)
    return x


def dctn(x, type=2, s=None, axes=None, norm=None):
    """`dct` along several axes, all by default. s: the elements to use along each."""
    return _several("dctn", _forward, _checked("dctn", x, type, norm), s, axes, norm)


def idctn(x, type=2, s=None, axes=None, norm=None):
    """`idct` along several axes, all by default. s: the elements to use along each."""
    return _several("idctn", _backward, _checked("idctn", x, type, norm), s, axes, norm)
