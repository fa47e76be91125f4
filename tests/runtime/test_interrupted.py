"""A process that is interrupted while it compiles ends as one that is not compiling."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys, threading
import fornax as fx, fornax.numpy as fnp

def function(x, w):
    for k in range(12):
        x = fnp.tanh(x @ w[k]) + fnp.exp(-x * k) / (1 + fnp.abs(x).sum(1, keepdims=True))
        x = x - x.mean(0)
    return x.sum()

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have it ignored
fx.jit(lambda x: x + 1)(1.0)
jitted = fx.jit(fx.grad(function, 1))
threading.Timer(float(sys.argv[1]), os.kill, (os.getpid(), signal.SIGINT)).start()
while True:
    jitted(fnp.ones((64, 64)), fnp.ones((12, 64, 64)))
    fx.clear_caches()
"""


@pytest.mark.parametrize("seconds", [0.2, 0.3, 0.4, 0.5])
def test_interrupts_while_compiling_end_the_process_as_such(seconds):
    """Threads that generate code must have ended when LLVM's own data goes: they crashed."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(seconds)], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == -signal.SIGINT, ended.stderr
    assert ended.stderr.rstrip().endswith("KeyboardInterrupt")
