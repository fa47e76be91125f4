"""Hostile arguments for every public function: a result, or an error of a documented class.

    make hostile ARGS="--calls 20 --seed 7 --only numpy.linalg --jax"
    make hostile ARGS="--call 'fx.numpy.sum(3, axis=1 << 70)' --jax"

Calls are evaluated in processes of their own, with limits of time and memory (see
`hostile_worker.py`): one that dies or hangs is recorded and replaced. A finding is a crash, a hang,
an error of a class that says that Fornax and not the caller is wrong, a warning of NumPy — and with
`--jax`, where another process evaluates the same text with jax: other values, a result where jax
raises, an error where it gives a result.
"""

from __future__ import annotations

import argparse
import collections
import os
import pickle
import re
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests import hostile_calls

#: seconds until a worker that does not answer is killed
PATIENCE = 60
#: classes of errors that say what the caller did wrong (or what the machine does not have)
DOCUMENTED = {
    "TypeError", "ValueError", "IndexError", "OverflowError", "ZeroDivisionError", "FornaxError",
    "FloatingPointError", "NotImplementedError", "AttributeError", "OSError", "BufferError",
}  # fmt: skip
#: words that say that an error comes from the inside
INTERNAL = re.compile(
    r"NoneType' object (has|is not sub)|nanobind|incompatible function arguments|LLVM|std::|"
    r"ir\.types|object of type 'Zero'|UnboundLocal|not enough values to unpack|"
    r"tuple index out of|list index out of|pop from|zip\(\) arg|is (shorter|longer) than argument",
    re.IGNORECASE,
)
#: errors after which jax raises them for everything else, too
SPOILED = {"RecursionError", "SystemError"}
#: errors that belong to others: the arguments of a call raise them in jax too
RAISED_BY_ARGUMENTS = {"no truth", "no array"}
#: per dtype: how far values may be apart, relative
TOLERANCE = {"float16": 2e-2, "bfloat16": 1e-1, "float64": 1e-4, "complex128": 1e-4}


class Worker:
    """A process that evaluates calls with one library."""

    def __init__(self, library: str):
        self.library = library
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the worker)
        self.start()

    def start(self) -> None:
        root = Path(__file__).parent.parent
        paths = os.pathsep.join([str(root / "src"), str(root)])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile_worker", self.library, *hostile_calls.modules()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            env={**os.environ, "PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"},
            cwd=tempfile.gettempdir(),
        )  # fmt: skip

    def send(self, text: str) -> None:
        try:
            self.process.stdin.write(pickle.dumps(text))
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # `receive` sees that it died

    def receive(self) -> tuple:
        """The outcome; of a worker that died or hung another is started."""
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        try:
            if ready:
                return pickle.load(self.process.stdout)
        except (EOFError, pickle.UnpicklingError):
            pass
        code = self.process.wait() if ready else "no answer"
        self.errors.seek(0)
        words = self.errors.read().decode(errors="replace")[-1500:]
        self.restart()
        return ("crash" if ready else "hang"), code, words

    def evaluate(self, text: str) -> tuple:
        self.send(text)
        return self.receive()

    def restart(self) -> None:
        self.stop()
        self.errors.truncate(0)
        self.start()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def close(self) -> None:
        self.stop()
        self.errors.close()


class Finding(NamedTuple):
    kind: str
    path: str
    text: str
    words: str


def wrong(ours: tuple, text: str = "") -> tuple[str, str] | None:
    """(kind, words) of an outcome that is wrong whatever jax does; NumPy in a call may warn."""
    if ours[0] in ("crash", "hang"):
        return ours[0], repr(ours[1:])
    if ours[0] == "value":
        leaked = [w for w in ours[2] if w[0] == "RuntimeWarning" and "np." not in text]
        return ("warning", repr(leaked)) if leaked else None
    classes, words, frames, seen = ours[1:]
    if words in RAISED_BY_ARGUMENTS or (frames and frames[-1].startswith("<string>")):
        return None  # the argument itself raised
    shown = f"{classes[0]}: {words} {frames}"
    if not (DOCUMENTED & set(classes) or tolerated(classes, words)):
        return "class", shown
    if INTERNAL.search(words) and "try:" not in words:
        return "inside", shown
    return None


def tolerated(classes: list[str], words: str) -> bool:
    """Classes with one meaning each: deleted arrays, axis names that nothing binds, JAX's own."""
    if classes[0] == "RuntimeError":
        known = (
            "Unknown backend",
            "Unrecognized padding type",
            "with_sharding_constraint requires",
        )
        return "deleted" in words or words.startswith(known)
    if "MemoryError" in classes:
        return words.startswith(("Out of memory", "RESOURCE_EXHAUSTED"))
    if classes[0] == "RecursionError":
        return True  # endless arguments; a crash would be wrong
    return classes[0] == "NameError" and "unbound axis name" in words


