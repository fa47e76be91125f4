"""Writes docs/parity.md: which names of JAX's public modules Fornax has, and where they differ.

    python tools/parity.py            from what is recorded of JAX
    python tools/parity.py --record   records the installed JAX first

What is recorded are names, kinds and signatures (tests/parity/jax_names.json); a test keeps the
page true.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT / "tests/parity/jax_names.json"
PAGE = ROOT / "docs/parity.md"

MODULES = (
    "", "numpy", "numpy.linalg", "numpy.fft", "lax", "lax.linalg", "nn", "nn.initializers",
    "random", "tree", "tree_util", "dtypes", "flatten_util", "ops", "errors", "stages", "typing",
    "monitoring", "custom_batching", "custom_derivatives", "ad_checkpoint", "debug", "ref", "core",
    "sharding",
    "scipy.optimize", "scipy.special", "scipy.linalg", "scipy.stats", "scipy.fft", "scipy.signal",
    "scipy.sparse.linalg", "experimental", "experimental.checkify", "dlpack", "export", "ffi",
    "image", "profiler", "distributed",
)  # fmt: skip

#: (pattern of module.name, why it is absent), the first that matches
REASONS = (
    (r"(^|\.)(conv|Conv|padtype|scaled_dot|scaled_matmul|get_scaled)|lax\.(reduce_window|select_and)",
     "convolutions and windows come later"),
    (r"^scipy\.(stats|signal|fft|special|linalg)\.", "the long tail of SciPy comes later"),
    (r"^(distributed|export|ffi|profiler|dlpack|image)\b", "a room of production, to come"),
    (r"[Ss]hard|mesh|process_local|make_array_from|pcast|reshard|ragged_all|psend|precv|smap|"
     r"^sharding\.|auto_axes|explicit_axes|memory", "several devices come later"),
    (r"float[468]_|(^|\.)u?int[12]$", "formats that no processor here computes with"),
    (r"_p$", "a primitive without users outside of JAX"),
    (r"token|dce_sink|stage|after_all", "internal to JAX's lowering"),
    (r"interpreters|^(ad|lib|api_util|version)$", "internal to JAX"),
)  # fmt: skip


def public_names(module: Any) -> list[str]:
    names = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
    return sorted(
        n for n in names
        if n not in ("annotations", "Any", "TYPE_CHECKING") and not n.startswith("_")
    )  # fmt: skip


def described(value: Any) -> dict[str, Any]:
    """Kind and parameters (name, kind, whether there is a default) of a public object."""
    if inspect.ismodule(value):
        return {"kind": "module"}
    kind = "class" if inspect.isclass(value) else "function" if callable(value) else "value"
    found: dict[str, Any] = {"kind": kind}
    if kind == "function":
        try:
            parameters = inspect.signature(value).parameters.values()
        except (TypeError, ValueError):
            return found
        found["parameters"] = [
            [p.name, p.kind.name, p.default is not inspect.Parameter.empty] for p in parameters
        ]
    return found


def described_module(package: str, name: str) -> dict[str, dict[str, Any]] | None:
    """The public names of a module; None if there is no such module."""
    try:
        module = importlib.import_module(f"{package}.{name}" if name else package)
    except ImportError:
        return None
    found = {}
    for each in public_names(module):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = getattr(module, each)
        except AttributeError:
            continue
        if getattr(value, "__name__", "").startswith("jax._src") or each == "jax":
            continue
        found[each] = described(value)
    return found


def record() -> None:
    jax = importlib.import_module("jax")
    names = {name: described_module("jax", name) for name in MODULES}
    kept = {name: found for name, found in names.items() if found is not None}
    RECORDED.parent.mkdir(exist_ok=True)
    lines = [f'{{"version": "{jax.__version__}", "modules": {{']
    for module, found in kept.items():
        entries = ",\n".join(f" {json.dumps(n)}: {json.dumps(found[n])}" for n in sorted(found))
        lines.append(f'"{module}": {{\n{entries}\n}},')
    RECORDED.write_text("\n".join(lines)[:-1] + "\n}}\n")


def reason(module: str, name: str) -> str:
    full = f"{module}.{name}" if module else name
    return next((why for pattern, why in REASONS if re.search(pattern, full)), "not yet")


def signature_difference(theirs: list, ours: list) -> str:
    """How our parameters differ from JAX's; empty if every call of theirs works with ours."""
    if any(kind in ("VAR_POSITIONAL", "VAR_KEYWORD") for _, kind, _ in (*theirs, *ours)):
        return ""
    while theirs and ours and theirs[0][1] == "POSITIONAL_ONLY":  # its name is nobody's business
        if ours[0][1] == "KEYWORD_ONLY" or theirs[0][2] and not ours[0][2]:
            break
        theirs, ours = theirs[1:], ours[1:]
    known = {name: (kind, default) for name, kind, default in ours}
    lacks = [n for n, _, _ in theirs if n not in known]
    more = [n for n, _, default in ours if n not in {t[0] for t in theirs} and not default]
    stricter = [
        n for n, kind, default in theirs
        if n in known and (default and not known[n][1]
        or kind == "POSITIONAL_OR_KEYWORD" and known[n][0] != kind)
    ]  # fmt: skip
    parts = [("lacks", lacks), ("needs", more), ("differs in", stricter)]
    return "; ".join(f"{word} {quoted(names)}" for word, names in parts if names)


def quoted(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def page() -> str:
    recorded = json.loads(RECORDED.read_text())
    lines = [
        "# Parity with JAX",
        "",
        f"Written by `tools/parity.py` from the public names of JAX {recorded['version']}; do not",
        "edit. A name that is there behaves as in JAX unless the guide for JAX users says so.",
        "Parameters are compared by name, kind and default's presence.",
        "",
        "| module | names | there | absent |",
        "|---|---|---|---|",
    ]
    details: list[str] = []
    for module, theirs in recorded["modules"].items():
        ours = described_module("fornax", module) or {}
        owner = importlib.import_module(f"fornax.{module}".rstrip(".")) if ours else None
        absent = [n for n in theirs if n not in ours and not hasattr(owner, n)]
        title = f"`jax.{module}`" if module else "`jax`"
        lines.append(f"| {title} | {len(theirs)} | {len(theirs) - len(absent)} | {len(absent)} |")
        by_reason: dict[str, list[str]] = {}
        for name in absent:
            by_reason.setdefault(reason(module, name), []).append(name)
        other = []
        for name, found in theirs.items():
            mine = ours.get(name, {})
            if "parameters" in found and "parameters" in mine:
                difference = signature_difference(found["parameters"], mine["parameters"])
                if difference:
                    other.append(f"* `{name}` {difference}")
        if by_reason or other:
            details += ["", f"## {title}", ""]
            details += [f"* absent, {why}: {quoted(names)}" for why, names in by_reason.items()]
            details += other
    return "\n".join([*lines, *details]) + "\n"


if __name__ == "__main__":
    if "--record" in sys.argv:
        record()
    PAGE.write_text(page())
