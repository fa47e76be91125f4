"""Runs other projects' test suites on Fornax and on JAX, and writes docs/conformance.md.

    python tools/conformance.py [--suite NAME …] [--side fornax|jax …] [--report]

The suites are installed or fetched when they are first needed, into the folder that
FORNAX_CONFORMANCE names (default ~/.cache/fornax/conformance): an environment for each side, one
without jax and one with it, by pip, and by git what no package has. Chex and Optax have their tests
in their packages, so that a package index is enough for them; the array API suite lies in git
repositories only. Where these cannot be reached, copies of them do (data-apis/array-api-tests,
data-apis/array-api and jax-ml/jax in one folder), which git is told of:

    git config --global url.file:///folder/of/copies/.insteadOf https://github.com/
    git config --global protocol.file.allow always
    git config --global uploadpack.allowFilter true

What is there already is used as it is. A suite that cannot be had is named, the others run. Nothing
is written into this repository but the report.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "docs" / "conformance.md"
JAX = "0.10.2"
#: installed on both sides; what depends on jax is installed without its dependencies on ours
SHARED = (
    "numpy==2.4.6", "scipy==1.17.1", "ml_dtypes==0.6.0", "absl-py", "dm-tree", "toolz",
    "cloudpickle", "scikit-learn", "typing_extensions", "pytest==9.2.0", "pytest-timeout",
    "pytest-json-report", "hypothesis>=6.151", "ndindex>=1.8", "einops", "etils", "humanize",
    "msgpack", "rich", "treescope", "PyYAML",
)  # fmt: skip
LIBRARIES = ("optax==0.2.8", "chex==0.1.92", "flax==0.12.8")
SIDES = {
    # opt_einsum comes with jax, and Flax relies on that
    "fornax": ((*SHARED, "llvmlite>=0.50", "mpmath", "opt_einsum"), LIBRARIES),
    "jax": ((*SHARED, f"jax=={JAX}", *LIBRARIES), ()),
}

ARRAY_API = "https://github.com/data-apis/array-api-tests"
ARRAY_API_COMMIT = "3249a739f8ce9be95e5210ed90ea5d8d62045eec"
ARRAY_API_SKIPS = ("https://github.com/jax-ml/jax", f"jax-v{JAX}", "tests/array_api_skips.txt")
#: seconds without a byte after which git gives up; it must not ask for a password either
GIT = {"GIT_TERMINAL_PROMPT": "0", "GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": "60"}


class Unreachable(Exception):
    """A suite that cannot be had here; says what was tried."""


@dataclass(frozen=True)
class Suite:
    """A test suite: the arguments of pytest, relative to `folder` or a package's location."""

    name: str
    title: str
    arguments: tuple[str, ...]
    package: str = ""
    environment: dict[str, str] = field(default_factory=dict)


SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "array-api",
            "array-api-tests 3249a739f8 (2026-01-21) with jax's skip list, x64",
            ("array_api_tests", "--derandomize", "--disable-deadline", "--max-examples", "5",
             "--skips-file", "{cache}/array_api_skips.txt"),
            environment={"ARRAY_API_TESTS_MODULE": "jax.numpy", "JAX_ENABLE_X64": "true"},
        ),
        Suite("chex", "Chex 0.1.92, its own tests", (), package="chex"),
        Suite("optax", "Optax 0.2.8, its own tests", (), package="optax"),
    )
}  # fmt: skip

#: (pattern of the test and its error, what it is): why a test that passes with JAX fails here
REASONS = (
    (r"as_hlo_text", "reads the text of XLA's HLO; Fornax compiles to loop IR and has no HLO"),
    (r"assert_numerical_grads failed",
     "a float32 difference quotient of a sum near 150, whose rounding is above the tolerance; "
     "JAX's order of summation happens to stay below it"),
    (
        r"test_against_plain_implementation",
        "fifteen quasi-Newton steps amplify rounding on a function that is symmetric in x and y: "
        "fused multiply-adds round its two slopes differently (in float64 as well)",
    ),
    (r"Fornax has no (?P<name>jax[\w.]*\w)", "a name that is not there yet"),
    (r"IllFormed", "an error of the compiler, found by its own checker"),
    (r"Timeout", "took longer than the limit of a test"),
    (r"Not equal to tolerance|Arrays are not|not almost equal", "values differ"),
)  # fmt: skip


# --- where things are -----------------------------------------------------------------------------
def cache() -> Path:
    """The folder outside the repository where suites and environments are kept."""
    place = os.environ.get("FORNAX_CONFORMANCE") or "~/.cache/fornax/conformance"
    return Path(place).expanduser()


