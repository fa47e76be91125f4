"""docs/parity.md says what is there, and every difference of signatures is meant."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy
import pytest

ROOT = Path(__file__).parents[2]


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


parity, signatures = tool("parity"), tool("signatures")


def test_the_page_is_true():
    assert parity.page() == parity.PAGE.read_text(), "run tools/parity.py"


def test_every_difference_of_signatures_has_a_reason():
    recorded = json.loads(parity.RECORDED.read_text())["modules"]
    unexplained = [
        f"{module}.{name}: {difference}"
        for module, names in recorded.items()
        for name, found in parity.signature_differences(module, names).items()
        for difference in found
        if not parity.accepted(module, name, difference)[0]
    ]
    assert not unexplained, "\n".join(unexplained)


def test_no_reason_is_left_over():
    recorded = json.loads(parity.RECORDED.read_text())["modules"]
    different = [
        (f"{module}.{name}".lstrip("."), difference)
        for module, names in recorded.items()
        for name, found in parity.signature_differences(module, names).items()
        for difference in found
    ]
    for names, how, _ in parity.DIFFERENCES:
        assert any(
            parity.re.fullmatch(names, name) and parity.re.search(how, difference)
            for name, difference in different
        ), (names, how)


class _NotGiven:
    pass


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        (lambda x, y=1: 0, lambda x, y=1: 0, []),
        (lambda x, /: 0, lambda y, /: 0, []),
        (lambda x: 0, lambda y: 0, ["needs `y`", "lacks `x`"]),
        (lambda x: 0, lambda x, *, y=2: 0, ["adds `y`"]),
        (lambda x, *, y: 0, lambda x, y: 0, ["`y` is a name, too, in JAX keyword-only"]),
        (lambda x=1: 0, lambda x=1.0: 0, ["`x` is `1.0` by default, in JAX `1` by default"]),
        (lambda x: 0, lambda x=None: 0, ["`x` is `None` by default, in JAX needed"]),
        (lambda x, y: 0, lambda y, x: 0, ["order `y, x`, in JAX `x, y`"]),
        (lambda *args: 0, lambda: 0, ["lacks `*args`"]),
        (lambda x=object(): 0, lambda x=_NotGiven(): 0, []),  # noqa: B008
        (lambda x=numpy.float32: 0, lambda x=numpy.dtype("float32"): 0, []),  # noqa: B008
        (lambda x=max: 0, lambda x=min: 0, [
            "`x` is `function min` by default, in JAX `function max` by default"]),
    ],
)  # fmt: skip
def test_what_counts_as_a_difference(theirs, ours, expected):
    both = signatures.parameters(theirs), signatures.parameters(ours)
    assert signatures.differences(*both) == expected
