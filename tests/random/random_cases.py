"""Calls of the functions of `random` whose results are recorded from JAX.

Each case is a label and a function of the module `random` and a key of it. Run this file with a
Python that has JAX to write `recorded.npz` anew.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

RECORDED = os.path.join(os.path.dirname(__file__), "recorded.npz")
F4, F8, F2, BF = np.float32, np.float64, np.float16, ml_dtypes.bfloat16

#: label -> function(random, key); results are arrays of numbers, not keys
CASES: dict[str, Callable[[Any, Any], Any]] = {}
#: labels of cases that need 64-bit types
WIDE: set[str] = set()
#: label -> largest difference from what is recorded, in units in the last place
ULPS: dict[str, float] = {}


def case(label: str, function: Callable[[Any, Any], Any], ulps: float = 0, wide: bool = False):
    """Add a case. In float64 more is allowed: there JAX's log1p is off by up to 100 ulps."""
    assert label not in CASES
    CASES[label] = function
    ULPS[label] = 128 if wide and ulps else ulps
    if wide:
        WIDE.add(label)


#: ulps for what takes several rounded steps, which other systems fuse in other ways
COMPOSED = 32
#: ulps for what a decomposition of a matrix gives, whose small elements are differences
DECOMPOSED = 256
A = np.array([0.3, 1.0, 2.5, 40.0], F4)
KEYS = np.arange(12, dtype=np.uint32).reshape(6, 2) * 977

# --- keys, bits: exact -------------------------------------------------------------------------
for seed in (0, 1, 42, -1, 2**31 - 1, 2**32 + 5, -(2**33) - 7, 2**63 - 1):
    case(f"seed {seed}", lambda r, k, seed=seed: r.PRNGKey(seed))
    case(f"wide seed {seed}", lambda r, k, seed=seed: r.PRNGKey(seed), wide=True)
for seed in (np.int8(-1), np.uint8(200), np.int16(-300), np.uint32(7), np.int32(-9)):
    case(f"seed {seed!r}", lambda r, k, seed=seed: r.PRNGKey(seed))
for num in (1, 2, 5, (3, 2), (2, 1, 3), 0):
    case(f"split {num}", lambda r, k, num=num: r.split(r.key_data(k), num))
for data in (0, 1, 77, 2**32 - 1, np.uint8(3), np.int32(-5)):
    case(f"fold_in {data!r}", lambda r, k, data=data: r.fold_in(r.key_data(k), data))
for name in ("uint8", "uint16", "uint32", "uint64"):
    for shape in ((), (5,), (3, 4), (2, 3, 2), (0, 3)):
        case(f"bits {name} {shape}", lambda r, k, n=name, s=shape: r.bits(k, s, n), wide=True)
case("bits", lambda r, k: r.bits(k, (4,)))
for dtype in (F2, BF, F4, F8):
    name, wide = np.dtype(dtype).name, dtype is F8
    for shape in ((), (7,), (2, 3)):
        case(f"uniform {name} {shape}", lambda r, k, d=dtype, s=shape: r.uniform(k, s, d),
             wide=wide)  # fmt: skip
    case(f"bernoulli {name}", lambda r, k, d=dtype: r.bernoulli(k, d(0.3), (9,)), wide=wide)
case("bernoulli", lambda r, k: r.bernoulli(k, shape=(8,)))
case("bernoulli p", lambda r, k: r.bernoulli(k, A / 41))
case("bernoulli p shape", lambda r, k: r.bernoulli(k, A / 41, (3, 4)))
case("bernoulli high", lambda r, k: r.bernoulli(k, F4(0.2), (9,), mode="high"))
for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32"):
    case(f"randint {name}", lambda r, k, n=name: r.randint(k, (9,), 3, 117, n))
    case(
        f"randint full {name}",
        lambda r, k, n=name: r.randint(
            k, (9,), 0 if n[0] == "u" else -100, np.iinfo(n).max - 1 if n != "uint32" else 9, n
        ),
    )
case("randint int64", lambda r, k: r.randint(k, (5,), -(2**40), 2**50, np.int64), wide=True)
case("randint uint64", lambda r, k: r.randint(k, (5,), 0, 2**50, np.uint64), wide=True)
case("randint bounds", lambda r, k: r.randint(
    k, (3, 4), np.array([0, 5, 9, 9]), np.array([[4], [6], [10]])))  # fmt: skip
