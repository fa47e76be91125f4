"""Mutable arrays: making, reading and writing references.

Their mechanism is in `ir.ref`; this file gives it NumPy's indexing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fornax import source
from fornax.api.signature import as_arrays
from fornax.api.structs import ShapeDtypeStruct
from fornax.errors import message
from fornax.ir.basis import zeros
from fornax.ir.ref import AbstractRef, Ref
from fornax.ir.trace import Tracer
from fornax.ir.types import ArrayType, is_value, typeof
from fornax.numpy import indexing
from fornax.numpy.at import IndexUpdateHelper
from fornax.numpy.promotion import Array
from fornax.primitives.convert import convert_element_type, stop_gradient_p
from fornax.runtime.values import to_array
from fornax.scalars.dtypes import ExtendedDtype, is_inexact
from fornax.source import located

__all__ = ["AbstractRef", "Ref", "addupdate", "empty_ref", "free_ref", "freeze", "get", "new_ref",
           "set", "swap"]  # fmt: skip


class RefView:
    """A part of a reference: `ref.at[index]`, which is read and assigned like a reference."""

    def __init__(self, ref: Any, index: Any):
        self.ref = ref
        self.index = index

    def __getitem__(self, index: Any) -> Any:
        return _part(self.ref[self.index], index)

    def __setitem__(self, index: Any, value: Any) -> None:
        self.ref[self.index] = _updated("swap", self.ref[self.index], index, value, _set)

    @property
    def at(self) -> RefIndexer:
        return RefIndexer(self)

    def __repr__(self) -> str:
        return f"{self.ref!r}.at[{self.index!r}]"


class RefIndexer:
    """What `ref.at` is: `ref.at[index]` is a part of the reference."""

    def __init__(self, ref: Any):
        self.ref = ref

    def __getitem__(self, index: Any) -> RefView:
        return RefView(self.ref, index)


def _whole(index: Any) -> bool:
    return index is None or index is Ellipsis or (isinstance(index, tuple) and (
        index == () or (len(index) == 1 and index[0] is Ellipsis)))  # fmt: skip


def _part(value: Any, index: Any) -> Any:
    if _whole(index):
        return value
    _check_bounds(typeof(value), index)
    return indexing.rewriting_take(value, index)


def _check_bounds(type: ArrayType, index: Any) -> None:
    """Raise ValueError for integers that are known to be out of bounds."""
    entries = index if isinstance(index, tuple) else (index,)
    if any(e is Ellipsis or e is None or not isinstance(e, int | slice) for e in entries):
        return
    for entry, size in zip(entries, type.shape, strict=False):
        if isinstance(entry, int) and not isinstance(entry, bool) and not -size <= entry < size:
            raise ValueError(
                located(
                    f"Out of bound indexer: idx={entry}, dim={size}.",
                    attempt=f"an index from {-size} to {size - 1}",
                )
            )


def _set(value: Any, index: Any, new: Any) -> Any:
    return IndexUpdateHelper(value)[index].set(new)


def _add(value: Any, index: Any, new: Any) -> Any:
    return IndexUpdateHelper(value)[index].add(new)


def _updated(name: str, old: Any, index: Any, new: Any, update: Callable[..., Any]) -> Any:
    """The whole value with a part replaced. Raises ValueError unless `new` is like that part."""
    part = typeof(_part(old, index))
    found = typeof(new)
    if found.shape != part.shape:
        raise ValueError(
            message(
                f"Invalid shape for `{name}`. Ref shape: {typeof(old).shape}. Expected shape: "
                f"{part.shape}. Value shape: {found.shape}.",
                where=str(source.here() or "unknown"),
                why="values assigned to references are not broadcast",
                attempt="numpy.broadcast_to, or numpy.full",
            )
        )
    if found.dtype != part.dtype and not (found.weak_type and _fits(found, part)):
        raise ValueError(
            message(
                f"Invalid dtype for `{name}`. Ref dtype: {part.dtype.name}. Value dtype: "
                f"{found.dtype.name}.",
                where=str(source.here() or "unknown"),
                attempt=f"value.astype({part.dtype.name!r})",
            )
        )
    type = typeof(old)
    if not isinstance(part.dtype, ExtendedDtype):
        new = convert_element_type(new, part.dtype, type.weak_type)
    if _whole(index) and update is _set:
        return _own(new)
    result = update(old, ... if _whole(index) else index, new)
    return convert_element_type(result, type.dtype, type.weak_type) if type.weak_type else result


def _own(value: Any) -> Any:
    """The value in memory of its own: that of an array is gone when somebody donates it."""
    return value.copy() if isinstance(value, Array | np.ndarray) else value


def _fits(found: ArrayType, part: ArrayType) -> bool:
    """Whether a Python scalar may become this dtype: not a float an integer, for instance."""
    order = "biufc"
    kinds = [order.index(k) if k in order else 3 for k in (found.dtype.kind, part.dtype.kind)]
    return kinds[0] <= kinds[1] or kinds == [1, 2]


def new_ref(init_val: Any, *, memory_space: Any = None, kind: str | None = None) -> Ref:
    """A mutable array with this value.

    `ref[index]` reads, `ref[index] = value` writes, also inside jit, loops and branches, whether
    the function made the reference, closes over it or gets it as an argument. Derivatives flow
    through references made inside the differentiated function. A reference cannot be returned:
    `freeze(ref)` is its value. memory_space: accepted; there is one memory. kind:
    "no_grad_no_remat" for a reference whose values have no derivatives: code that is
    differentiated may write anything to one from outside.

    Raises TypeError for what is no array or number.
    """
    del memory_space
    if not is_value(init_val):
        raise TypeError(
            located(
                "Error interpreting argument to new_ref as a JAX value. The problematic value is "
                f"of type {type(init_val)} and was passed to new_ref at position 0.",
                "a reference holds one array",
                "tree.map(new_ref, values) for a tree of references",
            )
        )
    Ref.made = True
    numeric = not hasattr(init_val, "_trace")
    return Ref(_own(to_array(init_val)) if numeric else _plain(init_val, kind), kind)


def _plain(value: Any, kind: str | None) -> Any:
    """A value as a reference of this kind takes it."""
    dropped = kind == "no_grad_no_remat" and isinstance(value, Tracer)
    if not dropped or not is_inexact(typeof(value).dtype):
        return value
    return stop_gradient_p.bind(value)[0]


def empty_ref(ty: Any, memory_space: Any = None) -> Ref:
    """A mutable array of the shape and dtype of `ty`; its first value is zeros."""
    del memory_space
    if not (hasattr(ty, "shape") and hasattr(ty, "dtype")):
        raise TypeError(
            located(
                f"empty_ref needs something with a shape and a dtype, got {type(ty)}",
                "they are what the reference holds",
                "ShapeDtypeStruct((3,), 'float32'), or an array",
            )
        )
    struct = ShapeDtypeStruct(ty.shape, ty.dtype)
    return new_ref(zeros(ArrayType(struct.shape, struct.dtype)))


def _reference(name: str, ref: Any) -> Any:
    if not isinstance(ref, Ref | RefView):
        raise ValueError(
            located(
                f"Can only call `{name}` on a `Ref`: {ref!r:.80}.",
                "arrays do not change; only mutable references are read and written in place",
                "new_ref(x), or x.at[...] for a changed copy",
            )
        )
    return ref


def freeze(ref: Ref) -> Any:
    """The value of a reference, which should not be used any more.

    In a function that is recorded (by jit, in loops and branches) it cannot be (ValueError);
    elsewhere it goes on, as in JAX. An array is its own value. Raises ValueError for a reference
    made outside of the function that is recorded, and for what is neither.
    """
    if isinstance(ref, Array | np.ndarray):
        return ref if isinstance(ref, Array) else to_array(ref)
    return _own(_reference("freeze", ref).end("frozen", keeps=True))


def free_ref(ref: Ref) -> Any:
    """As `freeze`: the reference gives up its memory with its value."""
    return _reference("free_ref", ref).end("freed")


def get(ref: Any, idx: Any = None) -> Any:
    """`ref[idx]`; the whole value for None."""
    return _reference("ref_get", ref)[... if idx is None else idx]


def set(ref: Any, idx: Any, value: Any) -> None:
    """`ref[idx] = value`; the whole value for None.

    Raises ValueError unless value has the shape and dtype of that part.
    """
    _reference("ref_set", ref)[... if idx is None else idx] = value


def swap(ref: Any, idx: Any, value: Any) -> Any:
    """`ref[idx]`, which becomes `value`. Raises ValueError as `set` does."""
    before = get(ref, idx)
    set(ref, idx, value)
    return before


def addupdate(ref: Any, idx: Any, x: Any) -> None:
    """Add to `ref[idx]`; what an index names twice gets both. Raises ValueError as `set` does."""
    index = ... if idx is None else idx
    if isinstance(ref, RefView):
        old = ref[...]
        ref[...] = _updated("addupdate", old, index, x, _add)
        return
    reference = _reference("addupdate", ref)
    x = _plain(x, reference.kind)
    reference.write(_updated("addupdate", reference.read(), index, x, _add))


def _get_item(self: Ref, index: Any) -> Any:
    """The value, or a part of it."""
    value = self.read()
    return as_arrays([_own(value) if _whole(index) else _part(value, index)])[0]


def _set_item(self: Ref, index: Any, value: Any) -> None:
    """Replace the value, or a part of it."""
    self.write(_updated("swap", self.read(), index, _plain(value, self.kind), _set))


def _iterate(self: Ref) -> Any:
    return iter([self[i] for i in range(len(self))])


for _name, _method in {
    "__getitem__": _get_item, "__setitem__": _set_item, "__iter__": _iterate,
    "addupdate": lambda self, x, idx=None: addupdate(self, idx, x),
    "at": property(RefIndexer),
}.items():  # fmt: skip
    setattr(Ref, _name, _method)
