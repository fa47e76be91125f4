"""References that rules reach by ways that nobody can follow beforehand: never an old value."""

import functools
import weakref

import numpy as np
import pytest
from tests.transforms.test_refs_of_rules_alone import (
    AROUND,
    alone,
    fwd_rule,
    jvp_rule,
    reads_around,
    ref,
    twice,
    writes_after,
    writes_before,
)

import fornax
import fornax.numpy as fnp
from fornax import lax
from fornax.api import closures
from fornax.api.closures import closed_over_refs
from fornax.custom_batching import custom_vmap
from fornax.ir.late import RefTaken

close = functools.partial(np.testing.assert_allclose, rtol=1e-5)


class Hidden:
    """A reference that the search does not find, for it is held weakly."""

    def __init__(self, r):
        self.weak = weakref.ref(r)

    def __getitem__(self, index):
        return self.weak()[index]

    def __setitem__(self, index, value):
        self.weak()[index] = value


def test_the_search_does_not_find_what_these_tests_hide():
    r = ref(1)
    assert closed_over_refs([lambda: Hidden(r)]) == [r]
    hidden = Hidden(r)
    assert closed_over_refs([lambda: hidden[...]]) == []


@pytest.mark.parametrize("use", [alone, writes_before, writes_after, reads_around])
@pytest.mark.parametrize("make", [jvp_rule, fwd_rule])
@pytest.mark.parametrize("name", AROUND)
def test_programs_are_made_again_for_references_that_turn_up(name, make, use):
    around, calls = AROUND[name]
    r = ref(1)
    plain = use(make(Hidden(r)), r)

    def again(x):
        for _ in range(calls):
            x = plain(x)
        return x

    expected = fornax.grad(again)(3.0), r[...]
    whole = around(plain)
    for derive in (fornax.grad, lambda g: fornax.jit(fornax.grad(g)), fornax.grad):
        r[...] = 1.0
        assert (derive(whole)(3.0), r[...]) == expected


def test_a_program_that_was_traced_and_run_before_is_made_again():
    r = ref(1)
    inner = fornax.jit(writes_before(jvp_rule(Hidden(r)), r))
    outer = fornax.jit(lambda x: inner(x) * 3)
    assert outer(1.0) == 6 and inner(1.0) == 2 and r[...] == 3
    assert fornax.grad(outer)(1.0) == 12 and r[...] == 40
    assert fornax.jvp(outer, (1.0,), (1.0,))[1] == 3 * 41 and r[...] == 410
    assert fornax.grad(inner)(1.0) == 411 and outer(1.0) == 6 and r[...] == 4111


def test_more_than_one_turns_up():
    first, second = ref(2), ref(3)
    f, g = jvp_rule(Hidden(first)), jvp_rule(Hidden(second))

    def function(x):
        first[...] = first[...] + 1
        second[...] = second[...] + 1
        return f(g(x))

    for h in (fornax.jit(function), fornax.checkpoint(function), lambda x: fornax.jit(function)(x)):
        first[...], second[...] = 2.0, 3.0
        assert fornax.grad(h)(1.0) == 12 and first[...] == 30 and second[...] == 40


def test_one_that_no_program_has_is_used_where_it_is():
    kept, r = ref(5), ref(1)
    f, g = jvp_rule(Hidden(kept)), jvp_rule(Hidden(r))

    def function(x):
        y = f(x)
        r[...] = r[...] + 1
        return g(y)

    expected = fornax.grad(function)(1.0), kept[...], r[...]
    kept[...], r[...] = 5.0, 1.0
    assert (fornax.grad(fornax.jit(function))(1.0), kept[...], r[...]) == expected


@pytest.mark.parametrize("wrap", [lambda f: f, fornax.jit], ids=["eager", "jit"])
def test_rules_of_vmap(wrap):
    r, x = ref(2), fnp.arange(3.0)
    hidden = Hidden(r)
    f = custom_vmap(lambda x: x)

    @f.def_vmap
    def rule(size, batched, x):
        hidden[...] = hidden[...] + 1
        return x * hidden[...], batched[0]

    g = writes_before(f, r)
    assert fornax.jit(g)(1.0) == 1 and r[...] == 3
    close(wrap(fornax.vmap(fornax.jit(g)))(x), x * 5)
    assert r[...] == 5
    close(wrap(fornax.vmap(twice(f)))(x), x * 6 * 7)
    assert r[...] == 7