case("randint beyond int8", lambda r, k: r.randint(k, (20,), -1000, 1000, np.int8))
case("randint beyond uint8", lambda r, k: r.randint(k, (20,), -1000, 256, np.uint8))
case("rademacher", lambda r, k: r.rademacher(k, (9,)))
case("rademacher float", lambda r, k: r.rademacher(k, (2, 3), F4))
case("permutation 10", lambda r, k: r.permutation(k, 10))
case("permutation 300", lambda r, k: r.permutation(k, 300))
case("permutation vector", lambda r, k: r.permutation(k, A))
case("permutation rows", lambda r, k: r.permutation(k, np.arange(12).reshape(4, 3)))
case("permutation columns", lambda r, k: r.permutation(k, np.arange(12).reshape(4, 3), axis=1))
case("permutation independent", lambda r, k: r.permutation(
    k, np.arange(12).reshape(4, 3), axis=-1, independent=True))  # fmt: skip
case("choice", lambda r, k: r.choice(k, 10, (7,)))
case("choice one", lambda r, k: r.choice(k, 10))
case("choice array", lambda r, k: r.choice(k, A, (2, 3)))
case("choice once", lambda r, k: r.choice(k, 10, (7,), replace=False))
case("choice rows once", lambda r, k: r.choice(
    k, np.arange(12).reshape(4, 3), (2,), replace=False, axis=1))  # fmt: skip
case("choice weights", lambda r, k: r.choice(k, 4, (9,), p=A / A.sum()))
case("choice weights once", lambda r, k: r.choice(k, 4, (3,), replace=False, p=A / A.sum()))
LOGITS = np.linspace(-1, 2, 12, dtype=F4).reshape(3, 4)
case("categorical", lambda r, k: r.categorical(k, LOGITS))
case("categorical axis", lambda r, k: r.categorical(k, LOGITS, axis=0))
case("categorical shape", lambda r, k: r.categorical(k, LOGITS, shape=(5, 3)))
case("categorical high", lambda r, k: r.categorical(k, LOGITS, mode="high"))
case("categorical once", lambda r, k: r.categorical(k, LOGITS, shape=(3, 3), replace=False))
case("categorical once axis", lambda r, k: r.categorical(
    k, LOGITS, axis=0, shape=(2, 4), replace=False))  # fmt: skip
case("clone", lambda r, k: r.key_data(r.clone(k)))
case("geometric", lambda r, k: r.geometric(k, A / 50, (3, 4)))
case("poisson", lambda r, k: r.poisson(k, A, (3, 4)))
case("poisson large", lambda r, k: r.poisson(k, np.array([0.0, 12.0, 300.0, 5000.0], F4)))
case("poisson int8", lambda r, k: r.poisson(k, 3, (9,), np.int8))
case("binomial", lambda r, k: r.binomial(k, np.array([3, 20, 300, 7]), A / 41, (3, 4)))
case("binomial high", lambda r, k: r.binomial(k, 50, np.array([0.6, 0.99, 1.0, 0.5], F4)))
case("binomial strange", lambda r, k: r.binomial(
    k, np.array([3, -1, np.inf, 5], F4), np.array([np.nan, 0.5, 0.5, -0.1], F4)))  # fmt: skip
case("multinomial", lambda r, k: r.multinomial(k, F4(30), np.array([0.2, 0.5, 0.3], F4)))
case("multinomial shape", lambda r, k: r.multinomial(
    k, np.array([30, 7], F4), np.array([0.2, 0.5, 0.3], F4), shape=(2, 3)))  # fmt: skip

