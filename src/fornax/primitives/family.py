"""The elementwise family: every rule of an operation that computes one element from one element.

An operation is one `Elementwise` object, a row of a table: its NumPy meaning, the dtypes it takes,
its derivatives written with operations, its loop-IR operation and its cost. Shapes, mixing of
scalars with arrays, small floats, batching and transposition are settled here once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax.ir.basis import add, broadcast_in_dim, move_axis, reduce_sum
from fornax.ir.primitive import Linear, Primitive, Zero
from fornax.ir.types import ArrayType, typeof
from fornax.scalars import dtypes, formats
from fornax.scalars.promotion import no_float0
from fornax.source import here, located, stand_for

#: letters for the categories of dtypes that an operand position accepts
BOOL, SIGNED, UNSIGNED, FLOAT, COMPLEX, KEY = "b", "i", "u", "f", "c", "k"
INTEGER = SIGNED + UNSIGNED
INEXACT = FLOAT + COMPLEX
NUMBER = INTEGER + INEXACT
LOGICAL = BOOL + INTEGER
ORDERED = BOOL + INTEGER + FLOAT
ANY = BOOL + NUMBER

_CATEGORY_NAMES = {
    BOOL: "bool", SIGNED: "signedinteger", UNSIGNED: "unsignedinteger", FLOAT: "floating",
    COMPLEX: "complexfloating", KEY: "prng_key",
}  # fmt: skip


#: most operand types whose result type an operation remembers
REMEMBERED = 4096


def category(dtype: dtypes.Dtype) -> str:
    """The letter of a dtype's category; "" for float0."""
    if isinstance(dtype, dtypes.ExtendedDtype):
        return KEY
    if dtypes.is_inexact(dtype):
        return COMPLEX if dtype.kind == "c" else FLOAT
    if dtypes.is_integer(dtype):
        return SIGNED if dtypes.is_signed_integer(dtype) else UNSIGNED
    return BOOL if dtype == dtypes.bool_ else ""


@functools.cache
def computed_in(dtype: dtypes.Dtype) -> dtypes.Dtype:
    """The dtype that elements are computed in: float32 for the smaller floats, int8 for int4."""
    row = formats.FORMATS.get(dtype.name)
    return dtype if row is None else np.dtype(row.computed)


def widened(x: Any) -> np.ndarray:
    """A NumPy value in the dtype it is computed in."""
    x = np.asarray(x)
    return x.astype(computed_in(x.dtype), copy=False)


def narrowed(x: Any, dtype: np.dtype) -> np.ndarray:
    """A computed NumPy value rounded (or wrapped) to its array dtype."""
    x = np.asarray(x)
    if dtype.name in formats.FORMATS:
        return formats.narrowed(x, dtype)
    return x.astype(dtype, copy=False)


def constant(like: Any, value: complex) -> Any:
    """The number `value` with the dtype (and weakness) of the value `like`."""
    type = typeof(like)
    if type.weak_type:
        plain = complex(value) if dtypes.is_complex(type.dtype) else float(value.real)
        if dtypes.is_inexact(type.dtype) and typeof(plain).dtype == type.dtype:
            return plain
    return np.asarray(value, type.dtype)[()]


def common_shape(name: str, types: Sequence[ArrayType]) -> tuple[int, ...]:
    """The shape of the result: that of the operands which are not scalars."""
    shapes = {t.shape for t in types if t.shape}
    if not shapes:
        return ()
    if len(shapes) == 1:
        return shapes.pop()
    ranks = {len(s) for s in shapes}
    if len(ranks) > 1:
        raise TypeError(
            located(
                f"{name}: arrays must have the same number of dimensions, got {ranks}",
                attempt="x[None] or reshape, or the function in fornax.numpy, which broadcasts",
            )
        )
    listed = ", ".join(str(t.shape) for t in types)
    raise TypeError(
        located(
            f"{name} got incompatible shapes for broadcasting: {listed}.",
            "an elementwise operation takes equal shapes and scalars; numpy also repeats "
            "dimensions of size 1",
            "x[:, None] or reshape, to say along which dimension an array is repeated",
        )
    )


def unbroadcast(cotangent: Any, type: ArrayType) -> Any:
    """The cotangent of an operand that may be a scalar used by every element."""
    shape = typeof(cotangent).shape
    if shape == type.shape:
        return cotangent
    return reduce_sum(cotangent, tuple(range(len(shape))))


