"""Makes hostile calls: every public function of Fornax with arguments drawn by parameter name.

Most arguments of a call are plausible, so that it gets past the first check; one or two are not.
"""

from __future__ import annotations

import inspect
import random as python_random
import types
from collections.abc import Callable, Iterator, Sequence

import fornax

#: functions that change what later calls do: a worker is not used again after one
STATEFUL = (
    "register", "monitoring.", "set_mesh", "config", "clear_caches", "set_printoptions",
    "record_", "unregister", "explain", "subscribe", "observe.",
)  # fmt: skip
#: functions that are not called: they wait for somebody to type, or write to files
LEFT_OUT = ("breakpoint", "fx.numpy.save", "fx.numpy.savez")


def public() -> dict[str, Callable]:
    """Everything callable in the `__all__` of Fornax and of the modules in it, by path."""
    found: dict[str, Callable] = {}
    _collect("fx", fornax, found, {"fornax"})
    return found


def modules() -> list[str]:
    """The modules in which public functions are, below `fornax`."""
    return sorted({path.removeprefix("fx.").rpartition(".")[0] for path in public()} - {""})


def _collect(prefix: str, module: types.ModuleType, found: dict, seen: set[str]) -> None:
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, types.ModuleType):
            if value.__name__.startswith("fornax.") and value.__name__ not in seen:
                seen.add(value.__name__)
                _collect(f"{prefix}.{name}", value, found, seen)
        elif callable(value) and not any(part in f"{prefix}.{name}" for part in LEFT_OUT):
            found[f"{prefix}.{name}"] = value


def stateful(text: str) -> bool:
    """Whether a call may change what other calls do."""
    return any(part in text for part in STATEFUL)


DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64", "complex64", "complex128", "bfloat16", "float8_e4m3fn", "int4",
)  # fmt: skip
COMMON = ("float32", "float32", "float32", "int32", "bool", "complex64")
SHAPES = ("()", "(1,)", "(3,)", "(2, 3)", "(3, 3)", "(2, 3, 3)", "(0,)", "(2, 0)", "(4, 1, 2)")
LAYOUTS = ("special", "denormal", "reversed", "strided", "fortran", "readonly", "swapped",
           "subclass", "masked", "own", "list", "weak", "arrayish", "deleted")  # fmt: skip

FUNCTIONS = (
    "lambda x: x * 2", "lambda x: (x, x)", "lambda x: lax.psum(x, 'i')", "lambda *a: a[0]",
    "jnp.sin", "lambda x: jnp.sum(x ** 2)", "lambda x, y: x + y", "lambda x, y: (x, y)",
    "lambda i, x: x", "lambda x: x < 3", "lambda x: jnp.all(x < 3)", "lambda x: None",
)  # fmt: skip
BAD_FUNCTIONS = (
    "lambda: 1.0", "lambda x, y, z: x", "lambda x: object()", "lambda x: 'text'", "lambda x: 1/0",
    "3", "None", "object", "lambda x: x if x > 0 else -x", "lambda *, x: x", "len", "'sin'",
    "lambda x: float(x)", "lambda x: np.sin(x)", "Refuses()", "lambda x: [x, [x]]",
)  # fmt: skip
TREES = (
    "{'a': np.ones(3), 'b': (1.0, None)}", "[1.0, (2.0, {})]", "()", "None", "np.ones((2, 3))",
    "(np.ones(3), np.ones(3))", "{'b': 1, 'a': 2}", "collections.OrderedDict(z=1.0, a=2.0)",
)  # fmt: skip
BAD_TREES = (
    "{1: 2.0, 'a': 1.0}", "nested(500)", "nested(100_000)", "nested(100_000, 1.0, 'dict')",
    "itself()", "Refuses()", "{None: 1, (): 2}", "object()", "(x for x in range(3))",
    "{object(): 1.0, object(): 2.0}",
)  # fmt: skip
AXES = ("0", "1", "-1", "(0,)", "(0, 1)", "None", "(-1, -2)", "()")
BAD_AXES = ("7", "-9", "(0, 0)", "(0, -1, 1)", "0.5", "'x'", "1 << 40", "-(1 << 70)", "True",
            "np.array(0)", "np.array([0, 1])", "[0, 1]", "(0, None)", "np.int8(1)", "(0.0,)",
            "1.0", "[[0]]", "object()", "{0, 1}", "'0'", "range(2)", "np.nan")  # fmt: skip
