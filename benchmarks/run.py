"""Runs the cases on Fornax and JAX in turn, compares their results, prints ratios.

    make bench                                all cases, both libraries
    make bench ARGS="--group dense --quick"   one group, short: least of two rounds
    make bench ARGS="--only softmax"          the cases whose name has this
    make bench-smoke                          Fornax only, a few short cases

Every side runs in processes of its own; every case is measured on one, then on the other, several
rounds, so that a drifting machine hits both. Where NumPy or Numba is a third side it takes part in
the same rounds, and where memory bounds a case copying or reading as fast as this machine can.
Before a case is timed its results are compared. Whole groups are written to
`benchmarks/results/<group>.json`, and `docs/performance.md` from them.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import platform
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import limits, page, summary
from benchmarks.cases import CASES, Case
from benchmarks.process import ROOT, STARTS, Failed, Pool, Worker, starts
from benchmarks.table import recorded

RESULTS = ROOT / "benchmarks" / "results"
BLOCK = 1 << 15  #: numbers that are compared at a time, in the caches


def differ(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    """The largest difference of results, relative to the largest value of each array."""
    if [a.shape for a in ours] != [b.shape for b in theirs]:
        return float("inf")
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if not b.size:
            continue
        kind = complex if b.dtype.kind == "c" else np.longdouble if b.itemsize > 4 else float
        a, b, apart, size = a.reshape(-1), b.reshape(-1), 0.0, 1e-30
        for start in range(0, b.size, BLOCK):
            ours_here = a[start : start + BLOCK].astype(kind)
            theirs_here = b[start : start + BLOCK].astype(kind)
            with np.errstate(invalid="ignore", over="ignore"):
                gap = np.abs(ours_here - theirs_here)
            same = (ours_here == theirs_here) | (np.isnan(ours_here) & np.isnan(theirs_here))
            gap[same] = 0
            apart = np.maximum(apart, gap.max())  # not a number stays
            size = np.abs(theirs_here[np.isfinite(theirs_here)]).max(initial=size)
        worst = np.maximum(worst, apart / size)
    return float(worst)


class Runner:
    """Measures cases; `options` are those of the command line."""

    def __init__(self, options, bandwidth: limits.Bandwidth):
        self.options, self.bandwidth = options, bandwidth
        self.pool = Pool()
        self.folder = Path(tempfile.mkdtemp(prefix="fornax-bench-"))

    def close(self) -> None:
        self.pool.close()
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()

    def measure(self, case: Case) -> dict:
        """The row of a case."""
        names = [s for s in ("fornax", "jax", *case.sides) if s in self.options.sides]
        row = {
            "group": case.group, "unit": case.unit, "quick": self.options.quick,
            "flops": case.flops, "read": case.read, "written": case.written, "bound": case.bound,
            "share": case.share, "limit": case.limit, "tolerance": case.tolerance,
            "times": {k: v[1] for k, v in case.sides.items()}, "sides": {k: {} for k in names},
        }  # fmt: skip
        working = [s for s in names if self.attempt(row, s, lambda s=s: self.values(case, s, row))]
        self.compare(case, row)
        samples: dict[str, list[list[float]]] = {side: [] for side in working}
        beside, passes = "", []
        part: list[list[float]] = []
        rounds = self.options.rounds if case.unit == "time" else self.options.first_rounds
        for _ in range(rounds):
            if case.bound == "memory":
                moved = row["read"], row["written"]
                beside, found = self.bandwidth.least(*moved, self.options.seconds)
                passes += found
            for side in working:
                self.attempt(row, side, lambda s=side: samples[s].extend(self.samples(case, s)))
            if case.part > 1 and "fornax" in working:
                ask = partial(self.samples, case, "fornax", parts=case.part)
                self.attempt(row, "fornax", lambda ask=ask: part.extend(ask()))
        if passes:
            row["beside"] = {"what": beside, **summary.spread(passes)}
        if part:
            row["in_cache"] = summary.spread([wall * case.part for wall, _ in part])
        for side in working:
            if samples[side]:
                walls, busy = zip(*samples[side], strict=True)
                row["sides"][side].update(summary.spread(walls), processor=min(busy))
            self.attempt(row, side, lambda s=side: self.beside(case, s, row["sides"][s]))
        if case.unit == "time":
            for side in names:
                self.attempt(row, side, lambda s=side: self.ask(case, s, do="drop"))
        return row

    def beside(self, case: Case, side: str, found: dict) -> None:
        """What is measured beside the time of many calls."""
        if case.tail:
            found["tail"] = self.ask(case, side, do="tail", count=20_000)
        if case.memory and case.unit == "time" and not self.options.smoke:
            if side in ("fornax", "jax"):
                found["memory"] = self.alone(case, side, do="memory")

    def attempt(self, row: dict, side: str, action) -> bool:
        """Whether it worked; the row says why not."""
        if "error" in row["sides"][side]:
            return False
        try:
            action()
        except Failed as error:
            row["sides"][side]["error"] = str(error)
            if row["unit"] == "first" and error.beyond:
                row["sides"][side]["beyond"] = error.beyond
            return False
        return True

    def ask(self, case: Case, side: str, **request) -> dict:
        patience = self.options.patience
        return self.pool.of(side, case.x64).ask(patience, case=case.name, **request)

    def alone(self, case: Case, side: str, **request) -> dict:
        """The answer of a fresh process."""
        worker = Worker(side, case.x64)
        try:
            return worker.ask(self.options.patience, case=case.name, **request)
        finally:
            worker.close()

    def samples(self, case: Case, side: str, **request) -> list[list[float]]:
        """Pairs of seconds that passed and seconds of all processors."""
        if case.unit == "first":
            return self.alone(case, side, do="first")["samples"]
        ask = self.alone if case.fresh else self.ask
        seconds = min(case.seconds, self.options.seconds)
        return ask(case, side, do="time", seconds=seconds, **request)["samples"]

    def values(self, case: Case, side: str, row: dict) -> None:
        """Leaves the results of a case in a file."""
        if case.unit == "first" and (self.options.quick or self.options.smoke):
            return  # compiled for nothing: these programs are compared in the full run
        path = self.folder / side
        ask = self.alone if case.unit == "first" or case.fresh else self.ask
        answer = ask(case, side, do="values", path=str(path))
        if side == "fornax" and not row["read"]:
            row.update(read=float(answer["read"]), written=float(answer["written"]))

    def compare(self, case: Case, row: dict) -> None:
        """Notes how far the results of both sides differ."""
        paths = [self.folder / side for side in ("fornax", "jax")]
        if all(path.exists() for path in paths):
            row["difference"] = differ(*(pickle.loads(path.read_bytes()) for path in paths))
        for path in self.folder.iterdir():
            path.unlink()


def machine() -> dict:
    """What the figures were measured on."""
    cpu = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        cpu.setdefault(key.strip(), value.strip())
    flags = set(cpu.get("flags", "").split())
    told = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "avx512_fp16", "amx_bf16")
    return {
        "processor": cpu.get("model name", platform.machine()),
        "flags": [f for f in told if f in flags], "threads": len(os.sched_getaffinity(0)),
        "system": platform.system(), "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def line(name: str, row: dict, found: dict[str, float]) -> str:
    """One line of print."""
    text = f"{name:58}"
    for side in row["sides"]:
        shown = summary.shown(row, side)
        text += f" {side} {shown:>8}"
    if (ratio := summary.ratio(row)) is not None:
        text += f"  x {ratio:<6.3g}"
    text += f" {summary.reached(row, found)}"
    if reasons := summary.missed(row, found):
        text += "  | " + "; ".join(reasons)
    return text


def conclusion(group: str, rows: dict[str, dict]) -> str:
    """What a group comes to, where it was compared."""
    found = summary.group(rows)
    if not found["compared"]:
        return ""
    return (
        f"{group}: {found['mean']:.3g} times as fast as JAX (goal {summary.GOALS[group]:g}), "
        f"{found['slower']} slower; worst {found['worst']} {found['worst_ratio']:.3g}"
    )


def start_rows(options) -> dict[str, dict]:
    """The cases of starting."""
    sides = [s for s in ("fornax", "jax") if s in options.sides]
    return {
        name: {
            "group": "start", "unit": "first", "quick": options.quick, "limit": STARTS[name][1],
            "sides": {side: summary.spread(values) for side, values in of_side.items()},
        }
        for name, of_side in starts(sides, options.rounds).items()
    }  # fmt: skip


def resident_rows(options) -> dict[str, dict]:
    """Resident bytes over many calls and many shapes."""
    counts = {"calls": 10_000, "shapes": 10_000}
    if options.quick:
        counts = {"calls": 2000, "shapes": 500}
    found: dict[str, dict] = {}
    for what, count in counts.items():
        of_side = {}
        for side in [s for s in ("fornax", "jax") if s in options.sides]:
            worker = Worker(side)
            try:
                # JAX compiles a shape in 40 ms or more: a few of them show where it goes
                number = count // 20 if side == "jax" and what == "shapes" else count
                answer = worker.ask(1800, do="resident", what=what, count=number)
                of_side[side] = {"count": number, **answer}
            finally:
                worker.close()
        found[what] = of_side
    return found


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    groups = [*dict.fromkeys(c.group for c in CASES.values())]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="Fornax only, short cases, one round")
    parser.add_argument("--quick", action="store_true", help="two short rounds; the least counts")
    parser.add_argument("--group", action="append", choices=["start", *groups, "resident"])
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="per case, side and round")
    parser.add_argument("--patience", type=float, default=120, help="seconds until a side failed")
    parser.add_argument("--sides", nargs="*", default=["fornax", "jax", "numpy", "numba"])
    options = parser.parse_args(argv)
    options.first_rounds = options.rounds
    if options.quick:
        options.rounds, options.first_rounds, options.seconds = 2, 1, min(options.seconds, 0.1)
    if options.smoke:
        options.rounds, options.seconds, options.sides = 1, 0.05, ["fornax"]
        options.first_rounds = 1
    return options


def known_limits() -> dict[str, float]:
    """The highest limits that were recorded on this machine, for runs while others load it."""
    here, found = machine(), {}
    for record in recorded().values():
        if all(record["machine"][k] == here[k] for k in ("processor", "flags", "threads")):
            for name, value in record["limits"].items():
                found[name] = max(value, found.get(name, 0.0))
    return found


def write(group: str, rows: dict, found: dict[str, float]) -> None:
    """The results of a group, a line for each case."""
    RESULTS.mkdir(exist_ok=True)
    record = json.dumps({"machine": machine(), "limits": found, "cases": None}, indent=1)
    cases = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    text = record.replace('"cases": null', f'"cases": {{\n{cases}\n }}')
    (RESULTS / f"{group}.json").write_text(text + "\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    found: dict[str, float] = known_limits() if options.quick else {}
    chosen: dict[str, dict[str, Case]] = {}
    for case in CASES.values():
        if options.only in case.name and (case.smoke or not options.smoke):
            chosen.setdefault(case.group, {})[case.name] = case
    wanted = options.group or ["start", *chosen, "resident"]
    if options.only or options.smoke:
        wanted = [group for group in wanted if group in chosen]
    failed, bandwidth = False, limits.Bandwidth()
    for group in wanted:
        print(f"\n{group}")
        measured = {} if options.smoke else limits.measure(bandwidth)
        for name, value in measured.items():  # the highest of a run: others may load the machine
            found[name] = max(value, found.get(name, 0.0))
            print(f"{name}: {found[name]:.1f}")
        if group == "resident":
            rows = resident_rows(options)
        elif group == "start":
            rows = start_rows(options)
        else:
            rows = {}
            runner = Runner(options, bandwidth)
            try:
                for name, case in chosen[group].items():
                    rows[name] = runner.measure(case)
                    print(line(name, rows[name], found), flush=True)
                    failed |= "error" in rows[name]["sides"]["fornax"]
            finally:
                runner.close()
            print(conclusion(group, rows))
        if not options.only and not options.smoke:
            write(group, rows, found)
    if not options.only and not options.smoke:
        page.write()
    return int(failed and options.smoke)


if __name__ == "__main__":
    sys.exit(main())
