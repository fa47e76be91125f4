"""Operations across a named axis of vmap: psum, ppermute, all_gather and their kin.

Where the axis is mapped, each becomes an ordinary operation on the mapped dimension; everywhere
else they are recorded and mapped along like any other operation.
"""

from __future__ import annotations

from typing import Any

from fornax.ir.basis import move_axis, reduce_sum, zeros
from fornax.ir.primitive import Primitive, Zero
from fornax.ir.trace import named_axis_size
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.concatenate import concatenate
from fornax.primitives.elementwise import mul_p
from fornax.primitives.family import constant
from fornax.primitives.iota import iota
from fornax.primitives.reduce import reduce_max_p, reduce_min_p
from fornax.primitives.shape import reshape
from fornax.primitives.slice import slice_in
from fornax.scalars import dtypes
from fornax.source import located
from fornax.transforms.batch import place

__all__ = ["all_gather_p", "all_to_all_p", "axis_index_p", "pmax_p", "pmin_p", "ppermute_p",
           "psum_p", "reduce_scatter_p"]  # fmt: skip


class _Collective(Primitive):
    """What all of them share."""

    named_axes = True

    def reference(self, *arrays, **params):
        """There is no meaning outside of the named axis. Raises NameError."""
        names = params[self.axis_param]
        for name in names if isinstance(names, tuple) else (names,):
            named_axis_size(name)
        raise NameError(
            located(
                f"{self.name} over the axes {names} can only run inside vmap",
                attempt="call it inside vmap(..., axis_name=...)",
            )
        )

    def collective(self, name, size, operands, dims, *, axis_index_groups=None, **params):
        if axis_index_groups is not None:
            raise NotImplementedError(
                located(
                    "axis_index_groups is not supported in vmap collectives",
                    attempt="reshape the mapped axis into two and vmap twice, each with a name",
                )
            )
        (x,), (dim,) = operands, dims
        type = typeof(x)
        if dim is not None:
            type = type.update(shape=(*type.shape[:dim], *type.shape[dim + 1 :]))
        self.type(type, axis_index_groups=None, **params)  # raises where it does not fit
        return self.across(name, size, x, dim, **params)

    def across(self, name: Any, size: int, x: Any, dim: int | None, **params: Any):
        """The operation on a value whose dimension `dim` is the axis `name`."""
        raise NotImplementedError(
            located(f"{self.name} has no meaning under vmap", attempt="lax.map instead of vmap")
        )


class _Reduction(_Collective):
    """A reduction over one or more named axes."""

    axis_param = "axes"

    def type(self, x, *, axes, axis_index_groups):
        return [x]

    def leading(self, *, axes, axis_index_groups):
        return {"axes": axes, "axis_index_groups": axis_index_groups}

    def across(self, name, size, x, dim, *, axes):
        out = self.reduce(x, dim, size)
        rest = tuple(a for a in axes if a != name)
        if rest:
            (out,) = self.bind(out, axes=rest, axis_index_groups=None)
        return [out], [None]

    def reduce(self, x: Any, dim: int | None, size: int) -> Any:
        """The value for all examples, of a value mapped at `dim` or the same for all."""
        raise NotImplementedError(
            located(f"{self.name} has no reduction", attempt="lax.psum, lax.pmax or lax.pmin")
        )


class PSum(_Reduction):
    """Sum over named axes. Its transpose is itself: every example contributes to every sum."""

    linear = True

    def reduce(self, x, dim, size):
        return mul_p(x, constant(x, size)) if dim is None else reduce_sum(x, (dim,))

    def transpose(self, cotangents, x, *, axes, axis_index_groups):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent())]
        return self.bind(ct, axes=axes, axis_index_groups=axis_index_groups)


class PExtreme(_Reduction):
    """Maximum or minimum over named axes."""

    def __init__(self, name: str, reduction: Primitive):
        super().__init__(name)
        self.reduction = reduction

    def reduce(self, x, dim, size):
        return x if dim is None else self.reduction.bind(x, axes=(dim,), out_sharding=None)[0]


class PPermute(_Collective):
    """Examples exchange values: `perm` has (source, destination) pairs; others get zeros."""

    linear = True

    def type(self, x, *, axis_name, perm, axis_index_groups=None):
        return [x]

    def leading(self, *, axis_name, perm):
        return {"axis_name": axis_name, "perm": perm}

    def across(self, name, size, x, dim, *, axis_name, perm):
        x = place(x, dim, size, 0)
        source = dict((end, start) for start, end in perm)
        shape = typeof(x).shape
        pieces, end = [], 0
        while end < size:  # one piece for each run of neighbours that stay neighbours
            start, first = source.get(end), end
            end += 1
            while end < size and source.get(end) == (
                None if start is None else start + end - first
            ):
                end += 1
            if start is None:
                pieces.append(zeros(typeof(x).update(shape=(end - first, *shape[1:]))))
            else:
                pieces.append(slice_in(x, 0, start, start + end - first))
        moved = concatenate(pieces, 0)
        return [moved], [0]

    def transpose(self, cotangents, x, *, axis_name, perm):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent())]
        back = tuple((end, start) for start, end in perm)
        return self.bind(ct, axis_name=axis_name, perm=back)


