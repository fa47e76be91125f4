"""Checks of what loop bodies and branches return, with messages that name the place."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from fornax import pytree
from fornax.api.signature import check_values, describe
from fornax.ir.ref import Ref
from fornax.ir.types import ArrayType, typeof
from fornax.primitives.convert import convert_element_type
from fornax.scalars.promotion import promote
from fornax.source import located

__all__ = ["carry_name", "check_branches", "check_carry", "promoted"]


def carry_name(body: Callable[..., Any], position: int = 0) -> str:
    """What the body calls its carry, for messages."""
    try:
        names = list(inspect.signature(body).parameters)
    except (ValueError, TypeError):
        return "carry"
    return names[position] if position < len(names) else "carry"


def same(a: ArrayType, b: ArrayType) -> bool:
    """Equal up to weak types."""
    return a.shape == b.shape and a.dtype == b.dtype


def promoted(
    values: Sequence[Any], types: Sequence[ArrayType], outputs: Sequence[ArrayType]
) -> list[Any] | None:
    """Initial values with weakly typed ones converted to what the body makes of them.

    None if there is nothing to convert.
    """
    changed = False
    result = []
    for value, type, output in zip(values, types, outputs, strict=True):
        if type.weak_type and not same(type, output) and type.shape == output.shape:
            dtype, _ = promote([(type.dtype, True), (output.dtype, output.weak_type)])
            if dtype != type.dtype:
                value = convert_element_type(value, dtype)
                changed = True
        result.append(value)
    return result if changed else None


def difference(a: ArrayType, b: ArrayType) -> str:
    """Why two types are not equal, as the end of a sentence."""
    reasons = []
    if a.dtype != b.dtype:
        reasons.append("the dtypes do not match")
    if a.shape != b.shape:
        reasons.append("the shapes do not match")
    return " and ".join(reasons)


def long(type: ArrayType) -> str:
    """float32[3]"""
    return f"{type.dtype.name}[{','.join(map(str, type.shape))}]"


LOOP_WHY = "the loop is one program, whose carry has one type from the first step to the last"
BRANCH_WHY = "what follows is one program, whichever branch was taken"


def check_carry(
    what: str,
    name: str | Callable[..., Any],
    structure: pytree.PyTreeDef,
    types: Sequence[ArrayType],
    out_structure: pytree.PyTreeDef,
    out_types: Sequence[ArrayType],
) -> None:
    """Raise TypeError unless the carry that goes out has the structure and types of the one in.

    name: what to call the carry, or the body, whose first parameter it is.
    """
    if structure == out_structure and all(map(same, types, out_types)):
        return
    if not isinstance(name, str):
        name = carry_name(name)
    if structure != out_structure:
        lines = [
            f"The input carry {_component(name, path)} is a {before} but the corresponding "
            f"component of the carry output is a {after}, so {why}."
            for path, before, after, why in pytree.equality_errors_pytreedef(
                structure, out_structure
            )
        ]
        raise TypeError(
            located(
                f"{what} function carry input and carry output must have the same pytree "
                "structure, but they differ:\n\n" + "\n".join(_listed(lines)) + "\n",
                LOOP_WHY,
                "Revise the function so that the carry output has the same pytree structure as "
                "the carry input.",
            )
        )
    paths = pytree.structure_paths(structure)
    lines = [
        f"The input carry {_component(name, path)} has type {long(before)} but the corresponding "
        f"output carry component has type {long(after)}, so {difference(before, after)}."
        for path, before, after in zip(paths, types, out_types, strict=True)
        if not same(before, after)
    ]
    if lines:
        raise TypeError(
            located(
                f"{what} function carry input and carry output must have equal types, but they "
                "differ:\n\n" + "\n".join(_listed(lines)) + "\n",
                LOOP_WHY,
                "Revise the function so that all output types match the corresponding input "
                "types; often the first carry is of integers and should be of floats.",
            )
        )


def _component(name: str, path: Sequence[Any]) -> str:
    return f"component {name}{pytree.keystr(tuple(path))}" if path else name


def _listed(lines: Sequence[str]) -> list[str]:
    return list(lines) if len(lines) == 1 else [f"  * {line}" for line in lines]


def check_branches(
    what: str,
    functions: Sequence[Callable[..., Any]],
    names: Sequence[str],
    traced: Sequence[Any],
) -> None:
    """Raise TypeError unless all branches give results of equal structure and types."""
    first = traced[0]
    for number in range(1, len(traced)):
        other = traced[number]
        head = (
            f"{names[0]} is {describe(functions[0])}\n{names[number]} is "
            f"{describe(functions[number])}\n\n"
        )
        if first.out_tree != other.out_tree:
            lines = [
                f"{names[0]} output{_at(path)} is a {before} but {names[number]} output"
                f"{_at(path)} is a {after}, so {why}."
                for path, before, after, why in pytree.equality_errors_pytreedef(
                    first.out_tree, other.out_tree
                )
            ]
            raise TypeError(
                located(
                    f"{what} branch outputs must have the same pytree structure, but they "
                    "differ:\n\n" + head + "\n".join(_listed(lines)) + "\n",
                    BRANCH_WHY,
                    f"Revise {names[0]} and/or {names[number]} so that they have the same pytree "
                    "structure.",
                )
            )
        paths = pytree.structure_paths(first.out_tree)
        lines = [
            f"The output of {names[0]}{_at(path)} has type {long(a)} but the corresponding output "
            f"of {names[number]} has type {long(b)}, so {difference(a, b)}."
            for path, a, b in zip(paths, first.out_types, other.out_types, strict=True)
            if not same(a, b)
        ]
        if lines:
            raise TypeError(
                located(
                    f"{what} branches must have equal output types but they differ.\n\n"
                    + head + "\n".join(_listed(lines)) + "\n",
                    BRANCH_WHY,
                    f"Revise {names[0]} and/or {names[number]} so that all output types match, "
                    "for example with astype.",
                )
            )  # fmt: skip


def _at(path: Sequence[Any]) -> str:
    return f" at path {pytree.keystr(tuple(path))}" if path else ""


def value_types(leaves: Sequence[Any]) -> list[ArrayType]:
    """The types of values.

    Raises TypeError for leaves that are not arrays or numbers, ValueError for references.
    """
    check_values([leaf for leaf in leaves if isinstance(leaf, Ref)], "What a loop carries")
    return [typeof(leaf) for leaf in leaves]
