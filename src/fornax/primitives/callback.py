"""Operations that call Python: pure_callback, io_callback, debug_callback.

A compiled program runs them as a step on the host, on the calling thread, between its kernels. The
param `callback` is a hashable function of a list of NumPy arrays that gives a list of them; keys
come and go as their words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fornax.ir.basis import broadcast_in_dim, move_axis
from fornax.ir.effects import Effect
from fornax.ir.primitive import Primitive
from fornax.ir.types import typeof
from fornax.primitives.one_by_one import one_by_one
from fornax.source import located
from fornax.transforms.physical import storage_type

__all__ = [
    "VMAP_METHODS", "DebugEffect", "OrderedDebugEffect", "debug_callback_p", "io_callback_p",
    "pure_callback_p",
]  # fmt: skip

#: what `vmap` makes of a pure callback; see `PureCallback.batch`
VMAP_METHODS = (
    "sequential", "sequential_unrolled", "expand_dims", "broadcast_all", "legacy_vectorized"
)  # fmt: skip


class DebugEffect(Effect):
    """Output for debugging, in any order."""

    def __init__(self) -> None:
        super().__init__("Debug", innocuous=True)


class OrderedDebugEffect(Effect):
    """Output for debugging, in program order."""

    def __init__(self) -> None:
        super().__init__("OrderedDebug", ordered=True, innocuous=True)


IO = Effect("IO")
ORDERED_IO = Effect("OrderedIO", ordered=True)
DEBUG = DebugEffect()
ORDERED_DEBUG = OrderedDebugEffect()


class _Callback(Primitive):
    """What all of them share."""

    def type(self, *types, result_avals, **_):
        return list(result_avals)

    def reference(self, *arrays, callback, result_avals, **_):
        return callback(arrays, tuple(map(storage_type, result_avals)))

    def words(self, *operands, result_avals, **params):
        return self.bind(*operands, result_avals=tuple(map(storage_type, result_avals)), **params)

    def one_by_one(
        self,
        size: int,
        operands: Sequence[Any],
        dims: Sequence[int | None],
        unroll: int,
        params: dict[str, Any],
    ) -> tuple[list[Any], list[int | None]]:
        """One call for each example, in order."""
        return one_by_one(
            lambda *xs: self.bind(*xs, **params), self.name, size, operands, dims, unroll
        )


class PureCallback(_Callback):
    """A function without effects: it may be dropped, merged with an equal call, or repeated."""

    def jvp(self, primals, tangents, **_):
        raise ValueError(
            located(
                "Pure callbacks do not support JVP. Please use `jax.custom_jvp` to use callbacks "
                "while taking gradients.",
                why="the derivative of Python code is not known",
                attempt="put the callback into a custom_jvp or custom_vjp function, or cut the "
                "derivative with lax.stop_gradient on its arguments",
            )
        )

    def transpose(self, cotangents, *operands, **_):
        raise ValueError(
            located(
                "Pure callbacks do not support transpose. Please use `jax.custom_vjp` to use "
                "callbacks while taking gradients.",
                attempt="a custom_vjp function around the callback, or lax.stop_gradient on its "
                "arguments",
            )
        )

    def batch(self, size, operands, dims, *, callback, result_avals, vmap_method):
        params = {"callback": callback, "vmap_method": vmap_method}
        if vmap_method in ("sequential", "sequential_unrolled"):
            unroll = 1 if vmap_method == "sequential" else max(size, 1)
            params["result_avals"] = result_avals
            return self.one_by_one(size, operands, dims, unroll, params)
        if vmap_method is None:
            raise NotImplementedError(
                located(
                    "vmap is only supported for the pure_callback primitive when vmap_method is "
                    "one of 'sequential', 'sequential_unrolled', 'expand_dims', 'broadcast_all', "
                    f"or 'legacy_vectorized'. Got {vmap_method=}.",
                    attempt="vmap_method='sequential'",
                )
            )
        count = size if vmap_method == "broadcast_all" else 1
        fronted = [
            move_axis(x, d, 0) if d is not None else _with_axis(x, count)
            if vmap_method != "legacy_vectorized" else x
            for x, d in zip(operands, dims, strict=True)
        ]  # fmt: skip
        types = tuple(t.update(shape=(size, *t.shape)) for t in result_avals)
        outputs = self.bind(*fronted, result_avals=types, **params)
        return outputs, [0] * len(outputs)


def _with_axis(x: Any, size: int) -> Any:
    """`x` with a new leading axis, repeated along it."""
    shape = typeof(x).shape
    return broadcast_in_dim(x, (size, *shape), range(1, len(shape) + 1))


class IOCallback(_Callback):
    """A function with effects: every call happens exactly once."""

    def effects(self, *, ordered, **_):
        return frozenset((ORDERED_IO if ordered else IO,))

    def jvp(self, primals, tangents, **_):
        raise ValueError(
            located(
                "IO callbacks do not support JVP.",
                why="the derivative of Python code is not known",
                attempt="cut the derivative with lax.stop_gradient on the arguments",
            )
        )

    def transpose(self, cotangents, *operands, **_):
        raise ValueError(
            located(
                "IO callbacks do not support transpose.",
                attempt="lax.stop_gradient on the arguments of the callback",
            )
        )

    def batch(self, size, operands, dims, *, ordered, **params):
        if ordered:
            raise ValueError(
                located(
                    "Cannot `vmap` ordered IO callback.",
                    why="the order of calls would be another one than without vmap",
                    attempt="ordered=False, or lax.map instead of vmap",
                )
            )
        return self.one_by_one(size, operands, dims, 1, {"ordered": False, **params})


class DebugCallback(_Callback):
    """A function for looking at values: transformations may repeat and drop the call."""

    def effects(self, *, ordered, **_):
        return frozenset((ORDERED_DEBUG if ordered else DEBUG,))

    def jvp(self, primals, tangents, **params):
        return self.bind(*primals, **params), []

    def transpose(self, cotangents, *operands, **_):
        return [None] * len(operands)

    def batch(self, size, operands, dims, **params):
        return self.one_by_one(size, operands, dims, 1, params)


pure_callback_p = PureCallback("pure_callback")
io_callback_p = IOCallback("io_callback")
debug_callback_p = DebugCallback("debug_callback")
