"""Loads and stores at an address per lane: by one instruction or one by one, as the target has it,
and the same results in any way."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from agreement import agree, target
from random_kernels import Made, buffer, data

from fornax.backends import cpu
from fornax.backends.llvm import target as targets_of_llvm
from fornax.backends.llvm.target import REQUIRED, TARGETS
from fornax.backends.llvm.text import text
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import Axis, For, If, Kernel, Store
from fornax.compiler.loop.rewrite import walk

QUICK = TARGETS["avx512"]
STEPS = replace(QUICK, gathers=False)


def gathering(dtype: str, index: str, size: int, extent: int, mode: str) -> Kernel:
    """y[i] = x[k[i]], clamped, or 0 where that is outside."""
    b = Builder()
    x, k = buffer("x", dtype, (size,)), buffer("k", index, (extent,))
    y, one = buffer("y", dtype, (extent,), "out"), Axis(extent, "i")
    place = b.cast(b.load(k, (b.axis(one),)), "int64")
    value = b.load(x, (b.clamp_index(place, 0, size - 1),))
    if mode == "fill":
        value = b.select(b.within(place, 0, size), value, b.const(0, dtype))
    return Kernel("gathering", (x, k, y), (For(one, (Store(y, (b.axis(one),), value),)),))


def scattering(dtype: str, index: str, size: int, extent: int) -> Kernel:
    """y[k[i]] = x[i] where that is inside; of equal places the last one counts."""
    b = Builder()
    x, k = buffer("x", dtype, (extent,)), buffer("k", index, (extent,))
    y, one = buffer("y", dtype, (size,), "inout"), Axis(extent, "i")
    place = b.cast(b.load(k, (b.axis(one),)), "int64")
    store = Store(y, (place,), b.load(x, (b.axis(one),)))
    body = (For(one, (If(b.within(place, 0, size), (store,)),)),)
    return Kernel("scattering", (x, k, y), body)


def apart(dtype: str, extent: int, step: int) -> Kernel:
    """y[step i] = x[step i] + x[step i], step elements from one to the next."""
    b = Builder()
    x = buffer("x", dtype, (extent * step + 9,))
    y, one = buffer("y", dtype, (extent * step + 9,), "inout"), Axis(extent, "i")
    at = b.add(b.mul(b.axis(one), b.index(step)), b.index(3))
    value = b.load(x, (at,))
    return Kernel("apart", (x, y), (For(one, (Store(y, (at,), b.add(value, value)),)),))


def indices(dtype: str, extent: int, size: int) -> np.ndarray:
    return np.random.default_rng(5).integers(-3, size + 4, extent).astype(dtype)


def targets(name: str):
    chosen = target(name)
    return [chosen, replace(chosen, gathers=not chosen.gathers)]


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2", "wide"])
@pytest.mark.parametrize("dtype", ["float32", "int64", "float64", "int8"])
@pytest.mark.parametrize("index", ["int32", "int64", "int8"])
def test_results_are_the_same_in_any_way(name, dtype, index):
    for extent in (3, 16, 40, 131):
        places = indices(index, extent, 100)
        for chosen in targets(name):
            for mode in ("clip", "fill"):
                arrays = [data(dtype, (100,), 1), places, np.zeros(extent, dtype)]
                agree(Made(gathering(dtype, index, 100, extent, mode), arrays, [2]), chosen)
            arrays = [data(dtype, (extent,), 1), places, np.zeros(100, dtype)]
            agree(Made(scattering(dtype, index, 100, extent), arrays, [2]), chosen)


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2", "wide"])
@pytest.mark.parametrize("dtype", ["float32", "int64", "float16", "int8"])
def test_lanes_at_equal_distances(name, dtype):
    for extent in (3, 16, 40, 131):
        for step in (7, 1000):
            kernel = apart(dtype, extent, step)
            for chosen in targets(name):
                size = extent * step + 9
                arrays = [data(dtype, (size,), 1, whole=True), data(dtype, (size,), 2)]
                agree(Made(kernel, arrays, [1]), chosen)


def lines(kernel: Kernel, chosen) -> str:
    return text(cpu.prepare(kernel, chosen), chosen)


def test_lanes_at_equal_distances_are_stored_one_by_one_where_one_instruction_is_slow():
    kernel = apart("float32", 4096, 7)
    assert "masked.gather" in lines(kernel, QUICK) and "masked.scatter" in lines(kernel, QUICK)
    assert "masked.gather" not in lines(kernel, STEPS)
    assert "masked.scatter" not in lines(kernel, STEPS)


@pytest.mark.parametrize("chosen", [QUICK, STEPS])
def test_computed_offsets_are_narrow_where_they_fit(chosen):
    def offsets(kernel):
        found = lines(kernel, chosen)
        wide = re.findall(r"getelementptr float, ptr \S+, <\d+ x i(\d+)>", found)
        return {*map(int, wide), *([32] if "avx2.gather.d." in found else [])}

    for mode in ("clip", "fill"):
        assert offsets(gathering("float32", "int32", 1000, 4096, mode)) == {32}
        assert offsets(gathering("float32", "int64", 1000, 4096, mode)) == {32}
        assert offsets(gathering("float32", "int64", 1 << 32, 4096, mode)) == {64}


def test_gathers_are_short_where_that_is_quicker():
    for dtype, name in (
        ("float32", "d.ps"),
        ("int32", "d.d"),
        ("float64", "d.pd"),
        ("int64", "d.q"),
    ):
        kernel = gathering(dtype, "int32", 1000, 4096, "clip")
        assert f"avx2.gather.{name}.256" in lines(kernel, STEPS)
        assert "masked.gather" not in lines(kernel, STEPS)
        assert "avx2.gather" not in lines(kernel, QUICK)
    for chosen in (STEPS, replace(TARGETS["avx2"])):
        assert "masked.gather" in lines(gathering("int8", "int32", 1000, 4096, "clip"), chosen)
    assert "avx2.gather" not in lines(
        gathering("float32", "int32", 1000, 4096, "clip"), TARGETS["avx2"]
    )


@pytest.mark.parametrize("chosen", [QUICK, STEPS])
def test_the_clamp_of_narrow_indices_is_narrow(chosen):
    for mode in ("clip", "fill"):
        found = lines(gathering("float32", "int32", 1000, 4096, mode), chosen).splitlines()
        assert not [s for s in found if "x i64>" in s and "sext" not in s]  # which nothing uses


def test_loops_that_scatter_run_one_by_one_where_one_instruction_is_slow():
    kernel = scattering("float32", "int32", 1000, 4096)

    def kinds(chosen):
        return {s.kind for s in walk(cpu.prepare(kernel, chosen).body) if isinstance(s, For)}

    assert "vector" in kinds(QUICK)
    assert "vector" not in kinds(STEPS)


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize(
    ("before", "after"),
    [("int8", "int64"), ("int32", "int64"), ("int16", "int32"), ("int16", "float32"),
     ("int32", "float64"), ("uint8", "int32"), ("int64", "int32")],
)  # fmt: skip
def test_clamps_and_comparisons_of_what_was_made_wide(name, before, after):
    ends = [3, -4, 0, 200, -(1 << 20), *([3.5, -2.5] if "float" in after else [])]
    for end in ends:
        b = Builder()
        x, axis = buffer("x", before, (67,)), Axis(67, "i")
        value, limit = b.cast(b.load(x, (b.axis(axis),)), after), b.const(end, after)
        results = {
            name: b.op(name, value, limit)
            for name in ("min", "max", "lt", "le", "gt", "ge", "eq", "ne")
        }
        outputs = [buffer(name, r.dtype, (67,), "out") for name, r in results.items()]
        stores = zip(outputs, results.values(), strict=True)
        body = (For(axis, tuple(Store(y, (b.axis(axis),), r) for y, r in stores)),)
        kernel = Kernel("wide", (x, *outputs), body)
        arrays = [data(before, (67,), 3), *(np.zeros(67, y.dtype) for y in outputs)]
        agree(Made(kernel, arrays, [*range(1, len(arrays))]), target(name))


@pytest.mark.parametrize(("made_by", "quick"), [("GenuineIntel", True), ("AuthenticAMD", False)])
def test_the_maker_tells_whether_gathers_are_quick(made_by, quick, monkeypatch):
    flags = {"flags": " ".join(REQUIRED["avx512"]), "vendor_id": made_by}
    monkeypatch.setattr(targets_of_llvm, "processor", lambda: flags)
    monkeypatch.setattr(targets_of_llvm.platform, "machine", lambda: "x86_64")
    chosen = targets_of_llvm.native.__wrapped__()
    assert (chosen.name, chosen.gathers, chosen.compacts) == ("avx512", quick, True)
