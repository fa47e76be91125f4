"""Kernels in loop IR to machine code on this machine's processors.

`compile_kernel` is the whole way: simplify, vectorize, parallelize, legalize, LLVM text, object,
link. Equal kernels (by their canonical text) are compiled once.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fornax.backends.llvm import link
from fornax.backends.llvm.target import find
from fornax.backends.llvm.text import text
from fornax.compiler.loop.check import check
from fornax.compiler.loop.ir import Kernel
from fornax.compiler.loop.legalize import legalize
from fornax.compiler.loop.parallelize import parallelize
from fornax.compiler.loop.show import show
from fornax.compiler.loop.simplify import simplify
from fornax.compiler.loop.vectorize import vectorize
from fornax.compiler.target import Target

#: Part of every key: bump it when the same loop IR gives different machine code.
VERSION = 1


@dataclass(eq=False)
class CompiledKernel:
    """Machine code of one kernel.

    `name` is its content hash and its symbol in `object`, `address` where it is in this process
    (0 if it was only compiled), `extent` and `grain` how its parallel loop may be cut, `seconds`
    what each step took, `stages` the texts in between when they were asked for.
    """

    name: str
    kernel: Kernel
    target: Target
    object: bytes
    extent: int
    grain: int
    address: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Seconds of all steps together."""
        return sum(self.seconds.values())


compiled: dict[str, CompiledKernel] = {}
lock = threading.Lock()


def key(kernel: Kernel, target: Target) -> str:
    """The name under which a kernel's machine code is kept: a hash of its content."""
    described = f"{VERSION} {target}\n{show(kernel)}"
    return "k" + hashlib.blake2b(described.encode(), digest_size=16).hexdigest()


def prepare(kernel: Kernel, target: Target, stages: dict[str, str] | None = None) -> Kernel:
    """All loop passes, down to a kernel that `text` can print."""
    passes = {
        "simplify": simplify,
        "vectorize": lambda k: vectorize(k, target),
        "parallelize": lambda k: parallelize(k, target),
        "legalize": lambda k: legalize(k, target),
    }
    for name, run_pass in passes.items():
        kernel = run_pass(kernel)
        if stages is not None:
            stages[name] = show(kernel)
    return kernel


def compile_kernel(
    kernel: Kernel,
    target: Target | None = None,
    stages: bool | None = None,
    load: bool = True,
) -> CompiledKernel:
    """Compile a kernel, or find it among those compiled before.

    With `stages` (default: whether the environment sets FORNAX_DUMP) the texts between the passes
    are kept. Without `load` the object is made but not linked, which also works for targets this
    machine cannot run.
    """
    target = target or find()
    timing = link.Timing()
    with timing.step("key"):
        name = key(kernel, target)
    wanted = bool(os.environ.get("FORNAX_DUMP")) if stages is None else stages
    found = compiled.get(name)
    if found is None or (wanted and not found.stages) or (load and not found.address):
        found = build(kernel, name, target, timing, wanted, load)
        with lock:
            compiled[name] = found
    return found


def build(
    kernel: Kernel, name: str, target: Target, timing: link.Timing, stages: bool, load: bool
) -> CompiledKernel:
    check(kernel)
    texts: dict[str, str] = {"kernel": show(kernel)} if stages else {}
    with timing.step("passes"):
        ready = prepare(kernel, target, texts if stages else None)
    with timing.step("text"):
        source = text(ready, target, name)
    code = link.to_object(source, target, timing)
    if stages:
        texts["llvm"] = source
        texts["assembly"] = link.to_object(source, target, link.Timing(), assembly=True)
    address = 0
    if load:
        with timing.step("link"):
            address = link.linker().link(code, name)
    return CompiledKernel(
        name, kernel, target, code, ready.extent, ready.grain, address, timing.seconds, texts
    )


def run(
    kernel: CompiledKernel,
    arrays: Sequence[np.ndarray],
    begin: int = 0,
    end: int | None = None,
    params: Sequence[int] = (),
    worker: int = 0,
) -> None:
    """Call machine code on C-contiguous arrays, one per buffer: for tests, programs do not pass
    through here. [begin, end) is the chunk of its parallel loop."""
    if len(arrays) != len(kernel.kernel.buffers):
        raise TypeError(f"{len(kernel.kernel.buffers)} buffers, but {len(arrays)} arrays")
    numbers = np.asarray(params, np.int64)
    pointers = [a.ctypes.data for a in arrays] + [numbers.ctypes.data]
    table = (ctypes.c_void_p * len(pointers))(*pointers)
    signature = ctypes.CFUNCTYPE(
        None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64
    )
    end = kernel.extent if end is None else end
    signature(kernel.address)(ctypes.addressof(table), begin, end, worker)
