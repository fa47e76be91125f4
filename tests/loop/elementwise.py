"""Compiles an elementwise expression into a plain LLVM loop, to evaluate it over NumPy arrays.

Independent of the compiler's own back end on purpose: what the tests of the mathematical functions
measure is then the formulas alone. `llvm.fma` is exact on every processor (a library call on old
ones). LLVM vectorises the loop; no fast-math flag is ever given.
"""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Sequence

import llvmlite.binding as llvm
import numpy as np

from fornax._native import reachable
from fornax.compiler.loop.builder import Builder
from fornax.compiler.loop.ir import COMPARE, WIDTH, Axis, Buffer, Expr, is_float
from fornax.compiler.loop.math import expand

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()
TYPES = {"float32": "float", "float64": "double", "bool": "i1"}
PLAIN = {"add": "add", "sub": "sub", "mul": "mul", "div": "div"}
BITWISE = {"and": "and", "or": "or", "xor": "xor", "shl": "shl",
           "shr_logical": "lshr", "shr_arithmetic": "ashr"}  # fmt: skip
CALLS = {"fma": "fma", "abs": "fabs", "min": "minimum", "max": "maximum", "floor": "floor",
         "ceil": "ceil", "trunc": "trunc", "round_even": "rint", "sqrt": "sqrt",
         "copysign": "copysign"}  # fmt: skip


def type_of(dtype: str) -> str:
    return TYPES.get(dtype) or f"i{WIDTH[dtype]}"


def literal(value, dtype: str) -> str:
    """A constant in LLVM's notation (floats as the bits of a double)."""
    if not is_float(dtype):
        return str(value).lower()
    if math.isnan(value):
        return "0x7FF8000000000000"
    return "0x" + struct.pack(">d", value).hex().upper()


