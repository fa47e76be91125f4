"""JitFunction: what makes a call hit, how arguments become operands, what is kept alive."""

from __future__ import annotations

import enum
import functools
import gc
import threading
import weakref

import ml_dtypes
import numpy as np
import pytest
from machine_code import address

from fornax import _native as native


class Settings:
    def __init__(self, x64=False, eager="tiered"):
        self.x64 = x64
        self.eager = eager


@pytest.fixture(autouse=True)
def settings():
    previous = native.swap_settings(Settings())
    yield
    native.swap_settings(previous)


def identity_entry(leaves, structure, keep=None):
    """An entry whose program returns its inputs, which must be arrays of the leaves' types."""
    inputs = [(None, leaf.dtype, leaf.shape, leaf.weak_type) for leaf in leaves]
    outputs = [("input", i, leaf.weak_type) for i, leaf in enumerate(leaves)]
    program = native.Program("identity", 0, inputs, [], 0, [], outputs, [], [])
    program.owner = keep
    return native.Entry(program, tuple(range(len(leaves))), (), structure, (False,) * len(leaves))


def description_array(description):
    kind, dtype, shape, weak = description
    return native.empty(shape, dtype, weak)


def identity(static_argnums=(), static_argnames=()):
    """A jitted (args, kwargs) -> (args, kwargs), and the list of keys it missed."""
    missed = []

    def miss(self, args, kwargs, key):
        missed.append(key)
        if key is None:
            return "uncached", None
        leaves, structure, _, _ = self.key_description(args, kwargs)
        return "missed", identity_entry([description_array(leaf) for leaf in leaves], structure)

    return native.JitFunction(miss, static_argnums, static_argnames), missed


def scalar(value, dtype=np.float32, weak=False):
    return native.from_numpy(np.array(value, dtype), weak)


def read(tree):
    if isinstance(tree, native.Array):
        return tree.numpy_view().tolist()
    if isinstance(tree, dict):
        return {key: read(value) for key, value in tree.items()}
    return type(tree)(read(item) for item in tree)


def test_second_call_hits():
    call, missed = identity()
    x = scalar(2.0)
    assert call(x) == "missed"
    (args, kwargs) = call(x)
    assert args[0] is x and kwargs == {}
    assert read(call(scalar(3.0))) == ((3.0,), {})
    assert len(missed) == 1 and call.cache_size() == 1


@pytest.mark.parametrize(
    "leaf, dtype, wide, weak",
    [
        (True, "bool", "bool", False),
        (7, "int32", "int64", True),
        (1.5, "float32", "float64", True),
        (1 + 2j, "complex64", "complex128", True),
        (np.float64(1.5), "float32", "float64", False),
        (np.float32(1.5), "float32", "float32", False),
        (np.int64(-3), "int32", "int64", False),
        (np.uint8(200), "uint8", "uint8", False),
        (np.bool_(True), "bool", "bool", False),
        (np.complex128(1j), "complex64", "complex128", False),
        (np.float16(0.5), "float16", "float16", False),
        (ml_dtypes.bfloat16(0.5), ml_dtypes.bfloat16, ml_dtypes.bfloat16, False),
        (np.arange(3), "int32", "int64", False),
        (np.arange(6.0).reshape(2, 3).T, "float32", "float64", False),
        (np.arange(6, dtype=">i2")[::2], "int16", "int16", False),
        (np.zeros((0, 3), np.uint64), "uint32", "uint64", False),
        (np.ones(2, ml_dtypes.bfloat16), ml_dtypes.bfloat16, ml_dtypes.bfloat16, False),
    ],
    ids=lambda value: type(value).__name__ + str(value)[:12],
)
@pytest.mark.parametrize("x64", [False, True])
def test_leaves_become_arrays(leaf, dtype, wide, weak, x64):
    native.swap_settings(Settings(x64))
    call, missed = identity()
    call(leaf)
    (result,), _ = call(leaf)
    assert result.dtype == np.dtype(wide if x64 else dtype) and result.weak_type is weak
    expected = np.asarray(leaf)
    np.testing.assert_array_equal(
        np.asarray(result).astype(expected.dtype.newbyteorder("=")), expected
    )
    assert len(missed) == 1


class Color(enum.IntEnum):
    red = 1


@pytest.mark.parametrize(
    "leaf",
    [2**40, -(2**31) - 1, 2**70, "text", object(), Color.red, np.array(["a"]), np.array([None]),
     np.datetime64("2020-01-01"), np.ma.array([1])],
    ids=lambda leaf: type(leaf).__name__,
)  # fmt: skip
def test_other_leaves_are_not_cached(leaf):
    call, missed = identity()
    assert call([leaf]) == "uncached" and call(leaf) == "uncached"
    assert missed == [None, None] and call.cache_size() == 0


