"""Products whose result is only transposed are computed the other way round."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as jnp
from fornax.compiler.canonical import canonicalize

#: einsum, shapes, transposes that are left
CASES = {
    "the other way round": ("ij,kj->ki", (5, 6), (7, 6), 0),
    "a batch dimension": ("nchw,oc->nohw", (3, 5, 9, 8), (7, 5), 0),
    "two of them": ("abcd,oc->abod", (3, 4, 5, 70), (7, 5), 0),
    "the small one first": ("oc,nchw->nohw", (7, 5), (3, 5, 9, 8), 0),
    "beside one that is there": ("anchw,aoc->anohw", (2, 3, 5, 9, 8), (2, 7, 5), 0),
    "several small dimensions": ("nchw,opc->nophw", (3, 5, 9, 8), (2, 3, 5), 0),
    "too few neighbours": ("nchw,oc->nohw", (9, 5, 3, 8), (7, 5), 1),
    "no neighbours": ("nhwc,oc->nohw", (3, 9, 8, 5), (7, 5), 1),
    "both large": ("nch,oc->noh", (3, 5, 64), (80, 5), 1),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_transposes(name):
    text, left, right, kept = CASES[name]
    numbers = np.random.default_rng(3)
    x, y = (numbers.standard_normal(shape).astype(np.float32) for shape in (left, right))
    expected = np.einsum(text, x.astype(np.float64), y.astype(np.float64))
    for threads in (1, 2, 3):
        product = fornax.jit(lambda x, y: jnp.einsum(text, x, y), threads=threads)
        np.testing.assert_allclose(product(x, y), expected, rtol=1e-4, atol=1e-5)
    program = canonicalize(product.trace(x, y).jaxpr)
    turns = [e for e in program.equations if e.primitive.name == "transpose"]
    assert len(turns) == kept, program
