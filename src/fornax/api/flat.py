"""Functions of trees as functions of flat lists, and the differentiation of those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fornax import pytree
from fornax.api.backward_state import decode, encode
from fornax.api.leaks import checked
from fornax.api.references import RefArguments, refuse_aliases
from fornax.api.signature import as_arrays, check_values, describe, leaf_names, strip_tracers
from fornax.ir.basis import instantiate
from fornax.ir.evaluate import evaluate
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.primitive import Zero
from fornax.ir.ref import AbstractRef, Ref, away, standing_for, state_type
from fornax.ir.types import ArrayType, typeof
from fornax.scalars import dtypes
from fornax.source import located
from fornax.transforms.linearize import linearize_flat
from fornax.transforms.transpose import backward


class Flat:
    """A function of positional trees called with leaves; remembers the structure of its output.

    With `has_aux` the function gives (output, auxiliary); the auxiliary is kept in `aux`, freed of
    the current trace, and is not part of the flat output. It takes values for references, whose
    last values are the last outputs.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        structure: pytree.PyTreeDef,
        has_aux: bool = False,
        refs: RefArguments | None = None,
    ):
        self.fun = fun
        self.refs = refs or RefArguments(())
        self.structure = structure
        self.has_aux = has_aux
        self.out_structure: pytree.PyTreeDef | None = None
        self.aux: Any = None
        self.remember: Callable[[], None] | None = None

    def __call__(self, *leaves: Any) -> list[Any]:
        if self.remember is not None:
            self.remember()
        output = self.fun(*pytree.tree_unflatten(self.structure, self.refs.opened(leaves)))
        if self.has_aux:
            output, aux = self.split(output)
            aux_leaves, aux_structure = pytree.tree_flatten(aux)
            self.aux = pytree.tree_unflatten(aux_structure, strip_tracers(aux_leaves))
        outputs, self.out_structure = pytree.tree_flatten(output)
        check_values(outputs, f"Output of {describe(self.fun)}: value")
        return [*outputs, *self.refs.closed()]

    def split(self, output: Any) -> tuple[Any, Any]:
        if not isinstance(output, tuple | list) or len(output) != 2:
            raise TypeError(
                located(
                    "expected function with aux output to return a two-element tuple, but got "
                    f"type {type(output)} with value {output!r:.80}",
                    attempt="return result, aux from the function, or leave has_aux out",
                )
            )
        return tuple(output)

    def tree(self, leaves: Sequence[Any]) -> Any:
        """The output tree with these leaves."""
        return pytree.tree_unflatten(self.out_structure, as_arrays(leaves))


