"""Expressions over `jax` and the arrays below, one test case each, in lists by subject.

`record.py` evaluates them with JAX, the tests with Fornax. Upper-case names that an expression
mentions become the arguments when it runs under jit. `jnp`, `lax`, `np`, `grad`, `vmap` are there.
"""

import re
from collections.abc import Iterator

import numpy
from distribution_cases import DISTRIBUTIONS
from format_cases import FORMATS

_random = numpy.random.default_rng(11)


def _floats(*shape, dtype="float32"):
    return numpy.round(_random.normal(size=shape) * 2, 2).astype(dtype)


def _complex(*shape):
    return (_floats(*shape) + 1j * _floats(*shape)).astype("complex64")


ARRAYS = {
    "V": _floats(6),
    "W": _floats(6),
    "M": _floats(6, 3),
    "L": _floats(3, 4),
    "G": _floats(4, 3, 5),
    "S": _floats(4, 4),
    "T": _floats(2, 4, 4),
    "H": _floats(5, 3),
    "C": _complex(4, 4),
    "CH": _complex(5, 3),
    "I": _random.integers(-5, 6, (3, 4)).astype("int32"),
    "J": _random.integers(0, 4, 6).astype("int32"),
    "U": _random.integers(0, 250, 6).astype("uint8"),
    "B": _random.integers(0, 2, (3, 4)).astype(bool),
    "K4": numpy.array([1, 2, 3, 4], "uint32"),
    "K8": _random.integers(0, 2**32, (2, 4)).astype("uint32"),
    "KM": numpy.array([7, 9, 2**32 - 1, 2**32 - 1], "uint32"),
    "GS": numpy.array([2, 1, 0, 2], "int32"),
    "GB": numpy.array([[2, 1, 0, 2], [0, 3, 3, 0]], "int32"),
    "V32": numpy.array([1, 2, 0, 3, 3, 0, 7, 5], "int32"),
    "W32": numpy.array([5, 0, 1, 2, 7, 4, 2, 1], "int32"),
    "E": numpy.array(
        [
            0.0,
            -0.0,
            1,
            -1,
            0.3,
            -0.7,
            2.5,
            3.5,
            7,
            8,
            -8,
            -9,
            15,
            16,
            100,
            240,
            248,
            448,
            449,
            464,
            465,
            480,
            1e4,
            57344,
            61440,
            65504,
            -1e4,
            1e-3,
            2**-6,
            2**-7,
            2**-9,
            2**-10,
            0.00098,
            2**-14,
            numpy.inf,
            -numpy.inf,
            numpy.nan,
        ],
        "float32",
    ),
    "H16": _floats(6, 3, dtype="float16"),
}

BITS = [
    f"lax.rng_bit_generator({key}, {shape}, '{dtype}', {algorithm})"
    for key, shape, dtype, algorithm in (
        ("K4", (5,), "uint32", 0), ("K4", (3, 3), "uint32", 1), ("K4", (), "uint8", 0),
        ("K4", (2, 3), "uint16", 2), ("KM", (9,), "uint32", 0), ("KM", (3, 4), "uint32", 1),
        ("KM", (2, 3, 3), "uint32", 1), ("KM", (5, 7, 1), "uint8", 1), ("KM", (0, 3), "uint32", 1),
        ("KM", (7,), "uint8", 1), ("KM", (3, 5), "uint16", 0), ("K4", (), "uint32", 1),
    )
] + [
    "vmap(lambda k: lax.rng_bit_generator(k, (3,)))(K8)",
    "vmap(lambda k: lax.rng_bit_generator(k, (3,)), 1)(K8.T)",
    "lax.rng_bit_generator(K4, (3,), algorithm=lax.RandomAlgorithm.RNG_PHILOX)",
    "lax.rng_bit_generator(K4, (3,), 'int32')",
    "lax.rng_bit_generator(K4, (3,), 'float32')",
    "str(lax.RandomAlgorithm.RNG_THREE_FRY)",
    "list(lax.RandomAlgorithm)",
    "lax.rng_uniform(0.0, np.int32(1), (3,))",
    "lax.rng_uniform(np.zeros(2), np.ones(2), (3,))",
    "lax.rng_uniform(0.0, 1.0, (3, 2)).shape",
    "lax.rng_uniform(0, 10, (3,)).dtype.name",
]  # fmt: skip

