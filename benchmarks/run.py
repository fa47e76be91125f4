"""Runs the cases on Fornax and JAX in turn and prints ratios.

    make bench                      all cases, both libraries
    make bench ARGS="--only softmax"
    make bench-smoke                Fornax only, the short cases, a second or two each

Both libraries run in processes of their own; every case is measured on one, then on the other,
several rounds, so that a drifting machine hits both. Results go to `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import cases, limits, page

ROOT = Path(__file__).resolve().parent.parent


class Worker:
    """A process that runs cases on one library."""

    def __init__(self, library: str):
        self.library = library
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", library],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.import_seconds = self.answer()["import"]

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the {self.library} process ended unexpectedly")
        return json.loads(line)

    def run(self, name: str, seconds: float) -> float:
        print(json.dumps({"case": name, "seconds": seconds}), file=self.process.stdin, flush=True)
        return self.answer()["seconds"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=60)


def process_seconds(code: str, environment: dict[str, str]) -> float:
    """Wall seconds of a Python process that runs `code`."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    return time.perf_counter() - began


#: what a user waits for, from the start of the process
STARTS = {
    "import": "import {0}, {0}.numpy",
    "start to first array": "import {0}.numpy as n\nprint(n.arange(8.0) * 2 + 1)",
    "start to first jitted result": (
        "import {0}, {0}.numpy as n\nprint({0}.jit(lambda x: n.sin(x) * 2)(n.float32(1)))"
    ),
}


def start_up(libraries: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of whole processes: `import`, less an empty process, and until first results.

    As after an installation, bytecode is there: it goes to a folder that a first run fills, even
    where the environment forbids to write it beside the sources.
    """
    found: dict[str, dict[str, list[float]]] = {name: {} for name in STARTS}
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**kept, "PYTHONPYCACHEPREFIX": folder}
        for measured in (False, *(True,) * rounds):
            empty = process_seconds("pass", environment)
            for library in libraries:
                for name, code in STARTS.items():
                    seconds = process_seconds(code.format(library), environment)
                    seconds -= empty if name == "import" else 0
                    if measured:
                        found[name].setdefault(library, []).append(seconds)
            numpy = process_seconds("import numpy", environment) - empty
        print(f"import numpy, for comparison: {show(numpy)}")
    return {
        name: {k: statistics.median(v) for k, v in sides.items()} for name, sides in found.items()
    }


def show(seconds: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="Fornax only, short cases, one round")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.7, help="per case, library and round")
    options = parser.parse_args()
    libraries = ["fornax"] if options.smoke else ["fornax", "jax"]
    rounds = 1 if options.smoke else options.rounds
    machine = limits.measure()
    for name, value in machine.items():
        print(f"{name}: {value:.1f}")
    results: dict[str, dict] = {}
    if not options.only:
        goals = {"import": 0.15, "start to first jitted result": 0.4}
        for name, sides in start_up(libraries, rounds).items():
            results[name] = {"group": "start", "seconds": sides, "limit": goals.get(name)}
            report(name, results[name], machine)
    workers = {name: Worker(name) for name in libraries}
    for case in cases.CASES.values():
        if options.only not in case.name or (options.smoke and not case.smoke):
            continue
        times: dict[str, list[float]] = {name: [] for name in libraries}
        for _ in range(rounds):
            for library in libraries:
                if case.unit == "once":  # a fresh process: nothing is compiled yet
                    worker = Worker(library)
                    times[library].append(worker.run(case.name, 0))
                    worker.close()
                else:
                    seconds = 0.1 if options.smoke else options.seconds
                    times[library].append(workers[library].run(case.name, seconds))
        results[case.name] = {
            "group": case.group,
            "seconds": {k: statistics.median(v) for k, v in times.items()},
            "rounds": times, "goal": case.goal, "limit": case.limit, "bytes": case.bytes,
            "flops": case.flops,
        }  # fmt: skip
        report(case.name, results[case.name], machine)
    for worker in workers.values():
        worker.close()
    if not options.smoke and not options.only:
        folder = ROOT / "benchmarks" / "results"
        folder.mkdir(exist_ok=True)
        record = {"machine": {"processor": processor(), **machine}, "cases": results}
        (folder / "latest.json").write_text(json.dumps(record, indent=1) + "\n")
        page.PAGE.write_text(page.page(), encoding="utf-8")
    return 0


def processor() -> str:
    """The processor's name and the interpreter."""
    return f"{platform.machine()}, Python {platform.python_version()}"


def report(name: str, row: dict, machine: dict[str, float]) -> None:
    sides = row["seconds"]
    text = f"{name:32} fornax {show(sides['fornax']):>9}"
    if "jax" in sides:
        text += f"  jax {show(sides['jax']):>9}  ratio {sides['jax'] / sides['fornax']:6.2f}"
    if row.get("flops"):
        rate = row["flops"] / sides["fornax"] / 1e9
        share = rate / machine["f32 FMA peak, GFLOP/s"]
        text += f"  {rate:.0f} GFLOP/s ({share:.0%} of peak)"
    if row.get("bytes"):
        text += f"  {row['bytes'] / sides['fornax'] / 1e9:.1f} GB/s"
    if row.get("goal") and "jax" in sides:
        met = sides["jax"] / sides["fornax"] >= row["goal"]
        text += f"  goal {row['goal']:g}x {'met' if met else 'MISSED'}"
    if row.get("limit"):
        met = sides["fornax"] <= row["limit"]
        text += f"  limit {show(row['limit'])} {'met' if met else 'MISSED'}"
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
