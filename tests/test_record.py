"""Records behave as dataclasses do."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from fornax import record as records
from fornax.record import record


def family(decorate, field):
    @decorate(frozen=True)
    class Point:
        x: int
        y: float = 2.0
        seen: list = field(default_factory=list, repr=False)

    @decorate(frozen=True)
    class Solid(Point):
        z: int = 3
        time: float = field(default_factory=lambda: 7.0, kw_only=True)

    @decorate
    class Loose:
        a: int
        b: dict = field(default_factory=dict)

    @decorate(eq=False)
    class Same:
        a: int
        b: int = 0

    @decorate(slots=True, frozen=True)
    class Slotted:
        a: int
        b: int = 4

    return Point, Solid, Loose, Same, Slotted


OURS = family(record, records.field)
THEIRS = family(dataclasses.dataclass, dataclasses.field)
PAIRS = list(zip(OURS, THEIRS, strict=True))


@record(frozen=True)
class Kept:
    """At module level, for pickle."""

    a: int
    b: tuple = ()


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("arguments", [(1,), (5, 6)])
def test_as_dataclasses(ours, theirs, arguments):
    a, b = ours(*arguments), theirs(*arguments)
    assert repr(a) == repr(b)
    assert (a == ours(*arguments)) == (b == theirs(*arguments))
    assert (a == b) is False and a != ours(9)
    assert [f.name for f in dataclasses.fields(a)] == [f.name for f in dataclasses.fields(b)]
    assert dataclasses.is_dataclass(a)
    assert ours.__match_args__ == theirs.__match_args__
    assert hasattr(a, "__dict__") == hasattr(b, "__dict__")
    assert repr(dataclasses.replace(a, **{a.__match_args__[0]: 8})) == repr(
        records.replace(a, **{a.__match_args__[0]: 8})
    )


def test_hash():
    assert hash(Kept(1, (2,))) == hash(Kept(1, (2,))) and len({Kept(1), Kept(1)}) == 1
    loose, same = OURS[2], OURS[3]
    with pytest.raises(TypeError, match="unhashable"):
        hash(loose(1))
    assert len({same(1), same(1)}) == 2


def test_arguments():
    point, solid, loose, *_ = OURS
    assert solid(1, time=3.0).time == 3.0 and solid(1, 2.0, [], 4).z == 4
    assert loose(1).b is not loose(1).b
    for wrong in (lambda: point(), lambda: point(1, 2, [], 4), lambda: solid(1, 2, [], 3, 4)):
        with pytest.raises(TypeError):
            wrong()


def test_frozen():
    for made in (OURS[0](1), OURS[4](1)):
        with pytest.raises(AttributeError, match="cannot assign"):
            made.x = 2
        with pytest.raises(AttributeError, match="cannot delete"):
            del made.x


def test_copies():
    made = Kept(1, (2, 3))
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == copy.copy(made) == made
