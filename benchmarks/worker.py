"""One process of the benchmark: runs cases on one side as asked over standard input.

Each line is a request in JSON, answered by one line: {"do": "time" | "first" | "tail" | "values" |
"memory" | "resident" | "drop", "case": name, …}.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
import traceback
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import resident
from benchmarks.cases import CASES, Case, library


def leaves(result) -> list:
    """The arrays and scalars of a tree, in the order of sorted keys."""
    if isinstance(result, dict):
        return [leaf for key in sorted(result) for leaf in leaves(result[key])]
    if isinstance(result, tuple | list):
        return [leaf for item in result for leaf in leaves(item)]
    return [result]


def wait(result) -> None:
    """Until everything in a tree of results is computed."""
    for leaf in leaves(result):
        if hasattr(leaf, "block_until_ready"):
            leaf.block_until_ready()


def once(run) -> float:
    began = time.perf_counter()
    wait(run())
    return time.perf_counter() - began


def harness(result) -> float:
    """Seconds to wait for a result that is there: our walk over its leaves, no library's work."""
    wait(result)
    spent = []
    for _ in range(5):
        began = time.perf_counter()
        wait(result)
        spent.append(time.perf_counter() - began)
    return min(spent)


def nbytes(tree) -> int:
    return sum(getattr(leaf, "nbytes", 0) for leaf in leaves(tree))


class Prepared:
    """A case ready to be called on this side."""

    def __init__(self, case: Case, side: str, parts: int = 1):
        third = case.sides.get(side)
        function, arguments = third[0]() if third else case.make()
        if parts > 1:
            arguments = tuple(leaf[: len(leaf) // parts] for leaf in arguments)
        self.arguments = arguments
        if not (third or case.eager):
            function = library.jax.jit(function)
        self.function = function
        wait(self.arguments)

    def __call__(self):
        return self.function(*self.arguments)


def samples(run, seconds: float) -> list[tuple[float, float]]:
    """Seconds of single calls, passed and of all processors, in batches where they are short.

    There are five at least, if they are not very long.
    """
    spent = once(run)
    single = min(once(run) for _ in range(3)) if spent < 0.5 else spent
    waiting = harness(run()) if single < 2e-3 else 0.0
    single = max(single - waiting, 0.0)
    batch = max(1, min(10_000, int(2e-3 / max(single, 1e-8))))
    least = 5 if single < 0.5 else 1
    found, stop = [], time.perf_counter() + seconds
    while len(found) < least or (time.perf_counter() < stop and len(found) < 200):
        began, busy = time.perf_counter(), time.process_time()
        for _ in range(batch):
            result = run()
        wait(result)
        spent = time.perf_counter() - began - waiting
        found.append((spent / batch, (time.process_time() - busy) / batch))
    return found


def spin(steps: int) -> None:
    """Work of Python alone."""
    for _ in range(steps):
        pass


def first(result) -> None:
    """Until one array of a tree is computed: what one program computes is ready at once."""
    while isinstance(result, dict | tuple | list):
        result = next(iter(result.values() if isinstance(result, dict) else result))
    result.block_until_ready()


def tail(run, count: int) -> dict[str, float]:
    """Single calls: their median and the one that 999 of 1000 are faster than; the same of a loop
    that does nothing for as long as a call takes, in turn with the calls, which tells what the
    machine adds."""
    single = min(once(run) for _ in range(100))
    step = min(once(lambda: spin(1000)) for _ in range(10)) / 1000
    steps = int(single / step)
    calls: list[float] = []
    nothing: list[float] = []
    stop = time.perf_counter() + 5
    while len(calls) < count and time.perf_counter() < stop:
        began = time.perf_counter()
        first(run())
        ended = time.perf_counter()
        spin(steps)
        nothing.append(time.perf_counter() - ended)
        calls.append(ended - began)
    calls = sorted(calls[len(calls) // 10 :])  # without the warm-up
    nothing = sorted(nothing[len(nothing) // 10 :])
    slowest = int(len(calls) * 0.999)
    return {
        "calls": len(calls), "median": median(calls), "p999": calls[slowest],
        "nothing": nothing[slowest] / median(nothing),
    }  # fmt: skip


def array(leaf) -> np.ndarray:
    """A result as NumPy holds it, narrow floats widened."""
    found = np.asarray(leaf)
    return found if found.dtype.kind in "biufc" else found.astype(np.float32)


class Worker:
    def __init__(self, side: str, x64: bool):
        self.side = side
        self.prepared: dict[tuple[str, int], Prepared] = {}
        if side in ("fornax", "jax"):
            library.load(side)
            if x64:
                library.jax.config.update("jax_enable_x64", True)

    def ready(self, case: Case, parts: int = 1) -> Prepared:
        key = case.name, parts
        if key not in self.prepared:
            self.prepared[key] = Prepared(case, self.side, parts)
        return self.prepared[key]

    def answer(self, request: dict) -> dict:
        if request["do"] == "resident":
            return resident.ANSWERS[request["what"]](request["count"])
        case = CASES[request["case"]]
        if request["do"] == "drop":
            for parts in {1, case.part}:
                self.prepared.pop((case.name, parts), None)
            return {}
        if request["do"] == "first":
            # an operation of its own first: start-up costs of the library are not the case's
            wait(library.jax.jit(lambda x: x * 3)(library.jnp.float32(1)))
            run, busy = Prepared(case, self.side), time.process_time()
            return {"samples": [(once(run), time.process_time() - busy)]}
        run = self.ready(case, request.get("parts", 1))
        if request["do"] == "values":
            result = run()
            found = [array(leaf) for leaf in leaves(result)]
            Path(request["path"]).write_bytes(pickle.dumps(found, protocol=5))
            return {"read": nbytes(run.arguments), "written": nbytes(result)}
        if request["do"] == "memory":
            return resident.peak(lambda: [once(run) for _ in range(5)])
        if request["do"] == "tail":
            return tail(run, request["count"])
        return {"samples": samples(run, request["seconds"])}


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    began = time.perf_counter()
    worker = Worker(sys.argv[1], "x64" in sys.argv[2:])
    print(json.dumps({"import": time.perf_counter() - began}), file=answers, flush=True)
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[:1]}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