def batch_elementwise(
    primitive: Primitive,
    size: int,
    operands: Sequence[Any],
    dims: Sequence[int | None],
    params: dict,
) -> tuple[list[Any], list[int | None]]:
    """Batching of operations on operands of one shape or none.

    Scalars that are not mapped stay scalars. The mapped axis stays where the first mapped array
    has it; arrays that have it elsewhere, or not at all, are aligned with that one.
    """
    shapes = [typeof(x).shape for x in operands]
    # shape and mapped dimension of the operand that all others follow
    leading = ((s, d) for s, d in zip(shapes, dims, strict=True) if d is not None and len(s) > 1)
    leader = next(leading, None)
    plain = next((s for s, d in zip(shapes, dims, strict=True) if d is None and s), None)
    if leader is not None:
        full, dim = leader
    elif plain is not None:  # only scalars are mapped, beside an array that is not
        full, dim = (size, *plain), 0
    else:
        full, dim = (size,), 0
    aligned = []
    for x, shape, d in zip(operands, shapes, dims, strict=True):
        if d is None and not shape:
            aligned.append(x)
        elif d is None:
            kept = tuple(i for i in range(len(full)) if i != dim)
            aligned.append(broadcast_in_dim(x, full, kept))
        elif len(shape) == 1 and len(full) > 1:
            aligned.append(broadcast_in_dim(x, full, (dim,)))
        else:
            aligned.append(move_axis(x, d, dim))
    outputs = primitive.bind(*aligned, **params)
    return outputs, [dim] * len(outputs)


def elements(types: Sequence[ArrayType], operands: Sequence[Any], index: Sequence[Any]) -> list:
    """The operands' elements at the result's `index`."""
    return [read(index if type.shape else ()) for type, read in zip(types, operands, strict=True)]


Derivative = Callable[..., Any] | None


def not_implemented(name: str, what: str = "") -> Callable[..., Any]:
    """A derivative that refuses: of the operation `name`, with respect to operand `what`."""

    def derivative(g: Any, out: Any, *operands: Any) -> Any:
        by = f" with respect to {what}" if what else ""
        raise NotImplementedError(
            located(
                f"Differentiation rule for '{name}'{by} not implemented",
                "the derivative is not known in terms of other operations",
                "stop_gradient where it does not count, or custom_jvp with a rule of your own",
            )
        )

    return derivative


