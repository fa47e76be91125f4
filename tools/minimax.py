"""Minimax polynomials by the Remez exchange, in high precision, with coefficients that round.

`fit` finds the c_k that minimise the largest |(f(x) - sum c_k x**k) * weight(x)| over an interval.
Coefficients are rounded one after the other, from the lowest power up, and the rest are fitted
again around each rounded one, so that the rounded polynomial is nearly as good as the exact one.

`tools/coefficients.py` holds the list of polynomials and writes them into the compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from mpmath import mp, mpf

mp.dps = 50


def chebyshev(count: int, low: mpf, high: mpf) -> list[mpf]:
    """Extremes of a Chebyshev polynomial on [low, high], ascending."""
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle - half * mp.cos(mp.pi * k / (count - 1)) for k in range(count)]


def rounded(value: mpf, bits: int) -> mpf:
    """`value` rounded to `bits` binary digits (24: float32, 53: float64)."""
    if value == 0:
        return mpf(0)
    mantissa, exponent = mp.frexp(value)
    return mp.ldexp(mp.nint(mp.ldexp(mantissa, bits)), int(exponent) - bits)


class Fit:
    """One approximation problem: samples of f and of the weight are computed once."""

    def __init__(self, f: Callable, powers: Sequence[int], low, high, weight: Callable):
        self.f, self.powers, self.weight = f, tuple(powers), weight
        self.low, self.high = mpf(low), mpf(high)
        samples = 24 * (len(self.powers) + 2)
        self.grid = chebyshev(samples, self.low, self.high)
        self.values = [f(x) for x in self.grid]
        self.weights = [weight(x) for x in self.grid]
        # powers of x / unit are all of the size of 1, which keeps the equations solvable
        self.unit = max(abs(self.low), abs(self.high))
        self.columns = np.array(
            [
                [(x / self.unit) ** k * w for k in self.powers]
                for x, w in zip(self.grid, self.weights, strict=True)
            ]
        )
        self.target = np.array([v * w for v, w in zip(self.values, self.weights, strict=True)])

    def error(self, coefficients: dict[int, mpf]) -> mpf:
        """The largest weighted error of a polynomial with these coefficients."""
        vector = np.array([coefficients[k] * self.unit**k for k in self.powers])
        return max(abs(e) for e in self.target - self.columns @ vector)

    def least_squares(self, columns: list[int], target: np.ndarray) -> np.ndarray:
        """Errors of a first approximation: least squares on part of the samples."""
        rows = range(0, len(self.grid), 6)
        matrix = mp.matrix([[self.columns[i, k] for k in columns] for i in rows])
        found, _ = mp.qr_solve(matrix, mp.matrix([target[i] for i in rows]))
        return target - self.columns[:, columns] @ np.array(list(found))

    def solve(self, fixed: dict[int, mpf]) -> tuple[dict[int, mpf], mpf]:
        """The free coefficients given the fixed ones, and the largest weighted error."""
        free = [k for k in self.powers if k not in fixed]
        columns = [self.powers.index(k) for k in free]
        target = self.target.copy()
        for k, c in fixed.items():
            target = target - self.columns[:, self.powers.index(k)] * (c * self.unit**k)
        if not free:
            return dict(fixed), self.error(fixed)
        # where the lowest free power changes sign with x, so does the pattern of the best error
        turn = np.array([1 if c > 0 else -1 for c in self.columns[:, columns[0]]])
        count = len(free) + 1
        chosen = [round(i * (len(self.grid) - 1) / (count - 1)) for i in range(count)]
        fresh = exchange(self.least_squares(columns, target) * turn, count)
        chosen = chosen if fresh is None else fresh
        for _ in range(30):
            matrix = mp.matrix(count, count)
            right = mp.matrix(count, 1)
            for row, sample in enumerate(chosen):
                for column, where in enumerate(columns):
                    matrix[row, column] = self.columns[sample, where]
                matrix[row, count - 1] = int(turn[sample]) * (-1) ** row
                right[row] = target[sample]
            solution = mp.lu_solve(matrix, right)
            found = np.array([solution[i] for i in range(len(free))])
            error = target - self.columns[:, columns] @ found
            level, worst = abs(solution[count - 1]), max(abs(e) for e in error)
            fresh = exchange(error * turn, count)
            if fresh is None or fresh == chosen or worst < level * mpf("1.001"):
                break
            chosen = fresh
        real = {k: c / self.unit**k for k, c in zip(free, found, strict=True)}
        return {**fixed, **real}, worst


def exchange(error: np.ndarray, count: int) -> list[int] | None:
    """`count` samples of alternating sign where the error is locally largest."""
    peaks: list[int] = []
    for i, e in enumerate(error):
        if peaks and (e > 0) == (error[peaks[-1]] > 0):
            if abs(e) > abs(error[peaks[-1]]):
                peaks[-1] = i
        else:
            peaks.append(i)
    while len(peaks) > count:  # drop the weaker end
        peaks.pop(0 if abs(error[peaks[0]]) < abs(error[peaks[-1]]) else -1)
    return peaks if len(peaks) == count else None


def fit(
    f: Callable,
    powers: Sequence[int],
    low,
    high,
    bits: int,
    weight: Callable = lambda x: mpf(1),
    fixed: dict[int, mpf] | None = None,
) -> tuple[list[mpf], float]:
    """Coefficients (rounded to `bits`, in the order of `powers`) and the largest weighted error."""
    problem = Fit(f, powers, low, high, weight)
    known = {k: mpf(c) for k, c in (fixed or {}).items()}
    current, best = problem.solve(known)
    for power in problem.powers:
        every = {k: known.get(k, rounded(c, bits)) for k, c in current.items()}
        if problem.error(every) < best * mpf("1.02"):
            known = every
            break
        if power not in known:
            known[power] = rounded(current[power], bits)
            current = {**current, **known}
            if len(known) > 8:
                continue  # what is left to gain is small
            again, error = problem.solve(known)
            if error < problem.error(current):  # the exchange may fail when few are free
                current = again
    return [known[k] for k in problem.powers], float(problem.error(known))


def fit_rational(
    f: Callable,
    top: int,
    bottom: int,
    low,
    high,
    weight: Callable = lambda x: mpf(1),
    rounds: int = 60,
) -> tuple[list[mpf], list[mpf], float]:
    """P of degree `top` over Q of degree `bottom` with Q(0) = 1, nearly minimising the largest
    |(f - P/Q) weight|.

    Least squares of (f Q - P) weight / (the last Q), where samples with large errors count more
    and more (Lawson's weights). The coefficients are not rounded.
    """
    low, high = mpf(low), mpf(high)
    count = top + bottom + 1
    grid = chebyshev(8 * count, low, high)
    target = [f(x) for x in grid]
    weights = [weight(x) for x in grid]
    emphasis = [mpf(1)] * len(grid)
    q = [mpf(1)]
    best: tuple = (mp.inf, None, None)
    for _ in range(rounds):
        matrix, right = mp.matrix(len(grid), count), mp.matrix(len(grid), 1)
        for row, (x, t, w, e) in enumerate(zip(grid, target, weights, emphasis, strict=True)):
            scale = w * mp.sqrt(e) / mp.polyval(q[::-1], x)
            for k in range(top + 1):
                matrix[row, k] = x**k * scale
            for k in range(1, bottom + 1):
                matrix[row, top + k] = -t * x**k * scale
            right[row] = t * scale
        solution, _ = mp.qr_solve(matrix, right)
        p = [solution[k] for k in range(top + 1)]
        q = [mpf(1)] + [solution[top + k] for k in range(1, bottom + 1)]
        error = [
            abs((t - mp.polyval(p[::-1], x) / mp.polyval(q[::-1], x)) * w)
            for x, t, w in zip(grid, target, weights, strict=True)
        ]
        worst = max(error)
        if worst < best[0]:
            best = (worst, p, q)
        emphasis = [e * (mpf("0.02") + d / worst) for e, d in zip(emphasis, error, strict=True)]
        mean = sum(emphasis) / len(emphasis)
        emphasis = [e / mean for e in emphasis]
    return best[1], best[2], float(best[0])
