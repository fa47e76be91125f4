"""Arrays out of the parts that devices hold, and values that vary over devices."""

from __future__ import annotations

import numpy as np
import pytest

import fornax as fx
from fornax import lax, random
from fornax import numpy as fnp
from fornax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

CPU = fx.devices()[0]
MESH = Mesh(np.array([CPU]), ("x",))
ONE, SPLIT = SingleDeviceSharding(CPU), NamedSharding(MESH, PartitionSpec("x"))
X = np.arange(4.0)
PLACES = pytest.mark.parametrize("place", [ONE, SPLIT], ids=["one", "split"])


def equal(found, expected) -> None:
    assert isinstance(found, fx.Array) and found.dtype == expected.dtype and not found.weak_type
    np.testing.assert_array_equal(found, expected)


@PLACES
def test_from_callback(place):
    asked = []

    def part(index):
        asked.append(index)
        return X[index]

    equal(fx.make_array_from_callback((4,), place, part), X.astype("f"))
    assert asked == [(slice(None),)] or asked == [(slice(None, None, None),)]
    equal(
        fx.make_array_from_callback((4,), place, lambda i: fnp.arange(4), "int32"),
        np.arange(4, dtype="i"),
    )
    equal(fx.make_array_from_callback((), ONE, lambda i: 1.0), np.float32(1))
    errors = [
        (lambda i: X[:2], None, ValueError, "Expected shard shape"),
        (lambda i: X, "int32", ValueError, "must match the dtype"),
        (lambda i: None, None, TypeError, "not a valid JAX type"),
        (lambda i: [1.0], None, TypeError, "not a valid JAX type"),
    ]
    for callback, dtype, error, text in errors:
        with pytest.raises(error, match=text):
            fx.make_array_from_callback((4,), place, callback, dtype)
    with pytest.raises(fx.errors.UnexpectedTracerError, match="traced context"):
        fx.jit(lambda x: fx.make_array_from_callback((4,), place, lambda i: x))(X)
    with pytest.raises(TypeError, match=r"instance of `jax\.sharding`"):
        fx.make_array_from_callback((4,), CPU, part)


@PLACES
def test_from_single_device_arrays(place):
    def make(arrays, **options):
        return fx.make_array_from_single_device_arrays((4,), place, arrays, **options)

    x = fnp.arange(4)
    equal(make([x]), np.arange(4, dtype="i"))
    equal(make((x,), dtype=int), np.arange(4, dtype="i"))
    keys = random.split(random.key(0), 4)
    assert random.key_data(make([keys])).tolist() == random.key_data(keys).tolist()
    errors = [
        ([x, x], {}, ValueError, "Expected 1 per-device arrays"),
        ([], {}, ValueError, "no addressable shards"),
        ([], {"dtype": "float32"}, ValueError, "Expected 1 per-device arrays"),
        ([x], {"dtype": "float32"}, ValueError, "must match the dtype"),
        ([x[:2]], {}, ValueError, "Expected shard shape"),
        ([X], {}, TypeError, "Unsupported type"),
        (x, {}, TypeError, "must be a list or tuple"),
    ]
    for arrays, options, error, text in errors:
        with pytest.raises(error, match=text):
            make(arrays, **options)
    with pytest.raises(ValueError, match="requires a list of concrete arrays"):
        fx.jit(lambda x: make([x]))(X)


def test_from_process_local_data():
    make = fx.make_array_from_process_local_data
    for place in (ONE, SPLIT, CPU):
        equal(make(place, X), X.astype("f"))
        equal(make(place, {"a": X}, {"a": (4,)})["a"], X.astype("f"))
        with pytest.raises(ValueError, match="global_shape should be None or equal"):
            make(place, X, (8,))
    assert make(ONE, 1.0).weak_type
    with pytest.raises(ValueError, match="only valid for values of rank"):
        make(SPLIT, 1.0)
    with pytest.raises(ValueError, match="set a mesh"):
        make(PartitionSpec("x"), X)
    with fx.set_mesh(MESH):
        equal(make(PartitionSpec("x"), X), X.astype("f"))
    with pytest.raises(ValueError, match="the prefix has a"):
        make(None, X)


def test_pcast():
    def mapped(f):
        spec = PartitionSpec("x")
        return fx.shard_map(f, mesh=MESH, in_specs=spec, out_specs=spec)

    def cast(x, name="x", to="varying"):
        return lax.pcast(x, name, to=to)

    equal(mapped(cast)(X), X.astype("f"))
    equal(fx.jit(mapped(lambda x: cast({"a": x}, ("x",))["a"]))(X), X.astype("f"))
    equal(fx.grad(lambda x: mapped(cast)(x).sum())(X), np.ones(4, "f"))
    assert cast(X, ()) is X and cast(X, None, "other") is X
    for to in ("reduced", "unreduced"):
        with pytest.raises(NotImplementedError, match="sums over several devices"):
            mapped(lambda x, to=to: cast(x, "x", to))(X)
    for outside in (lambda: cast(X), lambda: fx.vmap(cast, axis_name="x")(X), lambda: mapped(
        lambda x: cast(x, "y"))(X)):  # fmt: skip
        with pytest.raises(ValueError, match="under shard_map"):
            outside()
    with pytest.raises(TypeError, match="must be a tuple or a str"):
        cast(X, {"x"})
    with pytest.raises(ValueError, match="none of 'varying'"):
        cast(X, "x", "other")
    with pytest.raises(ValueError, match="under shard_map"):
        cast(X)  # the maps before have ended
