"""One loop-IR operation as LLVM instructions, for scalars and for vectors alike.

`operation` receives the names of the operands and `put`, which appends an instruction and returns
the name of its result. No fast-math flags, no signed-overflow promises about user arithmetic.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from functools import partial

from fornax.backends.llvm.tables import part
from fornax.compiler.loop.affine import limits
from fornax.compiler.loop.ir import WIDTH, Expr, is_float, is_signed
from fornax.compiler.target import NARROWEST

LLVM = {
    "bool": "i1", "int8": "i8", "uint8": "i8", "int16": "i16", "uint16": "i16", "int32": "i32",
    "uint32": "i32", "int64": "i64", "uint64": "i64", "float16": "half", "float32": "float",
    "float64": "double",
}  # fmt: skip

Put = Callable[[str], str]


def type_of(dtype: str, lanes: int = 1) -> str:
    """The LLVM type of a value of `lanes` elements."""
    return LLVM[dtype] if lanes == 1 else f"<{lanes} x {LLVM[dtype]}>"


def suffix(dtype: str, lanes: int = 1) -> str:
    """How overloaded intrinsics spell the type: f32, v8f32, i64 …"""
    letter = f"{'f' if is_float(dtype) else 'i'}{1 if dtype == 'bool' else WIDTH[dtype]}"
    return letter if lanes == 1 else f"v{lanes}{letter}"


def literal(value: float, dtype: str) -> str:
    """A scalar constant."""
    if dtype == "bool":
        return "true" if value else "false"
    if is_float(dtype):
        if dtype == "float16":
            return f"0xH{struct.unpack('<H', struct.pack('<e', value))[0]:04X}"
        if math.isnan(value):
            return "0x7FF8000000000000"
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    return str(value)


def splat(value: float, dtype: str, lanes: int) -> str:
    """A constant in all lanes."""
    text = literal(value, dtype)
    return text if lanes == 1 else f"splat ({LLVM[dtype]} {text})"


def steps(lanes: int, kind: str, slope: int = 1, width: int = 64) -> str:
    """The constant vector <0, slope, 2 slope …>."""
    numbers = ((k * slope) & ((1 << width) - 1) for k in range(lanes))
    return f"<{', '.join(f'{kind} {n}' for n in numbers)}>"


def operation(node: Expr, args: list[str], lanes: int, bits: int, put: Put) -> str:
    """Emit one operation; `args` are names of `lanes` elements each (or constants), registers have
    so many `bits`."""
    name = node.data
    return TABLE[name](Operation(node, lanes, bits, put), *args)


class Operation:
    """What the emitters below need to know about an operation."""

    __slots__ = ("bits", "dtype", "float", "lanes", "node", "put", "signed", "source", "type")

    def __init__(self, node: Expr, lanes: int, bits: int, put: Put):
        self.node = node
        self.lanes = lanes
        self.bits = bits
        self.put = put
        self.source = node.args[-1].dtype  # of the operands (of a select: of the values)
        self.dtype = node.dtype
        self.type = type_of(self.source, lanes)
        self.float = is_float(self.source)
        self.signed = is_signed(self.source)

    def constant(self, value: float, dtype: str | None = None) -> str:
        return splat(value, dtype or self.source, self.lanes)

    def call(self, function: str, *args: str) -> str:
        """A call of an intrinsic whose operands and result have one type."""
        operands = ", ".join(f"{self.type} {a}" for a in args)
        name = f"@llvm.{function}.{suffix(self.source, self.lanes)}"
        return self.put(f"call {self.type} {name}({operands})")

    def compare(self, predicate: str, x: str, y: str) -> str:
        kind = "fcmp" if self.float else "icmp"
        return self.put(f"{kind} {predicate} {self.type} {x}, {y}")

    def select(self, condition: str, x: str, y: str) -> str:
        mask = type_of("bool", self.lanes)
        return self.put(f"select {mask} {condition}, {self.type} {x}, {self.type} {y}")

    def binary(self, instruction: str, x: str, y: str) -> str:
        return self.put(f"{instruction} {self.type} {x}, {y}")


def bounded(node: Expr) -> bool:
    """True for an int64 operation that is known not to overflow: an index."""
    if node.dtype != "int64":
        return False
    return -(1 << 62) < node.low and node.high < 1 << 62


def arithmetic(floating: str, integer: str, boolean: str) -> Callable[..., str]:
    def emit(o: Operation, x: str, y: str) -> str:
        if o.source == "bool":
            return o.binary(boolean, x, y)
        if o.float:
            return o.binary(floating, x, y)
        return o.binary(f"{integer} nsw" if bounded(o.node) else integer, x, y)

    return emit


def division(remainder: bool) -> Callable[..., str]:
    """Truncating division with JAX's answers for 0 and -1 as divisors."""

    def emit(o: Operation, x: str, y: str) -> str:
        if o.float:
            return o.binary("frem" if remainder else "fdiv", x, y)
        dividend, divisor = o.node.args
        signed = o.signed and min(dividend.low, divisor.low) < 0
        instruction = ("s" if signed else "u") + ("rem" if remainder else "div")
        zero, one = o.constant(0), o.constant(1)
        can_zero = divisor.low <= 0 <= divisor.high
        can_minus = o.signed and divisor.low <= -1 <= divisor.high
        safe = y
        is_zero = is_minus = ""
        if can_zero:
            is_zero = o.compare("eq", y, zero)
            safe = o.select(is_zero, one, safe)
        if can_minus:
            is_minus = o.compare("eq", y, o.constant(-1))
            safe = o.select(is_minus, one, safe)
        result = o.binary(instruction, x, safe)
        if can_minus and not remainder:
            result = o.select(is_minus, o.binary("sub", zero, x), result)
        if can_zero:
            # the remainder by the safe divisor 1 is 0, so -1 needs no case of its own there
            ones = -1 if o.signed else (1 << WIDTH[o.source]) - 1
            result = o.select(is_zero, x if remainder else o.constant(ones), result)
        return result

    return emit