_D = "lax.RaggedDotDimensionNumbers"
PRODUCTS = [
    "lax.ragged_dot(M, G, GS)",
    "lax.ragged_dot(M, G, GS + 1)",
    "lax.ragged_dot(M, G, GS - 1)",
    "lax.ragged_dot(H16, G, GS)",
    "lax.ragged_dot(H16, G.astype('float16'), GS, preferred_element_type='float32')",
    "lax.ragged_dot(M, G, GS, precision='highest')",
    "grad(lambda x, y: (lax.ragged_dot(x, y, GS) ** 2).sum(), argnums=(0, 1))(M, G)",
    "jax.jvp(lambda x, y: lax.ragged_dot(x, y, GS), (M, G), (M + 1, G * 2))",
    "vmap(lax.ragged_dot)(jnp.stack([M, M + 1]), jnp.stack([G, G * 2]), GB)",
    f"lax.ragged_dot_general(M.T, W[:, None], GS, {_D}((([1], [0]), ([], [])), [1], []))",
    f"lax.ragged_dot_general(T, T, GS, {_D}((([2], [1]), ([0], [0])), [0], []))",
    f"lax.ragged_dot_general(jnp.stack([M, M]), G, GB, {_D}((([2], [1]), ([], [])), [1], [0]))",
    f"lax.ragged_dot_general(jnp.stack([M, M]), G, GS, {_D}((([2], [1]), ([], [])), [1], [0]))",
    "lax.ragged_dot(M, G, GS[:3])",
    "lax.ragged_dot(M, G[:, :2], GS)",
    "lax.ragged_dot(M, G, GS.astype('float32'))",
    "lax.ragged_dot(M[0], G, GS)",
    "lax.ragged_dot(M, G[0], GS)",
    f"lax.ragged_dot_general(M, G, GS, {_D}((([1], [1]), ([], [])), [], [0]))",
    f"lax.ragged_dot_general(M, G, GS, {_D}((([1], [1]), ([], [])), [0], []))",
    f"lax.ragged_dot_general(M, G, GS, {_D}((([1], [1]), ([], [])), [5], [0]))",
    f"lax.ragged_dot_general(M, G, GS, {_D}((([1], [1]), ([], [])), [0], [7]))",
    f"lax.ragged_dot_general(M, G, GS, {_D}((([1], [1]), ([], [])), [0], [1]))",
    f"lax.ragged_dot_general(M, G, GS[0], {_D}((([1], [1]), ([], [])), [0], [0]))",
    f"lax.ragged_dot_general(M, G, GB, {_D}((([1], [1]), ([], [])), [0], [0]))",
    f"lax.ragged_dot_general(M.T, M, GS, {_D}((([1], [0]), ([], [])), [1], [0]))",
    f"repr({_D}((([1], [1]), ([], [])), [0], [0]))",
    f"{_D}((([1], [1]), ([], [])), [0], [0]) == {_D}((((1,), (1,)), ((), ())), (0,), (0,))",
    "[lax.dot(M.T, M, precision=p) for p in ('F32_F32_F32', 'BF16_BF16_F32_X3', 'DEFAULT')]",
    "lax.dot(M.T, M, precision=lax.DotAlgorithmPreset.F64_F64_F64, "
    "preferred_element_type='float32')",
    "lax.dot(M.T, M, precision='TF32_TF32_F32')",
    "lax.dot(M.T, M, precision=lax.DotAlgorithm(np.float32, np.float32, np.float32))",
    "lax.dot(M.T, M, precision='unknown')",
    "lax.dot(M.T, M, precision=(lax.Precision.HIGH, None))",
    "lax.dot(M.T, M, precision=['high', 'default'])",
    "[(p.value, str(p), repr(p)) for p in lax.DotAlgorithmPreset]",
    "[repr(p.supported_lhs_types) for p in lax.DotAlgorithmPreset if 'BF16_BF16' not in p.name]",
    "[repr(p.accumulation_type) for p in lax.DotAlgorithmPreset if p.name[:6] != 'BF16_B']",
    "lax.DotAlgorithm('float16', 'float16', 'float32')",
    "lax.dot(I.astype('int8'), I.T.astype('uint8'))",
    "lax.dot(H16.T, M.astype('bfloat16'))",
    "lax.dot(I, I.T, preferred_element_type='int8')",
    "lax.dot(I.astype('int8'), I.T.astype('int8'), preferred_element_type='int32')",
    "lax.dot(M.T, M, preferred_element_type='float16')",
]  # fmt: skip

_LARGEST = "lambda a, b: (jnp.where(a[0] >= b[0], a[0], b[0]), jnp.where(a[0] >= b[0], a[1], b[1]))"
_START = "(np.float32(-np.inf), np.int32(-1))"
REDUCTIONS = [
    *(f"jnp.{f}({x}, dtype='complex64')" for f in ("var", "nanstd") for x in ("V32", "C")),
    "jnp.var(C, dtype='float32')",
    *(f"jnp.cumulative_prod(V32.astype('{d}'))" for d in ("int4", "int8", "bool")),
    *(f"jnp.linalg.matrix_rank({x})" for x in ("V32[0]", "V32[2]", "V32", "V32 * 0")),
    "vmap(grad(lambda x: jnp.frexp(x)[0]))(jnp.array([0.3, -5, 0, 1, 8, jnp.inf, jnp.nan]))",
    "jax.jvp(lambda x: jnp.frexp(x)[0], (jnp.float32(3),), (jnp.float32(2),))",

    *(f"lax.reduce((S, lax.iota('int32', 16).reshape(4, 4)), {_START}, {_LARGEST}, {dims})"
      for dims in ("(0,)", "(1,)", "(0, 1)", "[1]", "()")),
    f"vmap(lambda x: lax.reduce((x, lax.iota('int32', 4)), {_START}, {_LARGEST}, (0,)))(S)",
    "lax.reduce(S, 0, lax.add, (0,))",
    "lax.reduce(S, 3, lax.add, (0,))",
    "lax.reduce(S, np.float32(3), lax.add, (0,))",
    "lax.reduce(S, 0.0, lambda a, b: a + b + a * b, (0,))",
    "lax.reduce(S, np.float32(0), lambda a, b: a + b + a * b, (1,))",
    "lax.reduce(B, False, lax.max, (0,))",
    "lax.reduce(I, np.int32(0), lax.bitwise_xor, (1,))",
    "lax.reduce(C, np.complex64(1), lambda a, b: a * b, (0, 1))",
    "lax.reduce({'a': S, 'b': S}, {'a': np.float32(0), 'b': np.float32(1)}, "
    "lambda x, y: (x['a'] + y['a'], x['b'] * y['b']), (0,))",
    "grad(lambda x: lax.reduce(x, np.float32(0), lambda a, b: a + b + a * b, (0,)).sum())(S)",
    "lax.reduce(S, np.zeros(2, 'float32'), lax.add, (0,))",
    "lax.reduce(S, np.float32(0), lambda a, b: (a, b), (0,))",
    "lax.reduce((S,), [np.float32(0)], lambda a, b: a, (0,))",
    "lax.reduce((), (), lambda a, b: (), (0,))",
]  # fmt: skip