SIZES = ("(3,)", "(2, 3)", "()", "3", "(0,)", "6", "(3, 2)", "(6,)", "(3, 3)", "np.int64(3)")
BAD_SIZES = ("(-1,)", "(1 << 40,)", "(1 << 40, 1 << 40)", "-3", "1 << 70", "(1 << 62,)", "2.5",
             "(2.0,)", "'3'", "(None,)", "None", "(3, (2,))", "[2, 3]", "np.array([2, 3])",
             "(True,)", "(-2, -3)", "(1,) * 65", "(1,) * 40", "object()", "{}", "('a', 'b')",
             "(0, 1 << 40)", "-1", "np.array(3)", "(1 << 20, 1 << 22)", "True")  # fmt: skip
DTYPE_LIKE = ("'float32'", "np.float32", "'int32'", "float", "int", "bool", "jnp.float32",
              "np.dtype('int8')", "'bfloat16'", "complex", "jnp.complex64", "None")  # fmt: skip
BAD_DTYPES = ("'float99'", "object", "'U3'", "np.dtype([('a', 'f4')])", "'datetime64[s]'", "3",
              "'float64'", "'>f4'", "jnp.int4", "str", "''", "np.ones(2)", "object()", "list",
              "'key<fry>'", "jnp.float8_e4m3fn", "np.void", "('f4', (2,))", "'S'",
              "np.longdouble", "jnp.uint64")  # fmt: skip
NUMBERS = ("1.0", "2", "0", "0.5", "-1.5", "3", "True", "np.float32(2)", "1", "2.0")
BAD_NUMBERS = ("np.nan", "np.inf", "-np.inf", "1 << 70", "-(1 << 40)", "1e400", "1j", "'1'", "None",
               "-1", "1e-320", "Fraction(1, 3)", "10 ** 400", "b'1'", "object()", "1 << 31",
               "np.float64('nan')", "-0.0", "np.longdouble(1)", "[1.0]", "1 << 63")  # fmt: skip
KEYS = ("fx.random.key(0)", "fx.random.PRNGKey(7)", "fx.random.key(1, impl='rbg')")
BAD_KEYS = ("0", "None", "fx.random.split(fx.random.key(0))", "np.zeros(2)", "'key'", "1.5",
            "np.zeros(2, 'uint32')", "np.zeros((2, 2), 'uint32')", "np.zeros(3, 'uint32')",
            "fx.random.key(-1)", "np.zeros(2, 'int32')", "object()")  # fmt: skip
BOOLS = ("True", "False")
BAD_BOOLS = ("None", "2", "'yes'", "np.ones(2)", "np.True_", "Refuses()", "jnp.True_")
JUNK = (
    "None", "'text'", "b'bytes'", "object()", "[]", "{}", "()", "[[1, 2], [3]]", "Refuses()",
    "(x for x in range(3))", "range(3)", "{1, 2}", "Colour.RED", "Ellipsis", "slice(1, 2)",
    "lambda x: x", "int", "NotImplemented", "np", "fx.ShapeDtypeStruct((3,), 'float32')",
    "np.datetime64('2020-01-01')", "np.array(['a', 'b'])", "np.array([1, 'a'], object)",
    "np.zeros(2, [('x', 'i4')])", "fx.random.key(0)", "fx.random.split(fx.random.key(0), 3)",
    "[1, 'a']", "[None, 1.0]", "[np.ones(2), np.ones(3)]", "nested(40)", "np.float16(1)",
    "fx.ShapeDtypeStruct((2, 2), 'int32')", "{'a': 1.0}", "np.str_('a')", "bytearray(b'ab')",
    "memoryview(b'abc')", "np.timedelta64(1, 's')", "fx.numpy.sin", "type", "np.dtype('f4')",
    "nested(3000)", "itself()", "1 << 70", "-(1 << 63)", "1 << 32", "np.nan", "'\\x00'", "1j",
)  # fmt: skip
TEXTS = {
    "mode": ("'fill'", "'clip'", "'wrap'", "'full'", "'same'", "'valid'", "'reduced'", "'edge'",
             "'constant'", "'reflect'", "'drop'", "'promise_in_bounds'", "'raise'", "'complete'"),
    "method": ("'auto'", "'linear'", "'sort'", "'scan'", "'nearest'", "'average'", "'inverse'"),
    "norm": ("'ortho'", "'forward'", "'backward'", "None"),
    "kind": ("'stable'", "'quicksort'"), "order": ("'C'", "'F'", "'A'", "'K'", "1", "2"),
    "axis_name": ("'i'", "('i', 'j')", "None", "()"), "ord": ("2", "'fro'", "'nuc'", "1", "np.inf"),
    "indexing": ("'ij'", "'xy'"), "side": ("'left'", "'right'"), "UPLO": ("'L'", "'U'"),
    "subscripts": ("'ij,jk'", "'ii'", "'i,i->'", "'...'", "'ij->ji'"),
    "precision": ("None", "'highest'", "lax.Precision.HIGH", "'float32'"),
    "dimension_numbers": ("(((1,), (0,)), ((), ()))", "None", "('NCHW', 'OIHW', 'NCHW')"),
    "impl": ("'threefry2x32'", "'rbg'", "None"), "device": ("None", "fx.devices()[0]"),
    "sharding": ("None", "fx.devices()[0]"), "backend": ("None", "'cpu'"),
    "signature": ("'(n)->()'", "None", "'(n),(n)->(n)'"), "in_axes": ("0", "(0, None)", "None"),
    "out_sharding": ("None",), "out": ("None",),
    "padding": ("'SAME'", "'VALID'", "[(0, 0)]", "((1, 1), (1, 1))"),
    "padding_config": ("[(0, 0, 0)]", "((1, 1, 0), (1, 1, 0))", "[(-1, 0, 1)]"),
    "preferred_element_type": ("None", "'float32'", "np.float32"),
    "indices_or_sections": ("3", "[1, 2]", "2", "(1,)"), "pad_width": ("1", "(1, 2)", "((1, 1),)"),
}  # fmt: skip
BAD_TEXTS = ("'nonsense'", "''", "3", "None", "object()", "('a',)", "-1", "'é'", "b'x'", "[]",
             "'...->->'", "'a' * 5000", "[(1 << 40, 0, 0)]", "[(1,)]", "(((9,), (0,)), ((), ()))",
             "{}", "True", "np.ones(2)")  # fmt: skip

