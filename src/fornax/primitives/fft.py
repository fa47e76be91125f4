"""fft: Fourier transforms over the last dimensions.

Programs run those of lengths that have only small factors dimension by dimension (`dft`, see
`compiler.spectra`), others as a step on the host.
"""

from __future__ import annotations

import enum
import math
from typing import Any

import numpy as np

from fornax import _native
from fornax.ir.primitive import Primitive, Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.complex import conj_p
from fornax.primitives.convert import convert_element_type
from fornax.primitives.elementwise import mul_p
from fornax.scalars import dtypes
from fornax.source import located

#: elements from which on threads, who share lines on the host, take less time than they cost
WORTH_THREADS = 1 << 14

_REAL = (dtypes.float32, dtypes.float64)
_COMPLEX = (dtypes.complex64, dtypes.complex128)


class FftType(enum.IntEnum):
    """Which transform: of complex numbers, its inverse, of real numbers, and their inverse."""

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3


class Fft(Primitive):
    """The transform over the last `len(fft_lengths)` dimensions; inverses divide by the size.

    fft_lengths: the lengths of those dimensions, of real data for RFFT and IRFFT: their complex
    side holds only n // 2 + 1 elements of the last one.
    """

    cost = 64
    linear = True

    def type(self, x, *, fft_type, fft_lengths):
        rank = len(fft_lengths)
        if not 1 <= rank <= x.ndim:
            raise ValueError(
                located(
                    f"FFT requires input of rank at least {max(rank, 1)}, got shape {x.shape}",
                    attempt="vmap, or x[None] for missing dimensions",
                )
            )
        expected = _REAL if fft_type == FftType.RFFT else _COMPLEX
        if x.dtype not in expected:
            raise TypeError(
                located(
                    f"{FftType(fft_type).name} requires "
                    f"{' or '.join(d.name for d in expected)} input, got {x.dtype.name}",
                    attempt=f"x.astype({expected[0].name!r})",
                )
            )
        lengths = tuple(fft_lengths)
        half = (*lengths[:-1], lengths[-1] // 2 + 1)
        wanted = half if fft_type == FftType.IRFFT else lengths
        if x.shape[-rank:] != wanted:
            raise ValueError(
                located(
                    f"{FftType(fft_type).name} with {fft_lengths=} requires the last dimensions "
                    f"of the input to be {wanted}, got shape {x.shape}",
                    attempt="fft_lengths=x.shape[-n:], or the functions in numpy.fft, which pad "
                    "and cut",
                )
            )
        stack = x.shape[:-rank]
        if fft_type == FftType.RFFT:
            return [ArrayType((*stack, *half), np.result_type(x.dtype, np.complex64))]
        if fft_type == FftType.IRFFT:
            return [ArrayType((*stack, *lengths), np.zeros((), x.dtype).real.dtype)]
        return [ArrayType(x.shape, x.dtype)]

    def reference(self, x, *, fft_type, fft_lengths):
        from scipy import fft

        x = np.asarray(x)
        (out,) = self.type(typeof(x), fft_type=fft_type, fft_lengths=fft_lengths)
        if not x.size or not out.size:
            return [np.zeros(out.shape, out.dtype)]
        function = (fft.fftn, fft.ifftn, fft.rfftn, fft.irfftn)[fft_type]
        axes = range(-len(fft_lengths), 0)
        workers = _native.thread_count() if x.size >= WORTH_THREADS else 1
        with np.errstate(all="ignore"):
            result = function(x, fft_lengths, axes, workers=workers)
        return [result.astype(out.dtype, copy=False)]

    def transpose(self, cotangents, x, *, fft_type, fft_lengths):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent())]
        if fft_type in (FftType.FFT, FftType.IFFT):  # symmetric matrices
            return [self.bind(ct, fft_type=fft_type, fft_lengths=fft_lengths)[0]]
        if fft_type == FftType.RFFT:
            return [self._transpose_real(ct, fft_lengths)]
        return [self._transpose_inverse_real(ct, fft_lengths)]

    def _transpose_real(self, ct, lengths):
        """The real part of the transform of what is 0 in the half that RFFT leaves out: an inverse
        one, in which every element but the first and, of even lengths, the last stands for two."""
        weighted = mul_p(ct, ends(ct, lengths, math.prod(lengths), math.prod(lengths) / 2))
        turned = conj_p(weighted, input_dtype=typeof(ct).dtype)
        return self.bind(turned, fft_type=FftType.IRFFT, fft_lengths=lengths)[0]

    def _transpose_inverse_real(self, ct, lengths):
        """Every element but the first and, of even lengths, the last stands for two."""
        (half,) = self.bind(ct, fft_type=FftType.RFFT, fft_lengths=lengths)
        weighted = mul_p(half, ends(half, lengths, 1 / math.prod(lengths), 2 / math.prod(lengths)))
        return conj_p(weighted, input_dtype=typeof(half).dtype)

    def leading(self, **params):
        return params


def ends(half: Any, lengths: tuple[int, ...], single: float, double: float) -> np.ndarray:
    """Weights of the elements of half a spectrum: `single` of those that have no conjugate in the
    other half, `double` of the others."""
    type = typeof(half)
    weights = np.full(type.shape[-1], double, type.dtype)
    weights[0] = single
    if lengths[-1] % 2 == 0:
        weights[-1] = single
    return np.broadcast_to(weights, type.shape)


fft_p = Fft("fft")


class Dft(Primitive):
    """The transform along one axis, which is what programs are made of where it is compiled.

    kind: an `FftType`; axis: which one; length: of the real side of it; whole: 0, or the length of
    lines of which these are every so manieth element, as many apart as there are along the next
    axis: the results are turned as the transform of the whole takes them.
    """

    cost = 64

    def type(self, x, *, kind, axis, length, whole):
        (out,) = fft_p.type(_moved(x, axis, -1), fft_type=kind, fft_lengths=(length,))
        return [_moved(out, -1, axis)]

    def reference(self, x, *, kind, axis, length, whole):
        x = np.moveaxis(np.asarray(x), axis, -1)
        (out,) = fft_p.reference(x, fft_type=kind, fft_lengths=(length,))
        out = np.moveaxis(out, -1, axis)
        if whole:
            turns = np.multiply.outer(np.arange(length), np.arange(whole // length))
            angles = (2 if kind == FftType.IFFT else -2) * np.pi * turns / whole
            rest = out.ndim - axis - 2
            out = out * np.exp(1j * angles).reshape(*angles.shape, *(1,) * rest).astype(out.dtype)
        return [out]

    def leading(self, *, axis, **params):
        return {"axis": axis + 1, **params}


def _moved(x: ArrayType, axis: int, to: int) -> ArrayType:
    shape = list(x.shape)
    extent = shape.pop(axis)
    shape.insert(to if to >= 0 else len(shape), extent)
    return ArrayType(tuple(shape), x.dtype)


dft_p = Dft("dft")


def fft(x: Any, fft_type: FftType, fft_lengths: tuple[int, ...]) -> Any:
    """`Fft` applied; real input of a complex transform is made complex first."""
    type = typeof(x)
    if fft_type != FftType.RFFT and type.dtype in _REAL:
        x = convert_element_type(x, np.result_type(type.dtype, np.complex64))
    return fft_p.bind(x, fft_type=fft_type, fft_lengths=fft_lengths)[0]
