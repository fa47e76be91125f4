"""The native array: construction, attributes, sharing, deletion, exchange with NumPy and DLPack."""

from __future__ import annotations

import gc
import weakref

import ml_dtypes
import numpy as np
import pytest

from fornax import _native as native

DTYPES = [
    np.dtype(name)
    for name in (
        "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 "
        "complex64 complex128"
    ).split()
] + [np.dtype(ml_dtypes.bfloat16)]
SHAPES = [(), (0,), (3,), (2, 0, 4), (2, 3), (1, 2, 1, 3)]


def sample(shape, dtype):
    return (np.arange(np.prod(shape)) % 5).reshape(shape).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_from_numpy_keeps_type_and_values(dtype, shape):
    source = sample(shape, dtype)
    for copy in (False, True):
        array = native.from_numpy(source, weak_type=True, copy=copy)
        assert array.shape == shape and array.dtype == dtype and array.weak_type is True
        assert (array.ndim, array.size, array.nbytes, array.itemsize) == (
            source.ndim,
            source.size,
            source.nbytes,
            source.itemsize,
        )
        view = array.numpy_view()
        assert view.dtype == dtype and view.shape == shape and not view.flags.writeable
        np.testing.assert_array_equal(view, source)
        assert array.numpy_view() is view
        if source.size:
            assert (view.ctypes.data == source.ctypes.data) is not copy


@pytest.mark.parametrize(
    "source",
    [
        np.arange(6.0).reshape(2, 3).T,
        np.arange(10)[::2],
        np.arange(3, dtype=">i4"),
        np.frombuffer(bytes(range(9)), np.uint8)[1:].view(np.float64),
        np.broadcast_to(np.float32(2), (3, 2)),
    ],
    ids=["transposed", "strided", "byte-swapped", "unaligned", "broadcast"],
)
def test_from_numpy_copies_other_layouts(source):
    array = native.from_numpy(source)
    assert array.dtype.isnative
    np.testing.assert_array_equal(np.asarray(array), source)
    assert array.unsafe_buffer_pointer() % 64 == 0


def test_from_numpy_scalar_and_errors():
    assert native.from_numpy(np.float32(2)).shape == ()
    with pytest.raises(TypeError, match="only booleans, integers"):
        native.from_numpy(np.array(["a"]))
    with pytest.raises(TypeError, match="ndarray"):
        native.from_numpy([1, 2])
    with pytest.raises(ValueError, match="negative dimension"):
        native.empty((2, -1), np.float32)
    with pytest.raises(ValueError, match="overflow"):
        native.empty((2**40, 2**40), np.float32)
    with pytest.raises(MemoryError):
        native.empty((2**60,), np.int8)
    with pytest.raises(TypeError):
        native.Array()


def test_shared_memory_stays_alive():
    source = np.arange(1000.0)
    array = native.from_numpy(source)
    watch = weakref.ref(source)
    del source
    view = array.numpy_view()
    del array
    gc.collect()
    assert watch() is not None
    np.testing.assert_array_equal(view, np.arange(1000.0))
    del view
    assert watch() is None


def test_own_memory_outlives_the_array():
    view = np.asarray(native.from_numpy(np.arange(1000.0), copy=True))
    np.testing.assert_array_equal(view, np.arange(1000.0))


def test_delete():
    array = native.from_numpy(np.ones((2, 3), np.float32), copy=True)
    view = array.numpy_view()
    assert not array.is_deleted() and array.block_until_ready() is array
    array.delete()
    array.delete()
    assert array.is_deleted() and array.shape == (2, 3)
    np.testing.assert_array_equal(view, np.ones((2, 3)))
    for read in (
        array.numpy_view,
        array.block_until_ready,
        array.unsafe_buffer_pointer,
        lambda: np.asarray(array),
        lambda: native.reshape_view(array, (6,)),
        array.__dlpack__,
    ):
        with pytest.raises(RuntimeError, match=r"Array has been deleted with shape=float32\[2,3\]"):
            read()