_AXIS = {"axis", "axes", "dimension", "dimensions", "axis1", "axis2", "in_axis", "out_axis",
         "batch_axis", "split_axis", "concat_axis", "axisa", "axisb", "axisc", "source",
         "destination", "permutation", "broadcast_dimensions", "argnums", "static_argnums",
         "scatter_dimension", "start_dimension", "stop_dimension", "out_axes", "column_axis",
         "donate_argnums", "nondiff_argnums", "reduction_dimension", "spmd_axis_name"}  # fmt: skip
_SIZE = {"shape", "size", "sizes", "new_shape", "new_sizes", "shapes", "dims", "n", "N", "M", "k",
         "num", "length", "num_segments", "repeats", "reps", "lhs_shape", "rhs_shape", "deg",
         "fft_lengths", "slice_sizes", "start_indices", "limit_indices", "strides", "count", "m",
         "num_classes", "minlength", "bins", "axis_size", "decimals", "shift", "ddof", "ndmin",
         "total_repeat_length", "update_shape", "axis_shapes", "axis_sizes", "bucket_size",
         "unroll", "window_dimensions", "window_strides", "slice_size", "kth", "stride",
         "limit_index", "start_index", "num_keys", "batch_size", "max_squarings", "s", "rank",
         "dimension_size", "exponent_bits", "mantissa_bits", "series_order",
         "wrap_negative_indices"}  # fmt: skip
_DTYPE = {"dtype", "new_dtype", "index_dtype", "out_dtype", "from_", "to", "type", "typ"}
_FUNCTION = {"f", "fun", "func", "function", "callback", "body_fun", "cond_fun", "true_fun", "fn",
             "false_fun", "pyfunc", "func1d", "computation", "operation", "solve", "matvec",
             "is_leaf", "flatten_func", "unflatten_func", "transpose_solve", "fun_transpose",
             "f_jvp", "f_vjp", "initializer", "mask_func", "body", "listener"}  # fmt: skip
_TREE = {"tree", "xs", "pytree", "init", "init_val", "elems", "rest", "primals", "tangents",
         "prefix_tree", "full_tree", "leaves", "treedef", "args", "kwargs", "operands",
         "example_args", "pytree_to_transpose", "inner_treedef", "outer_treedef"}  # fmt: skip
_KEY = {"key", "keys", "key_bits_array"}
_ARRAYS = {"arrays", "arys", "tup", "arrs", "condlist", "choicelist", "funclist", "seq_of_zeros"}


