"""Fourier transforms that are compiled: one operation for every dimension.

    fft over (m, n)       ->  dft along n  ->  dft along m
    fft over n₁ n₂, long  ->  as (n₁, n₂):  dft along n₁, turned  ->  dft along n₂  ->  transposed

A long line is one of which the caches have no room for two copies. Lengths with other factors than
those of `kernels.fourier` are left to a step on the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fornax.compiler.kernels.fourier import radices
from fornax.ir.basis import move_axis, transpose
from fornax.ir.jaxpr import Atom, Jaxpr
from fornax.ir.trace import new_trace
from fornax.ir.types import typeof
from fornax.primitives.complex import conj_p, real_p
from fornax.primitives.concatenate import concatenate
from fornax.primitives.convert import convert_element_type
from fornax.primitives.fft import FftType, dft_p
from fornax.primitives.shape import reshape, rev
from fornax.primitives.slice import slice_in
from fornax.transforms.stage import Stage

#: bytes of the longest lines of complex numbers, alone and as columns side by side
LONGEST, TALLEST = 1 << 19, 1 << 15


def along_axes(inputs: Sequence[Atom], params: dict[str, Any]) -> Jaxpr | None:
    """The program of a transform that is compiled; None for others."""
    type = inputs[0].type
    bytes = np.result_type(type.dtype, np.complex64).itemsize
    for length in params["fft_lengths"]:
        factors = radices(length) if length else None
        if factors is None or (length * bytes > LONGEST and split(length, bytes) is None):
            return None
    trace = Stage(purpose="a Fourier transform")
    with new_trace(trace):
        return trace.finish([_transformed(trace.new_input(type), **params)], "fft")


def split(length: int, bytes: int) -> tuple[int, int] | None:
    """The length of columns and of rows of a long line: columns are as long as rows, or less."""
    columns = 1
    for radix in radices(length) or ():
        if (columns * radix) ** 2 <= length and columns * radix * bytes <= TALLEST:
            columns *= radix
    rows = length // columns
    return (columns, rows) if rows * bytes <= LONGEST else None


def _transformed(x: Any, fft_type: FftType, fft_lengths: tuple[int, ...]) -> Any:
    inverse = fft_type in (FftType.IFFT, FftType.IRFFT)
    last = typeof(x).ndim - 1
    axes = list(enumerate(fft_lengths, last + 1 - len(fft_lengths)))
    for axis, length in axes if fft_type == FftType.IRFFT else reversed(axes):
        kind = fft_type if axis == last else FftType.IFFT if inverse else FftType.FFT
        x = _along(x, kind, axis, length)
    return x


def _along(x: Any, kind: FftType, axis: int, length: int) -> Any:
    """The transform along one axis."""
    shape, dtype = typeof(x).shape, np.result_type(typeof(x).dtype, np.complex64)
    last, size = len(shape) - 1, length * dtype.itemsize
    columns = prod(shape[axis + 1 :]) > 1
    if size <= (TALLEST if columns else LONGEST):
        return dft_p.bind(x, kind=kind, axis=axis, length=length, whole=0)[0]
    if columns:
        return move_axis(_along(move_axis(x, axis, last), kind, last, length), last, axis)
    half = length // 2 + 1
    if kind == FftType.RFFT:
        x = _along(convert_element_type(x, dtype), FftType.FFT, axis, length)
        return slice_in(x, axis, 0, half)
    if kind == FftType.IRFFT:
        mirrored = conj_p(rev(slice_in(x, axis, 1, length - half + 1), (axis,)), input_dtype=dtype)
        return real_p(_along(concatenate((x, mirrored), axis), FftType.IFFT, axis, length))
    parts = split(length, dtype.itemsize)
    assert parts is not None, "others are left to the host"
    x = reshape(x, (*shape[:axis], *parts, *shape[axis + 1 :]))
    (x,) = dft_p.bind(x, kind=kind, axis=axis, length=parts[0], whole=length)
    (x,) = dft_p.bind(x, kind=kind, axis=axis + 1, length=parts[1], whole=0)
    order = list(range(len(shape) + 1))
    order[axis : axis + 2] = axis + 1, axis
    return reshape(transpose(x, order), shape)
