"""docs/performance.md shows the results that are committed, and so do its plots."""

from __future__ import annotations

import pytest
from benchmarks import page, summary, table, worker
from benchmarks.cases import CASES


def test_the_tables_are_those_of_the_results():
    assert page.page() == page.PAGE.read_text(encoding="utf-8"), "run python -m benchmarks.page"


def test_the_plots_are_those_of_the_results():
    records = table.recorded()
    assert records
    for group in set(summary.GOALS) & set(records):
        text = (page.PLOTS / f"{group}.svg").read_text(encoding="utf-8")
        assert page.digest(records[group]) in text, f"{group}: run python -m benchmarks.page"


def test_ratios_shares_and_goals():
    sides = {"fornax": summary.spread([2.0, 1.0, 3.0]), "jax": summary.spread([4.0, 6.0])}
    row = {
        "sides": sides, "flops": 4e9, "bytes": 8e9, "bound": "copy", "share": 0.5, "limit": 1.5,
        "tolerance": 0.0, "times": {}, "beside": {"bytes": 4e9, **summary.spread([0.4, 0.2])},
    }  # fmt: skip
    limits = {"f32 FMA peak, GFLOP/s": 4.0}
    assert summary.ratio(row) == 2.5
    assert summary.ratio(row | {"quick": True}) == 4.0
    assert summary.share(row, limits) == pytest.approx(0.3)
    assert summary.share(row | {"quick": True}, limits) == pytest.approx(0.4)
    assert summary.share(row | {"beside": None}, limits) is None
    assert summary.share(row | {"bound": "f32"}, limits) == 0.5
    assert summary.missed(row, limits) == ["30% of the limit instead of 50%", "more than 1.5 s"]
    failed = row | {"sides": {"fornax": {"error": "no"}, "jax": sides["jax"]}}
    assert summary.missed(failed, limits) == ["no"] and summary.shown(failed, "fornax") == "failed"
    late = row | {"sides": {"fornax": sides["fornax"], "jax": {"error": "late", "beyond": 20.0}}}
    assert summary.ratio(late) == 10.0 and summary.shown(late, "jax") == "> 20 s"
    group = summary.group({"a": row, "b": row | {"quick": True}, "c": failed})
    assert group["cases"] == 3 and group["compared"] == 2 and group["worst"] == "a"
    assert abs(group["mean"] - 10**0.5) < 1e-12


def test_slopes_and_gradients():
    rows = {
        "first call: 500 sines": {"sides": {"fornax": summary.spread([1.0])}},
        "first call: 10000 sines": {"sides": {"fornax": summary.spread([20.0])}},
        "f": {"sides": {"fornax": summary.spread([1.0])}},
        "f, gradient": {"sides": {"fornax": summary.spread([3.0])}},
    }
    assert summary.slopes(rows) == {"first call: sines": pytest.approx(1.0)}
    assert summary.gradients(rows) == {"f, gradient": 3.0}


def test_results_are_of_cases_that_there_are():
    for group in set(summary.GOALS) & set(table.recorded()):
        gone = set(table.recorded()[group]["cases"]) - {c.name for c in CASES.values()}
        assert not gone, f"{group}: make bench ARGS='--group {group}'"


def test_cases_are_held_against_limits_that_are_measured():
    for case in CASES.values():
        assert case.group in summary.GOALS and case.unit in ("time", "first"), case.name
        if case.bound:
            assert case.bound in ("copy", "read") or case.flops > 0, case.name
            assert case.bound in ("copy", "read", *summary.PEAKS), case.name
        assert case.bound or not case.share, case.name


def test_a_busy_moment_takes_no_more_than_a_call_off_the_tail(monkeypatch):
    """Calls take 3 ms, the walk over their results 1 ms, and twice 100 ms."""
    now, walks = 0.0, iter([0.001, 0.1, 0.001, 0.1])

    def advance(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(worker.time, "perf_counter", lambda: now)
    monkeypatch.setattr(worker, "wait", lambda _: advance(next(walks, 0.001)))
    found = worker.tail(lambda: advance(0.003), 1000)
    assert found == {"calls": 900, "median": pytest.approx(0.003), "p999": pytest.approx(0.003)}
