"""How tools/conformance.py gets and reads other projects' suites, without the network."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The tool, with a cache of its own and a git that knows no user."""
    spec = importlib.util.spec_from_file_location("conformance", ROOT / "tools/conformance.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "conformance", module)
    spec.loader.exec_module(module)
    settings = tmp_path / "gitconfig"
    settings.write_text(
        "[user]\n name = somebody\n email = nobody@localhost\n[uploadpack]\n allowFilter = true\n"
        '[protocol "file"]\n allow = always\n'
        f'[url "file://{tmp_path}/copies/"]\n insteadOf = https://github.com/\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("FORNAX_CONFORMANCE", str(tmp_path / "cache"))
    return module


def repository(folder: Path, files: dict[str, str], *more: tuple[str, ...]) -> str:
    """A git repository with these files and whatever else git is told; its commit."""

    def git(*arguments):
        done = subprocess.run(
            ["git", "-C", folder, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    folder.mkdir(parents=True)
    git("init", "--quiet")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for arguments in more:
        git(*arguments)
    git("add", ".")
    git("commit", "--quiet", "--message=all")
    return git("rev-parse", "HEAD")


def test_fetching_from_copies(tool, tmp_path, monkeypatch):
    copies = tmp_path / "copies"
    repository(copies / "data-apis/array-api", {"spec/all.py": "spec\n"})
    own = ("submodule", "--quiet", "add", "https://github.com/data-apis/array-api", "array-api")
    suite = copies / "data-apis/array-api-tests"
    commit = repository(suite, {"tests/test_all.py": "pinned\n"}, own)
    (suite / "tests/test_all.py").write_text("newer\n")
    subprocess.run(["git", "-C", suite, "commit", "-qam", "newer"], check=True)
    tag = ("tag", f"jax-v{tool.JAX}")
    repository(copies / "jax-ml/jax", {"tests/array_api_skips.txt": "older\n"})
    jax = copies / "jax-ml/jax"
    (jax / "tests/array_api_skips.txt").write_text("one\ntwo\n")
    subprocess.run(["git", "-C", jax, "commit", "-qam", "list"], check=True)
    subprocess.run(["git", "-C", jax, *tag], check=True)
    monkeypatch.setattr(tool, "ARRAY_API_COMMIT", commit)

    found = tool.fetch_array_api()
    assert (found / "tests/test_all.py").read_text() == "pinned\n"
    assert (found / "array-api/spec/all.py").read_text() == "spec\n"
    assert (tool.cache() / "array_api_skips.txt").read_text() == "one\ntwo\n"
    assert sorted(place.name for place in tool.cache().iterdir()) == [
        "array-api-tests",
        "array_api_skips.txt",
    ]
    (found / "tests/test_all.py").write_text("as it is\n")
    assert tool.fetch_array_api() == found  # what is there is left alone
    assert (found / "tests/test_all.py").read_text() == "as it is\n"


def test_what_cannot_be_had_is_named_and_leaves_nothing(tool, monkeypatch):
    with pytest.raises(tool.Unreachable, match=r"git .*array-api-tests.*fatal"):
        tool.fetch_array_api()
    assert list(tool.cache().iterdir()) == []
    monkeypatch.setenv("PATH", "")
    with pytest.raises(tool.Unreachable, match="git is not installed"):
        tool.fetch_array_api()


def test_reading_and_comparing(tool, tmp_path):
    cases = {
        "jax": '<testcase classname="a.site-packages.b.T" name="one"/>'
        '<testcase classname="b.T" name="two"/><testcase classname="b.T" name="three"/>',
        "fornax": '<testcase classname="x.site-packages.b.T" name="one"/>'
        '<testcase classname="b.T" name="two"><failure message="Fornax has no jax.nn.thing"/>'
        '</testcase><testcase classname="b.T" name="three"><skipped/></testcase>',
    }
    read = {}
    for side, text in cases.items():
        path = tmp_path / f"{side}.xml"
        path.write_text(f"<testsuites>{text}</testsuites>")
        read[side] = tool.read(path)
    assert read["fornax"]["b.T::one"] == ("passed", "")
    lines = "\n".join(tool.differences(read["fornax"], read["jax"]))
    assert "Of 3 tests that pass with JAX, 1 pass (33.3 %)." in lines
    assert "| 1 | a name that is not there yet: `jax.nn.thing` | `two` |" in lines
    assert "| 1 | skipped here | `three` |" in lines


def test_comparing_libraries(tool, monkeypatch):
    spec = importlib.util.spec_from_file_location(
        "compare_libraries", ROOT / "tools/compare_libraries.py"
    )
    compare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compare)
    theirs = {"results": {"a": [1.0, [2.0]], "~mean": 1.0}}
    assert compare.verdict({"results": {"a": [1.0, [2.0]], "~mean": 1.2}}, theirs) == (
        "runs; within 0e+00"
    )
    assert compare.verdict({"results": {"a": [1.0, [2.1]], "~mean": 3}}, theirs) == (
        "differs in a, ~mean"
    )
    assert compare.verdict({"results": {"a": [1.0]}}, theirs) == "differs in a, ~mean"
    absent = {"error": "ImportError: Fornax has no jax.nn.thing"}
    assert compare.verdict(absent, theirs) == "`jax.nn.thing` is absent"
    assert compare.verdict(theirs, {}) == "runs; not with JAX: not tried"
    text = "Traceback\n  File x\nModuleNotFoundError: Fornax has no jax.x\n  why: …"
    assert compare.ended(text) == "ModuleNotFoundError: Fornax has no jax.x"
