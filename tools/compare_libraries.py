"""Runs programs with other projects' libraries on Fornax and on JAX, and writes docs/libraries.md.

    python tools/compare_libraries.py [--only NAME …] [--side fornax|jax …] [--report]

Each program of tools/libraries is what a user of the library would write: it trains, samples or
solves, and prints its results as JSON. They run in one environment that has JAX and the libraries,
made by pip in the cache of tools/conformance.py when it is first needed; `fornax run` answers their
imports of jax. Names that begin with ~ are results of long chains, where rounding decides.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import conformance

ROOT = conformance.ROOT
PROGRAMS = {path.stem: path for path in sorted((ROOT / "tools" / "libraries").glob("*.py"))}
REPORT = ROOT / "docs" / "libraries.md"
PACKAGES = (
    "numpy==2.4.6", "scipy==1.17.1", "ml_dtypes==0.6.0", "llvmlite>=0.50", "mpmath",
    f"jax=={conformance.JAX}", "optax==0.2.8", "chex==0.1.92", "flax==0.12.8", "dm-haiku==0.0.17",
    "equinox==0.13.8", "jaxtyping==0.3.11", "beartype==0.23.1", "typeguard==2.13.3",
    "lineax==0.1.1", "optimistix==0.1.0", "diffrax==0.7.2", "jaxopt==0.8.5", "blackjax==1.7.1",
    "numpyro==0.22.0", "distrax==0.1.9",
)  # fmt: skip
#: largest accepted difference, relative to 0.01 + |value|; the second of what begins with ~
EXACT, LOOSE = 1e-3, 0.5


def python() -> Path:
    """The interpreter of the libraries' environment."""
    conformance.SIDES["libraries"] = (PACKAGES, ())
    return conformance.python("libraries")


def outcome(name: str, side: str) -> Path:
    return conformance.cache() / "results" / f"library-{name}-{side}.json"


def run(name: str, side: str, limit: int) -> None:
    """Run a program on a side; what it printed or why it ended goes to the cache."""
    start = [python(), "-m", "fornax", "run"] if side == "fornax" else [python()]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    if side == "fornax":
        environment["PYTHONPATH"] = str(ROOT / "src")
    begin = time.monotonic()
    try:
        done = subprocess.run(
            [*start, PROGRAMS[name]], env=environment, capture_output=True, text=True,
            timeout=limit, cwd=conformance.cache(), check=False,
        )  # fmt: skip
        output, errors, failed = done.stdout, done.stderr, done.returncode != 0
    except subprocess.TimeoutExpired:
        output, errors, failed = "", f"Timeout after {limit} s", True
    found: dict[str, Any] = {"seconds": time.monotonic() - begin}
    found |= (
        {"error": ended(errors)} if failed else {"results": json.loads(output.splitlines()[-1])}
    )
    outcome(name, side).parent.mkdir(parents=True, exist_ok=True)
    outcome(name, side).write_text(json.dumps(found))
    print(f"{name} on {side}: {found.get('error', 'ran')}, {found['seconds']:.0f} s", flush=True)


def ended(errors: str) -> str:
    """The line of standard error that names the exception."""
    lines = [line for line in errors.splitlines() if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return lines[-1] if lines else (errors.strip().splitlines() or ["no message"])[-1]


def numbers(value: Any) -> list[float]:
    return [x for part in value for x in numbers(part)] if isinstance(value, list) else [value]


def distance(ours: Any, theirs: Any) -> float:
    """The largest difference relative to 0.01 + |value|."""
    a, b = numbers(ours), numbers(theirs)
    if len(a) != len(b):
        return math.inf
    return max((abs(x - y) / (0.01 + abs(y)) for x, y in zip(a, b, strict=True)), default=0.0)


def known(name: str, side: str) -> dict[str, Any]:
    """What a run gave, or nothing where there was none."""
    place = outcome(name, side)
    return json.loads(place.read_text()) if place.exists() else {}


def verdict(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """What the comparison of two runs says."""
    if "error" in ours:
        missing = re.search(r"Fornax has no (jax[\w.]*\w)", ours["error"])
        return f"`{missing[1]}` is absent" if missing else ours["error"]
    if "results" not in theirs:
        return f"runs; not with JAX: {theirs.get('error', 'not tried')}"
    far = {k: distance(ours["results"].get(k, []), v) for k, v in theirs["results"].items()}
    wrong = [k for k, d in far.items() if not d <= (LOOSE if k[0] == "~" else EXACT)]
    exact = max((d for k, d in far.items() if k[0] != "~"), default=0.0)
    return f"differs in {', '.join(wrong)}" if wrong else f"runs; within {exact:.0e}"


def row(name: str) -> str:
    """A line of the table for a program that was run."""
    about = (ast.get_docstring(ast.parse(PROGRAMS[name].read_text())) or name).rstrip(".")
    found = verdict(known(name, "fornax"), known(name, "jax")).replace("|", "/")
    return f"| {about.replace(chr(10), ' ')} | {found} |"


def report() -> str:
    """The text of docs/libraries.md from the results in the cache."""
    ran = [name for name in PROGRAMS if known(name, "fornax")]
    versions = ", ".join(p.split(">")[0].replace("==", " ") for p in PACKAGES[5:])
    return "\n".join([
        "# Libraries",
        "",
        "Programs with other projects' libraries, run by `fornax run` and by JAX, and their "
        "results compared: the largest difference relative to 0.01 + the value. The programs are "
        "in `tools/libraries`; `python tools/compare_libraries.py` runs them and writes this page.",
        "",
        "| program | on Fornax |",
        "|---|---|",
        *map(row, ran),
        "",
        f"Versions: {versions}.",
        "",
        "What is absent is on the [roadmap](roadmap.md).",
        "",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=PROGRAMS, help="all by default")
    parser.add_argument(
        "--side", action="append", choices=("fornax", "jax"), help="both by default"
    )
    parser.add_argument("--limit", type=int, default=900, help="seconds for one program")
    parser.add_argument("--report", action="store_true", help="only write the report anew")
    options = parser.parse_args()
    if not options.report:
        for name in options.only or PROGRAMS:
            for side in options.side or ("fornax", "jax"):
                run(name, side, options.limit)
    REPORT.write_text(report())
    print(f"wrote {REPORT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
