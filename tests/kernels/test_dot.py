"""`dot_general` against `numpy.einsum` over shapes, layouts, dtypes, targets and thread counts."""

import string
from dataclasses import replace

import kernel_running as running
import ml_dtypes
import numpy as np
import pytest

import fornax
from fornax.backends.llvm import target as targets
from fornax.compiler.kernels import dot, gemm_decisions, line_groups, lines
from fornax.compiler.kernels.product import Product

MATMUL = (((1,), (0,)), ((), ()))
LAYOUTS = {
    "nn": MATMUL,
    "nt": (((1,), (1,)), ((), ())),
    "tn": (((0,), (0,)), ((), ())),
    "tt": (((0,), (1,)), ((), ())),
}
SHAPES = [
    (1, 1, 1), (4, 4, 4), (3, 5, 7), (1, 20, 9), (20, 1, 9), (7, 17, 5), (13, 33, 3), (1, 1, 40),
    (1, 9, 40), (9, 1, 40), (2, 3, 50), (6, 16, 8), (5, 2, 0), (0, 3, 2), (14, 37, 33),
]  # fmt: skip
GENERAL = [  # left shape, right shape, dimension numbers
    ((3, 4, 5), (3, 5, 6), (((2,), (1,)), ((0,), (0,)))),
    ((2, 3, 4, 5), (3, 5, 6, 2), (((3,), (1,)), ((0, 1), (3, 0)))),
    ((2, 8, 16), (16, 2, 20), (((2,), (0,)), ((), ()))),
    ((2, 7, 16), (16, 2, 16), (((2,), (0,)), ((), ()))),
    ((2, 8, 16), (2, 8, 20), (((0, 1), (0, 1)), ((), ()))),
    ((8, 2, 16), (2, 8, 20), (((1, 0), (0, 1)), ((), ()))),
    ((2, 8, 16), (2, 8, 20), (((1,), (1,)), ((0,), (0,)))),
    ((5,), (5,), (((0,), (0,)), ((), ()))),
    ((50,), (50,), (((0,), (0,)), ((), ()))),
    ((), (), (((), ()), ((), ()))),
    ((5,), (7,), (((), ()), ((), ()))),
    ((4, 5, 3), (4, 5), (((1,), (1,)), ((0,), (0,)))),
    ((5, 9, 40), (5, 9, 40), (((2,), (2,)), ((0,), (0,)))),
    ((4, 4), (4, 4), (((), ()), ((0, 1), (1, 0)))),
]
DTYPES = [  # operands, result
    ("float16", "float16"), (ml_dtypes.bfloat16, ml_dtypes.bfloat16),
    (ml_dtypes.bfloat16, "float32"), ("float32", "float64"), ("float64", "float64"),
    ("int8", "int8"), ("int8", "int32"), ("uint8", "int32"), ("int8", "float32"),
    ("int16", "int16"), ("int32", "int32"), ("uint32", "uint32"), ("int64", "int64"),
    ("bool", "bool"), ("complex64", "complex64"), ("complex128", "complex128"),
]  # fmt: skip
PAIRED_SIZES = [(7, 19, 40), (30, 70, 17), (64, 64, 64), (13, 33, 129), (29, 100, 300), (5, 2, 31)]
SMALL_CACHES = {"l1": 512, "l2": 2048}


@pytest.fixture
def eager_threads(monkeypatch):
    """Sizes so small that every choice of the planner is reached by small arrays."""
    monkeypatch.setattr(gemm_decisions, "WORTH_A_THREAD", 64)
    monkeypatch.setattr(gemm_decisions, "TINY", 8)
    monkeypatch.setattr(lines, "WORTH_A_THREAD", 64)
    monkeypatch.setattr(lines, "WORTH_A_SPLIT", 16)
    monkeypatch.setattr(lines, "SHARE", 512)


def einsum(x, y, numbers, dtype):
    """The product in a wide dtype, rounded at the end, and its size for tolerances."""
    (left_depth, right_depth), (left_batch, right_batch) = numbers
    letters = iter(string.ascii_letters)
    left, right = [""] * x.ndim, [""] * y.ndim
    result = ""
    for i, j in zip(left_batch, right_batch, strict=True):
        left[i] = right[j] = next(letters)
        result += left[i]
    for i, j in zip(left_depth, right_depth, strict=True):
        left[i] = right[j] = next(letters)
    for names in (left, right):
        for i, name in enumerate(names):
            if not name:
                names[i] = next(letters)
                result += names[i]
    wide = np.float64
    if x.dtype.kind == "c":
        wide = np.complex128
    elif x.dtype.kind in "iub" and np.dtype(dtype).kind in "iub":
        wide = np.int64
    total = np.einsum(f"{''.join(left)},{''.join(right)}->{result}", x.astype(wide), y.astype(wide))
    return total != 0 if np.dtype(dtype) == bool else total.astype(dtype)


