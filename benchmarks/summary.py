"""What the figures of a case mean: ratio, share of the machine's limit, goals, and of a group."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

#: at least so many times as fast as JAX, as geometric mean of a group
GOALS = {
    "stream": 5.0, "reduce": 4.0, "dense": 1.6, "irregular": 3.0, "random": 10.0, "algebra": 1.5,
    "loop": 2.0, "model": 1.8, "dispatch": 3.0, "compile": 8.0, "shapes": 3.0,
}  # fmt: skip

#: groups of so many cases that the page has the worst only
SWEEPS = ("shapes",)

#: names of the peaks that cases are held against; memory is measured beside each case
PEAKS = {
    "f32": "f32 FMA peak, GFLOP/s", "f64": "f64 FMA peak, GFLOP/s", "bf16": "bf16 dot peak, GFLOP/s"
}  # fmt: skip


def spread(samples: Sequence[float]) -> dict[str, float]:
    """Least, quartiles and median of seconds."""
    ordered = sorted(samples)
    if len(ordered) < 2:
        return dict.fromkeys(("least", "first", "median", "third"), ordered[0])
    first, median, third = statistics.quantiles(ordered, n=4, method="inclusive")
    return {"least": ordered[0], "first": first, "median": median, "third": third}


def typical(row: dict, found: dict[str, float]) -> float | None:
    """What counts of a spread: the median; in a quick run, where others load the machine, the
    least."""
    return found.get("least" if row.get("quick") else "median")


def seconds(row: dict, side: str) -> float | None:
    """What counts of a side. Of a first call that JAX did not end in time, the time that it was
    given."""
    found = row["sides"].get(side)
    if not found or "error" in found:
        return found.get("beyond") if found and side != "fornax" else None
    return typical(row, found)


def shown(row: dict, side: str) -> str:
    """Seconds of a side as text."""
    found = row["sides"].get(side, {})
    if "error" not in found:
        return show(seconds(row, side))
    return f"> {show(found['beyond'])}" if "beyond" in found else "failed"


def ratio(row: dict, side: str = "jax") -> float | None:
    """How many times as fast as the other side."""
    ours, theirs = seconds(row, "fornax"), seconds(row, side)
    return theirs / ours if ours and theirs else None


def busy(row: dict) -> str:
    """The ratio of processor seconds, as text."""
    ours, theirs = (row["sides"].get(s, {}).get("processor") for s in ("fornax", "jax"))
    return f"{theirs / ours:.3g}" if ours and theirs else "–"


def at_least(row: dict, limits: dict[str, float]) -> tuple[float, str]:
    """Seconds that the machine takes at least, and what it takes them for; 0 where unknown."""
    bound = row.get("bound", "")
    if bound in PEAKS:
        peak = limits.get(PEAKS[bound])
        return (row["flops"] / 1e9 / peak if peak else 0.0), bound
    found = [(0.0, bound)]
    if beside := row.get("beside"):
        found.append((typical(row, beside), beside["what"]))
    if part := row.get("in_cache"):
        found.append((typical(row, part), "its speed in cache"))
    return max(found)


def share(row: dict, limits: dict[str, float]) -> float | None:
    """The part of the machine's limit that is reached."""
    ours, least = seconds(row, "fornax"), at_least(row, limits)[0]
    return least / ours if ours and least else None


def reached(row: dict, limits: dict[str, float]) -> str:
    """The share in words."""
    found = share(row, limits)
    return f"{found:.0%} of {at_least(row, limits)[1]}" if found else ""


def slowest(tail: dict[str, float]) -> float:
    """How many times the median the slowest of 1000 calls took."""
    return tail["p999"] / tail["median"]


def tails(rows: dict[str, dict]) -> list[list[str]]:
    """Of cases with single calls: the median of Fornax, how many medians the slowest of 1000 took
    on both sides, and of a loop that does nothing for as long as a call of Fornax takes."""
    found = []
    for name, row in rows.items():
        of = {side: times["tail"] for side, times in row["sides"].items() if "tail" in times}
        if len(of) == 2:
            ours, theirs = of["fornax"], of["jax"]
            ratios = (slowest(ours), ours["nothing"], slowest(theirs))
            found.append([name, show(ours["median"]), *(f"{r:.2g}" for r in ratios)])
    return found


