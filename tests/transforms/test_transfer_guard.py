"""`transfer_guard`: functions refuse data of the host, or say what they were called with."""

from __future__ import annotations

import contextlib
import logging

import numpy as np
import pytest

import fornax as fx
from fornax import lax, random, settings
from fornax import numpy as fnp
from fornax.errors import JaxRuntimeError

HOST, X = np.ones(3, np.float32), fnp.ones(3)
ADDED = fx.jit(lambda x: x + 1)
COMPILED = ADDED.lower(HOST).compile()
KEY = random.key(0)

TAKE_HOST_DATA = {
    "eager": lambda: fnp.sin(HOST),
    "number": lambda: fnp.sin(1.0),
    "operator": lambda: X + 1,
    "float power": lambda: X**2.0,
    "array operand": lambda: X + HOST,
    "array on the left": lambda: HOST + X,
    "numpy number": lambda: X * np.float32(2),
    "comparison": lambda: X > 0,
    "jit": lambda: ADDED(HOST),
    "number in jit": lambda: ADDED(1.0),
    "compiled": lambda: COMPILED(HOST),
    "asarray": lambda: fnp.asarray(HOST),
    "list": lambda: fnp.array([1.0, 2.0]),
    "full": lambda: fnp.full(3, 2.0),
    "lax": lambda: lax.add(HOST, HOST),
    "in a list": lambda: fnp.concatenate([X, HOST]),
    "index": lambda: X[np.arange(2)],
    "update": lambda: X.at[0].set(1.0),
    "grad": lambda: fx.grad(lambda x: (x * x).sum())(HOST),
    "inside grad": lambda: fx.grad(lambda x: (x * HOST).sum())(X),
    "vmap": lambda: fx.vmap(lambda x: x * x)(HOST),
    "seed": lambda: random.key(3),
    "loop": lambda: lax.fori_loop(0, 3, lambda i, x: x, X),
}
ALLOWED = {
    "arrays": lambda: fnp.sin(X) + X,
    "own constants": lambda: (fnp.mean(X), fnp.allclose(X, X), fx.nn.relu(X)),
    "integer power": lambda: X**2,
    "jit": lambda: ADDED(X),
    "constants of programs": lambda: fx.jit(lambda x: x + HOST)(X),
    "random": lambda: (random.normal(KEY, (3,)), random.split(KEY)),
    "device_put": lambda: fx.device_put(HOST),
    "to the host": lambda: (np.asarray(X), float(fnp.sum(X)), X.tolist(), fx.device_get(X)),
    "shapes": lambda: (fnp.arange(5), X.reshape(3, 1), fnp.sum(X, axis=0)),
    "types": lambda: (fx.eval_shape(ADDED, HOST), fx.make_jaxpr(ADDED)(HOST)),
}


@pytest.mark.parametrize("name", TAKE_HOST_DATA)
def test_refused(name):
    with fx.transfer_guard("disallow"), pytest.raises(JaxRuntimeError, match="host-to-device"):
        TAKE_HOST_DATA[name]()
    TAKE_HOST_DATA[name]()


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed(name):
    for _ in range(3):
        with fx.transfer_guard_host_to_device("disallow"):
            ALLOWED[name]()


def test_explicit_transfers():
    for data in (HOST, 1.0, {"a": HOST}):
        with fx.transfer_guard("disallow_explicit"), pytest.raises(JaxRuntimeError):
            fx.device_put(data)
    with fx.transfer_guard("disallow_explicit"):
        assert fx.device_put(X) is X


@pytest.mark.parametrize("level", ["log", "log_explicit"])
def test_log(level, caplog):
    with caplog.at_level(logging.WARNING, "fornax"), fx.transfer_guard(level):
        ADDED(X)
        assert not caplog.records
        ADDED(HOST)
        assert "host-to-device transfer: aval=ShapedArray(f32[3])" in caplog.text
        caplog.clear()
        fx.device_put(HOST)
    assert bool(caplog.records) == (level == "log_explicit")


def test_one_guard_sets_all():
    def levels():
        now = settings.current()
        return now.transfer_guard, now.transfer_guard_host_to_device

    def refuses():
        with contextlib.suppress(JaxRuntimeError):
            fnp.asarray(HOST)
            return False
        return True

    with fx.transfer_guard("disallow"):
        assert levels() == ("disallow", "disallow") and refuses()
        with fx.transfer_guard_host_to_device("allow"):
            assert levels() == ("disallow", "allow") and not refuses()
    with fx.transfer_guard_host_to_device("allow"):
        with fx.transfer_guard("disallow"):
            assert refuses()
        assert levels() == (None, "allow") and not refuses()
    for other in (fx.transfer_guard_device_to_host, fx.transfer_guard_device_to_device):
        with other("disallow"):
            assert not refuses() and np.asarray(X).sum() == 3
    fx.config.update("jax_transfer_guard", "disallow")
    try:
        assert refuses()
    finally:
        fx.config.update("jax_transfer_guard", None)
    assert levels() == (None, None) and not refuses()
