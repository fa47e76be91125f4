"""Fourier transforms: values against NumPy's, derivatives against differences."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import fornax
from fornax import lax, test_util
from fornax.backends import cpu
from fornax.compiler import plan, spectra
from fornax.compiler.target import Target
from fornax.numpy import fft

rng = np.random.default_rng(0)
REAL = rng.standard_normal((3, 4, 5))
COMPLEX = REAL + 1j * rng.standard_normal((3, 4, 5))
ONE = {"fft": COMPLEX, "ifft": COMPLEX, "rfft": REAL, "irfft": COMPLEX, "hfft": COMPLEX,
       "ihfft": REAL}  # fmt: skip
SEVERAL = {"fftn": COMPLEX, "ifftn": COMPLEX, "rfftn": REAL, "irfftn": COMPLEX}


@pytest.fixture(autouse=True)
def wide_types():
    with fornax.enable_x64(True):
        yield


def assert_same(got, want):
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_allclose(got, want, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("norm", [None, "ortho", "forward", "backward"])
@pytest.mark.parametrize("name", ONE)
def test_one_axis(name, norm):
    for n in (None, 1, 4, 7):
        for axis in (-1, 0):
            got = getattr(fft, name)(ONE[name], n, axis, norm)
            assert_same(got, getattr(np.fft, name)(ONE[name], n, axis, norm))


@pytest.mark.parametrize("norm", [None, "ortho"])
@pytest.mark.parametrize("name", SEVERAL)
def test_several_axes(name, norm):
    for s, axes in [(None, None), (None, (2, 0)), ((2, 6), (0, 1)), (None, (1,))]:
        got = getattr(fft, name)(SEVERAL[name], s, axes, norm)
        assert_same(got, getattr(np.fft, name)(SEVERAL[name], s, axes, norm))
    two = name[:-1] + "2"
    assert_same(getattr(fft, two)(SEVERAL[name]), getattr(np.fft, two)(SEVERAL[name]))


@pytest.mark.parametrize("name", [*ONE, *SEVERAL])
def test_derivatives(name):
    x = {**ONE, **SEVERAL}[name]
    test_util.check_grads(getattr(fft, name), (x,), order=2, atol=1e-4, rtol=1e-4)


def test_compiled_and_mapped():
    want = np.fft.fft(COMPLEX, axis=0)
    got = fornax.jit(fornax.vmap(lambda x: fft.fft(x, axis=0), 1, 1))(COMPLEX)
    assert_same(got, want)


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
def test_compiled_lengths(name):
    """Those with small factors are compiled, primes are left to the host; in loops as well."""
    for n in (1, 30, 32, 37):
        count = n // 2 + 1 if name == "irfft" else n
        x = np.resize(ONE[name], (3, count)) * np.arange(1, count + 1)
        want = getattr(np.fft, name)(x, n)
        transform = partial(getattr(fft, name), n=n)
        assert_same(fornax.jit(transform)(x), want)
        assert_same(lax.map(transform, x), want)  # a program inside of a loop


def test_compiled_in_several_dimensions():
    x = np.resize(COMPLEX, (2, 6, 20)) * np.arange(20)
    for name in ("fftn", "ifftn", "irfftn"):
        assert_same(fornax.jit(getattr(fft, name))(x), getattr(np.fft, name)(x))
    assert_same(fornax.jit(fft.rfftn)(x.real), np.fft.rfftn(x.real))


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
def test_compiled_long_lines(name, monkeypatch):
    """Too long for the caches: as matrices, whose last columns may overlap others here."""
    monkeypatch.setattr(spectra, "LONGEST", 1 << 9)
    monkeypatch.setattr(spectra, "TALLEST", 1 << 8)
    for n in (210, 256):
        count = n // 2 + 1 if name == "irfft" else n
        x = np.resize(ONE[name], (2, count)) * np.arange(1, count + 1)
        assert_same(fornax.jit(partial(getattr(fft, name), n=n))(x), getattr(np.fft, name)(x, n))


def test_compiled_tall_columns(monkeypatch):
    monkeypatch.setattr(spectra, "TALLEST", 1 << 8)
    x = np.resize(COMPLEX, (40, 3))
    assert_same(fornax.jit(fft.fft2)(x), np.fft.fft2(x))


def test_results_past_the_caches(monkeypatch):
    """Large complex results are written past the caches, where their rows allow it."""
    monkeypatch.setattr(Target, "streamed", property(lambda self: 1))
    monkeypatch.setattr(cpu, "compiled", {})
    monkeypatch.setattr(plan, "_recipes", {})
    for n in (64, 84):
        x = np.resize(COMPLEX, (3, n)) * np.arange(n)
        assert_same(fornax.jit(fft.fft)(x), np.fft.fft(x))
        assert_same(fornax.jit(lambda x: x * x)(x), x * x)
    points = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert_same(fornax.jit(lambda x: x.T * 2)(points), points.T * 2)  # three to a lane


def test_compiled_with_what_is_around():
    x = np.resize(REAL, (4, 24))

    def convolved(x, y):
        return fft.irfft(fft.rfft(x) * fft.rfft(y[::-1]))

    want = np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(x[::-1]))
    assert_same(fornax.jit(convolved)(x, x), want)
    power = fornax.grad(lambda x: (abs(fft.rfft(x)) ** 2).sum())
    got = fornax.jit(fornax.vmap(power))(x)
    with fornax.disable_jit():
        assert_same(got, np.asarray(fornax.vmap(power)(x)))


def test_frequencies_and_shifts():
    for n in (1, 2, 5):
        assert_same(fft.fftfreq(n, 0.5), np.fft.fftfreq(n, 0.5))
        assert_same(fft.rfftfreq(n, 0.5), np.fft.rfftfreq(n, 0.5))
    for axes in (None, 1, (0, 2)):
        assert_same(fft.fftshift(REAL, axes), np.fft.fftshift(REAL, axes))
        assert_same(fft.ifftshift(REAL, axes), np.fft.ifftshift(REAL, axes))


def test_lax_fft_is_numpys():
    assert_same(lax.fft(REAL, "RFFT", (5,)), np.fft.rfft(REAL))
    assert_same(lax.fft(COMPLEX, lax.FftType.IFFT, (4, 5)), np.fft.ifftn(COMPLEX, axes=(1, 2)))


def test_dtypes():
    with fornax.enable_x64(False):
        assert fft.fft(np.ones(3, np.int8)).dtype == np.complex64
        assert fft.irfft(np.ones(3, np.complex64)).dtype == np.float32
        assert fft.fftfreq(3).dtype == np.float32


ERRORS = {
    "norm": (lambda: fft.fft(REAL, norm="best"), ValueError, "Invalid norm"),
    "no points": (lambda: fft.fft(REAL, 0), ValueError, "Invalid number of FFT data points"),
    "complex": (lambda: fft.rfft(COMPLEX), ValueError, "real input"),
    "axis": (lambda: fft.fft(REAL, axis=3), ValueError, "out of bounds"),
    "axes": (lambda: fft.fft(REAL, axis=(0, 1)), ValueError, "does not support multiple axes"),
    "twice": (lambda: fft.fftn(REAL, axes=(0, 0)), ValueError, "repeated axes"),
    "lengths": (lambda: lax.fft(COMPLEX, "FFT", (3,)), ValueError, "fft_lengths"),
    "name": (lambda: lax.fft(COMPLEX, "DCT", (5,)), ValueError, "unknown FFT type"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_mistakes_are_named(name):
    function, error, text = ERRORS[name]
    with pytest.raises(error, match=text):
        function()
