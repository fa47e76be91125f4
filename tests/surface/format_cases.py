"""Expressions about the formats of numbers that exist in memory only; see `surface_cases.py`."""

import re

#: floats and integers of jax 0.10.2 that it can compute with; `int1`, `uint1` and the floats of six
#: bits it names without
FLOATS = (
    "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e8m0fnu", "float4_e2m1fn",
)  # fmt: skip
INTEGERS = ("int2", "uint2")
NEW = (*FLOATS, *INTEGERS)
OLD = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "int4", "uint4")
WIDE = ("bool", "int8", "uint8", "int32", "uint32", "float16", "bfloat16", "float32", "complex64")


def _numbers(dtype):
    """An expression for numbers of a dtype that conversion shows the edges of."""
    if dtype == "bool" or "int" in dtype and dtype != "int4":
        return f"(W32 - V32 if '{dtype}'[0] != 'u' else V32).astype('{dtype}')"
    return f"E.astype('{dtype}')"


def _of(dtype):
    """Eight numbers that a format has, small and positive."""
    return f"(V32 % 2 + 1).astype('{dtype}')" if "2" in dtype[-1:] else f"V32.astype('{dtype}')"


_METHODS = (
    "reshape(4, 2).T", "at[1].set(0)", "at[1].add(1)", "at[0].max(2)", "max()", "min()", "sum()",
    "argmax()", "argmin()", "sort()", "argsort()", "mean()", "prod()", "dtype.name", "itemsize",
    "nbytes", "any()", "all()", "cumsum()", "ravel()", "tolist()", "item(1)", "flatten()[::-1]",
)  # fmt: skip
_BINARY = (
    "add", "subtract", "multiply", "divide", "maximum", "minimum", "equal", "less", "dot", "matmul",
    "floor_divide", "remainder", "power",
)  # fmt: skip
_UNARY = ("negative", "abs", "sign", "square", "exp", "isnan", "isfinite", "isinf", "signbit")
_MOVES = (
    "jnp.concatenate([{x}, {x}[:3]])", "jnp.where({x} > 1, {x}, 0)", "{x}[J]", "{x}[2:5]",
    "jnp.stack([{x}, {x}])", "jnp.pad({x}, 2)", "jnp.tile({x}, 2)", "jnp.roll({x}, 3)",
    "{x}.at[J].set({x}[:6])", "jnp.take({x}, J)", "lax.rev({x}, (0,))",
    "lax.dynamic_slice({x}, (2,), (3,))", "jnp.broadcast_to({x}, (2, 8))",
    "jax.jit(lambda x: x[::2])({x})", "vmap(lambda x: x + x)({x})", "{x}[:0]", "{x}[3]",
    "jnp.zeros((0, 2), {x}.dtype).T", "lax.cond(True, lambda x: x, lambda x: x * 0, {x})",
    "lax.scan(lambda c, x: (c + x, c), jnp.zeros((), {x}.dtype), {x})",
    "jnp.unique({x}, size=4)", "jnp.nonzero({x}, size=8)", "lax.top_k({x}, 3)",
    "jnp.searchsorted(jnp.sort({x}), {x})", "lax.reduce_max({x}, (0,))", "lax.clamp({x}, {x}, {x})",
    "jnp.clip({x}, 1, 2)", "lax.reduce_max({x}[:0], (0,))", "lax.reduce_min({x}[:0], (0,))",
    "jnp.max({x}[:0], initial=1)", "lax.sort({x})", "jnp.asarray(np.asarray({x}))",
    "jnp.array([1, 0, 1], {x}.dtype)", "jnp.full_like({x}, 1)", "jnp.ones_like({x})",
    "jnp.linspace(0, 1, 3, dtype={x}.dtype)", "lax.iota({x}.dtype, 3)",
    "jnp.eye(2, dtype={x}.dtype)",
    "lax.reduce_precision({x}, 4, 3)", "lax.nextafter({x}, {x} * 0)", "lax.erf({x})", "-{x}",
    "lax.stop_gradient({x})", "lax.optimization_barrier({x})",
    "lax.dot_general({x}, {x}, (((0,), (0,)), ((), ())), preferred_element_type='float32')",
    "jnp.einsum('i,i->', {x}, {x})",
    "jax.ops.segment_sum({x}, W32 % 3, 3)", "jnp.triu(jnp.stack([{x}, {x}]))",
    "jax.eval_shape(lambda: {x}).dtype.name",
)  # fmt: skip
_BITS = ("clz", "population_count", "bitwise_not")

#: what jax 0.10.2 does not compute: it raises an error from inside, gives what is no answer (an
#: unsorted `sort`, 127 for 6, -1 for a mean of -0.9), or ends the process (`concatenate` of int2)
_LOST = re.compile(
    r"int2'\)\.(sum|prod|mean|sort|argsort|argmax|argmin)\(|"
    r"^jnp\.(divide|power|abs|exp|unique|searchsorted|concatenate)\(.*\bu?int2'|"
    r"^lax\.(sort|top_k|dot_general)\(.*\bu?int2'|^jnp\.linspace.*(int2|e8m0fnu)'|"
    r"float4_e2m1fn'\)\.(mean\(|astype\('u?int)|^jnp\.searchsorted.*float4|"
    r"^lax\.(top_k|dot_general)\(.*float4|e3m4'\)\.mean\(|"
    r"e8m0fnu'\)\.(argmax|argmin|cumsum)\(|^grad\(lambda x: \(x \* x\).*e8m0fnu|"
    r"^jnp\.signbit.*float"
)

