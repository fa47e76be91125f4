"""What must hold of every primitive: laws, generic over case rows.

Each law takes a row of `cases` and raises AssertionError, with the operands, where it is broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from cases.row import Row, Variant
from fornax import settings
from fornax.compiler.kernels import KERNELS
from fornax.compiler.loop import check, interpret, schedule
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import COMPLEX, Buffer, Kernel, row_major
from fornax.ir.basis import instantiate
from fornax.ir.check import check as check_program
from fornax.ir.evaluate import evaluate
from fornax.ir.primitive import Primitive
from fornax.ir.types import ArrayType, typeof
from fornax.runtime import eager  # noqa: F401  (fills the hook for operations on values)
from fornax.runtime.values import to_numpy
from fornax.scalars import dtypes
from fornax.transforms.batch import batch_flat, place
from fornax.transforms.jvp import jvp_flat
from fornax.transforms.linearize import linearize_flat
from fornax.transforms.stage import stage
from fornax.transforms.transpose import backward


def numpy(x: Any) -> np.ndarray:
    """A value as a NumPy array."""
    return np.asarray(to_numpy(x, typeof(x)))


def types_of(arrays: Sequence[np.ndarray]) -> list[ArrayType]:
    return [ArrayType(a.shape, a.dtype) for a in arrays]


def reference(primitive: Primitive, arrays: Sequence[np.ndarray], params: dict) -> list:
    with np.errstate(all="ignore"):
        return [np.asarray(r) for r in primitive.reference(*arrays, **params)]


def describe(row: Row, arrays: Sequence[np.ndarray], params: dict) -> str:
    shapes = ", ".join(f"{a.dtype}{list(a.shape)}" for a in arrays)
    return f"{row.name}({shapes}, {params})"


def assert_close(got: Any, want: Any, tolerance: float, where: str) -> None:
    """Equal types; equal values up to `tolerance` relative to the size of each number."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype, f"{where}: dtype {got.dtype}, expected {want.dtype}"
    assert got.shape == want.shape, f"{where}: shape {got.shape}, expected {want.shape}"
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    if want.dtype.kind in "biu":
        same = got == want
    else:
        got, want = got.astype(wide), want.astype(wide)
        with np.errstate(all="ignore"):
            near = np.abs(got - want) <= tolerance * np.maximum(np.abs(want), 1e-30)
        same = (got == want) | near | (np.isnan(got) & np.isnan(want))
    assert np.all(same), f"{where}:\n got {got[~same][:8]}\nwant {want[~same][:8]}"


def runs(row: Row, dtype_choice: Sequence[np.dtype]):
    """(operands, params, dtype, description) for every variant in the given dtypes."""
    for dtype in dtype_choice:
        for variant in row.variants:
            arrays = row.operands(dtype, variant)
            yield arrays, variant.params, dtype, describe(row, arrays, variant.params)


# --- types and values --------------------------------------------------------------------------
def reference_matches_type(row: Row) -> None:
    """The reference gives what the type rule says."""
    for arrays, params, _, where in runs(row, row.dtypes):
        expected = row.primitive.type(*types_of(arrays), **params)
        results = reference(row.primitive, arrays, params)
        assert len(results) == len(expected), where
        for result, type in zip(results, expected, strict=True):
            assert (result.shape, result.dtype) == (type.shape, type.dtype), (
                f"{where}: reference gives {result.dtype}{result.shape}, type {type.short()}"
            )


