"""Solvers with implicit derivatives: custom_root, custom_linear_solve."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fornax import pytree
from fornax.api.custom import custom_jvp
from fornax.api.forward import jvp
from fornax.api.grad import linear_transpose, linearize
from fornax.api.rules import zero_from_primal
from fornax.api.signature import as_arrays
from fornax.api.stages import Traced
from fornax.api.tracing import trace_types
from fornax.ir.evaluate import evaluate
from fornax.ir.types import typeof
from fornax.primitives.linear_solve import System, linear_solve_p
from fornax.source import located

__all__ = ["custom_linear_solve", "custom_root"]


def _types(tree: Any) -> Any:
    return pytree.tree_map(typeof, tree)


def _check_tree(name: str, expected: str, traced: Traced, like: Any, has_aux: bool) -> None:
    """Raise unless a function's output (without auxiliary) is like a tree of types."""
    found = traced.out_tree
    structure = pytree.tree_structure(like)
    if has_aux:
        children = pytree.treedef_children(found)
        if len(children) != 2 or pytree.treedef_is_leaf(found):
            raise ValueError(
                located(
                    f"{name}() produced a pytree with structure {found}, but a pair (solution, "
                    "auxiliary) is expected with has_aux=True",
                    attempt="return solution, auxiliary, or leave has_aux out",
                )
            )
        found = children[0]
    if found != structure:
        raise TypeError(
            located(
                f"{name}() output pytree structure must match {expected}, got {found} and "
                f"{structure}",
                attempt="return the containers that b has",
            )
        )
    shapes = [t.shape for t in traced.jaxpr.out_types[: found.num_leaves]]
    wanted = [t.shape for t in pytree.tree_leaves(like)]
    if shapes != wanted:
        raise ValueError(
            located(
                f"{name}() output shapes must match {expected}, got {shapes} and {wanted}",
                attempt="return arrays of the shapes that b has",
            )
        )


def custom_root(
    f: Callable[[Any], Any],
    initial_guess: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    tangent_solve: Callable[[Callable[[Any], Any], Any], Any],
    has_aux: bool = False,
) -> Any:
    """`solve(f, initial_guess)`, a root of `f`, differentiated by the implicit function theorem.

    Derivatives are with respect to what `f` closes over; `solve` itself need not have any.
    tangent_solve: (g, y) -> x with g(x) = y, where g is `f` linearized at the root.
    has_aux: `solve` gives (root, auxiliary), and so does this.

    Raises TypeError or ValueError where structures or shapes differ from the guess's.
    """
    like = _types(initial_guess)

    def linearize_and_solve(x: Any, b: Any) -> Any:
        _, tangent = linearize(f, x)
        return tangent_solve(tangent, b)

    for_f = trace_types(f, (like,), "custom_root")
    _check_tree("f", "initial_guess", for_f, like, False)
    for_solve = trace_types(functools.partial(solve, f), (like,), "custom_root solve")
    _check_tree("solve", "initial_guess", for_solve, like, has_aux)
    tangents = trace_types(linearize_and_solve, (like, like), "custom_root tangent_solve")
    _check_tree("tangent_solve", "x", tangents, like, False)
    programs = tuple(t.jaxpr.without_consts() for t in (for_f, for_solve, tangents))
    consts = [list(t.jaxpr.consts) for t in (for_f, for_solve, tangents)]
    outputs = _root(programs, consts, pytree.tree_leaves(initial_guess))
    return pytree.tree_unflatten(for_solve.out_tree, as_arrays(outputs))


@functools.partial(custom_jvp, nondiff_argnums=(0,))
def _root(programs: Any, consts: Any, guess: Any) -> list[Any]:
    return evaluate(programs[1], *consts[1], *guess)


@_root.defjvp
def _root_jvp(programs: Any, primals: Any, tangents: Any) -> tuple[Any, Any]:
    consts, _ = primals
    outputs = _root(programs, *primals)
    count = len(programs[0].outputs)
    x = outputs[:count]
    # F(m, x(m)) = 0, so ∂x = -(∂₂F)⁻¹ ∂₁F ∂m
    _, right = jvp(
        lambda values: evaluate(programs[0], *values, *x), (consts[0],), (tangents[0][0],)
    )
    found = evaluate(programs[2], *consts[2], *x, *(-r for r in right))
    return outputs, [*found, *map(zero_from_primal, outputs[count:])]


def custom_linear_solve(
    matvec: Callable[[Any], Any],
    b: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    transpose_solve: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    symmetric: bool = False,
    has_aux: bool = False,
) -> Any:
    """`solve(matvec, b)`, the x with matvec(x) = b, differentiated by that equation.

    matvec: linear, of trees like `b`; what it closes over is differentiated. `solve` itself need
    not have a derivative. transpose_solve: the same for the transpose of matvec, which it gets;
    needed for reverse mode unless `symmetric`. has_aux: the solvers give (x, auxiliary), and so
    does this.

    Raises TypeError or ValueError where structures or shapes differ from those of `b`, TypeError
    for reverse mode without transpose_solve.
    """
    like = _types(b)
    if transpose_solve is None and symmetric:
        transpose_solve = solve
    traced = {
        "matvec": trace_types(matvec, (like,), "custom_linear_solve"),
        "solve": trace_types(functools.partial(solve, matvec), (like,), "custom_linear_solve"),
    }
    _check_tree("matvec", "b", traced["matvec"], like, False)
    _check_tree("solve", "b", traced["solve"], like, has_aux)
    if transpose_solve is not None:
        vecmat = matvec if symmetric else _transposed(matvec, like)
        traced["vecmat"] = trace_types(vecmat, (like,), "custom_linear_solve")
        back = functools.partial(transpose_solve, vecmat)
        traced["transpose_solve"] = trace_types(back, (like,), "custom_linear_solve")
        _check_tree("transpose_solve", "b", traced["transpose_solve"], like, has_aux)
    names = ("matvec", "vecmat", "solve", "transpose_solve")
    consts = [list(traced[n].jaxpr.consts) if n in traced else [] for n in names]
    programs = [traced[n].jaxpr.without_consts() if n in traced else None for n in names]
    outputs = linear_solve_p.bind(
        *(c for part in consts for c in part), *pytree.tree_leaves(b),
        lengths=System(*map(len, consts)), jaxprs=System(*programs),
    )  # fmt: skip
    return pytree.tree_unflatten(traced["solve"].out_tree, as_arrays(outputs))


def _transposed(matvec: Callable[[Any], Any], like: Any) -> Callable[[Any], Any]:
    transpose = linear_transpose(matvec, like)
    return lambda y: transpose(y)[0]
