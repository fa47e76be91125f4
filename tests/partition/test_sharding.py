"""Meshes, specifications and shardings: arithmetic on devices that need not exist."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import fornax
from fornax import numpy as fnp
from fornax import sharding
from fornax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec


class Device:
    process_index = 0

    def __init__(self, id):
        self.id = id


DEVICES = [Device(i) for i in range(8)]
MESH = Mesh(np.array(DEVICES, dtype=object).reshape(4, 2), ("a", "b"))
ONE = fornax.devices()[0]
SINGLE = Mesh(np.array([ONE], dtype=object), ("x",))


def test_specifications():
    spec = PartitionSpec("a", None, ("b", "c"))
    assert list(spec) == ["a", None, ("b", "c")] and len(spec) == 3 and spec[2] == ("b", "c")
    assert repr(spec) == "P('a', None, ('b', 'c'))" and repr(PartitionSpec("a")) == "P('a',)"
    assert PartitionSpec(("a",)) == PartitionSpec("a") != PartitionSpec("b")
    assert PartitionSpec("a") + ("b",) == ("a",) + PartitionSpec("b") == PartitionSpec("a", "b")
    assert hash(spec) == hash(PartitionSpec("a", None, ("b", "c"))) and spec != tuple(spec)
    assert pickle.loads(pickle.dumps(spec.update(unreduced={"d"}))).unreduced == {"d"}
    assert fornax.P is PartitionSpec


def test_meshes():
    assert dict(MESH.shape) == {"a": 4, "b": 2} and MESH.size == 8 and not MESH.empty
    assert MESH.device_ids.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert MESH.abstract_mesh == AbstractMesh((4, 2), ("a", "b"))
    assert repr(MESH.abstract_mesh) == "AbstractMesh('a': 4, 'b': 2, axis_types=(Auto, Auto))"
    assert MESH.are_all_axes_auto and MESH.auto_axes == ("a", "b")
    assert pickle.loads(pickle.dumps(SINGLE)) == SINGLE and hash(SINGLE) == hash(SINGLE)


SHARDS = {
    "two axes": (PartitionSpec("a", "b"), (8, 4), (2, 2), (slice(2, 4), slice(2, 4))),
    "one": (PartitionSpec(None, "b"), (3, 4), (3, 2), (slice(None), slice(2, 4))),
    "both on one": (PartitionSpec(("a", "b")), (8,), (1,), (slice(3, 4),)),
    "none": (PartitionSpec(), (3,), (3,), (slice(None),)),
}


@pytest.mark.parametrize("name", SHARDS)
def test_parts_of_arrays(name):
    spec, shape, shard, third = SHARDS[name]
    placed = NamedSharding(MESH, spec)
    assert placed.shard_shape(shape) == shard
    assert placed.devices_indices_map(shape)[DEVICES[3]] == third
    assert placed.is_fully_replicated == (name == "none") and placed.num_devices == 8
    assert placed.is_equivalent_to(NamedSharding(MESH, PartitionSpec(*spec, None)), len(shape) + 1)


def test_arrays_and_types_know_where_they_lie():
    x = fnp.ones((2, 3))
    assert x.sharding == sharding.SingleDeviceSharding(ONE) and x.devices() == {ONE}
    assert x.addressable_shards[0].data is x and x.is_fully_replicated
    assert fornax.typeof(x).sharding.spec == PartitionSpec(None, None)
    assert fornax.jit(lambda x: x.sharding.mesh.empty and x)(x) is not None
    assert x.to_device(ONE) is x
    with pytest.raises(ValueError, match="unknown device"):
        x.to_device("elsewhere")


def test_the_current_mesh():
    assert sharding.get_mesh().empty and sharding.get_abstract_mesh().empty
    mesh = fornax.make_mesh((1,), ("x",))
    assert mesh.axis_types == (AxisType.Explicit,)
    with fornax.set_mesh(mesh):
        assert sharding.get_mesh() == mesh
        with SINGLE:
            assert sharding.get_abstract_mesh() == SINGLE.abstract_mesh
    assert sharding.get_mesh().empty
    x = fnp.ones(4)
    assert fornax.reshard(x, NamedSharding(SINGLE, PartitionSpec("x"))) is x


def test_pmap_over_one_device():
    x = np.float32([[1, 2]])
    double = fornax.pmap(lambda x, n: n * x / fornax.lax.psum(1, "i"), axis_name="i",
                         static_broadcasted_argnums=1)  # fmt: skip
    assert np.array_equal(double(x, 2), 2 * x)
    assert np.array_equal(fornax.pmap(lambda x, y: x + y, in_axes=(0, None))(x, 1), x + 1)
    with pytest.raises(ValueError, match="2 logical devices"):
        fornax.pmap(lambda x: x)(np.ones((2, 3)))


ERRORS = {
    "unknown axis": (lambda: NamedSharding(MESH, PartitionSpec("z")), "not found in mesh"),
    "an axis twice": (lambda: NamedSharding(MESH, PartitionSpec("a", "a")), "duplicate entries"),
    "rank of a mesh": (lambda: Mesh(np.array(DEVICES, dtype=object), ("a", "b")), "to equal"),
    "names of a mesh": (lambda: Mesh(MESH.devices, ("a", "a")), "different"),
    "not divisible": (lambda: NamedSharding(MESH, PartitionSpec("a")).shard_shape((6,)), "evenly"),
    "rank": (lambda: NamedSharding(MESH, PartitionSpec("a", "b")).shard_shape((4,)), "rank"),
    "devices": (lambda: fornax.make_mesh((2,), ("x",)), "product of mesh_shape"),
    "types": (lambda: AbstractMesh((1,), ("x",), (AxisType.Auto,) * 2), "number of axis_types"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_mistakes_are_named(name):
    function, text = ERRORS[name]
    with pytest.raises(ValueError, match=text):
        function()