def element_results(
    primitive: Primitive, arrays: Sequence[np.ndarray], params: dict
) -> list[np.ndarray]:
    """The results by the element rule: one kernel per result, run by the interpreter."""
    types = types_of(arrays)
    results = []
    for position, out in enumerate(primitive.type(*types, **params)):
        b = Builder()
        buffers = [memory(f"x{i}", t, "in") for i, t in enumerate(types)]
        operands = [
            partial(load, b, buffer, t.dtype.name) for buffer, t in zip(buffers, types, strict=True)
        ]
        axes = [b.new_axis(n) for n in out.shape]
        index = [b.axis(a) for a in axes]
        value = primitive.element(b, types, operands, index, **params)[position]
        target = memory("y", out, "out")
        parts = value if out.dtype.name in COMPLEX else [value]
        tails = [(b.index(k),) for k in range(2)] if out.dtype.name in COMPLEX else [()]
        stores = [(target, (*index, *t), p) for t, p in zip(tails, parts, strict=True)]
        kernel = Kernel(primitive.name, (*buffers, target), schedule.nest(b, axes, stores))
        check.check(kernel)
        result = np.empty(out.shape, out.dtype)
        interpret.interpret(kernel, [*map(np.ascontiguousarray, arrays), result])
        results.append(result)
    return results


def load(b: Builder, buffer: Buffer, dtype: str, index: Sequence[Any]) -> Any:
    return b.load(buffer, list(index), dtype)


def memory(name: str, type: ArrayType, role: str) -> Buffer:
    dtype, shape = type.dtype.name, type.shape
    if dtype in COMPLEX:
        dtype, shape = COMPLEX[dtype], (*shape, 2)
    return Buffer(name, dtype, shape, row_major(shape), role)


#: operations that a compiled program runs by their reference, between kernels
HOST = {"sort", "top_k"}


def element_equals_reference(row: Row) -> None:
    """The element rule, interpreted, gives what the reference gives."""
    if not row.primitive.has_element:
        built = row.name in KERNELS or row.name in HOST or row.primitive.has_expand
        assert built, f"{row.name} cannot be compiled"
        return
    for arrays, params, dtype, where in runs(row, row.dtypes):
        expected = reference(row.primitive, arrays, params)
        got = element_results(row.primitive, arrays, params)
        for g, e in zip(got, expected, strict=True):
            assert_close(g, e, row.tolerance(out_dtype(e, dtype)), where)


def out_dtype(result: np.ndarray, dtype: np.dtype) -> np.dtype:
    """The less exact of a result's dtype and that of the operands."""
    wider = result.dtype.itemsize > dtype.itemsize and dtypes.is_inexact(dtype)
    return dtype if wider else result.dtype


def compiled_results(row: Row, arrays: Sequence[np.ndarray], params: dict) -> list[np.ndarray]:
    from fornax.runtime.compile import executable

    program = stage(lambda *xs: row.primitive.bind(*xs, **params), types_of(arrays), row.name)
    return [numpy(r) for r in executable(program, row.name).call(arrays)]


def compiled_equals_reference(row: Row) -> None:
    """Machine code gives what the reference gives: all dtypes once, all variants in one dtype."""
    chosen = [(dtype, row.variants[0]) for dtype in row.dtypes]
    chosen += [(row.precise[-1], variant) for variant in row.variants[1:]]
    for dtype, variant in chosen:
        arrays = row.operands(dtype, variant)
        where = describe(row, arrays, variant.params)
        expected = reference(row.primitive, arrays, variant.params)
        got = compiled_results(row, arrays, variant.params)
        for g, e in zip(got, expected, strict=True):
            assert_close(g, e, row.tolerance(out_dtype(e, dtype)), where)


#: params that say where in an array an operation works: vectors of special values do not fit it
PLACED = {"axes", "axis"}


def special_operands(row: Row, dtype: np.dtype, variant: Variant) -> list[np.ndarray]:
    """Vectors of all combinations of the edges of the operands' dtypes; or one array that is
    filled with edges, for operations along axes."""
    if PLACED & set(variant.params):
        random = np.random.default_rng(7)
        return [
            np.asarray(random.choice(span.specials(dtype), shape))
            for span, shape in zip(row.spans, variant.shapes, strict=True)
        ]
    edges = np.meshgrid(*(span.specials(dtype) for span in row.spans), indexing="ij")
    return [np.ascontiguousarray(e.ravel()) for e in edges]


