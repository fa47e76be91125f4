"""Composed transformations and their options on Fornax and on an installed jax."""

from __future__ import annotations

import importlib.util

import pytest

from oracle.comparison import compare
from oracle.effect_expressions import EFFECT_EXPRESSIONS
from oracle.expressions import EXPRESSIONS
from oracle.more_expressions import MORE_EXPRESSIONS
from oracle.option_expressions import OPTION_EXPRESSIONS

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed"),
]


SUBJECTS = EXPRESSIONS | MORE_EXPRESSIONS | OPTION_EXPRESSIONS | EFFECT_EXPRESSIONS


def questions(subject):
    """The expressions of a subject, without 64-bit dtypes."""
    return [(text, [], False) for text in SUBJECTS[subject]]


@pytest.mark.parametrize("entry", SUBJECTS)
def test_expressions(asked, entry):
    compare(asked, tolerance=16.0, scale=1.0)


test_expressions.questions = questions
