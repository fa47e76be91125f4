"""One process of the benchmark: runs cases on one library as asked over standard input."""

from __future__ import annotations

import json
import statistics
import sys
import time


def wait(result) -> None:
    """Until everything in a tree of results is computed."""
    if isinstance(result, tuple | list):
        for item in result:
            wait(item)
    elif isinstance(result, dict):
        wait(list(result.values()))
    elif hasattr(result, "block_until_ready"):
        result.block_until_ready()


def once(run) -> float:
    began = time.perf_counter()
    wait(run())
    return time.perf_counter() - began


def median(run, seconds: float) -> float:
    """Median seconds of one call; short calls are timed in batches."""
    once(run)
    single = min(once(run) for _ in range(3))
    batch = max(1, min(10_000, int(2e-3 / max(single, 1e-8))))
    times = []
    stop = time.perf_counter() + seconds
    while len(times) < 5 or (time.perf_counter() < stop and len(times) < 200):
        began = time.perf_counter()
        for _ in range(batch):
            result = run()
        wait(result)
        times.append((time.perf_counter() - began) / batch)
    return statistics.median(times)


def main() -> None:
    library = sys.argv[1]
    began = time.perf_counter()
    from benchmarks import cases

    cases.load(library)
    answers = sys.stdout
    sys.stdout = sys.stderr
    print(json.dumps({"import": time.perf_counter() - began}), file=answers, flush=True)
    prepared = {}
    for line in sys.stdin:
        request = json.loads(line)
        case = cases.CASES[request["case"]]
        if case.unit == "once":
            # an operation of its own first: start-up costs of the library are not the case's
            wait(cases.jax.jit(lambda x: x * 3)(cases.jnp.float32(1)))
            seconds = once(case.make())
        else:
            run = prepared.get(case.name) or prepared.setdefault(case.name, case.make())
            seconds = median(run, request["seconds"])
        print(json.dumps({"seconds": seconds}), file=answers, flush=True)


if __name__ == "__main__":
    main()