def floor_division(remainder: bool) -> Callable[..., str]:
    """Floor division and modulo of indices by positive divisors."""

    def emit(o: Operation, x: str, y: str) -> str:
        dividend, divisor = o.node.args
        if divisor.kind == "const" and divisor.data & (divisor.data - 1) == 0:
            if remainder:
                return o.binary("and", x, o.constant(divisor.data - 1))
            return o.binary("ashr", x, o.constant(divisor.data.bit_length() - 1))
        if dividend.low >= 0:
            instruction = "urem" if remainder else "udiv"
            if (
                o.lanes > 1
                and divisor.kind == "const"
                and max(dividend.high, divisor.high) < 1 << 32
            ):
                # by a constant: products of 32 bits are instructions, those of 64 are many
                short, wide = type_of("uint32", o.lanes), o.type
                x = o.put(f"trunc {wide} {x} to {short}")
                narrow = splat(divisor.data, "uint32", o.lanes)
                result = o.put(f"{instruction} {short} {x}, {narrow}")
                return o.put(f"zext {short} {result} to {wide}")
            return o.binary(instruction, x, y)
        rest = o.binary("srem", x, y)
        negative = o.compare("slt", rest, o.constant(0))
        if remainder:
            return o.select(negative, o.binary("add", rest, y), rest)
        quotient = o.binary("sdiv", x, y)
        return o.select(negative, o.binary("sub", quotient, o.constant(1)), quotient)

    return emit


def negate(o: Operation, x: str) -> str:
    if o.float:
        return o.put(f"fneg {o.type} {x}")
    return o.binary("sub", o.constant(0), x)


def absolute(o: Operation, x: str) -> str:
    if o.float:
        return o.call("fabs", x)
    if not o.signed:
        return x
    return o.put(f"call {o.type} @llvm.abs.{suffix(o.source, o.lanes)}({o.type} {x}, i1 false)")


