"""scatter and its relatives: write or combine windows of updates into an array."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fornax.ir.basis import add, broadcast_in_dim, instantiate, move_to_front, zeros
from fornax.ir.evaluate import evaluate
from fornax.ir.primitive import Linear, Primitive, Zero
from fornax.ir.types import ArrayType, typeof
from fornax.primitives import gather as gathering
from fornax.primitives.compare import eq_p
from fornax.primitives.elementwise import add_p, div_p, max_p, mul_p, neg_p
from fornax.primitives.family import constant
from fornax.primitives.iota import iota
from fornax.primitives.select import where
from fornax.primitives.shape import reshape
from fornax.primitives.windows import (
    CLIP,
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    check_batching,
    check_index_map,
    check_sorted,
    raised,
    start_positions,
    window_dims,
    window_index,
)
from fornax.scalars import dtypes
from fornax.scalars.promotion import check_numbers
from fornax.source import located


class Scatter(Primitive):
    """operand with every window start(batch) + offset combined with updates[batch, offset].

    Operands: the array, the integer indices, the updates (of the array's dtype). Windows that
    overlap are combined one after the other in the order of the updates. Params:
    dimension_numbers, mode, unique_indices (no two updates meet), indices_are_sorted.
    """

    cost = 2
    reference_cost = 1e-4

    def __init__(self, name: str, combine: np.ufunc | None):
        super().__init__(name)
        self.combine = combine

    def type(self, x, indices, updates, *, dimension_numbers, mode, **_):
        name = self.name
        if self.combine is not None:
            check_numbers(name, (x.dtype,))
        dn = dimension_numbers
        check_index_map(
            name, dn.scatter_dims_to_operand_dims, x.ndim, indices, "scatter_dims_to_operand_dims"
        )
        if x.dtype != updates.dtype:
            raise TypeError(
                located(
                    f"lax.{name.replace('-', '_')} requires arguments to have the same dtypes, "
                    f"got {dtypes.short_name(x.dtype)}, {dtypes.short_name(updates.dtype)}.",
                    attempt=f"updates.astype({x.dtype.name!r})",
                )
            )
        rank = len(dn.update_window_dims) + indices.ndim - 1
        if updates.ndim != rank:
            raise TypeError(
                located(
                    f"Updates tensor must be of rank {rank}; got {updates.ndim}.",
                    attempt=f"reshape the updates to {rank} dimensions",
                )
            )
        check_sorted(name, "update_window_dims", dn.update_window_dims, rank)
        check_sorted(name, "inserted_window_dims", dn.inserted_window_dims, x.ndim)
        check_batching(
            name, x, indices, dn.operand_batching_dims, dn.scatter_indices_batching_dims,
            dn.scatter_dims_to_operand_dims,
        )  # fmt: skip
        window = window_dims(x.ndim, dn.inserted_window_dims, dn.operand_batching_dims)
        if len(window) != len(dn.update_window_dims):
            raise TypeError(
                located(
                    f"{name} op has window of size "
                    f"{x.ndim - len(window) + len(dn.update_window_dims)}; doesn't match operand "
                    f"of rank {x.ndim}.",
                    attempt="name every dimension of the operand once; x.at[index] works them out",
                )
            )
        for d, u in zip(window, dn.update_window_dims, strict=True):
            if updates.shape[u] > x.shape[d]:
                raise TypeError(
                    located(
                        "Bounds of the window dimensions of updates must not exceed the bounds "
                        f"of the corresponding dimensions of operand. For dimension {u}, updates "
                        f"bound is {updates.shape[u]}, operand bound is {x.shape[d]}.",
                        attempt="a smaller window, or numpy.pad the operand first",
                    )
                )
        batch = [n for d, n in enumerate(updates.shape) if d not in dn.update_window_dims]
        if batch != list(indices.shape[:-1]):
            raise TypeError(
                located(
                    "Bounds of the scatter dimensions of updates must be the same as the bounds "
                    "of the corresponding dimensions of scatter indices, got updates of shape "
                    f"{updates.shape} and indices of shape {indices.shape}.",
                    attempt="one update for each index: updates of the shape indices.shape[:-1] "
                    "+ window",
                )
            )
        if self.combine is not None and self.combine in (np.add, np.subtract, np.multiply):
            if x.dtype == np.bool_:
                raise TypeError(
                    located(
                        f"{name} does not accept dtype bool. Accepted dtypes are subtypes of "
                        "integer, floating, complexfloating.",
                        attempt="x.astype(int), or scatter_max for `or` and scatter_min for `and`",
                    )
                )
        return [x]

    def reference(self, x, indices, updates, *, dimension_numbers, mode, unique_indices, **_):
        x = np.array(x)
        found = addressed(x, np.asarray(indices), np.asarray(updates), dimension_numbers, mode)
        if found is not None:
            self.write(*found, unique_indices)
        return [x]

    def write(self, target: np.ndarray, places: tuple, updates: np.ndarray, unique: bool) -> None:
        """Combine `updates` into `target[places]`, in order where places repeat."""
        if self.combine is None:
            target[places] = updates
        elif unique:
            target[places] = self.combine(target[places], updates)
        else:
            self.combine.at(target, places, updates)

    def batch(self, size, operands, dims, *, dimension_numbers, **params):
        dn = dimension_numbers
        x, indices, updates = operands
        x_dim, indices_dim, updates_dim = dims
        x = move_to_front(x, x_dim, size)
        updates = move_to_front(updates, updates_dim, size)
        window = raised(dn.update_window_dims)
        batching, indices_batching = (
            raised(dn.operand_batching_dims), dn.scatter_indices_batching_dims
        )  # fmt: skip
        if indices_dim is None:
            window = (0, *window)
        else:
            indices = move_to_front(indices, indices_dim, size)
            batching, indices_batching = (0, *batching), (0, *raised(indices_batching))
        numbers = ScatterDimensionNumbers(
            window,
            raised(dn.inserted_window_dims),
            raised(dn.scatter_dims_to_operand_dims),
            batching,
            indices_batching,
        )
        return self.bind(x, indices, updates, dimension_numbers=numbers, **params), [0]


def addressed(
    x: np.ndarray,
    indices: np.ndarray,
    updates: np.ndarray,
    dn: ScatterDimensionNumbers,
    mode: GatherScatterMode,
    every_element: bool = False,
) -> tuple[np.ndarray, tuple[np.ndarray, ...], np.ndarray] | None:
    """(target, places, values): what a scatter does is to combine `values` into `target[places]`.

    `target` is a view of `x`. Its last dimensions may be left to NumPy, unless `every_element` is
    to be addressed. None where there is nothing to write.
    """
    if 0 in updates.shape:
        return None
    window = window_dims(x.ndim, dn.inserted_window_dims, dn.operand_batching_dims)
    batch_places = [d for d in range(updates.ndim) if d not in dn.update_window_dims]
    updates = np.transpose(updates, (*batch_places, *dn.update_window_dims))
    batch = indices.shape[:-1]
    sizes = [1] * x.ndim
    for d, n in zip(window, updates.shape[len(batch) :], strict=True):
        sizes[d] = n
    index_map = dn.scatter_dims_to_operand_dims
    bounds = [x.shape[d] - sizes[d] for d in index_map]
    if any(n < 0 for n in bounds):
        return None
    starts, valid = start_positions(indices, bounds, mode is CLIP)
    batching = dict(zip(dn.operand_batching_dims, dn.scatter_indices_batching_dims, strict=True))
    positions = window_index(starts, index_map, sizes, window, batching)
    whole = [
        d for d in window if d not in index_map and sizes[d] == x.shape[d] and not every_element
    ]
    moving = [d for d in range(x.ndim) if d not in whole]
    axes = [*range(len(batch)), *(len(batch) + k for k, d in enumerate(window) if d not in whole)]
    ends = [len(batch) + k for k, d in enumerate(window) if d in whole]
    full = tuple(updates.shape[k] for k in axes)
    places = [
        np.broadcast_to(positions[d].reshape([positions[d].shape[k] for k in axes]), full)
        for d in moving
    ]
    updates = np.transpose(updates, (*axes, *ends))
    target = np.transpose(x, (*moving, *whole))
    if not places:  # one window that covers everything, once per index vector
        places, target = [np.zeros(full, np.int64)], target[None]
    if not np.all(valid):
        places = [p[valid] for p in places]
        updates = updates[valid]
    return target, tuple(places), updates


def gather_like(x: Any, indices: Any, updates: ArrayType, params: dict[str, Any]) -> Any:
    """The windows of `x` that a scatter of `updates` addresses, in the shape of the updates."""
    dn = params["dimension_numbers"]
    rank = typeof(x).ndim
    window = window_dims(rank, dn.inserted_window_dims, dn.operand_batching_dims)
    sizes = [1] * rank
    for d, u in zip(window, dn.update_window_dims, strict=True):
        sizes[d] = updates.shape[u]
    for d in dn.operand_batching_dims:
        sizes[d] = min(1, typeof(x).shape[d])
    if any(size > n for size, n in zip(sizes, typeof(x).shape, strict=True)):
        return zeros(ArrayType(updates.shape, typeof(x).dtype))  # nothing is ever inside
    numbers = GatherDimensionNumbers(
        dn.update_window_dims,
        dn.inserted_window_dims,
        dn.scatter_dims_to_operand_dims,
        dn.operand_batching_dims,
        dn.scatter_indices_batching_dims,
    )
    return gathering.gather(
        x, indices, numbers, sizes, params["mode"], 0, params["unique_indices"],
        params["indices_are_sorted"],
    )  # fmt: skip


def _without_program(params: dict[str, Any]) -> dict[str, Any]:
    """The params of `scatter` as those of its relatives."""
    return {name: value for name, value in params.items() if name != "update_jaxpr"}


class ScatterAdd(Scatter):
    """Adds or subtracts: linear in operand and updates together."""

    def jvp(self, primals, tangents, **params):
        x, indices, updates = primals
        outputs = self.bind(x, indices, updates, **params)
        dx, _, du = tangents
        if isinstance(dx, Zero) and isinstance(du, Zero):
            return outputs, [Zero(typeof(outputs[0]).tangent())]
        if isinstance(du, Zero):
            return outputs, [dx]
        return outputs, self.bind(instantiate(dx), indices, du, **params)

    def transpose(self, cotangents, x, indices, updates, **params):
        (ct,) = cotangents
        results: list[Any] = [None, None, None]
        for i, operand in ((0, x), (2, updates)):
            if isinstance(operand, Linear) and isinstance(ct, Zero):
                results[i] = Zero(operand.type.tangent())
        if isinstance(ct, Zero):
            return results
        if isinstance(x, Linear):
            results[0] = ct
        if isinstance(updates, Linear):
            results[2] = gather_like(ct, indices, updates.type, params)
            if self.combine is np.subtract:
                results[2] = neg_p(results[2])
        return results


class ScatterMul(Scatter):
    """Linear in the operand alone."""

    def jvp(self, primals, tangents, **params):
        x, indices, updates = primals
        dx, _, du = tangents
        if not params["unique_indices"] and not isinstance(du, Zero):
            raise NotImplementedError(
                located(
                    "scatter_mul gradients are only implemented if `unique_indices=True`",
                    attempt="unique_indices=True if no index comes twice, or add of logarithms",
                )
            )
        outputs = self.bind(x, indices, updates, **params)
        total: Any = Zero(typeof(outputs[0]).tangent())
        if not isinstance(dx, Zero):
            total = self.bind(dx, indices, updates, **params)[0]
        if not isinstance(du, Zero):
            old = gather_like(x, indices, typeof(updates), params)
            part = scatter_add_p.bind(
                zeros(typeof(x).tangent()), indices, mul_p(du, old), **params
            )[0]
            total = add(total, part)
        return outputs, [total]

    def transpose(self, cotangents, x, indices, updates, **params):
        (ct,) = cotangents
        if isinstance(updates, Linear):
            raise NotImplementedError(
                located(
                    "scatter_mul is transposed only in its operand",
                    attempt="lax.stop_gradient on the updates",
                )
            )
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent()), None, None]
        return [*self.bind(ct, indices, updates, **params), None, None]


class ScatterSet(Scatter):
    """Overwrites. Linear where no two updates meet; otherwise the last one wins.

    With the param `update_jaxpr`, a program (old element, update) -> new element, it stores what
    that gives instead.
    """

    def reference(self, x, indices, updates, *, update_jaxpr, **params):
        if update_jaxpr is None:
            return super().reference(x, indices, updates, **params)
        x = np.array(x)
        indices, updates = np.asarray(indices), np.asarray(updates)
        found = addressed(
            x, indices, updates, params["dimension_numbers"], params["mode"], every_element=True
        )
        if found is not None:
            target, places, values = found
            for place in np.ndindex(values.shape):
                home = tuple(p[place] for p in places)
                target[home] = np.asarray(evaluate(update_jaxpr, target[home], values[place])[0])
        return [x]

    def jvp(self, primals, tangents, **params):
        x, indices, updates = primals
        outputs = self.bind(x, indices, updates, **params)
        dx, _, du = tangents
        type = typeof(outputs[0])
        if isinstance(dx, Zero) and isinstance(du, Zero):
            return outputs, [Zero(type.tangent())]
        if params["update_jaxpr"] is not None:
            raise NotImplementedError(
                located(
                    "scatter_apply JVP not implemented",
                    attempt="x.at[i].set(f(x[i])), which has a derivative",
                )
            )
        if params["unique_indices"]:
            return outputs, self.bind(instantiate(dx), indices, instantiate(du), **params)
        # number the index vectors, scatter the numbers: who wins where?
        shape = typeof(updates).shape
        window = params["dimension_numbers"].update_window_dims
        places = [d for d in range(len(shape)) if d not in window]
        batch = typeof(indices).shape[:-1]
        number = add_p(iota(np.uint32, (math.prod(batch),)), np.uint32(1))
        number = broadcast_in_dim(reshape(number, batch), shape, places)
        winners = self.bind(zeros(ArrayType(type.shape, np.uint32)), indices, number, **params)[0]
        none = constant(x, 0)
        kept = where(eq_p(winners, np.uint32(0)), instantiate(dx), none)
        if isinstance(du, Zero):
            return outputs, [kept]
        won = eq_p(gather_like(winners, indices, typeof(updates), params), number)
        new = where(won, du, none)
        return outputs, scatter_add_p.bind(kept, indices, new, **_without_program(params))

    def transpose(self, cotangents, x, indices, updates, **params):
        (ct,) = cotangents
        if not params["unique_indices"]:
            raise NotImplementedError(
                located(
                    "scatter is transposed only where unique_indices=True: otherwise it is not "
                    "linear",
                    attempt="unique_indices=True if no index comes twice",
                )
            )
        results: list[Any] = [None, None, None]
        if isinstance(x, Linear):
            type = updates.type if isinstance(updates, Linear) else typeof(updates)
            results[0] = (
                Zero(x.type.tangent())
                if isinstance(ct, Zero)
                else self.bind(ct, indices, zeros(type), **params)[0]
            )
        if isinstance(updates, Linear):
            results[2] = (
                Zero(updates.type.tangent())
                if isinstance(ct, Zero)
                else gather_like(ct, indices, updates.type, params)
            )
        return results


class ScatterExtreme(Scatter):
    """Minimum or maximum; the derivative is shared equally among those that attain it."""

    def jvp(self, primals, tangents, **params):
        x, indices, updates = primals
        outputs = self.bind(x, indices, updates, **params)
        dx, _, du = tangents
        if isinstance(dx, Zero) and isinstance(du, Zero):
            return outputs, [Zero(typeof(outputs[0]).tangent())]
        (out,) = outputs
        one, none = constant(x, 1), constant(x, 0)
        kept = eq_p(x, out)
        won = eq_p(updates, gather_like(out, indices, typeof(updates), params))
        winners = scatter_add_p.bind(
            where(kept, one, none),
            indices,
            where(won, one, none),
            **params,
        )[0]
        total = scatter_add_p.bind(
            where(kept, instantiate(dx), none), indices, where(won, instantiate(du), none), **params
        )[0]
        return outputs, [div_p(total, max_p(winners, one))]  # nobody attains a NaN


scatter_p = ScatterSet("scatter", None)
scatter_add_p = ScatterAdd("scatter-add", np.add)
scatter_sub_p = ScatterAdd("scatter-sub", np.subtract)
scatter_mul_p = ScatterMul("scatter-mul", np.multiply)
scatter_min_p = ScatterExtreme("scatter-min", np.minimum)
scatter_max_p = ScatterExtreme("scatter-max", np.maximum)


def scatter(
    primitive: Primitive,
    x: Any,
    indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    mode: GatherScatterMode,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    **program: Any,
) -> Any:
    """A scatter primitive with params in their normal form."""
    if primitive is scatter_p:
        program.setdefault("update_jaxpr", None)
    return primitive.bind(
        x,
        indices,
        updates,
        dimension_numbers=dimension_numbers,
        mode=mode,
        unique_indices=bool(unique_indices),
        indices_are_sorted=bool(indices_are_sorted),
        **program,
    )[0]
