"""Factors that all terms of a sum have in common are multiplied afterwards.

    sum(x · broadcast(c))    ->  c · sum(x)

The gradient of a batch normalization adds up columns of g, of g s and of g s / d, and those of x g
and of x g s, with s and d the same for a whole column. As written, each is a sum of its own, for
which large arrays come from memory again, because d is known only when others have been added up.
Without the factors they are two sums, and made together. The result is rounded less often.

The gradient of x / s by s, which a softmax needs, adds up rows of -g (x / s / s): two divisions of
each element, and a loop over the row of its own, as s is a sum of the same row. That is
-sum(g x) / s / s, and sum(g x) is made together with s. Rows lose their divisors only where what
they divide is one part of the terms: x / m times y / n may be divided so that products stay finite,
as x / m times x / m is, which columns are left with, too. The same holds for what multiplies them
where that comes from a reduction, as in the gradient of a logsumexp.

Contributions to one gradient, which differentiation adds up, have sums of their own where each has
a factor that comes from a reduction:

    sum(x · broadcast(c) + y · broadcast(d))    ->  c · sum(x) + d · sum(y)

The gradient of a layer normalization has the sum of such contributions to the mean of a row. As
written it takes a loop over the row after the one that gives their factors. The sums of g and of
x - mean are made in that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fornax.compiler.deviations import FAR
from fornax.compiler.two_stages import STREAMED, is_read
from fornax.ir.basis import add, add_any_p, broadcast_in_dim, reduce_sum
from fornax.ir.jaxpr import Atom, Equation, Jaxpr
from fornax.ir.trace import new_trace
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.elementwise import div_p, mul_p, neg_p
from fornax.primitives.shape import reshape
from fornax.transforms.stage import Stage

#: most factors of a term, and contributions to a gradient
MOST = 8
#: most operations that are looked at to find them: programs may be one product of thousands
STEPS = 32


class Product:
    """A term as a product: `leaves` differ from term to term, what is in `factors` (with whether it
    divides, and along which dimensions it lies) does not."""

    def __init__(self, atom: Atom, axes: tuple[int, ...], definition: Mapping[Atom, Equation]):
        self.axes = axes
        self.definition = definition
        self.leaves: list[Atom] = []
        self.factors: list[tuple[Atom, bool, tuple[int, ...]]] = []
        self.scaled: list[range | None] = []  # which leaves each factor multiplies
        self.negative = False
        self.steps = 0
        self.take(atom)

    def take(self, atom: Atom) -> None:
        first, known = len(self.leaves), len(self.factors)
        self.parts(atom)
        self.scaled += [None] * (len(self.factors) - len(self.scaled))
        if len(self.leaves) > first:
            here = range(first, len(self.leaves))
            self.scaled[known:] = [scaled or here for scaled in self.scaled[known:]]

    @property
    def is_of_rows(self) -> bool:
        """Whether terms are divided by what differs from row to row, or multiplied by what is known
        when a row has been gone through, and what is multiplied or divided is one part of them."""
        if not any(
            atom.type.shape and (divides or self.waits(atom)) for atom, divides, _ in self.factors
        ):
            return False
        ranges = [scaled or range(len(self.leaves)) for scaled in self.scaled]
        largest = max(ranges, key=len)
        return all(set(r) <= set(largest) for r in ranges)

    @property
    def is_sum_of(self) -> bool:
        """Whether there is something to multiply afterwards, and what is left is of other values
        each: x / m times x / m is divided so that squares stay finite."""
        return bool(self.factors) and 0 < len(set(self.leaves)) == len(self.leaves)

    @property
    def follows(self) -> bool:
        """Whether a factor is known only when something has been reduced."""
        return any(self.waits(factor) for factor, _, _ in self.factors)

    def waits(self, factor: Atom) -> bool:
        """Whether a factor is made of a reduction."""
        pending, steps = [factor], 0
        while pending and steps < FAR:
            steps += 1
            made = self.definition.get(pending.pop())
            if made is not None:
                if made.primitive.name.startswith("reduce_"):
                    return True
                pending += made.inputs
        return False

    def parts(self, atom: Atom) -> None:
        made = self.definition.get(atom)
        self.steps += 1
        many = len(self.leaves) + len(self.factors) >= MOST or self.steps > STEPS
        if not atom.type.shape:
            self.factors.append((atom, False, ()))
        elif made is None or many:
            self.leaves.append(atom)
        elif made.primitive is mul_p:
            for part in made.inputs:
                self.take(part)
        elif made.primitive is neg_p:
            self.negative = not self.negative
            self.take(made.inputs[0])
        elif made.primitive is div_p and (divisor := self.common(made.inputs[1])) is not None:
            self.take(made.inputs[0])
            self.factors.append((divisor[0], True, divisor[1]))
        elif (factor := self.common(atom)) is not None:
            self.factors.append((factor[0], False, factor[1]))
        else:
            self.leaves.append(atom)

    def common(self, atom: Atom) -> tuple[Atom, tuple[int, ...]] | None:
        """What fills an array that is the same along the axes, and along which dimensions."""
        if not atom.type.shape:
            return atom, ()
        made = self.definition.get(atom)
        if made is None or made.primitive.name != "broadcast_in_dim":
            return None
        (small,), places = made.inputs, tuple(made.params["broadcast_dimensions"])
        pairs = zip(places, small.type.shape, strict=True)
        return (small, places) if all(n == 1 for d, n in pairs if d in self.axes) else None


def contributions(terms: Atom, definition: Mapping[Atom, Equation]) -> list[tuple[Atom, bool]]:
    """What differentiation has added up, and whether it is taken with the other sign; if that is a
    lot, no more than what shows it. (Sums may be as deep as a program is long.)"""
    found: list[tuple[Atom, bool]] = []
    pending, steps = [(terms, False)], 0
    while pending and steps <= FAR and len(found) <= MOST:
        steps += 1
        atom, negative = pending.pop()
        made = definition.get(atom)
        if made is not None and made.primitive is neg_p:
            pending.append((made.inputs[0], not negative))
        elif made is not None and made.primitive is add_any_p:
            pending += [(part, negative) for part in reversed(made.inputs)]
        else:
            found.append((atom, negative))
    return found + pending


def without_factors(
    terms: Atom, axes: tuple[int, ...], definition: Mapping[Atom, Equation],
    order: dict[Atom, int],
) -> tuple[tuple[Atom, ...], Jaxpr] | None:  # fmt: skip
    """What a sum of columns of a large array, or of rows, is made of, and the program that computes
    it with common factors last; None if there are none. `order`: that of the leaves."""
    type = terms.type
    if type.dtype.kind != "f" or type.dtype.itemsize < 4:
        return None
    along = len(type.shape) - 1 in axes
    if not along and type.size * type.dtype.itemsize < STREAMED:
        return None
    parts = contributions(terms, definition)
    if len(parts) > MOST:
        return None
    products: list[Product] = []
    for atom, negative in parts:
        product = Product(atom, axes, definition)
        product.negative ^= negative
        if not product.is_sum_of or along and not product.is_of_rows:
            return None
        if any(leaf.type.dtype != type.dtype for leaf in product.leaves):
            return None
        product.leaves.sort(key=lambda leaf: order.setdefault(leaf, len(order)))
        products.append(product)
    if len(products) > 1 and not all(product.follows for product in products):
        return None
    if not is_read(terms, definition):
        return None
    atoms = dict.fromkeys(
        atom for p in products for atom in (*p.leaves, *(small for small, _, _ in p.factors))
    )
    return tuple(atoms), program(products, tuple(atoms), axes, type)


def program(
    products: Sequence[Product], atoms: tuple[Atom, ...], axes: tuple[int, ...], type: ArrayType
) -> Jaxpr:
    """The sum of sums of `products`, which are made of `atoms`."""
    trace = Stage(purpose="a sum with common factors")
    with new_trace(trace):
        values = {atom: trace.new_input(atom.type) for atom in atoms}
        sums: dict[tuple[Atom, ...], Any] = {}
        whole: Any = None
        for product in products:
            leaves = tuple(product.leaves)
            if leaves not in sums:
                terms = values[leaves[0]]
                for leaf in leaves[1:]:
                    terms = mul_p(terms, values[leaf])
                sums[leaves] = reduce_sum(terms, axes)
            total = scaled(sums[leaves], product, values, type)
            whole = total if whole is None else add(whole, total)
        return trace.finish([whole], "factors")


def scaled(total: Any, product: Product, values: Mapping[Atom, Any], type: ArrayType) -> Any:
    """A sum of what a product leaves, with its factors and its sign."""
    kept = [d for d in range(len(type.shape)) if d not in product.axes]
    for atom, divides, places in product.factors:
        mine = [k for k, d in enumerate(places) if d not in product.axes]
        small = reshape(values[atom], tuple(atom.type.shape[k] for k in mine))
        at = [kept.index(places[k]) for k in mine]
        filled = broadcast_in_dim(small, typeof(total).shape, at)
        total = div_p(total, filled) if divides else mul_p(total, filled)
    return neg_p(total) if product.negative else total
