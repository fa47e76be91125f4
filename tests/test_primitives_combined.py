"""Every primitive under combinations: targets, memory, transformations around each other."""

import pytest

import laws
import laws_combined
from cases import all_rows, conversions, elementwise, reductions, structural  # noqa: F401  (fill the tables)


@pytest.fixture(autouse=True)
def wide_types():
    with laws.wide_types():
        yield


every = pytest.mark.parametrize("row", all_rows, ids=str)
smooth = pytest.mark.parametrize("row", [r for r in all_rows if r.smooth], ids=str)
mapped = pytest.mark.parametrize("row", [r for r in all_rows if r.mapped], ids=str)


@every
def test_targets_agree(row):
    laws_combined.targets_agree(row)


@pytest.mark.sweep
@every
def test_targets_agree_in_everything(row):
    laws_combined.targets_agree(row, every=True)


@every
def test_memory_does_not_matter(row):
    laws_combined.memory_does_not_matter(row)


@every
def test_eager_equals_reference(row):
    laws_combined.eager_equals_reference(row)


@mapped
def test_nested_maps(row):
    laws_combined.nested_maps(row)


@smooth
def test_jit_anywhere(row):
    laws_combined.jit_anywhere(row)


@smooth
def test_second_derivatives_agree(row):
    laws_combined.second_derivatives_agree(row)
