"""In what functions of several arrays give them: jax's lists and tuples, which trees tell apart."""

import numpy as np
import pytest

import fornax.numpy as fnp
from fornax import lax

X = np.arange(12, dtype=np.float32).reshape(3, 4)
S = np.eye(3, dtype=np.float32) * 2 + 0.1

LISTS = {
    "reduce": lambda: lax.reduce([X, X], [0.0, 0.0], lambda a, b: [a[0] + b[0], a[1]], (0,)),
    "approx_max_k": lambda: lax.approx_max_k(X, 2),
    "approx_min_k": lambda: lax.approx_min_k(X, 2),
    "top_k": lambda: lax.top_k(X, 2),
    "lu": lambda: lax.linalg.lu(S),
    "hessenberg": lambda: lax.linalg.hessenberg(S),
    "tridiagonal": lambda: lax.linalg.tridiagonal(S),
    "eig": lambda: lax.linalg.eig(S),
    "meshgrid": lambda: fnp.meshgrid(X[0], X[0]),
    "split": lambda: fnp.split(X, 3),
    "gradient": lambda: fnp.gradient(X),
    "broadcast_arrays": lambda: fnp.broadcast_arrays(X, 1.0),
}
TUPLES = {
    "eigh": lambda: lax.linalg.eigh(S),
    "svd": lambda: lax.linalg.svd(S),
    "sort": lambda: lax.sort([X, X]),
    "sort_key_val": lambda: lax.sort_key_val(X, X),
    "qr": lambda: lax.linalg.qr(S),
    "unstack": lambda: fnp.unstack(X),
    "nonzero": lambda: fnp.nonzero(X),
    "ix_": lambda: fnp.ix_([0, 1], [1]),
    "frexp": lambda: fnp.frexp(X),
    "modf": lambda: fnp.modf(X),
    "histogram": lambda: fnp.histogram(X),
    "unravel_index": lambda: fnp.unravel_index(3, (2, 2)),
}


@pytest.mark.parametrize("name", [*LISTS, *TUPLES])
def test_containers(name):
    table, kind = (LISTS, list) if name in LISTS else (TUPLES, tuple)
    found = table[name]()
    assert type(found) is kind
