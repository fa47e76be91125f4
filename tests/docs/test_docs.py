"""Documentation is true: its Python blocks run, and the text after them is what they print.

pytest tests/docs --update-docs      rewrites the text blocks
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```python\n(.*?)```(\n+```text\n(.*?)```)?", re.DOTALL)


def run(code: str, names: dict, where: str) -> str:
    """What a block prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, where, "exec"), names)  # noqa: S102
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_page(page, request):
    update = request.config.getoption("--update-docs", default=False)
    text = page.read_text()
    names: dict = {}
    new, last = [], 0
    for number, match in enumerate(BLOCK.finditer(text)):
        line = text[: match.start()].count("\n") + 2
        code = "\n" * (line - 1) + match.group(1)
        printed = run(code, names, str(page))
        if match.group(3) is None:
            continue
        if update:
            new += [text[last : match.start(3)], printed]
            last = match.end(3)
        else:
            assert printed.strip() == match.group(3).strip(), f"block {number} of {page.name}"
    if update and new:
        page.write_text("".join([*new, text[last:]]))


def test_links_lead_somewhere():
    broken = []
    for page in (*PAGES, ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert not broken, broken
