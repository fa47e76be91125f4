"""Every case row on Fornax, eager and compiled, and on an installed jax: values, dtypes, weak
types, shapes, and the classes of errors."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

import fornax
import laws
from cases import all_rows, conversions, elementwise, reductions, structural  # noqa: F401  (fill the tables)
from cases.row import TOLERANCE
from fornax import lax, settings
from oracle import calls
from oracle.worker import outcome

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed"),
]

#: words of errors of jax that nobody raised on purpose: another class is as good
ACCIDENTS = (
    "Cannot lower jaxpr", "safe_map()", "operands could not be broadcast together",
    "for axis 0 with size", "cannot convert float infinity",
)  # fmt: skip
#: (test, primitive): how jax differs, and why Fornax does not follow
DIFFERENCES = {
    ("specials", "sqrt"): "jax takes the upper branch below the cut, at -x - 0j; NumPy does not",
    ("specials", "pow"): "complex zero to a complex power: jax gives NaN where NumPy gives 0",
    **{
        ("weak", name): "jax marks booleans of weak operands as weak, Fornax does not"
        for name in ("eq", "ne", "lt", "le", "gt", "ge", "is_finite")
    },
    **{
        ("weak", name): "of a weak operand jax gives a strong result, Fornax a weak one"
        for name in ("reduce_and", "reduce_or", "reduce_xor", "dynamic_update_slice")
    },
    **{
        ("weak", name): "empty complex arrays: jax has a value, Fornax no neutral element"
        for name in ("reduce_max", "reduce_min")
    },
    ("weak", "random_gamma_grad"): "Python's numbers: jax raises AttributeError",
    **{
        (test, "gather"): "mode ONE_HOT, which jax knows but does not lower"
        for test in ("values", "weak", "mistakes")
    },
    ("weak", "polygamma"): "orders that are no integers: jax gives NaN, Fornax does not",
    ("weak", "atan2"): "complex operands: jax gives an approximation, Fornax refuses them",
    ("mistakes", "atan2"): "complex operands: jax gives an approximation, Fornax refuses them",
    ("mistakes", "lgamma"): "at 1 jax is off by a rounding error, Fornax gives 0",
    ("mistakes", "random_gamma_grad"): "jax raises ValueError where its other functions raise "
    "TypeError",
    ("mistakes", "rng_bit_generator"): "jax asserts, Fornax raises TypeError and ValueError",
    ("mistakes", "select_n"): "jax takes uint8 although it says that it takes booleans and int32",
    ("mistakes", "cumlogsumexp"): "imaginary parts differ by a whole turn",
    ("mistakes", "bitcast_convert_type"): "booleans of a wrong shape: jax looks at the shape first",
}


def differs(test, row):
    """The mark of a row in which the two sides are known to differ."""
    reason = DIFFERENCES.get((test, row.name))
    return [pytest.mark.xfail(reason=reason, strict=False)] if reason else []


def rows_of(test, chosen):
    found = [pytest.param(row, marks=differs(test, row), id=str(row)) for row in chosen]
    return pytest.mark.parametrize("row", found)


ROWS = [row for row in all_rows if row.name not in calls.INNER]
SPECIAL = [row for row in ROWS if row.special]


@pytest.fixture(scope="module")
def jax_process():
    with subprocess.Popen(
        [sys.executable, "-m", "oracle.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        yield process
        process.stdin.close()


def ours(call, compiled):
    text, operands, x64 = call
    with settings.override(enable_x64=x64), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not compiled:
            return outcome(call, {"lax": lax}, fornax.tree.leaves)
        names = ", ".join(f"x{k}" for k in range(len(operands)))
        function = eval(f"lambda {names}: {text}", {"lax": lax, "np": np})
        return outcome(
            ("function(*operands)", [], x64),
            {"function": fornax.jit(function), "operands": operands},
            fornax.tree.leaves,
        )


def agree(found, expected, tolerance):
    """Raises AssertionError where two outcomes differ."""
    if expected[0] == "error":
        assert found[0] == "error", f"jax raises {expected[1][0]}: {expected[2][:200]}"
        accident = any(words in expected[2] for words in ACCIDENTS)
        assert accident or expected[1][0] in found[1], f"{found[1][0]}: {found[2]}\njax: {expected}"
        return
    assert found[0] == "values", f"{found[1][0]}: {found[2]}"
    assert len(found[1]) == len(expected[1])
    for (x, weak), (y, wanted_weak) in zip(found[1], expected[1], strict=True):
        laws.assert_close(x, y, tolerance * TOLERANCE.get(y.dtype.name, 0.0), "jax")
        assert weak == wanted_weak, f"weak_type is {weak}"


def compare(jax_process, row, chosen, compiled=True):
    chosen = list(chosen)
    pickle.dump(chosen, jax_process.stdin)
    jax_process.stdin.flush()
    modes = (False, True) if compiled else (False,)
    found = [[ours(call, mode) for mode in modes] for call in chosen]
    expected = pickle.load(jax_process.stdout)
    wrong = []
    for call, results, wanted in zip(chosen, found, expected, strict=True):
        for mode, result in zip(("eager", "compiled"), results, strict=False):
            try:
                agree(result, wanted, row.loose * 8)
            except AssertionError as error:
                types = ", ".join(f"{x.dtype.name}{list(x.shape)}" for x in call[1])
                wrong.append(f"{mode} {call[0]} of {types}, x64={call[2]}:\n    {error}")
    assert not wrong, f"{len(wrong)} differences\n" + "\n".join(wrong)


@rows_of("values", ROWS)
def test_values(jax_process, row):
    compare(jax_process, row, calls.values(row))


@rows_of("specials", SPECIAL)
def test_special_values(jax_process, row):
    compare(jax_process, row, calls.specials(row), compiled=False)


@rows_of("weak", ROWS)
def test_weak_types(jax_process, row):
    compare(jax_process, row, calls.weak(row), compiled=False)


@rows_of("mistakes", ROWS)
def test_mistakes(jax_process, row):
    compare(jax_process, row, calls.mistakes(row), compiled=False)
