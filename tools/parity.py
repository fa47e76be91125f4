"""Writes docs/parity.md: which names of JAX's public modules Fornax has, and where they differ.

    python tools/parity.py            from what is recorded of JAX
    python tools/parity.py --record   records the installed JAX first

What is recorded are names, kinds and signatures with their defaults (tests/parity/jax_names.json);
a test keeps the page true, and every difference of signatures has a reason in `DIFFERENCES`.
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

sys.path.insert(0, str(Path(__file__).parent))
import signatures

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT / "tests/parity/jax_names.json"
PAGE = ROOT / "docs/parity.md"

MODULES = (
    "", "numpy", "numpy.linalg", "numpy.fft", "lax", "lax.linalg", "nn", "nn.initializers",
    "random", "tree", "tree_util", "dtypes", "flatten_util", "ops", "errors", "stages", "typing",
    "monitoring", "custom_batching", "custom_derivatives", "ad_checkpoint", "debug", "ref", "core",
    "sharding",
    "scipy.optimize", "scipy.special", "scipy.linalg", "scipy.stats", "scipy.fft", "scipy.signal",
    "scipy.sparse.linalg", "experimental", "experimental.checkify", "experimental.sparse", "dlpack",
    "export", "ffi", "image", "profiler", "distributed",
)  # fmt: skip

#: (pattern of module.name, why it is absent), the first that matches
REASONS = (
    (r"(^|\.)(conv|Conv|padtype|scaled_dot|scaled_matmul|get_scaled)|lax\.(reduce_window|select_and)",
     "convolutions and windows come later"),
    (r"^scipy\.(stats|signal|fft|special|linalg)\.", "the long tail of SciPy comes later"),
    (r"^(distributed|export|ffi|profiler|dlpack|image)\b", "a room of production, to come"),
    (r"[Ss]hard|mesh|process_local|make_array_from|pcast|reshard|ragged_all|psend|precv|smap|"
     r"^sharding\.|auto_axes|explicit_axes|memory", "several devices come later"),
    (r"^experimental.sparse\.", "other formats and functions of sparse arrays come later"),
    (r"_p$", "a primitive without users outside of JAX"),
    (r"token|dce_sink|stage|after_all", "internal to JAX's lowering"),
    (r"interpreters|^(ad|lib|api_util|version)$", "internal to JAX"),
)  # fmt: skip

#: (pattern of module.name, pattern of the difference, why it is meant)
DIFFERENCES: tuple[tuple[str, str, str], ...] = (
    (r"Array|numpy.ndarray|(ref.)?(Abstract)?Ref|stages\..*|core\..*|experimental.checkify.Error|"
     r"ad_checkpoint.Offloadable", "", "a class whose objects programs receive and do not make"),
    (r"jit", "`threads`", "how many threads may work on a call is said here"),
    (r"remat", "`static_argnames`", "it is `checkpoint` under its older name"),
    (r"transfer_guard", "`new_val`", "a setting like the others; without a value a TypeError, too"),
    (r"numpy.((logical|bitwise)_(and|or|x?or)|logaddexp2?|maximum|minimum|multiply|add|subtract|"
     r"negative)|lax.random_gamma_grad", "", "named parameters where JAX takes any number"),
    (r"numpy.set_printoptions", "", "NumPy's own, where JAX wraps it"),
    (r"debug.breakpoint", "", "what the debugger takes is named"),
    (r"debug.log", "", "they go through `**kwargs`"),
    (r"experimental.sparse\..*", "", "without batch and dense dimensions"),
    (r"ref.swap", "`_function_name`", "private"),
)  # fmt: skip


def public_names(module: Any) -> list[str]:
    names = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
    return sorted(
        n for n in names
        if n not in ("annotations", "Any", "TYPE_CHECKING") and not n.startswith("_")
    )  # fmt: skip


def described(value: Any) -> dict[str, Any]:
    """Kind and parameters of a public object."""
    if inspect.ismodule(value):
        return {"kind": "module"}
    kind = "class" if inspect.isclass(value) else "function" if callable(value) else "value"
    found = signatures.parameters(value) if callable(value) else None
    return {"kind": kind} if found is None else {"kind": kind, "parameters": found}


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


def signature_differences(module: str, recorded: dict[str, Any]) -> dict[str, list[str]]:
    """name -> how the signatures that both have differ, for the names of a module."""
    ours = described_module("fornax", module) or {}
    found = {}
    for name, theirs in recorded.items():
        mine = ours.get(name, {})
        if "parameters" in theirs and "parameters" in mine:
            different = signatures.differences(theirs["parameters"], mine["parameters"])
            if different:
                found[name] = different
    return found


def accepted(module: str, name: str, difference: str) -> tuple[str, str]:
    """Why a signature differs ("" where nothing says so), and what to say about how it does."""
    full = f"{module}.{name}" if module else name
    for names, how, why in DIFFERENCES:
        if re.fullmatch(names, full) and re.search(how, difference):
            return why, f" {difference}" if how else ""
    return "", f" {difference}"


def quoted(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def page() -> str:
    recorded = json.loads(RECORDED.read_text())
    lines = [
        "# Parity with JAX",
        "",
        f"Written by `tools/parity.py` from the public names of JAX {recorded['version']}; do not",
        "edit. A name that is there behaves as in JAX unless the guide for JAX users says so.",
        "Signatures are compared by the parameters' names, order, kinds and defaults.",
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
        other: dict[str, dict[str, list[str]]] = {}
        for name, found in signature_differences(module, theirs).items():
            for difference in found:
                why, how = accepted(module, name, difference)
                listed = other.setdefault(why or "for no reason", {}).setdefault(how, [])
                listed += [name] if name not in listed else []
        if by_reason or other:
            details += ["", f"## {title}", ""]
            details += [f"* absent, {why}: {quoted(names)}" for why, names in by_reason.items()]
            for why, each in other.items():
                said = "; ".join(f"{quoted(names)}{how}" for how, names in each.items())
                details.append(f"* differs, {why}: {said}")
    return "\n".join([*lines, *details]) + "\n"


if __name__ == "__main__":
    if "--record" in sys.argv:
        record()
    PAGE.write_text(page())
