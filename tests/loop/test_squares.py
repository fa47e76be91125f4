"""Steps of two rows each that transpose a square of vectors."""

import pytest

from fornax.backends.llvm.squares import square_steps


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("lanes", [2, 4, 8, 16, 32])
def test_steps_transpose(lanes, bits):
    rows = [[(row, column) for column in range(lanes)] for row in range(lanes)]
    for bit, orders in square_steps(lanes, bits):
        moved = list(rows)
        for k in range(lanes):
            if not k & bit:
                both = rows[k] + rows[k | bit]
                for target, order in zip((k, k | bit), orders, strict=True):
                    moved[target] = [both[n] for n in order]
        rows = moved
    assert rows == [[(row, column) for row in range(lanes)] for column in range(lanes)]


@pytest.mark.parametrize("lanes,bits", [(4, 32), (8, 32), (16, 32), (8, 64), (32, 16)])
def test_every_step_stays_within_pieces_or_takes_whole_ones(lanes, bits):
    """What one instruction does without a register that holds the order."""
    piece = 128 // bits
    for bit, orders in square_steps(lanes, bits):
        for order in orders:
            if bit < piece:
                assert all(n % lanes // piece == at // piece for at, n in enumerate(order))
            else:
                firsts = order[::piece]
                assert order == [n + k for n in firsts for k in range(piece)]
