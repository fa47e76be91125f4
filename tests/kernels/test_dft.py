"""Fourier transforms along one axis: lengths, kinds, columns, targets, against wide numbers."""

import kernel_running as running
import numpy as np
import pytest
from scipy import fft

from fornax.backends.llvm import target as targets
from fornax.compiler.kernels import fourier
from fornax.primitives.fft import FftType

FUNCTIONS = dict(zip(FftType, (fft.fft, fft.ifft, fft.rfft, fft.irfft), strict=True))


def check(kind, shape, axis, dtype, how, digits=1.5, **options):
    """`shape` is that of real data; the mean error is less than `digits` units of the last one."""
    real = kind == FftType.RFFT
    generator, wide = np.random.default_rng(0), np.result_type(dtype, np.complex64)
    x = running.random(generator, shape, dtype if real else wide)
    if kind == FftType.IRFFT:
        x = x[..., : shape[-1] // 2 + 1]
    want = FUNCTIONS[kind](x.astype(np.longdouble if real else np.clongdouble), shape[axis], axis)
    made = dtype if kind == FftType.IRFFT else wide
    params = {"kind": kind, "axis": axis, "length": shape[axis], "whole": 0}
    (found,) = running.apply("dft", params, [x], [(want.shape, made)], how, **options)
    error = np.linalg.norm(found - want) / max(np.linalg.norm(want), 1e-30)
    assert error < digits * np.finfo(dtype).eps


@pytest.mark.parametrize("kind", FftType)
@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 12, 14, 45])
def test_lengths(kind, length, how):
    check(kind, (3, length), 1, "float64" if length % 3 else "float32", how)


@pytest.mark.parametrize("shape", [(2, 12, 5), (8, 33), (1, 4, 2, 2)])
def test_columns(shape, how, monkeypatch):
    monkeypatch.setattr(fourier, "WORTH_A_THREAD", 1)
    for kind in (FftType.FFT, FftType.IFFT):
        check(kind, shape, 1 if len(shape) > 2 else 0, "float32", how, threads=3)


@pytest.mark.parametrize("target", ["sse2", "avx2"])
def test_other_targets(target):
    for kind in (FftType.FFT, FftType.IRFFT):
        check(kind, (3, 80), 1, "float32", "compile", target=targets.TARGETS[target])


@pytest.mark.parametrize("length", [1000, 4096])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_lines_lose_few_digits(length, dtype):
    check(FftType.FFT, (2, length), 1, dtype, "compile")


def test_roots_are_exact_where_they_can_be():
    powers = np.arange(24)
    got = fourier.roots(24, powers, -1)
    angles = np.longdouble("6.28318530717958647692528677") * powers / 24
    want = np.cos(angles) - 1j * np.sin(angles)
    assert np.abs(got - want).max() < 1.2e-16
    assert list(got[::6]) == [1, -1j, -1, 1j] and got[4].real == 0.5
