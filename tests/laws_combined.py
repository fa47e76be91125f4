"""Laws of combinations: compiled for every target, from memory of any layout, transformations
around compiled calls and around each other. Like `laws`, generic over case rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from cases.row import Row, Variant
from fornax import settings
from fornax.backends.llvm.target import REQUIRED, cpu_flags
from fornax.ir.basis import instantiate, move_axis
from fornax.ir.evaluate import evaluate
from fornax.ir.types import typeof
from fornax.primitives.call import jit_p
from fornax.runtime import eager
from fornax.runtime.compile import executable
from fornax.runtime.values import to_array
from fornax.transforms.batch import batch_flat
from fornax.transforms.jvp import jvp_flat
from fornax.transforms.linearize import linearize_flat
from fornax.transforms.stage import stage
from fornax.transforms.transpose import backward
from laws import (
    assert_close,
    describe,
    differentiable,
    directions,
    gradient_of,
    mapped_over,
    numpy,
    out_dtype,
    perturbed,
    reference,
    special_operands,
    types_of,
)

#: the targets that this machine can run
RUNNABLE = [t for t in ("avx512", "avx2", "sse2") if REQUIRED.get(t, set()) <= cpu_flags()]


def number(row: Row) -> int:
    """The same at every run, different from row to row: what rotates over the rows."""
    return zlib.crc32(str(row).encode())


def some(row: Row) -> tuple[np.dtype, Variant]:
    """One of the row's dtypes with one of its variants."""
    k = number(row)
    return row.dtypes[k % len(row.dtypes)], row.variants[k // 7 % len(row.variants)]


def compiled(function: Callable, arrays: Sequence[np.ndarray], name: str) -> Callable:
    """A function of arrays as machine code."""
    program = stage(function, types_of(arrays), name)
    call = executable(program, name).call
    return lambda *xs: [numpy(r) for r in call([to_array(x) for x in xs])]


def bound(row: Row, params: dict) -> Callable:
    return lambda *xs: row.primitive.bind(*xs, **params)


# --- targets -----------------------------------------------------------------------------------
def targets_agree(row: Row, every: bool = False) -> None:
    """Machine code of every target gives what the reference gives; special values, too. One dtype
    with one variant, or `every` one."""
    choices = [(d, v) for d in row.dtypes for v in row.variants] if every else [some(row)]
    for (dtype, variant), target in ((c, t) for c in choices for t in RUNNABLE):
        cases = [row.operands(dtype, variant)]
        if row.special and variant is row.variants[0]:
            cases.append(special_operands(row, dtype, variant))
        for arrays in cases:
            where = f"{target}: {describe(row, arrays, variant.params)}"
            expected = reference(row.primitive, arrays, variant.params)
            with settings.override(target=target, flush_denormals=False):
                got = compiled(bound(row, variant.params), arrays, row.name)(*arrays)
            for g, e in zip(got, expected, strict=True):
                loose = max(row.tolerance(out_dtype(e, dtype)), row.tolerance(dtype))
                assert_close(g, e, loose, where)


# --- memory ------------------------------------------------------------------------------------
def layouts(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The same numbers in memory of other layouts."""
    frozen = array.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen
    raw = np.zeros(array.nbytes + 64, np.uint8)[1 : 1 + array.nbytes]
    odd = np.ndarray(array.shape, array.dtype, raw)
    odd[...] = array
    yield "at an odd address", odd
    if array.ndim:
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        yield "every second element", wide[..., ::2]
        yield "reversed", np.ascontiguousarray(array[::-1])[::-1]
        yield "transposed", np.ascontiguousarray(array.T).T


def memory_does_not_matter(row: Row) -> None:
    """Operands may lie anywhere and be read-only, eagerly and compiled, and are not written."""
    dtype, variant = some(row)
    arrays = row.operands(dtype, variant)
    where = describe(row, arrays, variant.params)
    expected = reference(row.primitive, arrays, variant.params)
    run = compiled(bound(row, variant.params), arrays, row.name)
    for moved in zip(*map(list, map(layouts, arrays)), strict=False):
        kinds = ", ".join(kind for kind, _ in moved)
        given = [array for _, array in moved]
        eagerly = [numpy(r) for r in row.primitive.bind(*map(to_array, given), **variant.params)]
        for got in (eagerly, run(*given)):
            for g, e in zip(got, expected, strict=True):
                assert_close(g, e, row.tolerance(out_dtype(e, dtype)), f"{where} {kinds}")
        for array, before in zip(given, arrays, strict=True):
            np.testing.assert_array_equal(array, before, err_msg=f"{where} {kinds}: written")


def eager_equals_reference(row: Row) -> None:
    """Operations on arrays give what the reference gives, before and after their promotion to a
    compiled kernel."""
    dtype, variant = some(row)
    arrays = row.operands(dtype, variant)
    where = describe(row, arrays, variant.params)
    expected = reference(row.primitive, arrays, variant.params)
    given = [to_array(a) for a in arrays]
    patience = eager.PROMOTE_AFTER
    try:
        for seconds in (patience, 0.0, 0.0):
            eager.PROMOTE_AFTER = seconds
            got = [numpy(r) for r in row.primitive.bind(*given, **variant.params)]
            for g, e in zip(got, expected, strict=True):
                assert_close(g, e, row.tolerance(out_dtype(e, dtype)), where)
    finally:
        eager.PROMOTE_AFTER = patience


# --- transformations ---------------------------------------------------------------------------
def nested_maps(row: Row) -> None:
    """A map of a map is a loop of loops, whichever axes each of them takes."""
    dtype = row.precise[number(row) % len(row.precise)]
    variant = row.variants[number(row) // 7 % len(row.variants)]
    arrays = row.operands(dtype, variant)
    where = f"{describe(row, arrays, variant.params)} vmap of vmap"
    tolerance = max(row.tolerance(dtype), row.tolerance(row.precise[-1])) * 4
    outer, inner = 2, 3
    grid = [[[perturbed(a, 2 * i + j) for j in range(inner)] for i in range(outer)] for a in arrays]
    for place in (0, 1):
        # the inner axis is the first or the last one; of several operands, one is not mapped
        dims = [0 if place == 0 else a.ndim for a in arrays]
        free = len(arrays) > 1 and place == 1
        stacked = [np.stack([np.stack(rows, d) for rows in g]) for g, d in zip(grid, dims,
                   strict=True)]  # fmt: skip
        outer_dims: list[int | None] = [0] * len(arrays)
        if free:
            stacked[-1], outer_dims[-1] = stacked[-1][0], None

        def mapped(*xs, dims=tuple(dims)):
            outs, out_dims = batch_flat(bound(row, variant.params), inner, xs, dims)
            return [
                o if d is None else move_axis(o, d, 0) for o, d in zip(outs, out_dims, strict=True)
            ]

        outs, out_dims = batch_flat(mapped, outer, stacked, outer_dims)
        for i in range(outer):
            for j in range(inner):
                picked = [g[0 if free and k == len(grid) - 1 else i][j] for k, g in enumerate(grid)]
                expected = reference(row.primitive, picked, variant.params)
                for out, d, e in zip(outs, out_dims, expected, strict=True):
                    got = numpy(out) if d is None else np.take(numpy(out), i, d)
                    if got.ndim > e.ndim:
                        got = got[j]
                    assert_close(got, e, tolerance, where)


def in_jit(function: Callable, xs: Sequence[Any], name: str) -> list[Any]:
    """A call of `function` as one operation `jit`."""
    program = stage(function, [typeof(x) for x in xs], name)
    return jit_p.bind(*program.consts, *xs, name=name, jaxpr=program.without_consts())


def jit_anywhere(row: Row) -> None:
    """A compiled call inside, between or around other transformations changes nothing."""
    size = 2
    for function, primals, where in differentiable(row):
        stacked = [np.stack([perturbed(p, k) for k in range(size)]) for p in primals]

        def inside(*xs, function=function):
            return in_jit(function, xs, row.name)

        def between(*xs, inside=inside):
            return in_jit(mapped_over(inside, size), xs, row.name)

        expected = gradient_of(mapped_over(function, size))(*stacked)
        around = stage(gradient_of(between), types_of(stacked), row.name)
        for results in (
            gradient_of(between)(*stacked),
            mapped_over(gradient_of(inside), size)(*stacked),
            evaluate(around, *stacked),
            executable(around, row.name).call(stacked),
        ):
            for got, want in zip(results, expected, strict=True):
                np.testing.assert_allclose(
                    numpy(got), numpy(want), rtol=1e-8, atol=1e-9, err_msg=where
                )
        break  # of one variant


def second_derivatives_agree(row: Row) -> None:
    """Forward over forward, forward over reverse, reverse over forward and reverse over reverse
    give the same second derivative along two directions."""
    for function, primals, where in differentiable(row):
        along, again = directions(primals, 4), directions(primals, 5)

        def slope(*xs, function=function, along=along):
            return [instantiate(t) for t in jvp_flat(function, xs, along)[1]]

        def summed(*xs, function=function):
            return gradient_of(function)(*xs)

        weights = [np.ones(t.shape, t.dtype) for t in map(numpy, slope(*primals))]
        forward = [numpy(instantiate(t)) for t in jvp_flat(slope, primals, again)[1]]
        wanted = sum(np.sum(w * f) for w, f in zip(weights, forward, strict=True))
        # the derivative of <gradient, along> along the second direction
        over = [numpy(instantiate(t)) for t in jvp_flat(summed, primals, again)[1]]
        found = [sum(np.sum(o * a) for o, a in zip(over, along, strict=True))]
        for of in (slope, summed):
            outs, program, has_tangent = linearize_flat(of, primals)
            cts = weights if of is slope else along
            cts = [c for c, h in zip(cts, has_tangent, strict=True) if h]
            grads = [numpy(instantiate(g)) for g in backward(program, cts)]
            found.append(sum(np.sum(g * a) for g, a in zip(grads, again, strict=True)))
        scale = max(1.0, *(float(np.max(np.abs(f), initial=0.0)) for f in forward))
        # the real part: the linear maps of functions of complex numbers that are no analytic ones
        # are linear over the reals only
        for got in found:
            np.testing.assert_allclose(
                got.real, wanted.real, rtol=1e-7, atol=1e-7 * scale, err_msg=where
            )
