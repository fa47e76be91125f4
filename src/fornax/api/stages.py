"""The stages between a function and running it: Traced, Lowered, Compiled.

jit(f).trace(*args).lower().compile()(*args)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol

from fornax import _native, pytree, settings, source
from fornax.api.structs import ArgInfo, struct_of
from fornax.errors import message
from fornax.ir.jaxpr import Jaxpr
from fornax.ir.late import taken
from fornax.ir.ref import Ref, behind
from fornax.ir.trace import Tracer, current, unexpected
from fornax.ir.types import ArrayType, typeof
from fornax.observe import events
from fornax.primitives.arrange import prune
from fornax.record import field, record
from fornax.runtime import transfers
from fornax.runtime.values import stored
from fornax.source import located

__all__ = ["Compiled", "CompilerOptions", "Lowered", "Traced", "Wrapped"]

CompilerOptions = dict[str, Any]


@record
class Traced:
    """A function traced to a program for arguments of certain types.

    jaxpr: the program; in_tree: structure of (args, kwargs) without the static ones.
    """

    fun_name: str
    jaxpr: Jaxpr
    in_tree: pytree.PyTreeDef
    out_tree: pytree.PyTreeDef
    donated: tuple[bool, ...] = ()
    names: tuple[str, ...] = ()
    keep_unused: bool = False
    #: positions of argument leaves that are references; other references that the function uses.
    #: The values of the latter are the last inputs, those of both are the last outputs. A number
    #: among the latter is the state backwards of the reference in that place of the arguments
    argument_refs: tuple[int, ...] = ()
    refs: tuple[Ref | int, ...] = ()
    #: most threads that may work on the program at once; 0: as the settings say
    threads: int = 0
    #: references that were known to be used by rules although they cannot be found
    late: tuple[Ref, ...] = ()
    entries: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def in_types(self) -> list[ArrayType]:
        """Types of the argument leaves."""
        return self.jaxpr.in_types[: self.in_tree.num_leaves]

    @property
    def out_types(self) -> list[ArrayType]:
        """Types of the output leaves."""
        return self.jaxpr.out_types[: self.out_tree.num_leaves]

    @property
    def stateful(self) -> bool:
        """Whether the function uses references from outside."""
        return bool(self.argument_refs or self.refs)

    def operands(self, leaves: Sequence[Any]) -> list[Any]:
        """What the program takes for these argument leaves: values in the place of references."""
        if not self.stateful:
            return list(leaves)
        given = [x.read() if isinstance(x, Ref) else x for x in leaves]
        return [*given, *(ref.read() for ref in self.used(leaves))]

    def applied(
        self, leaves: Sequence[Any], run: Callable[[list[Any]], Sequence[Any]]
    ) -> list[Any]:
        """The outputs of the function: of `run`, which applies the program to its operands; the
        program has the values of references while it does."""
        operands = self.operands(leaves)
        if not self.stateful:
            return list(run(operands))
        refs = [*(leaves[i] for i in self.argument_refs), *self.used(leaves)]
        with taken({behind(current(), ref): w for ref, w in zip(refs, self.written, strict=True)}):
            outputs = run(operands)
        return self.settle(leaves, outputs)

    def used(self, leaves: Sequence[Any]) -> list[Ref]:
        """The references besides the arguments whose values the program takes and gives."""
        return [leaves[x].backward if isinstance(x, int) else x for x in self.refs]

    def settle(self, leaves: Sequence[Any], outputs: Sequence[Any]) -> list[Any]:
        """The outputs of the function among those of the program; references get their values."""
        if not self.stateful:
            return list(outputs)
        count = self.out_tree.num_leaves
        refs = [leaves[i] for i in self.argument_refs]
        refs += self.used(leaves)
        for ref, value, written in zip(refs, outputs[count:], self.written, strict=True):
            if written:
                ref.write(value)
        return list(outputs[:count])

    @cached_property
    def written(self) -> list[bool]:
        """Which references, those among the arguments first, have another value afterwards.

        A donated one counts as such: the memory of its value is another's then."""
        inputs, given = self.jaxpr.invars, self.in_tree.num_leaves
        places = [*self.argument_refs, *range(given, given + len(self.refs))]
        outputs = self.jaxpr.outputs[self.out_tree.num_leaves :]
        return [
            out is not inputs[place] or (place < len(self.donated) and self.donated[place])
            for place, out in zip(places, outputs, strict=True)
        ]

    @property
    def in_avals(self) -> Any:
        return pytree.tree_unflatten(self.in_tree, self.in_types)

    @property
    def out_avals(self) -> Any:
        return pytree.tree_unflatten(self.out_tree, self.out_types)

    @property
    def out_info(self) -> Any:
        """The output as a tree of ShapeDtypeStruct."""
        return pytree.tree_unflatten(self.out_tree, map(struct_of, self.out_types))

    @property
    def args_info(self) -> Any:
        """The arguments as a tree of ArgInfo."""
        infos = map(ArgInfo, self.in_types, self.donated or (False,) * len(self.in_types))
        return pytree.tree_unflatten(self.in_tree, infos)

    @property
    def donate_argnums(self) -> tuple[int, ...]:
        return tuple(i for i, donated in enumerate(self.donated) if donated)

    def alive(self) -> bool:
        """Whether the program may be used again: what it closed over still exists."""
        owners = [c._trace for c in self.jaxpr.consts if isinstance(c, Tracer)]
        owners += [
            ref._owner for ref in self.refs if isinstance(ref, Ref) and ref._owner is not None
        ]
        return all(owner.alive for owner in owners)

    def lower(self, **_: Any) -> Lowered:
        """The program prepared for this machine."""
        started = time.perf_counter()
        lowered = Lowered(self)
        events.emit("Lowered", name=self.fun_name, seconds=time.perf_counter() - started)
        return lowered


