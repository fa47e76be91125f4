"""Kernels whose operands are expressions and whose results are changed on their way to memory."""

import kernel_running as running
import numpy as np
import pytest

from fornax.backends.llvm import target as targets
from fornax.compiler.kernels import KERNELS, MemoryContext, gemm_decisions, lines
from fornax.compiler.loop.check import check
from fornax.ir.types import ArrayType


class Fused(MemoryContext):
    """Operands are 1 / (x + 1): no zero of memory may be read as padding. The result y becomes
    y * s + y, `rounds` times, with s from the last operand, which has the shape of the result."""

    rounds = 1

    def operand(self, i, index):
        b = self.b
        one = b.const(1.0, "float32")
        return b.div(one, b.add(super().operand(i, index), one))

    def operand_buffer(self, i):
        return None

    def store(self, j, index, value):
        b = self.b
        scale = b.load(self.operands[-1], tuple(index))
        for _ in range(self.rounds):
            value = b.add(b.mul(value, scale), value)
        return super().store(j, index, value)


class Heavy(Fused):
    rounds = 12


def run(kind, name, params, arrays, shape, how, threads=2):
    scale = np.random.default_rng(7).uniform(-0.5, 0.5, shape).astype(np.float32)
    arrays = [*arrays, scale]
    types = [ArrayType(a.shape, a.dtype) for a in arrays]
    outputs = [ArrayType(shape, np.dtype(np.float32))]
    k = kind(params, types, outputs, targets.find(), threads)
    KERNELS[name](k)
    for kernel in k.kernels:
        check(kernel)
    (found,) = running.run(k, arrays, how)
    return found, scale.astype(np.float64)


def finished(kind, y, scale):
    for _ in range(kind.rounds):
        y = y * scale + y
    return y


@pytest.mark.parametrize("kind", [Fused, Heavy])
@pytest.mark.parametrize(
    "rows,columns,depth",
    [(1, 1, 1), (4, 4, 4), (13, 21, 9), (12, 32, 40), (1, 70, 33), (40, 1, 50), (3, 200, 25)],
)
@pytest.mark.parametrize("layout", ["nn", "nt", "tn"])
def test_products(kind, rows, columns, depth, layout, how, monkeypatch):
    monkeypatch.setattr(gemm_decisions, "WORTH_A_THREAD", 64)
    monkeypatch.setattr(lines, "WORTH_A_THREAD", 64)
    monkeypatch.setattr(gemm_decisions, "PACKED_ALONE", 100)
    generator = np.random.default_rng(6)
    left = (rows, depth) if layout[0] == "n" else (depth, rows)
    right = (depth, columns) if layout[1] == "n" else (columns, depth)
    x, y = (generator.uniform(0, 2, s).astype(np.float32) for s in (left, right))
    numbers = (((int(layout[0] == "n"),), (int(layout[1] == "t"),)), ((), ()))
    shape = (rows, columns)
    found, scale = run(kind, "dot_general", {"dimension_numbers": numbers}, [x, y], shape, how)
    u, v = (1 / (a.astype(np.float64) + 1) for a in (x, y))
    expected = (u if layout[0] == "n" else u.T) @ (v if layout[1] == "n" else v.T)
    np.testing.assert_allclose(found, finished(kind, expected, scale), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape,axis", [((70,), 0), ((9, 75), 1), ((5, 40), 0)])
@pytest.mark.parametrize("reverse", [False, True])
def test_cumulative(shape, axis, reverse, how):
    x = np.random.default_rng(8).uniform(0, 2, shape).astype(np.float32)
    params = {"axis": axis, "reverse": reverse}
    found, scale = run(Fused, "cumsum", params, [x], shape, how)
    u = 1 / (x.astype(np.float64) + 1)
    total = np.flip(np.cumsum(np.flip(u, axis), axis), axis) if reverse else np.cumsum(u, axis)
    np.testing.assert_allclose(found, finished(Fused, total, scale), rtol=1e-4)


@pytest.mark.parametrize("dimension", [0, 1])
def test_concatenate(dimension, how):
    shapes = [(3, 5), (2, 5)] if dimension == 0 else [(3, 5), (3, 4)]
    arrays = [np.random.default_rng(9).uniform(0, 2, s).astype(np.float32) for s in shapes]
    joined = np.concatenate(arrays, dimension)

    scale = np.random.default_rng(7).uniform(-0.5, 0.5, joined.shape).astype(np.float32)
    types = [ArrayType(a.shape, a.dtype) for a in (*arrays, scale)]
    outputs = [ArrayType(joined.shape, joined.dtype)]
    k = Fused({"dimension": dimension}, types, outputs, targets.find())
    k.inputs = k.inputs[:-1]  # the scale is no piece
    KERNELS["concatenate"](k)
    (found,) = running.run(k, [*arrays, scale], how)
    expected = finished(Fused, 1 / (joined + 1.0), scale)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
