"""The native core: arrays, memory, threads, the program executor, jit dispatch, pytrees."""

from collections.abc import Callable, Iterable, Sequence
from types import CodeType
from typing import Any, Generic, Literal, Self, TypeAlias, TypeVar, final

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

_Result = TypeVar("_Result")
_Shape: TypeAlias = Sequence[int] | int

# --- slots: thread-local state that transformations read on every operation -------------------

def current_trace() -> Any | None:
    """The trace of this thread; None means eager."""

def swap_trace(new: Any | None, /) -> Any | None:
    """Install `new` (None = eager) in this thread's trace slot; returns what was there."""

def current_settings() -> Any:
    """This thread's override, else the process-wide default."""

def swap_settings(new: Any | None, /) -> Any | None:
    """Override the settings of this thread (None: use the default); returns the old override."""

def work() -> float:
    """Seconds that the eager operations of this thread have taken, by estimate."""

def add_work(seconds: float, /) -> None:
    """An eager operation of this thread takes about so many seconds."""

def set_default_settings(settings: Any, /) -> None:
    """Replace the process-wide settings object. Its attribute `x64` is read by jit dispatch."""

# --- recording: what every traced operation passes -----------------------------------------------

class Operation:
    """What is bound to operands: the base of primitives."""

    #: what `bind` remembers of the rule `type`; None: it asks every time
    known_types: dict[tuple[Any, ...], tuple[tuple[Any, ...], Sequence[Any]]] | None

    def bind(self, *operands: Any, **params: Any) -> list[Any]:
        """Apply the operation under the current trace; returns the list of results.

        The trace is out of its slot meanwhile. A stage that is alive and not partial gets one more
        equation; the method `process(primitive, operands, params)` of other traces is called.
        """

def here() -> Any | None:
    """The innermost caller that is not part of Fornax, or the place that it stands for."""

def stand_for(place: Any | None, /) -> Any | None:
    """What this thread does from now on stands for what was done there: `here` says so, until it
    is told otherwise (None: it looks for the user's line again). Returns what it was told before.
    """

def record(
    stage: Any, primitive: Operation, operands: Sequence[Any], params: dict[str, Any], /
) -> list[Any]:
    """Append an equation to the stage; returns the tracers of its results."""

def set_places(place: type[tuple[Any, ...]], is_inside: Callable[[CodeType], bool], /) -> None:
    """The class of pairs of code and offset, and the function that knows Fornax's own code."""

def set_recording(stage: type, tracer: type, var: type, equation: type, /) -> None:
    """The classes that recording makes, and whose __slots__ it fills."""

def set_evaluate(function: Callable[[Any, tuple[Any, ...], dict[str, Any]], list[Any]], /) -> None:
    """function(primitive, operands, params) performs operations outside of every trace."""

# --- arrays -------------------------------------------------------------------------------------

