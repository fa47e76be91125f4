"""The loop IR: what a kernel is.

Two layers, both immutable and printable (`show`), checkable (`check`) and runnable without LLVM
(`interpret`):

* `Expr`: a typed scalar, one node of an interned directed acyclic graph. Equal nodes made by one
  `Builder` are the same object, so common subexpressions cost nothing and identity is equality.
* statements: `For`, `While`, `If`, `Store`, `Alloc`. Loop-carried values are `Carry` nodes; their
  value after the loop is the `final` node. Reductions, running sums and scans are all carries.

There is no vector type. A loop of kind "vector" runs `lanes` iterations at once; the back end gives
every expression that depends on its axis that many lanes, and masks the tail.

Complex numbers do not exist here: a complex value is a `Pair` of expressions and a complex buffer
is a float buffer with one more (innermost) dimension of two. The formats of `scalars.formats`, such
as bfloat16, exist only in memory: loads widen and stores round, `cast` to them and back rounds
explicitly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fornax import _native
from fornax.record import record
from fornax.scalars.formats import FORMATS, ROWS

if TYPE_CHECKING:
    from fornax._native import DtypeName

#: dtype names of expressions. "int64" is also the type of indices.
SCALARS: tuple[DtypeName, ...] = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float32", "float64",
)  # fmt: skip
#: dtype names that exist in memory only, with the dtype they are computed in.
STORAGE = {name: row.computed for name, row in FORMATS.items()}
INTEGERS = frozenset(name for name in SCALARS if "int" in name)
#: integers without and with a sign, by their bits
UNSIGNED: dict[int, DtypeName] = {8: "uint8", 16: "uint16", 32: "uint32", 64: "uint64"}
SIGNED: dict[int, DtypeName] = {8: "int8", 16: "int16", 32: "int32", 64: "int64"}
#: dtype names of expressions that have bounds: `Expr.low` and `Expr.high`
BOUNDED = INTEGERS | {"bool"}
COMPLEX: dict[str, DtypeName] = {"complex64": "float32", "complex128": "float64"}
#: the dtypes of elements in memory, by their names: no complex ones
REAL: dict[str, DtypeName] = {name: name for name in (*SCALARS, *(row.name for row in ROWS))}
#: bits of memory that an element takes
WIDTH = {
    "bool": 8, "int8": 8, "uint8": 8, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32,
    "int64": 64, "uint64": 64, "float32": 32, "float64": 64,
    **{name: row.dtype.itemsize * 8 for name, row in FORMATS.items()},
}  # fmt: skip
#: bytes at least between what two workers write again and again
APART = 128


def is_float(dtype: str) -> bool:
    """True for the floating dtypes of expressions and memory."""
    return "float" in dtype


def is_signed(dtype: str) -> bool:
    """True for signed integers."""
    return dtype.startswith("int")


def extent_of(number: int | Expr) -> int | Expr:
    """What a loop takes for its extent: of a constant the number."""
    return number.data if isinstance(number, Expr) and number.kind == "const" else number


class Axis:
    """A loop variable: values 0 … extent-1. Identity is equality.

    `extent` is an int, or an int64 `Expr` of `param` nodes and of the axes and carries of enclosing
    loops, for extents known at run time and for the last block of a split loop.
    """

    __slots__ = ("extent", "name")

    def __init__(self, extent: int | Expr, name: str = "i"):
        self.extent = extent_of(extent)
        self.name = name

    @property
    def length(self) -> int:
        """The extent of a loop whose extent is a number."""
        assert isinstance(self.extent, int), "only loops of known extents are cut and joined"
        return self.extent

    def __repr__(self) -> str:
        return f"{self.name}<{self.extent}"


class Carry:
    """A loop-carried value. Inside its loop `carry` reads it; after the loop `final` does."""

    __slots__ = ("dtype", "name")

    def __init__(self, dtype: DtypeName, name: str = "c"):
        self.dtype = dtype
        self.name = name


@record(frozen=True, eq=False)
class Buffer:
    """Memory. Identity is equality. `strides` count elements; `role` is one of

    "in" (only read), "out" (only written), "inout" (both, or aliased with another buffer),
    "scratch" (per-worker memory given by the caller), "local" (made by `Alloc` on the stack).
    """

    name: str
    dtype: DtypeName
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    role: str = "in"

    @property
    def size(self) -> int:
        size = 1
        for extent in self.shape:
            size *= extent
        return size

    @property
    def nbytes(self) -> int:
        """How much memory it takes; scratch memory is that of one worker, which shares no cache
        line, nor its neighbour that is fetched with it, with the next one's."""
        nbytes = self.size * WIDTH[self.dtype] // 8
        return -(-nbytes // APART) * APART if self.role == "scratch" else nbytes


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of a C-contiguous array."""
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))


#: One typed scalar, a node that `Builder.node` makes (`native/expression.cpp`); `number` is its
#: place in the builder: operands come before users. `kind` decides the meaning of `data` and
#: `args`:
#:
#: ========  ======================  =====================================================
#: kind      data                    args
#: ========  ======================  =====================================================
#: const     Python value            ()
#: axis      Axis                    ()                             dtype int64
#: param     position                ()                             int64 kernel argument
#: load      Buffer                  index…, one per dimension  [+ mask, other if masked]
#: op        operation name          operands (see `OPERATIONS`)
#: table     32 numbers              (place,)                       the number at place mod 32
#: reduce    (combiner, axes, k)     one value per component; `k` says which result this is
#: carry     Carry                   [least, most]                  value inside the loop
#: final     Carry                   ()                             value after the loop
#: ========  ======================  =====================================================
#:
#: A carry may have bounds, which hold in its loop's body (`bounds`).
#:
#: A `reduce` exists only between element rules and `schedule`, which turns it into a loop with
#: carries. A masked load reads `other` where the mask is false and then touches no memory.
#:
#: `low` and `high` bound the value of an integer expression (see `affine`).
Expr = _native.Expr


class Pair(NamedTuple):
    """A complex value: two expressions of the same float dtype."""

    real: Expr
    imag: Expr


# --- operations -------------------------------------------------------------------------------
#: Operations that every back end implements directly. Integers wrap. Semantics where C leaves a
#: hole follow JAX: integer division by zero gives -1 (all ones), remainder by zero gives the
#: dividend, the most negative number divided by -1 gives itself; shifts by >= width give 0 (or
#: the sign); float min/max propagate NaN; `cast` float->int saturates, NaN gives 0. "rarely" is a
#: "select" whose condition hardly ever holds: what only its second operand needs is jumped over.
#: "inverse_root" is 1/sqrt(x) to 13 binary digits at least. "scale" is x · 2^floor(y), rounded
#: once, and "within" is x, or y with the sign of x where that is nearer to zero or x is NaN: both
#: for targets that have them (`Target.scales`). "pair_dot"
#: of two uint32 and a total adds to it the products of their low and of their high halves: they
#: are bfloat16 where the total is float32 (denormal numbers may count as zero), int16 where it is
#: int32.
BASIC = {
    "add", "sub", "mul", "div", "rem", "neg", "abs", "min", "max", "fma",
    "and", "or", "xor", "not", "shl", "shr_arithmetic", "shr_logical",
    "eq", "ne", "lt", "le", "gt", "ge", "select", "rarely", "cast", "bitcast",
    "floor", "ceil", "trunc", "round_even", "sqrt", "inverse_root", "copysign", "popcount", "clz",
    "pair_dot", "scale", "within",
    "idiv", "imod",  # floor division and modulo of indices by a positive divisor
}  # fmt: skip
#: Operations that `math.expand` rewrites into basic ones (float32 and float64).
MATH = {
    "exp", "exp2", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "atan2",
    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "erf_inv", "logistic",
    "pow", "rsqrt", "cbrt", "lgamma", "digamma", "sign", "round_away", "is_finite", "nextafter",
    "log2", "hypot", "bessel_i0e", "bessel_i1e",
}  # fmt: skip
OPERATIONS = BASIC | MATH
COMPARE = {"eq", "ne", "lt", "le", "gt", "ge", "is_finite"}
#: combiner name -> (number of components). "argmax"/"argmin" carry (value, int index) and keep
#: the first extreme, NaN being the most extreme; "cmul" multiplies complex pairs. "exponentials"
#: carries (largest x so far, made finite, sum of w exp(x - that)) and takes (x, w).
COMBINERS = {
    "add": 1, "mul": 1, "min": 1, "max": 1, "and": 1, "or": 1, "xor": 1,
    "argmax": 2, "argmin": 2, "cmul": 2, "exponentials": 2,
}  # fmt: skip


# --- statements -------------------------------------------------------------------------------
@record(frozen=True, eq=False)
class Carried:
    """One loop-carried value: its node, start, next value, and (for a reduction) its combiner.

    With a combiner, `next` is exactly `op(combiner, carry, x)`, which lets a back end keep several
    partial results (lanes, unrolled accumulators) and combine them at the end, or, where the body
    reads `next`, combine lanes with those before them (`running`). The components of "argmax",
    "argmin", "cmul" and "exponentials" follow one another in the loop's `carries`.
    """

    carry: Carry
    start: Expr
    next: Expr
    combiner: str | None = None


@record(frozen=True, eq=False)
class Store:
    """buffer[index] = value, where `mask` (if any) is true.

    `ahead` is a hint, without effect on results: bring to the caches what lies so many elements
    further on, for stores that go on in many places at once, which no processor foresees; where
    lanes store, not there but in the memory that their values are read from.
    """

    buffer: Buffer
    index: tuple[Expr, ...]
    value: Expr
    mask: Expr | None = None
    ahead: int = 0


@record(frozen=True, eq=False)
class For:
    """Run `body` for every value of `axis` and step the carries.

    kind: "serial"; "parallel" (outermost only: the kernel gets [begin, end) of it; at most one
    per kernel; no carries); "vector" (`lanes` iterations at once); "unroll" (static small extent,
    the body is repeated).
    """

    axis: Axis
    body: tuple[Statement, ...]
    carries: tuple[Carried, ...] = ()
    kind: str = "serial"
    lanes: int = 1
    reverse: bool = False


@record(frozen=True, eq=False)
class While:
    """Step the carries while `condition` (a bool of the carries) holds, testing first."""

    condition: Expr
    carries: tuple[Carried, ...]
    body: tuple[Statement, ...] = ()


@record(frozen=True, eq=False)
class If:
    """Run `body` where `condition` is true, else `orelse`."""

    condition: Expr
    body: tuple[Statement, ...]
    orelse: tuple[Statement, ...] = ()


@record(frozen=True, eq=False)
class Alloc:
    """Make a "local" buffer (a few KiB, on the stack) for the rest of the enclosing body."""

    buffer: Buffer


Statement = Store | For | While | If | Alloc


@record(frozen=True, eq=False)
class Kernel:
    """`buffers` in argument order (not the local ones); `body` runs once per call, except that a
    "parallel" loop runs over the chunk [begin, end) of its extent. `extent` is that loop's extent
    (1 without one) and `grain` the least number of its iterations worth giving to a thread."""

    name: str
    buffers: tuple[Buffer, ...]
    body: tuple[Statement, ...]
    extent: int = 1
    grain: int = 1