# --- rounded -----------------------------------------------------------------------------------
case("uniform bounds", lambda r, k: r.uniform(k, (50,), F4, 0.3, 7.1), 2)
case("uniform around 0", lambda r, k: r.uniform(k, (50,), F4, -0.7, 0.6), 2)
case("uniform arrays", lambda r, k: r.uniform(k, (3, 4), F4, -A, 2 * A), 2)
case("uniform wide bounds", lambda r, k: r.uniform(k, (50,), F8, -0.7, 0.6), 2, wide=True)
for dtype in (F2, BF, F4, F8):
    name, wide = np.dtype(dtype).name, dtype is F8
    case(f"normal {name}", lambda r, k, d=dtype: r.normal(k, (200,), d), 2, wide)
    for label in ("exponential", "gumbel", "laplace", "logistic", "cauchy", "maxwell"):
        case(f"{label} {name}",
             lambda r, k, d=dtype, label=label: getattr(r, label)(k, (60,), d),
             2, wide)  # fmt: skip
    for label, args in (
        ("truncated_normal", (-1.5, 2.0)), ("pareto", (1.5,)), ("rayleigh", (2.0,)),
        ("wald", (1.5,)), ("lognormal", (0.5,)), ("triangular", (0.0, 0.5, 2.0)),
        ("weibull_min", (2.0, 1.5)), ("double_sided_maxwell", (1.0, 2.0)),
        ("generalized_normal", (1.5,)),
    ):  # fmt: skip
        case(
            f"{label} {name}",
            lambda r, k, d=dtype, label=label, args=args: getattr(r, label)(
                k, *map(d, args), (40,), d
            ),
            COMPOSED if label[:4] in ("wald", "trun", "gene", "pare") else 2,
            wide,
        )  # fmt: skip
    if dtype in (F4, F8):
        for label, call in (
            ("gamma", lambda r, k, d: r.gamma(k, A.astype(d), (30, 4), d)),
            ("loggamma", lambda r, k, d: r.loggamma(k, A.astype(d), (30, 4), d)),
            ("beta", lambda r, k, d: r.beta(k, d(2), A.astype(d), (9, 4), d)),
            ("chisquare", lambda r, k, d: r.chisquare(k, d(3), (9,), d)),
            ("t", lambda r, k, d: r.t(k, d(3), (9,), d)),
            ("f", lambda r, k, d: r.f(k, d(3), d(5), (9,), d)),
            ("dirichlet", lambda r, k, d: r.dirichlet(k, A.astype(d), (5,), d)),
            ("ball", lambda r, k, d: r.ball(k, 3, 2, (5,), d)),
            ("ball p", lambda r, k, d: r.ball(k, 3, 1.5, (5,), d)),
        ):  # fmt: skip
            case(f"{label} {name}", lambda r, k, d=dtype, call=call: call(r, k, d), COMPOSED, wide)
case("normal complex64", lambda r, k: r.normal(k, (50,), np.complex64), 2)
case("normal complex128", lambda r, k: r.normal(k, (50,), np.complex128), 2, True)
case("normal ()", lambda r, k: r.normal(k), 2)
case("normal (0, 3)", lambda r, k: r.normal(k, (0, 3)))
case("truncated_normal arrays", lambda r, k: r.truncated_normal(k, -A, A, (5, 4)), COMPOSED)
case("gumbel high", lambda r, k: r.gumbel(k, (60,), mode="high"), COMPOSED)
case("gumbel highest", lambda r, k: r.gumbel(k, (60,), mode="highest"), COMPOSED)
case("gamma small", lambda r, k: r.loggamma(k, F4(1e-3), (20,)), COMPOSED)

# --- with a decomposition ----------------------------------------------------------------------
MEAN = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, -0.25]], F4)
COVARIANCE = np.array([[2.0, 0.3, -0.2], [0.3, 1.0, 0.1], [-0.2, 0.1, 0.5]], F4)
for method in ("cholesky", "eigh", "svd"):
    case(f"multivariate_normal {method}", lambda r, k, method=method: r.multivariate_normal(
        k, MEAN[0], COVARIANCE, (4,), method=method), DECOMPOSED)  # fmt: skip
case("multivariate_normal float64", lambda r, k: r.multivariate_normal(
    k, MEAN[0].astype(F8), COVARIANCE.astype(F8), (4,)), COMPOSED, wide=True)  # fmt: skip
case("multivariate_normal stacks", lambda r, k: r.multivariate_normal(
    k, MEAN, np.stack([COVARIANCE, 2 * COVARIANCE])[:, None]), DECOMPOSED)  # fmt: skip
case("multivariate_normal (0,)", lambda r, k: r.multivariate_normal(
    k, MEAN[0], COVARIANCE, (0,)))  # fmt: skip