class Array:
    """An immutable n-dimensional array in C order.

    Operators and further methods are installed on the type by `fornax.numpy.methods`.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def itemsize(self) -> int: ...
    @property
    def weak_type(self) -> bool:
        """Whether the dtype yields to others in promotion."""
    @property
    def aval(self) -> Any:
        """The abstract value, made by the function given to `set_aval_factory`."""
    device: Any
    committed: bool
    @property
    def is_fully_addressable(self) -> bool: ...
    def is_deleted(self) -> bool: ...
    def delete(self) -> None:
        """Give up the memory now; later reads raise RuntimeError."""
    def block_until_ready(self) -> Self: ...
    def unsafe_buffer_pointer(self) -> int: ...
    def numpy_view(self) -> NDArray[Any]:
        """A read-only ndarray over the same memory, which it keeps alive."""
    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def __getattr__(self, name: str) -> Any: ...

@final
class Buffer:
    """Memory shared by arrays and views of it."""

def from_numpy(array: Any, weak_type: bool = False, copy: bool = False) -> Array:
    """Wrap an ndarray without copying where its layout allows.

    The caller must not write to it afterwards. Copies when it is not C-contiguous or not aligned
    to its item size, or when `copy`. TypeError for dtypes that are not numbers.
    """

def empty(shape: _Shape, dtype: DTypeLike, weak_type: bool = False) -> Array:
    """An uninitialised array. ValueError for impossible shapes, MemoryError without memory."""

def with_weak_type(array: Array, weak_type: bool, /) -> Array:
    """The same memory with another weak type."""

def reshape_view(array: Array, shape: _Shape, /) -> Array:
    """The same memory in another shape of equal size; ValueError for other sizes."""

def from_dlpack(object: Any, /) -> Array:
    """Wrap a CPU tensor of another library without copying it (other layouts are copied)."""

def set_aval_factory(function: Callable[[tuple[int, ...], np.dtype[Any], bool], Any], /) -> None:
    """function(shape, dtype, weak_type) makes `Array.aval`, once per distinct type."""

def set_default_device(device: Any, /) -> None:
    """The device object new arrays report."""

def set_out_of_memory_error(function: Callable[[int, str | None], MemoryError], /) -> None:
    """function(bytes, program) makes the exception for memory that cannot be had; program: the
    name of the one that needs it to work in, None for an array."""

def live_arrays() -> list[Array]:
    """All arrays that hold memory, newest first."""

# --- memory and threads -----------------------------------------------------------------------

def memory_stats() -> dict[str, int]:
    """bytes_live, bytes_cached and bytes_peak of the allocator, and arrays_live."""

def trim_cache() -> int:
    """Give cached memory back to the system; returns the number of bytes."""

def set_cache_limit(bytes: int) -> None:
    """Bound the bytes of freed large blocks kept for reuse."""

def thread_count() -> int:
    """Threads a kernel may use, the calling one included."""

def set_thread_count(count: int) -> None:
    """Set the number of threads; 0 means what affinity mask and cgroup quota allow.

    Programs built for fewer threads run on one.
    """

def flush_denormals(flush: bool) -> bool:
    """Whether this thread takes denormal numbers for zero from now on; gives what it did before.

    Programs set this for themselves.
    """

# --- programs ---------------------------------------------------------------------------------

class Program:
    """A table of kernel calls and the memory they work on; native/README.md lists the steps."""

    def __init__(
        self,
        name: str,
        slots: int,
        inputs: Sequence[tuple[int | None, DTypeLike, _Shape, bool]],
        constants: Sequence[tuple[int | None, Array]],
        arena_bytes: int,
        arena_slots: Sequence[tuple[int, int]],
        outputs: Sequence[tuple[Any, ...]],
        steps: Sequence[tuple[Any, ...]],
        callables: Sequence[Callable[..., Sequence[ArrayLike]]],
        flush: bool = False,
        threads: int = 0,
    ) -> None: ...
    owner: Any
    @property
    def name(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def arena_bytes(self) -> int: ...
    @property
    def calls(self) -> int: ...
    @property
    def seconds(self) -> float:
        """Time spent in runs while profiling was on."""
    @property
    def step_seconds(self) -> list[tuple[float, int]]:
        """Per step (seconds, calls) while profiling was on."""
    def run(
        self, arrays: Sequence[Array | NDArray[Any]], donated: Sequence[bool] = (), /
    ) -> list[Array]:
        """Run on arrays of the declared types; TypeError for others.

        Inputs flagged in `donated` are deleted, and outputs may reuse their memory.
        """

def set_profiling(on: bool, /) -> None:
    """Accumulate the time of programs and their steps."""

def set_on_event(function: Callable[[str, str, float], None] | None, /) -> None:
    """Call function(kind, name, seconds) when a call finds its program (CacheHit) and after every
    run (Executed); None stops it."""

class Generation:
    """LLVM text being compiled on a thread beside the interpreter."""

    def __init__(
        self,
        functions: tuple[int, ...],
        machines: tuple[int, ...],
        layout: str,
        text: str,
        object: bool,
    ) -> None: ...
    @staticmethod
    def begin() -> None:
        """Say that the caller is busy for a while: threads start for what still waits."""

    @staticmethod
    def finish() -> None:
        """Before the process ends: no thread begins with what still waits; returns when those that
        are at work have ended."""

    def wait(self) -> tuple[bytes, float, float]:
        """(machine code or assembly text, seconds of parsing, seconds of generating).

        RuntimeError: what LLVM says is wrong with the text.
        """

# --- expressions of the loop IR -----------------------------------------------------------------

#: what an expression or an element in memory may be; no complex number is one expression
DtypeName: TypeAlias = Literal[
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float32", "float64", "float16", "bfloat16", "float8_e3m4", "float8_e4m3",
    "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
    "float8_e5m2fnuz", "float8_e8m0fnu", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn",
    "int4", "int2", "int1", "uint4", "uint2", "uint1",
]  # fmt: skip

@final
class Expr:
    """One typed scalar; see `fornax.compiler.loop.ir`. Identity is equality within a builder."""

    kind: str
    dtype: DtypeName
    data: Any
    args: tuple[Expr, ...]
    number: int
    @property
    def low(self) -> int:
        """The least value of an integer or bool; TypeError for others."""
    @property
    def high(self) -> int:
        """The largest value of an integer or bool; TypeError for others."""
    @property
    def masked(self) -> bool:
        """A load that carries a mask and the value to use where the mask is false."""

class Nodes:
    """The interned expressions of a builder."""

    @property
    def count(self) -> int:
        """How many nodes there are."""
    def node(self, kind: str, dtype: DtypeName, data: Any, args: tuple[Expr, ...] = (), /) -> Expr:
        """The interned node with these fields. Floats are told apart by their bits."""
    def index(self, value: int | Expr, /) -> Expr:
        """An int64 expression from an int."""
    def axis(self, axis: Any, /) -> Expr:
        """The value of a loop variable. A loop of one iteration is the constant 0."""

def reachable(roots: Iterable[Expr], stop: Callable[[Expr], object] | None = None, /) -> list[Expr]:
    """All nodes below `roots`, operands before users. Operands of a node for which stop(node) holds
    are not entered."""

def rewritten(
    root: Expr,
    memo: dict[Expr, Expr],
    rebuild: Callable[[Expr, tuple[Expr, ...]], Expr],
    /,
) -> Expr:
    """The copy of `root`: memo[node] = rebuild(node, copies of its operands) for all nodes below it
    that `memo` does not have, operands first."""

def sum_of(builder: Nodes, /, *scaled: tuple[Expr, int], constant: int = 0) -> Expr:
    """sum(coefficient * x) + constant of (x, coefficient) pairs of int64, modulo 2**64, in
    canonical form and with divisions put together again."""

def quotient(builder: Nodes, x: Expr, size: int, /) -> Expr:
    """Floor division of an index by a positive constant, simplified."""

def modulo(builder: Nodes, x: Expr, size: int, /) -> Expr:
    """The remainder in [0, size) of an index by a positive constant, simplified."""

def linear(x: Expr, /) -> tuple[tuple[tuple[Expr, int], ...], int]:
    """An int64 expression as ((part, coefficient), ...), constant; parts in order of creation."""

def is_sum(x: Expr, /) -> bool:
    """Whether x is an int64 sum or a multiple of something."""

def difference(x: Expr, y: Expr, /) -> tuple[int, int] | None:
    """Bounds of x - y of two int64 that do not overflow; what they have in common cancels. None
    where the bounds do not fit into 128 bits."""

def operation_bounds(x: Expr, /) -> tuple[int, int] | None:
    """Bounds of an integer operation's result before it wraps, or None when nothing is known."""

