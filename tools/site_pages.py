"""The pages of the documentation that are made from docstrings, at build time.

MkDocs calls `on_files` (mkdocs.yml names this file as a hook); nothing that is made here is
committed. `pages` gives the same pages to the tests, which run the code of the error pages.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: files outside docs/ that are pages of the site too
BESIDE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
#: modules of the reference, in the order of the navigation
MODULES = (
    "fornax",
    "fornax.numpy",
    "fornax.numpy.linalg",
    "fornax.numpy.fft",
    "fornax.lax",
    "fornax.lax.linalg",
    "fornax.random",
    "fornax.nn",
    "fornax.nn.initializers",
    "fornax.scipy.special",
    "fornax.scipy.linalg",
    "fornax.tree",
    "fornax.tree_util",
    "fornax.flatten_util",
    "fornax.custom_batching",
    "fornax.custom_derivatives",
    "fornax.ad_checkpoint",
    "fornax.ref",
    "fornax.debug",
    "fornax.experimental",
    "fornax.experimental.checkify",
    "fornax.observe",
    "fornax.stages",
    "fornax.dtypes",
    "fornax.sharding",
    "fornax.typing",
    "fornax.core",
    "fornax.test_util",
)


def pages() -> dict[str, str]:
    """Every page made here: where it is in the site, and its text."""
    if str(ROOT / "src") not in sys.path:
        sys.path.insert(0, str(ROOT / "src"))
    return {**error_pages(), **reference_pages()}


# --- errors ------------------------------------------------------------------------------------
def error_pages() -> dict[str, str]:
    """One page per error class, and a page that lists them."""
    errors = importlib.import_module("fornax.errors")
    found: dict[type, list[str]] = {}
    for name in errors.__all__:
        found.setdefault(getattr(errors, name), []).append(name)
    made, lines = {}, []
    for error, names in found.items():
        text = inspect.getdoc(error) or ""
        bases = [
            b.__name__ for b in error.__mro__[1:] if b not in (Exception, BaseException, object)
        ]
        head = [
            f"# {error.__name__}",
            f"Is a: {', '.join(f'`{b}`' for b in bases) or '`Exception`'}.",
        ]
        if others := [n for n in names if n != error.__name__]:
            head.append(f"Also called {', '.join(f'`{n}`' for n in others)}.")
        made[f"errors/{error.__name__}.md"] = "\n\n".join([*head, text]) + "\n"
        lines.append(f"- [{error.__name__}]({error.__name__}.md): {text.splitlines()[0]}")
    made["errors/index.md"] = "\n".join(
        [
            "# Errors",
            "",
            "What Fornax raises on purpose, with JAX's names and base classes. A message says what "
            "happened, where, why it cannot work, and what to try. Other mistakes raise Python's "
            "`TypeError`, `ValueError` and `IndexError`, as they do in JAX.",
            "",
            *sorted(lines),
            "",
        ]
    )
    return made


# --- reference ---------------------------------------------------------------------------------
def reference_pages() -> dict[str, str]:
    """One page per public module: every name of its `__all__` with signature and docstring."""
    made = {}
    for name in MODULES:
        module = importlib.import_module(name)
        parts = [f"# {name}", markdown(inspect.getdoc(module) or "")]
        for public in sorted(module.__all__, key=str.lower):
            value = getattr(module, public)
            if not inspect.ismodule(value):
                parts += entry(public, value)
        made[f"reference/{name}.md"] = "\n\n".join(parts) + "\n"
    made["reference/index.md"] = "\n".join(
        [
            "# Reference",
            "",
            *(f"- [`{n}`]({n}.md): {summary(importlib.import_module(n))}" for n in MODULES),
            "",
        ]
    )
    return made


def summary(module: Any) -> str:
    """The first sentence of a module's docstring."""
    return markdown((inspect.getdoc(module) or "").split("\n\n")[0].replace("\n", " "))


def entry(name: str, value: Any) -> list[str]:
    """A name's heading, its signature, its docstring."""
    parts = [f"## {name} {{ #{name} }}"]
    if not callable(value):
        return [*parts, f"```python\n{name} = {value!r}\n```"]
    parts.append(f"```python\n{signature(name, value)}\n```")
    return [*parts, markdown(inspect.getdoc(value) or "")]


def signature(name: str, value: Any) -> str:
    """`name(parameters)` without annotations; of classes and values without one, the name."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return name
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in found.parameters.values()]
    text = f"{name}{found.replace(parameters=bare, return_annotation=inspect.Signature.empty)}"
    if len(text) <= 88:
        return text
    # one parameter a line, with the commas of the text in one line
    inner = [str(p) for p in bare]
    for position, parameter in enumerate(bare):
        if parameter.kind is parameter.KEYWORD_ONLY:
            inner.insert(position, "*")
            break
    return f"{name}(\n" + "".join(f"    {line},\n" for line in inner) + ")"


def markdown(text: str) -> str:
    """Plain text whose special characters mean nothing, but for code in backticks."""
    pieces = re.split(r"(`[^`\n]*`)", text)
    quoted = [p if p.startswith("`") else re.sub(r"([*_<>\[\]#|\\])", r"\\\1", p) for p in pieces]
    return re.sub(r"(?m)^ {4,}", "", "".join(quoted))


# --- hooks of MkDocs ---------------------------------------------------------------------------
def on_files(files: Any, config: Any) -> Any:
    """Adds the pages, and completes the navigation."""
    from mkdocs.structure.files import File

    made = pages()
    for source, place in BESIDE.items():
        made[place] = (ROOT / source).read_text().replace("](docs/", "](")
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    complete(config["nav"], sorted(f.src_uri for f in files.documentation_pages()))
    return files


def complete(nav: list[Any], places: list[str]) -> None:
    """Fills the empty sections from the folders of their names; the last one takes the rest."""
    for section in nav:
        for title, listed in section.items():
            if listed == []:
                inside = [p for p in places if p.startswith(f"{title.lower()}/")]
                start = [p for p in inside if p.endswith("/index.md")]
                others = [{Path(p).stem: p} for p in inside if p not in start]
                listed += [*start, *others]
    named = set(paths(nav))
    *_, last = nav[-1].values()
    last += [p for p in places if p not in named]


def paths(nav: Any) -> list[str]:
    """All pages that a navigation names."""
    if isinstance(nav, str):
        return [nav]
    return [p for item in (nav.values() if isinstance(nav, dict) else nav) for p in paths(item)]


def on_page_markdown(text: str, page: Any, **_: Any) -> str:
    """Links that lead out of docs/ in the repository lead to the site's copy of those files."""
    for source, place in BESIDE.items():
        text = text.replace(f"](../{source}", f"]({place}")
    return text
