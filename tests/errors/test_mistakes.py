"""The mistakes that people make: each raises JAX's class and says what, where, why, what to try.

A row is the code of the mistake, the class, and phrases of the message. The classes are those of
jax 0.10.2; `pytest -m oracle` asks it again.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
import textwrap
from typing import NamedTuple

import pytest

import fornax
from fornax import errors


class Mistake(NamedTuple):
    name: str
    code: str
    error: type[Exception]
    phrases: tuple[str, ...]
    #: which of the four parts the message has to have: where, why, try
    parts: str = "wyt"


def m(name: str, code: str, error: type[Exception], *phrases: str, parts: str = "wyt") -> Mistake:
    return Mistake(name, textwrap.dedent(code), error, phrases, parts)


BOOL, CONCRETE = errors.TracerBoolConversionError, errors.ConcretizationTypeError
INTEGER, ARRAY = errors.TracerIntegerConversionError, errors.TracerArrayConversionError
MASK, LEAK = errors.NonConcreteBooleanIndexError, errors.UnexpectedTracerError
ABSTRACT = "value is expected"

CONVERSIONS = (
    m("if", "jit(lambda x: 1 if x > 0 else 2)(1.0)", BOOL, "boolean conversion", "lax.cond"),
    m("and", "jit(lambda x: x > 0 and x < 3)(1.0)", BOOL, "boolean conversion"),
    m("max", "jit(lambda x, y: max(x, y))(1.0, 2.0)", BOOL, "boolean conversion"),
    m("assert", "jit(lambda x: refute(np_all(x > 0)))(1.0)", BOOL, "boolean conversion"),
    m("if_in_grad_in_jit", "jit(grad(lambda x: x if x > 0 else -x))(1.0)", BOOL, "boolean"),
    m("if_in_vmap", "vmap(lambda x: 1 if x > 0 else 0)(ones(3))", BOOL, "boolean conversion"),
    m("if_in_scan", "lax.scan(lambda c, x: (c if x > 0 else c, x), 0., ones(3))", BOOL, "boolean"),
    m("if_of_array", "jit(lambda x: 1 if x > 0 else 2)(ones(3))", ValueError, "truth value",
      "ambiguous"),
    m("bool_of_array", "bool(ones(3) > 0)", ValueError, "truth value", "ambiguous"),
    m("float", "jit(lambda x: float(x))(1.0)", CONCRETE, ABSTRACT, "astype"),
    m("int", "jit(lambda x: int(x))(1.0)", CONCRETE, ABSTRACT),
    m("complex", "jit(lambda x: complex(x))(1.0)", CONCRETE, ABSTRACT),
    m("math", "jit(lambda x: math.sin(x))(1.0)", CONCRETE, ABSTRACT),
    m("item", "jit(lambda x: x.item())(1)", CONCRETE, ABSTRACT),
    m("tolist", "jit(lambda x: x.tolist())(ones(3))", CONCRETE, "tolist"),
    m("pickle", "import pickle; jit(lambda x: pickle.dumps(x))(ones(3))", CONCRETE, ABSTRACT,
      "__reduce__"),
    m("pickle_in_grad", "import pickle; grad(lambda x: (pickle.dumps(x), x)[1])(1.0)", CONCRETE,
      ABSTRACT),
    m("range", "jit(lambda n: list(range(n)))(3)", INTEGER, "__index__"),
    m("list_index", "jit(lambda n: [1, 2, 3][n])(1)", INTEGER, "__index__"),
    m("numpy", "jit(lambda x: np.sin(x))(ones(3))", ARRAY, "__array__"),
    m("numpy_index", "jit(lambda i: np.arange(3)[i])(1)", ARRAY, "__array__"),
    m("shape", "jit(lambda n: jnp.zeros(n))(3)", TypeError, "Shapes must be 1D sequences"),
    m("reshape", "jit(lambda x, n: x.reshape(n, 1))(ones(3), 3)", TypeError, "Shapes must be 1D"),
    m("float_shape", "jnp.zeros(1.5)", TypeError, "Shapes must be 1D sequences"),
    m("arange", "jit(lambda n: jnp.arange(n))(3)", CONCRETE, ABSTRACT, "arange"),
    m("linspace", "jit(lambda n: jnp.linspace(0, 1, n))(3)", CONCRETE, "'num' argument"),
    m("axis", "jit(lambda x, a: jnp.sum(x, axis=a))(ones(3), 0)", CONCRETE, ABSTRACT, "axis"),
    m("repeat", "jit(lambda x, n: jnp.repeat(x, n))(ones(3), jnp.arange(3))", CONCRETE,
      "total_repeat_length"),
    m("one_hot", "jit(lambda x, n: nn.one_hot(x, n))(jnp.arange(3), 4)", CONCRETE, "num_classes"),
    m("slice", "jit(lambda x, n: x[:n])(ones(3), 2)", IndexError, "static", "dynamic_slice",
      parts="yt"),
    m("split_axis", "jit(lambda x, a: np.split(x, 3, a))(ones(3), 0)", INTEGER, "__index__"),
    m("flag", "jit(lambda x, f: x / x.sum() if f else x)(ones(3), True)", BOOL, "boolean"),
    m("min", "jit(lambda x: min(x, 0))(2)", BOOL, "boolean conversion"),
    m("where_alone", "jit(lambda x: jnp.where(x < 0))(ones(3))", CONCRETE, "size"),
    m("where_as_index", "jit(lambda x: x[jnp.where(x > 1)].sum())(ones(3))", CONCRETE, "size"),
    m("mask_of_sum", "jit(lambda x: x[x > 0].sum())(ones(3))", MASK, "must be concrete", "where"),
    m("mask", "jit(lambda x: x[x > 0])(ones(3))", MASK, "must be concrete", "where"),
    m("nonzero", "jit(lambda x: jnp.nonzero(x))(ones(3))", CONCRETE, "size"),
)  # fmt: skip

LEAKS = (
    m("leak_of_jit", "l = []; jit(lambda x: l.append(x) or x)(1.0); l[0] + 1", LEAK, "unexpected "
      "tracer", "argument x"),
    m("leak_into_jit", "l = []; jit(lambda x: l.append(x) or x)(1.0); jit(lambda x: x + l[0])(2.0)",
      LEAK, "unexpected tracer"),
    m("leak_of_grad", "l = []; grad(lambda x: l.append(x) or x * x)(1.0); jnp.sin(l[0])", LEAK,
      "unexpected tracer"),
    m("leak_of_vmap", "l = []; vmap(lambda x: l.append(x) or x)(ones(3)); jnp.sin(l[0])", LEAK,
      "unexpected tracer"),
    m("leak_of_scan", "l = []; lax.scan(lambda c, x: (l.append(c) or c, x), 0., ones(3)); l[0] + 1",
      LEAK, "unexpected tracer"),
)  # fmt: skip

ARGUMENTS = (
    m("static_list", "jit(lambda x, s: x, static_argnums=1)(1.0, [1])", ValueError, "Non-hashable",
      "tuple"),
    m("static_array", "jit(lambda x, s: x, static_argnums=1)(1.0, ones(3))", ValueError,
      "Non-hashable"),
    m("text", "jit(lambda x: x)('abc')", TypeError, "abstract array", "static_argn"),
    m("function", "jit(lambda f: f(1.0))(abs)", TypeError, "abstract array"),
    m("no_function", "jit(3)", TypeError, "Expected a callable"),
    m("result", "jit(lambda x: object())(1.0)", TypeError, "not a valid JAX type"),
    m("compiled_in_grad",
      "c = jit(lambda x: x.sum()).lower(ones(3)).compile(); grad(c)(ones(3))", TypeError,
      "Cannot apply JAX transformations", parts="t"),
    m("donated", "x = ones(3); jit(lambda x: x + 1, donate_argnums=0)(x); x + 1", RuntimeError,
      "has been deleted"),
    m("donated_twice", "x = ones(3); jit(lambda x, y: (x + 1, y), donate_argnums=(0, 1))(x, x)",
      RuntimeError, "Attempt to donate the same buffer twice", "f(x.copy(), x)"),
    m("donated_and_used", "x = ones(3); jit(lambda x, y: x + y, donate_argnums=0)(x, x)",
      errors.JaxRuntimeError, "previously donated in the same call"),
    m("static_name", "jit(lambda x: x, static_argnames='y')(1.0)", ValueError, "invalid argnames"),
    m("static_number", "jit(lambda x: x, static_argnums=3)(1.0)", ValueError, "only accepts 1"),
    m("compiled_shape", "jit(lambda x: x).lower(ones(3)).compile()(ones(4))", TypeError,
      "Argument types differ", "f32[4]"),
    m("assignment", "x = ones(3); x[0] = 1.0", TypeError, "immutable", ".at["),
    m("ddof", "jnp.std(ones(3), ddof=1, correction=1)", ValueError, "provided simultaneously"),
    m("lists", "jnp.sum([1, 2, 3])", TypeError, "requires ndarray or scalar"),
)  # fmt: skip

DERIVATIVES = (
    m("grad_of_integer", "grad(lambda x: x * 2.0)(1)", TypeError, "real- or complex-valued inputs",
      "allow_int"),
    m("grad_of_vector", "grad(lambda x: x * 2.0)(ones(3))", TypeError, "scalar-output functions",
      "jacrev"),
    m("grad_of_pair", "grad(lambda x: (x, x))(1.0)", TypeError, "scalar-output", "has_aux"),
    m("grad_of_none", "grad(lambda x: None)(1.0)", TypeError, "scalar-output"),
    m("grad_to_integer", "grad(lambda x: x.astype(int))(1.0)", TypeError, "real-valued outputs"),
    m("grad_to_complex", "grad(lambda x: x * 1j)(1.0)", TypeError, "holomorphic=True"),
    m("grad_argnums", "grad(lambda x: x, argnums=2)(1.0)", TypeError, "at least 3 positional"),
    m("grad_of_while", "grad(lambda x: lax.while_loop(lambda c: c < 9, lambda c: c * 2, x))(1.)",
      ValueError, "Reverse-mode differentiation does not work", parts="t"),
    m("jacfwd_of_integer", "fx.jacfwd(lambda x: x)(1)", TypeError, "real-valued inputs"),
    m("jvp_shape", "fx.jvp(jnp.sin, (ones(3),), (ones(4),))", ValueError, "primal and tangent"),
    m("jvp_dtype", "fx.jvp(jnp.sin, (1.0,), (1,))", TypeError, "do not match"),
    m("jvp_structure", "fx.jvp(jnp.sin, (1.0,), ((1.0, 2.0),))", TypeError, "tree structure"),
    m("jvp_no_tuple", "fx.jvp(jnp.sin, 1.0, 1.0)", TypeError, "tuples or lists"),
    m("vjp_shape", "fx.vjp(jnp.sin, ones(3))[1](ones(4))", ValueError, "VJP function"),
    m("custom_vjp", "grad(fx.custom_vjp(lambda x: x))(1.0)", AttributeError, "No VJP defined",
      parts="t"),
    m("custom_gradient", "fx.custom_gradient(lambda x: x * 2.0)(1.0)", TypeError, "not a pair"),
)  # fmt: skip

MAPS = (
    m("vmap_sizes", "vmap(lambda x, y: x + y)(ones(3), ones(4))", ValueError,
      "inconsistent sizes", "argument x", "argument y"),
    m("vmap_axes", "vmap(lambda x: x, in_axes=(0, 0))(ones(3))", ValueError, "len(in_axes)=2"),
    m("vmap_of_scalar", "vmap(lambda x: x)(1.0)", ValueError, "rank should be at least 1"),
    m("vmap_of_nothing", "vmap(lambda x: x, in_axes=None)(ones(3))", ValueError, "non-None value"),
    m("unbound_axis", "lax.psum(1.0, 'i')", NameError, "unbound axis name: i"),
    m("unbound_axis_in_jit", "jit(lambda x: lax.psum(x, 'i'))(1.0)", NameError, "unbound axis"),
)  # fmt: skip

LOOPS = (
    m("scan_dtype", "lax.scan(lambda c, x: (c + 1.0, x), ones((), int), ones(3))", TypeError,
      "equal types"),
    m("scan_shape", "lax.scan(lambda c, x: (ones(2), x), ones(3), ones(3))", TypeError,
      "the shapes do not match", "Revise"),
    m("scan_tree", "lax.scan(lambda c, x: ((c, c), x), 0., ones(3))", TypeError,
      "same pytree structure"),
    m("scan_lengths", "lax.scan(lambda c, x: (c, x), 0., (ones(3), ones(4)))", ValueError,
      "different leading axis sizes"),
    m("scan_length", "lax.scan(lambda c, x: (c, x), 0., ones(3), length=5)", ValueError,
      "disagrees with"),
    m("scan_of_nothing", "lax.scan(lambda c, x: (c, x), 0.)", ValueError, "`length` not provided"),
    m("scan_of_scalar", "lax.scan(lambda c, x: (c, x), 0., 1.0)", ValueError, "no leading axis"),
    m("while_dtype", "lax.while_loop(lambda c: c < 3, lambda c: c + 1.5, ones((), int))", TypeError,
      "equal types"),
    m("while_condition", "lax.while_loop(lambda c: c < 1, lambda c: c, ones(3))", TypeError,
      "boolean scalar"),
    m("while_condition_dtype", "lax.while_loop(lambda c: c, lambda c: c, 0.)", TypeError,
      "boolean scalar"),
    m("fori_carry", "lax.fori_loop(0, 3, lambda i, c: (c, c), 0.)", TypeError, "pytree structure"),
    m("cond_dtype", "lax.cond(True, lambda: 1.0, lambda: 1)", TypeError, "equal output types"),
    m("cond_shape", "lax.cond(True, lambda: ones(3), lambda: ones(4))", TypeError, "output types",
      "Revise"),
    m("cond_tree", "lax.cond(True, lambda: 1.0, lambda: (1.0,))", TypeError, "pytree structure"),
    m("cond_of_array", "lax.cond(ones(3, bool), lambda: 1.0, lambda: 2.0)", TypeError,
      "Pred must be a scalar"),
)  # fmt: skip

ARRAYS = (
    m("add", "ones(3) + ones(4)", TypeError, "incompatible shapes for broadcasting"),
    m("add_in_jit", "jit(lambda x, y: x + y)(ones(3), ones(4))", TypeError, "incompatible shapes"),
    m("add_of_ranks", "ones((2, 3)) + ones(4)", ValueError, "Incompatible shapes"),
    m("lax_add", "lax.add(ones(3), ones(4))", TypeError, "incompatible shapes for broadcasting"),
    m("lax_dtypes", "lax.add(ones(3), ones(3, int))", TypeError, "same dtypes"),
    m("concatenate", "jnp.concatenate([ones((2, 3)), ones((2, 4))])", TypeError,
      "Cannot concatenate"),
    m("shift", "ones(3) << 1", TypeError, "does not accept dtype"),
    m("negate", "-ones(3, bool)", TypeError, "does not accept dtype"),
    m("matmul", "ones((2, 3)) @ ones((2, 3))", TypeError),
    m("to_shape", "ones(6).reshape(4, 2)", TypeError, "cannot reshape"),
    m("numpy_to_shape", "jnp.reshape(np.ones(6), (4, 2))", ValueError, "cannot reshape"),
    m("numpy_to_shape_in_jit", "jit(lambda x: jnp.reshape(x, (4, 2)))(np.ones(6))", TypeError,
      "cannot reshape"),
    m("lax_to_shape", "lax.reshape(ones(6), (4, 2))", ValueError, "total size"),
    m("broadcast", "jnp.broadcast_to(ones(3), (4,))", ValueError, "Incompatible shapes"),
    m("scalar", "float(ones(3))", TypeError, "Only scalar arrays"),
    m("strict", "with fx.numpy_dtype_promotion('strict'): ones(3) + ones(3, int)",
      errors.TypePromotionError, "implicit dtype promotion path", parts="yt"),
    m("rank", "with fx.numpy_rank_promotion('raise'): ones((2, 3)) + ones(3)", ValueError,
      "jax_numpy_rank_promotion"),
    m("nan", "with fx.debug_nans(True): jnp.log(-ones(3))", FloatingPointError, "nan"),
    m("nan_in_jit", "with fx.debug_nans(True): jit(lambda x: jnp.log(x) * 2)(-ones(3))",
      FloatingPointError, "nan"),
)  # fmt: skip

KEYS = (
    m("key_number", "random.normal(1.0)", TypeError, "PRNG key type"),
    m("key_seed", "random.normal(0)", TypeError, "PRNG key type", "random.key"),
    m("key_floats", "random.normal(ones(2))", TypeError, "invalid PRNG key data"),
    m("key_to_numpy", "np.asarray(random.key(0))", TypeError, "cannot be converted", "key_data"),
    m("key_twice", "k = random.key(0)\nwith fx.debug_key_reuse(True): random.normal(k), "
      "random.uniform(k)", errors.KeyReuseError, "Previously-consumed key", "random.split"),
    m("key_twice_in_jit", "with fx.debug_key_reuse(True): jit(lambda k: random.normal(k) + "
      "random.normal(k))(random.key(0))", errors.KeyReuseError, "already consumed"),
    m("keys", "random.normal(random.split(random.key(0), 3))", ValueError, "accepts a single key",
      "vmap"),
)  # fmt: skip

#: classes that jax does not share, or messages about sizes that it leaves to its compiler
OURS = (
    m("leak_checked", "l = []\nwith fx.checking_leaks(): jit(lambda x: l.append(x) or x)(1.0)",
      LEAK, "Leaked trace", "argument x"),
    m("negative_shape", "jnp.zeros(-1)", TypeError, "negative dimensions"),
    m("negative_random_shape", "random.normal(random.key(0), (-1,))", ValueError, "negative"),
    m("fori_floats", "lax.fori_loop(0, 3., lambda i, c: c, 0.)", TypeError, "equal types"),
)  # fmt: skip

AS_IN_JAX = (*CONVERSIONS, *LEAKS, *ARGUMENTS, *DERIVATIVES, *MAPS, *LOOPS, *ARRAYS, *KEYS)
PART = {"w": "where:", "y": "why:", "t": "try:"}


def refute(value):
    """An `assert` that fits into an expression."""
    assert value
    return value


def names_of(library: str) -> dict:
    """What the code of a row sees, from fornax or jax."""
    here = functools.partial(importlib.import_module)
    fx, jnp = here(library), here(f"{library}.numpy")
    return {
        "fx": fx, "jnp": jnp, "lax": here(f"{library}.lax"), "random": here(f"{library}.random"),
        "nn": here(f"{library}.nn"), "np": here("numpy"), "math": here("math"), "jit": fx.jit,
        "grad": fx.grad, "vmap": fx.vmap, "ones": jnp.ones, "np_all": jnp.all, "refute": refute,
    }  # fmt: skip


def raised_by(code: str, library: str) -> Exception:
    """What the code raises."""
    try:
        exec(compile(code, "mistake.py", "exec"), names_of(library))  # noqa: S102
    except Exception as error:
        return error
    raise AssertionError(f"nothing was raised by\n{code}")


@pytest.mark.parametrize("mistake", (*AS_IN_JAX, *OURS), ids=lambda row: row.name)
def test_mistake(mistake):
    error = raised_by(mistake.code, "fornax")
    assert isinstance(error, mistake.error), f"{type(error).__mro__}: {error}"
    text = str(error)
    for phrase in mistake.phrases:
        assert phrase in text, text
    for part in mistake.parts:
        assert re.search(rf"^ *{PART[part]} +\S", text, re.MULTILINE), f"no {PART[part]}\n{text}"
    if "w" in mistake.parts:
        where = next(line for line in text.splitlines() if line.strip().startswith("where:"))
        assert "mistake" in where or "argument" in where, where


BACKWARD = """
def size(x):
    root = jnp.sqrt(x)
    return jnp.where(x > 0, root, 0.0)
