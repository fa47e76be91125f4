"""Results that are written past the caches, which their alignment decides about at run time."""

from __future__ import annotations

from collections.abc import Iterable

from fornax._native import reachable
from fornax.backends.llvm.addresses import LINE
from fornax.compiler.loop.ir import WIDTH, Buffer, Kernel
from fornax.compiler.loop.rewrite import expressions
from fornax.compiler.target import Target

#: what kernels take
PARAMETERS = "ptr %buffers, i64 %begin, i64 %end, i64 %worker"


def streamed(kernel: Kernel, target: Target) -> frozenset[Buffer]:
    """The results that are too large for the caches, if this processor can write past them."""
    large = {
        b for b in kernel.buffers
        if b.role == "out" and b.size * WIDTH[b.dtype] // 8 >= target.streamed
    }  # fmt: skip
    if not large or not target.streams:
        return frozenset()
    nodes = reachable(expressions(kernel.body))
    return frozenset(large.difference(n.data for n in nodes if n.kind == "load"))


def dispatch(kernel: Kernel, streams: Iterable[Buffer], symbol: str) -> list[str]:
    """A function that calls the streaming one if all those buffers are aligned to cache lines."""
    lines = [f"define void @{symbol}({PARAMETERS}) #0 {{"]
    bits = []
    for k, buffer in enumerate(kernel.buffers):
        if buffer in streams:
            lines.append(f"  %s{k} = getelementptr ptr, ptr %buffers, i64 {k}")
            lines.append(f"  %p{k} = load ptr, ptr %s{k}, align 8")
            lines.append(f"  %i{k} = ptrtoint ptr %p{k} to i64")
            bits.append(f"%i{k}")
            if len(bits) > 1:
                lines.append(f"  %o{k} = or i64 {bits[-2]}, {bits[-1]}")
                bits[-1] = f"%o{k}"
    return [
        *lines,
        f"  %low = and i64 {bits[-1]}, {LINE - 1}",
        "  %aligned = icmp eq i64 %low, 0",
        "  br i1 %aligned, label %streams, label %plain",
        "streams:",
        f"  call void @{symbol}_streams({PARAMETERS})",
        # these stores are ordered before later ones only by a fence
        "  call void @llvm.x86.sse.sfence()",
        "  ret void",
        "plain:",
        f"  call void @{symbol}_plain({PARAMETERS})",
        "  ret void",
        "}",
    ]
