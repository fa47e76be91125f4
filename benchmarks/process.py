"""The processes that cases run in, as the runner sees them."""

from __future__ import annotations

import atexit
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Failed(Exception):
    """A side could not run a case; the message says why, `beyond` after how many seconds."""

    def __init__(self, message: str, beyond: float | None = None):
        super().__init__(message)
        self.beyond = beyond


@cache
def environment(side: str) -> dict[str, str]:
    """The environment of the processes of a side. As after an installation, bytecode is there: that
    of Fornax in a folder of its own, as the environment may forbid to write it beside the sources.
    """
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    if side != "fornax":
        return kept
    folder = tempfile.mkdtemp(prefix="fornax-bytecode-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = {**kept, "PYTHONPYCACHEPREFIX": folder}
    for module in ("-m compileall -q src/fornax", "-m benchmarks.worker fornax"):
        command = [sys.executable, *module.split()]
        subprocess.run(
            command, cwd=ROOT, env=made, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            check=True,
        )  # fmt: skip
    return made


class Worker:
    """A process of one side: "fornax", "jax", "numpy" or "numba"."""

    def __init__(self, side: str, x64: bool = False):
        self.side = side
        command = [sys.executable, "-m", "benchmarks.worker", side, *(["x64"] if x64 else [])]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment(side), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.answers = selectors.DefaultSelector()
        self.answers.register(self.process.stdout, selectors.EVENT_READ)
        self.import_seconds = self._answer(120)["import"]

    def _answer(self, patience: float) -> dict:
        if not self.answers.select(patience):
            self.kill()
            raise Failed(f"no answer within {patience:g} s", patience)
        line = self.process.stdout.readline()
        if not line:
            self.kill()
            raise Failed(f"the {self.side} process ended with {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def ask(self, patience: float = 120, **request) -> dict:
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self._answer(patience)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.alive:
            self.process.stdin.close()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process.stdout.close()


class Pool:
    """One worker for each side and width of types, started when first needed."""

    def __init__(self):
        self.workers: dict[tuple[str, bool], Worker] = {}

    def of(self, side: str, x64: bool) -> Worker:
        worker = self.workers.get((side, x64))
        if worker is None or not worker.alive:
            worker = self.workers[side, x64] = Worker(side, x64)
        return worker

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()
        self.workers.clear()


def process_seconds(code: str, environment: dict[str, str]) -> tuple[float, float]:
    """Wall seconds of a Python process that runs `code`, and of the code in it."""
    timed = (
        "import time\n_began = time.perf_counter()\n"
        f"{code}\n"
        "import sys\nprint(time.perf_counter() - _began, file=sys.stderr)"
    )
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", timed],
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
        text=True,
    )  # fmt: skip
    return time.perf_counter() - began, float(done.stderr.splitlines()[-1])


#: what a user waits for, of the import alone or from the start of the process, and how long at most
STARTS = {
    "import": ("import {0}, {0}.numpy", 0.15),
    "start to first array": ("import {0}.numpy as n\nprint(n.arange(8.0) * 2 + 1)", None),
    "start to first jitted result": (
        "import {0}, {0}.numpy as n\nprint({0}.jit(lambda x: n.sin(x) * 2)(n.float32(1)))", 0.4,
    ),
}  # fmt: skip


def starts(sides: list[str], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds by case and side: of `import` in a fresh process, of whole processes to their first
    results."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in STARTS}
    for measured in (False, *(True,) * rounds):
        for side in sides:
            for name, (code, _) in STARTS.items():
                whole, inside = process_seconds(code.format(side), environment(side))
                if measured:
                    found[name].setdefault(side, []).append(inside if name == "import" else whole)
    return found
