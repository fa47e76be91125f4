"""Keys of both kinds go wherever arrays go."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fornax as fx
from fornax import lax, random, settings
from fornax import numpy as fnp
from fornax.scalars import dtypes

KEY = random.key(42)
RAW = random.PRNGKey(42)


def words(key) -> np.ndarray:
    return np.asarray(random.key_data(key))


def same(a, b) -> None:
    assert a.dtype == b.dtype and a.shape == b.shape
    np.testing.assert_array_equal(words(a), words(b))


# --- making ------------------------------------------------------------------------------------
def test_attributes():
    assert KEY.shape == () and KEY.ndim == 0 and KEY.size == 1
    assert repr(KEY.dtype) == KEY.dtype.name == "key<fry>"
    assert dtypes.issubdtype(KEY.dtype, dtypes.prng_key)
    assert not dtypes.issubdtype(RAW.dtype, dtypes.prng_key)
    assert isinstance(KEY, fx.Array) and fnp.issubdtype(KEY.dtype, dtypes.prng_key)
    assert random.key_dtype() == KEY.dtype and random.key_impl(KEY) == "threefry2x32"
    assert fx.typeof(KEY).short() == "key<fry>[]"
    assert random.split(KEY, (3, 2)).nbytes == 48


def test_seed_kinds():
    same(random.key(7), random.wrap_key_data(random.PRNGKey(7)))
    same(random.key(7, impl="threefry2x32"), random.key(7, dtype=KEY.dtype))
    same(fx.jit(random.key)(7), random.key(7))
    np.testing.assert_array_equal(fx.jit(random.PRNGKey)(7), random.PRNGKey(7))
    same(fx.vmap(random.key)(fnp.arange(3))[2], random.key(2))


def test_refusals():
    with pytest.raises(TypeError, match="must be an integer"):
        random.key(1.5)
    with pytest.raises(TypeError, match="accepts a scalar seed"):
        random.key(np.arange(2))
    with pytest.raises(TypeError, match="was given a PRNG key"):
        random.key(KEY)
    with pytest.raises(ValueError, match="unrecognized PRNG implementation"):
        random.key(0, impl="philox")
    with pytest.raises(NotImplementedError, match="only implemented for the threefry2x32"):
        random.poisson(random.key(0, impl="rbg"), 3.0)
    with pytest.raises(TypeError, match="invalid PRNG key data"):
        random.uniform(random.PRNGKey(0, impl="rbg"))
    with pytest.raises(ValueError, match="Use fornax.vmap"):
        random.normal(random.split(KEY))
    with pytest.raises(ValueError, match="Use fornax.vmap"):
        random.split(random.split(RAW))
    with pytest.raises(TypeError, match="unexpected PRNG key type"):
        random.split(3)
    with pytest.raises(TypeError, match="invalid PRNG key data"):
        random.split(np.zeros(3, np.uint32))
    with pytest.raises(TypeError, match="cannot be converted to a NumPy array"):
        np.asarray(KEY)
    with pytest.raises(TypeError):
        KEY + 1
    with pytest.raises(OverflowError):
        random.fold_in(KEY, 2**32)
    with pytest.raises(ValueError, match="float dtype"):
        random.uniform(KEY, (), np.int32)
    with pytest.raises(ValueError, match="broadcast-compatible"):
        random.uniform(KEY, (2,), minval=np.zeros((3, 2)))


def test_two_kinds_agree():
    np.testing.assert_array_equal(words(random.split(KEY, 3)), random.split(RAW, 3))
    np.testing.assert_array_equal(random.normal(KEY, (5,)), random.normal(RAW, (5,)))
    assert random.split(RAW).dtype == np.uint32 and random.split(KEY).dtype == KEY.dtype


# --- moving around -----------------------------------------------------------------------------
MOVES = {
    "index": lambda k: k[1],
    "index 2": lambda k: k[1, 0],
    "slice": lambda k: k[::2, :1],
    "backwards": lambda k: k[::-1],
    "new axis": lambda k: k[:, None],
    "array": lambda k: k[np.array([2, 0])],
    "arrays": lambda k: k[np.array([2, 0]), np.array([1, 1])],
    "reshape": lambda k: k.reshape(6),
    "reshape -1": lambda k: fnp.reshape(k, (2, -1)),
    "ravel": lambda k: k.ravel(),
    "flatten": lambda k: k.flatten(),
    "transpose": lambda k: k.T,
    "swapaxes": lambda k: fnp.swapaxes(k, 0, 1),
    "moveaxis": lambda k: fnp.moveaxis(k, 0, 1),
    "expand": lambda k: fnp.expand_dims(k, 1),
    "squeeze": lambda k: fnp.squeeze(k[:1], 0),
    "broadcast": lambda k: fnp.broadcast_to(k[0, 0], (2, 3)),
    "stack": lambda k: fnp.stack([k[0], k[2]]),
    "concatenate": lambda k: fnp.concatenate([k, k[:1]]),
    "where": lambda k: fnp.where(np.array([True, False]), k[0], k[1]),
    "select": lambda k: lax.select(np.True_, k[0], k[1]),
    "dynamic": lambda k: lax.dynamic_slice_in_dim(k, 1, 2),
    "dynamic index": lambda k: lax.dynamic_index_in_dim(k, 1, keepdims=False),
    "update": lambda k: lax.dynamic_update_slice(k, k[:1], (1, 0)),
    "set": lambda k: k.at[1].set(k[0]),
    "take": lambda k: fnp.take(k, np.array([2, 1]), axis=0),
    "repeat": lambda k: fnp.repeat(k, 2, axis=0),
    "tile": lambda k: fnp.tile(k, (2, 1)),
    "flip": lambda k: fnp.flip(k, 0),
    "roll": lambda k: fnp.roll(k, 1, 0),
    "copy": lambda k: fnp.copy(k),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves(name):
    keys = random.split(KEY, (3, 2))
    move = MOVES[name]
    numbers = np.arange(6).reshape(3, 2)
    want = np.asarray(move(fnp.asarray(numbers)))
    expected = words(keys).reshape(6, 2)[want]
    np.testing.assert_array_equal(words(move(keys)), expected)
    np.testing.assert_array_equal(words(fx.jit(move)(keys)), expected)


def test_traced_index():
    keys = random.split(KEY, 4)
    same(fx.jit(lambda k, i: k[i])(keys, 2), keys[2])
    same(fx.vmap(lambda i: keys[i])(np.array([3, 1]))[0], keys[3])


def test_python_protocols():
    keys = random.split(KEY, 3)
    assert len(keys) == 3
    first, _, third = keys
    same(first, keys[0])
    same(third, keys[2])
    same(pickle.loads(pickle.dumps(keys)), keys)
    same(copy.deepcopy(keys), keys)
    same(copy.copy(keys), keys)
    same(fx.tree_util.tree_map(lambda k: k, {"a": keys})["a"], keys)
    same(fx.device_put(keys), keys)
    assert bool((keys == keys).all()) and not bool((keys == keys[::-1])[0])
    assert bool((keys != keys[::-1])[0])
    with pytest.raises(TypeError, match="immutable"):
        keys[0] = KEY
    with pytest.raises(TypeError):
        bool(KEY)
    with pytest.raises(TypeError):
        len(KEY)
    assert fx.block_until_ready(keys) is keys


# --- transformations ---------------------------------------------------------------------------
def test_jit_takes_and_gives_keys():
    step = fx.jit(lambda key, x: (random.split(key)[1], x + random.normal(key, x.shape)))
    key, x = KEY, fnp.zeros(3)
    for _ in range(3):
        wanted = x + random.normal(key, (3,)), random.split(key)[1]
        key, x = step(key, x)
        np.testing.assert_allclose(x, wanted[0], rtol=1e-6)
        same(key, wanted[1])
    assert step._cache_size() <= 1


def test_jit_closes_over_keys():
    keys = random.split(KEY, 2)
    same(fx.jit(lambda: keys[1])(), keys[1])
    np.testing.assert_array_equal(
        fx.jit(lambda x: x + random.uniform(keys[0]))(0.0), random.uniform(keys[0])
    )


def test_keys_of_trees_and_static():
    @fx.jit
    def init(rngs):
        return {name: random.normal(key, (2,)) for name, key in rngs.items()}

    out = init({"params": KEY, "dropout": random.fold_in(KEY, 1)})
    np.testing.assert_array_equal(out["params"], random.normal(KEY, (2,)))


def test_vmap():
    keys = random.split(KEY, 4)
    many = fx.vmap(lambda k: random.normal(k, (3,)))(keys)
    one = np.stack([np.asarray(random.normal(k, (3,))) for k in keys])
    np.testing.assert_allclose(many, one, rtol=2e-6)
    same(fx.vmap(random.split)(keys)[2], random.split(keys[2]))
    raw = random.split(RAW, 4)
    np.testing.assert_array_equal(fx.vmap(random.split)(raw)[2], random.split(raw[2]))
    same(fx.vmap(random.fold_in, in_axes=(None, 0))(KEY, fnp.arange(3))[2], random.fold_in(KEY, 2))
    same(fx.vmap(random.fold_in)(keys, fnp.arange(4))[2], random.fold_in(keys[2], 2))
    grid = fx.vmap(fx.vmap(random.fold_in, (None, 0)), (0, None))(keys, fnp.arange(3))
    same(grid[3, 1], random.fold_in(keys[3], 1))
    ints = fx.jit(fx.vmap(lambda k: random.randint(k, (5,), 0, 100)))(keys)
    np.testing.assert_array_equal(ints[1], random.randint(keys[1], (5,), 0, 100))


def test_loops():
    def body(key, _):
        key, part = random.split(key)
        return key, random.bits(part)

    def by_hand(count):
        key, out = KEY, []
        for _ in range(count):
            key, bits = body(key, None)
            out.append(np.asarray(bits))
        return key, np.stack(out)

    wanted_key, wanted = by_hand(4)
    for run in (lambda k: lax.scan(body, k, None, length=4), fx.jit(
            lambda k: lax.scan(body, k, None, length=4))):  # fmt: skip
        last, bits = run(KEY)
        same(last, wanted_key)
        np.testing.assert_array_equal(bits, wanted)
    with fx.disable_jit():
        last, bits = lax.scan(body, KEY, None, length=4)
    same(last, wanted_key)
    keys = random.split(KEY, 3)
    _, out = lax.scan(lambda c, k: (c, (k, random.bits(k))), 0, keys)
    same(out[0], keys)
    np.testing.assert_array_equal(out[1][2], random.bits(keys[2]))
    same(lax.fori_loop(0, 3, lambda i, k: random.fold_in(k, i), KEY), _folded(3))
    same(lax.while_loop(lambda s: s[1] < 3, lambda s: (random.fold_in(*s), s[1] + 1), (KEY, 0))[0],
         _folded(3))  # fmt: skip
    traced = fx.jit(lambda n: lax.fori_loop(0, n, lambda i, k: random.fold_in(k, i), KEY))
    same(traced(3), _folded(3))
    np.testing.assert_array_equal(
        lax.map(random.bits, keys), [np.asarray(random.bits(k)) for k in keys]
    )


def _folded(count):
    key = KEY
    for i in range(count):
        key = random.fold_in(key, i)
    return key


def test_branches():
    other = random.key(1)
    for run in (lax.cond, fx.jit(lax.cond, static_argnums=(1, 2))):
        same(run(True, lambda a, b: a, lambda a, b: b, KEY, other), KEY)
        same(run(False, lambda a, b: a, lambda a, b: random.fold_in(b, 1), KEY, other),
             random.fold_in(other, 1))  # fmt: skip


def test_derivatives_ignore_keys():
    def loss(x, key):
        return (x * random.normal(key, x.shape)).sum()

    x = fnp.ones(3)
    np.testing.assert_allclose(fx.grad(loss)(x, KEY), random.normal(KEY, (3,)), rtol=1e-6)
    np.testing.assert_allclose(fx.jit(fx.grad(loss))(x, KEY), random.normal(KEY, (3,)), rtol=1e-6)
    np.testing.assert_allclose(fx.jacfwd(loss)(x, KEY), random.normal(KEY, (3,)), rtol=1e-6)
    scanned = fx.grad(lambda x: lax.scan(
        lambda c, k: (c * random.uniform(k), None), x, random.split(KEY, 3))[0])(2.0)  # fmt: skip
    wanted = np.prod([np.asarray(random.uniform(k)) for k in random.split(KEY, 3)])
    np.testing.assert_allclose(scanned, wanted, rtol=1e-6)
    remat = fx.grad(fx.checkpoint(loss))(x, KEY)
    np.testing.assert_allclose(remat, random.normal(KEY, (3,)), rtol=1e-6)


def test_reparametrised_gradients():
    mean = fx.grad(lambda s: random.truncated_normal(KEY, -s, s))(1.5)
    assert np.isfinite(mean)
    np.testing.assert_allclose(
        fx.grad(lambda a: random.uniform(KEY, (), minval=0.0, maxval=a))(2.0), random.uniform(KEY),
        rtol=1e-6,
    )  # fmt: skip


def test_gamma_gradient():
    def sample(a):
        return random.gamma(KEY, a)

    slope = fx.grad(sample)(3.0)
    log_slope = fx.grad(lambda a: random.loggamma(KEY, a))(3.0)
    np.testing.assert_allclose(slope, log_slope * sample(3.0), rtol=1e-4)


def test_eval_shape_and_program():
    shape = fx.eval_shape(random.split, KEY)
    assert shape.shape == (2,) and shape.dtype == KEY.dtype
    text = str(fx.make_jaxpr(lambda k: random.bits(k, (3,)))(RAW))
    assert "random_wrap[impl=fry]" in text and "random_bits[bit_width=32 shape=(3,)]" in text
    text = str(fx.make_jaxpr(lambda k: random.split(k))(KEY))
    assert "key<fry>[2] = random_split[shape=(2,)]" in text


def test_same_numbers_however_they_are_made():
    # eager, compiled, as part of another program, often or once
    first = np.asarray(random.normal(KEY, (50,)))
    for _ in range(30):
        np.testing.assert_array_equal(random.normal(KEY, (50,)), first)
    np.testing.assert_array_equal(fx.jit(lambda k: random.normal(k, (50,)))(KEY), first)


def test_no_longer_array_changes_nothing():
    # element i depends on the key and on i alone
    np.testing.assert_array_equal(random.bits(KEY, (7,)), random.bits(KEY, (90,))[:7])
    np.testing.assert_array_equal(random.bits(KEY, (3, 4)).ravel(), random.bits(KEY, (12,)))


def test_mapped_loops_and_branches():
    keys = random.split(KEY, 3)

    def loop(key, count):
        return lax.while_loop(
            lambda s: s[1] < count, lambda s: (random.fold_in(*s), s[1] + 1), (key, 0)
        )[0]

    mapped = fx.vmap(loop)(keys, fnp.arange(3))
    for i in range(3):
        same(mapped[i], loop(keys[i], i))
    chosen = fx.vmap(lambda k, p: lax.cond(p, lambda k: k, lambda k: random.fold_in(k, 1), k))(
        keys, np.array([True, False, True])
    )
    same(chosen[0], keys[0])
    same(chosen[1], random.fold_in(keys[1], 1))
    same(lax.switch(1, [lambda k: k, lambda k: random.fold_in(k, 3)], KEY), random.fold_in(KEY, 3))


def test_own_derivatives_with_keys():
    u = np.asarray(random.uniform(KEY))

    @fx.custom_vjp
    def f(x, key):
        return x * random.uniform(key)

    f.defvjp(lambda x, k: (f(x, k), k), lambda k, g: (g * random.uniform(k) * 2, None))

    @fx.custom_jvp
    def h(x, key):
        return x * random.uniform(key)

    h.defjvp(lambda p, t: (h(*p), 3 * t[0] * random.uniform(p[1])))
    for change in (lambda g: g, fx.jit):
        np.testing.assert_allclose(change(fx.grad(f))(1.5, KEY), 2 * u, rtol=1e-6)
        np.testing.assert_allclose(change(fx.grad(h))(1.5, KEY), 3 * u, rtol=1e-6)


def test_cotangents_and_tangents_of_keys():
    _, pull = fx.vjp(lambda x, k: x * random.uniform(k), 2.0, random.split(KEY)[0])
    _, nothing = pull(1.0)
    assert nothing.dtype == dtypes.float0 and nothing.shape == ()
    _, out = fx.jvp(
        lambda x, k: x * random.uniform(k), (2.0, KEY), (1.0, np.zeros((), dtypes.float0))
    )
    np.testing.assert_allclose(out, random.uniform(KEY), rtol=1e-6)
    with pytest.raises(TypeError):
        fx.grad(random.uniform)(KEY)


def test_comparisons():
    keys = random.split(KEY, 3)
    np.testing.assert_array_equal(keys == keys[1], [False, True, False])
    np.testing.assert_array_equal(fx.jit(lambda a, b: a != b)(keys, keys[1]), [True, False, True])
    np.testing.assert_array_equal(fx.vmap(lambda k: k == keys[0])(keys), [True, False, False])
    with pytest.raises(TypeError, match="lt does not accept dtype key<fry>"):
        lax.lt(keys, keys)


def test_made_of_and_like_keys():
    keys = random.split(KEY, 3)
    same(fnp.array([keys[0], keys[2]]), keys[np.array([0, 2])])
    same(fnp.asarray(keys), keys)
    same(fnp.zeros_like(keys), random.wrap_key_data(np.zeros((3, 2), np.uint32)))
    same(fnp.full((2,), KEY), fnp.broadcast_to(KEY, (2,)))
    compiled = fx.jit(random.split).lower(KEY).compile()
    same(compiled(KEY), random.split(KEY))
    struct = fx.ShapeDtypeStruct((), KEY.dtype)
    assert fx.eval_shape(random.split, struct).dtype == KEY.dtype


def test_settings_that_name_other_bits_are_refused():
    with (
        settings.override(default_prng_impl="philox4x32"),
        pytest.raises(ValueError, match="philox"),
    ):
        random.key(0)


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_keys_of_other_generators(impl):
    key = random.key(3, impl=impl)
    assert random.key_impl(key) == impl and random.key_data(key).shape == (4,)
    same(random.key(3, dtype=key.dtype), key)
    same(random.wrap_key_data(random.PRNGKey(3, impl=impl), impl=impl), key)
    same(fnp.stack([key, key])[1], key)
    same(fnp.zeros((2,), key.dtype)[0], random.wrap_key_data(fnp.zeros(4, np.uint32), impl=impl))
    restored = pickle.loads(pickle.dumps(key))
    same(restored, key)
    assert random.key_impl(restored) == impl
    with settings.override(default_prng_impl=impl):
        same(random.key(3), key)
    same(fx.jit(lambda k: random.split(k)[1])(key), random.split(key)[1])
    values = lax.scan(lambda k, _: (random.split(k)[0], random.uniform(k)), key, length=3)[1]
    np.testing.assert_array_equal(values[0], random.uniform(key))