class Maker:
    """Draws the calls of one function."""

    def __init__(self, path: str, function: Callable, seed: int):
        self.choose = python_random.Random(f"{path} {seed}")
        self.path = path
        try:
            self.parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            one = inspect.Parameter("x", inspect.Parameter.POSITIONAL_ONLY)
            self.parameters = [one]
        self.shape = self.dtype = ""

    def call(self) -> str:
        """The text of one call."""
        choose = self.choose
        self.shape, self.dtype = choose.choice(SHAPES), choose.choice(COMMON)
        if choose.random() < 0.25:
            self.dtype = choose.choice(DTYPES)
        positional, named, hostile = [], [], choose.choice((0, 0, 1, 1, 1, 2, 9))
        given = [p for p in self.parameters if self._wanted(p)]
        bad = set(choose.sample(range(len(given)), min(hostile, len(given))))
        for k, parameter in enumerate(given):
            if parameter.kind is parameter.VAR_POSITIONAL:
                count = choose.choice((0, 1, 1, 2, 3))
                positional += [self._argument(parameter, k in bad) for _ in range(count)]
            elif parameter.kind is parameter.VAR_KEYWORD:
                named.append(f"unknown={self._any(k in bad)}")
            elif parameter.kind is parameter.KEYWORD_ONLY or parameter.default is not _EMPTY:
                named.append(f"{parameter.name}={self._argument(parameter, k in bad)}")
            else:
                positional.append(self._argument(parameter, k in bad))
        if choose.random() < 0.03:
            positional = positional[:-1] if choose.random() < 0.5 else [*positional, "1.0"]
        return self._wrapped(positional, named)

    def _wanted(self, parameter: inspect.Parameter) -> bool:
        if parameter.kind is parameter.VAR_KEYWORD:
            return self.choose.random() < 0.05
        return parameter.default is _EMPTY or self.choose.random() < 0.3

    def _wrapped(self, positional: list[str], named: list[str]) -> str:
        """The call as it stands, or inside a transformation of its first array."""
        plain = f"{self.path}({', '.join([*positional, *named])})"
        traced = [k for k, text in enumerate(positional) if text.startswith("array(")]
        draw = self.choose.random()
        if not traced or draw < 0.6:
            if "fun" in [p.name for p in self.parameters[:1]]:
                return f"then({plain}, {self._array(False)})"
            return plain
        k = self.choose.choice(traced)
        argument, positional = positional[k], [*positional[:k], "t", *positional[k + 1 :]]
        inside = f"{self.path}({', '.join([*positional, *named])})"
        if draw < 0.75:
            return f"fx.jit(lambda t: {inside})({argument})"
        if draw < 0.85:
            return f"fx.vmap(lambda t: {inside})({argument})"
        if draw < 0.95:
            return f"fx.grad(lambda t: total({inside}))({argument})"
        return f"fx.eval_shape(lambda t: {inside}, {argument})"

    def _argument(self, parameter: inspect.Parameter, hostile: bool) -> str:
        if hostile and self.choose.random() < 0.25:
            return self._any(True)
        good, bad = self._pools(parameter)
        if good is None:
            return self._array(hostile)
        return self.choose.choice(bad if hostile else good)

    def _pools(self, parameter: inspect.Parameter) -> tuple[Sequence[str] | None, Sequence[str]]:
        name, default = parameter.name, parameter.default
        for names, good, bad in _POOLS:
            if name in names:
                return good, bad
        if name in TEXTS:
            return TEXTS[name], BAD_TEXTS
        if name in _ARRAYS:
            inside = ", ".join(self._array(False) for _ in range(self.choose.randint(0, 3)))
            return (f"[{inside}]", f"({inside},)" if inside else "()"), (*JUNK, *BAD_TREES)
        if isinstance(default, bool):
            return BOOLS, BAD_BOOLS
        if isinstance(default, int | float):
            return NUMBERS, BAD_NUMBERS
        if isinstance(default, str):
            return (repr(default),), BAD_TEXTS
        return None, ()

    def _array(self, hostile: bool) -> str:
        choose = self.choose
        if not hostile:
            if choose.random() < 0.1:
                return choose.choice(NUMBERS)
            kind = choose.choice(("plain", "plain", "own", "special"))
            return f'array("{self.dtype}", {self.shape}, "{kind}")'
        if choose.random() < 0.25:
            return choose.choice(JUNK if choose.random() < 0.5 else BAD_NUMBERS)
        shape, dtype = choose.choice((self.shape, choose.choice(SHAPES))), choose.choice(DTYPES)
        return f'array("{dtype}", {shape}, "{choose.choice(LAYOUTS)}")'

    def _any(self, hostile: bool) -> str:
        return self.choose.choice(JUNK) if hostile else self.choose.choice(NUMBERS)


_EMPTY = inspect.Parameter.empty
_POOLS = (
    (_AXIS, AXES, BAD_AXES), (_SIZE, SIZES, BAD_SIZES), (_DTYPE, DTYPE_LIKE, BAD_DTYPES),
    (_FUNCTION, FUNCTIONS, BAD_FUNCTIONS), (_TREE, TREES, BAD_TREES), (_KEY, KEYS, BAD_KEYS),
)  # fmt: skip


def calls(seed: int, count: int, chosen: Callable[[str], bool] = bool) -> Iterator[tuple[str, str]]:
    """(path, text) of `count` calls of every function whose path is chosen."""
    for path, function in sorted(public().items()):
        if chosen(path):
            maker = Maker(path, function, seed)
            for _ in range(count):
                yield path, maker.call()
