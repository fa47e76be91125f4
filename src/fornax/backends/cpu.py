"""Kernels in loop IR to machine code on this machine's processors.

`compile_kernel` is the whole way: simplify, vectorize, parallelize, legalize, LLVM text, object,
link. Equal kernels (by their canonical text) are compiled once.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fornax.backends.llvm import generate, link
from fornax.backends.llvm.target import find as find
from fornax.backends.llvm.text import text
from fornax.compiler.loop.bounds import bound
from fornax.compiler.loop.check import check
from fornax.compiler.loop.ir import Kernel
from fornax.compiler.loop.jump import jump
from fornax.compiler.loop.legalize import legalize
from fornax.compiler.loop.parallelize import parallelize
from fornax.compiler.loop.show import show
from fornax.compiler.loop.simplify import simplify
from fornax.compiler.loop.vectorize import vectorize
from fornax.compiler.target import Target
from fornax.errors import InternalError
from fornax.record import field, record

#: Part of every key: bump it when the same loop IR gives different machine code.
VERSION = 16


@record(eq=False)
class CompiledKernel:
    """Machine code of one kernel, perhaps still being generated.

    `name` is its content hash and its symbol in `object`, `address` where it is in this process
    (0 until `load`), `extent` and `grain` how its parallel loop may be cut, `seconds` what each
    step took, `stages` the texts in between when they were asked for.
    """

    name: str
    kernel: Kernel
    target: Target
    extent: int
    grain: int
    #: what gives the object and, when the stages are kept, the assembly text
    generations: tuple[Any, ...]
    address: int = 0
    library: Any = None  #: holds the code behind the address
    seconds: dict[str, float] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)
    code: bytes = b""

    @property
    def object(self) -> bytes:
        """The relocatable object; waits for it."""
        generations = self.generations
        if generations:
            code, self.seconds["parse"], self.seconds["generate"] = generations[0].wait()
            for assembly in generations[1:]:
                self.stages["assembly"] = assembly.wait()[0].decode()
            self.code, self.generations = code, ()
        return self.code

    @property
    def total(self) -> float:
        """Seconds of all steps together."""
        return sum(self.seconds.values())


#: kernels by name, those used last at the end; programs hold theirs themselves
compiled: OrderedDict[str, CompiledKernel] = OrderedDict()
#: most kernels kept for programs to come: one takes about 70 kB
MOST = 1024
lock = threading.Lock()


def key(kernel: Kernel, target: Target) -> str:
    """The name under which a kernel's machine code is kept: a hash of its content."""
    described = f"{VERSION} {target}\n{show(kernel)}"
    return "k" + hashlib.blake2b(described.encode(), digest_size=16).hexdigest()


#: the loop passes, in order
PASSES: dict[str, Callable[[Kernel, Target], Kernel]] = {
    "simplify": lambda kernel, target: simplify(kernel),
    "vectorize": vectorize,
    "parallelize": parallelize,
    "bound": bound,
    "legalize": legalize,
    "jump": jump,
}


def prepare(kernel: Kernel, target: Target, stages: dict[str, str] | None = None) -> Kernel:
    """All loop passes, down to a kernel that `text` can print."""
    for name, run_pass in PASSES.items():
        kernel = run_pass(kernel, target)
        if stages is not None:
            stages[name] = show(kernel)
    return kernel


def compile_kernel(
    kernel: Kernel,
    target: Target | None = None,
    stages: bool | None = None,
    load_code: bool = True,
) -> CompiledKernel:
    """Compile a kernel, or find it among those compiled before.

    With `stages` (default: whether the environment sets FORNAX_DUMP) the texts between the passes
    are kept. Without `load_code` the object is made but not linked, which also works for targets
    this machine cannot run.
    """
    wanted = bool(os.environ.get("FORNAX_DUMP")) if stages is None else stages
    found = start(kernel, target or find(), wanted)
    if load_code:
        load([found])
    return found


def start(kernel: Kernel, target: Target, stages: bool = False) -> CompiledKernel:
    """Begin to compile a kernel; its code may be generated while the caller goes on."""
    begin = time.perf_counter()
    name = key(kernel, target)
    found = compiled.get(name)
    if found is None or (stages and not found.stages):
        generate.begin()
        found = build(kernel, name, target, begin, stages)
        with lock:
            compiled[name] = found
            while len(compiled) > MOST:
                compiled.popitem(last=False)
    else:
        with lock:
            if name in compiled:
                compiled.move_to_end(name)
    return found


def build(kernel: Kernel, name: str, target: Target, begin: float, stages: bool) -> CompiledKernel:
    check(kernel)
    texts: dict[str, str] = {"kernel": show(kernel)} if stages else {}
    named = time.perf_counter()
    ready = prepare(kernel, target, texts if stages else None)
    passed = time.perf_counter()
    source = text(ready, target, name)
    seconds = {"key": named - begin, "passes": passed - named, "text": time.perf_counter() - passed}
    generations = [generate.start(source, target)]
    if stages:
        texts["llvm"] = source
        generations.append(generate.start(source, target, assembly=True))
    return CompiledKernel(
        name, kernel, target, ready.extent, ready.grain, tuple(generations),
        seconds=seconds, stages=texts,
    )  # fmt: skip


def load(kernels: Iterable[CompiledKernel]) -> None:
    """Wait for the code of kernels and link what is not yet part of this process."""
    missing = {k.name: k for k in kernels if not k.address}
    if missing:
        objects = {name: k.object for name, k in missing.items()}
        begin = time.perf_counter()
        library = link.linker().link(objects)
        for k in missing.values():
            k.address, k.library = library[k.name], library
            k.seconds["link"] = (time.perf_counter() - begin) / len(missing)


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
        raise InternalError(f"{len(kernel.kernel.buffers)} buffers, but {len(arrays)} arrays")
    numbers = np.asarray(params, np.int64)
    pointers = [a.ctypes.data for a in arrays] + [numbers.ctypes.data]
    table = (ctypes.c_void_p * len(pointers))(*pointers)
    signature = ctypes.CFUNCTYPE(
        None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64
    )
    end = kernel.extent if end is None else end
    signature(kernel.address)(ctypes.addressof(table), begin, end, worker)