class AllGather(_Collective):
    """The values of all examples along a new dimension, or joined along one (`tiled`)."""

    linear = True

    def type(self, x, *, all_gather_dimension, axis_index_groups, axis_name, axis_size, tiled):
        shape = list(x.shape)
        if tiled:
            shape[all_gather_dimension] *= axis_size
        else:
            shape.insert(all_gather_dimension, axis_size)
        return [x.update(shape=shape)]

    def leading(self, *, all_gather_dimension, **params):
        return {"all_gather_dimension": all_gather_dimension + 1, **params}

    def across(self, name, size, x, dim, *, all_gather_dimension, axis_name, axis_size, tiled):
        x = place(x, dim, size, all_gather_dimension)
        if tiled:
            shape = typeof(x).shape
            d = all_gather_dimension
            x = reshape(x, (*shape[:d], size * shape[d + 1], *shape[d + 2 :]))
        return [x], [None]

    def transpose(self, cotangents, x, *, all_gather_dimension, **params):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent())]
        return reduce_scatter_p.bind(ct, scatter_dimension=all_gather_dimension, **params)


class ReduceScatter(_Collective):
    """The sum over all examples, of which each keeps its own part of a dimension."""

    linear = True

    def type(self, x, *, scatter_dimension, axis_index_groups, axis_name, axis_size, tiled):
        shape = list(x.shape)
        if tiled:
            if shape[scatter_dimension] % axis_size:
                raise ValueError(
                    located(
                        "tiled reduce_scatter operand scatter dimension size "
                        f"{shape[scatter_dimension]} must be divisible by the axis size "
                        f"{axis_size}",
                        attempt=f"pad the dimension to a multiple of {axis_size}",
                    )
                )
            shape[scatter_dimension] //= axis_size
        else:
            if shape[scatter_dimension] != axis_size:
                raise ValueError(
                    located(
                        "reduce_scatter operand scatter dimension size "
                        f"{shape[scatter_dimension]} must match the axis size {axis_size}",
                        attempt="tiled=True, or reshape the dimension to (axis size, rest)",
                    )
                )
            del shape[scatter_dimension]
        return [x.update(shape=shape)]

    def leading(self, *, scatter_dimension, **params):
        return {"scatter_dimension": scatter_dimension + 1, **params}

    def across(self, name, size, x, dim, *, scatter_dimension, axis_name, axis_size, tiled):
        total = psum_p.reduce(x, dim, size)
        if tiled:
            shape = typeof(total).shape
            d = scatter_dimension
            total = reshape(total, (*shape[:d], size, shape[d] // size, *shape[d + 1 :]))
        return [total], [scatter_dimension]

    def transpose(self, cotangents, x, *, scatter_dimension, **params):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent())]
        return all_gather_p.bind(ct, all_gather_dimension=scatter_dimension, **params)


class AllToAll(_Collective):
    """Part i of every example's dimension `split_axis` goes to example i, along `concat_axis`."""

    linear = True

    def type(self, x, *, axis_index_groups, axis_name, split_axis, concat_axis, tiled):
        size = named_axis_size(axis_name)
        shape = list(x.shape)
        if tiled:
            if shape[split_axis] % size:
                raise ValueError(
                    located(
                        f"all_to_all requires the size of the split axis ({shape[split_axis]}) to "
                        f"be divisible by the size of the mapped axis ({size})",
                        attempt=f"pad the split axis to a multiple of {size}",
                    )
                )
            shape[split_axis] //= size
            shape[concat_axis] *= size
        else:
            if shape[split_axis] != size:
                raise ValueError(
                    located(
                        f"all_to_all requires the size of the mapped axis ({size}) to equal the "
                        f"size of the split axis ({shape[split_axis]})",
                        attempt="tiled=True, or reshape the split axis to (axis size, rest)",
                    )
                )
            shape.insert(concat_axis, shape.pop(split_axis))
        return [x.update(shape=shape)]

    def leading(self, *, split_axis, concat_axis, **params):
        return {"split_axis": split_axis + 1, "concat_axis": concat_axis + 1, **params}

    def across(self, name, size, x, dim, *, axis_name, split_axis, concat_axis, tiled):
        x = place(x, dim, size, 0)
        shape = typeof(x).shape
        s = split_axis + 1
        if tiled:
            x = reshape(x, (*shape[:s], size, shape[s] // size, *shape[s + 1 :]))
        # the split dimension becomes the mapped one, the mapped one goes where it is wanted
        x = move_axis(x, s, 0)
        x = move_axis(x, 1, concat_axis + 1)
        if tiled:
            shape = typeof(x).shape
            c = concat_axis + 1
            x = reshape(x, (*shape[:c], size * shape[c + 1], *shape[c + 2 :]))
        return [x], [0]

    def transpose(self, cotangents, x, *, split_axis, concat_axis, **params):
        (ct,) = cotangents
        if isinstance(ct, Zero):
            return [Zero(x.type.tangent())]
        return self.bind(ct, split_axis=concat_axis, concat_axis=split_axis, **params)


class AxisIndex(_Collective):
    """The position of an example along the axis."""

    def type(self, *, axis_name):
        return [ArrayType((), dtypes.int32)]

    def collective(self, name, size, operands, dims, *, axis_name):
        return [iota(dtypes.int32, (size,))], [0]


psum_p = PSum("psum")
pmax_p = PExtreme("pmax", reduce_max_p)
pmin_p = PExtreme("pmin", reduce_min_p)
ppermute_p = PPermute("ppermute")
all_gather_p = AllGather("all_gather")
reduce_scatter_p = ReduceScatter("reduce_scatter")
all_to_all_p = AllToAll("all_to_all")
axis_index_p = AxisIndex("axis_index")