_NAMES = (
    "add",
    "multiply",
    "subtract",
    "minimum",
    "maximum",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "logical_and",
    "logical_or",
    "logical_xor",
    "logaddexp",
    "logaddexp2",
)


def _operands(name):
    return ("I", "J", "U") if name.startswith("bit") else ("I", "J", "S", "B")


#: what jax has no meaning for, by accident
_ACCIDENTS = {
    "maximum": "dtype",
    "logical_and": "dtype",
    "logical_or": "dtype",
    "logical_xor": "dtype",
    "logaddexp": "initial",
}
UNIVERSAL = [
    *(f"(jnp.{n}.nin, jnp.{n}.nout, jnp.{n}.nargs, jnp.{n}.identity, jnp.{n}.__name__, "
      f"isinstance(jnp.{n}, jnp.ufunc))" for n in (*_NAMES, "negative")),
    "[isinstance(f, jnp.ufunc) for f in (jnp.sin, jnp.sum, np.add, 3, jnp.divide, jnp.power)]",
    "[hasattr(f, 'reduce') for f in (jnp.sin, jnp.divide, jnp.add, jnp.negative)]",
    *(f"jnp.{n}.reduce({x}{more})" for n in _NAMES for x in _operands(n)
      for more in ("", ", axis=None", ", keepdims=True")),
    *(f"jnp.{n}.reduce({x}, {more})" for n in _NAMES for x in ("S", "I")
      for more in ("axis=1, initial=2", "axis=(0, 1)", "axis=0, where={x} > 1, initial=1",
                   "axis=0, where={x} > 1", "axis=5", "dtype='float32'", "dtype='int16'", "out=3",
                   "where=3")
      for more in [more.format(x=x)]
      if not (n in _ACCIDENTS and _ACCIDENTS[n] in more)),
    *(f"jnp.{n}.reduce(np.zeros((0, 3), 'int32'))" for n in _NAMES),
    *(f"jnp.{n}.accumulate({x}{more})" for n in _NAMES for x in _operands(n)
      for more in ("", ", axis=-1")),
    *(f"jnp.{n}.accumulate({more})" for n in ("add", "subtract", "maximum", "logaddexp")
      for more in ("S, axis=None", "S, dtype='float16'", "I, dtype='float32'", "S, axis=(0,)",
                   "S, axis=7", "S, out=S", "np.zeros((0, 2))", "np.float32(3)")),
    *(f"jnp.{n}.at({args}, inplace=False)" for n in _NAMES for args in (
        "I, (J[:2], J[2:4]), 3", "I, J % 3, I[:1]", "I[0], 2, 5")),
    *(f"jnp.{n}.at({args})" for n in ("add", "multiply", "subtract", "maximum") for args in (
        "S, J, S[0], inplace=False", "S, (), 2.0, inplace=False",
        "B, (J % 3, J % 4), True, inplace=False", "S, J, 2.0", "S, [0, 1], 2.0, "
        "inplace=False", "S, J.reshape(2, 3), 2.0, inplace=False", "S, J, inplace=False")),
    "jnp.negative.at(S, J, inplace=False)",
    "jnp.negative.at(S, (J, J), inplace=False)",
    "jnp.negative.at(I, 1, inplace=False)",
    *(f"jnp.negative.{method}" for method in (
        "reduce(S)", "accumulate(S)", "outer(S, S)", "reduceat(S, J)")),
    *(f"jnp.{n}.outer({args})" for n in _NAMES for args in ("I, J", "J, 2", "I[0], J")),
    "jnp.add.outer(S, 1.5)", "jnp.add.outer(2, 3)", "jnp.add.outer([1], 3)",
    "jnp.subtract.outer(S, V).shape",
    *(f"jnp.{n}.reduceat({args})" for n in ("add", "subtract", "maximum", "multiply", "logaddexp")
      for args in ("V, np.array([0, 2, 4])", "V, np.array([3, 1, 5])",
                   "S, np.array([0, 2]), axis=1",
                   "S, np.array([1])", "S, np.array([[1]])", "S, [0, 1]", "S, 1", "np.float32(1), "
                   "np.array([0])", "S, np.array([0]), axis=None", "S, np.array([0]), axis=3",
                   "J, np.array([0, 2]), out=J", "I, np.array([0, 2]), dtype='float32'")),
    "jnp.add(S, S, out=S)", "jnp.add(S, S, where=S)", "jnp.maximum(S, S, out=3)",
    "jnp.add(S)", "jnp.add(S, S, S)", "jnp.negative(S, out=S)",
    *(f"jnp.frompyfunc(lambda x, y: x * y + 1, 2, 1{identity}).{method}"
      for identity in ("", ", identity=1") for method in (
          "reduce(V)", "reduce(S, axis=1, keepdims=True)", "reduce(I, axis=None)", "accumulate(S)",
          "outer(V, W)", "at(V, J, 2.0, inplace=False)", "reduceat(V, np.array([0, 3]))",
          "reduce(np.zeros((0, 2)))", "reduce(S, where=S > 0)", "reduce(S, initial=2)", "identity",
          "nargs", "reduce(S, where=S > 0, initial=2)")),
    "jnp.frompyfunc(lambda x: x + 1, 1, 1)(S)",
    "jnp.frompyfunc(lambda x, y: (x + y, x - y), 2, 2)(V, W[:, None])",
    "jnp.frompyfunc(lambda x, y: (x + y, x - y), 2, 2).reduce(V)",
    "jnp.frompyfunc(lambda x, y: x + y, 2, 1)(S, 2)",
    "jnp.frompyfunc(lambda x, y: x + y, 2, 1)([1], 2)",
    "repr(jnp.frompyfunc(jnp.add, 2, 1))", "jnp.frompyfunc(jnp.add, 2, 1) == jnp.add",
    "jnp.frompyfunc(jnp.sin, 1, 1) == jnp.frompyfunc(jnp.sin, 1, 1)",
    "len({jnp.frompyfunc(jnp.sin, 1, 1), jnp.frompyfunc(jnp.sin, 1, 1)})",
    "jnp.frompyfunc(jnp.sin, 1.5, 1)",
    "jnp.ufunc(jnp.add, 2, 1, name='plus', nargs=2, identity=0).reduce(V)",
    "grad(lambda x: jnp.add.reduce(x ** 2))(V)",
    "grad(lambda x: jnp.subtract.reduce(x ** 2))(V)",
    "grad(lambda x: jnp.logaddexp.reduce(x))(V)",
    "grad(lambda x: jnp.multiply.accumulate(x).sum())(V)",
    "grad(lambda x: jnp.multiply.outer(x, x).sum())(V)",
    "grad(lambda x: jnp.multiply.at(x, J, 2.0, inplace=False).sum())(V)",
    "grad(lambda x: jnp.frompyfunc(lambda a, b: a * b + b, 2, 1).reduce(x))(V)",
    "vmap(jnp.add.reduce)(S)", "vmap(jnp.subtract.accumulate)(S)", "vmap(jnp.maximum.reduce)(I)",
    "vmap(lambda x: jnp.add.at(x, J % 4, 1.0, inplace=False))(S)",
    "jax.jit(jnp.add.reduce, static_argnames='axis')(S, axis=1)",
    "jax.jit(lambda f, x: f.reduce(x), static_argnums=0)(jnp.add, S)",
    "jax.jit(lambda f, x: f.reduce(x), static_argnums=0)(jnp.frompyfunc(jnp.hypot, 2, 1), S)",
]  # fmt: skip
SLICES = [
    "V[jax.ds(2, 3)]",
    "V[jax.ds(J[0], 3)]",
    "V[jax.ds(3)]",
    "V[jax.ds(None)]",
    "V[jax.ds(1, 2, 2)]",
    "V[jax.ds(J[0], 2, 2)]",
    "S[jax.ds(1, 2), jax.ds(J[0], 2)]",
    "S[1, jax.ds(J[0], 2)]",
    "S[..., jax.ds(0, 2)]",
    "S[jax.ds(1, 2), J]",
    "S[J, jax.ds(1, 2)]",
    "V[jax.ds(4, 5)]",
    "V[jax.ds(-2, 2)]",
    "V[jax.ds(J[0], J[1])]",
    "V[jax.ds(0, 0)]",
    "V.at[jax.ds(1, 2)].set(0)",
    "V.at[jax.ds(J[0], 2)].add(1.0)",
    "V.at[jax.ds(J[0], 2)].get()",
    "S.at[jax.ds(1, 2), jax.ds(J[0], 2)].multiply(2.0)",
    "jax.ds(1, 2, 0)",
    "jax.ds(1, 2, -1)",
    "jax.ds(1, 2, 1.5)",
    "repr(jax.ds(1, 2))",
    "repr(jax.ds(None))",
    "jax.ds(2) == jax.ds(0, 2)",
    "jax.tree.leaves(jax.ds(1, 2))",
    "jax.tree.leaves(jax.ds(np.int32(3), 2))",
    "jax.jit(lambda s: s)(jax.ds(J[1], 2)).size",
    "jax.jit(lambda i: jax.tree.map(lambda x: x + 1, jax.ds(i, 2)).start)(3)",
    "(jax.ds(1, 2).start, jax.ds(1, 2).size, jax.ds(1, 2).stride)",
    "vmap(lambda i: V[jax.ds(i, 2)])(J)",
    "grad(lambda x: x[jax.ds(J[0], 2)].sum())(V)",
    "T[jax.ds(0, 1), :, jax.ds(J[0], 2)]",
    "T[None, 0, jax.ds(1, 2)]",
    "S[jax.ds(1, 2.5)]",
    "V.at[jax.ds(5, 3)].set(1.0)",
    "V.at[jax.ds(J[0] + 2, 3)].add(1.0)",
    "V.at[jax.ds(J[0] + 2, 3)].get(mode='fill')",
    "V.at[jax.ds(J[0] + 2, 3)].set(1.0, mode='clip')",
    "V.at[jax.ds(J[0], 2)].apply(jnp.sin)",
    "V.at[jax.ds(J[0] - 5, 2)].set(7.0)",
    "V.at[jax.ds(J[0], 2, 2)].set(1.0)",
    "V.at[jax.ds(J[0], 2)].divide(2.0)",
    "V[jax.ds(0, 9)]",
    "V[jax.ds(J[0], 9)]",
    "V[jax.ds(0, 1), jax.ds(0, 1)]",
    "S[B.any(), jax.ds(1, 2)]",
    "V[jax.ds(np.int32(1), np.int64(2))]",
    "V[jax.ds(True, 2)]",
]

