"""docs/performance.md shows the last full run of the benchmarks."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_is_that_of_the_results(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import page

    assert page.page() == page.PAGE.read_text(encoding="utf-8"), "run python -m benchmarks.page"