def special_values(row: Row, compiled: bool = False) -> None:
    """At infinities, NaN, zeros and limits, compiled code and reference agree."""
    variants = row.variants if PLACED & set(row.variants[0].params) else row.variants[:1]
    for dtype, variant in product(row.dtypes, variants):
        arrays = special_operands(row, dtype, variant)
        where = f"special {describe(row, arrays, variant.params)}"
        expected = reference(row.primitive, arrays, variant.params)
        with settings.override(flush_denormals=False):
            if compiled or not row.primitive.has_element:
                got = compiled_results(row, arrays, variant.params)
            else:
                got = element_results(row.primitive, arrays, variant.params)
        for g, e in zip(got, expected, strict=True):
            assert_close(g, e, max(row.tolerance(dtype), row.tolerance(e.dtype)), where)


def flushed_values(row: Row) -> None:
    """Where denormal numbers are taken for zero, all others are what they were."""
    for dtype in row.dtypes:
        if dtype.kind != "f" or dtype.itemsize < 4:
            continue
        normal = np.finfo(dtype).smallest_normal
        arrays = special_operands(row, dtype, row.variants[0])
        arrays = [np.where((a != 0) & (abs(a) < normal), a.dtype.type(0), a) for a in arrays]
        expected = reference(row.primitive, arrays, row.variants[0].params)
        with settings.override(flush_denormals=True):
            got = compiled_results(row, arrays, row.variants[0].params)
        for g, e in zip(got, expected, strict=True):
            if e.dtype == dtype:  # what rounds to zero or to the smallest normal number is both
                tiny = (abs(g) <= normal) & (abs(e) <= normal * (1 + 4 * np.finfo(dtype).eps))
                g, e = np.where(tiny, 0, g).astype(dtype), np.where(tiny, 0, e).astype(dtype)
            assert_close(g, e, max(row.tolerance(dtype), row.tolerance(e.dtype)), f"flushed {row}")


# --- derivatives -------------------------------------------------------------------------------
def inexact_positions(arrays: Sequence[np.ndarray]) -> list[int]:
    return [i for i, a in enumerate(arrays) if dtypes.is_inexact(a.dtype)]


def directions(arrays: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)

    def draw(a):
        t = random.normal(size=a.shape)
        if a.dtype.kind == "c":
            t = t + 1j * random.normal(size=a.shape)
        return np.asarray(t).astype(a.dtype)

    return [draw(a) for a in arrays]


def differentiable(row: Row, chosen: Sequence[np.dtype] | None = None):
    """Runs whose result has derivatives (in float64 and complex128 unless dtypes are `chosen`), as
    functions of the operands that have tangents."""
    wide = chosen or [d for d in row.precise if dtypes.is_inexact(d)]
    for arrays, params, _, where in runs(row, wide if row.smooth else ()):
        where_inexact = inexact_positions(arrays)

        def function(*given, arrays=arrays, params=params, where_inexact=where_inexact):
            full = list(arrays)
            for i, x in zip(where_inexact, given, strict=True):
                full[i] = x
            return row.primitive.bind(*full, **params)

        outs = function(*(arrays[i] for i in where_inexact))
        if where_inexact and dtypes.is_inexact(typeof(outs[0]).dtype):
            yield function, [arrays[i] for i in where_inexact], where


def jvp_equals_differences(row: Row) -> None:
    """jvp agrees with central differences, for all tangents together and for each alone."""
    step = 1e-5
    for function, primals, where in differentiable(row):
        tangents = directions(primals, 1)
        alone = [
            [t if k == i else np.zeros_like(t) for k, t in enumerate(tangents)]
            for i in range(len(tangents))
        ]
        for chosen in [tangents, *(alone if len(alone) > 1 else [])]:
            _, got = jvp_flat(function, primals, chosen)
            ahead = function(*(p + step * t for p, t in zip(primals, chosen, strict=True)))
            behind = function(*(p - step * t for p, t in zip(primals, chosen, strict=True)))
            for g, a, c in zip(got, ahead, behind, strict=True):
                expected = (numpy(a) - numpy(c)) / (2 * step)
                tangent = numpy(instantiate(g))
                assert tangent.shape == expected.shape, where
                np.testing.assert_allclose(tangent, expected, rtol=2e-6, atol=2e-6, err_msg=where)


