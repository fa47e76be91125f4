"""Programs on random keys as programs on the words that keys are stored as.

A key is stored as a few unsigned integers in one more, last dimension. Operations that look into
keys say what they do to words (`words`). All others only move elements around: they do the same to
words with the last dimension as a mapped axis. This is the one place that knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fornax.errors import message
from fornax.ir.jaxpr import Jaxpr, Literal, Var, subprograms
from fornax.ir.primitive import REGISTRY, Primitive
from fornax.ir.trace import new_trace
from fornax.ir.types import ArrayType, typeof
from fornax.scalars import dtypes
from fornax.scalars.dtypes import ExtendedDtype
from fornax.transforms.batch import apply_batch, place
from fornax.transforms.stage import Stage

__all__ = ["bind_on_words", "has_keys", "key_dtype_of", "physical", "storage_type"]


def key_dtype_of(type: ArrayType) -> ExtendedDtype | None:
    """The dtype, if it is one that is stored as elements of another."""
    return type.dtype if isinstance(type.dtype, ExtendedDtype) else None


def storage_type(type: ArrayType) -> ArrayType:
    """The type of the array that holds a value: itself unless it is of keys or float0.

    float0, of which there is one value, is stored as booleans.
    """
    dtype = key_dtype_of(type)
    if dtype is None:
        return type.update(dtype=dtypes.bool_) if type.dtype == dtypes.float0 else type
    return ArrayType((*type.shape, *dtype.base_shape), dtype.base_dtype)


def has_keys(jaxpr: Jaxpr) -> bool:
    """Whether a program, or one inside it, has values that are keys."""
    found = jaxpr.memo.get("has_keys")
    if found is None:
        atoms = [*jaxpr.inputs, *(v for e in jaxpr.equations for v in e.outputs)]
        found = any(storage_type(v.type) is not v.type for v in atoms) or any(
            has_keys(p) for e in jaxpr.equations for _, p in subprograms(e.params)
        )
        jaxpr.memo["has_keys"] = found
    return found


def bind_on_words(
    primitive: Primitive,
    operands: Sequence[Any],
    types: Sequence[ArrayType],
    params: dict[str, Any],
) -> list[Any]:
    """An operation on operands of `types`, where `operands` has words in the place of keys."""
    rule = getattr(primitive, "words", None)
    if rule is not None:
        return rule(*operands, **params)
    if next(subprograms(params), None) is not None:
        return primitive.bind(*operands, **{k: _without_keys(v) for k, v in params.items()})
    dtype = next((d for d in map(key_dtype_of, types) if d is not None), None)
    if dtype is None:
        return primitive.bind(*operands, **params)
    out_types = primitive.type(*types, **params)
    dims = [None if key_dtype_of(t) is None else t.ndim for t in types]
    (size,) = dtype.base_shape
    outs, out_dims = apply_batch(primitive, size, operands, dims, params)
    results = []
    for x, dim, type in zip(outs, out_dims, out_types, strict=True):
        if key_dtype_of(type) is not None:
            x = place(x, dim, size, type.ndim)
        elif dim is not None:  # comparisons say how the words' results become the keys'
            if primitive.over_words is None:
                raise TypeError(
                    message(
                        f"{primitive.name} does not accept dtype {dtype.name}",
                        why="its meaning for random keys is not defined by that for their words",
                        attempt="random.key_data(key), which gives the words",
                    )
                )
            (x,) = REGISTRY[primitive.over_words].bind(x, axes=(dim,))
        results.append(x)
    return results


def _without_keys(param: Any) -> Any:
    if isinstance(param, Jaxpr):
        return physical(param)
    if isinstance(param, tuple) and any(isinstance(item, Jaxpr) for item in param):
        return tuple(map(_without_keys, param))
    return param


def physical(jaxpr: Jaxpr) -> Jaxpr:
    """The program on words; itself if it has no keys."""
    if not has_keys(jaxpr):
        return jaxpr
    found = jaxpr.memo.get("physical")
    if found is None:
        found = jaxpr.memo["physical"] = _rewritten(jaxpr)
    return found


def _stored(constant: Any) -> Any:
    """The array that holds a constant."""
    if typeof(constant).dtype == dtypes.float0:
        return np.zeros(typeof(constant).shape, np.bool_)
    return constant.words if hasattr(constant, "words") else constant


def _rewritten(jaxpr: Jaxpr) -> Jaxpr:
    trace = Stage(purpose=f"the program {jaxpr.debug_name} on the words of its keys")
    with new_trace(trace):
        env = {v: trace.new_input(storage_type(v.type)) for v in jaxpr.inputs}

        def read(atom: Var | Literal) -> Any:
            return atom.value if isinstance(atom, Literal) else env[atom]

        for equation in jaxpr.equations:
            operands = [read(a) for a in equation.inputs]
            types = [a.type for a in equation.inputs]
            results = bind_on_words(equation.primitive, operands, types, equation.params)
            env.update(zip(equation.outputs, results, strict=True))
        program = trace.finish([read(a) for a in jaxpr.outputs], jaxpr.debug_name)
    consts = [_stored(c) for c in jaxpr.consts]
    return Jaxpr(
        program.inputs, program.equations, program.outputs, (*program.consts, *consts),
        jaxpr.debug_name,
    )  # fmt: skip
