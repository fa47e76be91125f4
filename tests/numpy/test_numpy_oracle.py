"""The cases of jax.numpy against an installed jax instead of what was recorded from one."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest
from numpy_cases import evaluate, mentioned
from test_numpy_recorded import LINES, check

import fornax
import fornax.numpy

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed"),
]


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """What the installed jax gives, asked in a process of its own."""
    folder = tmp_path_factory.mktemp("oracle")
    recorder = pathlib.Path(__file__).with_name("record.py")
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, recorder, folder], check=True, env=environment)
    return json.loads((folder / "recorded.json").read_text())


@pytest.mark.parametrize("line", LINES)
def test_eager(live, line):
    arrays = {name: fornax.numpy.asarray(x) for name, x in mentioned(line).items()}
    check(line, lambda: evaluate(line, fornax.numpy, arrays), live[line]["eager"])


@pytest.mark.parametrize("line", [k for k in LINES if mentioned(k)])
def test_jit(live, line):
    function = fornax.jit(lambda arrays: evaluate(line, fornax.numpy, arrays))
    expected = live[line].get("jit", live[line]["eager"])
    check(line, lambda: function(mentioned(line)), expected)
