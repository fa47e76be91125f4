"""The tables of docs/performance.md, from the results of the last runs of each group."""

from __future__ import annotations

import hashlib
import json
import re
from io import StringIO
from pathlib import Path

from benchmarks import summary
from benchmarks.summary import show
from benchmarks.table import recorded

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/performance.md"
PLOTS = ROOT / "docs/performance"
BEGIN, END = "<!-- tables: written by make bench -->", "<!-- end of tables -->"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def overview(records: dict[str, dict]) -> str:
    """One line for each group."""
    rows = []
    for group, goal in summary.GOALS.items():
        if group not in records:
            continue
        found = summary.group(records[group]["cases"])
        worst = f"{found['worst']} ({found['worst_ratio']:.3g})" if found["worst"] else "–"
        met = "met" if found["mean"] >= goal else "missed"
        rows.append([
            group, str(found["cases"]), f"{found['mean']:.3g}", f"{goal:g} {met}",
            str(found["slower"]), worst,
        ])  # fmt: skip
    return table(["group", "cases", "× JAX", "goal", "slower than JAX", "worst case"], rows)


def spread(row: dict, side: str) -> str:
    """Seconds of a side and, where they are far apart, its quartiles."""
    found = row["sides"].get(side)
    if not found:
        return "–"
    middle = summary.shown(row, side)
    if "error" in found or row.get("quick") or found["third"] < 1.2 * found["first"]:
        return middle
    return f"{middle} ({show(found['first'])} to {show(found['third'])})"


def group_table(record: dict) -> str:
    """The cases of a group."""
    rows = []
    for name, row in record["cases"].items():
        ratio, limits = summary.ratio(row), record["limits"]
        others = [
            f"{side} {spread(row, side)}" for side in row["sides"] if side not in ("fornax", "jax")
        ]
        rows.append([
            name.replace("|", "\\|"), spread(row, "fornax"), spread(row, "jax"),
            f"{ratio:.3g}" if ratio else "–", summary.reached(row, limits),
            "; ".join([*others, *summary.missed(row, limits)]),
        ])  # fmt: skip
    head = [
        "case",
        "Fornax",
        "JAX",
        "ratio",
        "of the limit",
        "beside it, and goals that are missed",
    ]
    return table(head, rows)


def sweep(record: dict, shown: int = 25) -> str:
    """A group of many cases: how its ratios are spread, and the worst of them."""
    rows = record["cases"]
    found, spread = summary.group(rows), summary.distribution(rows)
    spread = {**spread, "mean": found["mean"]}
    head = ["", *spread, "slower than JAX"]
    figures = ["ratio", *(f"{v:.3g}" for v in spread.values()), f"{found['slower']} cases"]
    worst = group_table({**record, "cases": summary.worst(rows, shown)})
    return (
        f"{found['cases']} cases; their ratios, and the {shown} worst:\n\n"
        f"{table(head, [figures])}\n\n{worst}"
    )


def ratios(title: str, found: dict[str, float], head: str) -> str:
    """A list of figures, the largest first."""
    if not found:
        return ""
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return f"{title}\n\n" + table(["case", head], [[k, f"{v:.3g}"] for k, v in ordered]) + "\n"


def memory(records: dict[str, dict]) -> str:
    """Peak memory of the cases that say so."""
    rows = []
    for record in records.values():
        for name, row in record["cases"].items():
            peaks = {s: v["memory"] for s, v in row.get("sides", {}).items() if "memory" in v}
            if len(peaks) == 2:
                rows.append([name, *(
                    f"{peaks[s][k] / 1e6:.0f}" for s in ("fornax", "jax") for k in ("peak", "added")
                )])  # fmt: skip
    if not rows:
        return ""
    head = ["case", "Fornax, MB", "of it for the calls", "JAX, MB", "of it for the calls"]
    text = (
        "Peak memory of the process, compiling included, and how far it rises above what is there "
        "before the calls."
    )
    return f"### Memory\n\n{text}\n\n{table(head, rows)}\n"