class Pullback:
    """The backward half of a function: cotangents of the outputs to cotangents of the inputs.

    Static part of a tree whose leaves are the residuals. Compares by its program. The inputs at
    `in_refs` were the values of references, and the last outputs are their last values.
    """

    purpose = "vjp"

    def __init__(
        self,
        program: Jaxpr,
        has_tangent: Sequence[bool],
        nonzero: Sequence[bool],
        in_types: Sequence[ArrayType],
        out_types: Sequence[ArrayType],
        in_structure: pytree.PyTreeDef,
        out_structure: pytree.PyTreeDef,
        name: str,
        in_refs: Sequence[int] = (),
        states: Sequence[Ref] = (),
    ):
        self.program = program
        self.has_tangent = tuple(has_tangent)
        self.nonzero = tuple(nonzero)
        self.in_types = tuple(in_types)
        self.out_types = tuple(out_types)
        self.in_structure = in_structure
        self.out_structure = out_structure
        self.name = name
        self.in_refs = tuple(in_refs)
        self.count = len(self.out_types) - len(self.in_refs)
        #: what rules read and write backwards: the last inputs and outputs of the program
        self.states = tuple(states)

    def _key(self) -> tuple:
        return self.program, self.in_structure, self.out_structure, self.states

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((type(self), *self._key()))

    def with_consts(self, residuals: Sequence[Any]) -> Jaxpr:
        """The linear program with its residuals as constants again."""
        program = self.program
        return Jaxpr(
            program.inputs, program.equations, program.outputs, tuple(residuals),
            program.debug_name,
        )  # fmt: skip

    def pull(self, residuals: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
        """One cotangent or `Zero` per input leaf, for one cotangent or `Zero` per output leaf."""
        given = [c for c, has in zip(cotangents, self.has_tangent, strict=True) if has]
        given += [encode(ref.read()) for ref in self.states]
        with standing_for({ref: away(ref, "handed backwards") for ref in self.states}):
            found = iter(backward(self.with_consts(residuals), given))
        grads = [
            next(found) if flag else Zero(t.tangent())
            for flag, t in zip(self.nonzero, self.in_types, strict=True)
        ]
        for ref, state in zip(self.states, found, strict=True):
            ref.write(decode(instantiate(state), ref.type))
        return grads

    def __call__(self, residuals: Sequence[Any], *args: Any) -> Any:
        given = self.cotangents(args)
        last = [Zero(self.out_types[self.count + k].tangent()) for k in range(len(self.in_refs))]
        grads = self.pull(residuals, [*given, *last])
        for i in self.in_refs:
            grads[i] = self.untouched(self.in_types[i], grads[i])
        whole = [g if isinstance(g, Ref) else as_arrays([instantiate(g)])[0] for g in grads]
        return pytree.tree_unflatten(self.in_structure, whole)

    def untouched(self, type: ArrayType, grad: Any) -> Ref:
        """The cotangent of a reference that nothing flows into: another, of zeros."""
        if not isinstance(grad, Zero):
            aval = AbstractRef(type)
            raise ValueError(
                located(
                    f"Expected cotangent type {aval} but got {type.dtype.name}"
                    f"[{','.join(map(str, type.shape))}]: an argument of {self.name} is a mutable "
                    f"array reference of type {aval}, through which derivatives flow",
                    "its cotangent is accumulated in a reference as well",
                    "f_vjp.with_refs(...)(cotangent), with a reference for each such argument and "
                    "fornax.ad.GradValue() for the others",
                )
            )
        return Ref(instantiate(Zero(type)))

    def cotangents(self, args: Sequence[Any]) -> list[Any]:
        """The cotangent leaves of the outputs. Raises where they do not fit the outputs."""
        if len(args) != 1:
            raise TypeError(
                located(
                    f"The function returned by vjp applied to {self.name} was called with "
                    f"{len(args)} arguments, but it must be called with a single argument "
                    "corresponding to the single value returned by the function being "
                    "differentiated (even if that returned value is a tuple or other container).",
                    attempt="f_vjp((a, b)) instead of f_vjp(a, b)",
                )
            )
        leaves, structure = pytree.tree_flatten(args[0])
        if structure != self.out_structure:
            lines = [
                f"  * out{pytree.keystr(path)} was {was} in the original output, but {now} here, "
                f"so {why}."
                for path, was, now, why in pytree.equality_errors_pytreedef(
                    self.out_structure, structure
                )
            ]
            raise ValueError(
                located(
                    "unexpected tree structure.\n\nThe argument to a VJP function returned by vjp "
                    "must match the pytree structure of the differentiated function "
                    f"{self.name}.\n\n"
                    "But the tree structures differ:\n" + "\n".join(lines),
                    attempt=f"cotangents in the same containers as the result of {self.name}",
                )
            )
        types = self.out_types[: self.count]
        for k, (leaf, expected) in enumerate(zip(leaves, types, strict=True)):
            found, wanted = typeof(leaf), expected.tangent()
            if found.shape == wanted.shape and wanted.dtype == dtypes.float0:
                leaves[k] = Zero(wanted)  # whatever is given for an integer counts nothing
            elif found.shape != wanted.shape or found.dtype != wanted.dtype:
                raise ValueError(
                    located(
                        "unexpected JAX type (e.g. shape/dtype) for argument to VJP function: got "
                        f"{found.short()}, but expected {wanted.short()} because the "
                        "corresponding output of the differentiated function had JAX type "
                        f"{expected.short()}",
                        "a cotangent says, for each element of the output, how much it counts",
                        "numpy.ones_like(output), or astype of what you have",
                    )
                )
        return leaves


class Pushforward(Pullback):
    """The linear half of a function: tangents of the inputs to tangents of the outputs.

    The tangent of a reference is in another, which gets the tangent of its last value.
    """

    purpose = "linearize"

    def __call__(self, residuals: Sequence[Any], *args: Any) -> Any:
        leaves, structure = pytree.tree_flatten(args)
        if structure != self.in_structure:
            raise TypeError(
                located(
                    f"expected {self.in_structure}, got {structure}",
                    attempt="tangents in the same containers as the arguments that were "
                    "linearized at",
                )
            )
        refs = RefArguments(leaves)
        values = refs.values(leaves)
        for i, (leaf, expected) in enumerate(zip(values, self.in_types, strict=True)):
            found, wanted = typeof(leaf), expected.tangent()
            is_ref, was_ref = i in refs.places, i in self.in_refs
            if is_ref and was_ref and wanted.dtype == dtypes.float0:
                continue  # nothing flows through a reference to integers
            if is_ref != was_ref or found.shape != wanted.shape or found.dtype != wanted.dtype:
                shown = (f"Ref{{{t.short()}}}" if flag else t.short() for t, flag in (
                    (found, is_ref), (expected, was_ref), (wanted, was_ref)))  # fmt: skip
                given, primal, needed = shown
                raise ValueError(
                    located(
                        "linearized function called on tangent values inconsistent with the "
                        f"original primal values:\nGot tangent aval {given} for primal "
                        f"aval {primal} but expected {needed}.",
                        attempt="x.astype and reshape, so that each tangent is like its primal "
                        "value",
                    )
                )
        operands = [leaf for leaf, flag in zip(values, self.nonzero, strict=True) if flag]
        operands += [instantiate(Zero(state_type(ref.type))) for ref in self.states]
        results = iter(evaluate(self.with_consts(residuals), *operands))
        tangents = [
            next(results) if has else instantiate(Zero(t.tangent()))
            for has, t in zip(self.has_tangent, self.out_types, strict=True)
        ]
        for i, tangent in zip(self.in_refs, tangents[self.count :], strict=True):
            if self.nonzero[i]:
                leaves[i].write(tangent)
        return pytree.tree_unflatten(self.out_structure, as_arrays(tangents[: self.count]))


def linearized(
    kind: type[Pullback], fun: Callable[..., Any], primals: Sequence[Any], has_aux: bool
) -> tuple[Flat, list[Any], Pullback, tuple[Any, ...]]:
    """(flat function after its call, output leaves, linear half, residuals)."""
    leaves, structure = pytree.tree_flatten(tuple(primals))
    refs = RefArguments(leaves)
    if refs.places:
        refuse_aliases(fun, kind.purpose, leaves, lambda: leaf_names(fun, primals, {}))
        leaves = refs.values(leaves)
    check_values(leaves, "Argument")
    flat = Flat(fun, structure, has_aux, refs)
    types = [typeof(x) for x in leaves]
    nonzero = [dtypes.is_inexact(t.dtype) for t in types]
    with checked() as flat.remember:
        states: list[Ref] = []
        outputs, program, has_tangent = linearize_flat(flat, leaves, nonzero, states)
    out_types = [typeof(x) for x in outputs]
    outputs = refs.settle(outputs, fun, kind.purpose)
    linear = kind(
        program.without_consts(), has_tangent, nonzero, types, out_types, structure,
        flat.out_structure, describe(fun), refs.places, states,
    )  # fmt: skip
    return flat, outputs, linear, program.consts
