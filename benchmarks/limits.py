"""What this machine can do at most, measured: copy bandwidth and multiply-add rate."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from pathlib import Path

import numpy as np
from llvmlite import binding as llvm


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
    """float32 operations per second of all cores: a loop of independent fused multiply-adds."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    lanes, sums, steps = 16 if "avx512f" in flags else 8 if "fma" in flags else 4, 12, 1 << 24
    kind = f"<{lanes} x float>"
    starts = "\n".join(
        f"  %s{k} = phi {kind} [ splat (float {k}.0), %entry ], [ %t{k}, %loop ]"
        for k in range(sums)
    )
    adds = "\n".join(
        f"  %t{k} = call {kind} @llvm.fma.v{lanes}f32({kind} %s{k}, {kind} splat (float 0.5), "
        f"{kind} splat (float 1.0))"
        for k in range(sums)
    )
    stores = "\n".join(f"  store volatile {kind} %t{k}, ptr %out, align 4" for k in range(sums))
    code = f"""
declare {kind} @llvm.fma.v{lanes}f32({kind}, {kind}, {kind})
define void @work(ptr %out) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %n, %loop ]
{starts}
{adds}
  %n = add i64 %i, 1
  %more = icmp slt i64 %n, {steps}
  br i1 %more, label %loop, label %end
end:
{stores}
  ret void
}}
"""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly(code)
    features = llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=2
    )
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    work = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.get_function_address("work"))
    cores = len(os.sched_getaffinity(0))
    room = [(ctypes.c_float * 16)() for _ in range(cores)]

    def on_all_cores() -> None:
        threads = [threading.Thread(target=work, args=(ctypes.addressof(r),)) for r in room]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return cores * steps * sums * lanes * 2 / best(on_all_cores)


def blas_rate() -> float:
    """float32 operations per second of NumPy's own matrix product, 1024 x 1024."""
    x = np.ones((1024, 1024), np.float32)
    return 2 * 1024**3 / best(lambda: x @ x)


def measure() -> dict[str, float]:
    """All limits by name."""
    return {
        "copy bandwidth (one thread), GB/s": copy_bandwidth() / 1e9,
        "f32 FMA peak, GFLOP/s": fma_peak() / 1e9,
        "NumPy matmul 1024, GFLOP/s": blas_rate() / 1e9,
    }
