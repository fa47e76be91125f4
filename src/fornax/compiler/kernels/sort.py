"""`sort`: short lines through a network, long ones by their digits."""

from __future__ import annotations

from collections.abc import Sequence

from fornax.compiler.kernels import keys
from fornax.compiler.kernels.context import KernelContext
from fornax.compiler.kernels.network import LONGEST, Network
from fornax.compiler.kernels.radix import Lines, Radix, Stage
from fornax.compiler.loop.ir import Expr, Statement


def sort(k: KernelContext) -> None:
    """Emit the nests of a `sort`. Parameters: `dimension`, `num_keys`; it is always stable."""
    lines = Lines(k, tuple(k.inputs[0].shape), k.params["dimension"])
    if 0 in lines.shape:
        return
    if lines.length <= LONGEST:
        Network(lines, k.params["num_keys"]).emit()
    else:
        by_digits(lines, k.params["num_keys"])


def key_bits(k: KernelContext, i: int) -> tuple[int, ...]:
    """How many bits each part of the key of operand `i` has."""
    dtype = k.inputs[i].dtype.name
    zeros = [k.b.const(0, piece) for piece in keys.pieces(dtype)]
    return tuple(part.bits for part in keys.key(k.b, zeros, dtype))


def by_digits(lines: Lines, num_keys: int) -> None:
    """A radix sort. One real key moves by itself or with the only other operand; otherwise
    positions move and the operands follow at the end."""
    k = lines.k
    bits = [(i, part, n) for i in range(num_keys) for part, n in enumerate(key_bits(k, i))]
    others = [i for i in range(len(k.inputs)) if i or len(bits) > 1]
    alone = len(bits) == 1
    payload = [keys.pieces(k.inputs[i].dtype.name) for i in others]
    if alone and len(others) <= 1 and all(len(pieces) == 1 for pieces in payload):
        together(lines, bits[0][2])
        return
    stages = [positions(lines, i, part, n) for i, part, n in reversed(bits)]

    def sink(line: Expr, at: Expr, moved: Sequence[Expr]) -> tuple[Statement, ...]:
        source = lines.index(line, k.b.cast(moved[-1], "int64"))
        return tuple(
            statement
            for i in range(len(k.inputs))
            for statement in keys.write_bits(
                k, i, lines.index(line, at), keys.read_bits(k, i, source)
            )
        )

    Radix(lines, stages, sink).emit()


def together(lines: Lines, bits: int) -> None:
    """The elements of all operands move together; the first is the key."""
    k = lines.k
    names = [t.dtype.name for t in k.inputs]

    def source(line: Expr, at: Expr, before: Sequence[Expr] | None) -> list[Expr]:
        return [keys.read_bits(k, i, lines.index(line, at))[0] for i in range(len(names))]

    def key(element: Expr) -> Expr:
        return keys.key(k.b, (element,), names[0])[0].value

    def sink(line: Expr, at: Expr, moved: Sequence[Expr]) -> tuple[Statement, ...]:
        index = lines.index(line, at)
        written = (keys.write_bits(k, j, index, (bits,)) for j, bits in enumerate(moved))
        return tuple(statement for statements in written for statement in statements)

    dtypes = tuple(keys.pieces(name)[0] for name in names)
    Radix(lines, [Stage(dtypes, bits, source, key)], sink).emit()


def positions(lines: Lines, i: int, part: int, bits: int) -> Stage:
    """A stage that orders positions by one part of the key of operand `i`."""
    k = lines.k
    name = k.inputs[i].dtype.name
    counter = "int32" if lines.length < 1 << 31 else "int64"

    def source(line: Expr, at: Expr, before: Sequence[Expr] | None) -> list[Expr]:
        position = at if before is None else k.b.cast(before[-1], "int64")
        bits = keys.read_bits(k, i, lines.index(line, position))
        return [keys.key(k.b, bits, name)[part].value, k.b.cast(position, counter)]

    zeros = [k.b.const(0, piece) for piece in keys.pieces(name)]
    dtype = keys.key(k.b, zeros, name)[part].value.dtype
    return Stage((dtype, counter), bits, source, lambda element: element)
