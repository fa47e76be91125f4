"""Elementwise functions. Those that are one operation are rows of `tables`."""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "angles": ("deg2rad", "degrees", "rad2deg", "radians", "sinc"),
        "complex_parts": ("angle", "conj", "conjugate", "imag", "real"),
        "division": ("divmod", "floor_divide", "fmod", "mod", "remainder"),
        "finiteness": ("fmax", "fmin", "isfinite", "isinf", "isnan", "isneginf", "isposinf"),
        "logarithms": ("logaddexp", "logaddexp2"),
        "powers": ("float_power", "hypot", "log10", "log2", "pow", "power", "reciprocal"),
        "rounding": ("around", "ceil", "floor", "rint", "round", "trunc"),
        "signs": (
            "abs", "absolute", "bitwise_count", "copysign", "fabs", "heaviside", "positive", "sign",
            "signbit",
        ),
        "tables": (
            "acos", "acosh", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
            "arctanh", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_invert",
            "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
            "cbrt", "cos", "cosh", "divide", "equal", "exp", "exp2", "expm1", "greater",
            "greater_equal", "invert", "left_shift", "less", "less_equal", "log", "log1p",
            "logical_and", "logical_not", "logical_or", "logical_xor", "maximum", "minimum",
            "multiply", "negative", "nextafter", "not_equal", "right_shift", "sin", "sinh", "sqrt",
            "square", "subtract", "tan", "tanh", "true_divide",
        ),
    },
)  # fmt: skip