for n, m, dtype, wide in (
    (3, None, F4, False), (2, 4, F4, False), (4, 2, F4, False), (3, None, F8, True),
    (3, None, np.complex64, False), (2, 3, np.complex128, True),
):  # fmt: skip
    case(f"orthogonal {n} {m} {np.dtype(dtype).name}", lambda r, k, n=n, m=m, d=dtype: r.orthogonal(
        k, n, (2,), d, m), DECOMPOSED, wide)  # fmt: skip
case("orthogonal 0", lambda r, k: r.orthogonal(k, 0, (2,)))


# --- generators whose bits come from rng_bit_generator -----------------------------------------
def mapped(r: Any, function: Callable[..., Any], *axes: Any) -> Any:
    """The function under the vmap of the system that `r` belongs to."""
    system = importlib.import_module(r.__name__.split(".")[0])
    return system.vmap(function)(*axes)


for impl in ("rbg", "unsafe_rbg"):

    def made(r, seed=11, impl=impl):
        return r.key(seed, impl=impl)

    def spread(r, made=made):
        return r.split(made(r, 3), (2, 3))

    for label, function, ulps in (
        ("PRNGKey", lambda r, k, impl=impl: r.PRNGKey(7, impl=impl), 0),
        ("seed", lambda r, k, m=made: r.key_data(m(r, -5)), 0),
        ("split", lambda r, k, m=made: r.key_data(r.split(m(r), 5)), 0),
        ("split of a split", lambda r, k, m=made: r.key_data(
            r.split(r.split(m(r))[1], (2, 1, 2))), 0),
        ("fold_in", lambda r, k, m=made: r.key_data(r.fold_in(m(r), 2**31 + 5)), 0),
        ("bits", lambda r, k, m=made: r.bits(m(r), (3, 5)), 0),
        ("bits uint8", lambda r, k, m=made: r.bits(m(r), (7,), "uint8"), 0),
        ("bits uint16", lambda r, k, m=made: r.bits(m(r), (7,), "uint16"), 0),
        ("no bits", lambda r, k, m=made: r.bits(m(r), (0, 2)), 0),
        ("uniform", lambda r, k, m=made: r.uniform(m(r), (2, 3)), 0),
        ("normal", lambda r, k, m=made: r.normal(m(r), (5,)), COMPOSED),
        ("permutation", lambda r, k, m=made: r.permutation(m(r), 9), 0),
        ("randint", lambda r, k, m=made: r.randint(m(r), (4,), 0, 1000), 0),
        ("gamma", lambda r, k, m=made: r.gamma(m(r), 2.0, (3,)), COMPOSED),
        ("uniform mapped", lambda r, k, m=spread: mapped(
            r, lambda key: mapped(r, lambda key: r.uniform(key, (2,)), key), m(r)), 0),
        ("split mapped", lambda r, k, m=spread: mapped(
            r, lambda key: r.key_data(r.split(key)), m(r)[1]), 0),
        ("fold_in mapped", lambda r, k, m=spread: mapped(
            r, lambda key, n: r.key_data(r.fold_in(key, n)), m(r)[0], np.arange(3)), 0),
        ("fold_in of mapped numbers", lambda r, k, m=made: mapped(
            r, lambda n: r.key_data(r.fold_in(m(r), n)), np.arange(3)), 0),
    ):  # fmt: skip
        case(f"{impl} {label}", function, ulps)
    case(f"{impl} bits uint64", lambda r, k, m=made: r.bits(m(r), (3,), "uint64"), wide=True)
    case(f"{impl} uniform float64", lambda r, k, m=made: r.uniform(m(r), (3,), F8), wide=True)


def results(random: Any, as_numpy: Callable[[Any], np.ndarray], wide: bool) -> dict:
    """The results of all cases with or without 64-bit types."""
    key = random.key(1234)
    return {
        label: as_numpy(function(random, key))
        for label, function in CASES.items()
        if (label in WIDE) == wide
    }


if __name__ == "__main__":
    import jax

    found = {}
    for wide in (False, True):
        jax.config.update("jax_enable_x64", wide)
        for label, value in results(jax.random, np.asarray, wide).items():
            if value.dtype == BF:
                value = value.view(np.uint16)
            found[label] = value
    np.savez_compressed(RECORDED, **found)
    print(len(found), "results recorded")