_L = "lax.linalg"


def _abs(text):
    """What two ways of computing agree on: neither signs of vectors nor their order."""
    return f"jax.tree.map(abs, {text})"


MATRICES = [
    *(f"{_L}.hessenberg({x})" for x in ("S", "T", "C", "M", "V", "I", "S[:1, :1]")),
    f"vmap({_L}.hessenberg)(T)", f"vmap({_L}.hessenberg, 1)(T.swapaxes(0, 1))",
    *(f"{_L}.tridiagonal({x}, lower={low})" for low in (True, False)
      for x in ("S + S.T", "T + T.swapaxes(1, 2)", "C + C.conj().T", "M", "I",
                "S[:1, :1]")),
    *(f"{_L}.householder_product({x})" for x in (
        "H, V[:3]", "H, V[:2]", "CH, C[0, :3]", "H.T, V[:3]", "H, V[:4]", "H, CH[0]", "H, V[:0]",
        "jnp.stack([H, H + 1]), jnp.stack([V[:3], W[:3]])", "H, H", "I, J", "V, V")),
    f"{_L}.householder_product(*jnp.linalg.qr(H, 'raw'))",
    f"vmap({_L}.householder_product, (None, 0))(H, H[:, :3])",
    *(f"{_L}.ormqr(H, V[:3], {c}, left={left}, transpose={t})" for t in (True, False)
      for c, left in (("H", True), ("H.T", False), ("H", False), ("H.T", True), ("V", True))),
    f"{_L}.ormqr(CH, C[0, :3], CH, transpose=True)", f"{_L}.ormqr(CH, C[0, :3], CH)",
    f"{_L}.ormqr(CH, C[0, :3], CH.T, left=False)", f"{_L}.ormqr(H, V[:3], CH)",
    f"{_L}.ormqr(H, V[:0], H)",
    *(f"{_L}.schur({x})" for x in ("S", "T", "C", "M", "V", "I", "S + S.T")),
    f"{_L}.schur(S, compute_schur_vectors=False)", f"{_L}.schur(S, sort_eig_vals=True)",
    f"vmap({_L}.schur)(T)", f"{_L}.schur(S * np.nan)",
    f"(lambda t, z: z @ t @ z.T - S)(*{_L}.schur(S))",
    f"{_L}.lu_pivots_to_permutation({_L}.lu(S)[1], 4)",
    f"{_L}.lu_pivots_to_permutation(jnp.array([2, 2, 4]), 6)",
    f"{_L}.lu_pivots_to_permutation(jnp.array([[2, 2], [1, 3]]), 4)",
    f"{_L}.lu_pivots_to_permutation(jnp.array([2, 2, 4]), 2)",
    f"{_L}.lu_pivots_to_permutation(V, 9)", f"{_L}.lu_pivots_to_permutation(jnp.array(2), 9)",
    f"vmap(lambda p: {_L}.lu_pivots_to_permutation(p, 5))(jnp.array([[2, 2], [1, 3]]))",
    f"{_L}.cholesky_update(jnp.triu(S), V[:4])", f"{_L}.cholesky_update(jnp.eye(3), np.zeros(3))",
    f"{_L}.cholesky_update(S, V)", f"{_L}.cholesky_update(M, V)", f"{_L}.cholesky_update(C, C[0])",
    f"jax.jit({_L}.cholesky_update)(jnp.eye(3), V[:3])",
    f"{_L}.tridiagonal_solve(V, V + 9, W, M)",
    f"{_L}.tridiagonal_solve(V, V, W, M)",
    f"{_L}.tridiagonal_solve(C[0], C[1] + 9, C[2], C)",
    f"{_L}.tridiagonal_solve(S, S + 9, S, jnp.stack([C.real] * 4))",
    f"{_L}.tridiagonal_solve(V * 0, V * 0, W * 0, M)",
    f"{_L}.tridiagonal_solve(V[:1], V[:1], W[:1], M[:1])",
    f"{_L}.tridiagonal_solve(V, V[:5], W, M)", f"{_L}.tridiagonal_solve(V, V, W, M[:5])",
    f"{_L}.tridiagonal_solve(V, V, W, V)", f"{_L}.tridiagonal_solve(J, J, J, M)",
    f"vmap({_L}.tridiagonal_solve, (None, None, None, 0))(V, V + 9, W, jnp.stack([M, M + 1]))",
    f"vmap({_L}.tridiagonal_solve, (0, 0, 0, None))(S, S + 9, S, S)",
    f"grad(lambda a, b, c, x: {_L}.tridiagonal_solve(a, b, c, x).sum(), (0, 1, 2, 3))"
    "(V, V + 9, W, M)",
    f"jax.jvp({_L}.tridiagonal_solve, (V, V + 9, W, M), (W, V, V, M))",
    f"grad(lambda x: {_L}.schur(x)[0].sum())(S)", f"grad(lambda x: {_L}.hessenberg(x)[0].sum())(S)",
    f"grad(lambda x: {_L}.ormqr(H, V[:3], x).sum())(H)",
    *(f"{_L}.qdwh({x})" for x in ("H", "S", "CH", "H.T", "T", "H, max_iterations=2",
                                  "H, eps=1e-3", "H, is_hermitian=False", "jnp.eye(3)")),
    f"{_L}.qdwh(H, dynamic_shape=(4, 2))", f"{_L}.qdwh(H, dynamic_shape=(J[0], 2))[0].shape",
    *(f"{_L}.qr({x}, pivoting=True, full_matrices={full})" for full in (True, False)
      for x in ("H", "S", "CH", "H.T", "T")),
    f"{_L}.qr(V, pivoting=True)", "jax.scipy.linalg.qr(H, pivoting=True, mode='economic')",
    f"grad(lambda x: {_L}.qr(x, pivoting=True, full_matrices=False)[1].sum())(H)",
    f"vmap(lambda x: {_L}.qr(x, pivoting=True))(T)",
    *(f"[(e.name, e.value) for e in {_L}.{e}]"
      for e in ("EigImplementation", "EighImplementation", "SvdAlgorithm")),
    *(_abs(f"{_L}.svd(S, algorithm={_L}.SvdAlgorithm.{a})")
      for a in ("DEFAULT", "QR", "JACOBI", "POLAR", "DIVIDE_AND_CONQUER")),
    *(_abs(f"{_L}.eigh(S + S.T, implementation={_L}.EighImplementation.{a})")
      for a in ("QR", "JACOBI", "QDWH")),
    *(f"[x.shape for x in {_L}.eig(S, implementation={_L}.EigImplementation.{a})]"
      for a in ("LAPACK", "MAGMA", "CUSOLVER")),
    f"{_L}.lu(V)", f"{_L}.cholesky(V)", f"{_L}.qr(V)", f"{_L}.eigh(V)", f"{_L}.svd(V)",
    f"{_L}.lu(I)", f"{_L}.cholesky(M)", f"{_L}.eigh(M)", f"{_L}.eig(M)",
]  # fmt: skip

