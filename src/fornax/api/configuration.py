"""`fornax.config` and the context managers for single settings, with JAX's names."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from fornax import settings
from fornax.given import not_given
from fornax.source import located

__all__ = [
    "allow_f16_reductions", "array_garbage_collection_guard", "check_tracer_leaks",
    "checking_leaks", "config", "debug_infs", "debug_key_reuse", "debug_nans", "default_device",
    "default_matmul_precision", "default_prng_impl", "enable_checks", "enable_custom_prng",
    "enable_x64", "explain_cache_misses",
    "jax2tf_associative_scan_reductions", "legacy_prng_key", "log_compiles", "make_user_context",
    "no_execution",
    "no_tracing", "numpy_dtype_promotion", "numpy_rank_promotion", "softmax_custom_jvp",
    "thread_guard", "threefry_partitionable", "transfer_guard",
    "transfer_guard_device_to_device", "transfer_guard_device_to_host",
    "transfer_guard_host_to_device",
]  # fmt: skip


class Config:
    """The current settings as attributes (`config.jax_enable_x64`), and `update`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            return object.__getattribute__(self, name)  # Python's own answer
        return settings.value(name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            located(
                f"config.{name} cannot be assigned; use config.update({name!r}, …)",
                attempt=f"config.update({name!r}, ...)",
            )
        )

    def update(self, name: str, value: Any) -> None:
        """Change a setting for the whole process.

        name: the setting, with or without the prefix "jax_". Settings of JAX's about other devices,
        XLA and its caches can be set and change nothing. Raises AttributeError for an unknown
        name, ValueError for a value that is not allowed.
        """
        settings.update(name, value)

    def read(self, name: str) -> Any:
        """The current value of a setting."""
        return getattr(self, name)

    def parse_flags_with_absl(self) -> None:
        """Take settings from the command line: `--jax_name=value`, or `--jax_name` for true."""
        for argument in sys.argv[1:]:
            if argument == "--":
                break
            name, equals, text = argument.removeprefix("--").partition("=")
            if argument.startswith("--jax_") and settings.is_known(name):
                settings.update(name, settings.parsed(name, text if equals else "true"))

    config_with_absl = parse_flags_with_absl

    @property
    def values(self) -> dict[str, Any]:
        """All settings under their names in JAX."""
        names = (*settings.Settings.__dataclass_fields__, *settings.ACCEPTED)
        return {f"jax_{name}": settings.value(name) for name in names}


config = Config()


class Setting:
    """A setting as a function that makes a context manager: inside the `with`, it has the value.

    It holds for the thread that runs the `with`. `value` is what holds now.
    """

    def __init__(self, name: str, text: str, default: Any = not_given):
        self.__name__ = self.__qualname__ = name
        self.__doc__ = text
        self._default = default

    def __repr__(self) -> str:
        return f"<setting {self.__name__} = {self.value!r}>"

    @property
    def value(self) -> Any:
        return settings.value(self.__name__)

    def __call__(self, new_val: Any = not_given) -> contextlib.AbstractContextManager[None]:
        """The context manager. Raises ValueError for a value that is not allowed."""
        if new_val is not_given:
            new_val = self._default
        if new_val is not_given:
            raise TypeError(
                located(
                    f"Context manager for {self.__name__} config option requires an argument "
                    "representing the new value for the config option.",
                    attempt=f"with {self.__name__}(value): ...",
                )
            )
        settings.check(self.__name__, new_val)
        return _holding(self.__name__, new_val)


@contextlib.contextmanager
def _holding(name: str, value: Any) -> Iterator[None]:
    with settings.override(**{name: value}):
        yield


