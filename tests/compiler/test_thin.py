"""Products in which elements meet few others, as multiplications and sums."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
from fornax import numpy as fnp
from fornax.backends import reference
from fornax.backends.llvm.target import find
from fornax.compiler import thin
from fornax.compiler.canonical import canonicalize
from fornax.runtime.compile import plan

CASES = [
    ("i,j->ij", (5,), (7,)),
    ("bi,bj->bij", (3, 5), (3, 7)),
    ("ib,bj->bij", (5, 3), (3, 7)),  # not in the order of the result: as it was
    ("ij,jk->ik", (5, 1), (1, 7)),
    ("ij,kl->ijkl", (5, 3), (2, 7)),
    ("i,ij->j", (0,), (0, 7)),
    ("i,ij->j", (30,), (30, 70)),
    ("ij,i->j", (30, 70), (30,)),
    ("bij,ib->bj", (4, 30, 70), (30, 4)),  # as it was
    ("bij,bi->bj", (4, 30, 70), (4, 30)),
    ("ijk,j->ik", (4, 30, 70), (30,)),
    ("ij,j->i", (30, 70), (70,)),
]


@pytest.mark.parametrize(("how", "left", "right"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_products_are_what_they_were(monkeypatch, how, left, right, dtype):
    monkeypatch.setattr(thin, "STREAMED", 0)
    rng = np.random.default_rng(0)
    x, y = (rng.integers(-9, 9, shape).astype(dtype) for shape in (left, right))
    got = fornax.jit(lambda x, y: fnp.einsum(how, x, y))(x, y)
    np.testing.assert_array_equal(got, np.einsum(how, x, y))  # small integers: exact


def names(function, *shapes: tuple[int, ...]) -> list[str]:
    given = [fornax.ShapeDtypeStruct(shape, "float32") for shape in shapes]
    program = canonicalize(fornax.make_jaxpr(function)(*given).jaxpr)
    return [equation.primitive.name for equation in program.equations]


def test_what_stays_a_product():
    assert "dot_general" not in names(lambda x, y: fnp.outer(x, y), (50,), (70,))
    assert "dot_general" not in names(lambda x, a: x @ a, (2048,), (2048, 1024))
    assert "dot_general" in names(lambda x, a: x @ a, (64,), (64, 32))  # in the caches
    assert "dot_general" in names(lambda a, x: a @ x, (2048, 1024), (1024,))  # along rows
    assert "dot_general" in names(lambda x, a: x @ a, (2, 2048), (2048, 1024))


def test_the_gradient_of_a_matrix_and_a_vector_reads_and_writes_rows_in_one_loop():
    def gradient(a, x, g):
        return fornax.vjp(lambda a, x: a @ x, a, x)[1](g)

    rng = np.random.default_rng(1)
    a, x, g = (rng.standard_normal(s).astype("float32") for s in [(2048, 1024), (1024,), (2048,)])
    outer, back = fornax.jit(gradient)(a, x, g)
    np.testing.assert_allclose(outer, np.outer(g, x), rtol=1e-6)
    np.testing.assert_allclose(back, g @ a, rtol=1e-4, atol=1e-4)
    traced = fornax.jit(gradient).trace(a, x, g)
    planner, _ = plan(traced.jaxpr, find("avx2"), 2, reference.compile_kernel)
    made = [k.kernel for k in planner.plan.kernels]
    large = [b.role for k in made for b in k.buffers if b.size == a.size]
    assert sorted(large) == ["in", "out"]
