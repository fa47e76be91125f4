"""The table of docs/performance.md, from the last full run."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks/results/latest.json"
PAGE = ROOT / "docs/performance.md"
BEGIN, END = "<!-- table: written by make bench -->", "<!-- end of table -->"


def show(seconds: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def table() -> str:
    """The results as a table, with the limits of the machine below."""
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    machine = recorded["machine"]
    lines = ["| case | Fornax | JAX | ratio | rate | goal |", "|---|---|---|---|---|---|"]
    for name, row in recorded["cases"].items():
        ours, theirs = row["seconds"]["fornax"], row["seconds"]["jax"]
        rate, goals = "", []
        if row.get("flops"):
            share = row["flops"] / ours / 1e9 / machine["f32 FMA peak, GFLOP/s"]
            rate = f"{row['flops'] / ours / 1e9:.0f} GFLOP/s, {share:.0%} of the peak"
        elif row.get("bytes"):
            rate = f"{row['bytes'] / ours / 1e9:.1f} GB/s"
        if row.get("goal"):
            goals.append(f"{row['goal']:g}× {'met' if theirs / ours >= row['goal'] else 'missed'}")
        if row.get("limit"):
            met = "met" if ours <= row["limit"] else "missed"
            goals.append(f"≤ {show(row['limit'])} {met}")
        lines.append(
            f"| {name} | {show(ours)} | {show(theirs)} | {theirs / ours:.3g} | {rate} "
            f"| {', '.join(goals)} |"
        )
    limits = "; ".join(
        f"{name}: {value:.1f}" for name, value in machine.items() if isinstance(value, float)
    )
    return "\n".join([*lines, "", f"Limits of the machine, measured in the same run. {limits}."])


def page() -> str:
    """docs/performance.md with the table of the last run."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
