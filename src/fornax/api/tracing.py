"""From a Python function and arguments to a traced program, remembered per function."""

from __future__ import annotations

import collections
import itertools
import time
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from fornax import pytree, settings
from fornax.api.calls import Key, Options, Prepared, names_of, prepare
from fornax.api.leaks import checked
from fornax.api.references import RefArguments, refuse_both
from fornax.api.signature import describe, function_name, positional_labels
from fornax.api.stages import Traced
from fornax.ir.check import check
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.late import known as late_refs
from fornax.ir.late import retraced
from fornax.ir.ref import Ref
from fornax.ir.types import ArrayType, is_value
from fornax.observe import events
from fornax.record import replace
from fornax.source import located
from fornax.transforms.stage import stage

__all__ = ["clear_traces", "programs_of", "trace_call", "trace_types"]

_LIMIT = 1024  # programs remembered per function

Programs = collections.OrderedDict[Key, Traced]
_by_identity: dict[tuple[int, int], tuple[tuple[weakref.ref, ...], Programs]] = {}


def programs_of(fun: Callable[..., Any]) -> Programs | None:
    """The programs traced from a function so far; None if it cannot be watched by weak reference.

    Functions are told apart by identity, bound methods by object and function.
    """
    parts = (fun.__self__, fun.__func__) if isinstance(fun, types.MethodType) else (fun, fun)
    key = (id(parts[0]), id(parts[1]))
    found = _by_identity.get(key)
    if found is not None:
        return found[1]

    def forget(_: Any, table: dict = _by_identity) -> None:
        table.pop(key, None)

    try:
        references = tuple(weakref.ref(part, forget) for part in parts)
    except TypeError:
        return None
    programs: Programs = collections.OrderedDict()
    _by_identity[key] = (references, programs)
    return programs


def clear_traces(fun: Callable[..., Any] | None = None) -> None:
    """Forget the programs of a function, or of all."""
    if fun is None:
        for _, programs in list(_by_identity.values()):
            programs.clear()
    else:
        programs = programs_of(fun)
        if programs is not None:
            programs.clear()


@retraced
def trace_call(prepared: Prepared, programs: Programs) -> Traced:
    """The program for a call, traced unless it is known."""
    options = prepared.options
    known, late = programs.get(prepared.key), late_refs()
    if known is not None and known.alive() and (not late or {*late} <= {*known.late}):
        programs.move_to_end(prepared.key)
        _refuse_both(options, known, prepared)
        return known
    if prepared.key.settings.no_tracing:
        raise RuntimeError(
            located(
                f"re-tracing function {describe(options.fun)} for `{options.purpose}`, but "
                "'no_tracing' is set",
                attempt="call it once before `no_tracing`, with arguments of the same shapes and "
                "dtypes",
            )
        )
    if options.purpose == "jit":
        explain(options, prepared, programs)
    out_structure: list[pytree.PyTreeDef] = []

    arguments = RefArguments(prepared.leaves)

    def flat(*leaves: Any) -> list[Any]:
        remember()
        outputs, structure = pytree.tree_flatten(prepared.call(arguments.opened(leaves)))
        check_outputs(options, outputs, structure)
        out_structure[:] = [structure]
        return [*outputs, *arguments.closed()]

    names = names_of(
        options, prepared.places, prepared.args,
        {k: v for k, v in prepared.kwargs.items() if k not in options.static_argnames},
    )  # fmt: skip
    started = time.perf_counter()
    purpose = f"the function {describe(options.fun)} traced for {options.purpose}"
    refs: list[Ref | int] = []
    with checked() as remember:
        jaxpr = stage(flat, prepared.key.types, options.name, purpose, names, refs)
    if all(isinstance(ref, Ref) for ref in refs):
        jaxpr.refs = (*arguments.places, *refs)
    if prepared.key.settings.enable_checks:
        check(jaxpr)
    events.emit(
        "Traced",
        name=options.name,
        seconds=time.perf_counter() - started,
        equations=len(jaxpr.equations),
        inputs=tuple(t.short() for t in prepared.key.types),
    )
    traced = Traced(
        options.name, jaxpr, prepared.key.structure, out_structure[0], prepared.key.donated, names,
        options.keep_unused, arguments.places, tuple(refs), options.threads, late,
    )  # fmt: skip
    _refuse_both(options, traced, prepared)
    programs[prepared.key] = traced
    if len(programs) > _LIMIT:
        programs.popitem(last=False)
    return traced


def _refuse_both(options: Options, traced: Traced, prepared: Prepared) -> None:
    """Raise ValueError if a reference that the function closes over is an argument as well."""
    for i, place in enumerate(traced.argument_refs):
        if prepared.leaves[place] in traced.refs:
            other = len(traced.argument_refs) + traced.refs.index(prepared.leaves[place])
            if options.shared_refs and not traced.written[i] and not traced.written[other]:
                continue
            name = traced.names[place]
            raise refuse_both(options.fun, options.purpose, prepared.leaves[place], name)


