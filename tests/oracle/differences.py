"""Where Fornax is known to differ from jax, and why it does not follow.

A difference names the calls, not the rows, and where it can the elements, that differ. All else
must agree, and what is said to differ must differ: else its entry here is out of date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ml_dtypes
import numpy as np

#: words of errors of jax that nobody raised on purpose: another class, or a result, is as good.
#: So is it where an assertion of jax fails: mode ONE_HOT of gather, which it knows but does not
#: lower, ppermute of some examples only under vmap, the wrong operands of rng_bit_generator.
ACCIDENTS = (
    "Cannot lower jaxpr", "safe_map()", "operands could not be broadcast together",
    "for axis 0 with size", "cannot convert float infinity", "object has no attribute",
    "unsupported operand type", "max() arg is an empty sequence", "Expected cotangent type",
    "rev dimensions must have every element be nonnegative", "got <class 'list'> at position 1",
    "full must be called with scalar fill_value", "invalid tensor dimension size",
    "Unimplemented grad_y_dims",
)  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """Calls whose source `pattern` matches differ, or only those `elements` of the result for
    which the function of the operands says so."""

    pattern: str
    reason: str
    elements: Callable[..., np.ndarray] | None = None
    #: whether some of the calls agree: it cannot be told beforehand which
    sometimes: bool = False
    #: only where this holds of the operands
    when: Callable[..., bool] = lambda *operands: True

    def concerns(self, source: str, operands: Sequence[np.ndarray]) -> bool:
        """Whether this is a call that it names."""
        return re.search(self.pattern, source) is not None and bool(self.when(*operands))


def below_the_cut(x):
    """Complex numbers -a - 0j."""
    if x.dtype.kind != "c":
        return np.zeros(x.shape, bool)
    return (x.real < 0) & (x.imag == 0) & np.signbit(x.imag)


def zero_to_complex(x, y):
    """Complex zeros with exponents that have an imaginary part."""
    if x.dtype.kind != "c" or y.dtype.kind != "c":
        return np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
    return (x == 0) & (y.imag != 0) & (y.real > 0)


def one(x):
    """Ones of float32 and the dtypes that are computed in it."""
    return (x == 1) & (x.dtype.kind in "fV") & (x.dtype.itemsize <= 4)


def denormal(*operands):
    """Where a float among the operands is denormal, in the dtype that it is stored in."""
    found = np.zeros(np.broadcast_shapes(*(x.shape for x in operands)), bool)
    for x in operands:
        if x.dtype.kind in "fV":
            with np.errstate(invalid="ignore"):  # comparisons of a bfloat16 that is NaN
                size = np.abs(x)
                found |= (size > 0) & (size < ml_dtypes.finfo(x.dtype).tiny)
    return found


DIFFERENCES = [
    Difference(
        r"^lax\.(pow|atan2|cbrt|asin|convert_element_type|reduce_precision)\(",
        "denormal numbers: Fornax takes them for zero, but not those of float16, wherever it "
        "computes; jax in some operations, or in some steps of them, or in scalars only",
        denormal,
        sometimes=True,
        when=lambda *operands: (
            operands[0].dtype.kind in "fV"
            and len({x.shape for x in operands}) == 1
            and bool(np.any(denormal(*operands)))
        ),
    ),
    Difference(
        r"^lax\.sqrt\(x0\)$",
        "jax forgets the sign of zero and takes the branch above the cut",
        below_the_cut,
    ),
    Difference(
        r"^lax\.pow\(x0, x1\)$",
        "0 to the power 1 + 1j is 0; jax gives NaN",
        zero_to_complex,
        when=lambda x, y: x.shape == y.shape or not x.ndim or not y.ndim,
    ),
    Difference(r"^lax\.lgamma\(x0\)$", "0 at 1; jax is off by a rounding error", one),
    Difference(
        r"^lax\.random_gamma_grad\(x0, x1\)$",
        "jax's ValueError of shapes that do not fit, where its other functions raise TypeError",
        when=lambda x, y: x.ndim == y.ndim > 0 and x.shape != y.shape,
    ),
    Difference(
        r"^transformed\.(weak_)?jvp\(.*lax\.random_gamma_grad",
        "jax differentiates the steps of its series, forwards only; Fornax refuses",
    ),
    Difference(
        r"^transformed\.(vjp|batched_gradient)\(.*lax\.select_n\(x0, x1, x2, x3\)",
        "numbers of cases that do not exist: the value is the nearest case's, but in jax the "
        "derivative is not",
        when=lambda which, *cases: (
            cases[0].dtype.kind in "fV" and which.size and (which.min() < 0 or which.max() > 2)
        ),
    ),
    Difference(
        r"^transformed\.(jvp|vjp)\(.*lax\.clamp",
        "one bound a scalar, one not: derivatives in jax refuse it",
        when=lambda low, x, high: x.ndim and (low.ndim == 0) != (high.ndim == 0),
    ),
    Difference(
        r"^transformed\.batched\(.*lax\.clamp.*\(None, None, 0\)\)$",
        "only one bound is mapped, over numbers: jax refuses it, and takes what it refuses alone",
        when=lambda low, x, high: x.ndim == 0 and (high.ndim or not low.ndim),
    ),
    Difference(
        r"^transformed\.batched\(.*lax\.clamp.*\(0, None, None\)\)$",
        "a bound that is larger than the operand: jax takes it if mapped, and refuses it alone",
        when=lambda low, x, high: x.ndim == 0 and low.ndim,
    ),
    Difference(
        r"^transformed\.batched\(.*lax\.ragged_dot_general",
        "jax maps ragged products over the first dimension of all operands only",
        sometimes=True,
    ),
    Difference(
        r"^transformed\.(jvp|vjp|batched_gradient)\(.*lax\.scatter_(max|min)\(",
        "where no update wins jax divides 0 by 0, and counts updates that lose; Fornax agrees with "
        "finite differences",
        elements=lambda *operands: np.True_,
        sometimes=True,
        when=lambda x, *rest: x.dtype.kind in "fV",
    ),
    Difference(
        r"^transformed\.batched\(.*lax\.bitcast_convert_type.*\([12],\)\)$",
        "to a wider dtype, mapped over the last axis: jax takes that for the axis of the parts",
        sometimes=True,
    ),
    Difference(
        r"^transformed\.jvp\(.*lax\.reduce_(max|min)\(x0, axes=\(0,\)",
        "the derivative of the extreme of nothing: 0; jax divides 0 by 0",
        when=lambda x: x.size == 0 and x.dtype.kind in "fV",
    ),
    Difference(
        r"effects\.run\(.*'(ordered )?io', '(jit )?grad (scan|fori)'",
        "in loops that are differentiated jax drops io_callback where its result is not needed, "
        "and moves it out of the loop where its operands do not change",
        sometimes=True,
    ),
    Difference(
        r"effects\.run\(.*, 'debug', '(vmap cond|(jit )?grad (jit )?checkpoint|grad scan.*)'",
        "jax keeps the results of some calls with debugging output, and shows them once",
        sometimes=True,
    ),
    Difference(
        r"effects\.run\(.*io', '(jit )?grad (jit |scan )?checkpoint'",
        "jax refuses effects in checkpoint that are not computed again, too",
        sometimes=True,
    ),
    Difference(
        r"effects\.run\(.*'ordered io', '((jit )?grad|jvp) vmap'",
        "mapping a function with rules maps it and not only its rules",
        sometimes=True,
    ),
    Difference(
        r"effects\.run\(.*vjp.*io', '.*(jvp|jacfwd)",
        "two mistakes in one program: the other is found first",
        sometimes=True,
    ),
    Difference(
        r"effects\.run\(.*derived_branch.*'(jacfwd|(jit )?grad vmap)'",
        "the rule of a mapped branch: jax maps its index as well",
        sometimes=True,
    ),
]


def difference(source: str, operands: Sequence[np.ndarray]) -> Difference | None:
    """The known difference of a call."""
    return next((d for d in DIFFERENCES if d.concerns(source, operands)), None)
