"""LLVM text to relocatable objects, on threads beside the interpreter.

llvmlite is imported at the first compile and makes the target machines; parsing and code generation
call the C functions of its library by address from the native core (`native/codegen.hpp`), because
llvmlite's own functions hold one lock. No pass runs over the LLVM text: it is written hoisted,
vectorized and free of duplicates, and what combining instructions would still find is found by
instruction selection too (measured: equal code sizes, 15 % of the time).
"""

from __future__ import annotations

import atexit
import ctypes
import threading
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from fornax import _native
from fornax.compiler.target import Target
from fornax.source import located

#: characters of text from which on code is generated quickly rather than well: register
#: allocation and scheduling take more than linear time
HUGE = 400_000

#: most threads that generate code at once
THREADS = 8

#: the functions of `codegen::Functions`, in its order, and how many arguments each takes
FUNCTIONS = {
    "LLVMPY_ContextCreate": 0,
    "LLVMPY_ContextDispose": 1,
    "LLVMPY_ParseAssembly": 3,
    "LLVMPY_DisposeModule": 1,
    "LLVMPY_SetDataLayout": 2,
    "LLVMPY_TargetMachineEmitToMemory": 4,
    "LLVMPY_GetBufferStart": 1,
    "LLVMPY_GetBufferSize": 1,
    "LLVMPY_DisposeMemoryBuffer": 1,
    "LLVMPY_DisposeString": 1,
}


_lock = threading.RLock()


def once(make: Callable[..., Any]) -> Callable[..., Any]:
    """`functools.cache` for what must not be made twice, by threads that ask at the same time:
    what the second call replaced would be freed while the first caller uses it."""
    cached = cache(make)

    @wraps(make)
    def found(*args: Any) -> Any:
        with _lock:
            return cached(*args)

    found.cache_clear = cached.cache_clear  # type: ignore[attr-defined]
    return found


@once
def binding() -> Any:
    """llvmlite.binding, initialised."""
    from llvmlite import binding as llvm  # heavy: loads LLVM, so only when something compiles

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@once
def functions() -> tuple[int, ...]:
    """Addresses of `FUNCTIONS`. ImportError if this llvmlite has other ones."""
    llvm = binding()
    # the file is loaded already; this is another view of it, without llvmlite's lock
    library = ctypes.CDLL(llvm.ffi.lib._name, handle=llvm.ffi.lib._handle)
    addresses = []
    for name, count in FUNCTIONS.items():
        declared = getattr(getattr(llvm.ffi.lib, name, None), "argtypes", None)
        if declared is not None and len(declared) != count:
            raise ImportError(
                located(
                    f"llvmlite declares {name} otherwise than expected ({declared})",
                    attempt="the version of llvmlite that pyproject.toml names",
                )
            )
        addresses.append(address(library, name))
    return tuple(addresses)


def address(library: ctypes.CDLL, name: str) -> int:
    """Where a function of a shared library is."""
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0


@once
def machines(target: Target, level: int = 2) -> tuple[tuple[Any, ...], tuple[int, ...], str]:
    """Target machines for every thread: (objects, addresses, data layout)."""
    llvm = binding()
    if target.triple:
        base = llvm.Target.from_triple(target.triple)
    else:
        base = llvm.Target.from_default_triple()
    made = tuple(
        base.create_target_machine(
            cpu=target.cpu or llvm.get_host_cpu_name(), features=target.features, opt=level,
            reloc="pic", codemodel="small",
        )
        for _ in range(min(THREADS, _native.thread_count()))
    )  # fmt: skip
    addresses = tuple(ctypes.cast(m._ptr, ctypes.c_void_p).value or 0 for m in made)
    return made, addresses, str(made[0].target_data)


def start(text: str, target: Target, assembly: bool = False) -> Any:
    """Begin to compile LLVM text; `.wait()` gives (object or assembly, seconds of parsing and of
    generating), or raises RuntimeError with what LLVM says."""
    _, addresses, layout = machines(target, 2 if len(text) < HUGE else 0)
    return _native.Generation(functions(), addresses, layout, text, not assembly)


# threads that are at work when the process ends would find LLVM's data gone, and crash
atexit.register(_native.Generation.finish)


def begin() -> None:
    """Say that what was started is not waited for at once: threads begin with it."""
    _native.Generation.begin()