def trace_types(
    fun: Callable[..., Any],
    args: Sequence[Any],
    purpose: str,
    adapt: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None,
    refs: bool = False,
) -> Traced:
    """The program of a function for arguments that are trees of values or types.

    It is remembered under the function, `purpose` and the types; `adapt` wraps the function before
    it is traced, always in the same way for the same purpose. refs: the caller passes on the values
    of references that the function uses; otherwise their values now are constants, and functions
    that write raise NotImplementedError.
    """
    options = Options(fun, function_name(fun), purpose=purpose, adapt=adapt)
    programs = programs_of(fun)
    traced = trace_call(
        prepare(options, args, {}), collections.OrderedDict() if programs is None else programs
    )
    if traced.refs and not refs:
        return _with_values(traced, purpose, fun)
    return traced


def _with_values(traced: Traced, purpose: str, fun: Any) -> Traced:
    """The same with the values that references have now. Raises for one that it writes."""
    jaxpr, refs = traced.jaxpr, traced.used(())
    first, last = len(jaxpr.inputs) - len(refs), len(jaxpr.outputs) - len(refs)
    values = jaxpr.inputs[first:]
    if jaxpr.outputs[last:] != values:
        raise NotImplementedError(
            located(
                f"a function for {purpose} writes to a mutable reference from outside: "
                f"{describe(fun)}",
                "it is called as often and when the operation needs it",
                "pass the value and return the new one",
            )
        )
    count = len(jaxpr.consts)
    program = Jaxpr(
        (*jaxpr.inputs[:count], *values, *jaxpr.inputs[count:first]), jaxpr.equations,
        jaxpr.outputs[:last], (*jaxpr.consts, *(ref.read() for ref in refs)), jaxpr.debug_name,
    )  # fmt: skip
    return replace(traced, jaxpr=program, refs=(), entries={})


def check_outputs(options: Options, outputs: Sequence[Any], structure: pytree.PyTreeDef) -> None:
    """Raise TypeError for outputs that are not arrays or numbers."""
    for leaf, path in zip(outputs, pytree.structure_paths(structure), strict=True):
        if isinstance(leaf, Ref):
            raise ValueError(
                located(
                    f"function {describe(options.fun)} traced for {options.purpose} returned a "
                    f"mutable array reference of type {leaf.aval} at output tree path "
                    f"result{pytree.keystr(path)}, but mutable array references cannot be "
                    "returned.",
                    attempt="return freeze(ref), its value",
                )
            )
        if not is_value(leaf):
            where = pytree.keystr(path)
            place = f" at output component {where}" if where else ""
            raise TypeError(
                located(
                    f"function {describe(options.fun)} traced for {options.purpose} returned a "
                    f"value{place} of type {type(leaf)}, which is not a valid JAX type",
                    "the results of a program are arrays",
                    "return arrays and numbers only; keep other results outside",
                )
            )


def explain(options: Options, prepared: Prepared, programs: Programs) -> None:
    """Announce why a call has to be traced: what differs from the most similar call before."""
    key = prepared.key
    recent = itertools.islice(reversed(programs), 32)
    similar = [known for known in recent if known.purpose == key.purpose]
    if not similar:
        reason, changes = "first call", ()
    else:
        best = min(similar, key=lambda known: len(differences(known, key, prepared)))
        changes = tuple(differences(best, key, prepared))
        places = sorted({path for path, _, _ in changes})
        reason = "changed: " + ", ".join(places) if places else "what it closed over has ended"
    events.emit("CacheMiss", name=options.name, cache="jit", reason=reason, changes=changes)


def differences(before: Key, now: Key, prepared: Prepared) -> list[tuple[str, str, str]]:
    """(what, old, new) for everything that differs between two keys."""
    found: list[tuple[str, str, str]] = []
    if before.structure is not now.structure and before.structure != now.structure:
        errors = list(pytree.equality_errors_pytreedef(before.structure, now.structure))
        for path, old, new, _ in errors:
            found.append((_place(prepared, path), old, new))
    elif before.types != now.types:
        paths = pytree.structure_paths(now.structure)
        for path, old, new in zip(paths, before.types, now.types, strict=True):
            if old is not new:
                found.append((_place(prepared, path), _type(old), _type(new)))
    old_statics = {place: value for place, _, value in before.statics}
    new_statics = {place: value for place, _, value in now.statics}
    for place in {**old_statics, **new_statics}:
        old, new = old_statics.get(place, "not given"), new_statics.get(place, "not given")
        if type(old) is not type(new) or old != new:
            found.append((f"static argument {place}", f"{old!r:.60}", f"{new!r:.60}"))
    if before.settings is not now.settings:
        for name in settings.Settings.__dataclass_fields__:
            old, new = getattr(before.settings, name), getattr(now.settings, name)
            if old != new:
                found.append((f"setting {name}", repr(old), repr(new)))
    if before.axes != now.axes:
        found.append(("named axes", repr(before.axes), repr(now.axes)))
    if before.donated != now.donated:
        found.append(("donated arguments", repr(before.donated), repr(now.donated)))
    return found


def _type(type: ArrayType) -> str:
    return type.short() + (" (weak)" if type.weak_type else "")


def _place(prepared: Prepared, path: Sequence[Any]) -> str:
    """A path in (args, kwargs) in the function's own words."""
    labels = positional_labels(prepared.options.fun, len(prepared.args))
    names = [labels[i] for i in prepared.places]
    if len(path) < 2:
        return "the arguments"
    first = path[1]
    index = getattr(first, "idx", None)
    label = (
        names[index]
        if index is not None and index < len(names)
        else str(getattr(first, "key", first))
    )
    return label + pytree.keystr(tuple(path[2:]))
