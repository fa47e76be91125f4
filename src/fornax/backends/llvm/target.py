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
        gathers=True,
        compacts=True,
        scales=True,
        tables=True,
        pairs=("int16",),
    ),
    "avx2": Target("avx2", "x86-64-v3", "", 256, 16, masked_bits=(32, 64), pairs=("int16",)),
    "sse2": Target(
        "sse2", "x86-64", "", 128, 16, fma=False, half=False, rounding=False, pairs=("int16",)
    ),
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
        found = (TARGETS[n] for n, need in REQUIRED.items() if need <= flags)
        chosen = next(found, TARGETS["sse2"])
    sizes = {f"l{level}": size for level, size in cache_sizes().items() if level <= 3}
    # AMD's processors make five small steps for each lane of a gather or scatter
    gathers = chosen.gathers and maker() != "AuthenticAMD"
    return replace(pairing(chosen), gathers=gathers, **sizes)


def pairing(target: Target) -> Target:
    """The target with the products of pairs that this machine has. Those of bfloat16 are twice as
    quick as multiplications of float32 on AMD's processors, and half as quick on Intel's."""
    if target.name != "avx512":
        return target
    flags, features, pairs = cpu_flags(), target.features, target.pairs
    if "avx512_vnni" in flags:  # adds up pairs of int16 in the same instruction
        features += ",+avx512vnni"
    if "avx512_bf16" in flags and maker() == "AuthenticAMD":
        features, pairs = features + ",+avx512bf16", (*pairs, "bfloat16")
    return replace(target, features=features, pairs=pairs)


def maker() -> str:
    """Who made the processor, as it says itself; empty where /proc does not tell."""
    return processor().get("vendor_id", "")


def cpu_flags() -> set[str]:
    """Feature flags of the processor; from LLVM where /proc does not tell."""
    described = processor()
    if not described:
        from llvmlite import binding  # heavy: only where /proc is missing

        features = binding.get_host_cpu_features()
        spelled = {"bmi": "bmi1", "lzcnt": "abm"}
        return {spelled.get(name, name) for name, present in features.items() if present}
    return set(described.get("flags", "").split())


@cache
def processor() -> dict[str, str]:
    """What the system says of the first processor."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    lines = text.partition("\n\n")[0].splitlines()
    return {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}


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