def compared(ours: tuple, theirs: tuple) -> tuple[str, str] | None:
    """(kind, words) of what differs from jax."""
    if theirs[0] in ("crash", "hang") or ours[0] in ("crash", "hang"):
        return None
    if ours[0] == "error":
        if theirs[0] == "error":
            shared = (set(ours[1]) & set(theirs[1])) - {"Exception", "BaseException", "object"}
            if shared or "JAXTypeError" in ours[1]:
                return None
            return "other class", f"{ours[1][0]}: {ours[2]} | jax: {theirs[1][0]}: {theirs[2]}"
        return "only we raise", f"{ours[1][0]}: {ours[2]} {ours[3]} | jax: {theirs[1]!r:.300}"
    if theirs[0] == "error":
        if theirs[2].startswith("module 'jax"):
            return None  # a name that only we have
        return "only jax raises", f"{ours[1]!r:.300} | jax: {theirs[1][0]}: {theirs[2]}"
    if len(ours[1]) != len(theirs[1]):
        return "structure", f"{ours[1]!r:.300} | jax: {theirs[1]!r:.300}"
    for a, b in zip(ours[1], theirs[1], strict=True):
        problem = unlike(a, b)
        if problem:
            return problem, f"{a!r:.300} | jax: {b!r:.300}"
    return None


def unlike(a: tuple, b: tuple) -> str | None:
    """What differs between a part of our result and jax's."""
    if a[0] == b[0] == "object":
        return None
    if {a[0], b[0]} <= {"array", "abstract"}:
        if a[2] != b[2]:
            return "shape"
        if a[1] != b[1]:
            return "dtype"
        if a[0] == b[0] == "array" and not close(a[1], a[3], b[3]):
            return "values"
        return None
    if a[0] != b[0]:
        return "sort of result"
    if a[0] == "key":
        return None if np.array_equal(a[1], b[1]) else "values"
    if type(a[1]) is not type(b[1]):
        return "sort of result"
    return None if a[1] == b[1] or a[1] != a[1] else "values"


def close(dtype: str, ours: np.ndarray, theirs: np.ndarray) -> bool:
    if ours.dtype.kind in "biu":
        return np.array_equal(ours, theirs)
    apart = TOLERANCE.get(dtype, 1e-3)
    if ours.dtype != np.complex128:
        ours, theirs = (x if x.dtype.kind == "c" else x.astype(np.float64) for x in (ours, theirs))
    with np.errstate(all="ignore"):
        if ours.dtype.kind == "c":
            return bool(np.all(np.isclose(ours, theirs, apart, apart, True)
                               | ~np.isfinite(ours) & ~np.isfinite(theirs)))  # fmt: skip
        return bool(np.allclose(ours, theirs, apart, apart * 1e-2, equal_nan=True))


class Session:
    """The workers, and what they found."""

    def __init__(self, jax: bool = False):
        self.ours = Worker("fornax")
        self.theirs = Worker("jax") if jax else None
        self.findings: list[Finding] = []
        self.calls = self.raised = 0

    def check(self, path: str, text: str) -> Finding | None:
        """Evaluate one call; what is wrong with it is kept and returned."""
        if self.theirs:
            self.theirs.send(text)
        ours = self.ours.evaluate(text)
        problem = wrong(ours, text)
        if self.theirs:
            theirs = self.theirs.receive()
            if theirs[0] == "error" and theirs[1][0] in SPOILED:
                self.theirs.restart()
            else:
                problem = problem or compared(ours, theirs)
            if problem and problem[0] == "only jax raises" and self.right_by_numpy(text, ours):
                problem = None
        if hostile_calls.stateful(text):
            self.ours.restart()
            if self.theirs:
                self.theirs.restart()
        self.calls += 1
        self.raised += ours[0] == "error"
        if problem is None:
            return None
        finding = Finding(problem[0], path, text, problem[1])
        self.findings.append(finding)
        return finding

    def right_by_numpy(self, text: str, ours: tuple) -> bool:
        """Whether NumPy gives the result that jax does not give."""
        if "fx.numpy." not in text:
            return False
        numpy = self.theirs.evaluate(text.replace("fx.numpy.", "np."))
        return numpy[0] == "value" and len(numpy[1]) == len(ours[1]) and all(
            a[0] == b[0] == "array" and a[2] == b[2] and close("bfloat16", a[3], b[3])
            or a[0] == b[0] == "python" and a[1] == b[1]
            for a, b in zip(ours[1], numpy[1], strict=True)
        )  # fmt: skip

    def close(self) -> None:
        self.ours.close()
        if self.theirs:
            self.theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception: Any):
        self.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10, help="of every function")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="a pattern of function paths")
    parser.add_argument("--jax", action="store_true", help="compare with the installed jax")
    parser.add_argument("--call", help="evaluate this one and show both outcomes")
    options = parser.parse_args()
    with Session(options.jax) as session:
        if options.call:
            for worker in filter(None, (session.ours, session.theirs)):
                print(worker.library, worker.evaluate(options.call))
            return 0
        began = time.perf_counter()
        chosen = re.compile(options.only).search
        for path, text in hostile_calls.calls(options.seed, options.calls, chosen):
            finding = session.check(path, text)
            if finding:
                print(f"{finding.kind}: {finding.text}\n    {finding.words}", flush=True)
        seconds = time.perf_counter() - began
        kinds = collections.Counter(f.kind for f in session.findings)
        print(f"{session.calls} calls, {session.raised} raised, {seconds:.0f} s, "
              f"findings: {dict(kinds)}")  # fmt: skip
        return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
