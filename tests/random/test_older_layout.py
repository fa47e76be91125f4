"""With `threefry_partitionable` off, bits are those of JAX's older layout (numbers from JAX)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import fornax as fx
from fornax import random, settings
from fornax.primitives import counters

KEY = random.key(42)
BITS = {
    "uint8": [45, 179, 215, 3, 244],
    "uint16": [8426, 37627, 63599, 6563, 55571],
    "uint32": [3134548294, 3733159049, 843694964, 894150801, 801545058],
    "uint64": [13462782411356743825, 16033796027023006562, 16091099645456652183],
}
SPLITS = {
    (3,): [3134548294, 3733159049, 3746501087, 894150801, 801545058, 2363201431],
    (2, 2): [
        2954079971, 2575172198, 1139032965, 1035738655, 3276725750, 1223413151, 173471767, 13772463,
    ],
}  # fmt: skip
#: 37 numbers of 16 bits where a key gives seven words
OF_SEVERAL_KEYS = [
    29497, 11792, 42974, 61593, 33234, 39549, 59302, 13867, 29793, 28608, 40043, 44863, 4897, 47209,
    43504, 37425, 3045, 33979, 3238, 52029, 12891, 11414, 19052, 57191, 28896, 50673, 39076, 41474,
    52693, 39283, 58830, 53196, 63701, 62159, 2457, 33068, 59536,
]  # fmt: skip


@pytest.fixture(autouse=True)
def _older() -> Iterator[None]:
    with settings.override(threefry_partitionable=False):
        yield


@pytest.mark.parametrize("name", BITS)
def test_bits(name):
    wide = name == "uint64"
    with settings.override(enable_x64=wide):
        shape = (len(BITS[name]),)

        def draw(key):
            return random.bits(key, shape, name)

        for found in (draw(KEY), fx.jit(draw)(KEY), fx.vmap(draw)(KEY[None])[0]):
            assert found.dtype == name and found.tolist() == BITS[name]


@pytest.mark.parametrize("shape", SPLITS)
def test_split(shape):
    def split(key):
        return random.key_data(random.split(key, shape))

    for found in (split(KEY), fx.jit(split)(KEY), fx.vmap(split)(KEY[None])[0]):
        assert found.shape == (*shape, 2) and found.ravel().tolist() == SPLITS[shape]


def test_what_is_made_of_bits():
    expected = np.float32([0.18693546950817108, -1.2806504964828491, -1.559313178062439])
    np.testing.assert_allclose(random.normal(KEY, (3,)), expected, rtol=1e-6)
    assert random.permutation(KEY, 7).tolist() == [6, 0, 2, 5, 4, 3, 1]
    assert random.poisson(KEY, 3.0, (4,)).tolist() == [3, 3, 3, 2]
    assert random.key_data(random.fold_in(KEY, 5)).tolist() == [2765691542, 824333390]
    halves = random.key_data(random.split(random.key(1, impl="rbg"))).tolist()
    assert halves[0] == 2 * [2441914641, 1384938218]
    assert random.bits(KEY, (0,)).shape == (0,) and random.split(KEY, 0).shape == (0,)


def test_more_words_than_one_key_gives(monkeypatch):
    monkeypatch.setattr(counters, "LONGEST", 7)
    reference = counters.bits_in_halves_reference(np.asarray(random.key_data(KEY)), 16, (37,))
    composed = counters.bits_in_halves(random.key_data(KEY), 16, (37,))
    assert reference.tolist() == composed.tolist() == OF_SEVERAL_KEYS


def test_a_program_is_of_one_layout():
    draw = fx.jit(lambda key: random.bits(key, (5,)))
    assert draw(KEY).tolist() == BITS["uint32"]
    with settings.override(threefry_partitionable=True):
        assert draw(KEY).tolist() == random.bits(KEY, (5,)).tolist() != BITS["uint32"]
    assert draw(KEY).tolist() == BITS["uint32"]
    # the layout is that of where a program is traced, not of where it runs
    traced = fx.make_jaxpr(lambda key: random.bits(key, (5,)))(KEY)
    with settings.override(threefry_partitionable=True):
        assert fx.core.eval_jaxpr(traced.jaxpr, traced.consts, KEY)[0].tolist() == BITS["uint32"]


def test_a_key_is_used_up():
    with settings.override(debug_key_reuse=True):
        key = random.key(3)
        random.bits(key)
        with pytest.raises(fx.errors.KeyReuseError):
            random.split(key)