_LINES = [
    *(f"{_numbers(w)}.astype('{s}').astype('float32')" for s in NEW for w in (*WIDE, *OLD)),
    *(f"E.astype('{s}').astype('{w}')" for s in NEW for w in (*WIDE, *OLD, *NEW)),
    *(f"{_of(s)}.{more}" for s in NEW for more in _METHODS),
    *(f"jnp.{f}({_of(s)}, (W32 % 2 + 1).astype('{s}'))" for s in NEW for f in _BINARY),
    *(f"jnp.{f}({_of(s)})" for s in NEW for f in _UNARY),
    *(move.format(x=_of(s)) for s in NEW for move in _MOVES),
    *(f"lax.{f}({_of(s)})" for s in INTEGERS for f in _BITS),
    *(f"lax.{f}({_of(s)}, (W32 % 3).astype('{s}'))" for s in INTEGERS for f in (
        "shift_left", "shift_right_logical", "shift_right_arithmetic", "bitwise_and", "bitwise_xor",
        "div", "rem")),
    *(f"jnp.add({_of(s)}, jnp.ones(8, '{o}'))" for s in NEW
      for o in ("float32", "int32", "bfloat16", "bool", *OLD, *NEW)),
    *(f"{_of(s)} {o}" for s in NEW for o in ("+ 1", "* 0.5", "+ 1j", "== 1", "> 0.5")),
    *(f"jnp.promote_types('{s}', {o}).name" for s in NEW for o in (
        "'float16'", "'int8'", "'bool'", "int", "float", "complex", f"'{s}'")),
    *(f"grad(lambda x: (x.astype('{s}').astype('float32') * V32).sum())(W32.astype('float32'))"
      for s in NEW),
    *(f"jax.jvp(lambda x: x * x, ({_of(s)},), ({_of(s)},))" for s in FLOATS),
    *(f"grad(lambda x: (x * x).sum())({_of(s)})" for s in NEW),
    *(f"lax.bitcast_convert_type({_of(s)}, '{o}')" for s in NEW for o in (
        "uint8", "int4", "uint2", "float4_e2m1fn", "float8_e3m4", "bool", "float16")),
    *(f"lax.bitcast_convert_type({o}, '{s}')" for s in NEW for o in (
        "W32.astype('uint8')", "W32", "V.astype('float16')", "V32.astype('uint4')",
        "V32.astype('uint4').reshape(4, 2)", "V32.astype('uint2').reshape(2, 4)")),
    *(f"W32.astype('uint8').view('{s}')" for s in NEW),
    *(f"{_of(s)}.view('uint8')" for s in NEW),
    *(f"(jnp.zeros(2, '{s}'), jnp.ones(2, '{s}'), jnp.full(2, 1, '{s}'), jnp.zeros((), '{s}'))"
      for s in NEW),
    *(f"[int(getattr(jnp.iinfo('{s}'), k)) for k in ('min', 'max', 'bits')]" for s in INTEGERS),
    *(f"[float(getattr(jnp.finfo('{s}'), k)) for k in ('min', 'max', 'bits', 'eps', 'tiny', "
      "'nmant', 'nexp', 'minexp', 'maxexp', 'smallest_subnormal')]" for s in FLOATS),
    *(f"[jnp.issubdtype('{s}', k) for k in (jnp.floating, jnp.integer, jnp.signedinteger, "
      "jnp.unsignedinteger, jnp.inexact, jnp.number, jnp.generic)]" for s in NEW),
    *(f"[jnp.isdtype('{s}', k) for k in ('real floating', 'integral', 'signed integer', 'numeric')]"
      for s in NEW),
    *(f"[bool(jnp.can_cast(a, b)) for a, b in (('{s}', 'float32'), ('{s}', 'int8'), "
      f"('float32', '{s}'), ('{s}', '{s}'), ('bool', '{s}'))]" for s in NEW),
    *(f"jax.dtypes.itemsize_bits('{s}')" for s in NEW),
    *(f"jnp.{s}(1)" for s in NEW),
    *(f"str(jnp.ones(2, '{s}'))" for s in NEW),
    *(f"repr(jnp.ones(2, '{s}'))" for s in NEW),
    *(f"str(jax.ShapeDtypeStruct((2,), '{s}').dtype)" for s in NEW),
    *(f"jax.random.uniform(jax.random.key(0), (3,), '{s}')" for s in FLOATS),
    *(f"jax.nn.relu({_of(s)})" for s in NEW),
    *(f"jnp.isclose({_of(s)}, {_of(s)})" for s in FLOATS),
]  # fmt: skip
FORMATS = [line for line in _LINES if not _LOST.search(line)]
