"""Values that are equal and not the same, in everything that remembers: 1, 1.0 and True; (2,) and
(2.0,); zeros of both signs; NaN."""

import functools
import itertools

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax import lax, settings, tree_util
from fornax.ir.primitive import Primitive
from fornax.ir.types import ArrayType, typeof
from fornax.runtime import eager, shared

ZEROS = [(0.0, -0.0), (-0.0, 0.0)]
ONES = list(itertools.permutations([1, 1.0, True]))
x = np.arange(3, dtype=np.float32)


def sign(value):
    return bool(np.signbit(np.asarray(value)).all())


@pytest.fixture(autouse=True)
def nothing_remembered():
    fornax.clear_caches()
    eager.clear()
    shared.clear()


class Shaped(Primitive):
    """An operation whose type rule is asked once for equal params."""

    remembers_types = True
    asked = 0

    def type(self, operand, *, shape, what):
        self.asked += 1
        for n in shape:
            if type(n) is not int:
                raise TypeError(f"{n!r} is no dimension")
        return [ArrayType(shape, np.float32 if what is True else np.int32)]

    def reference(self, operand, *, shape, what):
        return [np.zeros(shape, np.float32 if what is True else np.int32)]


def test_type_rules_that_are_remembered():
    shaped = Shaped("shaped_for_a_test", register=False)

    def types(**params):
        found = []
        fornax.make_jaxpr(lambda x: found.append(typeof(shaped.bind(x, **params)[0])) or x)(1.0)
        return found[0].short()

    assert types(shape=(2,), what=True) == types(shape=(2,), what=True) == "f32[2]"
    assert shaped.asked == 1
    assert types(shape=(2,), what=1) == types(shape=(2,), what=1.0) == "i32[2]"
    assert types(shape=(2,), what=True) == "f32[2]"
    for shape in ((2.0,), (True,), (np.int64(2),)):
        assert types(shape=(1,), what=1) == "i32[1]"
        with pytest.raises(TypeError, match="is no dimension"):
            types(shape=shape, what=True)
    assert types(shape=(2,), what=np.float32(0)) == types(shape=(2,), what=-0.0) == "i32[2]"


def test_shapes_under_jit():
    broadcast = lambda *shape: fornax.jit(lambda: lax.broadcast(1.0, shape))()  # noqa: E731
    assert broadcast(2).shape == (2,) and broadcast(True).shape == (1,)
    for shape in ((2.0,), (1.0,)):
        with pytest.raises(TypeError):
            broadcast(*shape)
    assert typeof(broadcast(1)).shape == typeof(broadcast(True)).shape == (1,)
    assert type(broadcast(True).shape[0]) is int
    assert type(ArrayType((True,), np.dtype("float32")).shape[0]) is int


@pytest.mark.parametrize("mode", ["tiered", "compiled", "reference"])
@pytest.mark.parametrize("fills", ZEROS)
def test_static_arguments_of_eager_functions(fills, mode):
    with fornax.settings.override(eager=mode):
        for fill in fills * 3:
            found = fnp.take(x, np.array([7]), mode="fill", fill_value=fill)
            assert sign(found) == sign(fill)
            found = fnp.asarray(x).at[np.array([9])].get(mode="fill", fill_value=fill)
            assert sign(found) == sign(fill)
            found = fnp.nonzero(fnp.zeros(2), size=1, fill_value=(int(fill),))
            assert found[0] == 0


@pytest.mark.parametrize("mode", ["tiered", "compiled"])
@pytest.mark.parametrize("fills", ZEROS)
def test_operations_outside_of_transformations(fills, mode):
    numbers = lax.GatherDimensionNumbers((), (0,), (0,))

    def gather(fill):
        return lax.gather(
            fnp.asarray(x), np.array([[5]]), numbers, (1,), mode="fill", fill_value=fill
        )

    with fornax.settings.override(eager=mode):
        for fill in fills * 3:
            assert sign(gather(fill)) == sign(fill)


