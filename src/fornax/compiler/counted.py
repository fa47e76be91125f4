"""While loops that only count are loops of a known length.

A `while_loop` whose test compares an integer that starts as a number, and grows by one number each
time, with another number runs as often as these say. As a scan, whose iterations are numbered, its
indices are known to be in bounds, and its rows to be different ones.
"""

from __future__ import annotations

from fornax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var
from fornax.ir.primitive import primitive_named
from fornax.scalars.dtypes import iinfo

#: comparisons of a counter with a limit: how far the limit is from the first number that fails
BEYOND = {"lt": 0, "le": 1, "gt": 0, "ge": -1}
TURNED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def counted(equation: Equation, inputs: tuple[Atom, ...]) -> Equation | None:
    """The scan that a while loop is, or None. Its operands are those of the loop without the
    constants of the test."""
    params = equation.params
    first = params["cond_nconsts"] + params["body_nconsts"]
    found = test_of(params["cond_jaxpr"], inputs[: params["cond_nconsts"]])
    if found is None:
        return None
    place, comparison, limit = found
    start, body = inputs[first + place], params["body_jaxpr"]
    step = step_of(body, params["body_nconsts"] + place, place)
    if not isinstance(start, Literal) or step is None or body.consts:
        return None
    if (step > 0) != (comparison in ("lt", "le")):
        return None
    begin, stop = int(start.value), limit + BEYOND[comparison]
    length = len(range(begin, stop, step))
    limits = iinfo(start.type.dtype)
    if not length or not limits.min <= begin + length * step <= limits.max:
        return None
    return Equation(
        primitive_named("scan"), inputs[params["cond_nconsts"] :],
        {
            "jaxpr": body, "length": length, "num_consts": params["body_nconsts"],
            "num_carry": len(inputs) - first, "reverse": False, "unroll": 1,
        },
        equation.outputs, equation.source,
    )  # fmt: skip


def test_of(condition: Jaxpr, given: tuple[Atom, ...]) -> tuple[int, str, int] | None:
    """(which carry, comparison, number) where a test compares a carry with a number."""
    equations = [e for e in condition.equations if e.primitive.name != "convert_element_type"]
    if len(equations) != 1 or equations[0].primitive.name not in BEYOND:
        return None
    (result,) = condition.outputs
    test = equations[0]
    same: dict[Atom, Atom] = {
        e.outputs[0]: e.inputs[0] for e in condition.equations if e is not test
    }
    if same.get(result, result) is not test.outputs[0]:  # a conversion from bool to bool
        return None
    where: dict[Var, Atom] = dict(zip(condition.inputs, given, strict=False))
    sides = [where.get(a, a) if isinstance(a, Var) else a for a in test.inputs]
    name = test.primitive.name
    if isinstance(sides[0], Literal):
        sides, name = sides[::-1], TURNED[name]
    carry, limit = sides
    carries = condition.inputs[len(given) :]
    if carry not in carries or not isinstance(limit, Literal):
        return None
    if carry.type.dtype.kind not in "iu" or carry.type.shape:
        return None
    return carries.index(carry), name, int(limit.value)


def step_of(body: Jaxpr, input: int, output: int) -> int | None:
    """The number that a body adds to one of its inputs to give one of its outputs."""
    result, carry = body.outputs[output], body.inputs[input]
    made = next((e for e in body.equations if result in e.outputs), None)
    if made is None or made.primitive.name not in ("add", "sub"):
        return None
    x, y = made.inputs
    if x is not carry and made.primitive.name == "add":
        x, y = y, x
    if x is not carry or not isinstance(y, Literal):
        return None
    return int(y.value) if made.primitive.name == "add" else -int(y.value)
