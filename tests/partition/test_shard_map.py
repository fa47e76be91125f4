"""shard_map on the one device there is, with what JAX gives on one."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax
from fornax.sharding import Mesh, set_mesh
from fornax.sharding import PartitionSpec as P

MESH = Mesh(np.array(fornax.devices()[:1]).reshape(1, 1), ("x", "y"))
X = np.arange(6.0, dtype=np.float32).reshape(2, 3)


def mapped(f, in_specs=None, out_specs=None, **options):
    given = {"in_specs": in_specs, "out_specs": out_specs}
    specs = {name: P("x") if spec is None else spec for name, spec in given.items()}
    return fornax.shard_map(f, mesh=MESH, **specs, **options)


@pytest.mark.parametrize(("f", "in_specs", "out_specs", "expected"), [
    (lambda a: a * 2, P("x"), P("x"), X * 2),
    (lambda a: lax.psum(a, "x"), P("x"), P(), X),
    (lambda a: a + lax.axis_index("x") + lax.axis_size("y"), P("x"), P("x"), X + 1),
    (lambda a: lax.psum(a.sum(), ("x", "y")), P("x", "y"), P(), X.sum()),
    (lambda a: lax.ppermute(a, "x", [(0, 0)]), P("x"), P("x"), X),
    (lambda a: lax.all_gather(a, "x", tiled=True), P("x"), P("x"), X),
    (lambda a: lax.all_gather(a, "y"), P("x"), P(None, "x"), X[None]),
])  # fmt: skip
def test_values(f, in_specs, out_specs, expected):
    function = mapped(f, in_specs, out_specs)
    np.testing.assert_array_equal(function(X), expected)
    np.testing.assert_array_equal(fornax.jit(function)(X), expected)
    np.testing.assert_array_equal(
        fornax.vmap(function)(np.stack([X, X])), np.stack([expected, expected])
    )


def test_trees_and_static_arguments():
    f = mapped(lambda a, b: (a["p"] + b, {"c": b}), (P("x"), P()), (P("x"), {"c": P()}))
    total, rest = f({"p": X, "q": X}, X)
    np.testing.assert_array_equal(total, 2 * X)
    np.testing.assert_array_equal(rest["c"], X)
    scaled = mapped(lambda a, n: a * len("ab" * n), (P("x"), None))
    np.testing.assert_array_equal(scaled(X, 2), 4 * X)


def test_derivatives():
    loss = mapped(lambda a: lax.psum((a**2).sum(), "x"), out_specs=P())
    np.testing.assert_allclose(fornax.grad(loss)(X), 2 * X)
    np.testing.assert_allclose(fornax.jvp(loss, (X,), (X,))[1], 2 * (X**2).sum(), 1e-6)


def test_meshes_from_the_context_and_decorators():
    with set_mesh(MESH):
        f = fornax.shard_map(in_specs=P("x"), out_specs=P("x"))(lambda a: a + 1)
        np.testing.assert_array_equal(f(X), X + 1)
    with pytest.raises(ValueError, match="context mesh cannot be empty"):
        f(X)


def test_names_that_are_chosen():
    only_x = {"axis_names": {"x"}}
    np.testing.assert_array_equal(mapped(lambda a: lax.psum(a, "x"), **only_x)(X), X)
    with pytest.raises(NameError, match="y"):
        mapped(lambda a: lax.psum(a, "y"), **only_x)(X)
    with pytest.raises(ValueError, match="subset of"):
        mapped(lambda a: a, axis_names={"q"})(X)


@pytest.mark.parametrize(("f", "options", "error", "words"), [
    (3, {}, TypeError, "requires a callable"),
    (lambda a: a.sum(), {}, ValueError, "out_specs entry which is too long"),
    (lambda a: a, {"in_specs": P("x", None, None)}, ValueError, "in_specs entry which is too long"),
    (lambda a: a, {"in_specs": P("z")}, ValueError, "in_specs refers to 'z'"),
    (lambda a: a, {"out_specs": P("z")}, ValueError, "out_specs refers to 'z'"),
    (lambda a: a, {"in_specs": "x"}, TypeError, "in_specs argument must be a pytree"),
    (lambda a: (a, a), {"out_specs": (P(),) * 3}, ValueError, "shard_map out_specs"),
    (lambda a: a, {"in_specs": (P(), P())}, ValueError, "shard_map in_specs"),
])  # fmt: skip
def test_what_does_not_fit(f, options, error, words):
    with pytest.raises(error, match=words):
        mapped(f, **options)(X)


def test_specifications_of_arguments_are_needed():
    with pytest.raises(TypeError, match="in_specs argument must be"):
        fornax.shard_map(lambda a: a, mesh=MESH, out_specs=P())
    with pytest.raises(ValueError, match="there is one device"):
        mesh = Mesh(np.array(fornax.devices() * 2), ("x",))
        fornax.shard_map(lambda a: a, mesh=mesh, in_specs=P(), out_specs=P())(fnp.ones(2))
