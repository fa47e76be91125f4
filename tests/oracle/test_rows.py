"""Every case row on Fornax, eager and compiled, and on an installed jax: values, dtypes, weak
types, shapes, the classes of errors, and the same of derivatives and batches."""

from __future__ import annotations

import importlib.util

import pytest

from cases import all_rows, conversions, elementwise, reductions, structural  # noqa: F401  (fill the tables)
from oracle import calls
from oracle.comparison import compare

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed"),
]

ROWS = [row for row in all_rows if row.name not in calls.INNER]


def asks(questions, rows=ROWS):
    """Give a test its questions: it runs for every row, and jax answers them ahead of it."""

    def decorate(test):
        test.questions = questions
        return pytest.mark.parametrize("entry", rows, ids=str)(test)

    return decorate


@asks(calls.values)
def test_values(asked, entry):
    compare(asked, compiled=True, tolerance=entry.loose * 8)


@asks(calls.specials, [row for row in ROWS if row.special])
def test_special_values(asked, entry):
    compare(asked, tolerance=entry.loose * 8)


@asks(calls.weak)
def test_weak_types(asked, entry):
    compare(asked, tolerance=entry.loose * 8)


@asks(calls.mistakes)
def test_mistakes(asked, entry):
    compare(asked, tolerance=entry.loose * 8)


WITH_OPERANDS = [row for row in ROWS if row.spans]


@asks(calls.derivatives, WITH_OPERANDS)
def test_derivatives(asked, entry):
    compare(asked, tolerance=entry.loose * 32, scale=1.0)


@asks(calls.batches, [row for row in WITH_OPERANDS if row.mapped])
def test_batches(asked, entry):
    compare(asked, tolerance=entry.loose * 32, scale=1.0)
