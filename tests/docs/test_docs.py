"""Documentation is true: its Python blocks run, and the text after them is what they print.

pytest tests/docs --update-docs      rewrites the text blocks
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path

import pytest

from fornax.ir.primitive import REGISTRY, Primitive

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import site_pages  # noqa: E402

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```python\n(.*?)```(\n+```text\n(.*?)```)?", re.DOTALL)


def run(code: str, names: dict, where: str) -> str:
    """What a block prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, where, "exec"), names)  # noqa: S102
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def check(text: str, where: str, update: bool = False) -> str:
    """Runs the blocks of a page and compares what they print; with `update`, the page anew."""
    names: dict = {"__name__": "page"}
    new, last = [], 0
    for number, match in enumerate(BLOCK.finditer(text)):
        line = text[: match.start()].count("\n") + 2
        code = "\n" * (line - 1) + match.group(1)
        printed = run(code, names, where)
        if match.group(3) is None:
            continue
        if update:
            new += [text[last : match.start(3)], printed]
            last = match.end(3)
        else:
            assert printed.strip() == match.group(3).strip(), f"block {number} of {where}"
    forget_primitives(names)
    return "".join([*new, text[last:]])


def forget_primitives(names: dict) -> None:
    """The primitives that a page has made, and not imported, leave the table."""
    modules = [vars(m) for n, m in list(sys.modules.items()) if n.startswith("fornax.")]
    for value in names.values():
        if isinstance(value, Primitive) and not any(
            found is value for module in modules for found in list(module.values())
        ):
            REGISTRY.pop(value.name, None)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_page(page, request):
    update = request.config.getoption("--update-docs", default=False)
    text = page.read_text()
    new = check(text, str(page), update)
    if new != text:
        page.write_text(new)


@pytest.mark.parametrize("name", sorted(site_pages.error_pages()))
def test_page_of_an_error(name):
    check(site_pages.error_pages()[name], name)


def test_every_module_of_the_reference_has_a_page_with_all_names():
    for name, text in site_pages.reference_pages().items():
        assert "## " in text or name.endswith("index.md"), name


def test_links_lead_somewhere():
    made, broken = set(site_pages.pages()), []
    for page in (*PAGES, ROOT / "CONTRIBUTING.md"):
        prose = BLOCK.sub("", page.read_text())
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
            if not (page.parent / target).exists() and target not in made:
                broken.append(f"{page.name}: {target}")
    assert not broken, broken