_SMALL = (
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "int4",
    "uint4",
)
_WIDE = ("bool", "int8", "uint8", "int32", "uint32", "float16", "bfloat16", "float32", "complex64")


def _numbers(dtype):
    """An expression for numbers of a dtype that conversion shows the edges of."""
    if dtype == "bool" or "int" in dtype and dtype != "int4":
        return f"(W32 - V32 if '{dtype}'[0] != 'u' else V32).astype('{dtype}')"
    return f"E.astype('{dtype}')"


SMALL = [
    *(f"{_numbers(w)}.astype('{s}').astype('float32')" for s in _SMALL for w in _WIDE),
    *(f"E.astype('{s}').astype('{w}')" for s in _SMALL for w in (*_WIDE, *_SMALL)
      if s[0] == "f" or w not in _SMALL),
    *(f"V32.astype('{s}').{more}" for s in _SMALL for more in (
        "reshape(4, 2).T", "at[1].set(0)", "at[1].add(1)", "sum()", "max()", "min()", "argmax()",
        "sort()", "mean()", "dtype.name") if s[0] == "f" or more != "sum()"),
    *(f"jnp.{f}(V32.astype('{s}'), W32.astype('{s}'))" for s in _SMALL for f in (
        "add", "subtract", "multiply", "divide", "maximum", "equal", "less", "dot", "matmul")),
    *(f"jnp.add(V32.astype('{s}'), jnp.ones(8, '{o}'))" for s in _SMALL
      for o in ("float32", "int32", "bfloat16", "bool", *_SMALL)),
    *(f"jax.nn.softmax((V32 * 3).astype('{s}'))" for s in ("int4", "uint4", "float8_e4m3fn")),
    *(f"(V32.astype('{s}') - 7 * W32.astype('{s}')).astype('float32')" for s in _SMALL),
    *(f"vmap(lambda x: x + x)(V32.astype('{s}'))" for s in _SMALL),
    *(f"lax.scan(lambda c, x: (c + x, c), jnp.zeros((), '{s}'), V32.astype('{s}'))"
      for s in _SMALL),
    *(f"grad(lambda x: (x.astype('{s}').astype('float32') * V32).sum())(W32.astype('float32'))"
      for s in _SMALL),
    *(f"grad(lambda x: (x * x).sum())(V32.astype('{s}'))" for s in _SMALL),
    *(f"lax.bitcast_convert_type(V32.astype('{s}'), 'uint8')" for s in _SMALL if s[0] == "f"),
    *(f"lax.mul(V32.astype('{s}'), jnp.ones(8, 'float32'))" for s in _SMALL),
    *(f"jax.random.normal(jax.random.key(0), (3,), '{s}')" for s in ("float8_e5m2", "int4")),
    *(f"(jnp.zeros(2, '{s}'), jnp.full(2, 3, '{s}'), jnp.arange(3, dtype='{s}'))" for s in _SMALL),
]  # fmt: skip

