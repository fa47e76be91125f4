"""What this machine can do at most, measured: rates of copying, reading and arithmetic.

The loops are LLVM text compiled by llvmlite, the way that kernels are, with nothing of the compiler
in between. Memory is touched before and lies in 2 MiB pages where the system gives them.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
import time
from pathlib import Path

import numpy as np
from llvmlite import binding as llvm

#: bytes of each array at least, those of 16 M of float32, which caches answer a part of; from one
#: source to the next; of each buffer; of a block that is timed
SIZE, APART, ROOM, BLOCK = 1 << 26, 1 << 26, 1 << 28, 1 << 21
SUMS, STEPS = 12, 1 << 18


def best(run, repeats: int = 20) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def cores() -> int:
    return len(os.sched_getaffinity(0))


def flags() -> set[str]:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return {flag for line in text.splitlines() if line.startswith("flags") for flag in line.split()}


def width() -> int:
    """Bytes of a vector register."""
    found = flags()
    return 64 if "avx512f" in found else 32 if "fma" in found else 16


_engines: list = []  # what owns the machine code


def machine_code(text: str):
    """`work` of the module, as a function of three pointers or integers."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(text), target)
    engine.finalize_object()
    _engines.append(engine)
    address = engine.get_function_address("work")
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(address)


def on_threads(work, arguments: list[tuple]) -> None:
    """Runs a piece of machine code on as many threads as there are arguments."""
    if len(arguments) == 1:
        work(*arguments[0])
        return
    threads = [threading.Thread(target=work, args=given) for given in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- memory -------------------------------------------------------------------------------------
class Buffer:
    """Touched memory that begins at a large page."""

    def __init__(self, size: int = ROOM):
        page = 1 << 21
        self.room = mmap.mmap(-1, size + page)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            self.room.madvise(mmap.MADV_HUGEPAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.room))
        self.address = -(-start // page) * page
        ctypes.memset(self.address, 1, size)


#: how many arrays are added up for one that is written; what is read alone is one
SOURCES = {"read": 1, "copy": 1, "sum of two": 2, "sum of three": 3}
#: how memory is gone through: so many places at a time, with what lies so many bytes further on
#: asked for (0: nothing is), and whether what is written goes past the caches
WRITTEN = [(1, 0, False), (1, 0, True), (1, 4096, True), (4, 4096, True), (8, 4096, True)]
WAYS = {
    "read": [(1, 0, False), (4, 4096, False), (8, 4096, False)],
    **dict.fromkeys(("copy", "sum of two", "sum of three"), WRITTEN),
}
#: bytes that are read for each that is written beyond which a case only reads
READS = 5
VECTORS = 8  #: of an iteration


def memory_text(kind: str, streams: int, ahead: int, nontemporal: bool) -> str:
    """Copies the third argument's number of bytes, or adds those of several sources up, or sums the
    numbers there into the first argument, which keeps reading from being left out."""
    vector, size = f"<{width() // 4} x float>", width()
    each = VECTORS // streams
    hint = ", !nontemporal !0" if nontemporal else ""
    before, starts, work, after = [], [], [], []
    for stream in range(streams):
        before.append(
            f"  %o{stream} = mul i64 %part, {stream}\n"
            f"  %from{stream} = getelementptr i8, ptr %from, i64 %o{stream}\n"
            f"  %to{stream} = getelementptr i8, ptr %to, i64 %o{stream}"
        )
    for k in range(VECTORS):
        stream = k // each
        work.append(
            f"  %i{k} = add i64 %i, {k % each * size}\n"
            f"  %a{k} = getelementptr i8, ptr %from{stream}, i64 %i{k}"
        )
        total = "zeroinitializer"
        for source in range(SOURCES[kind]):
            name = f"{k}.{source}"
            work.append(
                f"  %p{name} = getelementptr i8, ptr %a{k}, i64 {source * APART}\n"
                f"  %v{name} = load {vector}, ptr %p{name}, align {size}"
            )
            if source:
                work.append(f"  %u{name} = fadd {vector} {total}, %v{name}")
            total = f"%u{name}" if source else f"%v{name}"
            if ahead:
                work.append(
                    f"  %f{name} = getelementptr i8, ptr %p{name}, i64 {ahead}\n"
                    f"  call void @llvm.prefetch.p0(ptr %f{name}, i32 0, i32 2, i32 1)"
                )
        if kind == "read":
            starts.append(f"  %s{k} = phi {vector} [ zeroinitializer, %entry ], [ %t{k}, %loop ]")
            work.append(f"  %t{k} = fadd {vector} %s{k}, {total}")
            after.append(f"  store volatile {vector} %t{k}, ptr %to, align 4")
        else:
            work.append(
                f"  %b{k} = getelementptr i8, ptr %to{stream}, i64 %i{k}\n"
                f"  store {vector} {total}, ptr %b{k}, align {size}{hint}"
            )
    lines = "\n".join
    return f"""
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
define void @work(ptr %to, ptr %from, i64 %count) {{
entry:
  %part = sdiv i64 %count, {streams}
{lines(before)}
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %n, %loop ]
{lines(starts)}
{lines(work)}
  %n = add i64 %i, {each * size}
  %more = icmp slt i64 %n, %part
  br i1 %more, label %loop, label %end
end:
{lines(after)}
  ret void
}}
!0 = !{{i32 1}}
"""


class Bandwidth:
    """Copies and reads the same memory again and again, on all cores or fewer.

    How much memory it is matters: of what is not much larger than the last cache, that still has a
    part from the time before (measured on 32 MiB of it: 64 MiB are read at 48 GB/s, 128 at 40).
    """

    def __init__(self):
        self.source, self.target = Buffer(), Buffer()
        self.ways = {
            kind: [machine_code(memory_text(kind, *way)) for way in ways]
            for kind, ways in WAYS.items()
        }

    def passes(self, work, threads: int, count: int, size: int) -> list[float]:
        """Seconds of each pass, from the first thread's begin to the last one's end; the threads
        take the next block each, as one may be held up."""
        blocks = [iter(range(0, size, BLOCK)) for _ in range(count)]
        together = threading.Barrier(threads)
        times: list[list[tuple[float, float]]] = [[] for _ in range(count)]

        def of_one_thread() -> None:
            for places, found in zip(blocks, times, strict=True):
                together.wait()
                began = time.perf_counter()
                for place in places:
                    work(self.target.address + place, self.source.address + place, BLOCK)
                found.append((began, time.perf_counter()))

        on_threads(of_one_thread, [()] * threads)
        return [max(e for _, e in found) - min(b for b, _ in found) for found in times]

    def seconds(
        self, kind: str, given: float, size: int = SIZE, threads: int | None = None
    ) -> list[float]:
        """Of the quickest way to read or write arrays of so many bytes, pass by pass for about
        the given seconds."""
        threads = threads or cores()
        found = [self.passes(work, threads, 3, size) for work in self.ways[kind]]
        best = min(range(len(found)), key=lambda k: min(found[k]))
        count = max(5, int(given / min(found[best])))
        return self.passes(self.ways[kind][best], threads, count, size)

    def rate(self, kind: str, threads: int) -> float:
        """Bytes per second of the quickest pass."""
        moved = SIZE if kind == "read" else 2 * SIZE
        return moved / min(self.seconds(kind, 0.1, threads=threads))

    def least(self, read: float, written: float, given: float) -> tuple[str, list[float]]:
        """What a loop does that goes through so many bytes in order and computes next to nothing,
        and its seconds, pass by pass."""
        kind, arrays = "read", 1
        if written * READS >= read:
            sources = min(max(1, round(read / written)), 3)
            kind, arrays = ("copy", "sum of two", "sum of three")[sources - 1], sources + 1
        wanted = (read + written) / arrays
        most = ROOM if arrays <= 2 else APART
        size = min(max(SIZE, -(-int(wanted) // BLOCK) * BLOCK), most)
        return kind, [t * wanted / size for t in self.seconds(kind, given, size)]


# --- arithmetic ---------------------------------------------------------------------------------
def fma_text(element: str) -> str:
    """A loop of independent fused multiply-adds of vectors of "float" or "double"."""
    lanes = width() // (8 if element == "double" else 4)
    kind, name = f"<{lanes} x {element}>", f"v{lanes}f{64 if element == 'double' else 32}"
    call = (
        f"call {kind} @llvm.fma.{name}({kind} %s, {kind} splat ({element} 0.5), "
        f"{kind} splat ({element} 1.0))"
    )
    return arithmetic_text(
        f"declare {kind} @llvm.fma.{name}({kind}, {kind}, {kind})", kind, element, call
    )


def bf16_text() -> str:
    """The same of dot products of pairs of bfloat16 (VDPBF16PS)."""
    kind = "<16 x float>"
    ones = "<32 x bfloat> splat (bfloat 1.0)"
    call = f"call {kind} @llvm.x86.avx512bf16.dpbf16ps.512({kind} %s, {ones}, {ones})"
    declared = (
        f"declare {kind} @llvm.x86.avx512bf16.dpbf16ps.512({kind}, <32 x bfloat>, <32 x bfloat>)"
    )
    return arithmetic_text(declared, kind, "float", call)


def arithmetic_text(declared: str, kind: str, element: str, call: str) -> str:
    starts = "\n".join(
        f"  %s{k} = phi {kind} [ splat ({element} {k}.0), %entry ], [ %t{k}, %loop ]"
        for k in range(SUMS)
    )
    adds = "\n".join(f"  %t{k} = {call.replace('%s,', f'%s{k},')}" for k in range(SUMS))
    stores = "\n".join(f"  store volatile {kind} %t{k}, ptr %to, align 4" for k in range(SUMS))
    return f"""
{declared}
define void @work(ptr %to, ptr %unused, i64 %steps) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %n, %loop ]
{starts}
{adds}
  %n = add i64 %i, 1
  %more = icmp slt i64 %n, %steps
  br i1 %more, label %loop, label %end
end:
{stores}
  ret void
}}
"""


def rate(text: str, of_step: int) -> float:
    """Operations per second of all cores: the sum of what each reaches at best, all at work.

    The pieces are short, so that some of them run undisturbed on a machine that others use.
    """
    work = machine_code(text)
    found: list[float] = []

    def of_one_thread(room):
        found.append(best(lambda: work(ctypes.addressof(room), None, STEPS), 100))

    rooms = [((ctypes.c_char * 256)(),) for _ in range(cores())]
    on_threads(of_one_thread, rooms)
    return sum(STEPS * SUMS * of_step / seconds for seconds in found)


def blas_rate() -> float:
    """float32 operations per second of NumPy's own matrix product, 1024 x 1024."""
    x = np.ones((1024, 1024), np.float32)
    return 2 * 1024**3 / best(lambda: x @ x)


def measure(bandwidth: Bandwidth) -> dict[str, float]:
    """All limits by name."""
    found = {
        "copy bandwidth, one thread, GB/s": bandwidth.rate("copy", 1) / 1e9,
        "copy bandwidth, GB/s": bandwidth.rate("copy", cores()) / 1e9,
        "read bandwidth, one thread, GB/s": bandwidth.rate("read", 1) / 1e9,
        "read bandwidth, GB/s": bandwidth.rate("read", cores()) / 1e9,
        "f32 FMA peak, GFLOP/s": rate(fma_text("float"), width() // 4 * 2) / 1e9,
        "f64 FMA peak, GFLOP/s": rate(fma_text("double"), width() // 8 * 2) / 1e9,
    }
    if "avx512_bf16" in flags():
        found["bf16 dot peak, GFLOP/s"] = rate(bf16_text(), 64) / 1e9
    found["NumPy matmul 1024, GFLOP/s"] = blas_rate() / 1e9
    return found
