"""Loops over leading axes: scan, map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

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
from fornax.lax.python_loops import python_scan
from fornax.lax.refs import RowsAsRefs, with_carried_refs, write_refs
from fornax.primitives.arrange import forwarded, rearranged
from fornax.primitives.concatenate import concatenate
from fornax.primitives.scan import scan_p
from fornax.primitives.shape import reshape
from fornax.primitives.slice import slice_in
from fornax.runtime.transfers import takes_arrays
from fornax.source import located
from fornax.transforms.programs import remembered

__all__ = ["map", "scan"]

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