def derivatives_keep_types(row: Row) -> None:
    """Tangents and cotangents have the types of what they belong to, in every dtype."""
    narrow = [d for d in row.dtypes if dtypes.is_inexact(d)]
    for function, primals, where in differentiable(row, narrow):
        outs, program, has_tangent = linearize_flat(function, primals)
        kept = [o for o, h in zip(outs, has_tangent, strict=True) if h]
        for type, out in zip(program.out_types, kept, strict=True):
            expected = typeof(out).tangent()
            assert (type.shape, type.dtype) == (expected.shape, expected.dtype), where
        grads = backward(program, directions([numpy(o) for o in kept], 6))
        for grad, primal in zip(grads, primals, strict=True):
            found = instantiate(grad)
            assert typeof(found).dtype == primal.dtype, f"{where}: {typeof(found)}"
            assert typeof(found).shape == primal.shape, f"{where}: {typeof(found)}"


def second_derivative(row: Row) -> None:
    """The derivative of the derivative agrees with differences of the derivative."""
    step = 1e-5
    for function, primals, where in differentiable(row):
        along, again = directions(primals, 4), directions(primals, 5)

        def slope(*xs, function=function, along=along):
            return [instantiate(t) for t in jvp_flat(function, xs, along)[1]]

        _, got = jvp_flat(slope, primals, again)
        ahead = slope(*(p + step * t for p, t in zip(primals, again, strict=True)))
        behind = slope(*(p - step * t for p, t in zip(primals, again, strict=True)))
        for g, a, c in zip(got, ahead, behind, strict=True):
            expected = (numpy(a) - numpy(c)) / (2 * step)
            np.testing.assert_allclose(
                numpy(instantiate(g)), expected, rtol=1e-5, atol=1e-5, err_msg=where
            )


def transpose_is_adjoint(row: Row) -> None:
    """<ct, J t> = <Jᵀ ct, t> for the linear part, with the cotangents' types those of operands."""
    for function, primals, where in differentiable(row):
        outs, program, has_tangent = linearize_flat(function, primals)
        tangents = directions(primals, 2)
        _, images = jvp_flat(function, primals, tangents)
        kept = [o for o, h in zip(outs, has_tangent, strict=True) if h]
        cts = directions([numpy(o) for o in kept], 3)
        grads = [numpy(instantiate(g)) for g in backward(program, cts)]
        for g, p in zip(grads, primals, strict=True):
            same = (g.shape, g.dtype) == (p.shape, p.dtype)
            assert same, f"{where}: cotangent {g.dtype}{g.shape}"
        images = [numpy(i) for i, h in zip(images, has_tangent, strict=True) if h]
        forward = sum(np.sum(c * i).real for c, i in zip(cts, images, strict=True))
        reverse = sum(np.sum(g * t).real for g, t in zip(grads, tangents, strict=True))
        np.testing.assert_allclose(forward, reverse, rtol=1e-9, atol=1e-9, err_msg=where)


# --- batching ----------------------------------------------------------------------------------
def vmap_equals_loop(row: Row) -> None:
    """Mapping over any axis of any operand, or of all at once, equals a Python loop."""
    size = 2
    for arrays, params, dtype, where in runs(row, row.precise):
        tolerance = max(row.tolerance(dtype), row.tolerance(row.precise[-1])) * 4

        def function(*xs, params=params):
            return row.primitive.bind(*xs, **params)

        for dims in mapped_dimensions([a.ndim for a in arrays]):
            seed = sum((d or 0) + 1 for d in dims)
            mapped = [
                a if d is None else np.stack([perturbed(a, k + seed) for k in range(size)], d)
                for a, d in zip(arrays, dims, strict=True)
            ]
            outs, out_dims = batch_flat(function, size, mapped, dims)
            for k in range(size):
                picked = [
                    a if d is None else np.take(a, k, d) for a, d in zip(mapped, dims, strict=True)
                ]
                expected = reference(row.primitive, list(map(np.asarray, picked)), params)
                for out, d, e in zip(outs, out_dims, expected, strict=True):
                    got = numpy(out) if d is None else np.take(numpy(out), k, d)
                    assert_close(got, e, tolerance, f"{where} vmap {dims}")


