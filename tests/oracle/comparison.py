"""Outcomes of calls on Fornax, compared with those on jax."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

import fornax
from cases.row import TOLERANCE
from fornax import settings
from oracle.calls import Call
from oracle.differences import ACCIDENTS, Difference, difference
from oracle.worker import Outcome, outcome


@dataclass
class Tally:
    """What a run has compared."""

    calls: int = 0
    #: outcomes, eager and compiled apart
    comparisons: int = 0
    #: those of calls that raise an error in jax
    errors: int = 0
    #: calls in which a known difference, by its reason, was met
    known: Counter = field(default_factory=Counter)
    #: known differences that a run of everything did not meet
    unmet: list[str] = field(default_factory=list)


TALLY = Tally()


def ours(call: Call, compiled: bool) -> Outcome:
    """What a call gives on Fornax."""
    text, operands, x64 = call
    with settings.override(enable_x64=x64), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not compiled:
            return outcome(call, fornax)
        names = ", ".join(f"x{k}" for k in range(len(operands)))
        function = eval(f"lambda {names}: {text}", {"lax": fornax.lax, "np": np, "jax": fornax})
        given = {"function": fornax.jit(function), "operands": operands}
        return outcome(("function(*operands)", [], x64), fornax, given)


def check_leaf(got, want, tolerance: float, scale: float, except_at=None) -> bool:
    """Raises AssertionError where two arrays differ, except at the elements given.

    tolerance: relative to each number, or to the largest times `scale`.
    Returns whether the exempted elements differ.
    """
    assert got.dtype == want.dtype, f"dtype {got.dtype}, jax {want.dtype}"
    assert got.shape == want.shape, f"shape {got.shape}, jax {want.shape}"
    if want.dtype.names:  # float0
        same = np.ones(want.shape, bool)
    elif want.dtype.kind in "biu":
        same = got == want
    else:
        wide = np.complex128 if want.dtype.kind == "c" else np.float64
        got, want = got.astype(wide), want.astype(wide)
        with np.errstate(all="ignore"):
            size = np.abs(want)
            finite = size[np.isfinite(size)]
            least = max(1e-30, scale * finite.max() if finite.size else 0.0)
            near = np.abs(got - want) <= tolerance * np.maximum(size, least)
        same = (got == want) | near | (np.isnan(got) & np.isnan(want))
    wrong = ~same
    differs = False
    if except_at is not None:
        differs = bool(np.any(wrong & except_at))
        wrong = wrong & ~except_at
    assert not np.any(wrong), f"\n got {got[wrong][:8]}\n jax {want[wrong][:8]}"
    return differs


def agree(
    found: Outcome, expected: Outcome, tolerance: float, scale: float = 0.0, except_at=None
) -> bool:
    """Raises AssertionError where two outcomes differ; see `check_leaf`."""
    if expected[0] == "error":
        accident = expected[1][0] == "AssertionError"
        accident |= any(words in expected[2] for words in ACCIDENTS)
        if accident:
            return False
        assert found[0] == "error", f"jax raises {expected[1][0]}: {expected[2][:200]}"
        both = f"{found[1][0]}: {found[2]:.300}\n jax {expected[1][0]}: {expected[2]:.300}"
        assert expected[1][0] in found[1], both
        return False
    assert found[0] == "values", f"{found[1][0]}: {found[2]:.500}"
    assert len(found[1]) == len(expected[1]), f"{len(found[1])} leaves, jax {len(expected[1])}"
    differs = False
    for (x, weak), (y, wanted_weak) in zip(found[1], expected[1], strict=True):
        limit = tolerance * TOLERANCE.get(y.dtype.name, 0.0)
        differs |= check_leaf(x, y, limit, scale, except_at)
        assert weak == wanted_weak, f"weak_type is {weak}"
    return differs


def check_call(
    call: Call, known: Difference | None, results: Sequence[Outcome], wanted: Outcome, **limits
) -> None:
    """Raises AssertionError where a call does not do what jax does, or no longer differs."""
    TALLY.calls += 1
    TALLY.comparisons += len(results)
    TALLY.errors += len(results) * (wanted[0] == "error")
    if known is None:
        for result in results:
            agree(result, wanted, **limits)
        return
    if known.elements is not None:
        except_at = known.elements(*call[1])
        if not np.any(except_at):
            except_at = None
        differ = [agree(result, wanted, **limits, except_at=except_at) for result in results]
        TALLY.known[known.reason] += any(differ)
        must_differ = except_at is not None and not known.sometimes
        assert not must_differ or all(differ), f"no longer differs: {known.reason}"
        return
    for result in results:
        try:
            agree(result, wanted, **limits)
        except AssertionError:
            TALLY.known[known.reason] += 1
            continue
        assert known.sometimes, f"no longer differs: {known.reason}"


def compare(asked, compiled: bool = False, **limits) -> None:
    """Every call that jax was asked, eager and, if wanted, compiled."""
    calls, answers = asked
    modes = (False, True) if compiled else (False,)
    found = [[ours(call, mode) for mode in modes] for call in calls]
    wrong = []
    for call, results, wanted in zip(calls, found, answers(), strict=True):
        try:
            check_call(call, difference(call[0], call[1]), results, wanted, **limits)
        except AssertionError as error:
            types = ", ".join(f"{x.dtype.name}{list(x.shape)}" for x in call[1])
            wrong.append(f"{call[0]} of {types}, x64={call[2]}:\n    {error}")
    assert not wrong, f"{len(wrong)} differences\n" + "\n".join(wrong)