def last_value(axis: Any, /) -> int:
    """The largest value of a loop variable (0 for an empty loop)."""

# --- jit dispatch -----------------------------------------------------------------------------

@final
class CallKey:
    """The key of one kind of call; hashable, compared by value."""

class Entry:
    """A compiled call: which leaves go into which program, and what comes out."""

    def __init__(
        self,
        program: Program,
        kept: tuple[int, ...],
        extra: tuple[Array, ...],
        out_structure: PyTreeDef,
        donated: tuple[bool, ...],
        wraps: tuple[Callable[[Array], Any] | None, ...] = (),
    ) -> None: ...
    @property
    def program(self) -> Program: ...
    @property
    def kept(self) -> tuple[int, ...]: ...
    @property
    def extra(self) -> tuple[Array, ...]: ...
    @property
    def out_structure(self) -> PyTreeDef: ...
    @property
    def donated(self) -> tuple[bool, ...]: ...
    @property
    def wraps(self) -> tuple[Callable[[Array], Any] | None, ...]:
        """Per output: what turns the Array into the result's leaf, or None."""

def register_wrapped_leaf(type: type, array_attribute: str, tag_attribute: str, /) -> None:
    """Let jitted calls take instances of exactly this class by the Array they wrap.

    The tag, an object compared by identity, becomes part of the call key.
    """

_Miss: TypeAlias = Callable[
    ["JitFunction[_Result]", tuple[Any, ...], dict[str, Any], CallKey | None],
    tuple[_Result, Entry | None],
]

