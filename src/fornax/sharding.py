"""How arrays lie on devices: JAX's `jax.sharding`."""

from fornax.api.shard import get_abstract_mesh, get_mesh, reshard, set_mesh, use_abstract_mesh
from fornax.partition.mesh import AbstractMesh, AxisType, Mesh
from fornax.partition.shardings import NamedSharding, Sharding, SingleDeviceSharding
from fornax.partition.spec import PartitionSpec

__all__ = [
    "AbstractMesh", "AxisType", "Mesh", "NamedSharding", "PartitionSpec", "Sharding",
    "SingleDeviceSharding", "get_abstract_mesh", "get_mesh", "reshard", "set_mesh",
    "use_abstract_mesh",
]  # fmt: skip
