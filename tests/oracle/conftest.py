"""One process that runs jax, for all tests of this folder; the summary of what was compared."""

from __future__ import annotations

from collections import defaultdict

import pytest

from oracle.comparison import TALLY
from oracle.differences import DIFFERENCES
from oracle.process import Worker


@pytest.fixture(scope="session")
def jax_worker(request):
    """Answers the questions of all tests that were selected."""
    listed = []
    for item in request.session.items:
        ask = getattr(getattr(item, "function", None), "questions", None)
        if ask is not None:
            listed.append((item.nodeid, list(ask(item.callspec.params["entry"]))))
    worker = Worker(listed)
    yield worker
    worker.close()


@pytest.fixture
def asked(request, jax_worker):
    """The calls of a test, and a function that waits for what jax gives for them."""
    key = request.node.nodeid
    return jax_worker.calls[key], lambda: jax_worker.answer(key)


def unmet(session) -> list[str]:
    """Known differences that a run of everything did not meet: their entries are out of date."""
    config = session.config
    files = {item.path.name for item in session.items}
    part = config.option.keyword or any("::" in given for given in config.args)
    if part or not files >= {"test_rows.py", "test_expressions.py"} or not TALLY.calls:
        return []
    return [known.reason for known in DIFFERENCES if not TALLY.known[known.reason]]


def pytest_sessionfinish(session):
    """A run that did not meet every known difference fails."""
    TALLY.unmet = unmet(session)
    if TALLY.unmet and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    """Items and seconds of every test of the oracle, comparisons, and the differences met."""
    if not TALLY.calls:
        return
    write = terminalreporter.write_line
    terminalreporter.section("compared with jax")
    seconds = defaultdict(list)
    for report in (
        r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, ())
    ):
        if "oracle" in report.keywords:
            seconds[report.nodeid.partition("[")[0]].append(report.duration)
    for name, durations in seconds.items():
        write(f"{len(durations):6} items, {sum(durations):7.1f} s  {name}")
    write(
        f"{TALLY.calls} calls of primitives and transformations, {TALLY.comparisons} comparisons,"
    )
    write(
        f"{TALLY.errors} of them of errors. Known differences, and in how many calls they were met:"
    )
    for known in DIFFERENCES:
        write(f"{TALLY.known[known.reason]:6}  {known.reason}")
    for reason in TALLY.unmet:
        write(f"never met, so out of date in oracle/differences.py: {reason}", red=True)
