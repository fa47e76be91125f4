"""Where the modules of JAX lie that are not at the same place in Fornax, as data."""

from __future__ import annotations

from typing import Any

from fornax.compat import version

__all__ = ["EXTRA", "MODULES"]

#: JAX's module -> Fornax's; every other `jax.x` is `fornax.x`
MODULES: dict[str, str] = {
    "jax._src": "fornax.compat.internals",
    "jax._src.ad_util": "fornax.compat.residuals",
    "jax._src.api_util": "fornax.compat.wrapped_functions",
    "jax._src.checkify": "fornax.experimental.checkify",
    "jax._src.compiler": "fornax.compat.compiler",
    "jax._src.core": "fornax.compat.programs",
    "jax._src.dispatch": "fornax.compat.dispatch",
    "jax._src.dtypes": "fornax.compat.dtypes",
    "jax._src.flatten_util": "fornax.flatten_util",
    "jax._src.linear_util": "fornax.compat.wrapped_functions",
    "jax._src.literals": "fornax.compat.literals",
    "jax._src.state": "fornax.ref",
    "jax._src.state.types": "fornax.ref",
    "jax._src.traceback_util": "fornax.compat.traceback_filter",
    "jax._src.tree_util": "fornax.compat.tree_names",
    "jax._src.typing": "fornax.typing",
    "jax._src.xla_bridge": "fornax.compat.backends",
    "jax.api_util": "fornax.compat.wrapped_functions",
    "jax.core": "fornax.compat.core_names",
    "jax.experimental.hijax": "fornax.compat.hijax",
    "jax.extend": "fornax.compat.extend",
    "jax.extend.backend": "fornax.compat.backends",
    "jax.extend.core": "fornax.compat.programs",
    "jax.extend.core.primitives": "fornax.compat.operations",
    "jax.extend.linear_util": "fornax.compat.wrapped_functions",
    "jax.extend.source_info_util": "fornax.compat.traceback_filter",
    "jax.interpreters": "fornax.compat.interpreters",
    "jax.interpreters.ad": "fornax.compat.derivatives",
    "jax.interpreters.batching": "fornax.compat.mapping",
    "jax.interpreters.mlir": "fornax.compat.lowering",
    "jax.interpreters.partial_eval": "fornax.compat.partial_evaluation",
    "jax.interpreters.xla": "fornax.compat.value_types",
    "jax.version": "fornax.compat.version",
    "jaxlib.version": "fornax.compat.version",
}

#: attributes that a view has of its own
EXTRA: dict[str, dict[str, Any]] = {
    "jax": {
        "__version__": version.__version__,
        "__version_info__": version.__version_info__,
    },
}