class Text:
    """Emits one expression graph."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[Expr, str] = {}
        self.declared: set[str] = set()

    def operation(self, node: Expr) -> str:
        a = [self.names[x] for x in node.args]
        kind, source = type_of(node.dtype), node.args[0].dtype
        wide, real, name = type_of(source), is_float(source), node.data
        prefix = "f" if real else ""
        if name in BITWISE:
            return f"{BITWISE[name]} {kind} {a[0]}, {a[1]}"
        if name in PLAIN:
            return f"{prefix}{PLAIN[name]} {kind} {a[0]}, {a[1]}"
        if name in COMPARE:
            word = ("une" if name == "ne" else f"o{name}") if real else name
            if not real and name not in ("eq", "ne"):
                word = ("s" if source.startswith("i") else "u") + name
            return f"{prefix or 'i'}cmp {word} {wide} {a[0]}, {a[1]}"
        if name == "neg":
            return f"fneg {kind} {a[0]}" if real else f"sub {kind} 0, {a[0]}"
        if name == "not":
            return f"xor {kind} {a[0]}, -1"
        if name in ("select", "rarely"):
            return f"select i1 {a[0]}, {kind} {a[1]}, {kind} {a[2]}"
        if name == "bitcast":
            return f"bitcast {wide} {a[0]} to {kind}"
        if name == "cast":
            return self.cast(a[0], source, node.dtype)
        suffix = {"float": "f32", "double": "f64"}[kind]
        call = f"@llvm.{CALLS[name]}.{suffix}"
        self.declared.add(f"declare {kind} {call}({', '.join([kind] * len(a))})")
        return f"call {kind} {call}({', '.join(f'{kind} {x}' for x in a)})"

    def cast(self, x: str, source: str, target: str) -> str:
        wide, kind = type_of(source), type_of(target)
        signed = source.startswith("int")
        if is_float(source) and is_float(target):
            return f"{'fpext' if target == 'float64' else 'fptrunc'} {wide} {x} to {kind}"
        if is_float(target):
            return f"{'s' if signed else 'u'}itofp {wide} {x} to {kind}"
        if is_float(source):
            call = f"@llvm.fpto{'s' if target.startswith('int') else 'u'}i.sat.{kind}."
            call += {"float": "f32", "double": "f64"}[wide]
            self.declared.add(f"declare {kind} {call}({wide})")
            return f"call {kind} {call}({wide} {x})"
        if WIDTH[target] <= WIDTH[source] and source != "bool":
            return f"trunc {wide} {x} to {kind}"
        return f"{'s' if signed else 'z'}ext {wide} {x} to {kind}"

    def emit(self, node: Expr) -> None:
        if node.kind == "const":
            self.names[node] = literal(node.data, node.dtype)
            return
        name = self.names[node] = f"%v{node.number}"
        if node.kind == "load":
            kind = type_of(node.dtype)
            self.lines.append(f"  {name}p = getelementptr {kind}, ptr %{node.data.name}, i64 %i")
            self.lines.append(f"  {name} = load {kind}, ptr {name}p")
        elif node.kind == "axis":
            self.names[node] = "%i"
        elif node.kind == "table":
            numbers = ", ".join(f"float {literal(v, node.dtype)}" for v in node.data)
            kind, place = f"[{len(node.data)} x float]", self.names[node.args[0]]
            self.declared.add(f"@t{node.number} = private constant {kind} [{numbers}]")
            self.lines.append(f"  {name}m = and i32 {place}, {len(node.data) - 1}")
            self.lines.append(
                f"  {name}p = getelementptr {kind}, ptr @t{node.number}, i32 0, i32 {name}m"
            )
            self.lines.append(f"  {name} = load float, ptr {name}p")
        else:
            self.lines.append(f"  {name} = {self.operation(node)}")


class Elementwise:
    """f(b, *terms) compiled for arrays: `Elementwise(f, ("float32",))(x)`."""

    def __init__(
        self,
        f,
        dtypes: Sequence[str],
        fma: bool = True,
        target: str = "native",
        tables: bool = False,
    ):
        b = Builder()
        axis = Axis(1 << 40)
        inputs = [
            b.load(Buffer(f"x{i}", d, (1 << 40,), (1,)), (b.axis(axis),))
            for i, d in enumerate(dtypes)
        ]
        self.expr = expand(b, f(b, *inputs), fma, tables)
        self.nodes = [n for n in reachable([self.expr]) if n.kind in ("op", "table")]
        text = Text()
        for node in reachable([self.expr]):
            text.emit(node)
        self.dtype = self.expr.dtype
        result, kind = text.names[self.expr], type_of(self.dtype)
        if self.dtype == "bool":
            text.lines.append(f"  %wide = zext i1 {result} to i8")
            result, kind = "%wide", "i8"
        pointers = ", ".join(f"ptr noalias %x{i}" for i in range(len(dtypes)))
        self.text = "\n".join([
            *sorted(text.declared),
            f"define void @run({pointers}, ptr noalias %out, i64 %n) {{",
            "entry:", "  br label %loop", "loop:",
            "  %i = phi i64 [0, %entry], [%next, %loop]", *text.lines,
            f"  %address = getelementptr {kind}, ptr %out, i64 %i",
            f"  store {kind} {result}, ptr %address",
            "  %next = add nuw i64 %i, 1", "  %more = icmp ult i64 %next, %n",
            "  br i1 %more, label %loop, label %exit", "exit:", "  ret void", "}",
        ])  # fmt: skip
        self.compile(target)

    def compile(self, target: str) -> None:
        module = llvm.parse_assembly(self.text)
        module.verify()
        native = target == "native"
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name() if native else "x86-64",
            features=llvm.get_host_cpu_features().flatten() if native else "",
            opt=2,
        )
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = True
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
        self.assembly = machine.emit_assembly(module)
        self.engine = llvm.create_mcjit_compiler(module, machine)
        self.engine.finalize_object()
        pointers = [ctypes.c_void_p] * (self.text.count("ptr noalias"))
        function = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64)
        self.function = function(self.engine.get_function_address("run"))

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        arrays = [np.ascontiguousarray(a) for a in arrays]
        out = np.empty(arrays[0].shape, self.dtype)
        if out.size:
            self.function(*(a.ctypes.data for a in arrays), out.ctypes.data, out.size)
        return out

    def count(self) -> dict[str, int]:
        """How often each operation occurs (bit casts cost nothing)."""
        counts: dict[str, int] = {}
        for node in self.nodes:
            name = "table" if node.kind == "table" else node.data
            if name != "bitcast":
                counts[name] = counts.get(name, 0) + 1
        return counts
