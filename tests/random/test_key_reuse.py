"""`debug_key_reuse`: which programs use a random key twice. jax 0.10.2 agrees about all of them but
those of `OURS`, where it misses a reuse or takes a recomputation for one."""

from __future__ import annotations

import re
import textwrap

import pytest

import fornax
import fornax.numpy as fnp
from fornax import errors, lax, random

AGAIN = {
    "twice": "random.normal(k); random.normal(k)",
    "different_functions": "random.normal(k); random.uniform(k)",
    "after_split": "a, b = random.split(k); random.normal(a); random.uniform(k)",
    "split_twice": "random.split(k); random.split(k)",
    "element": "ks = random.split(k, 3); random.normal(ks[0]); random.normal(ks[0])",
    "array_after_element": "ks = random.split(k, 3); random.normal(ks[0]); random.split(ks[0])",
    "in_jit": "jit(lambda k: random.normal(k) + random.normal(k))(k)",
    "jit_twice": "f = jit(lambda k: random.normal(k)); f(k); f(k)",
    "result_of_jit": "a, b = jit(random.split)(k); random.normal(a); random.normal(a)",
    "closed_over": "f = jit(lambda x: x * random.normal(k)); f(1.0); f(2.0)",
    "nested": "jit(lambda k: jit(random.normal)(k) + random.normal(k))(k)",
    "scan_constant": "lax.scan(lambda c, x: (c + random.normal(k), x), 0.0, ones(3))",
    "fori": "lax.fori_loop(0, 3, lambda i, c: c + random.normal(k), 0.0)",
    "scanned_before": "ks = random.split(k, 3); lax.scan(DRAW, 0.0, ks); random.normal(ks[2])",
    "branch_then": "lax.cond(True, random.normal, lambda k: 0.0, k); random.normal(k)",
    "vmap": "vmap(lambda k: random.normal(k) + random.uniform(k))(random.split(k, 4))",
}
FINE = {
    "split": "a, b = random.split(k); random.normal(a); random.uniform(b)",
    "elements": "ks = random.split(k, 3); [random.normal(ks[i]) for i in range(3)]",
    "reshaped": "a = random.split(k, 4).reshape(2, 2); random.bits(a[0, 1]); random.bits(a[1, 1])",
    "in_jit": "jit(lambda k: [random.normal(a) for a in random.split(k)])(k)",
    "fold_in": "[random.normal(random.fold_in(k, i)) for i in range(3)]",
    "clone": "random.normal(k); random.normal(random.clone(k))",
    "scan_xs": "lax.scan(DRAW, 0.0, random.split(k, 3))",
    "scan_carry": "lax.scan(STEP, k, None, length=4)",
    "while": "lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, STEP(c[1], 0)[0]), (0, k))",
    "branches": "lax.cond(True, random.normal, lambda k: random.uniform(k), k)",
    "vmap": "vmap(random.normal)(random.split(k, 4))",
    "grad": "grad(lambda x: x * random.normal(k))(1.0)",
    "words": "w = random.PRNGKey(0); random.normal(w); random.normal(w)",
    "seeds": "random.normal(random.key(0)); random.normal(random.key(0))",
}
#: the new carry is a key that the step has drawn from
OURS = {
    "scan_carry_used": (
        "lax.scan(lambda k, _: (random.split(k)[1], random.normal(random.split(k)[1])), k, None, "
        "length=4)", True,
    ),
    "checkpoint": (
        "grad(fornax.checkpoint(lambda x: x * fnp.sin(x * random.normal(k))))(1.0)", False,
    ),
}  # fmt: skip

#: functions of a key and nothing that depends on it
FUNCTIONS = {
    "ball": (2,), "bernoulli": (), "beta": (1.0, 2.0), "binomial": (3.0, 0.5), "bits": (),
    "categorical": (fnp.ones(3),), "cauchy": (), "chisquare": (2.0,), "choice": (5, (3,)),
    "dirichlet": (fnp.ones(3),), "exponential": (), "gamma": (2.0,), "geometric": (0.5,),
    "gumbel": (), "laplace": (), "logistic": (), "loggamma": (2.0,), "maxwell": (),
    "multivariate_normal": (fnp.zeros(2), fnp.eye(2)), "normal": (), "orthogonal": (3,),
    "pareto": (2.0,), "permutation": (5,), "poisson": (3.0,), "rademacher": ((2,),),
    "randint": ((2,), 0, 9), "rayleigh": (1.0,), "t": (3.0,), "triangular": (0.0, 0.5, 1.0),
    "truncated_normal": (-1.0, 1.0), "uniform": (), "wald": (1.0,), "weibull_min": (1.0, 2.0),
}  # fmt: skip


def step(key, _):
    key, own = random.split(key)
    return key, random.normal(own)


NAMES = {
    "fornax": fornax, "fnp": fnp, "lax": lax, "random": random, "jit": fornax.jit, "ones": fnp.ones,
    "grad": fornax.grad, "vmap": fornax.vmap, "STEP": step,
    "DRAW": lambda c, k: (c + random.normal(k), None),
}  # fmt: skip


def run(code: str) -> None:
    with fornax.debug_key_reuse(True):
        exec(compile(textwrap.dedent(code), "keys.py", "exec"), {**NAMES, "k": random.key(0)})


@pytest.mark.parametrize("name", AGAIN)
def test_keys_used_again(name):
    with pytest.raises(errors.KeyReuseError, match="onsumed") as caught:
        run(AGAIN[name])
    text = str(caught.value)
    assert "where: keys.py:1" in text and re.search(r"used up at .*keys?_?\w*\.py:\d+", text)
    assert "try:   key, other = random.split(key)" in text


@pytest.mark.parametrize("name", FINE)
def test_keys_used_once(name):
    run(FINE[name])


@pytest.mark.parametrize("name", OURS)
def test_what_jax_says_otherwise(name):
    code, again = OURS[name]
    if again:
        with pytest.raises(errors.KeyReuseError):
            run(code)
    else:
        run(code)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_use_their_key_once(name):
    key = random.key(1)
    with fornax.debug_key_reuse(True):
        getattr(random, name)(key, *FUNCTIONS[name])
        with pytest.raises(errors.KeyReuseError):
            random.normal(key)


def test_nothing_is_asked_unless_the_setting_is_on():
    key = random.key(0)
    assert random.normal(key) == random.normal(key)
    with fornax.debug_key_reuse(True):
        random.normal(key)
    random.normal(key)
