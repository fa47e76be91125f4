"""Writes every stage of a compilation to a folder (`FORNAX_DUMP=folder`)."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

from fornax.compiler.canonical import canonicalize
from fornax.ir.jaxpr import Jaxpr
from fornax.transforms.physical import physical

_count = itertools.count()


def write(
    folder: str,
    name: str,
    jaxpr: Jaxpr,
    kernels: Sequence[Any],
    description: Mapping[str, Any],
    seconds: Mapping[str, float],
) -> str:
    """Write the stages of one program; returns the folder made for it.

    jaxpr.txt, canonical.txt, plan.txt, seconds.txt, and for each distinct kernel one file per
    stage (loop IR before and after the passes, LLVM text).
    """
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
    path = os.path.join(folder, f"{next(_count):04d}-{safe}")
    os.makedirs(path, exist_ok=True)

    def put(file: str, text: str) -> None:
        with open(os.path.join(path, file), "w", encoding="utf-8") as out:
            out.write(text + "\n")

    put("jaxpr.txt", str(jaxpr))
    put("canonical.txt", str(canonicalize(physical(jaxpr))))
    steps = "\n".join(f"{i:4d} {step}" for i, step in enumerate(description["steps"]))
    places = "\n".join(f"slot {s}: arena + {o}" for s, o in description["arena_slots"])
    outputs = "\n".join(map(str, description["outputs"]))
    arena = f"arena of {description['arena_bytes']} bytes"
    put("plan.txt", f"{steps}\n\n{arena}\n{places}\n\n{outputs}")
    lines = [f"{stage} {value * 1e3:.2f} ms" for stage, value in seconds.items()]
    for number, kernel in enumerate(dict.fromkeys(kernels)):
        for stage, text in kernel.stages.items():
            put(f"kernel{number:03d}-{stage}.txt", text)
        spent = ", ".join(f"{k} {v * 1e3:.2f}" for k, v in kernel.seconds.items())
        lines.append(f"kernel {number} {kernel.name}: {spent} ms")
    put("seconds.txt", "\n".join(lines))
    return path