def test_key_distinguishes_types_structures_settings():
    call, missed = identity()
    x = scalar(1.0)
    calls = [
        ((x,), {}),
        ((scalar(1, np.int32),), {}),
        ((scalar(1.0, weak=True),), {}),
        ((native.empty((1,), np.float32),), {}),
        ((native.empty((1, 1), np.float32),), {}),
        (([x],), {}),
        (((x,),), {}),
        (({"a": x},), {}),
        (({"b": x},), {}),
        ((x, x), {}),
        (((x, x),), {}),
        (([x, [x]],), {}),
        (([[x], x],), {}),
        ((), {"a": x}),
        ((), {"b": x}),
        ((None, x), {}),
        ((x, None), {}),
        ((), {}),
    ]
    for args, kwargs in calls:
        assert call(*args, **kwargs) == "missed"
    for args, kwargs in reversed(calls):
        if None not in args:
            assert read(call(*args, **kwargs)) == read((args, kwargs))
    assert len(missed) == len(calls) == call.cache_size() == len(set(missed))
    native.swap_settings(Settings())
    assert call(x) == "missed"


def test_scalars_of_one_type_share_a_program():
    call, missed = identity()
    call(np.float32(1))
    assert read(call(np.array(2, np.float32))) == ((2.0,), {})
    assert read(call(scalar(3.0))) == ((3.0,), {})
    assert len(missed) == 1


def test_keyword_order_does_not_matter():
    call, missed = identity()
    call(b=scalar(1.0), a=scalar(2.0))
    assert read(call(a=scalar(3.0), b=scalar(4.0))[1]) == {"a": 3.0, "b": 4.0}
    name = "".join(["a", "bc"])  # not interned by the compiler
    call(**{name: scalar(1.0)})
    call(abc=scalar(1.0))
    assert len(missed) == 2


def test_static_arguments():
    call, missed = identity(static_argnums=(1, -1), static_argnames=("mode",))
    x = scalar(1.0)
    call(x, "first", x, 3)
    assert read(call(x, "first", x, 3)) == ((1.0, 1.0), {})
    assert call(x, "second", x, 3) == "missed"
    assert call(x, "first", x, 4) == "missed"
    assert call(x, "first", x, 3.0) == "missed"  # equal, but of another type
    assert call(x, "first", x, 3, mode=(1, "a")) == "missed"
    assert read(call(x, "first", x, 3, mode=(1, "a"))) == ((1.0, 1.0), {})
    assert call(x, [1], x, 3) == "uncached"  # not hashable
    assert missed.count(None) == 1


def test_static_equality_may_change_the_cache():
    class Meddler:
        def __init__(self, call):
            self.call = call

        def __hash__(self):
            return 1

        def __eq__(self, other):
            self.call.clear_cache()
            return True

    call, missed = identity(static_argnums=(0,))
    call(Meddler(call))
    call(Meddler(call))
    assert len(missed) == 2

    class Broken(Meddler):
        __hash__ = Meddler.__hash__

        def __eq__(self, other):
            raise RuntimeError("no comparison")

    call(Broken(call))
    with pytest.raises(ValueError, match="static arguments should be .*no comparison"):
        call(Broken(call))


def test_while_tracing_everything_goes_to_python():
    call, missed = identity()
    call(scalar(1.0))
    native.swap_trace("some trace")
    try:
        assert call(scalar(1.0)) == "uncached"
    finally:
        assert native.swap_trace(None) == "some trace"
    assert missed[1:] == [None] and native.current_trace() is None


def test_deleted_argument():
    call, _ = identity()
    x = scalar(1.0)
    x.delete()
    with pytest.raises(RuntimeError, match="deleted"):
        call(x)
    with pytest.raises(RuntimeError, match="deleted"):
        call({"a": x})


def test_kept_extra_donated():
    f32 = np.dtype(np.float32)
    program = native.Program(
        "add", 3, [(0, f32, (), False), (1, f32, (), False)], [], 0, [],
        [("donate", 0, 2, f32, (), False)], [("kernel", address("add"), (0, 1, 2), 1, 1)], [],
    )  # fmt: skip
    extra = scalar(10.0)
    structure = native.pytree.structure({"sum": 0})
    entry = native.Entry(program, (1,), (extra,), structure, (True, False))
    call = native.JitFunction(lambda self, args, kwargs, key: (None, entry))
    ignored, x = scalar(1.0, np.int32), native.from_numpy(np.array(2, np.float32), copy=True)
    call(ignored, x)
    where = x.unsafe_buffer_pointer()
    result = call(ignored, x)
    assert read(result) == {"sum": 12.0} and result["sum"].unsafe_buffer_pointer() == where
    assert x.is_deleted() and not ignored.is_deleted() and not extra.is_deleted()
    with pytest.raises(ValueError, match="2 inputs, but 1 leaves"):
        native.Entry(program, (1,), (), structure, (True,))
    with pytest.raises(TypeError, match="PyTreeDef"):
        native.Entry(program, (1,), (extra,), None, (True, False))


