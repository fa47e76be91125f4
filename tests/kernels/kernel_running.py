"""Runs the nests of a `MemoryContext` on NumPy arrays, interpreted or compiled."""

from __future__ import annotations

import ctypes

import numpy as np

from fornax.backends import cpu
from fornax.backends.llvm import target as targets
from fornax.compiler.kernels import KERNELS, STARTS_AS, MemoryContext
from fornax.compiler.loop.check import check
from fornax.compiler.loop.interpret import interpret
from fornax.compiler.loop.meaning import numpy_dtype
from fornax.ir.types import ArrayType

#: Guard bytes around every buffer, to notice stores outside of it.
MARGIN = 64


def context(name, params, arrays, outputs, target=None, threads=1, strides=None):
    """The nests of primitive `name` applied to arrays; `outputs` holds (shape, dtype)."""
    k = MemoryContext(
        params,
        [ArrayType(a.shape, a.dtype) for a in arrays],
        [ArrayType(shape, np.dtype(dtype)) for shape, dtype in outputs],
        target or targets.find(),
        threads,
        strides,
        name.replace("-", "_"),
    )
    KERNELS[name](k)
    for kernel in k.kernels:
        check(kernel)
    return k


class Memory:
    """Arrays of the buffers of a context, results and workspaces with guarded margins."""

    def __init__(self, k: MemoryContext, arrays, start=None):
        self.k = k
        self.arrays = dict(k.constants)
        self.guarded = []
        for buffer, array in zip(k.operands, arrays, strict=True):
            self.arrays[buffer] = np.ascontiguousarray(array)
        self.results = []
        for j, (buffer, type_) in enumerate(zip(k.results, k.outputs, strict=True)):
            array = self.fresh(type_.shape, type_.dtype)
            if start is not None and j == 0:
                array[...] = start
            self.results.append(array)
            self.arrays[buffer] = array

    def fresh(self, shape, dtype):
        """An array full of 0xA5 with margins of the same."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        raw = np.full(size + 2 * MARGIN, 1 if np.dtype(dtype).kind == "b" else 0xA5, np.uint8)
        self.guarded.append((raw, size))
        return raw[MARGIN : MARGIN + size].view(dtype).reshape(shape)

    def of(self, buffer, workers=1):
        found = self.arrays.get(buffer)
        if found is None:
            shape = buffer.shape if buffer.role != "scratch" else (workers, *buffer.shape)
            found = self.arrays[buffer] = self.fresh(shape, numpy_dtype(buffer.dtype))
        return found

    def check(self):
        for raw, size in self.guarded:
            assert (raw[:MARGIN] == raw[0]).all() and (raw[MARGIN + size :] == raw[0]).all()


def run(k: MemoryContext, arrays, how="interpret", start=None):
    """Results of the nests. A parallel loop runs as two chunks, the second one first."""
    memory = Memory(k, arrays, start)
    for kernel in k.kernels:
        buffers = [memory.of(b) for b in kernel.buffers]
        middle = kernel.extent // 2
        chunks = [(middle, kernel.extent), (0, middle)] if middle else [(0, kernel.extent)]
        call = compiled(k, kernel) if how == "compile" else interpret
        for begin, end in chunks:
            call(kernel, buffers, begin, end)
    memory.check()
    return memory.results


def compiled(k, kernel):
    """A function that runs a kernel as machine code."""
    made = cpu.compile_kernel(kernel, k.target)
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)(made.address)

    def call(kernel, buffers, begin, end):
        pointers = (ctypes.c_void_p * max(len(buffers), 1))(*[a.ctypes.data for a in buffers])
        function(pointers, begin, end, 0)

    return call


def apply(name, params, arrays, outputs, how="interpret", **options):
    """Results of primitive `name` on arrays."""
    k = context(name, params, arrays, outputs, **options)
    start = arrays[STARTS_AS[name]] if name in STARTS_AS else None
    return run(k, arrays, how, start)


def random(generator, shape, dtype):
    """Values of moderate size of any dtype."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return generator.random(shape) < 0.3
    if dtype.kind in "iu":
        return generator.integers(-100 if dtype.kind == "i" else 0, 100, shape).astype(dtype)
    if dtype.kind == "c":
        parts = generator.normal(size=(2, *shape))
        return (parts[0] + 1j * parts[1]).astype(dtype)
    return generator.normal(size=shape).astype(dtype)
