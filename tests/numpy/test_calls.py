"""How functions can be called where that is not a matter of their results."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import fornax
import fornax.numpy as fnp
from fornax.experimental import checkify

X, Y, Z = (np.ones(s, np.float32) for s in ((2, 3), (3, 4), (4, 5)))


@pytest.mark.parametrize(
    ("arguments", "optimize", "expected"),
    [
        (("ij,jk,kl", X, Y, Z), "auto", [(0, 1), (0, 1)]),
        (("ij,jk,kl", X, Y, Z), "greedy", [(1, 2), (0, 1)]),
        (("ij,jk,kl", X, Y, Z), True, [(0, 1), (0, 1)]),
        (("ij,jk,kl", X, Y, Z), False, [(0, 1), (0, 1)]),
        (("ij,jk,kl", X, Y, Z), [(1, 2), (0, 1)], [(1, 2), (0, 1)]),
        (("...ij,...jk->...ik", X, Y), "auto", [(0, 1)]),
        (("...", 1.0), "auto", [(0,)]),
        ((X, [0, 1], Y, [1, 2], [0, 2]), "auto", [(0, 1)]),
    ],
)
def test_orders_of_contractions(arguments, optimize, expected):
    steps, about = fnp.einsum_path(*arguments, optimize=optimize)
    assert steps == expected == about.path
    result = fnp.einsum(*arguments, optimize=steps)
    np.testing.assert_allclose(result, np.einsum(*arguments))


def test_costs_of_an_order_of_contractions():
    """The numbers that JAX's `einsum_path` gives for the same call."""
    _, about = fnp.einsum_path("ij,jk,kl", X, Y, Z)
    assert (about.naive_cost, about.opt_cost, about.speedup) == (360, 128, 2.8125)
    assert (about.largest_intermediate, about.scale_list, about.size_list) == (10, [3, 3], [8, 10])
    assert about.eq == "ij,jk,kl->il" and about.size_dict == {"i": 2, "j": 3, "k": 4, "l": 5}
    assert "ij,jk->ik" in str(about) and "128" in f"{about.opt_cost}"


@pytest.mark.parametrize("text", ["ij,jk", "ij->k"])
def test_contractions_that_do_not_fit(text):
    with pytest.raises(ValueError, match="einsum"):
        fnp.einsum_path(text, *((X, Z) if "," in text else (X,)))


def test_einsum_calls_the_product_it_is_given():
    calls = []

    def product(a, b, numbers, **options):
        calls.append(numbers)
        return fornax.lax.dot_general(a, b, numbers, **options)

    result = fnp.einsum("ij,jk,kl->il", X, Y, Z, _dot_general=product)
    np.testing.assert_array_equal(result, X @ Y @ Z)
    assert len(calls) == 2


def test_array_by_position_is_deprecated():
    with pytest.warns(DeprecationWarning, match="positionally is deprecated"):
        assert fnp.array([1, 2], None, True, "K", 2).shape == (1, 2)
    with pytest.raises(TypeError, match="at most 5"):
        fnp.array([1], None, True, "K", 2, 3)
    with pytest.raises(TypeError, match="multiple values for argument 'ndmin'"):
        fnp.array([1], None, True, "K", 2, ndmin=3)


def test_dtypes_need_a_value():
    with pytest.raises(TypeError):
        fnp.float32()
    assert fnp.float32(3).dtype == "float32"


def test_jit_of_none_is_no_decorator():
    with pytest.raises(TypeError, match="callable"):
        fornax.jit(None)
    assert fornax.jit(static_argnums=0)(lambda n: fnp.ones(n))(3).shape == (3,)


def test_the_joint_dtype_and_its_weakness():
    of = fornax.dtypes.result_type
    assert of(1.0, np.int8(1), return_weak_type_flag=True) == (np.float32, True)
    assert of(np.float16(1), 2, return_weak_type_flag=True) == (np.float16, False)
    assert of(np.float16(1), 2) == np.float16


def test_a_check_for_debugging_does_nothing_outside_of_checkify():
    checkify.check(False, "no", debug=True)
    error, _ = checkify.checkify(lambda: checkify.check(False, "no", debug=True))()
    assert "no" in error.get()


def test_signatures_of_records():
    assert list(inspect.signature(type(fnp.einsum_path("i", X[0])[1])).parameters)[:2] == [
        "eq", "path",
    ]  # fmt: skip


def test_bits_of_booleans():
    counted = fnp.bitwise_count(np.array([True, False]))
    assert counted.tolist() == [1, 0] and counted.dtype == np.uint8
    with pytest.raises(TypeError, match="bool"):
        fornax.lax.population_count(np.array([True]))


def test_the_dtype_of_what_describes_arrays():
    assert fornax.lax.dtype(fornax.ShapeDtypeStruct((2,), "int8")) == np.int8
    assert fornax.lax.dtype(fornax.core.ShapedArray((2,), "int32")) == np.int32
    assert fornax.lax.dtype(fornax.new_ref(fnp.ones(2))) == np.float32
    with pytest.raises(TypeError, match="Cannot determine dtype"):
        fornax.lax.dtype(object())


def test_an_array_is_frozen_already():
    x = fnp.ones(2)
    assert fornax.ref.freeze(x) is x
    assert isinstance(fornax.ref.freeze(np.ones(2)), fornax.Array)
    with pytest.raises(ValueError, match="freeze"):
        fornax.ref.freeze(1.0)


@pytest.mark.parametrize(
    "dtype", [np.float32, "float32", np.dtype("float32"), fnp.float32, X, fnp.ones(2), X[0, 0]]
)
@pytest.mark.parametrize("finfo", [fnp.finfo, fornax.dtypes.finfo])
def test_limits_of_floats(finfo, dtype):
    assert finfo(dtype).eps == np.float32(2**-23)


@pytest.mark.parametrize(
    "dtype", [np.int8, "int8", np.dtype("int8"), fnp.int8, np.zeros(2, np.int8), np.int8(3)]
)
@pytest.mark.parametrize("iinfo", [fnp.iinfo, fornax.dtypes.iinfo])
def test_limits_of_integers(iinfo, dtype):
    assert iinfo(dtype).max == 127


def test_convolutions_whose_places_have_no_number_are_refused():
    long, short = (fornax.ShapeDtypeStruct((n,), np.float32) for n in (2**31 + 9, 3))
    with pytest.raises(ValueError, match=r"convolve of 2147483657 and 3 elements"):
        fornax.eval_shape(lambda x, y: fnp.convolve(x, y, "valid"), long, short)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "uint32"])
def test_integer_powers_are_exact_in_the_bits_there_are(dtype):
    limits = np.iinfo(dtype)
    bases = np.array([0, 1, 2, 3, 6, 77, limits.max, limits.max - 2, limits.min], dtype)
    exponents = np.array([0, 1, 2, 5, 31, 63, 64, 65, 100, 127, limits.max], dtype)
    x, y = (a.ravel() for a in np.meshgrid(bases, exponents))
    expected = [pow(int(a), int(b), 1 << limits.bits) for a, b in zip(x, y, strict=True)]
    found = np.asarray(fornax.jit(lambda x, y: x**y)(x, y))
    np.testing.assert_array_equal(found, np.array(expected, f"uint{limits.bits}").view(dtype))
