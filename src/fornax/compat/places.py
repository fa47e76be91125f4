"""Where the modules of JAX lie that are not at the same place in Fornax, as data."""

from __future__ import annotations

from typing import Any

from fornax.compat import version

__all__ = ["EXTRA", "MODULES"]

#: JAX's module -> Fornax's; every other `jax.x` is `fornax.x`
MODULES: dict[str, str] = {
    "jax._src": "fornax.compat.internals",
    "jax._src.compiler": "fornax.compat.compiler",
    "jax._src.xla_bridge": "fornax.compat.backends",
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