_O, _X = "jax.example_libraries.optimizers", "jax.example_libraries.stax"


def _trained(maker):
    """Parameters after four steps on a sum of squares."""
    step = "lambda k, s: o.update_fn(k, grad(lambda p: (p['a'] ** 2).sum() + (p['b'] * V).sum())"
    return (
        f"(lambda o: o.params_fn(lax.fori_loop(0, 4, {step}(o.params_fn(s)), s), "
        f"o.init_fn({{'a': S, 'b': V}}))))({_O}.{maker})"
    )


EXAMPLES = [
    *(_trained(maker) for maker in (
        "sgd(0.1)", "momentum(0.1, 0.9)", "nesterov(0.1, 0.9)", "adagrad(0.1)", "rmsprop(0.1)",
        "rmsprop_momentum(0.01)", "adam(0.1)", "adamax(0.1)",
        f"sgd({_O}.exponential_decay(0.1, 2, 0.5))", f"adam({_O}.polynomial_decay(0.1, 2, 0.01))",
        f"sgd({_O}.inverse_time_decay(0.1, 2, 0.5))", f"sgd({_O}.constant(0.1))",
        f"sgd({_O}.inverse_time_decay(0.1, 2, 0.5, True))",
        f"sgd({_O}.piecewise_constant([1, 2], [0.1, 0.2, 0.3]))")),
    f"(lambda o: o.params_fn(o.update_fn(0, V, o.update_fn(1, W, o.init_fn(V)))))({_O}.sm3(0.1))",
    f"(lambda o: o.params_fn(o.update_fn(0, S, o.update_fn(1, S, o.init_fn(S)))))({_O}.sm3(0.1))",
    f"(lambda o: o.update_fn(0, (S,), o.init_fn(S)))({_O}.sgd(0.1))",
    f"{_O}.sgd(V)", f"{_O}.piecewise_constant([1, 2], [1, 2])", f"{_O}.l2_norm([S, V])",
    f"{_O}.clip_grads([S, V], 1.0)", f"{_O}.clip_grads([S, V], 100.0)",
    f"(lambda o: {_O}.pack_optimizer_state({_O}.unpack_optimizer_state(o.init_fn([S, V]))))"
    f"({_O}.adam(0.1))",
    f"jax.tree.map(lambda j: list(j), {_O}.unpack_optimizer_state({_O}.adam(1).init_fn([S, V])))",
    f"len(jax.tree.leaves({_O}.adam(0.1).init_fn([S, V])))",
    *(f"(lambda i, a: (lambda s, p: (list(s), p, a(p, {x})))(*i(jax.random.key(0), "
      f"{x}.shape)))(*{layer})"
      for layer, x in (
          (f"{_X}.serial({_X}.Dense(8), {_X}.Relu, {_X}.Dense(3), {_X}.LogSoftmax)", "S"),
          (f"{_X}.serial({_X}.Flatten, {_X}.Dense(2), {_X}.Softplus)", "T"),
          (f"{_X}.serial({_X}.FanOut(2), {_X}.parallel({_X}.Dense(2), {_X}.Tanh), "
           f"{_X}.FanInConcat())", "S"),
          (f"{_X}.serial({_X}.FanOut(2), {_X}.parallel({_X}.Identity, {_X}.Exp), {_X}.FanInSum)",
           "S"),
          (f"{_X}.BatchNorm(0)", "S"), (f"{_X}.BatchNorm((0, 1), center=False)", "T"),
          (f"{_X}.Dropout(0.5, 'test')", "S"), (f"{_X}.Dropout(0.5)", "S"),
          (f"{_X}.shape_dependent(lambda s: {_X}.Dense(s[-1] + 1))", "S"),
          *((f"{_X}.{n}", "S") for n in ("Tanh", "Relu", "Exp", "Softmax", "Sigmoid", "Elu",
                                         "LeakyRelu", "Selu", "Gelu", "Identity")))
      if "Dropout(0.5, 'test')" not in layer),
    f"{_X}.Dropout(0.5)[1]((), S, rng=jax.random.key(1))",
    f"{_X}.Dropout(0.5, 'test')[1]((), S, rng=jax.random.key(1))",
]  # fmt: skip