def test_views_share_memory():
    array = native.from_numpy(np.arange(6), copy=True)
    weak = native.with_weak_type(array, True)
    shaped = native.reshape_view(weak, (2, 3))
    assert weak.weak_type and shaped.weak_type and shaped.shape == (2, 3)
    assert native.with_weak_type(weak, True) is weak
    assert shaped.unsafe_buffer_pointer() == array.unsafe_buffer_pointer()
    with pytest.raises(ValueError, match="Cannot reshape 6 elements"):
        native.reshape_view(array, (4,))


def test_type_is_open_for_methods_but_not_hashable():
    array = native.from_numpy(np.ones(2))
    with pytest.raises(TypeError, match="unhashable"):
        hash(array)
    assert weakref.ref(array)() is array
    assert array.is_fully_addressable is True and array.committed is False
    array.committed = True
    assert array.committed is True


def test_array_protocol():
    array = native.from_numpy(np.arange(3, dtype=np.int32), copy=True)
    assert array.__array__() is array.numpy_view()
    copy = array.__array__(copy=True)
    copy[0] = 7
    assert array.numpy_view()[0] == 0
    assert array.__array__(np.float64).dtype == np.float64
    assert np.array(array, dtype=np.int64).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="copy"):
        array.__array__(np.float64, copy=False)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_buffer_protocol(dtype, shape):
    source = sample(shape, dtype)
    array = native.from_numpy(source)
    if dtype == ml_dtypes.bfloat16:
        with pytest.raises(BufferError):
            memoryview(array)
        return
    view = memoryview(array)
    assert view.readonly and view.shape == shape and view.itemsize == dtype.itemsize
    array.delete()
    assert view.tobytes() == source.tobytes()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dlpack_round_trip(dtype, shape):
    array = native.from_numpy(sample(shape, dtype), copy=True)
    back = native.from_dlpack(array)
    assert back.dtype == dtype and back.shape == shape
    if array.size:
        assert back.unsafe_buffer_pointer() == array.unsafe_buffer_pointer()
    expected = array.numpy_view().copy()
    del array
    np.testing.assert_array_equal(back.numpy_view(), expected)


def test_dlpack_with_numpy():
    array = native.from_numpy(np.arange(6.0).reshape(2, 3), copy=True)
    view = np.from_dlpack(array)
    assert not view.flags.writeable
    assert np.from_dlpack(array, copy=True).flags.writeable
    strided = native.from_dlpack(np.arange(6.0).reshape(2, 3).T)
    np.testing.assert_array_equal(strided.numpy_view(), np.arange(6.0).reshape(2, 3).T)
    source = np.arange(4.0)
    assert native.from_dlpack(source).unsafe_buffer_pointer() == source.ctypes.data
    assert array.__dlpack_device__() == (1, 0)
    old_style = array.__dlpack__()
    assert native.from_dlpack(old_style).shape == (2, 3)
    with pytest.raises(BufferError, match="already used"):
        native.from_dlpack(old_style)
    with pytest.raises(TypeError, match="__dlpack__"):
        native.from_dlpack(3)
    with pytest.raises(BufferError, match="on the CPU"):
        array.__dlpack__(dl_device=(2, 0))


def test_live_arrays_and_statistics():
    before = native.memory_stats()
    array = native.empty((1000,), np.float32)
    stats = native.memory_stats()
    assert stats["bytes_live"] - before["bytes_live"] == 4000
    assert stats["arrays_live"] - before["arrays_live"] == 1
    assert any(live is array for live in native.live_arrays())
    array.delete()
    assert native.memory_stats()["bytes_live"] == before["bytes_live"]
    assert not any(live is array for live in native.live_arrays())


def test_large_blocks_are_reused_and_trimmed():
    native.trim_cache()
    array = native.empty((3 << 20,), np.uint8)
    address = array.unsafe_buffer_pointer()
    assert address % (2 << 20) == 0
    del array
    assert native.memory_stats()["bytes_cached"] >= 3 << 20
    array = native.empty((3 << 20,), np.uint8)
    assert array.unsafe_buffer_pointer() == address
    del array
    assert native.trim_cache() >= 4 << 20
    native.set_cache_limit(0)
    try:
        cached = native.memory_stats()["bytes_cached"]
        native.empty((3 << 20,), np.uint8)
        assert native.memory_stats()["bytes_cached"] == cached
    finally:
        native.set_cache_limit(1 << 30)
