"""From an eager call that has become expensive to a compiled program that serves it."""

from __future__ import annotations

import collections
from typing import Any

from fornax import settings
from fornax.api.calls import Options, prepare
from fornax.api.signature import function_name
from fornax.api.tracing import trace_call
from fornax.errors import JAXIndexError, JAXTypeError

__all__ = ["entry_for"]


def entry_for(eager: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """The Entry for calls of this kind; None for those that depend on values, and where settings
    ask to see every operation."""
    current = settings.current()
    if current.disable_jit or current.no_tracing or current.no_execution or current.watched:
        return None
    function = eager.function
    options = Options(
        function, function_name(function), eager.static_argnums, eager.static_argnames,
        purpose="eager",
    )  # fmt: skip
    try:  # remembered by who asks, by static arguments that are equal and the same
        prepared = prepare(options, args, kwargs)
        return trace_call(prepared, collections.OrderedDict()).lower().compile().entry
    except (JAXTypeError, JAXIndexError):  # it needs values, not types
        return None
