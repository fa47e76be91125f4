"""Rounding once: a float64 on its way through float32 to a smaller format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fornax.compiler.loop.ir import STORAGE, Expr
from fornax.scalars.formats import FORMATS, POWERS, UPPER_HALF

if TYPE_CHECKING:
    from fornax.compiler.loop.builder import Builder


def computed(b: Builder, x: Expr, to: str) -> Expr:
    """x in the dtype that storage dtype `to` is computed in, for `to` to be rounded from.

    A float64 becomes odd where it is inexact, so that rounding it again gives what rounding x
    gives; except for bfloat16, which JAX rounds twice.
    """
    if x.dtype == "float64" and FORMATS[to].is_float and FORMATS[to].special != UPPER_HALF:
        return to_odd(b, x, FORMATS[to].special == POWERS)
    return b.cast(x, STORAGE[to])


def to_odd(b: Builder, x: Expr, tiny: bool) -> Expr:
    """The float64 x as a float32 whose last bit is set where it is inexact.

    `tiny`: with the right side of 2^-127 and 2^-126, below which float32 may be flushed to zero.
    """
    near = b.cast(x, "float32")
    back = b.cast(near, "float64")
    word = b.bitcast(near, dtype="uint32")
    word = b.sub(word, b.cast(b.gt(b.abs(back), b.abs(x)), "uint32"))
    word = b.or_(word, b.cast(b.ne(back, x), "uint32"))
    if tiny:
        # as bits: numbers may be flushed here as well
        for most, bits in ((2.0**-126, 0x00800000), (2.0**-127, 1), (0.0, 0)):
            test = b.le(x, b.const(most, "float64"))
            word = b.select(test, b.const(bits, "uint32"), word)
    return b.bitcast(word, dtype="float32")
