"""Prints the committed results as plain text, by group and ratio: python -m benchmarks.table.

"busy" is the ratio of processor seconds of all threads, which others that use the machine disturb
less; it says nothing of how well the threads are used.
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import summary

RESULTS = Path(__file__).resolve().parent / "results"


def recorded(folder: Path = RESULTS) -> dict[str, dict]:
    """The results of every group, by its name."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"))
    }


def lines(group: str, record: dict) -> list[str]:
    """A group's cases, the least ratio first; those without one before them."""
    rows, limits = record["cases"], record["limits"]
    total = summary.group(rows)
    quick = ", quick: least of two rounds" if any(r.get("quick") for r in rows.values()) else ""
    found = [
        f"== {group}: {total['mean']:.3g} x jax as geometric mean of {total['compared']} "
        f"(goal {summary.GOALS.get(group, 1):g}), {total['slower']} slower than jax{quick}",
        f"{'case':62} {'fornax':>9} {'jax':>9} {'ratio':>7} {'busy':>6} {'share':>5}",
    ]
    for name, row in sorted(rows.items(), key=lambda item: summary.ratio(item[1]) or 0):
        ratio, share = summary.ratio(row), summary.share(row, limits)
        found.append(
            f"{name:62} {summary.shown(row, 'fornax'):>9} {summary.shown(row, 'jax'):>9} "
            f"{f'{ratio:.3g}' if ratio else '–':>7} {summary.busy(row):>6} "
            f"{f'{share:.0%}' if share else '':>5} "
            f"{'; '.join(summary.missed(row, limits))}".rstrip()
        )
    return found


def main() -> None:
    records = recorded()
    for group in summary.GOALS:
        if group in records:
            print("\n".join(lines(group, records[group])), end="\n\n")
    for group, record in records.items():
        print(f"limits while {group} ran:", *(f"{k} {v:.0f};" for k, v in record["limits"].items()))


if __name__ == "__main__":
    main()
