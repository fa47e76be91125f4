"""Loops: scan, while_loop, fori_loop, map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from fornax import pytree, settings
from fornax.api.references import RefArguments, refuse_aliases, refuse_both
from fornax.api.signature import as_arrays, describe, leaf_names
from fornax.api.stages import Traced
from fornax.api.tracing import trace_types
from fornax.api.vmap import vmap
from fornax.errors import ConcretizationTypeError, TracerIntegerConversionError
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.late import retraced
from fornax.ir.ref import Ref
from fornax.ir.static import static_integer
from fornax.ir.types import typeof
from fornax.lax.carry import carry_name, check_carry, promoted, value_types
from fornax.lax.python_loops import python_scan, python_while
from fornax.lax.refs import (
    RowsAsRefs,
    joined_refs,
    tested_by,
    with_carried_refs,
    write_refs,
)
from fornax.primitives.arrange import forwarded, rearranged
from fornax.primitives.compare import lt_p
from fornax.primitives.concatenate import concatenate
from fornax.primitives.convert import convert_element_type
from fornax.primitives.elementwise import add_p
from fornax.primitives.family import constant
from fornax.primitives.scan import scan_p
from fornax.primitives.shape import reshape
from fornax.primitives.slice import slice_in
from fornax.primitives.while_ import while_p
from fornax.runtime.transfers import takes_arrays
from fornax.scalars import dtypes
from fornax.source import located
from fornax.transforms.programs import remembered

__all__ = ["fori_loop", "map", "scan", "while_loop"]

Adapt = Callable[[Callable[..., Any]], Callable[..., Any]]


@takes_arrays("f length reverse unroll _split_transpose")
def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
    _split_transpose: bool = False,
) -> tuple[Any, Any]:
    """Loop over the leading axis of `xs` with a carry: (last carry, stacked ys).

    f: (carry, x) -> (carry, y), where the carry keeps its structure, shapes and dtypes.
    init: first carry. xs: tree of arrays with equal leading axes, or None. length: number of
    iterations, needed if xs has no arrays. A mutable reference in xs comes as one to its row.
    reverse: start at the end; ys keep their places.
    unroll: how many iterations to lay out one after another.

    Raises TypeError if the carry changes its type, ValueError if lengths do not agree.
    """
    del _split_transpose
    if not callable(f):
        raise TypeError(
            located(
                "lax.scan: f argument should be a callable.",
                attempt="scan(function_of_carry_and_x, init, xs)",
            )
        )
    x_leaves, x_structure = pytree.tree_flatten(xs)
    refs = RefArguments(x_leaves)
    if not refs.places:
        return run_scan(f, None, "scan", "", init, xs, length, reverse, unroll)
    refuse_aliases(
        f, "scan", [*pytree.tree_leaves(init), *x_leaves], lambda: leaf_names(f, (init, xs), {})
    )
    adapt = RowsAsRefs(x_structure, refs)
    carry, (ys, rows) = run_scan(
        f, adapt, adapt.purpose, "", init, refs.values(x_leaves), length, reverse, unroll,
        dict(zip(refs.places, refs.outer, strict=True)),
    )  # fmt: skip
    refs.settle(rows)
    return carry, ys


def run_scan(
    f: Callable[..., Any],
    adapt: Adapt | None,
    purpose: str,
    name: str,
    init: Any,
    xs: Any,
    length: int | None,
    reverse: bool,
    unroll: int | bool,
    rows: Mapping[int, Ref] = MappingProxyType({}),
) -> tuple[Any, Any]:
    """`scan` of `adapt(f)`, whose program is remembered under `f` and `purpose`.

    name: what messages call the carry, "" for what `f` calls it. rows: references whose values
    are among xs, by their places.
    """
    x_leaves, x_structure = pytree.tree_flatten(xs)
    length = scan_length(x_leaves, length)
    unroll = unroll_factor(unroll, length)
    if settings.current().disable_jit:
        return python_scan(f if adapt is None else adapt(f), init, x_leaves, x_structure, length,
                           reverse)  # fmt: skip
    return _compiled_scan(
        f, adapt, purpose, name, init, x_leaves, x_structure, length, reverse, unroll, rows
    )


@retraced
def _compiled_scan(
    f: Callable[..., Any], adapt: Adapt | None, purpose: str, name: str, init: Any,
    x_leaves: Sequence[Any], x_structure: pytree.PyTreeDef, length: int, reverse: bool,
    unroll: int, rows: Mapping[int, Ref],
) -> tuple[Any, Any]:  # fmt: skip
    x_types = [t.update(shape=t.shape[1:]) for t in value_types(x_leaves)]
    slices = pytree.tree_unflatten(x_structure, x_types)
    leaves, structure = pytree.tree_flatten(init)
    types = value_types(leaves)
    carry = pytree.tree_unflatten(structure, types)
    traced = trace_types(f, (carry, slices), purpose, adapt, refs=True)
    carry_structure, y_structure = output_pair(traced, f)
    if carry_structure == structure:
        better = promoted(leaves, types, traced.jaxpr.out_types[: len(leaves)])
        if better is not None:  # weak types are promoted once
            leaves, types = better, value_types(better)
            carry = pytree.tree_unflatten(structure, types)
            traced = trace_types(f, (carry, slices), purpose, adapt, refs=True)
            carry_structure, y_structure = output_pair(traced, f)
    count = carry_structure.num_leaves
    check_carry(
        "scan body", name or f, structure, types, carry_structure, traced.jaxpr.out_types[:count]
    )
    refs = [ref for ref in traced.refs if isinstance(ref, Ref)]
    for ref in rows.values():
        if ref in refs:
            raise refuse_both(f, purpose, ref, carry_name(f, 1))
    states = [rows[i].backward for i in traced.refs if not isinstance(i, Ref)]
    jaxpr = with_carried_refs(traced, count)
    leaves = [*leaves, *(ref.read() for ref in refs)]
    x_leaves = [*x_leaves, *(state.read() for state in states)]
    outs = write_refs(states, bind_scan(jaxpr, leaves, x_leaves, length, reverse, unroll))
    for ref, value in zip(refs, outs[count : count + len(refs)], strict=True):
        ref.write(value)
    outs = as_arrays([*outs[:count], *outs[count + len(refs) :]])
    return (
        pytree.tree_unflatten(structure, outs[:count]),
        pytree.tree_unflatten(y_structure, outs[count:]),
    )


def scan_length(leaves: Sequence[Any], length: int | None) -> int:
    """The number of iterations. Raises ValueError if it is unknown or lengths disagree."""
    sizes = []
    for leaf in leaves:
        shape = typeof(leaf).shape
        if not shape:
            raise ValueError(
                located(
                    f"scan got value with no leading axis to scan over: {leaf}.",
                    "each step takes one element along the first axis of xs",
                    "an array for each step, or, for what is the same in all steps, a closure",
                )
            )
        sizes.append(shape[0])
    if length is not None:
        length = whole_length(length)
        if any(size != length for size in sizes):
            raise ValueError(
                located(
                    f"scan got `length` argument of {length} which disagrees with leading axis "
                    f"sizes {sizes}.",
                    "each step takes one element along the first axis of xs",
                    "leave `length` out, or slice xs",
                )
            )
        if length < 0:
            raise ValueError(
                located(f"scan got a negative `length`: {length}.", attempt="length=max(n, 0)")
            )
        return length
    if not sizes:
        raise ValueError(
            located(
                "scan got no values to scan over and `length` not provided.",
                "the number of steps is the size of the first axis of xs, or `length`",
                "length=number_of_steps",
            )
        )
    if len(set(sizes)) > 1:
        raise ValueError(
            located(
                "scan got values with different leading axis sizes: "
                f"{', '.join(str(size) for size in sizes)}.",
                "each step takes one element along the first axis of every array in xs",
                "arrays of one length; what is the same in all steps goes into a closure",
            )
        )
    return sizes[0]


def whole_length(length: Any) -> int:
    """`int(length)`: numbers are cut off. Raises ConcretizationTypeError for a traced value, and
    what `int` raises for what is no number."""
    try:
        return int(length)
    except (ConcretizationTypeError, TracerIntegerConversionError) as error:
        raise ConcretizationTypeError(
            located(
                "The `length` argument to `scan` expects a concrete `int` value.\n"
                + str(error).partition("\n  where:")[0],
                attempt="a Python integer, or the size of xs; fori_loop for a traced bound",
            )
        ) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise type(error)(
            located(
                f"The `length` argument to `scan` is no number of steps: {length!r:.80} ({error})",
                "the loop is laid out for so many steps",
                "a Python integer, or the size of xs",
            )
        ) from None


def unroll_factor(unroll: int | bool, length: int) -> int:
    """`unroll` as a number. Raises TypeError or ValueError unless it is one, and positive."""
    if unroll is True:
        return max(length, 1)
    if unroll is False:
        return 1
    whole = isinstance(unroll, float) and unroll.is_integer()
    number = static_integer(int(unroll) if whole else unroll, "unroll")
    if number < 0:
        raise ValueError(
            located(
                "`unroll` must be a `bool` or a non-negative `int`.",
                attempt="unroll=1, or unroll=True for all iterations",
            )
        )
    return max(number, 1)


def output_pair(traced: Traced, f: Callable[..., Any]) -> list[pytree.PyTreeDef]:
    """The structures of carry and y. Raises TypeError unless the body returns a pair."""
    children = pytree.treedef_children(traced.out_tree)
    if pytree.treedef_is_leaf(traced.out_tree) or len(children) != 2:
        raise TypeError(
            located(
                f"scan body output must be a pair, got {traced.out_avals} from {describe(f)}.",
                attempt="return carry, y (y may be None)",
            )
        )
    return children


def bind_scan(
    jaxpr: Jaxpr,
    carry: Sequence[Any],
    xs: Sequence[Any],
    length: int,
    reverse: bool,
    unroll: int,
) -> list[Any]:
    """The results of a scan whose body's constants are `jaxpr.consts`.

    A carry that the body hands on unchanged becomes a constant, and an x that it returns as a y is
    returned without being copied.
    """
    consts, body = list(jaxpr.consts), jaxpr.without_consts()
    n, c = len(consts), len(carry)
    source = remembered(body, ("forwarded",), lambda: forwarded(body))
    fixed = [source[k] == n + k for k in range(c)]
    passed = [source[k] is not None and source[k] >= n + c for k in range(c, len(source))]
    inputs = [
        *range(n),
        *(n + k for k in range(c) if fixed[k]),
        *(n + k for k in range(c) if not fixed[k]),
        *range(n + c, len(body.inputs)),
    ]
    outputs = [k for k in range(c) if not fixed[k]]
    outputs += [c + k for k, known in enumerate(passed) if not known]
    outs = iter(scan_p.bind(
        *consts,
        *(x for x, f in zip(carry, fixed, strict=True) if f),
        *(x for x, f in zip(carry, fixed, strict=True) if not f),
        *xs,
        jaxpr=rearranged(body, inputs, outputs) if any(fixed) or any(passed) else body,
        length=length, num_carry=c - sum(fixed), num_consts=n + sum(fixed), reverse=reverse,
        unroll=unroll,
    ))  # fmt: skip
    ends = [x if f else next(outs) for x, f in zip(carry, fixed, strict=True)]
    ys = [xs[source[c + k] - n - c] if known else next(outs) for k, known in enumerate(passed)]
    return [*ends, *ys]


@takes_arrays("cond_fun body_fun")
def while_loop(
    cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any
) -> Any:
    """Apply `body_fun` to the carry as long as `cond_fun` of it is true; returns the last carry.

    cond_fun: carry -> boolean scalar. body_fun: carry -> carry of the same structure and types.
    Differentiable forwards only. Raises TypeError if types or structures do not fit.
    """
    if not (callable(body_fun) and callable(cond_fun)):
        raise TypeError(
            located(
                "lax.while_loop: body_fun and cond_fun arguments should be callable.",
                attempt="while_loop(condition, body, init)",
            )
        )
    if settings.current().disable_jit:
        ended, init_val = python_while(cond_fun, body_fun, init_val)
        if ended:
            return init_val
    return run_while(cond_fun, body_fun, None, "while_loop", "", init_val)


@retraced
def run_while(
    cond_fun: Callable[..., Any],
    body_fun: Callable[..., Any],
    adapt: Adapt | None,
    purpose: str,
    name: str,
    init_val: Any,
) -> Any:
    """`while_loop` of `adapt(body_fun)`, remembered under `body_fun` and `purpose`.

    name: what messages call the carry, "" for what `body_fun` calls it.
    """
    leaves, structure = pytree.tree_flatten(init_val)
    types = value_types(leaves)
    carry = pytree.tree_unflatten(structure, types)
    body = trace_types(body_fun, (carry,), purpose, adapt, refs=True)
    if body.out_tree == structure:
        better = promoted(leaves, types, body.out_types)
        if better is not None:
            leaves, types = better, value_types(better)
            carry = pytree.tree_unflatten(structure, types)
            body = trace_types(body_fun, (carry,), purpose, adapt, refs=True)
    cond = trace_types(cond_fun, (carry,), "while_cond", refs=True)
    check_condition(cond)
    check_carry(
        "while_loop body", name or body_fun, structure, types, body.out_tree, body.out_types,
    )  # fmt: skip
    refs = joined_refs([cond, body])
    condition, step, values = tested_by(cond, body, refs, leaves)
    outs = while_p.bind(
        *condition.consts, *step.consts, *values,
        cond_jaxpr=condition.without_consts(), body_jaxpr=step.without_consts(),
        cond_nconsts=len(condition.consts), body_nconsts=len(step.consts),
    )  # fmt: skip
    outs = outs[len(outs) - len(leaves) - len(refs) :]  # without what the condition said
    return pytree.tree_unflatten(structure, as_arrays(write_refs(refs, outs, [step])))


def check_condition(cond: Traced) -> None:
    """Raise TypeError unless the condition gives a boolean scalar."""
    wanted = (
        "the condition decides for the whole carry whether there is another step",
        "a comparison such as x < 3, with .any() or .all() where it is of arrays",
    )
    if not pytree.treedef_is_leaf(cond.out_tree):
        raise TypeError(
            located(
                f"cond_fun must return a boolean scalar, but got pytree {cond.out_tree}.", *wanted
            )
        )
    if len(cond.out_types) != 1:
        raise TypeError(located("cond_fun must return a boolean scalar, but got None.", *wanted))
    (found,) = cond.out_types
    if found.shape or found.dtype != dtypes.bool_:
        raise TypeError(
            located(
                f"cond_fun must return a boolean scalar, but got output type(s) [{found}].", *wanted
            )
        )


@takes_arrays("body_fun unroll")
def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: int | bool | None = None,
) -> Any:
    """Apply `body_fun(i, value)` for i from `lower` up to and without `upper`.

    If both bounds are known while tracing this is a scan, which can be differentiated in reverse,
    and i is a weakly typed integer; otherwise it is a while loop, and i has the dtype of the
    bounds. Floats are rounded towards zero in the first case, and count by ones in the second.
    unroll: see `scan`; needs known bounds.
    Raises TypeError if the bounds have no common dtype or the value changes its type.
    """
    if not callable(body_fun):
        raise TypeError(
            located(
                "lax.fori_loop: body_fun argument should be callable.",
                attempt="fori_loop(lower, upper, function_of_index_and_value, init)",
            )
        )
    dtype = bound_dtype(lower, upper)
    first, last = known_bound(lower), known_bound(upper)
    if first is None or last is None:
        if unroll is not None and unroll is not False and unroll != 1:
            raise ValueError(located("Can only use `unroll` in `fori_loop` if the loop bounds are "
"statically known.",
attempt="Python integers as bounds, or leave unroll out"))  # fmt: skip
        bounds = [
            x if typeof(x).dtype == dtype else convert_element_type(x, dtype)
            for x in (lower, upper)
        ]
        init = (*bounds, init_val)
        return run_while(_below, body_fun, _counting_while, "fori_loop", "loop_carry", init)[2]
    if settings.current().disable_jit:
        value = init_val
        for i in range(first, last):
            value = body_fun(i, value)
        return value
    (_, value), _ = run_scan(
        body_fun, _counting_scan, "fori_loop", "loop_carry", (first, init_val), None,
        max(last - first, 0), False, 1 if unroll is None else unroll,
    )  # fmt: skip
    return value


def bound_dtype(lower: Any, upper: Any) -> np.dtype:
    """The dtype of a loop's index: that of both bounds, or of the one that is not weakly typed.

    Raises TypeError unless the bounds are scalars of one dtype, or signed integers one of which is
    weakly typed.
    """
    types = [typeof(lower), typeof(upper)]
    for type in types:
        if type.shape:
            raise TypeError(
                located(
                    f"fori_loop bounds must be scalars, got {type.short()}",
                    attempt="n[0], or vmap over the bounds",
                )
            )
    if types[0].dtype == types[1].dtype:
        return types[0].dtype
    strong = [t.dtype for t in types if not t.weak_type]
    if all(dtypes.is_signed_integer(t.dtype) for t in types) and len(strong) == 1:
        return strong[0]
    raise TypeError(
        located(
            "lower and upper arguments to fori_loop must have equal types, got "
            f"{types[0].dtype.name} and {types[1].dtype.name}",
            "the index runs from one to the other in one dtype",
            "Python integers, or arrays of the same integer dtype",
        )
    )


def known_bound(x: Any) -> int | None:
    """A bound that is known now as an integer, else None."""
    try:
        return int(x)
    except (TypeError, ConcretizationTypeError):
        return None


def _counting_scan(body: Callable[..., Any]) -> Callable[..., Any]:
    def step(loop_carry: Any, _: None) -> tuple[Any, None]:
        i, value = loop_carry
        return (add_p(i, constant(i, 1)), body(i, value)), None

    return step


def _counting_while(body: Callable[..., Any]) -> Callable[..., Any]:
    def step(loop_carry: Any) -> tuple[Any, Any, Any]:
        i, upper, value = loop_carry
        return add_p(i, constant(i, 1)), upper, body(i, value)

    return step


def _below(loop_carry: Any) -> Any:
    i, upper, _ = loop_carry
    return lt_p(i, upper)


def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """`f` applied to each slice of `xs` along its leading axis; the results stacked.

    Like `vmap`, but one slice after another, or `batch_size` slices at a time. A mutable reference
    in xs comes as one to its slice, one after another.
    """
    if any(isinstance(x, Ref) for x in pytree.tree_leaves(xs)) and not batch_size:
        return scan(_mapping(f), (), xs)[1]
    if not batch_size:
        _, ys = run_scan(f, _mapping, "map", "carry", (), xs, None, False, 1)
        return ys
    leaves, structure = pytree.tree_flatten(xs)
    length = scan_length(leaves, None)
    whole, rest = divmod(length, batch_size)
    mapped = vmap(f)
    cut = whole * batch_size
    pieces = []
    if whole:
        heads = [
            reshape(slice_in(x, 0, 0, cut), (whole, batch_size, *typeof(x).shape[1:]))
            for x in leaves
        ]
        _, ys = run_scan(
            f, lambda g: _mapping(vmap(g)), f"map in batches of {batch_size}", "carry", (),
            pytree.tree_unflatten(structure, heads), None, False, 1,
        )  # fmt: skip
        pieces.append(pytree.tree_map(lambda y: reshape(y, (cut, *typeof(y).shape[2:])), ys))
    if rest or not whole:
        tails = [slice_in(x, 0, cut, length) for x in leaves]
        pieces.append(mapped(pytree.tree_unflatten(structure, tails)))
    return pytree.tree_map(lambda *parts: concatenate(list(parts), 0), *pieces)


def _mapping(f: Callable[..., Any]) -> Callable[..., Any]:
    def step(_: Any, x: Any) -> tuple[Any, Any]:
        return (), f(x)

    return step
