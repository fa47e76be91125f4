"""Rewrites mathematical functions into basic operations: polynomials, bit tricks, selects.

Every function is branch-free and works on one lane, so the vectoriser needs to know nothing about
it. `docs/accuracy.md` lists the measured errors; `math_*.py` hold the functions by subject.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fornax.compiler.loop import (
    math_bessel,
    math_bits,
    math_error,
    math_exponential,
    math_gamma,
    math_inverse,
    math_logarithm,
    math_power,
    math_trigonometric,
)
from fornax.compiler.loop.builder import Builder, Value
from fornax.compiler.loop.ir import MATH, Expr, Pair, is_float
from fornax.compiler.loop.math_arithmetic import Target, Term
from fornax.compiler.loop.rewrite import reachable

#: operation -> its meaning in basic operations.
FUNCTIONS: dict[str, Callable[..., Term]] = {
    "exp": math_exponential.exp, "exp2": math_exponential.exp2,
    "expm1": math_exponential.expm1, "logistic": math_exponential.logistic,
    "tanh": math_exponential.tanh, "sinh": math_exponential.sinh, "cosh": math_exponential.cosh,
    "sin": math_trigonometric.sin, "cos": math_trigonometric.cos, "tan": math_trigonometric.tan,
    "asin": math_inverse.asin, "acos": math_inverse.acos, "atan": math_inverse.atan,
    "atan2": math_inverse.atan2, "asinh": math_inverse.asinh, "acosh": math_inverse.acosh,
    "atanh": math_inverse.atanh,
    "erf": math_error.erf, "erfc": math_error.erfc, "erf_inv": math_error.erf_inv,
    "lgamma": math_gamma.lgamma, "digamma": math_gamma.digamma,
    "bessel_i0e": math_bessel.i0e, "bessel_i1e": math_bessel.i1e,
    "pow": math_power.pow_, "rsqrt": math_power.rsqrt, "cbrt": math_power.cbrt,
    "hypot": math_power.hypot,
    "sign": math_bits.sign, "round_away": math_bits.round_away,
    "is_finite": math_bits.is_finite, "nextafter": math_bits.nextafter,
    "log": math_logarithm.log, "log2": math_logarithm.log2, "log1p": math_logarithm.log1p,
}  # fmt: skip


def expand(b: Builder, value: Value | Sequence[Value], fma: bool = True):
    """`value` with every operation of `ir.MATH` rewritten into those of `ir.BASIC`.

    `value` is an expression, a complex pair, or a sequence of them; the result has the same form.
    Operands are float32 or float64 (any integer too for "sign"). With `fma=False`, for targets
    where a fused multiply-add is a library call, products and sums are rounded separately: errors
    stay within 4 units in the last place.
    """
    if isinstance(value, Pair):
        return Pair(*expand(b, list(value), fma))
    if isinstance(value, Expr):
        return expand(b, [value], fma)[0]
    done: dict[Expr, Expr] = {}
    target = Target(b, fma)
    flat = [e for v in value for e in (v if isinstance(v, Pair) else (v,))]
    for node in reachable(flat):
        done[node] = rebuild(target, node, tuple(done[a] for a in node.args))
    return [Pair(done[v[0]], done[v[1]]) if isinstance(v, Pair) else done[v] for v in value]


def rebuild(target: Target, node: Expr, args: tuple[Expr, ...]) -> Expr:
    """`node` with new operands, rewritten if it is a mathematical function."""
    if node.kind == "op" and node.data in MATH:
        dtype = args[0].dtype
        if not is_float(dtype) and node.data != "sign":
            raise TypeError(f"{node.data} of {dtype} is not defined: convert to a float first")
        return FUNCTIONS[node.data](*(Term(target, a) for a in args)).expr
    if args == node.args:
        return node
    if node.kind == "op":
        return target.b.op(node.data, *args, dtype=node.dtype)
    return target.b.node(node.kind, node.dtype, node.data, args)
