"""Random bits from a state that is passed along, and from one that is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax.ir.requested import requested
from fornax.lax.shapes import sizes
from fornax.primitives.bit_generator import RandomAlgorithm, rng_bit_generator_p, rng_uniform_p
from fornax.scalars import dtypes
from fornax.source import located

__all__ = ["RandomAlgorithm", "rng_bit_generator", "rng_uniform"]


def rng_bit_generator(
    key: Any,
    shape: Sequence[int],
    dtype: Any = dtypes.uint32,
    algorithm: RandomAlgorithm = RandomAlgorithm.RNG_DEFAULT,
    *,
    out_sharding: Any = None,
) -> tuple[Any, Any]:
    """(new state, random bits) from a state; `fornax.random` is what most programs want.

    key: the state, uint32[4] or uint64[2]. shape, dtype: of the bits, unsigned integers of 8 to 64
    bits. algorithm: Philox by default. Mapped by `vmap`, all bits come from the first state. Raises
    TypeError for another state or dtype.
    """
    shape = (shape,) if isinstance(shape, int) else shape
    chosen = requested(dtype)
    if chosen not in (dtypes.uint8, dtypes.uint16, dtypes.uint32, dtypes.uint64):
        raise TypeError(
            located(
                f"rng_bit_generator: unsupported dtype {chosen.name}",
                attempt="'uint32', and bitcast or random.bits for others",
            )
        )
    state, bits = rng_bit_generator_p.bind(
        key, shape=sizes(shape), dtype=chosen, algorithm=RandomAlgorithm(algorithm),
        out_sharding=out_sharding,
    )  # fmt: skip
    return state, bits


def rng_uniform(a: Any, b: Any, shape: Sequence[int]) -> Any:
    """Random numbers in [a, b), different ones at every call; `fornax.random` is what most want.

    a, b: scalars of one dtype, integers or floats. Raises ValueError for other shapes or different
    dtypes.
    """
    return rng_uniform_p.bind(a, b, shape=sizes(shape))[0]