@pytest.mark.parametrize("name", ["jit", "checkpoint", "called"])
def test_rules_for_the_way_back_read_what_was_left(name):
    r = ref(5)
    hidden = Hidden(r)
    f = fornax.custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: (x * 2, None), lambda _, g: ((g * hidden[...]),))
    g = AROUND[name][0](writes_after(f, r))
    assert fornax.grad(g)(1.0) == 6 and fornax.jit(fornax.grad(g))(1.0) == 7 and r[...] == 7


def test_backwards_in_a_loop_only_inside_of_jit():
    r = ref(5)
    hidden = Hidden(r)
    f = fornax.custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: (x * 2, None), lambda _, g: ((g * hidden[...]),))
    with pytest.raises(NotImplementedError, match="uses a mutable reference .* from outside"):
        fornax.grad(twice(f))(1.0)
    assert fornax.jit(fornax.grad(twice(f)))(1.0) == 25


def test_an_argument_that_a_rule_reaches_from_outside_is_refused():
    r = ref(1)
    f = jvp_rule(Hidden(r))

    def function(x, r):
        r[...] = r[...] + 1
        return f(x)

    for g in (fornax.jit(function), fornax.checkpoint(function)):
        with pytest.raises(RefTaken, match="pass the reference as an argument"):
            fornax.grad(g)(1.0, r)
    assert r[...] == 1


def test_writes_are_refused_where_only_reads_are_known():
    r = ref(1)
    f = jvp_rule(Hidden(r))
    with pytest.raises(RefTaken):
        fornax.grad(fornax.jit(lambda x, r: f(x) * r[...]))(1.0, r)
    reads = fornax.custom_jvp(lambda x: x * 2)
    hidden = Hidden(r)
    reads.defjvp(lambda p, t: (p[0] * 2, t[0] * hidden[...] * 5))
    assert fornax.grad(fornax.jit(lambda x, r: reads(x) * r[...]))(1.0, r) == 5


def test_what_is_beyond_the_limit_of_the_search(monkeypatch):
    monkeypatch.setattr(closures, "_LIMIT", 3)
    r = ref(1)
    deep = [[[[[[[[[[r]]]]]]]]]]
    f = fornax.custom_jvp(lambda x: x * 2)

    def rule(primals, tangents):
        found = deep
        while isinstance(found, list):
            (found,) = found
        return primals[0] * 2, tangents[0] * found[...]

    f.defjvp(rule)
    assert closed_over_refs([rule]) == []
    assert fornax.grad(fornax.jit(writes_before(f, r)))(1.0) == 2
    assert fornax.grad(twice(writes_before(f, r)))(1.0) == 3 * 4


class Counter:
    """A class whose methods alone name the reference."""

    shared = ref(1)

    @staticmethod
    def get():
        return COUNT[...]

    @property
    def value(self):
        return COUNT[...]


COUNT = ref(1)
counter = Counter()


@pytest.mark.parametrize(
    ("read", "found"),
    [
        (lambda: Counter().value, COUNT),
        (lambda: counter.get(), COUNT),
        (lambda: counter.shared[...], Counter.shared),
    ],
)
def test_methods_of_classes_are_searched(read, found):
    assert found in closed_over_refs([read])
    found[...] = 1.0
    f = fornax.custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: (x * 2, None), lambda _, g: ((g * read()),))
    assert fornax.grad(lambda x: lax.fori_loop(0, 2, lambda _, c: f(c), x))(1.0) == 1


def test_callbacks_read_no_old_value():
    """jax: RuntimeError, the array has been deleted."""
    r = ref(1)
    shape = fornax.ShapeDtypeStruct((), np.float32)

    @fornax.jit
    def reads(x):
        return x + fornax.pure_callback(lambda: np.asarray(r[...]), shape)

    @fornax.jit
    def writes(x):
        r[...] = r[...] + x
        return reads(x)

    assert reads(1.0) == 2
    with pytest.raises(fornax.errors.JaxRuntimeError, match="has its value"):
        fornax.block_until_ready(writes(1.0))
    assert r[...] == 1
