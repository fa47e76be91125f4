"""jvp: outputs and their tangents, forwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax import pytree
from fornax.api.flat import Flat
from fornax.api.leaks import checked
from fornax.api.references import RefArguments, refuse_aliases
from fornax.api.signature import check_callable, check_values, describe, leaf_names
from fornax.ir.basis import instantiate
from fornax.ir.primitive import Zero
from fornax.ir.ref import Ref
from fornax.ir.types import typeof
from fornax.scalars import dtypes
from fornax.source import located
from fornax.transforms.jvp import jvp_flat

__all__ = ["jvp"]


def jvp(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> Any:
    """(output, its tangent) for tangents of the inputs; with has_aux the auxiliary comes third.

    primals, tangents: tuples or lists of equal structure. Tangents have the dtype and shape of the
    primals; those of integers have dtype float0. The tangent of a reference is a reference, which
    gets the tangent of its last value. Raises TypeError or ValueError where they do not fit.
    """
    check_callable(fun)
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise TypeError(
            located(
                "primal and tangent arguments to fornax.jvp must be tuples or lists; found "
                f"{type(primals).__name__} and {type(tangents).__name__}.",
                "the function may have several arguments",
                "jvp(f, (x,), (t,))",
            )
        )
    leaves, structure = pytree.tree_flatten(tuple(primals))
    given, tangent_structure = pytree.tree_flatten(tangents)
    primal_structure = pytree.tree_structure(primals)
    if primal_structure != tangent_structure:
        raise TypeError(
            located(
                "primal and tangent arguments to fornax.jvp must have the same tree structure; "
                f"primals have tree structure {primal_structure} whereas tangents have tree "
                f"structure {tangent_structure}.",
                "each input has one tangent",
                "tree.map(numpy.ones_like, primals)",
            )
        )
    refs, changes, tangent_refs = RefArguments(leaves), RefArguments(given), given
    if refs.places or changes.places:
        _check_references(fun, leaves, given, lambda: leaf_names(fun, primals, {}))
        leaves, given = refs.values(leaves), changes.values(given)
    check_values(leaves, "Argument")
    flat = Flat(fun, structure, has_aux, refs)
    pairs = [
        _tangent(p, t, i in refs.places) for i, (p, t) in enumerate(zip(leaves, given, strict=True))
    ]
    with checked() as flat.remember:
        outputs, out_tangents = jvp_flat(flat, leaves, pairs)
    outputs = refs.settle(outputs, fun, "jvp")
    out_tangents = list(map(instantiate, out_tangents))
    for i, tangent in zip(refs.places, out_tangents[len(outputs) :], strict=True):
        if dtypes.is_inexact(typeof(tangent).dtype):
            tangent_refs[i].write(tangent)
    result = flat.tree(outputs), flat.tree(out_tangents[: len(outputs)])
    return (*result, flat.aux) if has_aux else result


def _check_references(
    fun: Any, primals: Sequence[Any], tangents: Sequence[Any], names: Callable[[], Sequence[str]]
) -> None:
    """Raise ValueError unless references have references as tangents, each once."""
    pairs = {}
    for i, (primal, tangent) in enumerate(zip(primals, tangents, strict=True)):
        if isinstance(primal, Ref) and not dtypes.is_inexact(primal.dtype):
            continue  # nothing flows through it
        if isinstance(primal, Ref) != isinstance(tangent, Ref):
            kinds = ["a mutable array reference" if isinstance(x, Ref) else "an array"
                     for x in (primal, tangent)]  # fmt: skip
            raise ValueError(
                located(
                    f"jvp of {describe(fun)}: the primal of {names()[i]} is {kinds[0]} and its "
                    f"tangent is {kinds[1]}",
                    "the tangent of a reference changes as the reference does",
                    "new_ref(tangent) for a reference, ref[...] for an array",
                )
            )
        if isinstance(primal, Ref) and pairs.setdefault(primal, tangent) is not tangent:
            refuse_aliases(fun, "jvp", primals, names)


def _tangent(primal: Any, tangent: Any, ref: bool) -> Any:
    """The tangent, `Zero` where the primal has none; checked."""
    type, found = typeof(primal), typeof(tangent)
    expected = type.tangent()
    if ref and expected.dtype == dtypes.float0:
        return Zero(expected)  # a reference to integers may have any reference as its tangent
    if found.dtype != expected.dtype:
        raise TypeError(
            located(
                "primal and tangent arguments to fornax.jvp do not match; dtypes must be equal, "
                "or in case of int/bool primal dtype the tangent dtype must be float0. Got primal "
                f"dtype {type.dtype.name} and so expected tangent dtype "
                f"{dtypes.short_name(expected.dtype)}, but got tangent dtype {found.dtype.name} "
                "instead.",
                "tangents are added to and scaled like the values they belong to",
                "1.0 instead of 1, or tangent.astype(primal.dtype)",
            )
        )
    if found.shape != expected.shape:
        raise ValueError(
            located(
                "jvp called with different primal and tangent shapes; Got primal shape "
                f"{type.shape} and tangent shape as {found.shape}",
                "a tangent says, for each element of the input, how fast it changes",
                "numpy.ones_like(primal)",
            )
        )
    return Zero(expected) if expected.dtype == dtypes.float0 else tangent