def rule(x):
    return custom(x) * 2
custom = fx.custom_vjp(lambda x: x)
custom.defvjp(lambda x: (x, None), lambda _, g:
    (jnp.log(g - 3),))
with fx.debug_nans(True):
    {}
"""


@pytest.mark.parametrize("call, line", (
    ("grad(size)(0.0)", 3), ("jit(grad(size))(0.0)", 3),
    ("jit(fx.value_and_grad(size))(0.0)", 3), ("grad(rule)(1.0)", 9), ("jit(grad(rule))(1.0)", 9),
))  # fmt: skip
def test_nan_of_a_backward_pass_names_the_line_of_the_forward_pass(call, line):
    error = raised_by(BACKWARD.format(call), "fornax")
    assert isinstance(error, FloatingPointError)
    assert f"where: mistake.py:{line} " in str(error), str(error)


#: what jax warns of: code, the start of its words, what else the message says
WARNINGS = {
    "donated_sum": ("jit(lambda t: t['a'].sum(), donate_argnums=0)({'a': ones(3), 'b': ones(2)})",
                    "Some donated buffers were not usable: float32[3]", "t['a']", "where:"),
    "donated_pair": ("jit(lambda x, y: x + y, donate_argnums=(0, 1))(ones(3), ones(3) + 1)",
                     "Some donated buffers were not usable: float32[3]", "y of <lambda>"),
    "donated_cast": ("jit(lambda x: x.astype('float16'), donate_argnums=0)(ones(3))",
                     "Some donated buffers were not usable: float32[3]", "as many bytes"),
    "donated_lowered": ("jit(lambda x: x[0], donate_argnums=0).lower(ones(3))",
                        "Some donated buffers were not usable: float32[3]", "do not donate"),
    "wide_array": ("jnp.array(1.0, dtype='float64')", "Explicitly requested dtype float64 "
                   "requested in array is not available, and will be truncated to dtype float32."),
    "wide_scalar_type": ("jnp.zeros(3, jnp.int64)", "Explicitly requested dtype int64", "zeros"),
    "wide_complex": ("jnp.full(3, 1, np.complex128)", "Explicitly requested dtype complex128"),
    "wide_astype": ("ones(3).astype(np.float64)", "Explicitly requested dtype float64", "why:"),
    "wide_astype_in_jit": ("jit(lambda x: x.astype('int64'))(ones(3))",
                           "Explicitly requested dtype int64"),
    "wide_arange": ("jnp.arange(3, dtype='uint64')", "Explicitly requested dtype uint64", "uint32"),
    "wide_sum": ("jnp.sum(ones(3), dtype='float64')", "Explicitly requested dtype float64"),
    "wide_convert": ("lax.convert_element_type(ones(3), 'float64')",
                     "Explicitly requested dtype float64", "convert_element_type"),
    "wide_random": ("random.normal(random.key(0), (3,), 'float64')",
                    "Explicitly requested dtype float64", "JAX_ENABLE_X64"),
}  # fmt: skip


@pytest.mark.parametrize("name", WARNINGS)
def test_warning(name):
    code, start, *phrases = WARNINGS[name]
    with pytest.warns(UserWarning, match=re.escape(start)) as seen:
        exec(compile(code, "mistake.py", "exec"), names_of("fornax"))  # noqa: S102
    (warning,) = seen
    assert warning.filename == "mistake.py"
    assert str(warning.message).startswith(start)
    for phrase in phrases:
        assert phrase in str(warning.message)


#: what is fine, and in jax too: equal types, as many bytes, arguments that nobody reads
FINE = (
    "jit(lambda x: x + 1, donate_argnums=0)(ones(3))",
    "jit(lambda x: x, donate_argnums=0)(ones(3)) + 1",
    "jit(lambda x: x.reshape(3, 2), donate_argnums=0)(ones(6))",
    "jit(lambda x: x.astype(int), donate_argnums=0)(ones(3))",
    "jit(lambda x, y: y.sum(), donate_argnums=0)(ones(3), ones(4))",
    "x = ones(3); jit(lambda x, y: y + 1, donate_argnums=0)(x, x); x + 1",
    "x = ones(3); jit(lambda x: x + 1, donate_argnums=0).lower(x).compile()(x)",
    "jnp.zeros(3, float), jnp.arange(3, dtype=int), ones(3).astype(complex)",
    "jnp.asarray(np.ones(3)), jnp.asarray([1, 2.5]), ones(3) * np.float64(2)",
    "with fx.enable_x64(True): jnp.zeros(3, 'float64')",
    "import copy; jit(lambda x: copy.deepcopy(copy.copy(x)))(ones(3))",
)


@pytest.mark.parametrize("code", FINE)
def test_no_warning(code):
    exec(compile(code, "fine.py", "exec"), names_of("fornax"))  # noqa: S102


def test_unusable_donations_leave_the_array():
    x = fornax.numpy.ones(3)
    with pytest.warns(UserWarning, match="donated"):
        fornax.jit(lambda x, y: (x + y).sum(), donate_argnums=0)(x, x)
    assert not x.is_deleted()


def test_names_are_unlike():
    names = [row.name for row in (*AS_IN_JAX, *OURS)]
    assert len(set(names)) == len(names)


#: run where jax may be imported: its threads do not go together with tests that fork
ORACLE = """
import json, sys
from errors.test_mistakes import AS_IN_JAX, raised_by
found = {row.name: type(raised_by(row.code, "jax")).__mro__ for row in AS_IN_JAX}
print(json.dumps({name: [c.__name__ for c in mro] for name, mro in found.items()}))
"""


@pytest.mark.oracle
def test_classes_are_those_of_jax():
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    ran = subprocess.run(
        [sys.executable, "-c", ORACLE],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "JAX_PLATFORMS": "cpu"},
    )
    theirs = json.loads(ran.stdout.splitlines()[-1])
    for row in AS_IN_JAX:
        ours = next(c for c in row.error.__mro__ if c.__module__ == "builtins")
        assert ours.__name__ in theirs[row.name], f"{row.name}: {theirs[row.name]}"
        if row.error.__module__ == "fornax.errors":
            assert theirs[row.name][0] == row.error.__name__, row.name


def test_every_class_has_a_page_with_its_own_words():
    for name in fornax.errors.__all__:
        found = getattr(fornax.errors, name)
        if isinstance(found, type):
            assert found.__doc__ and found.__doc__ != found.__base__.__doc__