class _Stage:
    """What every later stage tells about the function it came from."""

    def __init__(self, traced: Traced):
        self.traced = traced

    in_tree = property(lambda self: self.traced.in_tree)
    out_tree = property(lambda self: self.traced.out_tree)
    in_avals = property(lambda self: self.traced.in_avals)
    out_info = property(lambda self: self.traced.out_info)
    args_info = property(lambda self: self.traced.args_info)
    donate_argnums = property(lambda self: self.traced.donate_argnums)
    fun_name = property(lambda self: self.traced.fun_name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.traced.fun_name})"


def usable(
    inputs: Sequence[ArrayType], outputs: Sequence[ArrayType], donated: Sequence[bool]
) -> list[bool]:
    """Which donated inputs a result can take over: of equal type, else of as many bytes."""
    left, used = list(outputs), [False] * len(inputs)
    for measure in (lambda type: (type.shape, type.dtype), lambda type: _bytes([type])):
        sizes = [measure(type) for type in left]
        for k, type in enumerate(inputs):
            if donated[k] and not used[k] and measure(type) in sizes:
                place = sizes.index(measure(type))
                del sizes[place], left[place]
                used[k] = True
    return used


class Lowered(_Stage):
    """A traced program whose constants and unused arguments have been sorted out.

    kept: positions of the argument leaves that the program reads. constants: what it closed over.
    """

    def __init__(self, traced: Traced):
        super().__init__(traced)
        jaxpr = traced.jaxpr
        for constant in jaxpr.consts:
            if isinstance(constant, Tracer):
                raise unexpected(constant)
        count = len(jaxpr.consts)
        inputs = (*jaxpr.inputs[count:], *jaxpr.inputs[:count])
        program = Jaxpr(inputs, jaxpr.equations, jaxpr.outputs, (), jaxpr.debug_name)
        arguments = len(jaxpr.inputs) - count
        keep = arguments if traced.keep_unused else 0
        self.jaxpr, used = prune(program, [True] * len(jaxpr.outputs), keep)
        self.kept = tuple(i for i in range(arguments) if used[i])
        self.constants = [
            stored(c) for c, u in zip(jaxpr.consts, used[arguments:], strict=True) if u
        ]
        flags = [i < len(traced.donated) and traced.donated[i] for i in self.kept]
        types = self.jaxpr.in_types[: len(self.kept)]
        used = usable(types, self.jaxpr.out_types, flags)
        idle = [k for k, flag in enumerate(flags) if flag and not used[k]]
        if idle:
            names = traced.names or tuple(map(str, range(len(traced.in_types))))
            self._warn_of_idle([(names[self.kept[k]], types[k]) for k in idle])
        self.donated = (*used, *[False] * len(self.constants))

    def _warn_of_idle(self, arguments: Sequence[tuple[str, ArrayType]]) -> None:
        listed = ", ".join(f"{type.dtype.name}{list(type.shape)}" for _, type in arguments)
        named = ", ".join(name for name, _ in arguments)
        source.warn(
            message(
                f"Some donated buffers were not usable: {listed}.",
                f"{named} of {self.fun_name}",
                "no result that is left has as many bytes, so the memory stays the argument's",
                "do not donate these arguments",
            )
        )

    def compile(self, compiler_options: CompilerOptions | None = None, **_: Any) -> Compiled:
        """Machine code for the program. Options are accepted and have no meaning yet."""
        del compiler_options
        from fornax.runtime.compile import executable as build  # loads llvmlite

        executable = build(self.jaxpr, self.fun_name, self.donated, self.traced.threads)
        return Compiled(self, executable)

    def as_text(self, dialect: str | None = None, *, debug_info: bool = False) -> str:
        """The program as text."""
        del dialect, debug_info
        return str(self.jaxpr)

    def compiler_ir(self, dialect: str | None = None) -> Jaxpr:
        """The program itself."""
        del dialect
        return self.jaxpr

    def cost_analysis(self) -> dict[str, float]:
        """A rough count: scalar operations, and bytes read and written by the interface."""
        return {
            "flops": float(_operations(self.jaxpr)),
            "bytes accessed": float(_bytes([*self.jaxpr.in_types, *self.jaxpr.out_types])),
        }


