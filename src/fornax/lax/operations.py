"""The primitives behind the functions of this package, under JAX's names."""

from fornax.ir.basis import broadcast_in_dim_p, reduce_sum_p, transpose_p
from fornax.primitives import (
    argreduce,
    bit_generator,
    collectives,
    combine,
    compare,
    complex,
    composite,
    concatenate,
    cond,
    convert,
    cumulative,
    dot,
    dynamic_slice,
    elementwise,
    gamma,
    gather,
    iota,
    linear_solve,
    pad,
    ragged_dot,
    reduce,
    scan,
    scatter,
    select,
    shape,
    slice,
    sort,
    special,
    stacking,
    while_,
)

__all__ = ["broadcast_in_dim_p", "reduce_sum_p", "transpose_p"]
for _module in (
    argreduce, bit_generator, collectives, combine, compare, complex, composite, concatenate, cond,
    convert, cumulative, dot, dynamic_slice, elementwise, gamma, gather, iota, linear_solve, pad,
    ragged_dot, reduce, scan, scatter, select, shape, slice, sort, special, stacking,
    while_,
):  # fmt: skip
    for _name, _value in vars(_module).items():
        if _name.endswith("_p"):
            globals()[_name] = _value
            __all__.append(_name)