def python(side: str) -> Path:
    """The interpreter of a side's environment, which is made if it is not there as asked for."""
    folder = cache() / f"{side}-environment"
    interpreter, finished = folder / "bin" / "python", folder / "requirements.json"
    wanted = json.dumps(SIDES[side], indent=1)
    if finished.exists() and finished.read_text() == wanted:
        return interpreter
    print(f"== making the environment of {side}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    plain, bare = SIDES[side]
    install = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        subprocess.run([*install, *plain], check=True)
        if bare:  # they ask for jax, which Fornax answers
            subprocess.run([*install, "--no-deps", *bare], check=True)
    except subprocess.CalledProcessError as error:
        raise Unreachable(f"pip could not install the packages of {side}") from error
    finished.write_text(wanted)
    return interpreter


def git(*arguments: str | Path, folder: Path | None = None) -> str:
    """What git prints."""
    command = ["git", *(["-C", folder] if folder else []), *arguments]
    try:
        done = subprocess.run(
            command, env={**os.environ, **GIT}, capture_output=True, text=True, check=True
        )
    except FileNotFoundError as error:
        raise Unreachable("git is not installed") from error
    except subprocess.CalledProcessError as error:
        raise Unreachable(f"{' '.join(map(str, command))}: {error.stderr.strip()}") from error
    return done.stdout


def fetch_array_api() -> Path:
    """The array API suite with its submodule, and the list of ids that JAX itself skips.

    Both are made aside and put in place when they are whole.
    """
    folder, skips = cache() / "array-api-tests", cache() / "array_api_skips.txt"
    if folder.exists() and skips.exists():
        return folder
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as aside:
        if not folder.exists():
            made = Path(aside) / "suite"
            git("init", "--quiet", made)
            git("fetch", "--quiet", "--depth=1", ARRAY_API, ARRAY_API_COMMIT, folder=made)
            git("checkout", "--quiet", "FETCH_HEAD", folder=made)
            git("submodule", "--quiet", "update", "--init", "--depth=1", folder=made)
            made.rename(folder)
        if not skips.exists():
            address, tag, path = ARRAY_API_SKIPS
            made = Path(aside) / "jax"  # the tree alone, then the one file
            shallow = ("--quiet", "--bare", "--depth=1", "--filter=blob:none", f"--branch={tag}")
            git("-c", "advice.detachedHead=false", "clone", *shallow, address, made)
            text = git("show", f"HEAD:{path}", folder=made)
            (Path(aside) / "skips").write_text(text)
            (Path(aside) / "skips").rename(skips)
    return folder


def location(interpreter: Path, package: str) -> Path:
    """The folder of an installed package, found without importing it."""
    code = (
        f"import importlib.util as u; print(u.find_spec({package!r}).submodule_search_locations[0])"
    )
    found = subprocess.run(
        [interpreter, "-c", code], check=True, capture_output=True, text=True, cwd=cache()
    )
    return Path(found.stdout.strip())


# --- running --------------------------------------------------------------------------------------
def results(suite: Suite, side: str) -> Path:
    return cache() / "results" / f"{suite.name}-{side}.xml"


def run(suite: Suite, side: str, limit: int) -> None:
    """Run a suite on a side; its JUnit file and the time it took go to the cache."""
    interpreter = python(side)
    folder = location(interpreter, suite.package) if suite.package else fetch_array_api()
    output = results(suite, side)
    output.parent.mkdir(parents=True, exist_ok=True)
    command = [interpreter, "-m", "pytest"]
    if side == "fornax":
        command = [interpreter, "-m", "fornax", "run", "-m", "pytest"]
    command += ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--tb=short"]
    command += [f"--timeout={limit}", f"--junitxml={output}"]
    command += [argument.format(cache=cache()) for argument in suite.arguments]
    if suite.package:
        command.append(str(folder))
    environment = {**os.environ, **suite.environment, "JAX_PLATFORMS": "cpu"}
    if side == "fornax":
        environment["PYTHONPATH"] = str(ROOT / "src")
    print(f"== {suite.title}: {side}", flush=True)
    begin = time.monotonic()
    log = output.with_suffix(".log")
    with log.open("w") as file:
        subprocess.run(
            command, cwd=cache() if suite.package else folder, env=environment,
            stdout=file, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    seconds = time.monotonic() - begin
    output.with_suffix(".json").write_text(json.dumps({"seconds": seconds}))
    print(log.read_text().splitlines()[-1], flush=True)


# --- reading --------------------------------------------------------------------------------------
#: how bad an outcome is; a test with subtests has the worst of theirs
ORDER = ("skipped", "passed", "failed")


def read(path: Path) -> dict[str, tuple[str, str]]:
    """test -> (passed, failed or skipped; first line of its error)."""
    found: dict[str, tuple[str, str]] = {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        # the part of the name that does not depend on where the package is installed
        owner = re.sub(r".*site-packages\.", "", case.get("classname") or "")
        name = re.sub(r".*site-packages\.", "", case.get("name") or "")
        outcome, text = "passed", ""
        for part in case:
            if part.tag in ("failure", "error"):
                outcome = "failed"
                text = f"{part.get('message') or ''}\n{part.text or ''}"
            elif part.tag == "skipped" and outcome == "passed":
                outcome = "skipped"
        key = f"{owner}::{name}"
        if key not in found or ORDER.index(outcome) > ORDER.index(found[key][0]):
            found[key] = (outcome, text)
    return found


def summary(message: str) -> str:
    """The first line of an error, without what differs from case to case."""
    line = next((line for line in message.splitlines() if line.strip()), "")
    line = re.sub(r"0x[0-9a-f]+", "…", line)
    return line[:110]


def reason(test: str, message: str) -> str:
    """Why a test fails, by the table of reasons."""
    for pattern, text in REASONS:
        match = re.search(pattern, f"{test}\n{message}")
        if match:
            names = match.groupdict().get("name")
            return f"{text}: `{names}`" if names else text
    return f"`{summary(message)}`"


# --- writing --------------------------------------------------------------------------------------
def counts(suite: Suite, side: str) -> Counter[str]:
    """How many tests had which outcome, as pytest itself says in its last line."""
    text = results(suite, side).with_suffix(".log").read_text()
    closing = r"\d+ (passed|failed|skipped|error).* in [\d.]+s"
    lines = [line for line in text.splitlines() if re.search(closing, line)]
    found: Counter[str] = Counter()
    for number, outcome in re.findall(r"(\d+) (passed|failed|skipped|error)", lines[-1]):
        found["failed" if outcome == "error" else outcome] += int(number)
    return found


def row(suite: Suite, side: str) -> str:
    """A line of the table of suites."""
    count = counts(suite, side)
    seconds = json.loads(results(suite, side).with_suffix(".json").read_text())["seconds"]
    cells = [suite.title, side, *(str(count[o]) for o in ("passed", "failed", "skipped"))]
    return f"| {' | '.join(cells)} | {seconds:.0f} s |"


def differences(ours: dict, theirs: dict) -> Iterable[str]:
    """Lines on the tests that pass with JAX and not with Fornax, by reason."""
    lost = {k: ours.get(k, ("missing", "not collected")) for k, v in theirs.items()
            if v[0] == "passed" and ours.get(k, ("missing", ""))[0] != "passed"}  # fmt: skip
    passing = sum(v[0] == "passed" for v in theirs.values())
    if not passing:
        return
    kept = passing - len(lost)
    yield f"Of {passing} tests that pass with JAX, {kept} pass ({100 * kept / passing:.1f} %)."
    if not lost:
        return
    classes: dict[str, list[str]] = {}
    for name, (outcome, message) in lost.items():
        key = reason(name, message) if outcome == "failed" else f"{outcome} here"
        classes.setdefault(key, []).append(name)
    yield ""
    yield "| tests | reason | for example |"
    yield "|---|---|---|"
    for text, names in sorted(classes.items(), key=lambda item: -len(item[1])):
        example = names[0].split("::")[-1][:60]
        yield f"| {len(names)} | {text.replace('|', '/')} | `{example}` |"


def report() -> str:
    """The text of docs/conformance.md from the results in the cache."""
    lines = [
        "# Conformance",
        "",
        "Test suites of other projects, run unmodified on Fornax (`fornax run -m pytest …`, in an "
        f"environment without jax) and on JAX {JAX} on the same machine, one process each. Times "
        "are of single runs on a machine that does other work as well. Written by "
        "`make conformance`, which fetches the suites into a folder outside the repository.",
        "",
        "| suite | on | passed | failed | skipped | time |",
        "|---|---|---|---|---|---|",
    ]
    sections: list[str] = []
    for suite in SUITES.values():
        present = {side for side in SIDES if results(suite, side).exists()}
        cases = {}
        for side in SIDES:
            if side in present:
                lines.append(row(suite, side))
                cases[side] = read(results(suite, side))
        if len(cases) == 2:
            sections += ["", f"## {suite.title}", "", *differences(cases["fornax"], cases["jax"])]
    return "\n".join([*lines, *sections]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", action="append", choices=SUITES, help="all by default")
    parser.add_argument("--side", action="append", choices=SIDES, help="both by default")
    parser.add_argument("--limit", type=int, default=300, help="seconds for one test")
    parser.add_argument("--report", action="store_true", help="only write the report anew")
    options = parser.parse_args()
    missing = {}
    if not options.report:
        for name in options.suite or SUITES:
            try:
                for side in options.side or SIDES:
                    run(SUITES[name], side, options.limit)
            except Unreachable as error:
                missing[name] = error
    REPORT.write_text(report())
    print(f"wrote {REPORT.relative_to(ROOT)}")
    for name, error in missing.items():
        print(f"not run: {name}: {error}", file=sys.stderr)
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