def check(left, right, numbers, how, dtype="float32", result=None, target=None, threads=1):
    generator = np.random.default_rng(0)
    result = np.dtype(result or dtype)
    x, y = (running.random(generator, shape, dtype) for shape in (left, right))
    expected = einsum(x, y, numbers, result)
    params = {"dimension_numbers": numbers, "preferred_element_type": result}
    (found,) = running.apply(
        "dot_general",
        params,
        [x, y],
        [(expected.shape, result)],
        how,
        target=target,
        threads=threads,
    )
    if result.kind in "iub":
        np.testing.assert_array_equal(found, expected)
        return
    narrow = min((np.dtype(dtype), result), key=lambda d: d.itemsize)
    epsilon = ml_dtypes.finfo(result).eps if result.kind != "c" else np.finfo(result).eps
    if narrow == np.float32 or np.dtype(dtype).name == "bfloat16":
        epsilon = max(epsilon, np.finfo(np.float32).eps)
    wide = np.complex128 if result.kind == "c" else np.float64
    scale = np.abs(expected.astype(wide)).max(initial=1)
    difference = np.abs(found.astype(wide) - expected.astype(wide)).max(initial=0)
    assert difference <= 8 * float(epsilon) * scale, (difference, scale)


def only_sample(how, chosen):
    """The interpreter is slow: it runs a sample of the cases, machine code all of them."""
    if how == "interpret" and not chosen:
        pytest.skip("compiled only")


def shapes_of(layout, rows, columns, depth):
    left = (rows, depth) if layout[0] == "n" else (depth, rows)
    return left, (depth, columns) if layout[1] == "n" else (columns, depth)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", SHAPES, ids=str)
def test_matrices(layout, size, how):
    only_sample(how, layout in ("nn", "tt"))
    check(*shapes_of(layout, *size), LAYOUTS[layout], how)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "size",
    [
        (14, 37, 90),
        (20, 40, 17),
        (1, 3, 100),
        (1, 1, 100),
        (2, 100, 10),
        (13, 21, 200),
        (1, 100, 70),
        (3, 75, 41),
        (7, 17, 140),
        (61, 40, 130),  # tiles of few rows by four vectors
        (90, 33, 64),
        (36, 70, 192),
        (31, 130, 40),  # a last tile of one vector, of two, of one of two
        (33, 90, 70),
        (30, 100, 33),
    ],
    ids=str,
)
def test_packed_and_shared(layout, size, threads, how, eager_threads):
    only_sample(how, threads == 2 and size[0] * size[1] * size[2] < 20_000)
    target = replace(targets.find(), **SMALL_CACHES)
    check(*shapes_of(layout, *size), LAYOUTS[layout], how, target=target, threads=threads)


@pytest.mark.parametrize("near", [0, gemm_decisions.NEAR])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "size,dtype",
    [((43, 75, 41), "complex64"), ((31, 70, 150), "float32"), ((29, 133, 128), "float64")],
    ids=str,
)
def test_packed_near(size, layout, dtype, threads, near, how, eager_threads, monkeypatch):
    """Operands too large to be packed whole by every thread: blocks of them, or shared copies."""
    monkeypatch.setattr(gemm_decisions, "PACKED_ALONE", 16)
    monkeypatch.setattr(gemm_decisions, "NEAR", near)
    only_sample(how, threads == 3 and dtype == "float32" and layout in ("nn", "tt"))
    target = replace(targets.find(), **SMALL_CACHES)
    check(*shapes_of(layout, *size), LAYOUTS[layout], how, dtype, target=target, threads=threads)


