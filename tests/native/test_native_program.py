"""The program executor: kernels, memory, control flow, host calls, donation, threads."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest
from machine_code import address

from fornax import _native as native

F32 = np.dtype(np.float32)
I32 = np.dtype(np.int32)
BOOL = np.dtype(bool)
GRAIN = 1 << 14


def program(
    inputs, outputs, steps, *, constants=(), arena=0, arena_slots=(), callables=(), slots=16,
    threads=0,
):  # fmt: skip
    return native.Program(
        "test", slots, inputs, list(constants), arena, list(arena_slots), outputs, steps,
        list(callables), threads=threads,
    )  # fmt: skip


def array(*values, dtype=F32):
    return native.from_numpy(np.array(values, dtype), copy=True)


def values(outputs):
    return [output.numpy_view().tolist() for output in outputs]


def increment(source, target, size, grain=GRAIN):
    return ("kernel", address("increment"), (source, target), size, grain)


def test_kernels_arena_constants():
    run = program(
        [(0, F32, (3,), False)],
        [("new", 2, F32, (3,), False)],
        [increment(0, 3, 3), ("kernel", address("add"), (3, 1, 2), 3, GRAIN)],
        constants=[(1, array(10, 20, 30))],
        arena=64,
        arena_slots=[(3, 0)],
    )
    assert values(run.run([array(1, 2, 3)])) == [[12, 23, 34]]
    assert values(run.run([np.array([1, 2, 3], np.float32)[::-1]])) == [[14, 23, 32]]
    assert (run.name, run.calls, run.arena_bytes) == ("test", 2, 64)


def test_inputs_are_checked():
    run = program([(0, F32, (3,), False)], [("input", 0, False)], [])
    with pytest.raises(TypeError, match=r"input 0 must be float32\[3\], got int32\[3\]"):
        run.run([array(1, 2, 3, dtype=I32)])
    with pytest.raises(TypeError, match=r"got float32\[2\]"):
        run.run([array(1, 2)])
    with pytest.raises(TypeError, match="takes 1 arrays, got 2"):
        run.run([array(1, 2, 3)] * 2)
    with pytest.raises(TypeError, match="got list"):
        run.run([[1, 2, 3]])
    deleted = array(1, 2, 3)
    deleted.delete()
    with pytest.raises(RuntimeError, match="deleted"):
        run.run([deleted])


def test_forwarded_outputs():
    constant = array(5)
    run = program(
        [(None, F32, (1,), False)],
        [("input", 0, False), ("input", 0, True), ("constant", 0, False), ("constant", 0, True)],
        [],
        constants=[(None, constant)],
    )
    x = array(1)
    same, weak, same_constant, weak_constant = run.run([x])
    assert same is x and same_constant is constant
    assert weak.weak_type and weak.unsafe_buffer_pointer() == x.unsafe_buffer_pointer()
    assert weak_constant.weak_type
    ndarray = np.ones(1, np.float32)
    copied = run.run([ndarray])[0]
    ndarray[0] = 3
    assert values([copied]) == [[1]]


DONATING = dict(
    inputs=[(0, F32, (3,), False), (1, F32, (3,), False)],
    outputs=[("donate", 0, 2, F32, (3,), False)],
    steps=[("kernel", address("add"), (0, 1, 2), 3, GRAIN)],
)


def test_donation_reuses_memory():
    run = program(**DONATING)
    x, y = array(1, 2, 3), array(1, 1, 1)
    where = x.unsafe_buffer_pointer()
    (z,) = run.run([x, y], (True, False))
    assert values([z]) == [[2, 3, 4]] and z.unsafe_buffer_pointer() == where
    assert x.is_deleted() and not y.is_deleted()


def numpy_owned():
    return native.from_numpy(np.array([1, 2, 3], np.float32))


def test_donation_of_memory_numpy_gave_up():
    run = program(**DONATING)
    x = numpy_owned()
    where = x.unsafe_buffer_pointer()
    assert run.run([x, array(1, 1, 1)], (True, False))[0].unsafe_buffer_pointer() == where


@pytest.mark.parametrize("kind", ["not donated", "view", "shared", "user memory", "dlpack", "weak"])
def test_memory_others_see_is_not_reused(kind):
    run = program(**DONATING)
    source = np.array([1, 2, 3], np.float32)
    x = native.from_numpy(source, copy=kind != "user memory")
    holders = {
        "not donated": lambda: None,
        "view": x.numpy_view,
        "shared": lambda: native.reshape_view(x, (1, 3)),
        "user memory": lambda: source,
        "dlpack": x.__dlpack__,
        "weak": lambda: native.with_weak_type(x, True),
    }
    other = holders[kind]()
    where = x.unsafe_buffer_pointer()
    (z,) = run.run([x, array(1, 1, 1)], (kind != "not donated", False))
    assert z.unsafe_buffer_pointer() != where and values([z]) == [[2, 3, 4]]
    assert x.is_deleted() is (kind != "not donated")
    if kind == "view":
        assert other.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "flags, phrase",
    [((True, True), "donate the same buffer twice"), ((True, False), "previously donated"),
     ((False, True), "previously donated")],
)  # fmt: skip
def test_donated_array_passed_twice_is_refused_and_left(flags, phrase):
    x, run = array(1, 2, 3), program(**DONATING)
    with pytest.raises(RuntimeError, match=phrase):
        run.run([x, x], flags)
    assert not x.is_deleted()
    assert values(run.run([x, x])) == [[2, 4, 6]]


def test_loop_with_counters_addresses_and_swap():
    # Ten times a += 1 with double buffering, and the counter stored at each index of the output.
    run = program(
        [(0, I32, (), False)],
        [
            ("new", 1, I32, (), False),
            ("new", 2, I32, (10,), False),
            ("new", 3, np.dtype("i8"), (), False),
        ],
        [
            ("counter", 0, 0),
            ("copy", 4, 0, 4),
            ("kernel", address("increment_int"), (4, 5), 1, 1),  # 2
            ("swap", 4, 5),
            ("address", 6, 2, 0, 4),
            ("store_counter", 6, 0, 4),
            ("advance", 0, 1),
            ("jump_lt", 0, 10, 2),
            ("copy", 1, 4, 4),
            ("store_counter", 3, 0, 8),
        ],
        arena=128,
        arena_slots=[(4, 0), (5, 64)],
    )
    for _ in range(2):
        assert values(run.run([np.array(5, np.int32)])) == [15, list(range(10)), 10]


def test_while_and_jump():
    # while a < b: a += 1
    run = program(
        [(0, I32, (), False), (1, I32, (), False)],
        [("new", 2, I32, (), False)],
        [
            ("copy", 2, 0, 4),
            ("kernel", address("less"), (2, 1, 3), 1, 1),
            ("jump_if_not", 3, 5),
            ("kernel", address("increment_int"), (2, 2), 1, 1),
            ("jump", 1),
        ],
        arena=64,
        arena_slots=[(3, 0)],
    )
    for limit in (0, 7, 100_000):
        assert values(run.run([np.array(3, np.int32), np.array(limit, np.int32)])) == [
            max(3, limit)
        ]


@pytest.mark.parametrize("index, expected", [(-3, 10), (0, 10), (1, 20), (2, 30), (9, 30)])
def test_switch_clamps(index, expected):
    steps = [("switch", 0, (1, 3, 5))]
    for number in range(3):
        steps += [("copy", 1, 2 + number, 4), ("jump", 7)]
    run = program(
        [(0, I32, (), False)],
        [("new", 1, I32, (), False)],
        steps,
        constants=[(2 + i, native.from_numpy(np.array(10 * (i + 1), np.int32))) for i in range(3)],
    )
    assert values(run.run([np.array(index, np.int32)])) == [expected]


def host_program(function):
    return program(
        [(0, F32, (2,), False)],
        [("new", 1, F32, (2,), False), ("new", 2, I32, (), False)],
        [
            increment(0, 3, 2),
            ("host", 0, ((3, F32, (2,)),), ((1, F32, (2,)), (2, I32, ()))),
        ],
        arena=64,
        arena_slots=[(3, 0)],
        callables=[function],
    )


def test_host_call():
    seen = []

    def function(x):
        seen.append(x)
        return x * 2, 7

    run = host_program(function)
    assert values(run.run([array(1, 2)])) == [[4, 6], 7]
    assert values(run.run([array(5, 6)])) == [[12, 14], 7]
    assert not seen[0].flags.writeable and seen[0].tolist() == [2, 3]


@pytest.mark.parametrize(
    "function, error",
    [
        (lambda x: 1 / 0, ZeroDivisionError),
        (lambda x: (x,), ValueError),
        (lambda x: (x[:1], 1), ValueError),
        (lambda x: 3, TypeError),
    ],
)
def test_host_errors_leave_the_program_usable(function, error):
    calls = []
    run = host_program(lambda x: (x, 1) if calls else (calls.append(1), function(x))[1])
    live = native.memory_stats()["arrays_live"]
    x = array(1, 2)
    with pytest.raises(error):
        run.run([x])
    assert values(run.run([x])) == [[2, 3], 1]
    del x
    assert native.memory_stats()["arrays_live"] == live


def test_host_call_may_run_the_program_again():
    depth = []

    def function(x):
        if len(depth) < 3:
            depth.append(x.tolist())
            return run.run([x])
        return x, 0

    run = host_program(function)
    assert values(run.run([array(0, 0)]))[0] == [4, 4]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(inputs=[(99, F32, (), False)]), r"inputs\[0\]: slot 99"),
        (dict(steps=[("copy", 0, 5, 4)]), "uses slot 5, which is no input"),
        (dict(steps=[("jump", 2)]), "jump target 2"),
        (dict(steps=[("fly", 2)]), "unknown kind 'fly'"),
        (dict(steps=[("kernel", 0, (), 1, 1)]), "null kernel address"),
        (dict(steps=[(*increment(0, 0, 1, 1), True)]), r"steps\[0\] follows no kernel"),
        (dict(steps=[("host", 0, (), ())]), "callable 0"),
        (dict(outputs=[("input", 1, False)]), "input 1"),
        (dict(outputs=[("donate", 0, 1, F32, (9,), False)]), "needs 36 bytes"),
        (dict(arena_slots=[(1, 8)]), "outside of the arena"),
        (dict(steps=[("store_counter", 0, 0, 2)]), "counter of 2 bytes"),
    ],
)
def test_construction_errors(arguments, message):
    complete = dict(inputs=[(0, F32, (), False)], outputs=[], steps=[]) | arguments
    with pytest.raises(ValueError, match=message):
        program(**complete)


def test_parallel_kernel_uses_every_part_once():
    size = 1_000_003
    run = program(
        [(0, F32, (size,), False)],
        [("new", 1, F32, (size,), False), ("new", 2, I32, (size,), False)],
        [increment(0, 1, size, 1000), ("kernel", address("worker"), (0, 2), size, 1000)],
    )
    x = np.arange(size, dtype=np.float32)
    for _ in range(20):
        y, workers = run.run([x])
        np.testing.assert_array_equal(y.numpy_view(), x + 1)
        assert workers.numpy_view().max() < native.thread_count()


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_kernel_that_follows_part_by_part(threads):
    size = 100
    run = program(
        [(0, F32, (size,), False)],
        [("new", 1, F32, (size,), False), ("new", 2, F32, (size,), False)],
        [increment(0, 1, size, 1), (*increment(1, 2, size, 1), True)],
        threads=threads,
    )
    x = np.arange(size, dtype=np.float32)
    for _ in range(20):
        y, z = run.run([x])
        np.testing.assert_array_equal(y.numpy_view(), x + 1)
        np.testing.assert_array_equal(z.numpy_view(), x + 2)


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 9])
def test_no_more_threads_than_a_program_allows(threads):
    size, before = 400_000, native.thread_count()
    try:
        native.set_thread_count(4)
        run = program(
            [(0, F32, (size,), False)],
            [("new", 1, F32, (size,), False), ("new", 2, I32, (size,), False)],
            [increment(0, 1, size, 1000), ("kernel", address("worker"), (0, 2), size, 1000)],
            threads=threads,
        )
        assert run.threads == threads
        x = np.arange(size, dtype=np.float32)
        for _ in range(20):
            y, workers = run.run([x])
            np.testing.assert_array_equal(y.numpy_view(), x + 1)
            assert len(np.unique(workers.numpy_view())) <= threads
    finally:
        native.set_thread_count(before)


def test_thread_count_and_programs_from_many_threads():
    before = native.thread_count()
    try:
        native.set_thread_count(4)
        run = program(
            [(0, F32, (200_000,), False)],
            [("new", 1, F32, (200_000,), False)],
            [increment(0, 2, 200_000, 1000), increment(2, 1, 200_000, 1000)],
            arena=800_000,
            arena_slots=[(2, 0)],
        )
        wrong = []

        def work(start):
            x = np.full(200_000, start, np.float32)
            for _ in range(30):
                if not (run.run([x])[0].numpy_view() == start + 2).all():
                    wrong.append(start)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            native.set_thread_count(2)
            native.set_thread_count(4)
        for thread in threads:
            thread.join()
        assert not wrong
        native.set_thread_count(6)  # more than the program has scratch for: runs on one thread
        assert run.run([np.zeros(200_000, np.float32)])[0].numpy_view().max() == 2
    finally:
        native.set_thread_count(before)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork():
    run = program(
        [(0, F32, (100_000,), False)],
        [("new", 1, F32, (100_000,), False)],
        [increment(0, 1, 100_000, 1000)],
    )
    x = np.zeros(100_000, np.float32)
    run.run([x])
    child = os.fork()
    if child == 0:
        good = run.run([x])[0].numpy_view().sum() == 100_000
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert run.run([x])[0].numpy_view().sum() == 100_000


def test_interrupt_ends_a_loop():
    run = program(
        [(0, I32, (), False)],
        [("new", 1, I32, (), False)],
        [("kernel", address("increment_int"), (0, 1), 1, 1), ("jump", 0)],
    )
    # started in the background of a shell, this process would ignore the signal and loop for ever
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.1, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run.run([np.array(1, np.int32)])
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)


def test_profiling():
    run = program([(0, F32, (3,), False)], [("new", 1, F32, (3,), False)], [increment(0, 1, 3)])
    run.run([array(1, 2, 3)])
    assert run.seconds == 0
    native.set_profiling(True)
    try:
        run.run([array(1, 2, 3)])
    finally:
        native.set_profiling(False)
    ((seconds, calls),) = run.step_seconds
    assert calls == 1 and 0 <= seconds <= run.seconds
