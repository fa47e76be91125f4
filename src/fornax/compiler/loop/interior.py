"""Loops that choose by where they are, cut where they choose otherwise.

Padded arrays, their derivatives and joined arrays are read under conditions that have one answer
nearly everywhere:

    for i < n: for j < m: y[i, j] = select(ge(i, 1), x[i - 1, j], 0) + select(lt(j, m - 1), …, 0)

Rows in the interior, of which all answers are known, get loops of their own, and those are cut
along the row: near its ends by whole cache lines, so that vectors stay where they were, elsewhere
where the answer changes. What is left in the middle has no conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from fornax._native import reachable
from fornax.compiler.loop import affine
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import WIDTH, Axis, Expr, For, If, Kernel, Statement, Store
from fornax.compiler.loop.rewrite import Rewriter, expressions

#: nests of fewer iterations are left as they are, and rows of fewer cache lines in one piece
RARE, SHORTEST = 1 << 14, 8
#: cache lines of rows that are cut although they may begin in the middle of one: several more lines
#: of each are written in parts
LONG = 64
#: iterations of an outer loop for each of those with other answers
USUAL = 8
#: bytes of a cache line
LINE = 64
#: most pieces of a row, and most nodes of a body, which is there once for each
PIECES, NODES = 6, 1000
#: most pieces that are joined where they are read
JOINED = 3


def interior(kernel: Kernel) -> Kernel:
    """The flat kernel with such loops cut."""
    found: dict[For, list[Axis]] = {}
    below(kernel.body, [], found)
    return Cutter(found).kernel(kernel) if found else kernel


def below(body: tuple[Statement, ...], outer: list[Axis], found: dict[For, list[Axis]]) -> None:
    """The innermost loops of a body that are to be cut, with the loops around them."""
    for statement in body:
        if not isinstance(statement, For) or not isinstance(statement.axis.extent, int):
            continue
        if statement.kind != "serial" or statement.carries or statement.reverse:
            continue
        if all(isinstance(s, Store) for s in statement.body):
            if chooses(statement, outer):
                found[statement] = outer
        else:
            below(statement.body, [*outer, statement.axis], found)


def chooses(loop: For, outer: list[Axis]) -> bool:
    """Whether a loop is one of those, and large enough."""
    if not outer or prod(axis.length for axis in (*outer, loop.axis)) < RARE:
        return False  # a single loop is shared by threads as it is
    if loop.axis.length < line(loop):
        return False
    nodes = reachable(expressions(loop.body))
    written = {s.buffer for s in loop.body if isinstance(s, Store)}
    if len(nodes) > NODES or any(n.kind == "load" and n.data in written for n in nodes):
        return False
    known = usual(nodes, outer)
    changing = [n for n in nodes if (at := boundary(n)) and at[0] in outer and n not in known]
    if any(0 < at[1] < at[0].length for at in map(boundary, changing) if at):
        return False  # there is no interior to speak of
    return bool(known) or len(pieces(loop)) > 1


def line(loop: For) -> int:
    """Elements of a cache line of the narrowest results."""
    return LINE * 8 // min(WIDTH[s.buffer.dtype] for s in loop.body if isinstance(s, Store))


def boundary(node: Expr) -> tuple[Axis, int] | None:
    """Where along an axis the answer of a comparison changes: the first place with the second."""
    if node.kind != "op" or node.data not in ("lt", "ge") or node.args[0].dtype != "int64":
        return None
    terms, constant = affine.linear(node.args[0])
    if node.args[1].kind != "const" or len(terms) != 1 or terms[0][0].kind != "axis":
        return None
    (part, step), end = terms[0], node.args[1].data - constant
    if step not in (1, -1):
        return None
    return part.data, end if step == 1 else 1 - end


def usual(nodes: list[Expr], outer: list[Axis]) -> dict[Expr, bool]:
    """Comparisons of outer axes that have one answer nearly everywhere, with that."""
    found: dict[Expr, bool] = {}
    for node in nodes:
        place = boundary(node)
        if place is None or place[0] not in outer:
            continue
        (axis, at), rising = place, affine.linear(node.args[0])[0][0][1] == 1
        first = (node.data == "lt") == rising  # the answer before the boundary
        if 0 < at < axis.length and min(at, axis.length - at) * USUAL <= axis.length:
            found[node] = first if 2 * at > axis.length else not first
    return found


def pieces(loop: For) -> list[int]:
    """Where the pieces of a loop begin."""
    extent, step = loop.axis.length, line(loop)
    starts = {0}
    begin_even = all(even(s, loop, step) for s in loop.body)
    if extent < SHORTEST * step or (extent < LONG * step and not begin_even):
        return [0]
    for node in reachable(expressions(loop.body)):
        place = boundary(node)
        if place is not None and place[0] is loop.axis and 0 < place[1] < extent:
            at = place[1]
            if at <= step:
                at = step
            elif at >= extent - step:
                at = (extent - step) // step * step
            starts.add(at)
    found = sorted(starts)
    return found if len(found) <= PIECES else [0]


def even(store: Statement, loop: For, step: int) -> bool:
    """Whether the rows that a loop writes all begin at cache lines if the first one does."""
    assert isinstance(store, Store), "such loops do nothing else"
    terms, constant = affine.linear(store.index[0])
    moves = [by for part, by in terms if part.kind != "axis" or part.data is not loop.axis]
    return all(by % step == 0 for by in (*moves, constant))


class Cutter(Rewriter):
    """Cuts the innermost loops in `found`, given with the loops around them."""

    def __init__(self, found: dict[For, list[Axis]]):
        super().__init__(Builder())
        self.found = found

    def statement(self, old: Statement) -> Iterator[Statement]:
        if isinstance(old, For):
            self.b.axis(old.axis)
        if not isinstance(old, For) or old not in self.found:
            yield from super().statement(old)
            return
        answers = usual(reachable(expressions(old.body)), self.found[old])
        if not answers:
            yield from self.cut(old, {})
            return
        condition = self.b.const(True, "bool")
        for node, answer in answers.items():
            here = self(node)
            condition = self.b.and_(condition, here if answer else self.b.not_(here))
        rest = self.part(old, {}, 0, old.axis.length)
        yield If(condition, tuple(self.cut(old, answers)), (rest,))

    def cut(self, loop: For, answers: dict[Expr, bool]) -> Iterator[Statement]:
        """The loop in pieces, with some answers known."""
        starts = pieces(loop)
        for begin, end in zip(starts, [*starts[1:], loop.axis.length], strict=True):
            yield self.part(loop, answers, begin, end)

    def part(self, loop: For, answers: dict[Expr, bool], begin: int, end: int) -> For:
        axis = Axis(end - begin, loop.axis.name)
        copy = Rewriter(self.b)
        copy.buffers, copy.bound = self.buffers, dict(self.bound)
        copy.bound["axis", loop.axis] = self.b.add(self.b.axis(axis), self.b.index(begin))
        copy.memo = {node: self.b.const(answer, "bool") for node, answer in answers.items()}
        return For(axis, copy.statements(loop.body))
