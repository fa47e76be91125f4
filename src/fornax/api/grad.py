"""Differentiation of functions of trees: forward, reverse, and the linear maps between."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fornax import pytree
from fornax.api.flat import Flat, Pullback, Pushforward, linearized
from fornax.api.jit import jit
from fornax.api.reverse import VJP
from fornax.api.signature import (
    abstract,
    as_arrays,
    as_indices,
    check_callable,
    check_values,
    describe,
    partial_arguments,
)
from fornax.ir.basis import instantiate
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.primitive import Linear
from fornax.ir.ref import Ref
from fornax.ir.types import ArrayType, typeof
from fornax.runtime.values import wrap
from fornax.scalars import dtypes
from fornax.source import located
from fornax.transforms.handed import origin
from fornax.transforms.stage import stage
from fornax.transforms.transpose import transpose_program

__all__ = [
    "fwd_and_bwd",
    "grad",
    "linear_transpose",
    "linearize",
    "value_and_grad",
    "vjp",
]


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Any] = (),
) -> Callable[..., Any]:
    """A function that gives (value, gradient) of the scalar function `fun`.

    argnums: which positional arguments to differentiate; the gradient is a tuple if this is one.
    has_aux: `fun` gives (value, auxiliary), and so does the result: ((value, auxiliary), gradient).
    holomorphic: arguments and value are complex. allow_int: integer arguments get float0 gradients.

    Raises TypeError for arguments or values that cannot be differentiated, and if the value is not
    a scalar.
    """
    check_callable(fun)
    as_indices(argnums, "argnums")
    if reduce_axes:
        raise NotImplementedError(
            located(
                "reduce_axes argument to grad is deprecated",
                attempt="lax.psum over the axis inside the function",
            )
        )

    @functools.wraps(fun)
    def value_and_grad_f(*args: Any, **kwargs: Any) -> Any:
        function, chosen = partial_arguments(fun, argnums, args, kwargs)
        for leaf in pytree.tree_leaves(chosen):
            check_input("grad", leaf, holomorphic, allow_int)
        flat, outputs, linear, residuals = linearized(Pullback, function, chosen, has_aux)
        check_scalar(flat, outputs)
        (value,) = outputs
        check_output("grad", typeof(value), holomorphic)
        one = wrap(np.ones((), typeof(value).dtype), typeof(value))
        found = as_arrays(map(instantiate, linear.pull(residuals, [one])))
        gradient = pytree.tree_unflatten(linear.in_structure, found)
        if isinstance(argnums, int):
            (gradient,) = gradient
        value = flat.tree([value])
        return ((value, flat.aux) if has_aux else value), gradient

    return value_and_grad_f


def grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Any] = (),
) -> Callable[..., Any]:
    """A function that gives the gradient of the scalar function `fun`; see `value_and_grad`.

    With has_aux it gives (gradient, auxiliary).
    """
    both = value_and_grad(fun, argnums, has_aux, holomorphic, allow_int, reduce_axes)

    @functools.wraps(fun)
    def grad_f(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return grad_f


SCALAR_WHY = "a gradient has the shape of the input: one number for each of its elements"


def check_scalar(flat: Flat, outputs: Sequence[Any]) -> None:
    """Raise TypeError unless the function gave one scalar."""
    leaf = pytree.treedef_is_leaf(flat.out_structure)
    if not leaf or len(outputs) != 1:
        raise TypeError(
            located(
                "Gradient only defined for scalar-output functions. Output was "
                f"{flat.tree(outputs)}.",
                SCALAR_WHY,
                "return one scalar, and other results with has_aux=True",
            )
        )
    if typeof(outputs[0]).shape != ():
        raise TypeError(
            located(
                "Gradient only defined for scalar-output functions. Output had shape: "
                f"{typeof(outputs[0]).shape}.",
                SCALAR_WHY,
                "a sum, or jacrev or vjp for other outputs",
            )
        )


def check_input(name: str, leaf: Any, holomorphic: bool, allow_int: bool = False) -> None:
    """Raise TypeError unless the argument can be differentiated in reverse."""
    check_values([leaf], "Argument")
    dtype = typeof(leaf).dtype
    if holomorphic:
        if not dtypes.is_complex(dtype):
            raise TypeError(
                located(
                    f"{name} with holomorphic=True requires inputs with complex dtype, but got "
                    f"{dtype.name}.",
                    attempt="x.astype(complex), or holomorphic=False for a function of real "
                    "numbers",
                )
            )
    elif not dtypes.is_inexact(dtype) and not (allow_int and _countable(dtype)):
        raise TypeError(
            located(
                f"{name} requires real- or complex-valued inputs (input dtype that is a sub-dtype "
                f"of np.inexact), but got {dtype.name}. If you want to use Boolean- or "
                "integer-valued inputs, use vjp or set allow_int to True.",
                "a function of integers has no slope",
                "a float: 1.0 instead of 1, or x.astype(float); argnums names the arguments to "
                "differentiate",
            )
        )


def _countable(dtype: Any) -> bool:
    return dtypes.is_integer(dtype) or dtype == dtypes.bool_


def check_output(name: str, type: ArrayType, holomorphic: bool) -> None:
    """Raise TypeError unless a value of this type can be differentiated in reverse."""
    dtype = type.dtype
    if holomorphic:
        if not dtypes.is_complex(dtype):
            raise TypeError(
                located(
                    f"{name} with holomorphic=True requires outputs with complex dtype, but got "
                    f"{dtype.name}.",
                    attempt="a function that gives complex numbers, or holomorphic=False",
                )
            )
    elif dtypes.is_complex(dtype):
        raise TypeError(
            located(
                f"{name} requires real-valued outputs (output dtype that is a sub-dtype of "
                f"np.floating), but got {dtype.name}. For holomorphic differentiation, pass "
                "holomorphic=True. For differentiation of non-holomorphic functions involving "
                "complex outputs, use fornax.vjp directly.",
                "only a real result can grow or shrink",
                "numpy.abs or .real of the result",
            )
        )
    elif not dtypes.is_floating(dtype):
        raise TypeError(
            located(
                f"{name} requires real-valued outputs (output dtype that is a sub-dtype of "
                f"np.floating), but got {dtype.name}. For differentiation of functions with "
                "integer outputs, use fornax.vjp directly.",
                "a result that jumps from integer to integer has no slope",
                "return a float; integer results can come out with has_aux=True",
            )
        )


def vjp(
    fun: Callable[..., Any], *primals: Any, has_aux: bool = False, reduce_axes: Sequence[Any] = ()
) -> Any:
    """(output, function from the output's cotangent to a tuple of the inputs' cotangents).

    With has_aux, `fun` gives (output, auxiliary) and the auxiliary comes third. The function is a
    tree: it may leave a jitted function and enter another. Its method `with_refs` adds cotangents
    to references, and is needed where derivatives flow through references among `primals`.
    """
    check_callable(fun)
    if reduce_axes:
        raise NotImplementedError(
            located(
                "reduce_axes argument to vjp is deprecated",
                attempt="lax.psum over the axis inside the function",
            )
        )
    flat, outputs, linear, residuals = linearized(Pullback, fun, primals, has_aux)
    output, half = flat.tree(outputs), VJP(linear, residuals)
    return (output, half, flat.aux) if has_aux else (output, half)


def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """(output, function from the inputs' tangents to the output's tangent).

    The work that does not depend on tangents is done once, here. The tangent of a reference among
    `primals` is a reference, which the function changes as `fun` changes that argument.
    """
    check_callable(fun)
    flat, outputs, linear, residuals = linearized(Pushforward, fun, primals, has_aux)
    output, half = flat.tree(outputs), pytree.Partial(linear, list(residuals))
    return (output, half, flat.aux) if has_aux else (output, half)


def linear_transpose(
    fun: Callable[..., Any], *primals: Any, reduce_axes: Sequence[Any] = ()
) -> Callable[[Any], Any]:
    """The transpose of a function that is linear in all its arguments.

    primals: arrays or ShapeDtypeStructs that say the types; values are not used. The result maps a
    cotangent of the output to a tuple of cotangents of the inputs.

    Raises TypeError where types forbid it; a function that is not linear fails in its rules.
    """
    check_callable(fun)
    if reduce_axes:
        raise NotImplementedError(
            located(
                "reduce_axes argument to linear_transpose is deprecated",
                attempt="lax.psum over the axis inside the function",
            )
        )
    leaves, structure = pytree.tree_flatten(primals)
    check_values([x for x in leaves if isinstance(x, Ref)], "Argument of linear_transpose")
    types = [abstract(x) for x in leaves]
    flat = Flat(fun, structure)
    used: list[Any] = []
    whole = stage(flat, types, getattr(fun, "__name__", ""), refs=used)
    program = _reading(whole, used, fun)
    given, gives = ([t.dtype for t in each] for each in (types, program.out_types))
    if not any(all(map(kind, (*given, *gives))) for kind in (dtypes.is_inexact, _countable)):
        raise TypeError(
            located(
                "linear_transpose only supports [float or complex] -> [float or complex], and "
                f"integer -> integer functions, but got {[d.name for d in given]} -> "
                f"{[d.name for d in gives]}.",
                "a transpose maps what the function gives back to what it takes",
                "arrays of floats or complex numbers; close over the others, return no integers",
            )
        )

    def transposed(cotangent: Any) -> Any:
        given, out_structure = pytree.tree_flatten(cotangent)
        found = [typeof(x) for x in given]
        fits = out_structure == flat.out_structure and all(
            f.shape == t.shape and f.dtype == t.dtype
            for f, t in zip(found, program.out_types, strict=True)
        )
        if not fits:
            raise TypeError(
                located(
                    "cotangent type does not match function output, expected "
                    f"{tuple(program.out_types)} but got {given}",
                    attempt="cotangents of the shapes and dtypes that the function gives",
                )
            )
        operands = [*map(Linear, types), *(ref.read() for ref in used)]
        found = transpose_program(program, operands, given)[: len(types)]
        return pytree.tree_unflatten(structure, as_arrays(map(instantiate, found)))

    return transposed


def _reading(program: Jaxpr, refs: Sequence[Ref], fun: Any) -> Jaxpr:
    """A program without the last values of the references that it takes the values of.

    Raises NotImplementedError if it writes to one.
    """
    count, first = len(program.outputs) - len(refs), len(program.inputs) - len(refs)
    if any(origin(program, count + k) != first + k for k in range(len(refs))):
        raise NotImplementedError(
            located(
                f"a function for linear_transpose writes to a mutable reference: {describe(fun)}",
                "it is not called, only its transpose is",
                "pass the value and return the new one, or vjp",
            )
        )
    outputs = program.outputs[:count]
    return Jaxpr(program.inputs, program.equations, outputs, program.consts, program.debug_name)


def fwd_and_bwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int],
    has_aux: bool = False,
    jitted: bool = True,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(fwd, bwd): the two passes of reverse mode as functions that can be used again and again.

    fwd(*args) gives (output, residuals), and the auxiliary third with has_aux. bwd(residuals,
    cotangent of the output) gives the cotangents of the arguments at `argnums` as a tuple, or the
    only one for an integer. jitted: both are jitted, so that the backward pass is compiled once.
    """
    check_callable(fun)
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def fwd(*args: Any, **kwargs: Any) -> Any:
        def chosen(*values: Any) -> Any:
            given = list(args)
            for i, value in zip(numbers, values, strict=True):
                given[i] = value
            return fun(*given, **kwargs)

        return vjp(chosen, *(args[i] for i in numbers), has_aux=has_aux)

    def bwd(residuals: Any, cotangent: Any) -> Any:
        grads = residuals(cotangent)
        return grads[0] if isinstance(argnums, int) else grads

    return (jit(fwd), jit(bwd)) if jitted else (fwd, bwd)
