"""How far to go in a direction: a step that satisfies the strong Wolfe conditions.

Algorithms 3.5 and 3.6 of Nocedal and Wright, "Numerical Optimization", 2006.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fornax import lax, pytree
from fornax import numpy as fnp
from fornax.api.grad import value_and_grad
from fornax.scalars import dtypes

__all__ = ["Found", "line_search", "product", "whole"]

#: how much the value must fall, and the slope become flatter
_FALL, _FLATTER = 1e-4, 0.9
#: how close to an end a cubic's and a parabola's minimum may lie
_CUBIC, _PARABOLA = 0.2, 0.1
_MOST_ZOOMS = 30


class Point(NamedTuple):
    """A step, and value, slope and gradient there."""

    step: Any
    value: Any
    slope: Any
    gradient: Any


class Found(NamedTuple):
    """The point reached; status: 0, 1 where no step was found, 3 after too many doublings."""

    failed: Any
    status: Any
    point: Point
    evaluations: Any


def product(x: Any, y: Any) -> Any:
    """The product of vectors or matrices, as exact as the dtype is."""
    return fnp.dot(x, y, precision=lax.Precision.HIGHEST)


def whole(number: int) -> Any:
    """A number as a counter of a loop."""
    return fnp.asarray(number, dtypes.canonical(np.int64))


def _choose(condition: Any, one: Any, other: Any) -> Any:
    return pytree.tree_map(lambda a, b: fnp.where(condition, a, b), one, other)


def line_search(
    function: Callable[[Any], Any], x: Any, direction: Any, value: Any, before: Any, gradient: Any,
    most: int,
) -> Found:  # fmt: skip
    """A step from `x` along `direction`.

    value, gradient: of the function at x. before: the value one iteration ago, which says how long
    the first step should be. most: how often the step is doubled.
    """
    slope = fnp.real(product(gradient, direction))
    start = Point(fnp.zeros((), direction.dtype), value, slope, gradient)

    def at(step: Any) -> Point:
        found, there = value_and_grad(function)(x + step * direction)
        there = there.astype(gradient.dtype)
        along = fnp.real(product(there, direction)).astype(slope.dtype)
        return Point(step, found.astype(value.dtype), along, there)

    def high(point: Point) -> Any:
        return point.value > value + _FALL * point.step * slope

    def flat(point: Point) -> Any:
        return fnp.abs(point.slope) <= -_FLATTER * slope

    first = 1.01 * 2 * (value - before) / slope
    first = fnp.where(first > 1, 1.0, first).astype(direction.dtype)

    def going(state: Any) -> Any:
        done, failed, count, *_ = state
        return ~done & ~failed & (count <= most)

    def double(state: Any) -> Any:
        done, failed, count, last, best, evaluations = state
        point = at(fnp.where(count == 1, first, last.step * 2))
        beyond = high(point) | (point.value >= last.value) & (count > 1)
        good = flat(point) & ~beyond
        rising = (point.slope >= 0) & ~beyond & ~good
        between = beyond | rising
        inside, lost, more = _zoom(
            at, high, flat, _choose(beyond, last, point), _choose(beyond, point, last), start,
            between,
        )  # fmt: skip
        best = _choose(between, inside, _choose(good, point, best))
        return (
            done | between | good, failed | between & lost, count + 1, point, best,
            evaluations + 1 + more,
        )  # fmt: skip

    false = fnp.asarray(False)
    state = (false, false, whole(1), start, start, whole(0))
    done, failed, count, _, best, evaluations = lax.while_loop(going, double, state)
    status = fnp.where(failed, whole(1), fnp.where(count > most, whole(3), whole(0)))
    if dtypes.finfo(best.step.dtype).bits != 64:  # smaller steps do not change x: it would stay
        tiny = fnp.abs(best.step) < 1e-8
        best = best._replace(step=fnp.where(tiny, fnp.sign(best.step) * 1e-8, best.step))
    return Found(failed | ~done, status, best, evaluations)


def _zoom(at: Any, high: Any, flat: Any, low: Point, top: Point, start: Point, needed: Any) -> Any:
    """(point, whether none was found, evaluations) between two ends, the first the lower one."""
    narrow = 1e-10 if dtypes.finfo(low.step.dtype).bits == 64 else 1e-5

    def going(state: Any) -> Any:
        done, failed, *_ = state
        return needed & ~done & ~failed

    def narrower(state: Any) -> Any:
        done, failed, count, low, top, recent, found = state
        width = fnp.abs(top.step - low.step)
        failed = failed | (width <= narrow)
        left = fnp.minimum(low.step, top.step)

        def inside(step: Any, margin: float) -> Any:
            return (step > left + margin * width) & (step < left + width - margin * width)

        cubic, parabola = _cubic(low, top, recent), _parabola(low, top)
        middle = (low.step + top.step) / 2
        step = fnp.where(inside(parabola, _PARABOLA), parabola, middle)
        step = fnp.where((count > 0) & inside(cubic, _CUBIC), cubic, step)
        point = at(step)
        is_top = high(point) | (point.value >= low.value)
        good = flat(point) & ~is_top
        turned = (point.slope * (top.step - low.step) >= 0) & ~is_top & ~good
        recent = _choose(is_top | turned, top, low)
        new_top = _choose(is_top, point, _choose(turned, low, top))
        low = _choose(is_top | good, low, point)
        return (
            done | good, failed | (count + 1 >= _MOST_ZOOMS), count + 1, low, new_top, recent,
            _choose(good, point, found),
        )  # fmt: skip

    false = fnp.asarray(False)
    lost = Point(fnp.ones_like(low.step), low.value, low.slope, start.gradient)
    state = (false, false, whole(0), low, top, low, lost)
    _, failed, count, *_, found = lax.while_loop(going, narrower, state)
    return found, failed, count


def _parabola(low: Point, top: Point) -> Any:
    """Where the parabola through both values with the slope at the lower end is least."""
    width = top.step - low.step
    bend = (top.value - low.value - low.slope * width) / width**2
    return low.step - low.slope / (2 * bend)


def _cubic(low: Point, top: Point, recent: Point) -> Any:
    """Where the cubic through three values with the slope at the lower end is least."""
    b, c = top.step - low.step, recent.step - low.step
    of_b = top.value - low.value - low.slope * b
    of_c = recent.value - low.value - low.slope * c
    size = (b * c) ** 2 * (b - c)
    third = (c**2 * of_b - b**2 * of_c) / size
    second = (b**3 * of_c - c**3 * of_b) / size
    return low.step + (fnp.sqrt(second**2 - 3 * third * low.slope) - second) / (3 * third)
