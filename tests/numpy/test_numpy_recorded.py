"""Every case gives what jax.numpy gave when it was recorded: values, dtype, weak type, shape.

Where JAX raises, Fornax raises an error of that class. Cases run eagerly and under jit.
"""

import json
import pathlib

import numpy
import pytest
from numpy_cases import cases, evaluate, mentioned

import fornax
import fornax.numpy

HERE = pathlib.Path(__file__).parent
RECORDED = json.loads((HERE / "recorded.json").read_text())
LINES = [line for _, line in cases()]
TOLERANCE = {"float16": 5e-3, "bfloat16": 5e-2, "float32": 3e-5, "complex64": 3e-5}


#: values that are not known yet: which of these is raised depends on what is asked of them first
UNKNOWN = {
    "ConcretizationTypeError",
    "NonConcreteBooleanIndexError",
    "TracerArrayConversionError",
    "TracerBoolConversionError",
    "TracerIntegerConversionError",
}


def bases(error):
    names = {c.__name__ for c in type(error).__mro__}
    return names | UNKNOWN if names & UNKNOWN else names


def compare(line, found, expected):
    leaves = fornax.tree.leaves(found)
    assert len(leaves) == len(expected), f"{len(leaves)} leaves, expected {len(expected)}"
    for x, wanted in zip(leaves, expected, strict=True):
        if isinstance(wanted, str):
            # what is no array becomes one when jit returns it
            got = x.tolist() if hasattr(x, "tolist") else x
            assert repr(got) == wanted
            continue
        dtype, weak, shape, values = wanted
        assert isinstance(x, fornax.Array), f"{line}: {type(x)}"
        assert (x.dtype.name, list(x.shape)) == (dtype, shape)
        assert x.weak_type == weak, f"weak_type is {x.weak_type}"
        got = numpy.asarray(x)
        if got.dtype.kind in "biu":
            assert got.ravel().tolist() == values
            continue
        if got.dtype.kind == "c":
            got = got.ravel().view(numpy.float32)
        got = got.astype(numpy.float64).ravel()
        size = numpy.max(numpy.abs(got[numpy.isfinite(got)]), initial=0)
        tolerance = TOLERANCE[dtype]
        numpy.testing.assert_allclose(got, values, tolerance, tolerance * min(size, 1) * 0.1)


def check(line, run, expected):
    if isinstance(expected, str):
        with pytest.raises(Exception) as caught:
            run()
        assert expected in bases(caught.value), f"{type(caught.value)}: {caught.value}"
    else:
        compare(line, run(), expected)


@pytest.mark.parametrize("line", LINES)
def test_eager(line):
    arrays = {name: fornax.numpy.asarray(x) for name, x in mentioned(line).items()}
    check(line, lambda: evaluate(line, fornax.numpy, arrays), RECORDED[line]["eager"])


@pytest.mark.parametrize("line", [k for k in LINES if mentioned(k)])
def test_jit(line):
    function = fornax.jit(lambda arrays: evaluate(line, fornax.numpy, arrays))
    expected = RECORDED[line].get("jit", RECORDED[line]["eager"])
    check(line, lambda: function(mentioned(line)), expected)