@pytest.mark.parametrize("run", [5, 8, 30])
@pytest.mark.parametrize("caches", [{}, SMALL_CACHES], ids=["large", "small"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "size,dtype",
    [((43, 75, 41), "complex64"), ((31, 67, 150), "float32"), ((29, 133, 128), "int32")],
    ids=str,
)
def test_runs_of_the_depth(size, dtype, layout, caches, run, how, eager_threads, monkeypatch):
    """Sums of runs are added up: whole runs and a rest, in one block of the depth or several."""
    monkeypatch.setattr(gemm_decisions, "RUN", run)
    only_sample(how, run == 8 and layout == "tn")
    target = replace(targets.find(), **caches)
    check(*shapes_of(layout, *size), LAYOUTS[layout], how, dtype, target=target, threads=2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rounding_does_not_add_up_along_the_depth(layout):
    """Errors of one sum after another would be ten times as large; JAX's are a third of this."""
    rows, depth, columns = 40, 30_000, 70
    left, right = shapes_of(layout, rows, depth, columns)
    numbers = np.random.default_rng(3)
    x, y = (numbers.standard_normal(s).astype(np.float32) for s in (left, right))
    found = fornax.jit(lambda x, y: fornax.lax.dot_general(x, y, LAYOUTS[layout]))(x, y)
    (a,), (c,) = LAYOUTS[layout][0]
    exact = np.tensordot(x.astype(np.float64), y.astype(np.float64), ((a,), (c,)))
    error = np.sqrt(np.mean((np.asarray(found) - exact) ** 2) / np.mean(exact**2))
    assert error < 1.5e-6


@pytest.mark.parametrize("packed_alone", [16, gemm_decisions.PACKED_ALONE])
@pytest.mark.parametrize(
    "left,right,numbers",
    [
        ((3, 21, 10, 16), (3, 35, 10, 16), (((0, 2, 3), (0, 2, 3)), ((), ()))),
        ((3, 10, 16, 21), (10, 3, 35, 16), (((0, 1, 2), (1, 0, 3)), ((), ()))),
        ((3, 21, 7, 11), (7, 3, 11, 35), (((0, 2, 3), (1, 0, 2)), ((), ()))),
        ((4, 12, 5, 7), (5, 2, 7, 64), (((2, 3), (0, 2)), ((), ()))),
        ((4, 12, 5, 7), (5, 3, 7, 24), (((2, 3), (0, 2)), ((), ()))),
    ],
    ids=str,
)
def test_depth_of_several_dimensions(
    left, right, numbers, packed_alone, how, eager_threads, monkeypatch
):
    """Blocks of the depth within runs of memory, or across them where none divides it."""
    monkeypatch.setattr(gemm_decisions, "PACKED_ALONE", packed_alone)
    only_sample(how, packed_alone == 16 and left[1] in (10, 12))
    target = replace(targets.find(), **SMALL_CACHES)
    check(left, right, numbers, how, target=target, threads=2)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "size", [(7, 1100, 37), (16, 1030, 19), (9, 75, 300), (90, 5, 600)], ids=str
)
def test_few_rows(size, layout, how, eager_threads):
    """Rows that stream by, lanes along the depth: both where the other operand fills the caches."""
    only_sample(how, layout == "nn" and size[0] == 7)
    target = replace(targets.find(), **SMALL_CACHES)
    check(*shapes_of(layout, *size), LAYOUTS[layout], how, target=target, threads=3)


@pytest.mark.parametrize("dtype", ["float32", "float64", ml_dtypes.bfloat16, "bool"], ids=str)
@pytest.mark.parametrize("l1", [512, 8192])
@pytest.mark.parametrize(
    "size", [(1, 150, 277), (1, 64, 190), (1, 133, 128), (1, 900, 20)], ids=str
)
def test_one_row(size, l1, dtype, how, eager_threads):
    """A matrix that is read from end to end: a row at a time where the sums fit L1, or several."""
    only_sample(how, dtype == "float32" and size[1] == 150)
    target = replace(targets.find(), l1=l1, l2=512)
    check(*shapes_of("nn", *size), LAYOUTS["nn"], how, dtype, target=target, threads=3)
    rows, columns, depth = size
    batched = (((2,), (1,)), ((0,), (0,)))
    shapes = (3, rows, depth), (3, depth, columns)
    check(*shapes, batched, how, dtype, target=target, threads=2)


@pytest.mark.parametrize("dtype", ["float32", "float64", ml_dtypes.bfloat16, "int32"], ids=str)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [(29, 7, 512), (7, 29, 512), (24, 4, 560), (30, 9, 336)], ids=str)
def test_groups_of_lines(size, threads, dtype, how, monkeypatch):
    """Many lines with a few: pieces of the depth, groups and tiles that do not fit."""
    for name, value in {"PAGE": 256, "GROUP": 3, "ENOUGH": 1}.items():
        monkeypatch.setattr(line_groups, name, value)
    only_sample(how, dtype == "float32" and threads == 3 and size[0] == 24)
    called = []

    def spy(p, sums):
        called.append(p)
        line_groups.line_groups(p, sums)

    monkeypatch.setattr(dot, "line_groups", spy)
    check(*shapes_of("nt", *size), LAYOUTS["nt"], how, dtype, threads=threads)
    assert called
    rows, columns, depth = size
    batched = (((2,), (2,)), ((0,), (0,)))
    check((3, rows, depth), (3, columns, depth), batched, how, dtype, threads=threads)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(3, 3), (4, 2), (1, 3), (4, 4)], ids=str)