_I = "jax.scipy.sparse.linalg"
_P, _Q = "T[0] @ T[0].T + np.eye(4, dtype=np.float32)", "S + 9 * np.eye(4, dtype=np.float32)"
ITERATED = [
    *(
        f"{_I}.{name}({a}, L[0])"
        for name, a in (
            ("cg", _P),
            ("bicgstab", _Q),
            ("gmres", _Q),
            ("bicgstab", _P),
            ("gmres", _P),
            ("cg", "L"),
            ("gmres", "L"),
            ("bicgstab", "V"),
            ("cg", f"lambda x: ({_P}) @ x"),
        )
    ),
    *(
        f"{_I}.gmres({_Q}, L[0], {more})"
        for more in (
            "restart=2",
            "L[1]",
            "tol=1e-3",
            "solve_method='incremental'",
            "solve_method='other'",
            f"M=jnp.linalg.inv({_Q})",
            "[L[0]]",
        )
    ),
    *(
        f"{_I}.cg({_P}, L[0], {more})"
        for more in (
            "maxiter=0",
            "maxiter=1",
            "maxiter=2",
            "L[1], maxiter=1",
            "atol=100.0",
            "x0=L[1]",
            f"M=jnp.diag(1 / jnp.diag({_P}))",
            "L[0, :2]",
        )
    ),
    f"{_I}.bicgstab({_Q}, L[0], maxiter=1)",
    f"{_I}.bicgstab(C + 9 * np.eye(4), C[0])",
    f"{_I}.gmres(C + 9 * np.eye(4), C[0])",
    f"{_I}.cg(lambda t: dict(a=2 * t['a'], b=t['b'] + t['a'].sum() * 0), dict(a=V, b=W))",
    f"grad(lambda b: {_I}.cg({_P}, b)[0].sum())(L[0])",
    *(
        f"grad(lambda a: {_I}.{name}(lambda x: (a + 9 * np.eye(4, dtype=np.float32)) @ x, "
        "L[0])[0].sum())(S)"
        for name in ("gmres", "bicgstab")
    ),
    f"vmap(lambda b: {_I}.cg({_P}, b)[0])(L)",
    f"vmap(lambda b: {_I}.gmres({_Q}, b)[0])(L)",
    f"jax.jvp(lambda b: {_I}.bicgstab({_Q}, b)[0], (L[0],), (L[1],))",
]

