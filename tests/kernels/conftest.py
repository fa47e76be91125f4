"""Every kernel test runs twice: in the interpreter and as machine code."""

import pytest


@pytest.fixture(params=["interpret", "compile"])
def how(request):
    return request.param