def resident(record: dict) -> str:
    """Resident bytes at the start, the middle and the end."""
    rows = []
    for what, sides in record["cases"].items():
        for side, found in sides.items():
            seen = found["resident"]
            fifth = seen[len(seen) // 5]
            rows.append([
                f"{found['count']} {what}", side, f"{fifth / 1e6:.0f}", f"{seen[-1] / 1e6:.0f}",
                f"{seen[-1] / fifth - 1:+.1%}",
            ])  # fmt: skip
    head = ["of", "side", "MB after a fifth", "MB at the end", "growth"]
    text = (
        "Resident memory over many calls of the MLP step and over many shapes of a small function."
    )
    return f"### Resident memory\n\n{text}\n\n{table(head, rows)}\n"


def machine(record: dict) -> str:
    """What a group was measured on."""
    told = record["machine"]
    limits = "; ".join(f"{name}: {value:.1f}" for name, value in record["limits"].items())
    quick = any(r.get("quick") for r in record["cases"].values())
    how = "the least of two short rounds" if quick else "medians"
    return (
        f"{told['processor']}, {told['threads']} threads, {', '.join(told['flags'])}, Python "
        f"{told['python']}; {how}; load average {told['load']:g}. {limits}."
    )


def tables() -> str:
    """All that is between the marks."""
    records = recorded()
    compared = {group: records[group] for group in summary.GOALS if group in records}
    parts = [overview(records), ""]
    for group in (*compared, "start"):
        if group not in records:
            continue
        record = records[group]
        parts += [f"### {group.capitalize()}", ""]
        if group in summary.SWEEPS:
            parts += [sweep(record), "", machine(record), ""]
            continue
        if group in compared:
            parts += [f"![{group}]({PLOTS.name}/{group}.svg)", ""]
        parts += [group_table(record), "", machine(record), ""]
        if group == "loop":
            found = summary.gradients(record["cases"])
            parts.append(
                ratios(
                    "Time of gradients, as a multiple of the function's; the goal is 5 at most:",
                    found,
                    "×",
                )
            )
        if tails := summary.tails(record["cases"]):
            text = "Single calls until their results are there: the slowest of 1000, in medians."
            head = ["case", "median", "Fornax", "a loop as long that does nothing", "JAX"]
            parts.append(f"{text}\n\n{table(head, tails)}\n")
        if group == "compile":
            found = summary.slopes(record["cases"])
            parts.append(ratios("Log-log slope from 500 to 10 000 equations:", found, "slope"))
    parts.append(memory(records))
    if "resident" in records:
        parts.append(resident(records["resident"]))
    return "\n".join(parts).strip()


def page() -> str:
    """docs/performance.md with the tables of the results."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def points(record: dict) -> list[tuple[str, float, float]]:
    """What a plot shows: seconds of both sides by case."""
    return [
        (name, ours, theirs)
        for name, row in record["cases"].items()
        if (ours := summary.seconds(row, "fornax")) and (theirs := summary.seconds(row, "jax"))
    ]


def digest(record: dict) -> str:
    """Says in a plot which figures it shows."""
    return "figures " + hashlib.sha256(json.dumps(points(record)).encode()).hexdigest()[:16]


def plotted(records: dict[str, dict]) -> list[str]:
    """The groups that have a plot."""
    return [g for g in summary.GOALS if g in records and g not in summary.SWEEPS]


def plot(group: str, record: dict) -> None:
    """Both sides of a group on a logarithmic axis, as docs/performance/<group>.svg."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot
    from matplotlib.ticker import NullLocator

    style = {"svg.hashsalt": "fornax", "svg.fonttype": "none", "font.size": 7}
    found = points(record)[::-1]
    names, ours, theirs = zip(*found, strict=True)
    places = range(len(found))
    with matplotlib.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(8, 0.6 + 0.16 * len(found)), layout="constrained")
        axes.hlines(places, ours, theirs, color="lightgray", linewidth=1)
        axes.plot(theirs, places, "o", color="tab:orange", markersize=3, label="JAX")
        axes.plot(ours, places, "o", color="tab:blue", markersize=3, label="Fornax")
        axes.set_yticks(places, names)
        axes.set_ylim(-0.7, len(found) - 0.3)
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("seconds")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
        text = StringIO()
        told = {"Date": None, "Creator": None, "Description": digest(record)}
        figure.savefig(text, format="svg", metadata=told)
        pyplot.close(figure)
    PLOTS.mkdir(exist_ok=True)
    (PLOTS / f"{group}.svg").write_text(short(text.getvalue()), encoding="utf-8")


def short(svg: str) -> str:
    """A drawing without comments, indentation, and digits that nobody sees."""
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(\d+\.\d)\d+", r"\1", svg)
    return "".join(line.strip() + "\n" for line in svg.splitlines() if line.strip())


def write() -> None:
    """The page and the plots."""
    records = recorded()
    for group in plotted(records):
        if points(records[group]):
            plot(group, records[group])
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write()
