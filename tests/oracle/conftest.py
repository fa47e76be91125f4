"""One process that runs jax, for all tests of this folder."""

from __future__ import annotations

import pytest

from oracle.process import Worker


@pytest.fixture(scope="session")
def jax_worker(request):
    """Answers the questions of all tests that were selected."""
    listed = []
    for item in request.session.items:
        ask = getattr(getattr(item, "function", None), "questions", None)
        if ask is not None:
            listed.append((item.nodeid, list(ask(item.callspec.params["entry"]))))
    worker = Worker(listed)
    yield worker
    worker.close()


@pytest.fixture
def asked(request, jax_worker):
    """The calls of a test, and a function that waits for what jax gives for them."""
    key = request.node.nodeid
    return jax_worker.calls[key], lambda: jax_worker.answer(key)