@pytest.mark.parametrize("fills", ZEROS)
def test_equal_programs_are_shared_only_if_they_are_the_same(fills):
    def filled(fill):
        return fornax.jit(lambda x: fnp.take(x, np.array([7]), mode="fill", fill_value=fill))

    def scaled(by):
        return fornax.jit(lambda x: x * by)

    def padded(fill):
        return fornax.jit(lambda x: fnp.pad(x, 1, constant_values=fill)[:1])

    for make in (filled, scaled, padded):
        for fill in fills * 2:
            assert sign(make(fill)(x)) == sign(fill), make


@pytest.mark.parametrize("values", ONES)
def test_constants_of_programs_keep_their_types(values):
    def constant(value):
        return fornax.jit(lambda: fnp.full(2, value))()

    def stacked(value):
        return lax.scan(lambda c, _: (c, value), 0, None, length=2)[1]

    def chosen(value):
        return fornax.jit(lambda p: lax.cond(p, lambda: value, lambda: value))(True)

    for make in (constant, stacked, chosen, lambda v: lax.full((2,), v)):
        for value in values * 2:
            assert typeof(make(value)).dtype == typeof(value).dtype, make


def test_equations_of_one_program_are_merged_only_if_they_are_the_same():
    @fornax.jit
    def both(x):
        take = functools.partial(fnp.take, x, np.array([7]), mode="fill")
        return take(fill_value=0.0), take(fill_value=-0.0), x * 0.0, x * -0.0

    assert [sign(part) for part in both(x)] == [False, True, False, True]


def test_nan_as_a_param():
    fill = [float("nan"), float("nan"), np.float32("nan")]
    programs = [
        fornax.jit(lambda x, f=f: fnp.take(x, np.array([7]), mode="fill", fill_value=f))
        for f in fill
    ]
    assert all(np.isnan(np.asarray(f(x))) for f in programs)
    for f in fill * 2:
        assert fnp.isnan(fnp.take(x, np.array([7]), mode="fill", fill_value=f))


def test_static_arguments_of_jit_are_those_that_are_equal_and_of_one_type():
    """As in jax: zeros of both signs are one, and what is in tuples is compared by ==."""
    seen = []
    f = fornax.jit(lambda x, s: seen.append(s) or x, static_argnums=1)
    nan = float("nan")
    for s in (1, True, 1.0, 0.0, -0.0, (1,), (True,), (1.0,), nan, nan, np.float32(1)):
        f(1.0, s)
    assert list(map(repr, seen)) == ["1", "True", "1.0", "0.0", "(1,)", "nan", "np.float32(1.0)"]


@tree_util.register_pytree_node_class
class Node:
    def __init__(self, value, aux):
        self.value, self.aux = value, aux

    def tree_flatten(self):
        return (self.value,), self.aux

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls(children[0], aux)


def test_what_nodes_of_trees_hold():
    for aux in (1, True, 1.0, 0.0, -0.0, (2,), (2.0,), False, 0):
        for apply in (functools.partial(tree_util.tree_map, lambda v: v), fornax.jit(lambda n: n)):
            assert repr(apply(Node(1.0, aux)).aux) == repr(aux)
        key = aux if not isinstance(aux, tuple) else aux[0]
        assert repr(next(iter(tree_util.tree_map(lambda v: v, {key: 1})))) == repr(key)


def test_settings():
    for value in (1, np.bool_(True), 1.0, True):
        with fornax.settings.override(enable_x64=value):
            assert settings.current().enable_x64 is True
            assert fornax.jit(lambda x: x)(1.0).dtype == np.float64
    with fornax.settings.override(enable_x64=0):
        assert settings.current().enable_x64 is False
    for value in ("false", 2, None):
        with pytest.raises(ValueError, match="True or False"):
            fornax.config.update("jax_enable_x64", value)