def test_narrow_products_of_long_columns(size, layout, how, monkeypatch, eager_threads):
    """Lanes along the depth by steps of the rows and columns, in shares."""
    for name, value in {"DEEP": 32, "LONG": 64}.items():
        monkeypatch.setattr(dot, name, value)
    only_sample(how, layout == "tn" and size == (4, 2))
    called = []

    def spy(p, sums):
        called.append(p)
        lines.lines(p, sums)

    monkeypatch.setattr(dot, "lines", spy)
    check(*shapes_of(layout, *size, 77), LAYOUTS[layout], how, threads=2)
    assert called


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", GENERAL, ids=str)
def test_general(case, threads, how, eager_threads):
    check(*case, how, threads=threads)


@pytest.mark.parametrize("dtype,result", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_dtypes(layout, dtype, result, how, eager_threads):
    only_sample(how, layout == "nt")
    for size in [(7, 19, 40), (3, 2, 5), (1, 4, 35)]:
        check(*shapes_of(layout, *size), LAYOUTS[layout], how, dtype, result, threads=2)


PAIRS = [
    (ml_dtypes.bfloat16, ml_dtypes.bfloat16), (ml_dtypes.bfloat16, "float32"),
    ("int8", "int32"), ("uint8", "uint8"), ("int16", "int16"), ("int16", "int32"),
    ("uint8", "uint32"), ("int16", "uint32"),
]  # fmt: skip


@pytest.mark.parametrize("dtype,result", PAIRS, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_pairs(layout, dtype, result, how, eager_threads, monkeypatch):
    """Words of two steps of an even or odd depth, in one or several dimensions."""
    only_sample(how, layout in ("nn", "tt"))
    target = replace(targets.find("avx512"), pairs=("bfloat16", "int16"), **SMALL_CACHES)
    target = replace(target, features="-prefer-256-bit,+avx512bf16")
    needed = {*targets.REQUIRED["avx512"], "avx512_bf16"}
    if how == "compile" and not needed <= targets.cpu_flags():
        pytest.skip("this processor has no products of pairs of bfloat16")
    used = []
    paired = Product.paired
    monkeypatch.setattr(Product, "paired", lambda p: used.append(p) or paired(p))
    sizes = [(7, 19, 40), (30, 70, 17)] if how == "interpret" else PAIRED_SIZES
    for size in sizes:
        check(
            *shapes_of(layout, *size), LAYOUTS[layout], how, dtype, result, target=target, threads=2
        )
    assert used
    batched = ((2, 6, 3, 5), (2, 5, 8, 3), (((3, 2), (1, 3)), ((0,), (0,))))
    check(*batched, how, dtype, result, target=target, threads=2)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int8"])
@pytest.mark.parametrize("name", ["sse2", "avx2", "avx512"])
def test_targets(name, dtype, how, eager_threads):
    target = replace(targets.TARGETS[name], **SMALL_CACHES)
    order = ["sse2", "avx2", "avx512"]
    if how == "compile" and order.index(name) > order.index(targets.find("native").name):
        pytest.skip(f"this machine has no {name}")
    for layout in ["nn"] if how == "interpret" else LAYOUTS:
        check(*shapes_of(layout, 15, 40, 33), LAYOUTS[layout], how, dtype, target=target, threads=2)


def test_zeros_of_an_empty_depth_overwrite_the_result(how):
    check((3, 0), (0, 2), MATMUL, how)
