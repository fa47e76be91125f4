"""Programs in child processes, a chunk in each, under changing thresholds of the compiler."""

from __future__ import annotations

import gc
import mmap
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable

from fornax import _native
from fornax.backends.llvm import edges, generate
from fornax.compiler import cost, exponentials, factors, row_blocks, rows, turns, two_stages
from fornax.compiler.kernels import concatenate, lines, scan, scatter
from fornax.compiler.loop import columns, keep, parallelize, reading, stage, sums, tile
from fornax.compiler.target import Target
from fornax.runtime import eager

#: seconds that one program may take
PATIENCE = 300.0
#: thresholds that suit large arrays, made small: (module, name, value)
THRESHOLDS: tuple[tuple[tuple, ...], ...] = (
    (),
    ((parallelize, "GRAIN", 20.0), (parallelize, "BLOCK", 60.0), (scan, "WORTH_A_THREAD", 16),
     (scatter, "WORTH_A_THREAD", 16), (lines, "WORTH_A_THREAD", 64), (lines, "WORTH_A_SPLIT", 16),
     (lines, "SHARE", 256)),
    ((generate, "HUGE", 0),),
    ((tile, "RUN", 16), (tile, "ROWS", 8), (tile, "LEAST", 4), (sums, "STEPS", 1),
     (tile, "FAR", 4), (keep, "SHORTEST", 4), (concatenate, "SMALL", 0)),
    ((generate, "HUGE", 0), (parallelize, "GRAIN", 20.0), (parallelize, "BLOCK", 60.0)),
    ((eager, "PROMOTE_AFTER", -1.0),),
    ((stage, "WORTH", 0), (stage, "REUSED", 1), (stage, "CHEAPER", 2.0), (cost, "ROWS", 2),
     (cost, "LARGE", 32), (cost, "SPREAD", 2)),
    ((two_stages, "STREAMED", 64), (two_stages, "FEW_RESULTS", 1), (two_stages, "ROWS", 2),
     (turns, "STREAMED", 64), (factors, "STREAMED", 64), (exponentials, "LARGE", 64),
     (exponentials, "FEW_RESULTS", 1), (columns, "LARGE", 0), (columns, "FAR", 0),
     (columns, "MANY", 2), (rows, "STREAMED", 64), (rows, "FEW_PIECES", 2),
     (row_blocks, "SHARE", 2**-9), (row_blocks, "NARROW", 2)),
    ((Target, "streamed", 1), (edges, "ENOUGH", 2), (reading, "PIECE", 4)),
)  # fmt: skip


def lowered(number: int) -> None:
    """Set the thresholds of chunk `number`."""
    for module, name, value in THRESHOLDS[number % len(THRESHOLDS)]:
        assert hasattr(module, name), name
        setattr(module, name, value)


class Progress:
    """What a child has done: (seed at work, programs done, failures), in shared memory."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 24)

    def set(self, seed: int, failures: int) -> None:
        self.memory[:16] = struct.pack("qq", seed, failures)

    def get(self) -> tuple[int, int]:
        seed, failures = struct.unpack("qq", self.memory[:16])
        return seed, failures


def chunk(check: Callable[[int], str | None], begin: int, end: int, progress: Progress) -> int:
    """Run a chunk in this process; how many programs failed."""
    failures = 0
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    for seed in range(begin, end):
        progress.set(seed, failures)
        problem = check(seed)
        if problem is not None:
            failures += 1
            print(f"{problem}\n", flush=True)
    progress.set(end, failures)
    return failures


def run_chunks(
    check: Callable[[int], str | None], begin: int, end: int, size: int
) -> tuple[int, float]:
    """Run programs `begin` to `end`; (how many failed, seconds of processor time)."""
    failures, at = 0, begin
    while at < end:
        stop = min(at - at % size + size, end)
        progress = Progress()
        progress.set(at, 0)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            _native.set_thread_count(4)  # also on fewer processors: programs run on up to four
            lowered(at // size)
            chunk(check, at, stop, progress)
            sys.stdout.flush()
            os._exit(0)
        status = wait(child, progress)
        seed, failed = progress.get()
        failures += failed
        if status:  # ended by a signal, or for lack of patience: go on after that program
            failures += 1
            how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "an error"
            print(f"seed {seed}: the process ended by {how}\n", flush=True)
            stop = seed + 1
        at = stop
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"  to seed {at}: {failures} mismatches, {used.ru_utime + used.ru_stime:.0f} s",
              flush=True)  # fmt: skip
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return failures, used.ru_utime + used.ru_stime


def wait(child: int, progress: Progress) -> int:
    """The exit status of a child, which is ended if one program takes too long."""
    last, since = progress.get(), time.monotonic()
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        time.sleep(0.05)
        if progress.get() != last:
            last, since = progress.get(), time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            os.kill(child, signal.SIGABRT)
