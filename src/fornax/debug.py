"""Looking into running programs: JAX's `jax.debug`."""

from fornax.api.breakpoints import breakpoint
from fornax.api.callback import debug_callback as callback
from fornax.api.callback import debug_log as log
from fornax.api.callback import debug_print as print
from fornax.primitives.callback import DebugEffect, OrderedDebugEffect

__all__ = ["DebugEffect", "OrderedDebugEffect", "breakpoint", "callback", "log", "print"]
