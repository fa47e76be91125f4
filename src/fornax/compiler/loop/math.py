"""Rewrites mathematical functions into basic operations: polynomials, bit tricks, selects.

Every function is branch-free and works on one lane, so the vectoriser needs to know nothing about
it. `docs/accuracy.md` lists the measured errors; `math_*.py` hold the functions by subject.
"""

from __future__ import annotations

from typing import overload

from fornax._native import reachable
from fornax.compiler.loop.builder import Builder, Value
from fornax.compiler.loop.ir import MATH, Expr, Pair, is_float
from fornax.compiler.loop.math_arithmetic import Target, Term
from fornax.errors import InternalError
from fornax.lazy import Table

#: operation -> its meaning in basic operations, a function of Terms.
FUNCTIONS = Table(
    "fornax.compiler.loop",
    {
        "math_exponential": ("exp", "exp2", "expm1", "logistic", "tanh", "sinh", "cosh"),
        "math_trigonometric": ("sin", "cos", "tan"),
        "math_inverse": ("asin", "acos", "atan", "atan2", "asinh", "acosh", "atanh"),
        "math_error": ("erf", "erfc", "erf_inv"),
        "math_gamma": ("lgamma", "digamma"),
        "math_bessel": {"bessel_i0e": "i0e", "bessel_i1e": "i1e"},
        "math_power": {"pow": "pow_", "rsqrt": "rsqrt", "cbrt": "cbrt", "hypot": "hypot"},
        "math_bits": ("sign", "round_away", "is_finite", "nextafter"),
        "math_logarithm": ("log", "log2", "log1p"),
    },
)


@overload
def expand(b: Builder, value: Expr, fma: bool = True, tables: bool = False) -> Expr: ...
@overload
def expand(b: Builder, value: Pair, fma: bool = True, tables: bool = False) -> Pair: ...
@overload
def expand(
    b: Builder, value: list[Value], fma: bool = True, tables: bool = False
) -> list[Value]: ...
def expand(
    b: Builder, value: Value | list[Value], fma: bool = True, tables: bool = False
) -> Value | list[Value]:
    """`value` with every operation of `ir.MATH` rewritten into those of `ir.BASIC`.

    `value` is an expression, a complex pair, or a list of them; the result has the same form.
    Operands are float32 or float64 (any integer too for "sign"). With `fma=False`, for targets
    where a fused multiply-add is a library call, products and sums are rounded separately: errors
    stay within 4 units in the last place. `tables`: for targets that look numbers up in registers.
    """
    if isinstance(value, Expr | Pair):
        return expand(b, [value], fma, tables)[0]
    done: dict[Expr, Expr] = {}
    target = Target(b, fma, tables)
    flat = [e for v in value for e in (v if isinstance(v, Pair) else (v,))]
    for node in reachable(flat):
        done[node] = rebuild(target, node, tuple(done[a] for a in node.args))
    return [Pair(done[v[0]], done[v[1]]) if isinstance(v, Pair) else done[v] for v in value]


def rebuild(target: Target, node: Expr, args: tuple[Expr, ...]) -> Expr:
    """`node` with new operands, rewritten if it is a mathematical function."""
    if node.kind == "op" and node.data in MATH:
        dtype = args[0].dtype
        if not is_float(dtype) and node.data != "sign":
            raise InternalError(f"{node.data} of {dtype} is not defined: convert to a float first")
        return FUNCTIONS[node.data](*(Term(target, a) for a in args)).expr
    if args == node.args:
        return node
    if node.kind == "op":
        return target.b.op(node.data, *args, dtype=node.dtype)
    return target.b.node(node.kind, node.dtype, node.data, args)
