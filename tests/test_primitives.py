"""Every primitive of the case tables obeys the laws."""

import pytest

import laws
from cases import all_rows, conversions, elementwise, reductions, structural  # noqa: F401  (fill the tables)


@pytest.fixture(autouse=True)
def wide_types():
    with laws.wide_types():
        yield


every = pytest.mark.parametrize("row", all_rows, ids=str)
smooth = pytest.mark.parametrize("row", [r for r in all_rows if r.smooth], ids=str)
mapped = pytest.mark.parametrize("row", [r for r in all_rows if r.mapped], ids=str)
special = pytest.mark.parametrize("row", [r for r in all_rows if r.special], ids=str)


@every
def test_reference_matches_type(row):
    laws.reference_matches_type(row)


@every
def test_element_equals_reference(row):
    laws.element_equals_reference(row)


@mapped
def test_vmap_equals_loop(row):
    laws.vmap_equals_loop(row)


@smooth
def test_jvp_equals_differences(row):
    laws.jvp_equals_differences(row)


@smooth
def test_derivatives_keep_types(row):
    laws.derivatives_keep_types(row)


@smooth
def test_second_derivative(row):
    laws.second_derivative(row)


@smooth
def test_transpose_is_adjoint(row):
    laws.transpose_is_adjoint(row)


@smooth
def test_orders_agree(row):
    laws.orders_agree(row)


@special
def test_special_values(row):
    laws.special_values(row)


@every
def test_compiled_equals_reference(row):
    pytest.importorskip("fornax.runtime.compile")
    laws.compiled_equals_reference(row)


@special
def test_special_values_compiled(row):
    pytest.importorskip("fornax.runtime.compile")
    laws.special_values(row, compiled=True)


@special
def test_flushed_values(row):
    pytest.importorskip("fornax.runtime.compile")
    laws.flushed_values(row)


@smooth
def test_compiled_gradient(row):
    pytest.importorskip("fornax.runtime.compile")
    laws.compiled_gradient(row)
