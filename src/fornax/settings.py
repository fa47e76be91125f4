"""All settings: one frozen, interned object, so that comparing settings is comparing pointers.

`current()` is what holds now on this thread. `update` changes the process-wide default;
`override` is a context manager for the thread. Environment variables `FORNAX_X` (or JAX's
`JAX_X`) give the initial values.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from fornax import _native
from fornax.record import record, replace
from fornax.source import located


@record(frozen=True, eq=False)
class Settings:
    """Field names are JAX's where JAX has the setting. Made only by `intern`, so that equal ones
    are one object."""

    enable_x64: bool = False
    disable_jit: bool = False
    #: report values of a transformation that are still referred to when it has ended
    check_tracer_leaks: bool = False
    log_compiles: bool = False
    #: log why a call had to be traced again
    explain_cache_misses: bool = False
    #: raise FloatingPointError for results with NaN, with infinities
    debug_nans: bool = False
    debug_infs: bool = False
    #: raise KeyReuseError where a random key is used twice
    debug_key_reuse: bool = False
    #: refuse to trace, to run programs
    no_tracing: bool = False
    no_execution: bool = False
    #: check the rules of programs when they are made
    enable_checks: bool = False
    numpy_dtype_promotion: str = "standard"
    numpy_rank_promotion: str = "allow"
    default_matmul_precision: str | None = None
    default_prng_impl: str = "threefry2x32"
    threefry_partitionable: bool = True
    #: `random.PRNGKey` gives typed keys
    enable_custom_prng: bool = False
    #: arrays of words where a key is expected
    legacy_prng_key: str = "allow"
    #: a device, its platform's name, or None; there is one
    default_device: Any = None
    # without effect on one processor that computes in its own memory, and where a softmax has the
    # same derivative either way
    softmax_custom_jvp: bool = False
    allow_f16_reductions: bool = True
    thread_guard: bool = False
    jax2tf_associative_scan_reductions: bool = False
    array_garbage_collection_guard: str | None = None
    #: what functions may take from the host; the first sets the others, of which the second only
    #: has something to guard where there is one memory
    transfer_guard: str | None = None
    transfer_guard_host_to_device: str | None = None
    transfer_guard_device_to_device: str | None = None
    transfer_guard_device_to_host: str | None = None
    #: (context, value) of every user context that is not at its default
    user_contexts: tuple[Any, ...] = ()
    #: take denormal numbers for zero, as JAX does on processors: many compute with them a hundred
    #: times slower. False: gradual underflow, as IEEE 754 and NumPy have it
    flush_denormals: bool = True
    #: operations and calls outside of transformations: "tiered", by NumPy until that has cost as
    #: much as compiling would, by an estimate from sizes (last bits may change then, at the same
    #: call in every run); "compiled", from the first one on; "reference", always by NumPy
    eager: str = "tiered"
    #: instruction set to generate code for: native, avx512, avx2, sse2
    target: str = "native"
    #: most threads that may work on a program at once; 0: as many as the process may run on
    threads: int = 0
    #: folder that every compiler stage is written to, "" for none
    dump: str = ""

    @property
    def x64(self) -> bool:
        return self.enable_x64

    @property
    def watched(self) -> bool:
        """Whether every operation and every call is looked at."""
        looked_for = self.debug_nans or self.debug_infs or self.debug_key_reuse
        return looked_for or self.input_guard is not None

    @property
    def input_guard(self) -> str | None:
        """The guard of data of the host that functions are called with; None allows all."""
        guard = self.transfer_guard_host_to_device
        return None if guard == "allow" else guard


#: field -> its annotation
FIELDS: dict[str, str] = Settings.__annotations__
_GUARDS = (None, "allow", "log", "disallow", "log_explicit", "disallow_explicit")
_DIRECTIONS = (
    "transfer_guard_host_to_device", "transfer_guard_device_to_device",
    "transfer_guard_device_to_host",
)  # fmt: skip
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "numpy_dtype_promotion": ("standard", "strict"),
    "numpy_rank_promotion": ("allow", "warn", "raise"),
    "default_matmul_precision": (
        None, "default", "high", "highest", "bfloat16", "tensorfloat32", "float32", "bfloat16_3x",
        "bfloat16_6x", "fastest", "DEFAULT", "ANY_F8_ANY_F8_F32", "ANY_F8_ANY_F8_F32_FAST_ACCUM",
        "ANY_F8_ANY_F8_ANY", "ANY_F8_ANY_F8_ANY_FAST_ACCUM", "F16_F16_F16", "F16_F16_F32",
        "BF16_BF16_BF16", "BF16_BF16_F32", "BF16_BF16_F32_X3", "BF16_BF16_F32_X6",
        "BF16_BF16_F32_X9", "TF32_TF32_F32", "TF32_TF32_F32_X3", "F32_F32_F32", "F64_F64_F64",
    ),
    "default_prng_impl": (
        "threefry2x32", "threefry4x32", "rbg", "unsafe_rbg", "philox2x32", "philox4x32",
    ),
    "legacy_prng_key": ("allow", "warn", "error"),
    "array_garbage_collection_guard": (None, "allow", "log", "fatal"),
    "transfer_guard": _GUARDS,
    "transfer_guard_host_to_device": _GUARDS,
    "transfer_guard_device_to_device": _GUARDS,
    "transfer_guard_device_to_host": _GUARDS,
    "eager": ("tiered", "compiled", "reference"),
    "target": ("native", "avx512", "avx2", "sse2"),
}  # fmt: skip
_interned: dict[tuple[Any, ...], Settings] = {}
#: whether there has ever been a guard of inputs: so long nobody need ask for it
guarding = False

#: JAX's settings about things that are not here (other devices, XLA, its caches): they can be set
#: and read, and change nothing
ACCEPTED: dict[str, Any] = {
    "backend_target": "", "compilation_cache_dir": None, "compilation_cache_max_size": -1,
    "compiler_enable_remat_pass": True, "cpu_collectives_implementation": "gloo",
    "cpu_enable_async_dispatch": True, "cuda_visible_devices": "all",
    "default_dtype_bits": "64", "enable_compilation_cache": True, "include_debug_info_in_dumps":
    True, "include_full_tracebacks_in_locations": True, "logging_level": "NOTSET",
    "num_cpu_devices": -1, "optimization_level": "UNKNOWN",
    "persistent_cache_enable_xla_caches": "xla_gpu_per_fusion_autotune_cache_dir",
    "persistent_cache_min_compile_time_secs": 1.0, "persistent_cache_min_entry_size_bytes": 0,
    "platform_name": "", "platforms": None, "pprint_use_color": True,
    "raise_persistent_cache_errors": False, "traceback_filtering": "auto",
    "traceback_in_locations_limit": 100, "use_shardy_partitioner": True, "xla_backend": "",
}  # fmt: skip


def intern(values: Settings) -> Settings:
    """The one object with these values. Raises ValueError for a value that is not allowed."""
    key = tuple(getattr(values, name) for name in FIELDS)
    found = _interned.get(key)
    if found is not None:
        return found
    for name, choices in _CHOICES.items():
        value = getattr(values, name)
        if value not in choices:
            listed = [c for c in choices if c is not None]
            none = "None or " if None in choices else ""
            raise ValueError(
                located(
                    f"new enum value must be {none}in {listed}, got {value} of type {type(value)}.",
                    attempt=f"config.update({name!r}, ...) with one of these",
                )
            )
    device = values.default_device
    if not (device is None or device == "cpu" or getattr(device, "platform", None) == "cpu"):
        raise ValueError(
            located(
                "jax.default_device must be passed either a Device object (e.g. "
                "`jax.devices('cpu')[0]`) or a platform name string like 'cpu' or 'gpu', got: "
                f"{device!r}",
                attempt="devices()[0], or None for the default",
            )
        )
    for name, kind in FIELDS.items():
        if kind == "bool" and not isinstance(getattr(values, name), bool):
            raise ValueError(
                located(
                    f"setting {name} is True or False, got {getattr(values, name)!r}",
                    attempt=f"config.update({name!r}, True), or False",
                )
            )
    global guarding
    guarding = guarding or values.input_guard is not None
    return _interned.setdefault(key, values)


def check(name: str, value: Any) -> None:
    """Raise ValueError, as `intern` does, unless a setting may have this value."""
    plain = field_name(name)
    if plain in FIELDS:
        try:
            hash(value)
        except TypeError:
            raise ValueError(
                located(
                    f"setting {plain} cannot be {value!r:.80} of type {type(value)}",
                    f"it is {FIELDS[plain]}",
                    f"config.read({plain!r}), which shows one",
                )
            ) from None
        intern(replace(Settings(), **_together({plain: value})))


def field_name(name: str) -> str:
    """The field for a setting's name, with or without JAX's prefix."""
    plain = name.removeprefix("jax_")
    if plain not in FIELDS and plain not in ACCEPTED:
        known = ", ".join((*FIELDS, *ACCEPTED))
        raise AttributeError(
            located(
                f"Unrecognized config option: {name}",
                why=f"there are: {known}",
                attempt="config.update with one of these names",
            )
        )
    return plain


def is_known(name: str) -> bool:
    """Whether there is a setting of that name, with or without JAX's prefix."""
    plain = name.removeprefix("jax_")
    return plain in FIELDS or plain in ACCEPTED