def extreme(name: str) -> Callable[..., str]:
    """min and max. Of floats: NaN wins. The x86 instruction gives its second operand when one is
    NaN, so a constant (no NaN) goes first, and otherwise one more select handles the first: that
    is not the one that a loop waits for."""
    ordered = "olt" if name == "min" else "ogt"

    def emit(o: Operation, x: str, y: str) -> str:
        if o.source == "bool":
            return o.binary("and" if name == "min" else "or", x, y)
        if not o.float:
            return o.call(("s" if o.signed else "u") + name, x, y)
        first, second = o.node.args
        if first.kind == "carry" or (second.kind == "const" and second.data == second.data):
            x, y, first = y, x, second
        if y == o.constant(math.inf if name == "min" else -math.inf):
            return x  # what the first lanes are compared with
        result = o.select(o.compare(ordered, x, y), x, y)
        if first.kind == "const" and first.data == first.data:
            return result
        return o.select(o.compare("uno", x, x), x, result)

    return emit


def complement(o: Operation, x: str) -> str:
    return o.binary("xor", x, o.constant(-1 if o.source != "bool" else True))


def shift(instruction: str) -> Callable[..., str]:
    def emit(o: Operation, x: str, y: str) -> str:
        width = WIDTH[o.source]
        amount = o.node.args[1]
        if 0 <= amount.low and amount.high < width:
            return o.binary(instruction, x, y)
        inside = o.put(f"icmp ult {o.type} {y}, {o.constant(width)}")
        if instruction == "ashr":
            return o.binary(instruction, x, o.select(inside, y, o.constant(width - 1)))
        # a shift by too much is poison, which the select does not choose
        return o.select(inside, o.binary(instruction, x, y), o.constant(0))

    return emit


def comparison(floating: str, order: str) -> Callable[..., str]:
    def emit(o: Operation, x: str, y: str) -> str:
        if o.float:
            return o.compare(floating, x, y)
        if order in ("eq", "ne"):
            return o.compare(order, x, y)
        return o.compare(("s" if o.signed else "u") + order, x, y)

    return emit


def choose(o: Operation, condition: str, x: str, y: str) -> str:
    return o.select(condition, x, y)


def fused(o: Operation, x: str, y: str, z: str) -> str:
    return o.call("fma", x, y, z)


def intrinsic(function: str) -> Callable[..., str]:
    return lambda o, *args: o.call(function, *args)


def leading_zeros(o: Operation, x: str) -> str:
    return o.put(f"call {o.type} @llvm.ctlz.{suffix(o.source, o.lanes)}({o.type} {x}, i1 false)")


