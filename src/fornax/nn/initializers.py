"""Initial values of parameters: functions (key, shape, dtype) -> array, and makers of those."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from fornax import numpy as fnp
from fornax import random
from fornax.ir.requested import requested
from fornax.lax.shapes import sizes
from fornax.scalars import dtypes
from fornax.source import located

__all__ = [
    "Initializer", "constant", "delta_orthogonal", "glorot_normal", "glorot_uniform",
    "he_normal", "he_uniform", "kaiming_normal", "kaiming_uniform", "lecun_normal",
    "lecun_uniform", "normal", "ones", "orthogonal", "truncated_normal", "uniform",
    "variance_scaling", "xavier_normal", "xavier_uniform", "zeros",
]  # fmt: skip

Axes = int | Sequence[int]


@runtime_checkable
class Initializer(Protocol):
    """What initializers are: functions of a key, a shape and a dtype."""

    def __call__(
        self, key: Any, shape: Sequence[int], dtype: Any = None, out_sharding: Any = None
    ) -> Any: ...


def _dtype(dtype: Any) -> Any:
    return requested(dtype, float)


def zeros(key, shape, dtype=None, out_sharding=None):
    """Zeros."""
    return fnp.zeros(shape, _dtype(dtype))


def ones(key, shape, dtype=None, out_sharding=None):
    """Ones."""
    return fnp.ones(shape, _dtype(dtype))


def constant(value, dtype=None) -> Initializer:
    """An initializer that gives `value`, a number or an array that broadcasts."""

    def init(key, shape, dtype=dtype, out_sharding=None):
        return fnp.full(shape, value, dtype=_dtype(dtype))

    return init


def uniform(scale=1e-2, dtype=None) -> Initializer:
    """An initializer that gives numbers spread evenly over [0, scale)."""

    def init(key, shape, dtype=dtype, out_sharding=None):
        dtype = _dtype(dtype)
        return random.uniform(key, shape, dtype) * fnp.array(scale, dtype)

    return init


def normal(stddev=1e-2, dtype=None) -> Initializer:
    """An initializer that gives normal numbers of this standard deviation."""

    def init(key, shape, dtype=dtype, out_sharding=None):
        dtype = _dtype(dtype)
        return random.normal(key, shape, dtype) * fnp.array(stddev, dtype)

    return init


def truncated_normal(stddev=1e-2, dtype=None, lower=-2.0, upper=2.0) -> Initializer:
    """An initializer that gives normal numbers between lower and upper, times `stddev`."""

    def init(key, shape, dtype=dtype, out_sharding=None):
        dtype = _dtype(dtype)
        numbers = random.truncated_normal(key, lower, upper, shape, dtype)
        return numbers * fnp.array(stddev, dtype)

    return init


# --- scaled by the number of connections -------------------------------------------------------
def _product(shape: Sequence[int], axes: Axes) -> int:
    return math.prod(shape[i] for i in ((axes,) if isinstance(axes, int) else axes))


def _fans(
    shape: Sequence[int], in_axis: Axes, out_axis: Axes, batch_axis: Axes
) -> tuple[float, float]:
    """How many inputs an output depends on, and how many outputs depend on an input."""
    if in_axis == -2 and len(shape) <= 1:
        raise ValueError(
            located(
                f"Can't compute input and output sizes of a {len(shape)}-dimensional weights "
                "tensor with default in_axis. Must be at least 2D or specify in_axis explicitly.",
                attempt="in_axis=(), or a shape of two dimensions and reshape",
            )
        )
    inputs, outputs = _product(shape, in_axis), _product(shape, out_axis)
    field = math.prod(shape) / inputs / outputs / _product(shape, batch_axis)
    return inputs * field, outputs * field


_DENOMINATORS: dict[str, Callable[[float, float], float]] = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
    "fan_geo_avg": lambda fan_in, fan_out: (fan_in * fan_out) ** 0.5,
}
#: standard deviations of normal numbers cut off at ±2: real ones, and complex ones at size 2
_CUT_REAL, _CUT_COMPLEX = 0.87962566103423978, 0.95311164380491208


def variance_scaling(
    scale: float,
    mode: str,
    distribution: str,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: Any = None,
) -> Initializer:
    """An initializer that gives numbers of mean 0 and variance scale / n.

    mode: what n is: "fan_in", "fan_out", or their "fan_avg" or "fan_geo_avg". distribution:
    "truncated_normal" (cut off at two standard deviations before scaling), "normal" or "uniform".
    in_axis, out_axis, batch_axis: which dimensions of a shape are inputs, outputs, and neither;
    the others are a receptive field. Raises ValueError for unknown modes and distributions.
    """

    def init(key, shape, dtype=dtype, out_sharding=None):
        shape = sizes(shape)
        dtype = _dtype(dtype)
        fans = _fans(shape, in_axis, out_axis, batch_axis)
        if mode not in _DENOMINATORS:
            raise ValueError(
                located(
                    f"invalid mode for variance scaling initializer: {mode}",
                    attempt="'fan_in', 'fan_out', 'fan_avg' or 'fan_geo_avg'",
                )
            )
        variance = fnp.array(scale / _DENOMINATORS[mode](*fans), dtype)
        is_complex = dtypes.is_complex(dtype)
        if distribution == "truncated_normal":
            cut = fnp.array(_CUT_COMPLEX if is_complex else _CUT_REAL, dtype)
            deviation = fnp.sqrt(variance) / cut
            if is_complex:
                return _complex_truncated_normal(key, 2, shape, dtype) * deviation
            return random.truncated_normal(key, -2, 2, shape, dtype) * deviation
        if distribution == "normal":
            return random.normal(key, shape, dtype) * fnp.sqrt(variance)
        if distribution == "uniform":
            if is_complex:
                return _complex_uniform(key, shape, dtype) * fnp.sqrt(variance)
            return random.uniform(key, shape, dtype, -1) * fnp.sqrt(3 * variance)
        raise ValueError(
            located(
                f"invalid distribution for variance scaling initializer: {distribution}",
                attempt="'normal', 'uniform' or 'truncated_normal'",
            )
        )

    return init


def _on_circles(radius: Any, key: Any, shape: Sequence[int], dtype: Any) -> Any:
    """Complex numbers of this size in all directions alike."""
    part = dtypes.real_dtype(dtype)
    angle = 2 * np.pi * random.uniform(key, shape, part).astype(dtype)
    return radius * fnp.exp(1j * angle)


def _complex_uniform(key: Any, shape: Sequence[int], dtype: Any) -> Any:
    """Points spread evenly over the disk of radius sqrt(2), whose variance is 1."""
    first, second = random.split(key)
    squared = 2 * random.uniform(first, shape, dtypes.real_dtype(dtype))
    return _on_circles(fnp.sqrt(squared).astype(dtype), second, shape, dtype)


def _complex_truncated_normal(key: Any, upper: float, shape: Sequence[int], dtype: Any) -> Any:
    """Complex normal numbers of variance 1, those of size above `upper` left out."""
    first, second = random.split(key)
    share = 1 - fnp.exp(fnp.array(-(upper**2), dtype))
    u = share * random.uniform(first, shape, dtypes.real_dtype(dtype)).astype(dtype)
    return _on_circles(fnp.sqrt(-fnp.log(1 - u)), second, shape, dtype)


def _family(scale: float, mode: str, distribution: str, name: str, text: str) -> Callable:
    def maker(in_axis=-2, out_axis=-1, batch_axis=(), dtype=None) -> Initializer:
        return variance_scaling(
            scale, mode, distribution, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis,
            dtype=dtype,
        )  # fmt: skip

    maker.__name__ = maker.__qualname__ = name
    maker.__doc__ = f"{text}: variance_scaling({scale}, {mode!r}, {distribution!r})."
    return maker


glorot_uniform = _family(
    1.0, "fan_avg", "uniform", "glorot_uniform", "Glorot and Bengio 2010, evenly spread"
)
glorot_normal = _family(
    1.0, "fan_avg", "truncated_normal", "glorot_normal", "Glorot and Bengio 2010, normal"
)
lecun_uniform = _family(
    1.0, "fan_in", "uniform", "lecun_uniform", "LeCun et al. 1998, evenly spread"
)
lecun_normal = _family(
    1.0, "fan_in", "truncated_normal", "lecun_normal", "LeCun et al. 1998, normal"
)
he_uniform = _family(2.0, "fan_in", "uniform", "he_uniform", "He et al. 2015, evenly spread")
he_normal = _family(2.0, "fan_in", "truncated_normal", "he_normal", "He et al. 2015, normal")
xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal


def orthogonal(scale=1.0, column_axis=-1, dtype=None) -> Initializer:
    """An initializer that gives matrices with orthonormal columns, or rows if it is wider.

    scale: what they are multiplied with. column_axis: the dimension that counts the columns; all
    others together count the rows. Raises ValueError for shapes of less than two dimensions.
    """

    def init(key, shape, dtype=dtype, out_sharding=None):
        shape = sizes(shape)
        dtype = _dtype(dtype)
        if len(shape) < 2:
            raise ValueError(
                located(
                    "orthogonal initializer requires at least a 2D shape",
                    attempt="nn.initializers.normal() for vectors",
                )
            )
        columns = shape[column_axis]
        rows = math.prod(shape) // columns if columns else 0
        wide = rows < columns
        q, r = fnp.linalg.qr(
            random.normal(key, (columns, rows) if wide else (rows, columns), dtype)
        )
        q = q * fnp.sign(fnp.diag(r))  # with positive diagonals the factors are unique
        q = q.T if wide else q
        axis = column_axis % len(shape)
        q = q.reshape((*shape[:axis], *shape[axis + 1 :], columns))
        return (scale * fnp.moveaxis(q, -1, axis)).astype(dtype)

    return init


def delta_orthogonal(scale=1.0, column_axis=-1, dtype=None) -> Initializer:
    """An initializer of convolutions: orthogonal at their centre, zero elsewhere.

    For shapes (..., inputs, outputs) with one to three spatial dimensions and no more inputs than
    outputs; ValueError for others. Xiao et al. 2018.
    """

    def init(key, shape, dtype=dtype, out_sharding=None):
        shape = sizes(shape)
        dtype = _dtype(dtype)
        if len(shape) not in (3, 4, 5):
            raise ValueError(
                located(
                    "Delta orthogonal initializer requires a 3D, 4D or 5D shape.",
                    attempt="nn.initializers.orthogonal() for dense layers, or a window "
                    "dimension of size 1",
                )
            )
        inputs, outputs = shape[-2:]
        if outputs < inputs:
            raise ValueError(
                located(
                    "`fan_in` must be less or equal than `fan_out`.",
                    attempt="at least as many output as input channels, or "
                    "nn.initializers.orthogonal()",
                )
            )
        matrix = orthogonal(scale, column_axis, dtype)(key, (outputs, outputs))
        centre = tuple((n - 1) // 2 for n in shape[:-2])
        return fnp.zeros(shape, dtype).at[centre].set(matrix[:inputs])

    return init
