"""Fornax: composable transformations of Python functions, with a compiler of its own.

Everything public sits where JAX has it: `fornax.jit`, `fornax.grad`, `fornax.numpy`, …. Nothing is
loaded before it is used: `import fornax` costs a few milliseconds.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

if os.path.basename(os.path.dirname(os.path.abspath(__file__))) != "fornax":
    raise ImportError("fornax must be imported from a folder called fornax")

__version__ = "0.1.0"
__version_info__ = (0, 1, 0)

#: public name -> module that defines it
_ATTRIBUTES = {
    **dict.fromkeys(("jit",), "fornax.api.jit"),
    **dict.fromkeys(
        ("grad", "value_and_grad", "vjp", "jvp", "linearize", "linear_transpose"),
        "fornax.api.grad"),
    **dict.fromkeys(("jacfwd", "jacrev", "jacobian", "hessian"), "fornax.api.jacobian"),
    "vmap": "fornax.api.vmap",
    **dict.fromkeys(("custom_gradient", "custom_jvp", "custom_vjp"), "fornax.api.custom"),
    **dict.fromkeys(("checkpoint", "remat", "checkpoint_policies"), "fornax.api.checkpoint"),
    **dict.fromkeys(
        ("make_jaxpr", "eval_shape", "ShapeDtypeStruct", "block_until_ready", "device_put",
         "device_get", "disable_jit", "typeof", "named_call", "named_scope"),
        "fornax.api.inspect"),
    **dict.fromkeys(("devices", "local_devices", "device_count", "local_device_count",
                     "default_backend", "process_index", "process_count", "Device",
                     "live_arrays", "clear_caches"), "fornax.api.device"),
    "explain_misses": "fornax.observe.events",
    "config": "fornax.api.configuration",
    **dict.fromkeys(("checking_leaks", "enable_x64", "numpy_dtype_promotion",
                     "numpy_rank_promotion", "default_matmul_precision"),
                    "fornax.api.configuration"),
    "Array": "fornax.numpy.methods",
}  # fmt: skip
_MODULES = (
    "numpy", "lax", "nn", "random", "tree", "tree_util", "dtypes", "errors", "observe", "scipy",
    "flatten_util", "stages", "typing",
)  # fmt: skip

__all__ = ["__version__", *_ATTRIBUTES, *_MODULES]


def __getattr__(name: str) -> Any:
    module = _ATTRIBUTES.get(name)
    if module is not None:
        importlib.import_module("fornax.numpy.methods")  # gives arrays their operators
        value = getattr(importlib.import_module(module), name)
    elif name in _MODULES:
        importlib.import_module("fornax.numpy.methods")
        value = importlib.import_module(f"fornax.{name}")
    else:
        raise AttributeError(f"module 'fornax' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