def by_register(o: Operation, args: tuple[str, ...], emit: Callable[..., str]) -> str | None:
    """An instruction of 128, 256 or 512 bits for every register's part of the operands, put
    together; None where the lanes fill no register. `emit` gets the lanes of one, and its parts."""
    if o.lanes * WIDTH[o.dtype] < NARROWEST or o.lanes & (o.lanes - 1):
        return None
    width = min(o.lanes, o.bits // WIDTH[o.dtype])
    types = [type_of(a.dtype, o.lanes) for a in o.node.args]
    results = []
    for begin in range(0, o.lanes, width):
        parts = list(args)
        if o.lanes > width:
            order = ", ".join(f"i32 {k}" for k in range(begin, begin + width))
            parts = [
                o.put(f"shufflevector {kind} {x}, {kind} poison, <{width} x i32> <{order}>")
                for kind, x in zip(types, args, strict=True)
            ]
        results.append(emit(width, *parts))
    while len(results) > 1:
        order = ", ".join(f"i32 {k}" for k in range(2 * width))
        kind = type_of(o.dtype, width)
        results = [
            o.put(f"shufflevector {kind} {low}, {kind} {high}, <{2 * width} x i32> <{order}>")
            for low, high in zip(results[::2], results[1::2], strict=True)
        ]
        width *= 2
    return results[0]


def inverse_root(o: Operation, x: str) -> str:
    """Estimates of a register each; where there are fewer lanes, the real thing."""

    def estimate(lanes: int, part: str) -> str:
        kind, mask = type_of(o.source, lanes), f"i{max(lanes, 8)}"
        function = f"@llvm.x86.avx512.rsqrt14.ps.{32 * lanes}"
        given = f"{kind} {part}, {kind} zeroinitializer, {mask} -1"
        return o.put(f"call {kind} {function}({given})")

    found = by_register(o, (x,), estimate)
    return found or o.binary("fdiv", o.constant(1.0), o.call("sqrt", x))


def masked(name: str, option: str = "") -> Callable[..., str]:
    """An instruction of a register each, of a part of one where there are fewer lanes, which LLVM
    knows with a mask only."""

    def emit(o: Operation, x: str, y: str) -> str:
        def one(lanes: int, x: str, y: str) -> str:
            kind, bits = type_of(o.dtype, lanes), lanes * WIDTH[o.dtype]
            function = f"@llvm.x86.avx512.mask.{name}.p{'sd'[bits // lanes // 64]}.{bits}"
            rest = f"{kind} zeroinitializer, i{max(lanes, 8)} -1{', i32 4' if bits == 512 else ''}"
            return o.put(f"call {kind} {function}({kind} {x}, {kind} {y}, {option}{rest})")

        return by_register(o, (x, y), one) or in_lanes(o, (x, y), emit)

    return emit


def in_lanes(o: Operation, args: tuple[str, ...], emit: Callable[..., str]) -> str:
    """An operation on the first lanes of registers."""
    lanes = NARROWEST // WIDTH[o.dtype]
    while lanes < o.lanes:
        lanes *= 2
    wide = Operation(o.node, lanes, o.bits, o.put)
    if o.lanes == 1:
        parts = [o.put(f"insertelement {wide.type} poison, {o.type} {x}, i64 0") for x in args]
        return o.put(f"extractelement {wide.type} {emit(wide, *parts)}, i64 0")
    element = type_of(o.dtype, 1)
    parts = [part(x, o.lanes, 0, lanes, element, o.put) for x in args]
    return part(emit(wide, *parts), lanes, 0, o.lanes, element, o.put)


def pair_dot(o: Operation, x: str, y: str, total: str) -> str:
    """An instruction of a register each; where there are fewer lanes, two products and sums."""
    if o.float:
        return by_register(o, (x, y, total), partial(bfloat16_pairs, o)) or by_halves(
            o, x, y, total
        )
    products = by_register(o, (x, y, total), partial(int16_pairs, o))
    return by_halves(o, x, y, total) if products is None else o.binary("add", total, products)


def bfloat16_pairs(o: Operation, lanes: int, x: str, y: str, total: str) -> str:
    kind, pairs, words = f"<{lanes} x float>", f"<{2 * lanes} x bfloat>", f"<{lanes} x i32>"
    x, y = (o.put(f"bitcast {words} {w} to {pairs}") for w in (x, y))
    function = f"@llvm.x86.avx512bf16.dpbf16ps.{32 * lanes}"
    return o.put(f"call {kind} {function}({kind} {total}, {pairs} {x}, {pairs} {y})")


def int16_pairs(o: Operation, lanes: int, x: str, y: str, _: str) -> str:
    kind, pairs = f"<{lanes} x i32>", f"<{2 * lanes} x i16>"
    x, y = (o.put(f"bitcast {kind} {w} to {pairs}") for w in (x, y))
    function = {4: "sse2.pmadd.wd", 8: "avx2.pmadd.wd", 16: "avx512.pmaddw.d.512"}[lanes]
    return o.put(f"call {kind} @llvm.x86.{function}({pairs} {x}, {pairs} {y})")


def by_halves(o: Operation, x: str, y: str, total: str) -> str:
    words, half = type_of("uint32", o.lanes), splat(16, "uint32", o.lanes)
    lows = [o.put(f"shl {words} {w}, {half}") for w in (x, y)]
    if not o.float:
        lows = [o.put(f"ashr {words} {w}, {half}") for w in lows]
        highs = [o.put(f"ashr {words} {w}, {half}") for w in (x, y)]
        for a, b in (lows, highs):
            total = o.binary("add", total, o.binary("mul", a, b))
        return total
    above = splat(0xFFFF0000, "uint32", o.lanes)
    highs = [o.put(f"and {words} {w}, {above}") for w in (x, y)]
    for a, b in (lows, highs):
        a, b = (o.put(f"bitcast {words} {w} to {o.type}") for w in (a, b))
        total = o.call("fma", a, b, total)
    return total


def cast(o: Operation, x: str) -> str:
    source, to = o.source, o.dtype
    result = type_of(to, o.lanes)
    if is_float(to):
        if o.float:
            wider = WIDTH[to] > WIDTH[source]
            if not wider and o.dtype == "float16":
                # LLVM would merge this with a rounding from double, which needs a library
                fence = f"@llvm.arithmetic.fence.{suffix(o.source, o.lanes)}"
                x = o.put(f"call {o.type} {fence}({o.type} {x})")
            return o.put(f"{'fpext' if wider else 'fptrunc'} {o.type} {x} to {result}")
        if source == "bool":  # one instruction rather than a conversion to integers and another
            one, zero = splat(1.0, to, o.lanes), splat(0.0, to, o.lanes)
            return o.put(f"select {o.type} {x}, {result} {one}, {result} {zero}")
        return o.put(f"{'sitofp' if o.signed else 'uitofp'} {o.type} {x} to {result}")
    if o.float:
        return saturated(o, x)
    if source == "bool":
        return o.put(f"zext {o.type} {x} to {result}")
    if WIDTH[to] == WIDTH[source]:
        return x
    if WIDTH[to] < WIDTH[source]:
        return o.put(f"trunc {o.type} {x} to {result}")
    return o.put(f"{'sext' if o.signed else 'zext'} {o.type} {x} to {result}")


def saturated(o: Operation, x: str) -> str:
    """Floats as integers: NaN is 0, what lies beyond the limits is the nearer one. (LLVM's own
    operation for that works lane by lane.) Narrow integers come from int32."""
    to = o.dtype
    wide = to if WIDTH[to] >= 32 else "int32"
    low, high = limits(to)
    if o.source == "float16":
        o = Operation(o.node, o.lanes, o.bits, o.put)
        x = o.put(f"fpext {o.type} {x} to {type_of('float32', o.lanes)}")
        o.source, o.type = "float32", type_of("float32", o.lanes)
    if is_signed(to):
        x = o.select(o.compare("ord", x, x), x, o.constant(0.0))
    x = o.select(o.compare("ogt", x, o.constant(float(low))), x, o.constant(float(low)))
    beyond = o.compare("oge", x, o.constant(float(high + 1)))
    x = o.select(beyond, o.constant(0.0), x)
    kind, instruction = type_of(wide, o.lanes), "fptosi" if is_signed(wide) else "fptoui"
    found = o.put(f"{instruction} {o.type} {x} to {kind}")
    most = splat(high, wide, o.lanes)
    found = o.put(f"select {type_of('bool', o.lanes)} {beyond}, {kind} {most}, {kind} {found}")
    return found if wide == to else o.put(f"trunc {kind} {found} to {type_of(to, o.lanes)}")


def bitcast(o: Operation, x: str) -> str:
    result = type_of(o.dtype, o.lanes)
    return x if result == o.type else o.put(f"bitcast {o.type} {x} to {result}")


TABLE: dict[str, Callable[..., str]] = {
    "add": arithmetic("fadd", "add", "or"),
    "sub": arithmetic("fsub", "sub", "xor"),
    "mul": arithmetic("fmul", "mul", "and"),
    "div": division(False), "rem": division(True),
    "neg": negate, "abs": absolute, "min": extreme("min"), "max": extreme("max"), "fma": fused,
    "and": lambda o, x, y: o.binary("and", x, y),
    "or": lambda o, x, y: o.binary("or", x, y),
    "xor": lambda o, x, y: o.binary("xor", x, y),
    "not": complement,
    "shl": shift("shl"), "shr_arithmetic": shift("ashr"), "shr_logical": shift("lshr"),
    "eq": comparison("oeq", "eq"), "ne": comparison("une", "ne"), "lt": comparison("olt", "lt"),
    "le": comparison("ole", "le"), "gt": comparison("ogt", "gt"), "ge": comparison("oge", "ge"),
    "select": choose, "cast": cast, "bitcast": bitcast,
    "floor": intrinsic("floor"), "ceil": intrinsic("ceil"), "trunc": intrinsic("trunc"),
    "round_even": intrinsic("roundeven"), "sqrt": intrinsic("sqrt"),
    "inverse_root": inverse_root, "pair_dot": pair_dot, "scale": masked("scalef"),
    "within": masked("range", "i32 2, "),
    "copysign": intrinsic("copysign"), "popcount": intrinsic("ctpop"), "clz": leading_zeros,
    "idiv": floor_division(False), "imod": floor_division(True),
}  # fmt: skip
