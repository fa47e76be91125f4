"""The processors LLVM text is made for, and which of them this machine is."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

from fornax.compiler.target import Target
from fornax.record import replace
from fornax.source import located

TARGETS = {
    "avx512": Target(
        "avx512",
        "x86-64-v4",
        "-prefer-256-bit",
        512,
        32,
        masked_bits=(8, 16, 32, 64),
        estimates=True,
        tables=True,
    ),
    "avx2": Target("avx2", "x86-64-v3", "", 256, 16, masked_bits=(32, 64)),
    "sse2": Target("sse2", "x86-64", "", 128, 16, fma=False, half=False, rounding=False),
    "neon": Target("neon", "", "", 128, 32, streams=False),
}

#: flags of /proc/cpuinfo that a target needs
REQUIRED = {
    "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd", "fma", "avx2", "f16c"},
    "avx2": {"avx2", "fma", "f16c", "bmi1", "bmi2", "movbe", "abm"},
}


def find(name: str | None = None) -> Target:
    """The target called `name`; "native" or None is the best one this machine can run."""
    name = name or os.environ.get("FORNAX_TARGET", "native")
    if name == "native":
        return native()
    if name not in TARGETS:
        raise ValueError(
            located(
                f"unknown target {name!r}: expected native or one of {sorted(TARGETS)}",
                attempt="one of these names in FORNAX_TARGET, or leave it unset for the "
                "machine's own",
            )
        )
    return TARGETS[name]


@cache
def native() -> Target:
    """The best target of this machine, with its cache sizes."""
    if platform.machine() in ("arm64", "aarch64"):
        chosen = TARGETS["neon"]
    else:
        flags = cpu_flags()
        chosen = next((TARGETS[n] for n, need in REQUIRED.items() if need <= flags), None)
        chosen = chosen or TARGETS["sse2"]
    sizes = {f"l{level}": size for level, size in cache_sizes().items() if level <= 3}
    return replace(chosen, **sizes)


def cpu_flags() -> set[str]:
    """Feature flags of the processor; from LLVM where /proc does not tell."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        from llvmlite import binding  # heavy: only where /proc is missing

        features = binding.get_host_cpu_features()
        spelled = {"bmi": "bmi1", "lzcnt": "abm"}
        return {spelled.get(name, name) for name, present in features.items() if present}
    for line in text.splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()


def cache_sizes() -> dict[int, int]:
    """Bytes of the data cache of each level, as the kernel reports them for one core."""
    sizes: dict[int, int] = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            if (folder / "type").read_text().strip() == "Instruction":
                continue
            level = int((folder / "level").read_text())
            text = (folder / "size").read_text().strip()
        except (OSError, ValueError):
            continue
        unit = {"K": 1 << 10, "M": 1 << 20}.get(text[-1], 1)
        sizes[level] = int(text.rstrip("KM")) * unit
    return sizes
