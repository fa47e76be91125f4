"""Relocatable objects to machine code of this process.

The objects depend on nothing but the C math functions in `SYMBOLS`, so they can be kept on disk and
linked again by another process.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

from fornax.backends.llvm.generate import address, binding, once

#: functions of the C library that generated code may call: remainders, and fma without hardware
SYMBOLS = ("fmod", "fmodf", "fma")
#: libraries that one compiler of LLVM links. It keeps some kilobytes of each, also of those given
#: back, and takes longer the more it has seen; it goes with the last of its libraries
LIBRARIES = 64


class Linker:
    """Links machine code into this process. One for all kernels."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0
        self.jit: Any = None

    def link(self, objects: Mapping[str, bytes]) -> Any:
        """A library that has the addresses of symbols, each defined by an object. The code lives
        as long as the library does: whoever calls it must hold it."""
        builder = binding().JITLibraryBuilder()
        for symbol, code in objects.items():
            builder = builder.add_object_img(code).export_symbol(symbol)
        for function, where in imports().items():
            builder = builder.import_symbol(function, where)
        with self.lock:
            if self.count % LIBRARIES == 0:
                self.jit = compiler()
            self.count += 1
            return builder.link(self.jit, f"fornax{self.count}")


def compiler() -> Any:
    """A new compiler of LLVM that links for this processor."""
    llvm = binding()
    machine = llvm.Target.from_default_triple().create_target_machine(
        opt=2, reloc="pic", codemodel="small"
    )
    return llvm.create_lljit_compiler(machine)


@cache
def imports() -> dict[str, int]:
    """Addresses of the C functions that generated code may call; the interpreter uses them too."""
    process = ctypes.CDLL(None)
    return {name: address(process, name) for name in SYMBOLS}


@once
def linker() -> Linker:
    """The linker of this process."""
    return Linker()
