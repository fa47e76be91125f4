"""Machine code from LLVM text, on threads beside the interpreter."""

from __future__ import annotations

import gc
import os
import threading

import numpy as np
import pytest

import fornax as fx
import fornax.numpy as fnp
from fornax.backends.llvm import generate, link
from fornax.backends.llvm.link import linker
from fornax.backends.llvm.target import find


def text(number: int) -> str:
    return f"define i64 @f{number}(i64 %x) {{\n  %y = add i64 %x, {number}\n  ret i64 %y\n}}\n"


def begun(numbers) -> list:
    """Jobs for threads, not for whoever waits."""
    jobs = [generate.start(text(k), find()) for k in numbers]
    for _ in jobs:
        generate.begin()
    return jobs


def test_result_can_be_taken_twice():
    job = generate.start(text(3), find())
    code, parse, generated = job.wait()
    assert code[:4] == b"\x7fELF" and parse > 0 and generated > 0
    assert job.wait()[0] == code


def test_assembly():
    assert b"f5" in generate.start(text(5), find(), assembly=True).wait()[0]


def test_bad_text_says_what_is_wrong():
    job = generate.start("define i64 @f( {", find())
    for _ in range(2):
        with pytest.raises(RuntimeError, match="expected"):
            job.wait()


def test_many_at_once_and_from_many_threads():
    alone = [generate.start(text(k), find()).wait()[0] for k in range(30)]
    jobs = begun(range(30))
    found: dict[int, bytes] = {}

    def take(first: int) -> None:
        for k in range(first, 30, 3):
            found[k] = jobs[k].wait()[0]

    threads = [threading.Thread(target=take, args=(k % 3,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[k] for k in range(30)] == alone


def test_objects_are_linked_together():
    objects = {f"f{k}": generate.start(text(k), find()).wait()[0] for k in (101, 102)}
    library = linker().link(objects)
    addresses = [library[name] for name in objects]
    assert len(set(addresses)) == 2 and all(addresses)


@pytest.mark.filterwarnings("ignore:This process")  # Python 3.12 warns of any fork beside threads
def test_a_forked_child_goes_on():
    jobs = begun(range(200, 208))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            known = all(job.wait()[0][:4] == b"\x7fELF" for job in jobs)
            fresh = begun(range(300, 308))
            status = 0 if known and all(job.wait()[0] for job in fresh) else 1
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert all(job.wait()[0] for job in jobs)


def test_an_unknown_library_is_refused(monkeypatch):
    monkeypatch.setitem(generate.FUNCTIONS, "LLVMPY_ParseAssembly", 5)
    generate.functions.cache_clear()
    try:
        with pytest.raises(ImportError, match="LLVMPY_ParseAssembly"):
            generate.functions()
    finally:
        monkeypatch.undo()
        generate.functions.cache_clear()


def test_code_outlives_the_linker_it_came_from(monkeypatch):
    monkeypatch.setattr(link, "LIBRARIES", 2)
    functions = [fx.jit(lambda x, k=k: fnp.tanh(x) + k * x**k) for k in range(3, 8)]
    x = np.linspace(-1, 1, 11, dtype=np.float32)
    linkers = []
    for function in functions:
        function(x)
        linkers.append(link.linker().jit)
    assert len({id(one) for one in linkers}) >= 2
    del linkers
    gc.collect()
    for k, function in enumerate(functions, 3):
        np.testing.assert_allclose(function(x), np.tanh(x) + k * x**k, rtol=1e-5)