def parsed(name: str, text: str) -> Any:
    """A setting's value from its text, as in the environment. Raises ValueError if it is none."""
    plain = field_name(name)
    return _parse(plain, text) if plain in FIELDS else text


def value(name: str) -> Any:
    """What a setting is now, on this thread. Raises AttributeError for an unknown name."""
    plain = field_name(name)
    return ACCEPTED[plain] if plain in ACCEPTED else getattr(current(), plain)


def _together(values: dict[str, Any]) -> dict[str, Any]:
    """The values, with those that one of them sets as well; numbers that are equal to True, False
    or an integer are that, for equal settings are one object."""
    values = {name: _plain(FIELDS.get(name), value) for name, value in values.items()}
    if "transfer_guard" in values:
        value = values["transfer_guard"]
        return {**dict.fromkeys(_DIRECTIONS, value), **values}
    return values


def _plain(kind: str | None, value: Any) -> Any:
    if kind not in ("bool", "int") or not hasattr(value, "__int__"):
        return value
    if kind == "bool":
        return bool(value) if value in (0, 1) else value
    return int(value) if value == int(value) else value


def _parse(name: str, text: str) -> Any:
    if FIELDS[name] == "bool":
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off", ""):
            return False
        raise ValueError(
            located(
                f"environment: {name} must be true or false, got {text!r}",
                attempt=f"{name}=1 or {name}=0",
            )
        )
    return int(text) if FIELDS[name] == "int" else text


def _from_environment() -> Settings:
    values = {}
    for name in FIELDS:
        for prefix in ("FORNAX_", "JAX_"):
            text = os.environ.get(prefix + name.upper())
            if text is not None:
                values[name] = _parse(name, text)
                break
    values = _together(values)
    for name in ACCEPTED:
        for prefix in ("FORNAX_", "JAX_"):
            ACCEPTED[name] = os.environ.get(prefix + name.upper(), ACCEPTED[name])
    return intern(Settings(**values))


default = _from_environment()
_native.set_default_settings(default)
current = _native.current_settings


def update(name: str, value: Any) -> None:
    """Change a setting for the process (JAX's `config.update`)."""
    global default
    plain = field_name(name)
    if plain in ACCEPTED:
        ACCEPTED[plain] = value
        return
    default = intern(replace(default, **_together({plain: value})))
    _native.set_default_settings(default)


@contextlib.contextmanager
def override(**values: Any) -> Iterator[Settings]:
    """Settings for the body of a `with`, on this thread."""
    named = {field_name(k): v for k, v in values.items()}
    new = intern(replace(current(), **_together(named)))
    before = _native.swap_settings(new)
    try:
        yield new
    finally:
        _native.swap_settings(before)
