"""Fornax: composable transformations of Python functions, with a compiler of its own.

Everything public sits where JAX has it: `fornax.jit`, `fornax.grad`, `fornax.numpy`, …. Nothing is
loaded before it is used: `import fornax` costs a few milliseconds.
"""

import os

if os.path.basename(os.path.dirname(os.path.abspath(__file__))) != "fornax":
    raise ImportError(
        "fornax must be imported from a folder called fornax\n"
        "  try:   rename the folder, or install the package"
    )

from fornax import lazy

__version__ = "0.1.0"
__version_info__ = (0, 1, 0)

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "api.jit": ("jit",),
        "api.grad": (
            "fwd_and_bwd", "grad", "linear_transpose", "linearize", "value_and_grad", "vjp",
        ),
        "api.forward": ("jvp",),
        "api.jacobian": ("hessian", "jacfwd", "jacobian", "jacrev"),
        "api.vmap": ("vmap",),
        "api.pmap": ("pmap",),
        "api.shard": ("make_mesh", "reshard", "set_mesh"),
        "api.assembled": (
            "make_array_from_callback", "make_array_from_process_local_data",
            "make_array_from_single_device_arrays",
        ),
        "api.shard_mapping": ("shard_map",),
        "partition.shardings": ("NamedSharding",),
        "partition.spec": ("P",),
        "api.custom": ("closure_convert", "custom_gradient", "custom_jvp", "custom_vjp"),
        "api.checkpoint": ("checkpoint", "checkpoint_policies", "remat"),
        "api.inspect": (
            "block_until_ready", "device_get", "device_put", "disable_jit",
            "ensure_compile_time_eval", "eval_shape", "make_jaxpr", "named_call", "named_scope",
            "typeof",
        ),
        "api.structs": ("ShapeDtypeStruct",),
        "api.device": (
            "Device", "clear_caches", "copy_to_host_async", "default_backend", "device_count",
            "devices", "host_count", "host_id", "host_ids", "live_arrays", "local_device_count",
            "local_devices", "print_environment_info", "process_count", "process_index",
            "process_indices",
        ),
        "api.configuration": (
            "allow_f16_reductions", "array_garbage_collection_guard", "check_tracer_leaks",
            "checking_leaks", "config", "debug_infs", "debug_key_reuse", "debug_nans",
            "default_device",
            "default_matmul_precision", "default_prng_impl", "enable_checks",
            "enable_custom_prng", "enable_x64", "explain_cache_misses",
            "jax2tf_associative_scan_reductions", "legacy_prng_key", "make_user_context",
            "log_compiles", "no_execution", "no_tracing", "numpy_dtype_promotion",
            "numpy_rank_promotion", "softmax_custom_jvp", "thread_guard",
            "threefry_partitionable", "transfer_guard", "transfer_guard_device_to_device",
            "transfer_guard_device_to_host", "transfer_guard_host_to_device",
        ),
        "api.callback": ("effects_barrier", "pure_callback"),
        "scalars.dtypes": ("float0",),
        "numpy.dynamic_slices": ("ds",),
        "numpy.refs": ("Ref", "empty_ref", "free_ref", "freeze", "new_ref"),
        "numpy.methods": ("Array",),
        "observe.events": ("explain_misses",),
    },
    modules=(
        "ad", "core", "custom_batching", "custom_derivatives", "debug", "dlpack", "dtypes",
        "errors", "example_libraries", "experimental", "flatten_util", "lax", "monitoring", "nn",
        "numpy",
        "observe", "ops", "random", "ref", "scipy", "sharding", "stages", "test_util", "tree",
        "tree_util", "typing",
    ),
    before="fornax.numpy.methods",
)  # fmt: skip
__all__ += ["__version__"]
