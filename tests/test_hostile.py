"""Hostile arguments (`make hostile` makes as many calls as you like): those that were answered
wrongly once, and a few new ones."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

import fornax
from tests import hostile, hostile_calls

#: a call, and the class of the error it has to raise, or None for a result
FOUND = (
    # dtypes that programs do not have, in other byte orders, with masks
    ('fx.numpy.add(array("int32", (3,), "swapped"), array("uint8", (3,), "plain"))', None),
    ('fx.lax.sign(array("complex128", (1,), "swapped"))', None),
    ('fx.numpy.add(np.datetime64("2020-01-01"), 1)', "TypeError"),
    ('fx.numpy.arcsinh(np.datetime64("2020-01-01"))', "TypeError"),
    ("fx.numpy.median(np.longdouble(1))", "TypeError"),
    ("fx.numpy.promote_types(np.timedelta64(1, 's'), True)", "TypeError"),
    ("fx.numpy.promote_types('M8[s]', 'f4')", "ValueError"),
    ("fx.numpy.zeros(2, object)", "TypeError"),
    ("fx.numpy.zeros(2, np.ones(2))", "TypeError"),
    ("fx.jit(lambda t: fx.lax.convert_element_type(t, np.void))(np.ones(3))", "TypeError"),
    ('fx.numpy.sum(array("float32", (3,), "masked"))', "ValueError"),
    # arrays that no memory holds
    ("fx.numpy.zeros((1 << 40, 1 << 40))", "JaxRuntimeError"),
    ("fx.numpy.empty(1 << 40)", "MemoryError"),
    ("fx.numpy.eye(1 << 22)", "JaxRuntimeError"),
    ("fx.numpy.arange(1 << 40)", "JaxRuntimeError"),
    ("fx.numpy.pad(np.ones(3), 1 << 40)", "JaxRuntimeError"),
    ("fx.jit(lambda: fx.numpy.zeros(1 << 40))()", "MemoryError"),
    ("fx.eval_shape(lambda: fx.random.normal(fx.random.key(0), (1 << 40,)))", None),
    # axes and sizes
    ("fx.numpy.swapaxes(np.ones(3), 0, None)", "TypeError"),
    ("fx.lax.cumprod(np.ones(3), axis=0.5)", "TypeError"),
    ("fx.lax.reduce_min(np.ones((3, 3)), (0, None))", "TypeError"),
    ("fx.lax.gather(np.ones(3), (0,), None, (2, 3))", "TypeError"),
    ("fx.lax.dot_general(np.ones(3), np.ones(3), [(0, 0, 0)])", "ValueError"),
    ("fx.numpy.hanning(2.5)", None),
    ("fx.random.uniform(fx.random.key(0), 3)", None),
    ("fx.numpy.rot90(np.ones((2, 2)), axes=(0,))", "ValueError"),
    ("fx.numpy.tensordot(np.ones(3), np.ones(3), axes=())", "TypeError"),
    ("fx.numpy.ravel_multi_index((1, 2), (3,))", "ValueError"),
    ("fx.numpy.tril_indices_from(np.ones(3))", "ValueError"),
    ("fx.nn.glu(1.0)", "ValueError"),
    ("fx.nn.softmax(np.ones(3), axis=np.array(0))", None),
    ("fx.lax.pmax(1.0, ())", None),
    ("fx.numpy.ones(np.array(3))", None),
    ("fx.numpy.choose(np.zeros(0, int), np.zeros(0))", "ValueError"),
    ("fx.numpy.unwrap(1)", "ValueError"),
    ("fx.numpy.linalg.cross(1.0, np.ones(3))", "ValueError"),
    ("fx.numpy.diag_indices_from(np.ones(3))", "ValueError"),
    ("fx.lax.index_take(np.ones(3), np.ones(1), ())", "TypeError"),
    ("fx.lax.while_loop(lambda x: None, len, {'a': np.ones(3)})", "TypeError"),
    ("fx.numpy.unique_values(fx.random.key(0))", "TypeError"),
    ("fx.numpy.fft.fftshift(np.uint8(1), axes=1)", "ValueError"),
    ('fx.numpy.frexp(array("float8_e4m3fn", (2,)))', "TypeError"),
    ("fx.lax.linalg.triangular_solve(np.ones(0), 0.5)", "TypeError"),
    ("fx.empty_ref(None)", "TypeError"),
    ("fx.example_libraries.optimizers.pack_optimizer_state(1.0)", "TypeError"),
    ("fx.numpy.polyder(2.0)", "TypeError"),
    ("fx.numpy.polyint(2)", "TypeError"),
    ("fx.example_libraries.optimizers.unpack_optimizer_state(None)", "TypeError"),
    # settings and scopes
    ("fx.numpy_rank_promotion(np.ones(3))", "ValueError"),
    ("fx.default_matmul_precision([[1, 2], [3]])", "ValueError"),
    ("fx.named_scope(1j)", "TypeError"),
    ("fx.sharding.use_abstract_mesh(lambda x: x)", "ValueError"),
    # values
    ("fx.numpy.sum(np.ones(3), where=np.ones(3))", "ValueError"),
    ("fx.random.categorical(fx.random.key(0), np.ones(3), mode='fill')", "ValueError"),
    ('fx.scipy.special.betaln(array("uint8", (2,), "arrayish"), 1.0)', None),
    ("fx.scipy.linalg.lu_solve(np.ones(3), 1.0)", "ValueError"),
    # places that are none
    ("fx.numpy.zeros(3, device='x')", "ValueError"),
    ("fx.numpy.ones_like(np.ones(3), device=3)", "ValueError"),
    ("fx.numpy.zeros(3, out_sharding=3)", "TypeError"),
    ("fx.device_put(1.0, np.nan)", "ValueError"),
    # arrays where references are needed, and trees
    ("fx.freeze(np.ones(3))", None),
    ("fx.ref.get({'a': 1.0})", "ValueError"),
    ("fx.ref.addupdate(np.ones(3), 0, 1.0)", "ValueError"),
    ("fx.tree.unflatten(None, None)", "TypeError"),
    ("fx.tree.leaves(nested(100_000))", "RecursionError"),
    ("fx.tree.leaves(itself())", "RecursionError"),
)  # fmt: skip


@pytest.fixture(scope="module")
def session():
    with hostile.Session() as session:
        yield session


@pytest.mark.parametrize("text, error", FOUND, ids=[text for text, _ in FOUND])
def test_calls_that_were_answered_wrongly_once(session, text, error):
    ours = session.ours.evaluate(text)
    assert hostile.wrong(ours) is None, ours
    if error is None:
        assert ours[0] == "value", ours
    else:
        assert ours[0] == "error" and error in ours[1], ours


NOTHING_TO_DO = (
    "squeeze(x, ())", "expand_dims(x, ())", "rev(x, ())", "reshape(x, (2, 3))", "broadcast(x, ())",
    "collapse(x, 0, 1)", "broadcast_in_dim(x, (2, 3), (0, 1))", "broadcast_like(x, x)",
)  # fmt: skip


@pytest.mark.parametrize("call", NOTHING_TO_DO)
def test_operations_with_nothing_to_do_give_arrays_of_dtypes_that_there_are(call):
    x = np.ones((2, 3), np.uint64)
    result = eval(f"lax.{call}", {"lax": fornax.lax, "x": x})  # noqa: S307
    assert isinstance(result, fornax.Array) and result.dtype == "uint32"


def test_the_slope_of_the_size_of_large_complex_numbers():
    slope = fornax.grad(lambda x: abs(x))(np.complex64(3e38))
    assert slope == 1


#: a call, and the result that it did not give once
RESULTS = (
    ("numpy.bool_(1j)", True), ("numpy.array(1j, dtype=bool)", True),
    ("numpy.bincount(np.array([0]), minlength=6, length=3).shape", (3,)),
    ("numpy.linalg.norm(np.zeros(0), np.inf)", 0.0),
    ("numpy.linalg.norm(-np.ones(2), np.inf)", 1.0),
)  # fmt: skip


@pytest.mark.parametrize("call, result", RESULTS)
def test_results_that_were_others_once(call, result):
    assert eval(f"fx.{call}", {"fx": fornax, "np": np}) == result  # noqa: S307


@pytest.mark.parametrize("name", ("positive", "real", "trunc", "conj"))
def test_what_changes_nothing_gives_arrays_of_dtypes_that_there_are(session, name):
    ours = session.ours.evaluate(f'fx.numpy.{name}(array("int64", (3,)))')
    assert ours[1][0][1] == "int32"


def test_a_few_calls(session):
    # the same whatever names are added beside them
    for path, text in hostile_calls.calls(7, 1, lambda path: zlib.crc32(path.encode()) % 4 == 0):
        if not hostile_calls.stateful(text):
            session.check(path, text)
    assert session.calls > 200
    assert not session.findings, "\n".join(map(str, session.findings))


def test_a_worker_that_dies_or_hangs_is_replaced(monkeypatch):
    with hostile.Session() as session:
        assert session.ours.evaluate("1")[0] == "value"
        assert session.check("os", "np.ctypeslib.ctypes.string_at(0)").kind == "crash"
        assert session.ours.evaluate("1")[0] == "value"
        with monkeypatch.context() as patch:
            patch.setattr(hostile, "PATIENCE", 1)
            assert session.check("time", "[x for x in iter(int, 1) if x]").kind == "hang"
        assert session.check("sum", "fx.numpy.sum(np.ones(3))") is None