class Compiled(_Stage):
    """Machine code for arguments of certain types; call it like the function."""

    def __init__(self, lowered: Lowered, executable: Any):
        super().__init__(lowered.traced)
        self.lowered = lowered
        self.executable = executable
        #: what serves calls natively; with references Python has to read and write them
        self.entry = None if self.traced.stateful else _native.Entry(
            executable.program,
            lowered.kept,
            tuple(stored(constant) for constant in lowered.constants),
            lowered.traced.out_tree,
            lowered.donated,
            executable.wraps,
        )  # fmt: skip

    def run(self, leaves: Sequence[Any]) -> list[Any]:
        """The output leaves for the argument leaves (all of them); references get their values."""
        given = self.traced.operands(leaves)
        arrays = [stored(given[i]) for i in self.lowered.kept]
        outputs = self.executable.call([*arrays, *self.lowered.constants], self.lowered.donated)
        return self.traced.settle(leaves, outputs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Run on arguments without the static ones. Raises TypeError if they do not fit."""
        leaves, structure = pytree.tree_flatten((args, kwargs))
        if structure != self.in_tree:
            self._refuse_structure((args, kwargs))
        self._check_types(leaves)
        if settings.current().input_guard is not None:
            transfers.check_arguments(leaves)
        if any(isinstance(leaf, Tracer) for leaf in leaves):
            raise TypeError(
                located(
                    "Cannot apply JAX transformations to a function lowered and compiled for a "
                    "particular signature. Detected a tracer among the arguments of "
                    f"{self.fun_name}.",
                    attempt="call the jitted function itself inside transformations",
                )
            )
        return pytree.tree_unflatten(self.out_tree, self.run(leaves))

    __call__ = call

    def as_text(self) -> str:
        """The compiled program as text."""
        text = getattr(self.executable, "as_text", None)
        return text() if text is not None else str(self.lowered.jaxpr)

    def cost_analysis(self) -> dict[str, float]:
        """See `Lowered.cost_analysis`."""
        return self.lowered.cost_analysis()

    def memory_analysis(self) -> dict[str, int]:
        """Bytes of arguments, results and temporary memory."""
        return {
            "argument_size_in_bytes": _bytes(self.lowered.jaxpr.in_types),
            "output_size_in_bytes": _bytes(self.lowered.jaxpr.out_types),
            "temp_size_in_bytes": int(getattr(self.executable.program, "arena_bytes", 0)),
        }

    def runtime_executable(self) -> Any:
        """The object that runs."""
        return self.executable

    @property
    def input_shardings(self) -> Any:
        return pytree.tree_map(lambda _: None, self.in_avals)

    @property
    def output_shardings(self) -> Any:
        return pytree.tree_map(lambda _: None, self.traced.out_avals)

    def _refuse_structure(self, given: Any) -> None:
        structure = pytree.tree_structure(given)
        differences = list(pytree.equality_errors_pytreedef(self.in_tree, structure))
        lines = [
            f"    * at {('args', 'kwargs')[path[0].idx] if path else 'the arguments'}"
            f"{pytree.keystr(path[1:])}, seen {seen} but now given {now}, so {difference}"
            for path, seen, now, difference in differences
        ]
        raise TypeError(
            located(
                "Function compiled with input pytree does not match the input pytree it was called "
                f"with. There are {len(differences)} mismatches, including:\n" + "\n".join(lines),
                attempt="the same containers as were passed to lower, or call the jitted "
                "function itself",
            )
        )

    def _check_types(self, leaves: Sequence[Any]) -> None:
        names = self.traced.names or [str(i) for i in range(len(leaves))]
        lines = []
        refs = self.traced.argument_refs
        for i, (leaf, expected) in enumerate(zip(leaves, self.traced.in_types, strict=True)):
            name = names[i]
            if isinstance(leaf, Ref) != (i in refs):
                kinds = [" is" if i in refs else " is not", "is" if i not in refs else "is not"]
                lines.append(
                    f"Argument '{name}'{kinds[0]} a mutable reference where it was compiled, and "
                    f"{kinds[1]} one now"
                )
                continue
            found = leaf.type if isinstance(leaf, Ref) else typeof(leaf)
            if found.shape != expected.shape or found.dtype != expected.dtype:
                lines.append(
                    f"Argument '{name}' compiled with {expected.short()} and called with "
                    f"{found.short()}"
                )
        if lines:
            raise TypeError(
                located(
                    "Argument types differ from the types for which this computation was "
                    "compiled. Perhaps enable_x64 was different then? The mismatches are:\n"
                    + "\n".join(lines),
                    "what .lower(...).compile() gives is one program, for one signature",
                    "call the jitted function itself, which compiles for each signature",
                )
            )


class Wrapped(Protocol):
    """What jitted functions offer: they are callable, with `trace`, `lower` and `eval_shape`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run, compiling if necessary."""

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """The program for these arguments."""

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """The lowered program for these arguments."""

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Shapes and dtypes of the result."""


def _bytes(types: Sequence[ArrayType]) -> int:
    return sum(t.size * t.dtype.itemsize for t in types)


def _operations(jaxpr: Jaxpr) -> int:
    total = 0
    for equation in jaxpr.equations:
        inner = [v for v in equation.params.values() if isinstance(v, Jaxpr)]
        if inner:
            total += equation.params.get("length", 1) * sum(map(_operations, inner))
        else:
            size = sum(v.type.size for v in equation.outputs)
            total += equation.primitive.cost * size
    return total
