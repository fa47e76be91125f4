"""Every case gives what JAX gave when it was recorded: values, dtype, weak type, shape.

Where JAX raises, Fornax raises an error of that class. Cases run eagerly and under jit.
"""

import json
import pathlib

import numpy
import pytest
from surface_cases import cases, evaluate, mentioned

import fornax
from fornax.scalars.formats import FORMATS

HERE = pathlib.Path(__file__).parent
RECORDED = {
    p.stem: json.loads(p.read_text()) for p in sorted(HERE.joinpath("recorded").glob("*.json"))
}
CASES = [pytest.param(s, line, id=f"{s}-{line}") for s, line in cases()]
TOLERANCE = {"float16": 5e-3, "bfloat16": 5e-2, "float32": 3e-5, "complex64": 3e-5}
TOLERANCE |= {
    row.name: 2.0 ** -(row.mantissa + 1) * 1.1
    for row in FORMATS.values()
    if row.is_float and row.bits <= 8
}


def compare(line, found, expected):
    leaves = fornax.tree.leaves(found)
    assert len(leaves) == len(expected), f"{len(leaves)} leaves, expected {len(expected)}"
    for x, wanted in zip(leaves, expected, strict=True):
        if isinstance(wanted, str):
            got = x.tolist() if hasattr(x, "tolist") else x
            assert repr(got).replace("fornax", "jax") == wanted
            continue
        dtype, weak, shape, values = wanted
        assert isinstance(x, fornax.Array), f"{line}: {type(x)}"
        assert (x.dtype.name, list(x.shape)) == (dtype, shape)
        assert x.weak_type == weak, f"weak_type is {x.weak_type}"
        got = numpy.asarray(x)
        if x.dtype == bool or fornax.dtypes.issubdtype(x.dtype, numpy.integer):
            assert got.ravel().tolist() == values
            continue
        if got.dtype.kind == "c":
            got = got.ravel().view(numpy.float32)
        got = got.astype(numpy.float64).ravel()
        size = numpy.max(numpy.abs(got[numpy.isfinite(got)]), initial=0)
        tolerance = TOLERANCE[dtype]
        numpy.testing.assert_allclose(got, values, tolerance, tolerance * min(size, 1))


def check(line, run, expected):
    if isinstance(expected, str):
        with pytest.raises(Exception) as caught:
            run()
        names = {c.__name__ for c in type(caught.value).__mro__}
        assert expected in names, f"{type(caught.value)}: {caught.value}"
    else:
        compare(line, run(), expected)


@pytest.mark.parametrize(("subject", "line"), CASES)
def test_eager(subject, line):
    arrays = {name: fornax.numpy.asarray(x) for name, x in mentioned(line).items()}
    check(line, lambda: evaluate(line, fornax, arrays), RECORDED[subject][line]["eager"])


@pytest.mark.parametrize(
    ("subject", "line"), [c for c in CASES if mentioned(c.values[1])]
)  # fmt: skip
def test_jit(subject, line):
    expected = RECORDED[subject][line]
    function = fornax.jit(lambda arrays: evaluate(line, fornax, arrays))
    wanted = expected.get("jit", expected["eager"])
    if not isinstance(wanted, str) and any(isinstance(leaf, str) for leaf in wanted):
        return  # what is no array does not leave jit
    check(line, lambda: function(mentioned(line)), wanted)
