"""Fourier transforms: JAX's `lax.fft`."""

from __future__ import annotations

from typing import Any

from fornax.ir.static import static_integers
from fornax.primitives import fft as primitive
from fornax.primitives.fft import FftType, fft_p
from fornax.source import located

__all__ = ["FftType", "fft", "fft_p"]


def fft(x: Any, fft_type: Any, fft_lengths: Any) -> Any:
    """The Fourier transform over the last `len(fft_lengths)` dimensions of x.

    fft_type: a FftType or its name: FFT, IFFT (complex to complex), RFFT (real to complex), IRFFT
    (complex to real). fft_lengths: the lengths of those dimensions, on the real side. Raises
    ValueError for lengths that do not fit, or another name.
    """
    if isinstance(fft_type, str):
        if fft_type not in FftType.__members__:
            raise ValueError(
                located(f"unknown FFT type '{fft_type}'", attempt="one of FFT IFFT RFFT IRFFT")
            )
        fft_type = FftType[fft_type]
    return primitive.fft(x, FftType(fft_type), static_integers(fft_lengths, "fft_lengths"))
