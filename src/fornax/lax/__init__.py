"""The operations of programs as functions, with JAX's names: no promotion, no surprises.

Operands must have equal dtypes; shapes are equal, or scalars, or have ones where they differ.
Names are loaded from the module that defines them at their first use.
"""

from fornax import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "elementwise": (
            "RoundingMethod", "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2",
            "atanh", "bessel_i0e", "bessel_i1e", "betainc", "bitwise_and", "bitwise_not",
            "bitwise_or", "bitwise_xor", "cbrt", "ceil", "clz", "complex", "conj", "cos", "cosh",
            "digamma", "div", "eq", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "floor", "ge",
            "gt", "igamma", "igamma_grad_a", "igammac", "imag", "integer_pow", "is_finite", "le",
            "lgamma", "log", "log1p", "logistic", "lt", "max", "min", "mul", "mulhi", "ne", "neg",
            "nextafter", "polygamma", "population_count", "pow", "random_gamma_grad", "real",
            "reciprocal", "rem", "round", "rsqrt", "shift_left", "shift_right_arithmetic",
            "shift_right_logical", "sign", "sin", "sinh", "sqrt", "square", "sub", "tan", "tanh",
            "zeta",
        ),
        "selection": (
            "bitcast_convert_type", "clamp", "convert_element_type", "reduce_precision", "select",
            "select_n", "stop_gradient",
        ),
        "reductions": (
            "argmax", "argmin", "cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum", "reduce",
            "reduce_and", "reduce_max", "reduce_min", "reduce_or", "reduce_prod", "reduce_sum",
            "reduce_xor",
        ),
        "products": (
            "DotAlgorithm", "DotAlgorithmPreset", "DotDimensionNumbers", "Precision",
            "PrecisionLike", "batch_matmul", "dot", "dot_general",
        ),
        "ragged": ("RaggedDotDimensionNumbers", "ragged_dot", "ragged_dot_general"),
        "generators": ("RandomAlgorithm", "rng_bit_generator", "rng_uniform"),
        "shapes": (
            "broadcasted_iota", "collapse", "concatenate", "expand_dims", "iota", "pad", "reshape",
            "rev", "split", "squeeze", "stack", "tile", "unstack",
        ),
        "broadcasting": (
            "broadcast", "broadcast_in_dim", "broadcast_like", "broadcast_shapes",
            "broadcast_to_rank", "empty", "full", "full_like", "transpose",
        ),
        "slicing": (
            "dynamic_index_in_dim", "dynamic_slice", "dynamic_slice_in_dim",
            "dynamic_update_index_in_dim", "dynamic_update_slice", "dynamic_update_slice_in_dim",
            "index_in_dim", "slice", "slice_in_dim",
        ),
        "gathering": (
            "GatherDimensionNumbers", "GatherScatterMode", "ScatterDimensionNumbers", "gather",
            "index_take", "scatter", "scatter_add", "scatter_apply", "scatter_max", "scatter_min",
            "scatter_mul", "scatter_sub",
        ),
        "loops": ("fori_loop", "while_loop"),
        "scans": ("map", "scan"),
        "branches": ("cond", "switch"),
        "composites": ("composite", "optimization_barrier", "platform_dependent"),
        "solves": ("custom_linear_solve", "custom_root"),
        "associative": ("associative_scan",),
        "parallel": (
            "all_gather", "all_to_all", "axis_index", "axis_size", "pbroadcast", "pcast", "pmax",
            "pmean", "pmin", "ppermute", "pshuffle", "psum", "psum_scatter", "pswapaxes",
        ),
        "descriptions": ("AccuracyMode", "Tolerance", "dtype", "shape_as_value"),
        "placement": ("with_sharding_constraint",),
        "convolution_dimensions": (
            "ConvDimensionNumbers", "conv_dimension_numbers", "padtype_to_pads",
        ),
        "spectral": ("FftType", "fft", "fft_p"),
        "sorting": ("approx_max_k", "approx_min_k", "sort", "sort_key_val", "top_k"),
        "operations": (
            "abs_p", "acos_p", "acosh_p", "add_p", "all_gather_p", "all_to_all_p", "and_p",
            "argmax_p", "argmin_p", "asin_p", "asinh_p", "atan2_p", "atan_p", "atanh_p",
            "axis_index_p", "bessel_i0e_p", "bessel_i1e_p", "bitcast_convert_type_p",
            "broadcast_in_dim_p", "cbrt_p", "ceil_p", "clamp_p", "clz_p", "complex_p",
            "composite_p", "concatenate_p", "cond_p", "conj_p", "convert_element_type_p", "copy_p",
            "cos_p", "cosh_p", "cumlogsumexp_p", "cummax_p", "cummin_p", "cumprod_p", "cumsum_p",
            "digamma_p", "div_p", "dot_general_p", "dynamic_slice_p", "dynamic_update_slice_p",
            "eq_p", "eq_to_p", "erf_inv_p", "erf_p", "erfc_p", "exp2_p", "exp_p", "expm1_p",
            "floor_p", "gather_p", "ge_p", "gt_p", "igamma_grad_a_p", "igamma_p", "igammac_p",
            "imag_p", "integer_pow_p", "iota_p", "is_finite_p", "le_p", "le_to_p", "lgamma_p",
            "linear_solve_p", "log1p_p", "log_p", "logistic_p", "lt_p", "lt_to_p", "max_p", "min_p",
            "mul_p", "mulhi_p", "ne_p", "neg_p", "nextafter_p", "not_p", "optimization_barrier_p",
            "or_p", "pad_p", "pmax_p", "pmin_p", "polygamma_p", "population_count_p", "pow_p",
            "ppermute_p", "psum_p", "ragged_dot_general_p", "random_gamma_grad_p", "real_p",
            "reduce_and_p", "reduce_max_p", "reduce_min_p", "reduce_or_p", "reduce_p",
            "reduce_precision_p", "reduce_prod_p", "reduce_scatter_p", "reduce_sum_p",
            "reduce_xor_p", "regularized_incomplete_beta_p", "rem_p", "reshape_p", "rev_p",
            "rng_bit_generator_p", "rng_uniform_p", "round_p", "rsqrt_p", "scan_p", "scatter_add_p",
            "scatter_max_p", "scatter_min_p", "scatter_mul_p", "scatter_p", "scatter_sub_p",
            "select_n_p", "shift_left_p", "shift_right_arithmetic_p", "shift_right_logical_p",
            "sign_p", "sin_p", "sinh_p", "slice_p", "sort_p", "split_p", "sqrt_p", "square_p",
            "squeeze_p", "stack_p", "stop_gradient_p", "sub_p", "tan_p", "tanh_p", "tile_p",
            "top_k_p", "transpose_p", "unstack_p", "while_p", "xor_p", "zeta_p",
        ),
    },
    modules=("linalg",),
    before="fornax.numpy.methods",
)  # fmt: skip