class Elementwise(Primitive):
    """An operation computed element by element. See `__init__` for what a row says.

    Calling the object applies it and gives its one result.
    """

    remembers_types = True

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        accepts: str | tuple[str, ...],
        derivatives: Sequence[Derivative] = (),
        *,
        transposes: Sequence[Derivative] = (),
        operation: str | Callable[..., Any] | None = None,
        result: Callable[[dtypes.Dtype], dtypes.Dtype] | None = None,
        cost: int = 1,
    ):
        """
        function: the meaning, on NumPy arrays in the dtype they are computed in, with the params.
        accepts: category letters per operand; a single string for one operand.
        derivatives: per operand f(tangent, result, *operands, **params) -> its term of the
            result's tangent, None where it is zero; empty if the operation has none.
        transposes: per operand f(cotangent, *operands, **params) -> the operand's cotangent.
        operation: the loop-IR operation: a name, or f(b, *values, **params).
        result: the result's dtype from the first operand's; the same by default.
        """
        super().__init__(name)
        self.function = function
        self.accepts = (accepts,) if isinstance(accepts, str) else accepts
        self.derivatives = tuple(derivatives)
        self.transposes = tuple(transposes)
        self.operation = operation or name
        self.result = result or _same
        self.cost = cost
        self.known: dict[tuple[ArrayType, ...], ArrayType] = {}

    def __call__(self, *operands: Any, **params: Any) -> Any:
        return self.bind(*operands, **params)[0]

    def check(self, types: Sequence[ArrayType]) -> None:
        """Raise TypeError unless the operands' dtypes are accepted and equal."""
        for position, (type, accepted) in enumerate(zip(types, self.accepts, strict=True)):
            letter = category(type.dtype)
            if not letter or letter not in accepted:
                raise self._refusal(type.dtype, position)
        self.check_equal(types)

    def check_equal(self, types: Sequence[ArrayType]) -> None:
        """Raise TypeError unless all operands have one dtype."""
        if any(t.dtype != types[0].dtype for t in types):
            names = ", ".join(t.dtype.name for t in types)
            raise TypeError(
                located(
                    f"lax.{self.name} requires arguments to have the same dtypes, got {names}.",
                    "operations of lax promote nothing",
                    "the function of the same name in fornax.numpy promotes its arguments",
                )
            )

    def _refusal(self, dtype: dtypes.Dtype, position: int) -> TypeError:
        if dtype == dtypes.float0:
            return no_float0(self.name, (dtype,))
        at = f" at position {position}" if len(self.accepts) > 1 else ""
        accepted = self.accepts[position]
        names = ["integer"] if INTEGER in accepted else []
        skipped = INTEGER if names else ""
        names += [_CATEGORY_NAMES[c] for c in accepted if c not in skipped]
        return TypeError(
            located(
                f"{self.name} does not accept dtype {dtype.name}{at}. Accepted dtypes"
                f"{at} are subtypes of {', '.join(names)}.",
                "the operation has no meaning for other dtypes",
                "astype a dtype it takes, or the function in fornax.numpy, which converts; for "
                "booleans, numpy.logical_not, logical_and, logical_xor",
            )
        )

    def type(self, *types, **params):
        out = self.known.get(types)
        if out is None:
            if len(types) != len(self.accepts):
                raise TypeError(
                    located(
                        f"{self.name} takes {len(self.accepts)} operands, got {len(types)}",
                        "a primitive is applied to arrays of one shape and dtype",
                        f"the function lax.{self.name}, which says what its arguments are",
                    )
                )
            self.check(types)
            shape = common_shape(self.name, types)
            dtype = self.result(types[0].dtype)
            weak = all(t.weak_type for t in types)
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            out = self.known[types] = ArrayType(shape, dtype, weak)
        return [out]

    def reference(self, *arrays, **params):
        dtype = self.result(np.asarray(arrays[0]).dtype)
        with np.errstate(all="ignore"):
            result = self.function(*map(widened, arrays), **params)
        return [narrowed(result, dtype)]

    def jvp(self, primals, tangents, **params):
        before = stand_for(here())  # looked for once, not for every operation of the rule
        try:
            return self.derivative(primals, tangents, params)
        finally:
            stand_for(before)

    def derivative(self, primals, tangents, params):
        """(results, their tangents): the sum of the terms that `derivatives` say."""
        out = self(*primals, **params)
        type = typeof(out)
        total: Any = Zero(type.tangent())
        for tangent, derivative in zip(tangents, self.derivatives, strict=False):
            if isinstance(tangent, Zero) or derivative is None:
                continue
            term = derivative(tangent, out, *primals, **params)
            if isinstance(term, Zero):
                continue
            if typeof(term).shape != type.shape:
                term = broadcast_in_dim(term, type.shape, ())
            total = add(total, term)
        return [out], [total]

    def transpose(self, cotangents, *operands, **params):
        (ct,) = cotangents
        grads: list[Any] = [None] * len(operands)
        for i, x in enumerate(operands):
            if not isinstance(x, Linear):
                continue
            rule = self.transposes[i] if i < len(self.transposes) else None
            if rule is None:
                raise NotImplementedError(
                    located(
                        f"{self.name} is not linear in operand {i}",
                        attempt="lax.stop_gradient on that operand, or jvp instead of "
                        "linear_transpose",
                    )
                )
            if isinstance(ct, Zero):
                grads[i] = Zero(x.type.tangent())
            else:
                grads[i] = unbroadcast(rule(ct, *operands, **params), x.type)
        return grads

    def batch(self, size, operands, dims, **params):
        return batch_elementwise(self, size, operands, dims, params)

    pointwise = True

    def element(self, b, types, operands, index, **params):
        values = elements(types, operands, index)
        if callable(self.operation):
            value = self.operation(b, *values, **params)
        else:
            value = b.op(self.operation, *values)
        return [b.cast(value, self.result(types[0].dtype).name)]


def _same(dtype: dtypes.Dtype) -> dtypes.Dtype:
    return dtype


def boolean(_: dtypes.Dtype) -> dtypes.Dtype:
    """Result rule of comparisons."""
    return dtypes.bool_
