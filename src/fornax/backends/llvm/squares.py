"""Orders of elements that transpose a square of vectors in registers."""

from __future__ import annotations


def square_steps(lanes: int, bits: int) -> list[tuple[int, tuple[list[int], list[int]]]]:
    """How to transpose a square: for each step the distance of the rows that go together, and which
    elements of both make the first and the second of two new ones.

    Only what instructions do without a register for an order: pairs within pieces of 128 bits, then
    every other one of these pieces. Such a register would be filled outside of all loops, and taken
    from the sums of a loop beside this one.
    """
    piece = min(lanes, 128 // bits)
    half = [n for first in range(0, lanes, piece) for n in range(first, first + piece // 2)]
    pairs = [at for n in half for at in (n, lanes + n)]
    steps = []
    bit = piece // 2
    while bit:
        steps.append((bit, (pairs, [n + piece // 2 for n in pairs])))
        bit //= 2
    every = [n for n in range(2 * lanes) if not n // piece & 1]
    bit = piece
    while bit < lanes:
        steps.append((bit, (every, [n + piece for n in every])))
        bit *= 2
    return steps
