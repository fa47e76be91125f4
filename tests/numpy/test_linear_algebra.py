"""Linear algebra: NumPy's values, factors that multiply back, derivatives by differences."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
from fornax import lax, test_util
from fornax import numpy as fnp
from fornax.numpy import linalg
from fornax.scipy import linalg as scipy_linalg

STACKS = [(), (2,), (0,), (2, 1)]
KINDS = ["float64", "complex64"]
TOLERANCE = {"float64": 1e-9, "complex64": 2e-4}


@pytest.fixture(autouse=True)
def wide_types():
    with fornax.enable_x64(True):
        yield


def random(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if dtype.startswith("complex"):
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


def square(n, dtype, stack=(), seed=0):
    """Far from singular."""
    return random((*stack, n, n), dtype, seed) + np.asarray(n * np.eye(n), dtype)


def positive(n, dtype, stack=()):
    a = random((*stack, n, n), dtype)
    return a @ np.conj(np.swapaxes(a, -1, -2)) + np.asarray(n * np.eye(n), dtype)


def assert_close(got, want, tolerance=1e-9):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


#: function, matrices it is applied to
SAME_AS_NUMPY = {
    "inv": square, "det": square, "cholesky": positive, "eigvalsh": positive, "pinv": square,
    "cond": square, "slogdet": square, "matrix_rank": square,
}  # fmt: skip


@pytest.mark.parametrize("stack", STACKS, ids=str)
@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name", SAME_AS_NUMPY)
def test_values_are_numpys(name, dtype, stack):
    a = SAME_AS_NUMPY[name](4, dtype, stack)
    got, want = getattr(linalg, name)(a), getattr(np.linalg, name)(a)
    pairs = zip(got, want, strict=True) if isinstance(want, tuple) else [(got, want)]
    for mine, numpys in pairs:
        assert_close(mine, numpys, TOLERANCE[dtype] * 10)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_determinants_of_every_size(n):
    a = square(n, "float64")
    assert_close(linalg.det(a), np.linalg.det(a))


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2)], ids=str)
@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("full", [True, False])
def test_factors_multiply_to_the_matrix(shape, dtype, full):
    a = random(shape, dtype)
    q, r = linalg.qr(a, "complete" if full else "reduced")
    u, s, vh = linalg.svd(a, full_matrices=full)
    assert q.shape == np.linalg.qr(a, "complete" if full else "reduced")[0].shape
    assert [x.shape for x in (u, s, vh)] == [x.shape for x in np.linalg.svd(a, full)]
    k = min(shape[-2:])
    assert_close(q @ r, a, TOLERANCE[dtype])
    assert_close(u[..., :k] * s[..., None, :] @ vh[..., :k, :], a, TOLERANCE[dtype])
    assert_close(linalg.svdvals(a), s, TOLERANCE[dtype])
    factors, _, order = lax.linalg.lu(a)
    rows, columns = shape[-2:]
    lower = np.tril(factors[..., :k], -1) + np.eye(rows, k)
    moved = np.take_along_axis(a, np.asarray(order)[..., None], -2)
    assert_close(lower @ np.triu(np.asarray(factors)[..., :k, :]), moved, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", KINDS)
def test_eigenvectors_stay_in_their_direction(dtype):
    a = positive(3, dtype, (2,))
    w, v = linalg.eigh(a)
    assert_close(a @ v, v * w[..., None, :], TOLERANCE[dtype] * 10)
    assert (np.diff(w) >= 0).all()
    w, v = linalg.eig(square(3, dtype))
    assert_close(square(3, dtype) @ v, v * w, TOLERANCE[dtype] * 10)
    u, s, vh = linalg.svd(a - 5 * np.eye(3, dtype=dtype), hermitian=True)
    assert_close((u * s[..., None, :]) @ vh, a - 5 * np.eye(3), TOLERANCE[dtype] * 10)


@pytest.mark.parametrize("flags", range(32))
def test_triangular_solve(flags):
    left, lower, transpose, conjugate, unit = (bool(flags >> i & 1) for i in range(5))
    a, b = square(3, "complex64"), random((3, 2) if left else (2, 3), "complex64", 1)
    x = lax.linalg.triangular_solve(
        a, b, left_side=left, lower=lower, transpose_a=transpose, conjugate_a=conjugate,
        unit_diagonal=unit,
    )  # fmt: skip
    triangle = np.tril(a) if lower else np.triu(a)
    if unit:
        np.fill_diagonal(triangle, 1)
    triangle = triangle.T if transpose else triangle
    triangle = np.conj(triangle) if conjugate else triangle
    assert_close(triangle @ x if left else x @ triangle, b, 1e-4)


def test_solve_takes_vectors_and_matrices():
    a = square(3, "float64", (2,))
    for shape in [(3,), (3, 2), (2, 3, 1)]:
        b = random(shape, "float64", 1)
        want = np.linalg.solve(a, b[:, None])[..., 0] if len(shape) == 1 else np.linalg.solve(a, b)
        assert_close(linalg.solve(a, b), want)
    x, residuals, rank, s = linalg.lstsq(random((4, 2), "float64"), random((4,), "float64", 1))
    want = np.linalg.lstsq(random((4, 2), "float64"), random((4,), "float64", 1), rcond=None)
    for got, numpys in zip((x, residuals, rank, s), want, strict=True):
        assert_close(got, numpys)
    t = random((2, 3, 6), "float64")
    assert_close(linalg.tensorinv(t), np.linalg.tensorinv(t))
    assert_close(linalg.tensorsolve(t, np.ones((2, 3))), np.linalg.tensorsolve(t, np.ones((2, 3))))


@pytest.mark.parametrize(
    ("rcond", "rank"),
    [(0.3, 1), (0.01, 2), (-1.0, 2), (np.float32(0.3), 1), (np.array([0.3]), 1),
     (np.array([0.3, 0.01]), 2), (fnp.float32(0.3), 1), (fnp.asarray(1), 1)],
)  # fmt: skip
@pytest.mark.parametrize("wrap", [lambda f: f, fornax.jit])
def test_the_ratio_of_least_squares_may_be_an_array(wrap, rcond, rank):
    """Values are those of jax 0.10.2."""
    a, b = np.float32([[1, 2], [3, 4], [5, 6]]), np.float32([1, 2, 3])
    x, residuals, found, s = wrap(lambda r: linalg.lstsq(a, b, rcond=r))(rcond)
    assert found == rank and s.dtype == x.dtype == np.float32
    whole = np.size(rcond) == 1
    one = whole and rank == 1
    assert_close(x, np.float32([0.24317186, 0.30802965] if one else [0, 0.5]), 1e-5)
    assert_close(residuals, np.float32([0.02538858] if one else [0]), 1e-5)
    assert_close(s, np.float32([9.5255184, 0.5143011]), 1e-5)


def test_ratios_of_least_squares_along_a_dimension():
    a, b = np.float32([[1, 2], [3, 4], [5, 6]]), np.float32([1, 2, 3])
    ranks = fornax.vmap(lambda r: linalg.lstsq(a, b, r)[2])(fnp.array([0.01, 0.3]))
    assert ranks.tolist() == [2, 1]
    for wrong in (np.array([]), "much", np.zeros(3)):
        with pytest.raises(TypeError, match="incompatible shapes|requires ndarray or scalar"):
            linalg.lstsq(a, b, wrong)


@pytest.mark.parametrize("ord", [2, -2, "nuc"])
def test_norms_by_singular_values(ord):
    a = random((2, 3, 4), "float64")
    for axis in [(0, 1), (2, 0)]:
        assert_close(linalg.norm(a, ord, axis), np.linalg.norm(a, ord, axis))


def test_powers_of_inverses():
    a = square(3, "float64")
    assert_close(linalg.matrix_power(a, -2), np.linalg.matrix_power(a, -2))


def hermitian(x):
    return x + fnp.conj(x.T)


def thin_svd(x):
    return linalg.svd(x, full_matrices=False)


tall = random((4, 3), "float64")
DERIVATIVES = {
    "cholesky": (linalg.cholesky, positive(3, "float64")),
    "cholesky complex": (linalg.cholesky, positive(3, "complex128")),
    "inv": (linalg.inv, square(3, "float64")),
    "det": (linalg.det, square(4, "complex128")),
    "slogdet": (lambda x: linalg.slogdet(x)[1], square(3, "float64")),
    "lu": (lambda x: lax.linalg.lu(x)[0], tall),
    "lu wide": (lambda x: lax.linalg.lu(x)[0], tall.T),
    "qr": (linalg.qr, tall),
    "qr complex": (linalg.qr, random((3, 2), "complex128")),
    "qr pivoting": (lambda x: lax.linalg.qr(x, pivoting=True, full_matrices=False)[:2], tall),
    "svd tall": (thin_svd, tall),
    "svd wide": (thin_svd, tall.T),
    "svdvals complex": (linalg.svdvals, random((3, 2), "complex128")),
    "eigh": (lambda x: linalg.eigh(hermitian(x)), square(3, "float64")),
    "eigvalsh complex": (lambda x: linalg.eigvalsh(hermitian(x)), square(3, "complex128")),
    "eigvals": (linalg.eigvals, np.diag([1.0, 3, 7]) + 0.1 * square(3, "float64")),
    "pinv": (linalg.pinv, tall),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives_are_those_of_differences(name):
    function, x = DERIVATIVES[name]
    test_util.check_grads(function, (x,), order=2 if name in ("inv", "eigh") else 1,
                          atol=1e-4, rtol=1e-4)  # fmt: skip


@pytest.mark.parametrize("left", [True, False])
def test_derivative_of_triangular_solve(left):
    a, b = square(3, "float64"), random((3, 2) if left else (2, 3), "float64", 1)
    for lower in (True, False):

        def solve(a, b, lower=lower):
            return lax.linalg.triangular_solve(a, b, left_side=left, lower=lower,
                                               transpose_a=lower)  # fmt: skip

        test_util.check_grads(solve, (a, b), order=2, atol=1e-4, rtol=1e-4)


def test_derivative_of_tridiagonal_solve():
    diagonals = random((3, 4), "float64") + np.array([[0], [5], [0]])

    def solve(diagonals, b):
        return lax.linalg.tridiagonal_solve(*diagonals, b)

    test_util.check_grads(solve, (diagonals, tall), order=2, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["inv", "cholesky", "svdvals", "det"])
def test_compiled_and_mapped(name):
    a = positive(3, "float64", (4,))
    want = np.stack([getattr(linalg, name)(x) for x in a])
    assert_close(fornax.jit(fornax.vmap(getattr(linalg, name)))(a), want)
    assert_close(fornax.vmap(getattr(linalg, name), 1)(np.swapaxes(a, 0, 1)), want)


def test_where_there_is_no_answer_it_is_not_a_number():
    assert np.isnan(np.diag(linalg.cholesky(-fnp.eye(2)))).all()
    assert not np.isfinite(linalg.inv(fnp.zeros((2, 2)))).any()
    assert linalg.slogdet(fnp.zeros((2, 2)))[1] == -np.inf
    with_infinity = fnp.stack([fnp.eye(3), fnp.full((3, 3), np.inf)])
    for x in (with_infinity, with_infinity[1]):
        assert np.isnan(linalg.svdvals(x)).any(-1).tolist() in ([False, True], True)


@pytest.mark.parametrize("dtype", KINDS)
def test_stacks_of_matrices_that_are_not_short(dtype):
    a = positive(14, dtype, (2,))
    tolerance = TOLERANCE[dtype] * 100
    assert_close(linalg.cholesky(a), np.linalg.cholesky(a), tolerance)
    for triangle in "LU":
        w, v = linalg.eigh(a, triangle, symmetrize_input=False)
        assert_close(a @ v, v * w[..., None, :], tolerance)
    assert_close(linalg.svdvals(a), np.linalg.svd(a, compute_uv=False), tolerance)
    u, s, vh = linalg.svd(a)
    assert_close(u * s[..., None, :] @ vh, a, tolerance)
    a = random((2, 40, 36), dtype)
    for mode in ("complete", "reduced"):
        for got, want in zip(linalg.qr(a, mode), np.linalg.qr(a, mode), strict=True):
            assert_close(got, want, tolerance)


def test_large_matrices_are_left_to_lapack():
    a, b = positive(260, "float64"), random((260, 2), "float64")
    a[7, 7] += 1000
    assert_close(fornax.jit(linalg.cholesky)(a), np.linalg.cholesky(a))
    assert_close(fornax.jit(linalg.solve)(a, b), np.linalg.solve(a, b))
    solve = fornax.jit(scipy_linalg.solve_triangular)
    assert_close(solve(np.triu(a), b), np.linalg.solve(np.triu(a), b))


ERRORS = {
    "not square": (lambda: linalg.inv(np.ones((2, 3))), ValueError, "must have shape"),
    "not square, made symmetric": (
        lambda: linalg.cholesky(np.ones((2, 3))), TypeError, "must have shape"
    ),
    "not square, as it is": (
        lambda: linalg.cholesky(np.ones((2, 3)), symmetrize_input=False), ValueError,
        "must have shape",
    ),
    "not square, eigh": (lambda: linalg.eigh(np.ones((2, 3))), TypeError, "must have shape"),
    "not square, eigvalsh": (lambda: linalg.eigvalsh(np.ones((2, 3))), TypeError, "must have"),
    "not square, eig": (lambda: linalg.eig(np.ones((2, 3), int)), ValueError, "must have shape"),
    "not square, scipy": (lambda: scipy_linalg.cholesky(np.ones((2, 3))), ValueError, "must have"),
    "not square, jit": (
        lambda: fornax.jit(linalg.cholesky)(np.ones((2, 3))), TypeError, "must have shape"
    ),
    "not square, triangular": (
        lambda: lax.linalg.triangular_solve(fnp.ones((2, 3)), fnp.ones((2, 3))), ValueError,
        "must have shape",
    ),
    "no matrix": (lambda: linalg.cholesky(np.ones(3)), TypeError, "rank at least 2"),
    "no matrix for svd": (lambda: linalg.svd(np.ones(3)), TypeError, "rank at least 2"),
    "no matrix for qr": (lambda: linalg.qr(1.0), TypeError, "rank at least 2"),
    "a vector": (lambda: linalg.det(np.ones(3)), ValueError, "at least two-dimensional"),
    "half floats": (lambda: linalg.inv(fnp.ones((2, 2), "float16")), TypeError, "float16"),
    "mode": (lambda: linalg.qr(np.ones((2, 2)), "thin"), ValueError, "mode 'thin'"),
    "a list": (lambda: linalg.inv([[1.0]]), TypeError, "requires ndarray or scalar"),
    "full svd": (
        lambda: fornax.jvp(linalg.svd, (np.ones((3, 2)),), (np.ones((3, 2)),)),
        NotImplementedError, "full matrices",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_mistakes_are_named(name):
    function, error, text = ERRORS[name]
    with pytest.raises(error, match=text):
        function()


def test_scipy_reads_one_triangle_for_cholesky_and_both_for_eigh():
    a = np.array([[4.0, 9.0], [1.0, 5.0]])
    for lower in (True, False):
        triangle = np.tril(a) if lower else np.triu(a)
        whole = triangle + triangle.T - np.diag(np.diag(a))
        if lower:
            expected = np.linalg.cholesky(whole)
            np.testing.assert_allclose(scipy_linalg.cholesky(a, lower=True), expected)
        else:  # 16 - 81 < 0
            assert np.isnan(scipy_linalg.cholesky(a)[1, 1])
        values = scipy_linalg.eigh(a, lower=lower, eigvals_only=True)
        np.testing.assert_allclose(values, np.linalg.eigvalsh((a + a.T) / 2))