class JitFunction(Generic[_Result]):
    """Runs the compiled program that fits a call.

    Without one, or while a transformation traces, miss(self, args, kwargs, key) returns
    (result, Entry | None); `key` is None when the call cannot be cached.
    """

    def __init__(
        self,
        miss: _Miss[_Result],
        static_argnums: tuple[int, ...] = (),
        static_argnames: tuple[str, ...] = (),
    ) -> None: ...
    @property
    def miss(self) -> _Miss[_Result]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> _Result: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Callable[..., _Result]: ...
    def clear_cache(self) -> None: ...
    def cache_size(self) -> int: ...
    def key_description(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], /
    ) -> tuple[
        list[tuple[str, np.dtype[Any] | None, tuple[int, ...] | None, bool | None]],
        PyTreeDef,
        tuple[tuple[int | str, Any], ...],
        Any,
    ]:
        """(leaves, structure, statics, settings): what the key of a call consists of."""

@final
class EagerFunction:
    """Calls the function; compiled for kinds of calls that have taken `after` seconds.

    promote(self, args, kwargs) gives the Entry that serves such calls from then on, or None.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        promote: Callable[[EagerFunction, tuple[Any, ...], dict[str, Any]], Entry | None],
        after: float,
        static_argnums: tuple[int, ...] = (),
        static_argnames: tuple[str, ...] = (),
    ) -> None: ...
    after: float
    @property
    def function(self) -> Callable[..., Any]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Callable[..., Any]: ...
    def clear_cache(self) -> None: ...
    def tallies(self) -> list[tuple[float, Entry | None]]:
        """(seconds spent, Entry | None): one per kind of call."""

# --- pytrees ----------------------------------------------------------------------------------

@final
class PyTreeDef:
    """The structure of a pytree: its containers and their metadata, without the leaves."""

    @property
    def num_leaves(self) -> int: ...
    @property
    def num_nodes(self) -> int: ...
    def unflatten(self, leaves: Iterable[Any], /) -> Any: ...
    def flatten_up_to(self, tree: Any, /) -> list[Any]: ...
    def compose(self, inner: PyTreeDef, /) -> PyTreeDef: ...
    def children(self) -> list[PyTreeDef]: ...
    def node_data(self) -> tuple[type, Any] | None: ...
    def walk(
        self,
        on_node: Callable[[Any, Any], Any],
        on_leaf: Callable[[Any], Any] | None,
        leaves: Iterable[Any],
        /,
    ) -> Any: ...
    def from_iterable_tree(self, tree: Any, /) -> Any: ...
    @staticmethod
    def from_node_data_and_children(
        registry: Any, node_data: tuple[type, Any] | None, children: Iterable[PyTreeDef], /
    ) -> PyTreeDef: ...
    def __hash__(self) -> int: ...

class pytree:
    """A namespace of the module: the functions behind `fornax.pytree`."""

    @staticmethod
    def flatten(
        tree: Any, is_leaf: Callable[[Any], bool] | None = None, none_is_leaf: bool = False, /
    ) -> tuple[list[Any], PyTreeDef]: ...
    @staticmethod
    def leaves(
        tree: Any, is_leaf: Callable[[Any], bool] | None = None, none_is_leaf: bool = False, /
    ) -> list[Any]: ...
    @staticmethod
    def structure(
        tree: Any, is_leaf: Callable[[Any], bool] | None = None, none_is_leaf: bool = False, /
    ) -> PyTreeDef: ...
    @staticmethod
    def canonical_structure(tree: Any, /) -> PyTreeDef: ...
    @staticmethod
    def flatten_with_path(
        tree: Any,
        is_leaf: Callable[..., bool] | None = None,
        none_is_leaf: bool = False,
        is_leaf_takes_path: bool = False,
        /,
    ) -> tuple[list[tuple[Any, ...]], list[Any], PyTreeDef]: ...
    @staticmethod
    def flatten_one_level(
        node: Any, want_keys: bool = False, none_is_leaf: bool = False, /
    ) -> tuple[list[Any], Any, Any] | None: ...
    @staticmethod
    def all_leaves(items: Iterable[Any], /) -> bool: ...
    @staticmethod
    def is_node_type(type: type, /) -> bool: ...
    @staticmethod
    def register_node(
        type: type,
        to_iterable: Callable[[Any], Any],
        from_iterable: Callable[[Any, Any], Any],
        to_iterable_with_keys: Callable[[Any], Any] | None = None,
        /,
    ) -> None: ...
    @staticmethod
    def register_dataclass(
        type: type, data_fields: tuple[str, ...], meta_fields: tuple[str, ...], /
    ) -> None: ...
    @staticmethod
    def register_static(type: type, /) -> None: ...
    @staticmethod
    def treedef_tuple(structures: Iterable[PyTreeDef], /) -> PyTreeDef: ...
    @staticmethod
    def set_key_types(sequence: type, dict: type, attribute: type, flattened: type, /) -> None: ...
