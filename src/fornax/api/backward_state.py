"""Values of references as the cotangents that hand them backwards: see `ir.ref`.

Cotangents are added to zeros on their way, so integers travel as parts of 16 bits in float32,
which are exact; floats and complex numbers are what they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fornax.ir.ref import state_type
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.concatenate import concatenate
from fornax.primitives.convert import bitcast_convert_type_p, convert_element_type
from fornax.primitives.elementwise import and_p, or_p, shift_left_p, shift_right_logical_p
from fornax.primitives.family import constant
from fornax.primitives.random import generator_of, random_unwrap, random_wrap
from fornax.primitives.shape import expand_dims, squeeze
from fornax.primitives.slice import slice_in
from fornax.scalars import dtypes

__all__ = ["decode", "encode"]


def encode(value: Any) -> Any:
    """A value of a reference as a cotangent of type `state_type`."""
    type = typeof(value)
    if dtypes.is_inexact(type.dtype):
        return convert_element_type(value, type.dtype) if type.weak_type else value
    if isinstance(type.dtype, dtypes.ExtendedDtype):
        return encode(random_unwrap(value))
    parts = state_type(type).shape[-1]
    axis = type.ndim
    if parts == 1:
        return expand_dims(convert_element_type(value, dtypes.float32), (axis,))
    bits = _unsigned(convert_element_type(value, type.dtype), type)
    pieces = []
    for k in range(parts):
        piece = shift_right_logical_p(bits, constant(bits, 16 * k))
        piece = and_p(piece, constant(bits, 0xFFFF))
        pieces.append(expand_dims(convert_element_type(piece, dtypes.float32), (axis,)))
    return concatenate(pieces, axis)


def decode(state: Any, type: ArrayType) -> Any:
    """The value of this type that `encode` was given."""
    if dtypes.is_inexact(type.dtype):
        return convert_element_type(state, type.dtype, type.weak_type)
    if isinstance(type.dtype, dtypes.ExtendedDtype):
        shape = (*type.shape, *type.dtype.base_shape)
        words = decode(state, ArrayType(shape, type.dtype.base_dtype))
        return random_wrap(words, generator_of(type.dtype))
    parts = state_type(type).shape[-1]
    axis = typeof(state).ndim - 1
    pieces = [squeeze(slice_in(state, axis, k, k + 1), (axis,)) for k in range(parts)]
    if parts == 1:
        return convert_element_type(pieces[0], type.dtype, type.weak_type)
    unsigned = np.dtype(f"uint{8 * type.dtype.itemsize}")
    bits = convert_element_type(pieces[0], unsigned)
    for k in range(1, parts):
        piece = convert_element_type(pieces[k], unsigned)
        bits = or_p(bits, shift_left_p(piece, constant(bits, 16 * k)))
    if unsigned != type.dtype:
        bits = bitcast_convert_type_p.bind(bits, new_dtype=type.dtype)[0]
    return convert_element_type(bits, type.dtype, type.weak_type)


def _unsigned(value: Any, type: ArrayType) -> Any:
    unsigned = np.dtype(f"uint{8 * type.dtype.itemsize}")
    if unsigned == type.dtype:
        return value
    return bitcast_convert_type_p.bind(value, new_dtype=unsigned)[0]
