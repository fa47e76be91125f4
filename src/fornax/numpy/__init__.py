"""NumPy's functions on Fornax arrays, with JAX's promotion and semantics.

Names load at first use from the modules that define them, NumPy with them.
"""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "at": ("put_along_axis",),
        "bits": ("frexp", "gcd", "lcm", "ldexp", "modf", "packbits", "spacing", "unpackbits"),
        "creation": (
            "array", "asarray", "copy", "empty", "empty_like", "eye", "frombuffer", "full",
            "full_like", "identity", "ones", "ones_like", "zeros", "zeros_like",
        ),
        "editing": (
            "argpartition", "delete", "insert", "partition", "place", "put", "trim_zeros",
        ),
        "functional": (
            "apply_along_axis", "apply_over_axes", "fromfunction", "piecewise", "vectorize",
        ),
        "grids": ("c_", "index_exp", "mgrid", "ogrid", "r_", "s_"),
        "indexing": ("take", "take_along_axis"),
        "matrices": (
            "block", "diag", "diag_indices", "diag_indices_from", "diagflat", "fill_diagonal",
            "indices", "ix_", "mask_indices", "meshgrid", "ravel_multi_index", "tri", "tril",
            "tril_indices", "tril_indices_from", "triu", "triu_indices", "triu_indices_from",
            "unravel_index", "vander",
        ),
        "methods": ("ndarray",),
        "universal": ("frompyfunc", "ufunc"),
        "namespace_info": ("__array_api_version__", "__array_namespace_info__"),
        "padding": ("pad",),
        "polynomials": (
            "poly", "polyadd", "polyder", "polydiv", "polyfit", "polyint", "polymul", "polysub",
            "polyval", "roots",
        ),
        "contractions": ("einsum", "einsum_path", "matvec", "vecmat"),
        "products": (
            "cross", "dot", "inner", "kron", "matmul", "outer", "tensordot", "trace", "vdot",
            "vecdot",
        ),
        "moments": ("average", "mean", "std", "var"),
        "reductions": (
            "all", "amax", "amin", "any", "argmax", "argmin", "count_nonzero", "max", "min", "prod",
            "ptp", "sum",
        ),
        "running": ("cumprod", "cumsum", "cumulative_prod", "cumulative_sum"),
        "without_nan": (
            "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmin",
            "nanprod", "nanstd", "nansum", "nanvar",
        ),
        "scalar_types": (
            "ComplexWarning", "bfloat16", "bool", "bool_", "can_cast", "cdouble", "character",
            "complex128", "complex64", "complex_", "complexfloating", "csingle", "double", "dtype",
            "e", "euler_gamma", "flexible", "iterable", "single", "finfo", "float16", "float32",
            "float4_e2m1fn", "float64", "float6_e2m3fn", "float6_e3m2fn", "float8_e3m4",
            "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
            "float8_e5m2fnuz", "float8_e8m0fnu", "float_", "floating", "generic", "iinfo",
            "inexact", "inf", "int1", "int16", "int2", "int32", "int4", "int64", "int8", "int_",
            "integer", "iscomplex", "iscomplexobj", "isdtype", "isreal", "isrealobj", "isscalar",
            "issubdtype", "nan", "newaxis", "number", "object_", "pi", "promote_types",
            "result_type", "signedinteger", "uint", "uint1", "uint16", "uint2", "uint32", "uint4",
            "uint64", "uint8", "unsignedinteger",
        ),
        "comparing": ("allclose", "array_equal", "array_equiv", "isclose"),
        "differences": ("diff", "ediff1d", "gradient", "trapezoid", "unwrap"),
        "selection": (
            "argwhere", "choose", "clip", "compress", "extract", "flatnonzero", "nan_to_num",
            "nonzero", "select", "where",
        ),
        "sorting": ("argsort", "digitize", "lexsort", "searchsorted", "sort", "sort_complex"),
        "sets": (
            "intersect1d", "isin", "setdiff1d", "setxor1d", "union1d", "unique", "unique_all",
            "unique_counts", "unique_inverse", "unique_values",
        ),
        "conversions": ("astype",),
        "joining": (
            "append", "column_stack", "concat",
            "concatenate", "dstack", "hstack", "stack", "vstack",
        ),
        "ranges": ("arange", "geomspace", "linspace", "logspace"),
        "rearranging": ("flip", "fliplr", "flipud", "repeat", "resize", "roll", "rot90", "tile"),
        "shaping": (
            "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays", "broadcast_shapes",
            "broadcast_to", "diagonal", "expand_dims", "matrix_transpose", "moveaxis", "ndim",
            "permute_dims", "ravel", "reshape", "rollaxis", "shape", "size", "squeeze", "swapaxes",
            "transpose",
        ),
        "splitting": ("array_split", "dsplit", "hsplit", "split", "unstack", "vsplit"),
        "signal": (
            "bartlett", "blackman", "convolve", "correlate", "hamming", "hanning", "i0", "interp",
            "kaiser",
        ),
        "histograms": (
            "bincount", "histogram", "histogram2d", "histogram_bin_edges", "histogramdd",
        ),
        "quantiles": (
            "median", "nanmedian", "nanpercentile", "nanquantile", "percentile", "quantile",
        ),
        "statistics": ("corrcoef", "cov"),
        "texts": (
            "array_repr", "array_str", "from_dlpack", "fromfile", "fromiter", "fromstring",
            "get_printoptions", "load", "printoptions", "save", "savez", "set_printoptions",
        ),
        "ufuncs": (
            "abs", "absolute", "acos", "acosh", "add", "angle", "arccos", "arccosh", "arcsin",
            "arcsinh", "arctan", "arctan2", "arctanh", "around", "asin", "asinh", "atan", "atan2",
            "atanh", "bitwise_and", "bitwise_count", "bitwise_invert", "bitwise_left_shift",
            "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "cbrt", "ceil",
            "conj", "conjugate", "copysign", "cos", "cosh", "deg2rad", "degrees", "divide",
            "divmod", "equal", "exp", "exp2", "expm1", "fabs", "float_power", "floor",
            "floor_divide", "fmax", "fmin", "fmod", "greater", "greater_equal", "heaviside",
            "hypot", "imag", "invert", "isfinite", "isinf", "isnan", "isneginf", "isposinf",
            "left_shift", "less", "less_equal", "log", "log10", "log1p", "log2", "logaddexp",
            "logaddexp2", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum",
            "minimum", "mod", "multiply", "negative", "nextafter", "not_equal", "positive", "pow",
            "power", "rad2deg", "radians", "real", "reciprocal", "remainder", "right_shift", "rint",
            "round", "sign", "signbit", "sin", "sinc", "sinh", "sqrt", "square", "subtract", "tan",
            "tanh", "true_divide", "trunc",
        ),
    },
    modules=("fft", "linalg"),
    before="fornax.numpy.methods",
)  # fmt: skip
