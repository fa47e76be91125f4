"""Fourier transforms that are compiled: one operation for every dimension.

    fft over (m, n)     ->  dft along n  ->  dft along m

Lengths with other factors than those of `kernels.fourier` are left to a step on the host, as are
lines for which the caches have no room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax.compiler.kernels.fourier import radices
from fornax.ir.jaxpr import Atom, Jaxpr
from fornax.ir.trace import new_trace
from fornax.ir.types import ArrayType
from fornax.primitives.fft import FftType, dft_p
from fornax.transforms.stage import Stage

#: bytes of the longest lines of complex numbers, alone and as columns side by side
LONGEST, TALLEST = 1 << 19, 1 << 15


def along_axes(inputs: Sequence[Atom], params: dict[str, Any]) -> Jaxpr | None:
    """The program of a transform that is compiled; None for others."""
    type, lengths = inputs[0].type, params["fft_lengths"]
    bytes = type.dtype.itemsize * (2 if params["fft_type"] == FftType.RFFT else 1)
    limits = [TALLEST] * (len(lengths) - 1) + [LONGEST]
    for length, limit in zip(lengths, limits, strict=True):
        if not length or length * bytes > limit or radices(length) is None:
            return None
    trace = Stage(purpose="a Fourier transform")
    with new_trace(trace):
        return trace.finish([_each(trace.new_input(type), type, **params)], "fft")


def _each(x: Any, type: ArrayType, fft_type: FftType, fft_lengths: tuple[int, ...]) -> Any:
    inverse = fft_type in (FftType.IFFT, FftType.IRFFT)
    first = len(type.shape) - len(fft_lengths)
    axes = list(enumerate(fft_lengths, first))
    last = axes[-1][0]
    for axis, length in axes if fft_type == FftType.IRFFT else reversed(axes):
        kind = fft_type if axis == last else FftType.IFFT if inverse else FftType.FFT
        (x,) = dft_p.bind(x, kind=kind, axis=axis, length=length)
    return x
