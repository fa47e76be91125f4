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


class Linker:
    """Machine code of this process. One for all kernels; code lives as long as it does."""

    def __init__(self) -> None:
        llvm = binding()
        self.lock = threading.Lock()
        self.count = 0
        tm = llvm.Target.from_default_triple().create_target_machine(
            opt=2, reloc="pic", codemodel="small"
        )
        self.jit = llvm.create_lljit_compiler(tm)
        self.kept: list[Any] = []

    def link(self, objects: Mapping[str, bytes]) -> dict[str, int]:
        """The addresses of symbols, each defined by an object."""
        builder = binding().JITLibraryBuilder()
        for symbol, code in objects.items():
            builder = builder.add_object_img(code).export_symbol(symbol)
        for function, where in imports().items():
            builder = builder.import_symbol(function, where)
        with self.lock:
            self.count += 1
            library = builder.link(self.jit, f"fornax{self.count}")
            self.kept.append(library)
            return {symbol: library[symbol] for symbol in objects}


@cache
def imports() -> dict[str, int]:
    """Addresses of the C functions that generated code may call; the interpreter uses them too."""
    process = ctypes.CDLL(None)
    return {name: address(process, name) for name in SYMBOLS}


@once
def linker() -> Linker:
    """The linker of this process."""
    return Linker()
