"""Compositions of transformations give what JAX gives (values recorded in recorded.json)."""

import json
import pathlib

import numpy as np
import programs_more  # noqa: F401  (adds programs)
import pytest
from programs import PROGRAMS

import fornax

RECORDED = json.loads((pathlib.Path(__file__).parent / "recorded.json").read_text())


def decoded(entry):
    dtype = np.dtype(entry["dtype"])
    if dtype.kind == "c":
        flat = np.asarray(entry["values"], dtype.type(0).real.dtype).view(dtype)
    else:
        flat = np.asarray(entry["values"], dtype)
    return flat.reshape(entry["shape"])


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    leaves = fornax.tree_util.tree_leaves(PROGRAMS[name](fornax))
    wanted = [decoded(entry) for entry in RECORDED[name]]
    assert len(leaves) == len(wanted)
    tolerance = 2e-2 if "bfloat16" in name else 2e-5
    for position, (found, expected) in enumerate(zip(leaves, wanted, strict=True)):
        found = np.asarray(found)
        assert found.shape == expected.shape, f"leaf {position}"
        assert found.dtype == expected.dtype, f"leaf {position}"
        np.testing.assert_allclose(
            found, expected, rtol=tolerance, atol=tolerance, err_msg=f"leaf {position}"
        )
