"""docs/parity.md says what is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_true():
    spec = importlib.util.spec_from_file_location("parity", ROOT / "tools/parity.py")
    parity = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(parity)
    assert parity.page() == parity.PAGE.read_text(), "run tools/parity.py"