class Wrapped:
    def __init__(self, array, tag):
        self.array = array
        self.tag = tag


native.register_wrapped_leaf(Wrapped, "array", "tag")


def test_wrapped_leaves():
    missed = []

    def miss(self, args, kwargs, key):
        missed.append(key)
        x = args[0]
        if key is None:
            return "uncached", None
        f32 = np.dtype(np.float32)
        program = native.Program(
            "wrap", 0, [(None, f32, (), False)], [], 0, [], [("input", 0, False)] * 2, [], []
        )
        wraps = (None, lambda array: Wrapped(array, x.tag))
        structure = native.pytree.structure((0, 0))
        return None, native.Entry(program, (0,), (), structure, (False,), wraps)

    call = native.JitFunction(miss)
    x, first, second = scalar(3.0), object(), object()
    call(Wrapped(x, first))
    plain, wrapped = call(Wrapped(x, first))
    assert plain is x and type(wrapped) is Wrapped and wrapped.tag is first
    call(Wrapped(x, second))
    assert call(Wrapped(x, second))[1].tag is second
    assert call(Wrapped(3, first)) == "uncached"
    assert len(missed) == 3
    with pytest.raises(AttributeError):
        call(Wrapped.__new__(Wrapped))
    assert call.key_description((Wrapped(x, first),), {})[0] == [("Wrapped", first, (), False)]
    program = native.Program("none", 0, [], [], 0, [], [], [], [])
    with pytest.raises(ValueError, match="0 outputs, but wraps has 1"):
        native.Entry(program, (), (), native.pytree.structure(()), (), (None,))


def test_wrong_miss_results():
    for result in (3, (1, 2), (1,), (1, 2, 3)):
        call = native.JitFunction(lambda *_, result=result: result)
        with pytest.raises(TypeError, match="miss function"):
            call()
    call = native.JitFunction(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call(1)


def test_looks_like_a_function():
    def original(x):
        """Documentation."""

    call = functools.wraps(original)(identity()[0])
    assert call.__name__ == "original" and call.__doc__ == "Documentation."
    assert call.__wrapped__ is original and "original" in repr(call)
    assert weakref.ref(call)() is call

    class Model:
        method, missed = identity()

    # The instance arrives as the first argument, and it is a leaf that cannot be keyed.
    assert Model().method(1) == "uncached" and Model.method is Model.__dict__["method"]


def test_clear_and_eviction():
    call, missed = identity(static_argnums=(0,))
    for number in range(1028):
        call(number)
    assert call.cache_size() == 1024
    call(0)
    assert len(missed) == 1029
    call.clear_cache()
    assert call.cache_size() == 0 and call(0) == "missed"


def test_cycles_are_collected():
    class Owner:
        pass

    def tie():
        """call -> cache -> entry -> program -> owner -> call, and the miss closure."""
        owner = Owner()

        def miss(self, args, kwargs, key):
            return call, identity_entry([], native.pytree.structure(()), owner)

        call = native.JitFunction(miss, (0,))
        owner.call = call
        call(owner)
        return weakref.ref(owner)

    watch = tie()
    gc.collect()
    assert watch() is None


def test_arguments_are_released():
    call, _ = identity()
    before = native.memory_stats()["arrays_live"]
    for _ in range(3):
        call({"a": scalar(1.0), "b": [np.arange(3), 2, 2.5]}, c=scalar(2.0))
    assert native.memory_stats()["arrays_live"] == before


def test_many_leaves():
    call, _ = identity()
    tree = {f"key{i}": scalar(i) for i in range(100)}
    call(tree)
    ((result,), _) = call(tree)
    assert read(result) == {f"key{i}": float(i) for i in range(100)}


def test_threads_share_a_cache():
    call, missed = identity()
    wrong = []

    def work(rank):
        for number in range(300):
            result = call([scalar(number)] * (number % 7))
            if result != "missed" and read(result)[0][0] != [number] * (number % 7):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(set(missed)) == 7


def test_key_description():
    call, _ = identity(static_argnums=(1,), static_argnames=("mode",))
    leaves, structure, statics, current = call.key_description(
        ({"b": np.arange(3), "a": 1}, "fixed"), {"z": scalar(1.0), "mode": 3, "y": "?"}
    )
    assert leaves == [
        ("int", np.dtype("int32"), (), True),
        ("numpy.ndarray", np.dtype("int32"), (3,), False),
        ("str", None, None, None),
        ("Array", np.dtype("float32"), (), False),
    ]
    assert structure == native.pytree.structure((({"a": 0, "b": 0},), {"y": 0, "z": 0}))
    assert statics == ((1, "fixed"), ("mode", 3)) and current is native.current_settings()