_F = "jax.scipy.fft"
COSINES = [
    *(
        f"{_F}.{name}({x})"
        for name in ("dct", "idct")
        for x in (
            "V",
            "M",
            "M, norm='ortho'",
            "M, axis=0",
            "G, axis=1, norm='ortho'",
            "V, n=4",
            "V, n=9",
            "I",
            "V[:1]",
            "V, 2",
            "V, 1",
            "V, 3",
            "C",
            "M, n=3, axis=-2",
        )
    ),
    *(
        f"{_F}.{name}({x})"
        for name in ("dctn", "idctn")
        for x in ("M", "G, norm='ortho'", "G, axes=(0, 2)", "M, s=(3, 2)", "M, 1", "V")
    ),
    f"grad(lambda x: ({_F}.dct(x, norm='ortho') * W).sum())(V)",
    f"vmap({_F}.dct, 1, 1)(M)",
    f"{_F}.idct({_F}.dct(V))",
    f"{_F}.dct(np.float16([1, 2, 3]))",
]

#: what libraries ask of values that only describe arrays, and of functions with rules of their own
_S = "jax.ShapeDtypeStruct((3, 2), np.float16)"
DESCRIBED = [
    *(
        f"jnp.result_type({x})"
        for x in (
            _S,
            f"{_S}, 1.0",
            f"{_S}, V",
            "jax.ShapeDtypeStruct((), 'float32', weak_type=True), np.int8",
            "jax.core.ShapedArray((2,), np.float32), 1",
            "jax.core.ShapedArray((2,), np.float64)",
            "[1, 2]",
            "object()",
            "np.float64",
            "V, [1]",
        )
    ),
    f"jnp.shape({_S})",
    f"jnp.ndim({_S})",
    f"jnp.isscalar({_S})",
    f"jnp.iscomplexobj({_S})",
    f"jnp.promote_types({_S}, 'int8')",
    f"jnp.zeros_like({_S})",
    f"str(jax.eval_shape(lambda: {_S}))",
    f"str(jax.eval_shape(lambda x: (x, {_S}), V))",
    f"jax.jit(lambda: {_S})()",
    "jax.core.ShapedArray((2,), np.float32, sharding=None).to_tangent_aval().str_short()",
    "jax.core.ShapedArray((2,), np.int32).to_tangent_aval().dtype",
    "jax.linear_transpose(jax.custom_jvp(lambda x: 2 * x[::-1]), V)(W)",
    "jax.jit(lambda x: jax.linear_transpose(jax.custom_jvp(lambda y: y * W), x)(x))(V)",
    *(f"jnp.linalg.qr({x}, 'raw')" for x in ("H", "S", "CH", "T", "H.T", "S[:0]", "I")),
    "vmap(lambda x: jnp.linalg.qr(x, 'raw'))(T)",
    "grad(lambda x: jnp.linalg.qr(x, 'raw')[0].sum())(S)",
]

SUBJECTS = {
    "bits": BITS,
    "products": PRODUCTS,
    "reductions": REDUCTIONS,
    "universal": UNIVERSAL,
    "slices": SLICES,
    "matrices": MATRICES,
    "small": SMALL,
    "examples": EXAMPLES,
    "distributions": DISTRIBUTIONS,
    "cosines": COSINES,
    "described": DESCRIBED,
    "iterated": ITERATED,
    "formats": FORMATS,
}


def cases() -> Iterator[tuple[str, str]]:
    """(subject, expression) of every case."""
    for subject, lines in SUBJECTS.items():
        for line in lines:
            yield subject, line


def mentioned(line: str) -> dict[str, numpy.ndarray]:
    """The arrays that an expression mentions."""
    return {name: x for name, x in ARRAYS.items() if re.search(rf"\b{name}\b", line)}


def evaluate(line: str, jax, arrays):
    """The value of an expression; `jax` is the package to evaluate it with."""
    names = {
        "jax": jax, "jnp": jax.numpy, "lax": jax.lax, "np": numpy, "grad": jax.grad,
        "vmap": jax.vmap,
    }  # fmt: skip
    return eval(line, names | dict(arrays))
