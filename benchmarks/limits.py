"""What this machine can do at most, measured: copy bandwidth and multiply-add rate."""

from __future__ import annotations

import os
import time

import numpy as np


def best(run, repeats: int = 7) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def copy_bandwidth() -> float:
    """Bytes per second (read and written) of copying 64 MiB with NumPy on one thread."""
    source = np.ones(1 << 24, np.float32)
    target = np.empty_like(source)
    np.copyto(target, source)
    return 2 * source.nbytes / best(lambda: np.copyto(target, source))


def fma_peak() -> float:
    """float32 operations per second of all cores, from the widest instruction set and the clock.

    Two multiply-add units of full width are assumed, as on all recent x86-64 server cores.
    """
    flags, megahertz = set(), 0.0
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == "flags":
                flags.update(value.split())
            if name.strip() == "cpu MHz":
                megahertz = max(megahertz, float(value))
    lanes = 16 if "avx512f" in flags else 8 if "fma" in flags else 4
    return len(os.sched_getaffinity(0)) * 2 * 2 * lanes * megahertz * 1e6


def blas_rate() -> float:
    """float32 operations per second of NumPy's own matrix product, 1024 x 1024."""
    x = np.ones((1024, 1024), np.float32)
    return 2 * 1024**3 / best(lambda: x @ x)


def measure() -> dict[str, float]:
    """All limits by name."""
    return {
        "copy bandwidth (one thread), GB/s": copy_bandwidth() / 1e9,
        "f32 FMA peak at the nominal clock, GFLOP/s": fma_peak() / 1e9,
        "NumPy matmul 1024, GFLOP/s": blas_rate() / 1e9,
    }
