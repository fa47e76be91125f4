"""Choosing between values and changing how they are represented."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from fornax.ir.requested import requested
from fornax.ir.static import static_integer
from fornax.ir.types import is_value, typeof
from fornax.primitives import convert
from fornax.primitives.complex import real_p
from fornax.primitives.select import clamp_p, select_n_p
from fornax.pytree import tree_map
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "bitcast_convert_type",
    "clamp",
    "convert_element_type",
    "reduce_precision",
    "select",
    "select_n",
    "stop_gradient",
]


def select_n(which: Any, *cases: Any) -> Any:
    """Case number `which`, element by element.

    which: booleans (two cases) or int32, a scalar or of the shape of the cases. cases: arrays of
    one shape and dtype. Raises TypeError for operands that do not fit.
    """
    if not cases:
        raise ValueError(
            located(
                "select_n() must have at least one case",
                attempt="select_n(which, case, other_case)",
            )
        )
    shapes = [typeof(c).shape for c in cases]
    if any(s != shapes[0] for s in shapes):
        raise TypeError(
            located(
                f"select cases must have the same shapes, got [{_listed(shapes)}].",
                attempt="numpy.where, which broadcasts, or lax.broadcast",
            )
        )
    shape = typeof(which).shape
    if shape not in ((), shapes[0]):
        raise TypeError(
            located(
                "select `which` must be scalar or have the same shape as cases, got `which` shape "
                f"{shape} but case shape {shapes[0]}.",
                attempt="numpy.where, which broadcasts, or a scalar `which`",
            )
        )
    return select_n_p.bind(which, *cases)[0]


def _listed(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes))


def select(pred: Any, on_true: Any, on_false: Any) -> Any:
    """`on_true` where the booleans `pred` hold, else `on_false`. See `select_n`."""
    return select_n(pred, on_false, on_true)


def clamp(min: Any, x: Any, max: Any) -> Any:
    """x limited to [min, max]; the bounds are scalars or have the shape of x, and its dtype."""
    shape = typeof(x).shape
    for name, bound in (("min", min), ("max", max)):
        bound_shape = typeof(bound).shape
        if bound_shape not in ((), shape):
            raise TypeError(
                located(
                    f"clamp requires {name}.shape == operand.shape or {name}.shape == (), got "
                    f"{name}.shape={bound_shape}, operand.shape={shape}.",
                    attempt="numpy.clip, which broadcasts, or lax.broadcast_in_dim",
                )
            )
    return clamp_p.bind(min, x, max)[0]


def convert_element_type(operand: Any, new_dtype: Any) -> Any:
    """`operand` as another dtype.

    Floats become integers by truncation, saturating at the limits, NaN giving 0; integers wrap;
    booleans are x != 0; complex numbers first lose their imaginary part, with a warning.
    """
    dtype = requested(new_dtype)
    if dtypes.is_complex(typeof(operand).dtype) and not dtypes.is_complex(dtype):
        warnings.warn(
            "Casting complex values to real discards the imaginary part",
            np.exceptions.ComplexWarning,
            stacklevel=2,
        )
        operand = real_p.bind(operand)[0]
    return as_array(convert.convert_element_type(operand, dtype), operand)


def as_array(result: Any, operand: Any) -> Any:
    """`result`, copied into an array of ours if it still is the NumPy `operand`."""
    if result is operand and isinstance(result, np.ndarray | np.generic):
        return convert.copy_p.bind(result)[0]
    return result


def bitcast_convert_type(operand: Any, new_dtype: Any) -> Any:
    """The bits of `operand` as another dtype.

    A narrower dtype adds a last dimension, a wider one takes the last dimension away. Raises
    TypeError for booleans and complex numbers.
    """
    return convert.bitcast_convert_type_p.bind(operand, new_dtype=requested(new_dtype))[0]


def reduce_precision(operand: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """Floats rounded to fewer exponent and mantissa bits, in their own dtype."""
    return convert.reduce_precision_p.bind(
        operand,
        exponent_bits=static_integer(exponent_bits, "exponent_bits"),
        mantissa_bits=static_integer(mantissa_bits, "mantissa_bits"),
    )[0]


def stop_gradient(x: Any) -> Any:
    """The same values (any pytree), constant to differentiation; Python's numbers as they are."""

    def stop(leaf: Any) -> Any:
        if isinstance(leaf, int | float | complex) and not isinstance(leaf, np.generic):
            return leaf
        if not is_value(leaf) or not dtypes.is_inexact(typeof(leaf).dtype):
            return leaf
        return convert.stop_gradient_p.bind(leaf)[0]

    return tree_map(stop, x)