def missed(row: dict, limits: dict[str, float]) -> list[str]:
    """The goals of a case that it does not reach, in words."""
    ours, found = seconds(row, "fornax"), []
    if ours is None:
        return [row["sides"].get("fornax", {}).get("error", "not measured")]
    against = ratio(row)
    if against is not None and against < 1:
        found.append("slower than JAX")
    part = share(row, limits)
    if row.get("share") and part is not None and part < row["share"]:
        found.append(f"{part:.0%} of the limit instead of {row['share']:.0%}")
    if row.get("limit") and ours > row["limit"]:
        found.append(f"more than {show(row['limit'])}")
    for side, times in row.get("times", {}).items():
        other = seconds(row, side)
        if other and ours > times * other:
            found.append(f"{ours / other:.2g} times {side}'s time instead of {times:g}")
    if (tail := row["sides"]["fornax"].get("tail")) and slowest(tail) > max(10, tail["nothing"]):
        found.append(f"slowest of 1000: {slowest(tail):.2g} medians")
    if row.get("difference") is not None and not row["difference"] <= row["tolerance"]:
        found.append(f"results differ by {row['difference']:.1g}")
    memory = {k: v["memory"] for k, v in row["sides"].items() if "memory" in v}
    if len(memory) == 2 and memory["fornax"]["peak"] > memory["jax"]["peak"]:
        found.append("more memory than JAX")
    return found


def geometric_mean(values: list[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values))) if values else math.nan


def group(rows: dict[str, dict]) -> dict:
    """Mean ratio of a group, its worst case, how many are slower than JAX."""
    ratios = {name: r for name, row in rows.items() if (r := ratio(row)) is not None}
    worst = min(ratios, key=ratios.__getitem__, default=None)
    return {
        "cases": len(rows), "compared": len(ratios), "mean": geometric_mean([*ratios.values()]),
        "worst": worst, "worst_ratio": ratios.get(worst),
        "slower": sum(r < 1 for r in ratios.values()),
    }  # fmt: skip


def worst(rows: dict[str, dict], count: int) -> dict[str, dict]:
    """The cases of the least ratios; those without one, or with other results, before them."""

    def order(item: tuple[str, dict]) -> float:
        row = item[1]
        right = row.get("difference") is None or row["difference"] <= row["tolerance"]
        return (ratio(row) or 0.0) if right else 0.0

    return dict(sorted(rows.items(), key=order)[:count])


def distribution(rows: dict[str, dict]) -> dict[str, float]:
    """The ratios that these parts of the cases are below."""
    ratios = sorted(r for row in rows.values() if (r := ratio(row)) is not None)
    parts = {"least": 0.0, "1 %": 0.01, "10 %": 0.1, "median": 0.5, "90 %": 0.9}
    return {name: ratios[int(part * (len(ratios) - 1))] for name, part in parts.items()}


def gradients(rows: dict[str, dict]) -> dict[str, float]:
    """How many times the time of a function its gradient takes."""
    found = {}
    for name, row in rows.items():
        forward = rows.get(name.removesuffix(", gradient"))
        if name.endswith(", gradient") and forward:
            ours, base = seconds(row, "fornax"), seconds(forward, "fornax")
            if ours and base:
                found[name] = ours / base
    return found


def slopes(rows: dict[str, dict], side: str = "fornax") -> dict[str, float]:
    """Of the chains of 500 and 10 000 equations: log-log slope of seconds in equations."""
    found = {}
    for name, row in rows.items():
        longer = rows.get(name.replace(" 500 ", " 10000 "))
        if " 500 " in name and longer:
            short, long = seconds(row, side), seconds(longer, side)
            if short and long:
                found[name.replace("500 ", "")] = math.log(long / short) / math.log(20)
    return found


def show(value: float | None) -> str:
    """Seconds with a fitting unit."""
    if value is None:
        return "–"
    for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if value * scale >= 1:
            return f"{value * scale:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"
