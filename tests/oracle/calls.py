"""Case rows as calls of functions of `lax`, written so that both sides can evaluate them."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

import laws
from cases.row import FAMILIES, Row, Variant, dtype_of

#: (source over `lax` and x0, x1, ..., operands, whether 64-bit dtypes exist)
Call = tuple[str, list, bool]

#: functions that are not called like their primitives
NAMES = {
    "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "not": "bitwise_not",
    "regularized_incomplete_beta": "betainc", "iota": "broadcasted_iota",
}  # fmt: skip
#: primitives for which `lax` of jax has no function
INNER = {"eq_to", "lt_to", "le_to", "erf_inv_giles", "threefry2x32", "copy"}
#: params that are no arguments of the functions
IMPLIED = {"sharding", "weak_type", "update_jaxpr", "input_dtype"}
#: sources of the operands, where they are not separate arguments
OPERANDS = {
    "concatenate": "({0}, {1}, {2})", "dynamic_slice": "{0}, ({1}, {2})",
    "dynamic_update_slice": "{0}, {1}, ({2}, {3})",
}  # fmt: skip
SCALARS = (True, 2, 0.5, 0.5 + 0.25j)
EVERY = [dtype_of(name) for letter in "biufc" for name in FAMILIES[letter]]


def source_of(value: Any) -> str:
    """A param as source."""
    if isinstance(value, np.dtype):
        return f"np.dtype({value.name!r})" if value.name != "bfloat16" else "'bfloat16'"
    if isinstance(value, enum.Enum):
        return f"lax.{type(value).__name__}.{value.name}"
    if hasattr(value, "_fields") or hasattr(value, "__dataclass_fields__"):
        fields = getattr(value, "_fields", None) or value.__dataclass_fields__
        inside = ", ".join(f"{f}={getattr(value, f)!r}" for f in fields)
        return f"lax.{type(value).__name__}({inside})"
    return repr(value)


def source(row: Row, params: dict[str, Any], operands: Sequence[str] = ()) -> str:
    """The call of a row, of its operands x0, x1, ... unless others are given."""
    name = NAMES.get(row.name, row.name).replace("-", "_")
    given = list(operands) or [f"x{k}" for k in range(len(row.spans))]
    params = {k: v for k, v in params.items() if k not in IMPLIED}
    if row.name == "sort":
        inside = f"({', '.join(given)},)"
    else:
        inside = OPERANDS.get(row.name, ", ".join(["{}"] * len(given))).format(*given)
    if "axes" in params and name.startswith("arg"):
        params["axis"] = params.pop("axes")[0]
    if name == "round":
        params["rounding_method"] = ["AWAY_FROM_ZERO", "TO_NEAREST_EVEN"][params["rounding_method"]]
        inside, params = f"{inside}, lax.RoundingMethod.{params['rounding_method']}", {}
    words = [f"{k}={source_of(v)}" for k, v in params.items()]
    return f"lax.{name}({', '.join(filter(None, [inside, *words]))})"


def values(row: Row) -> Iterator[Call]:
    """All dtypes once, all variants in one dtype."""
    chosen = [(dtype, row.variants[0]) for dtype in row.dtypes]
    chosen += [(row.precise[-1], variant) for variant in row.variants[1:]]
    for dtype, variant in chosen:
        yield source(row, variant.params), row.operands(dtype, variant), True


def specials(row: Row) -> Iterator[Call]:
    """The edges of all dtypes."""
    variant = row.variants[0]
    for dtype in row.dtypes:
        yield source(row, variant.params), laws.special_operands(row, dtype, variant), True


def weak(row: Row) -> Iterator[Call]:
    """Weakly typed arrays in one place or all, scalars without and with dtypes beside them."""
    variant, count = row.variants[0], len(row.spans)
    free = [k for k, span in enumerate(row.spans) if not span.dtype]
    subsets = [[k] for k in free] + ([free] if len(free) > 1 else [])
    for subset, scalar, x64 in product(subsets, SCALARS, (False, True)):
        names = [f"x{k}" for k in range(count)]
        for k in subset:
            names[k] = f"lax.broadcast({scalar!r}, {variant.shapes[k]})"
        operands = row.operands(row.precise[-1], variant)
        if not x64:
            operands = [narrow(x) for x in operands]
        yield source(row, variant.params, names), operands, x64
        if len(set(variant.shapes)) == 1 and variant.shapes[0] and not variant.params:
            for k in subset:  # Python's numbers beside arrays
                names[k] = repr(scalar)
            yield source(row, variant.params, names), operands, x64


def lambda_of(row: Row, params: dict[str, Any]) -> str:
    """A row as a function of its operands."""
    names = ", ".join(f"x{k}" for k in range(len(row.spans)))
    return f"lambda {names}: {source(row, params)}"


def derivatives(row: Row) -> Iterator[Call]:
    """Forward and reverse derivatives: all dtypes once, all variants in one dtype, numbers."""
    chosen = [(dtype, row.variants[0]) for dtype in row.dtypes]
    chosen += [(row.precise[-1], variant) for variant in row.variants[1:]]
    operands = ", ".join(f"x{k}" for k in range(len(row.spans)))
    for dtype, variant in chosen:
        function = lambda_of(row, variant.params)
        for how in ("jvp", "vjp"):
            text = f"transformed.{how}(jax, {function}, ({operands},))"
            yield text, row.operands(dtype, variant), True
    shapes = {shape for variant in row.variants for shape in variant.shapes}
    if () in shapes and row.families[0] == "f" and not any(span.dtype for span in row.spans):
        function = lambda_of(row, row.variants[0].params)
        numbers = ", ".join(["0.5"] * len(row.spans))
        for how in ("weak_jvp", "weak_vjp"):
            yield f"transformed.{how}(jax, {function}, ({numbers},))", [], False


def batches(row: Row) -> Iterator[Call]:
    """Mapped over the first and the last axis of everything, and of one operand only."""
    dtype, count = row.precise[-1], len(row.spans)
    operands = ", ".join(f"x{k}" for k in range(count))
    for variant in row.variants:
        function = lambda_of(row, variant.params)
        ranks = tuple(len(shape) for shape in variant.shapes)
        choices = {(0,) * count, ranks}
        if count > 1:
            none: list[int | None] = [None] * count
            choices |= {(*none[:k], 0, *none[k + 1 :]) for k in range(count)}
        for dims in sorted(choices, key=str):
            text = f"transformed.batched(jax, {function}, ({operands},), {dims})"
            yield text, row.operands(dtype, variant), True
    variant = row.variants[0]
    dims = (0,) * count
    function = lambda_of(row, variant.params)
    text = f"transformed.batched_gradient(jax, {function}, ({operands},), {dims})"
    yield text, row.operands(dtype, variant), True


def narrow(x: np.ndarray) -> np.ndarray:
    """The operand in the dtype that is left of its own without 64-bit dtypes."""
    shorter = {
        "int64": "int32",
        "uint64": "uint32",
        "float64": "float32",
        "complex128": "complex64",
    }
    return x.astype(shorter.get(x.dtype.name, x.dtype))


def mistakes(row: Row) -> Iterator[Call]:
    """Dtypes the row has not, different dtypes, shapes and params that do not fit."""
    variant = row.variants[0]
    text, good = source(row, variant.params), row.operands(row.precise[-1], variant)
    for dtype in EVERY:
        if dtype not in row.dtypes:
            yield text, row.operands(dtype, variant), True
    for k in range(len(row.spans)):
        for dtype in map(np.dtype, ("bool", "int32", "uint8", "float32", "complex64")):
            changed = list(good)
            changed[k] = np.ones(variant.shapes[k], dtype)
            yield text, changed, True
        x = good[k]
        for other in (
            x[None],
            x[0] if x.size and x.ndim else x,
            np.concatenate([x, x]) if x.ndim else x,
        ):
            changed = list(good)
            changed[k] = other
            yield text, changed, True
    for changed in misplaced(variant):
        yield source(row, changed), good, True


def misplaced(variant: Variant) -> Iterator[dict[str, Any]]:
    """The params with one number too large, negative, or one number too many."""
    for name, value in variant.params.items():
        if name in IMPLIED or name == "rounding_method" or isinstance(value, bool):
            continue
        others: list[Any] = []
        if isinstance(value, int):
            others = [value + 9, value - 9, -1]
        elif isinstance(value, tuple) and all(isinstance(v, int) for v in value):
            if type(value) is not tuple:
                continue
            others = [(*value, 1), (*value, *value)]
            others += [(value[0] + 9, *value[1:]), (-1, *value[1:])] if value else []
        for other in others:
            yield {**variant.params, name: other}
