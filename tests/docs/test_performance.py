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
    for group in page.plotted(records):
        text = (page.PLOTS / f"{group}.svg").read_text(encoding="utf-8")
        assert page.digest(records[group]) in text, f"{group}: run python -m benchmarks.page"


def test_ratios_shares_and_goals():
    sides = {"fornax": summary.spread([2.0, 1.0, 3.0]), "jax": summary.spread([4.0, 6.0])}
    row = {
        "sides": sides, "flops": 4e9, "bound": "memory", "share": 0.5, "limit": 1.5,
        "tolerance": 0.0, "times": {},
        "beside": {"what": "copy", **summary.spread([0.8, 0.4])},
    }  # fmt: skip
    limits = {"f32 FMA peak, GFLOP/s": 4.0}
    assert summary.ratio(row) == 2.5
    assert summary.ratio(row | {"quick": True}) == 4.0
    assert summary.share(row, limits) == pytest.approx(0.3)
    assert summary.share(row | {"quick": True}, limits) == pytest.approx(0.4)
    assert summary.share(row | {"beside": None}, limits) is None
    assert summary.share(row | {"bound": "f32"}, limits) == 0.5
    assert summary.missed(row, limits) == ["30% of the limit instead of 50%", "more than 1.5 s"]
    assert summary.reached(row, limits) == "30% of copy"
    part = row | {"in_cache": summary.spread([1.8])}
    assert summary.reached(part, limits) == "90% of its speed in cache"
    assert summary.missed(part, limits) == ["more than 1.5 s"]
    failed = row | {"sides": {"fornax": {"error": "no"}, "jax": sides["jax"]}}
    assert summary.missed(failed, limits) == ["no"] and summary.shown(failed, "fornax") == "failed"
    late = row | {"sides": {"fornax": sides["fornax"], "jax": {"error": "late", "beyond": 20.0}}}
    assert summary.ratio(late) == 10.0 and summary.shown(late, "jax") == "> 20 s"
    group = summary.group({"a": row, "b": row | {"quick": True}, "c": failed})
    assert group["cases"] == 3 and group["compared"] == 2 and group["worst"] == "a"
    assert abs(group["mean"] - 10**0.5) < 1e-12
    wrong = row | {"difference": 1.0}
    rows = {"right": row, "quick": row | {"quick": True}, "wrong": wrong, "failed": failed}
    assert [*summary.worst(rows, 3)] == ["wrong", "failed", "right"]
    spread = summary.distribution(rows)
    assert spread["least"] == spread["median"] == 2.5


def test_slow_calls_count_where_the_machine_has_none():
    def row(medians, nothing):
        tail = {"calls": 9, "median": 1.0, "p999": medians, "nothing": nothing}
        sides = {side: {**summary.spread([1.0]), "tail": tail} for side in ("fornax", "jax")}
        return {"sides": sides}

    assert summary.missed(row(9.0, 1.0), {}) == []
    assert summary.missed(row(12.0, 13.0), {}) == []
    assert summary.missed(row(12.0, 5.0), {}) == ["slowest of 1000: 12 medians"]
    assert summary.tails({"f": row(9.0, 2.0)}) == [["f", "1 s", "9", "2", "9"]]


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
            assert case.bound == "memory" or case.flops > 0, case.name
            assert case.bound in ("memory", *summary.PEAKS), case.name
        assert case.bound or not case.share, case.name


def test_slow_calls_are_told_beside_a_loop_that_does_nothing(monkeypatch):
    """Calls take 3 ms, and in the end 2 of 1000 of them 100 ms; the loop 1 ms."""
    now, calls = 0.0, iter([0.003] * 1098 + [0.1] * 2)  # 100 of them to prepare

    def advance(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(worker.time, "perf_counter", lambda: now)
    monkeypatch.setattr(worker, "first", lambda _: None)
    monkeypatch.setattr(worker, "spin", lambda _: advance(0.001))
    monkeypatch.setattr(worker, "wait", lambda _: None)
    found = worker.tail(lambda: advance(next(calls)), 1000)
    assert found == {
        "calls": 900,
        "median": pytest.approx(0.003),
        "p999": pytest.approx(0.1),
        "nothing": pytest.approx(1),
    }
