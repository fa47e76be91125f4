"""The cases of jax.numpy against an installed jax instead of what was recorded from one."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest
from numpy_cases import evaluate, mentioned
from test_numpy_promotion import RECORDED
from test_numpy_recorded import LINES, check

import fornax
import fornax.numpy
from oracle.process import environment

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the installed jax, in a process of its own, has left what it gives."""
    folder = tmp_path_factory.mktemp("oracle")
    recorder = pathlib.Path(__file__).with_name("record.py")
    subprocess.run([sys.executable, recorder, folder], check=True, env=environment())
    return folder


@pytest.fixture(scope="module")
def live(folder):
    """What every line gives."""
    return json.loads((folder / "recorded.json").read_text())


def test_promotions(folder):
    """jax promotes dtypes as was recorded, which `test_numpy_promotion.py` compares with."""
    assert json.loads((folder / "promotions.json").read_text()) == RECORDED


@pytest.mark.parametrize("line", LINES)
def test_eager(live, line):
    arrays = {name: fornax.numpy.asarray(x) for name, x in mentioned(line).items()}
    check(line, lambda: evaluate(line, fornax.numpy, arrays), live[line]["eager"])


@pytest.mark.parametrize("line", [k for k in LINES if mentioned(k)])
def test_jit(live, line):
    function = fornax.jit(lambda arrays: evaluate(line, fornax.numpy, arrays))
    expected = live[line].get("jit", live[line]["eager"])
    check(line, lambda: function(mentioned(line)), expected)
