"""LLVM text to machine code in this process: parse, a few passes, object, link.

llvmlite is imported at the first compile. Its target machines are not shared between threads. The
objects are relocatable and depend on nothing but the C math functions in `SYMBOLS`, so they can be
kept on disk and linked again by another process.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from fornax.compiler.target import Target

#: functions of the C library that generated code may call: remainders, and fma without hardware
SYMBOLS = ("fmod", "fmodf", "fma")

#: characters of text from which on code is generated quickly rather than well: register
#: allocation and scheduling take more than linear time
HUGE = 400_000

local = threading.local()


@dataclass
class Timing:
    """Seconds spent in the steps of one compilation."""

    seconds: dict[str, float] = field(default_factory=dict)

    def step(self, name: str):
        return Step(self.seconds, name)


class Step:
    def __init__(self, seconds: dict[str, float], name: str):
        self.seconds = seconds
        self.name = name

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_) -> None:
        spent = time.perf_counter() - self.start
        self.seconds[self.name] = self.seconds.get(self.name, 0.0) + spent


@cache
def binding() -> Any:
    """llvmlite.binding, initialised."""
    from llvmlite import binding as llvm  # heavy: loads LLVM, so only when something compiles

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


def machine(target: Target, level: int = 2) -> Any:
    """The target machine of this thread for `target`; `level` is that of code generation."""
    found = local.__dict__.setdefault("machines", {})
    key = (target, level)
    if key not in found:
        llvm = binding()
        if target.triple:
            base = llvm.Target.from_triple(target.triple)
        else:
            base = llvm.Target.from_default_triple()
        cpu = target.cpu or llvm.get_host_cpu_name()
        found[key] = base.create_target_machine(
            cpu=cpu, features=target.features, opt=level, reloc="pic", codemodel="small"
        )
    return found[key]


def to_object(text: str, target: Target, timing: Timing, assembly: bool = False) -> bytes | str:
    """Compile LLVM text to a relocatable object (or to assembly text)."""
    llvm = binding()
    with timing.step("parse"):
        module = llvm.parse_assembly(text)
        tm = machine(target, 2 if len(text) < HUGE else 0)
        module.data_layout = str(tm.target_data)
    with timing.step("optimize"):
        optimize(llvm, tm, module)
    with timing.step("generate"):
        return tm.emit_assembly(module) if assembly else tm.emit_object(module)


def optimize(llvm: Any, tm: Any, module: Any) -> None:
    """The passes that pay: the text is already hoisted, vectorized and free of duplicates."""
    builder = llvm.create_pass_builder(tm, llvm.create_pipeline_tuning_options(speed_level=0))
    passes = llvm.create_new_function_pass_manager()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)


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

    def link(self, code: bytes, symbol: str) -> int:
        """The address of `symbol` in an object."""
        llvm = binding()
        with self.lock:
            self.count += 1
            name = f"fornax{self.count}"
            builder = llvm.JITLibraryBuilder().add_object_img(code).export_symbol(symbol)
            for function, address in imports().items():
                builder = builder.import_symbol(function, address)
            library = builder.link(self.jit, name)
            self.kept.append(library)
            return library[symbol]


@cache
def imports() -> dict[str, int]:
    """Addresses of the C functions that generated code may call."""
    import ctypes.util  # only once something is linked

    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    return {name: ctypes.cast(getattr(libm, name), ctypes.c_void_p).value for name in SYMBOLS}


@cache
def linker() -> Linker:
    """The linker of this process."""
    return Linker()