def perturbed(a: np.ndarray, k: int) -> np.ndarray:
    """Other values of the same kind: the same ones in another order, a little smaller."""
    rolled = np.roll(a, k)
    return (rolled * (1 - 0.01 * k)).astype(a.dtype) if dtypes.is_inexact(a.dtype) else rolled


def mapped_dimensions(ranks: Sequence[int]) -> list[list[int | None]]:
    """Choices of mapped axes: each operand alone at each place, then several at mixed places."""
    none: list[int | None] = [None] * len(ranks)
    choices = [
        [*none[:i], d, *none[i + 1 :]] for i, rank in enumerate(ranks) for d in range(rank + 1)
    ]
    if len(ranks) > 1:
        choices.append([0] * len(ranks))
        choices.append(list(ranks))
        choices.append([d % (rank + 1) for d, rank in enumerate(ranks)])
        choices.append([None, *(0 for _ in ranks[1:])])
    return choices


# --- compositions ------------------------------------------------------------------------------
def gradient_of(function):
    """The gradient of the sum of a function's results, by linearising and transposing."""

    def gradient(*xs):
        outs, program, has_tangent = linearize_flat(function, xs)
        cts = [
            np.ones(typeof(o).shape, typeof(o).dtype)
            for o, h in zip(outs, has_tangent, strict=True)
            if h
        ]
        return [instantiate(g) for g in backward(program, cts)]

    return gradient


def mapped_over(function, size: int):
    """`function` mapped over the first axis of all arguments and results."""

    def mapped(*xs):
        outs, dims = batch_flat(function, size, xs, [0] * len(xs))
        return [place(o, d, size, 0) for o, d in zip(outs, dims, strict=True)]

    return mapped


def orders_agree(row: Row) -> None:
    """Gradients of a batch: mapping before and after differentiating gives the same, also as a
    staged program, which is well formed."""
    size = 2
    for function, primals, where in differentiable(row):
        stacked = [np.stack([perturbed(p, k) for k in range(size)]) for p in primals]
        gradient = gradient_of(function)
        outside = gradient_of(mapped_over(function, size))
        separate = [[numpy(g) for g in gradient(*(s[k] for s in stacked))] for k in range(size)]
        expected = [np.stack(parts) for parts in zip(*separate, strict=True)]
        program = stage(outside, types_of(stacked), row.name)
        check_program(program)
        for results in (
            outside(*stacked),
            mapped_over(gradient, size)(*stacked),
            evaluate(program, *stacked),
        ):
            for got, want in zip(results, expected, strict=True):
                np.testing.assert_allclose(numpy(got), want, rtol=1e-9, atol=1e-9, err_msg=where)


def compiled_gradient(row: Row) -> None:
    """jit(grad(vmap(f))) gives what the evaluator gives."""
    from fornax.runtime.compile import executable

    size = 2
    for function, primals, where in differentiable(row):
        stacked = [np.stack([perturbed(p, k) for k in range(size)]) for p in primals]
        program = stage(gradient_of(mapped_over(function, size)), types_of(stacked), row.name)
        got = executable(program, row.name).call(stacked)
        for g, e in zip(got, evaluate(program, *stacked), strict=True):
            np.testing.assert_allclose(numpy(g), numpy(e), rtol=1e-8, atol=1e-9, err_msg=where)


def wide_types():
    """Settings under which 64-bit dtypes exist."""
    return settings.override(enable_x64=True)
