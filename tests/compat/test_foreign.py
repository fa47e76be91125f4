"""Operations that a library defines, with rules in tables, under every transformation."""

from __future__ import annotations

import numpy as np
import pytest

import fornax
from fornax import numpy as fnp
from fornax.compat import derivatives, foreign
from fornax.ir.types import ArrayType

product = foreign.Primitive("scaled_product")


@product.def_impl
def _evaluate(x, y, *, scale):
    return fnp.asarray(scale * np.asarray(x) * np.asarray(y))


@product.def_abstract_eval
def _type(x, y, *, scale):
    return ArrayType(x.shape, x.dtype)


def _slope(primals, tangents, *, scale):
    x, y = primals
    dx, dy = map(derivatives.instantiate_zeros, tangents)
    slope = product.bind(dx, y, scale=scale) + product.bind(x, dy, scale=scale)
    return product.bind(x, y, scale=scale), slope


def _back(ct, x, y, *, scale):
    if derivatives.is_undefined_primal(x):
        assert x.aval.shape == ct.shape
        return product.bind(ct, y, scale=scale), None
    return None, product.bind(x, ct, scale=scale)


def _mapped(operands, dims, *, scale):
    x, y = (
        fnp.moveaxis(a, d, 0) if d is not None else a for a, d in zip(operands, dims, strict=True)
    )
    x, y = fnp.broadcast_arrays(x, y)
    return product.bind(x, y, scale=scale), 0


foreign.register_lowering(
    product, foreign.lower_fun(lambda x, y, *, scale: scale * x * y, multiple_results=False)
)
foreign.primitive_jvps[product] = _slope
foreign.primitive_transposes[product] = _back
foreign.primitive_batchers[product] = _mapped

split = foreign.Primitive("split_sign")
split.multiple_results = True
split.def_impl(lambda x: [fnp.maximum(x, 0), fnp.minimum(x, 0)])
split.def_abstract_eval(lambda x: [x, x])
foreign.fancy_primitive_batchers[split] = lambda axis, operands, dims: (
    split.bind(*operands), [dims[0]] * (2 if axis.size else 0)
)  # fmt: skip

numbered = foreign.Primitive("numbered")  # each element of the mapped axis learns where it is
numbered.def_impl(lambda x: x)
numbered.def_abstract_eval(lambda x: x)


def _numbered(size, name, trace_type, operands, dims):
    assert name == "places" and trace_type is None
    (x,), (dim,) = operands, dims
    shape = [size if i == dim else 1 for i in range(x.ndim)]
    return x + fnp.arange(size, dtype=x.dtype).reshape(shape), dim


foreign.axis_primitive_batchers[numbered] = _numbered

negated = foreign.Primitive("negated")
negated.def_impl(lambda x: fnp.negative(x))
negated.def_abstract_eval(lambda x: x)
derivatives.deflinear(negated, lambda ct: [negated.bind(ct)])

X, Y = fnp.float32([1, 2, 3]), fnp.float32([4, 5, 6])


def function(x, y):
    return product.bind(x, y, scale=2.0)


def test_rules_that_learn_of_the_mapped_axis():
    outside = fornax.vmap(numbered.bind, in_axes=1, out_axes=1, axis_name="places")
    assert outside(fnp.zeros((2, 3))).tolist() == [[0, 1, 2], [0, 1, 2]]
    assert fornax.jit(outside)(fnp.zeros((2, 3))).tolist() == [[0, 1, 2], [0, 1, 2]]


def test_values_at_once_compiled_and_mapped():
    mapped = fornax.vmap(function)
    for call in (function, fornax.jit(function), mapped, fornax.jit(mapped)):
        assert np.array_equal(call(X, Y), [8, 20, 36])
    mixed = fornax.vmap(function, in_axes=(1, None))(fnp.stack([X, X], 1), Y)
    assert np.array_equal(mixed, [[8, 20, 36]] * 2)
    assert "scaled_product" in str(fornax.make_jaxpr(function)(X, Y))


def test_derivatives():
    out, slope = fornax.jvp(function, (X, Y), (X, Y))
    assert np.array_equal(slope, 2 * np.asarray(out))
    for transform in (lambda f: f, fornax.jit):
        got = transform(fornax.grad(lambda x, y: function(x, y).sum(), (0, 1)))(X, Y)
        assert np.array_equal(got, [2 * Y, 2 * X])
    assert np.array_equal(fornax.grad(lambda x: negated.bind(x).sum())(X), [-1, -1, -1])


def test_several_results():
    x = fnp.float32([-1, 2])
    for call in (split.bind, fornax.jit(split.bind), fornax.vmap(split.bind)):
        assert np.array_equal(call(x), [[0, 2], [-1, 0]])


def test_absent_rules_are_named():
    bare = foreign.Primitive("bare")
    with pytest.raises(NotImplementedError, match="Abstract evaluation for 'bare'"):
        bare.bind(1.0)
    bare.def_abstract_eval(lambda x: x)
    with pytest.raises(NotImplementedError, match="Evaluation rule for 'bare'"):
        bare.bind(1.0)
    with pytest.raises(NotImplementedError, match="'bare' not found for platform cpu"):
        fornax.jit(bare.bind)(1.0)
    with pytest.raises(NotImplementedError, match="Batching rule for 'bare'"):
        fornax.vmap(bare.bind)(X)
    with pytest.raises(NotImplementedError, match="Differentiation rule for 'bare'"):
        fornax.grad(bare.bind)(1.0)
    loud = foreign.Primitive("loud")
    loud.def_effectful_abstract_eval(lambda x: (x, {"an effect"}))
    with pytest.raises(NotImplementedError, match="effects of the primitive loud"):
        loud.bind(1.0)
