"""Functions with derivative rules of their own."""

from fornax.api.custom import closure_convert, custom_gradient, custom_jvp, custom_vjp
from fornax.api.linear import custom_vjp_primal_tree_values, linear_call
from fornax.api.rules import CustomVJPPrimal, SymbolicZero, zero_from_primal
from fornax.primitives.custom import custom_jvp_call_p, custom_vjp_call_p

__all__ = [
    "CustomVJPPrimal",
    "SymbolicZero",
    "closure_convert",
    "custom_gradient",
    "custom_jvp",
    "custom_jvp_call_p",
    "custom_vjp",
    "custom_vjp_call_p",
    "custom_vjp_primal_tree_values",
    "linear_call",
    "zero_from_primal",
]
