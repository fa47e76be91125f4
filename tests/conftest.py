"""Options and fixtures of all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# processes that tests start find the same sources
SOURCE = str(Path(__file__).parent.parent / "src")
os.environ["PYTHONPATH"] = os.pathsep.join(p for p in (SOURCE, os.environ.get("PYTHONPATH")) if p)


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files anew instead of comparing"
    )
    parser.addoption("--update-docs", action="store_true", help="write the outputs in docs anew")


@pytest.fixture
def golden(request):
    """golden(name, text): `text` must equal the file golden/<name> next to the test file."""
    folder = Path(request.node.path).parent / "golden"

    def compare(name: str, text: str) -> None:
        path = folder / name
        if request.config.getoption("--update-golden"):
            folder.mkdir(exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{path} is missing: run pytest --update-golden"
        assert text == path.read_text(), f"{path} differs: run pytest --update-golden if intended"

    return compare