enable_x64 = Setting("enable_x64", "64-bit types (or not, for False).", True)
debug_nans = Setting(
    "debug_nans",
    "Raise FloatingPointError, with the operation and its line, for results with NaN.\n\n"
    "A compiled program whose results have NaN runs once more, operation by operation, to find\n"
    "where it comes from.",
    True,
)
debug_infs = Setting("debug_infs", "As `debug_nans`, for infinities.", True)
debug_key_reuse = Setting(
    "debug_key_reuse",
    "Raise KeyReuseError where a random key is used twice: split, or drawn numbers from.\n\n"
    "Keys are those of `random.key`; arrays of words (`random.PRNGKey`) are not followed.",
    True,
)
check_tracer_leaks = Setting(
    "check_tracer_leaks", "Leaked tracers are an error when their transformation ends.", True
)
log_compiles = Setting("log_compiles", "Log a warning for every tracing and compilation.", True)
explain_cache_misses = Setting(
    "explain_cache_misses", "Log why a call had to be traced again.", True
)
no_tracing = Setting("no_tracing", "Calls that would have to be traced raise RuntimeError.", True)
no_execution = Setting("no_execution", "Running a jitted function raises RuntimeError.", True)
enable_checks = Setting("enable_checks", "Check the rules of every program that is traced.", True)
numpy_dtype_promotion = Setting(
    "numpy_dtype_promotion", "'standard' or 'strict' promotion of dtypes."
)
numpy_rank_promotion = Setting(
    "numpy_rank_promotion", "'allow', 'warn' or 'raise' where ranks differ."
)
default_matmul_precision = Setting(
    "default_matmul_precision",
    "The precision that products record where none is given. All are computed as exactly as\n"
    "their dtype allows.",
)
default_prng_impl = Setting("default_prng_impl", "The generator of new random keys.")
threefry_partitionable = Setting(
    "threefry_partitionable",
    "Random bits that depend on the key and the position alone; those of JAX's older layout\n"
    "for False.",
    True,
)
enable_custom_prng = Setting("enable_custom_prng", "`random.PRNGKey` gives typed keys.", True)
legacy_prng_key = Setting(
    "legacy_prng_key", "'allow', 'warn' or 'error' for arrays of words in the place of keys."
)
default_device = Setting(
    "default_device",
    "The device for new arrays: None, the one there is, or its platform.",
)
softmax_custom_jvp = Setting(
    "softmax_custom_jvp",
    "Accepted: the derivative of softmax is the same either way.",
    True,
)
allow_f16_reductions = Setting(
    "allow_f16_reductions", "Accepted: small floats are summed in float32.", True
)
thread_guard = Setting("thread_guard", "Accepted: there is one process.", True)
jax2tf_associative_scan_reductions = Setting(
    "jax2tf_associative_scan_reductions",
    "Accepted: running sums have one meaning, and are not exported to TensorFlow.",
    True,
)
array_garbage_collection_guard = Setting(
    "array_garbage_collection_guard", "Accepted: None, 'allow', 'log' or 'fatal'."
)
_LEVELS = (
    "\n\n'disallow' raises JaxRuntimeError, 'log' logs a warning; 'disallow_explicit' and\n"
    "'log_explicit' do so for `device_put`, too. None or 'allow': nothing is looked at."
)
transfer_guard = Setting(
    "transfer_guard", "All three guards of transfers between host and device." + _LEVELS
)
transfer_guard_host_to_device = Setting(
    "transfer_guard_host_to_device",
    "What happens when functions are called with NumPy arrays and numbers." + _LEVELS,
)
transfer_guard_device_to_device = Setting(
    "transfer_guard_device_to_device", "Accepted: there is one device."
)
transfer_guard_device_to_host = Setting(
    "transfer_guard_device_to_host",
    "Accepted: results lie in the host's memory, and nothing is transferred to read them.",
)


def checking_leaks() -> contextlib.AbstractContextManager[None]:
    """Leaked tracers are an error when their transformation ends, inside the `with`."""
    return check_tracer_leaks(True)


class UserContext:
    """A value of the user's that compiled programs depend on; made by `make_user_context`.

    Called with a value it gives a context manager, inside which `value` is that value.
    """

    def __init__(self, default: Any) -> None:
        self._default = default

    @property
    def value(self) -> Any:
        """What holds now, on this thread."""
        return dict(settings.current().user_contexts).get(self, self._default)

    def __call__(self, new_value: Any) -> contextlib.AbstractContextManager[None]:
        """The context manager. The value must be hashable."""
        return self._holding(new_value)

    @contextlib.contextmanager
    def _holding(self, value: Any) -> Iterator[None]:
        others = [(c, v) for c, v in settings.current().user_contexts if c is not self]
        mine = [] if value == self._default else [(self, value)]
        pairs = sorted([*others, *mine], key=lambda pair: id(pair[0]))
        with settings.override(user_contexts=tuple(pairs)):
            yield


def make_user_context(default_value: Any = None) -> UserContext:
    """A context whose value compiled functions depend on: with another one they trace again.

    default_value: what it is outside of every `with context(value):`.
    """
    return UserContext(default_value)
