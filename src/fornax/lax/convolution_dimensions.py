"""Which dimension of a convolution's operands is what, by number or by letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fornax.source import located

__all__ = ["ConvDimensionNumbers", "conv_dimension_numbers", "padtype_to_pads"]


class ConvDimensionNumbers(NamedTuple):
    """For each array its dimensions in the order batch, feature, spatial ones.

    Of the right operand the first two are output feature and input feature.
    """

    lhs_spec: Sequence[int]
    rhs_spec: Sequence[int]
    out_spec: Sequence[int]


def padtype_to_pads(
    in_shape: Sequence[int],
    window_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: str,
) -> list[tuple[int, int]]:
    """For each dimension how much to pad before and after it, in place of a word.

    padding: "VALID", nothing; "SAME" or "SAME_LOWER", so much that a window stands at every stride,
    with the odd one after or before. Raises RuntimeError for another word, TypeError for no word,
    ValueError for sequences of different lengths.
    """
    if not isinstance(padding, str):
        raise TypeError(
            located(
                f"Unknown padding type: {padding!r:.80}.",
                attempt="'VALID', 'SAME' or 'SAME_LOWER'; pairs of numbers need no conversion",
            )
        )
    word = padding.upper()
    if word not in ("VALID", "SAME", "SAME_LOWER"):
        raise RuntimeError(
            located(
                "Unrecognized padding type: expected 'VALID', 'SAME', or 'SAME_LOWER', got "
                f"{padding}.",
                attempt="one of these, or a pair of numbers for each dimension",
            )
        )
    if not len(in_shape) == len(window_shape) == len(window_strides):
        raise ValueError(
            located(
                f"shapes {tuple(in_shape)}, {tuple(window_shape)} and strides "
                f"{tuple(window_strides)} are of different lengths",
                attempt="the dimensions that the window moves over, in all three",
            )
        )
    found = []
    for size, window, stride in zip(in_shape, window_shape, window_strides, strict=True):
        steps = -(-size // stride)
        total = 0 if word == "VALID" else max(0, (steps - 1) * stride + window - size)
        less, more = int(total // 2), int(total - total // 2)
        found.append((more, less) if word == "SAME_LOWER" else (less, more))
    return found


#: the letters of the two dimensions that are not spatial, for each array
_LETTERS = (("N", "C"), ("O", "I"), ("N", "C"))


def conv_dimension_numbers(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], dimension_numbers: Any
) -> ConvDimensionNumbers:
    """The dimension numbers of a convolution of arrays of these shapes.

    dimension_numbers: a ConvDimensionNumbers; three strings of a letter for each dimension, such as
    ("NHWC", "HWIO", "NHWC"), whose spatial letters are the same in all; or None for arrays in the
    order of ConvDimensionNumbers. Raises TypeError for others.
    """
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return dimension_numbers
    if len(lhs_shape) != len(rhs_shape):
        raise TypeError(
            located(
                "convolution requires lhs and rhs ndim to be equal, got "
                f"{len(lhs_shape)} and {len(rhs_shape)}.",
                attempt="x[None] for a missing batch dimension, or weights of shape (out, in, "
                "*window)",
            )
        )
    rank = len(lhs_shape)
    if dimension_numbers is None:
        return ConvDimensionNumbers(*(tuple(range(rank)),) * 3)
    if not isinstance(dimension_numbers, list | tuple):
        raise TypeError(
            located(
                "convolution dimension_numbers must be tuple/list or None, got "
                f"{type(dimension_numbers)}.",
                attempt="('NHWC', 'HWIO', 'NHWC'), or None for ('NCHW', 'OIHW', 'NCHW')",
            )
        )
    if len(dimension_numbers) != 3:
        raise TypeError(
            located(
                "convolution dimension_numbers list/tuple must be length 3, got "
                f"{len(dimension_numbers)}.",
                attempt="three strings: those of lhs, rhs and result",
            )
        )
    if not all(isinstance(spec, str) for spec in dimension_numbers):
        raise TypeError(
            located(
                "convolution dimension_numbers elements must be strings, got "
                f"{tuple(map(type, dimension_numbers))}.",
                attempt="('NHWC', 'HWIO', 'NHWC')",
            )
        )
    for position, (spec, letters) in enumerate(zip(dimension_numbers, _LETTERS, strict=True)):
        if len(spec) != rank:
            raise TypeError(
                located(
                    f"convolution dimension_numbers[{position}] must have len equal to the ndim "
                    f"of lhs and rhs, got {len(spec)} for lhs and rhs shapes {lhs_shape} and "
                    f"{rhs_shape}.",
                    attempt="one letter for each dimension, such as 'NWC' for three",
                )
            )
        if any(spec.count(letter) != 1 for letter in letters):
            raise TypeError(
                located(
                    f"convolution dimension_numbers[{position}] must contain the characters "
                    f"{letters[0]!r} and {letters[1]!r} exactly once, got {spec}.",
                    attempt=f"{letters[0]} and {letters[1]} once each, other letters for the "
                    "spatial dimensions",
                )
            )
    spatial = [letter for letter in dimension_numbers[1] if letter not in "OI"]
    found = []
    for spec, letters in zip(dimension_numbers, _LETTERS, strict=True):
        if sorted(set(spec) - set(letters)) != sorted(spatial):
            raise TypeError(
                located(
                    "convolution dimension_numbers elements must each have the same set of spatial "
                    f"characters, got {tuple(dimension_numbers)}.",
                    attempt='("NHWC", "HWIO", "NHWC")',
                )
            )
        found.append(tuple(spec.index(letter) for letter in (*letters, *spatial)))
    return ConvDimensionNumbers(*found)
