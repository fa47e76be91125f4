"""Errors: their classes and phrases are JAX's, and they name what is wrong."""

import numpy as np
import pytest

import fornax as fx
import fornax.numpy as fnp
from fornax import errors, lax

X = np.ones(3, np.float32)


def square(x):
    return x * x


def plus(x, y):
    return x + y


def custom(jvp):
    f = fx.custom_jvp(lambda x: x * 2)
    f.defjvp(jvp)
    return f


def custom_back(fwd, bwd, fun=lambda x: x * 2, **options):
    f = fx.custom_vjp(fun, **options)
    f.defvjp(fwd, bwd)
    return f


def leaked():
    seen = []
    fx.jit(lambda x: seen.append(x))(1.0)
    return seen[0] + 1


def leaked_from_grad():
    seen = []
    fx.grad(lambda x: seen.append(x) or x)(1.0)
    return fnp.sin(seen[0])


scan = lax.scan
CASES = {
    # differentiation
    "grad of int": (lambda: fx.grad(square)(1), TypeError,
                    "grad requires real- or complex-valued inputs .* got int32"),
    "grad of vector": (lambda: fx.grad(square)(X), TypeError,
                       r"Gradient only defined for scalar-output functions. Output had shape: \(3"),
    "grad of pair": (lambda: fx.grad(lambda x: (x, x))(1.0), TypeError,
                     "Gradient only defined for scalar-output functions. Output was"),
    "grad of int output": (lambda: fx.grad(lambda x: 3)(1.0), TypeError,
                           "grad requires real-valued outputs .* got int32"),
    "grad of text output": (lambda: fx.grad(lambda x: "a")(1.0), TypeError, "not a valid JAX type"),
    "grad argnums": (lambda: fx.grad(square, argnums=3)(1.0), TypeError,
                     "argnums=3 requires at least 4 positional arguments .* only 1"),
    "grad of text": (lambda: fx.grad(square)("a"), TypeError, "not a valid JAX type"),
    "grad of complex": (lambda: fx.grad(square)(1 + 2j), TypeError,
                        "real-valued outputs .* complex64. For holomorphic"),
    "grad holomorphic": (lambda: fx.grad(square, holomorphic=True)(1.0), TypeError,
                         "holomorphic=True requires inputs with complex dtype, but got float32"),
    "grad aux": (lambda: fx.grad(square, has_aux=True)(1.0), TypeError,
                 "aux output to return a two-element tuple"),
    "jvp no tuple": (lambda: fx.jvp(square, 1.0, 1.0), TypeError, "must be tuples or lists"),
    "jvp dtype": (lambda: fx.jvp(square, (1.0,), (1,)), TypeError, "dtypes must be equal"),
    "jvp shape": (lambda: fx.jvp(square, (1.0,), (X,)), ValueError,
                  "different primal and tangent shapes"),
    "jvp structure": (lambda: fx.jvp(square, (1.0,), (1.0, 2.0)), TypeError,
                      "must have the same tree structure"),
    "vjp structure": (lambda: fx.vjp(square, 1.0)[1]((1.0, 2)), ValueError,
                      "unexpected tree structure"),
    "vjp dtype": (lambda: fx.vjp(square, 1.0)[1](1), ValueError,
                  r"got int32\[\]|got i32\[\], but expected f32\[\]"),
    "vjp arguments": (lambda: fx.vjp(square, 1.0)[1](1.0, 2.0), TypeError, "single argument"),
    "linearize structure": (lambda: fx.linearize(square, 1.0)[1](1.0, 2.0), TypeError,
                            "expected"),
    "linearize dtype": (lambda: fx.linearize(square, 1.0)[1](1), ValueError, "inconsistent"),
    "jacfwd of int": (lambda: fx.jacfwd(square)(1), TypeError,
                      "jacfwd requires real-valued inputs"),
    "jacrev of int": (lambda: fx.jacrev(square)(1), TypeError,
                      "jacrev requires real- or complex-valued inputs"),
    "linear_transpose type": (lambda: fx.linear_transpose(lambda x: 2 * x, 1.0)(X), TypeError,
                              "cotangent type does not match function output"),
    "linear_transpose of square": (lambda: fx.linear_transpose(square, 1.0)(1.0),
                                   NotImplementedError, r"a product of two values that both "
                                   r"depend on the inputs\n  where: .*\.py:\d+ \(square"),
    "linear_transpose of product": (lambda: fx.linear_transpose(lambda x: x @ x, X)(1.0),
                                    NotImplementedError, "a product of two values"),
    "linear_transpose to int": (lambda: fx.linear_transpose(lambda x: (x, 3), 1.0)((1.0, 3)),
                                TypeError, r"only supports .* got \['float32'\] -> \['float32', "
                                "'int32'"),
    "linear_call shape": (
        lambda: fx.grad(lambda x: fx.custom_derivatives.linear_call(
            lambda r, x: x * 2, lambda r, t: X, (), x))(1.0),
        ValueError, r"Expected cotangent type f32\[\] but got f32\[3\]"),
    "scan unroll": (lambda: scan(lambda c, x: (c, x), 1.0, X, unroll=1.5), TypeError, "unroll"),
    # vmap
    "vmap sizes": (lambda: fx.vmap(plus)(X, np.ones(4)), ValueError,
                   r"inconsistent sizes[\s\S]*one axis had size 3: axis 0 of argument x of type "
                   r"float32\[3\][\s\S]*one axis had size 4: axis 0 of argument y"),
    "vmap tree sizes": (lambda: fx.vmap(lambda d: d["a"])({"a": X, "b": np.ones(4), "c": X}),
                        ValueError, r"most axes \(2 of them\) had size 3, e.g. axis 0 of argument "
                        r"d\['a'\]"),
    "vmap scalars": (lambda: fx.vmap(plus)(1.0, 2.0), ValueError, "rank should be at least 1"),
    "vmap in_axes length": (lambda: fx.vmap(plus, in_axes=(0,))(X, X), ValueError,
                            r"len\(in_axes\)=1, len\(args\)=2"),
    "vmap nothing mapped": (lambda: fx.vmap(plus, in_axes=(None, None))(X, X), ValueError,
                            "at least one non-None value in in_axes"),
    "vmap axis": (lambda: fx.vmap(plus, in_axes=(0, 2))(X, X), ValueError,
                  "rank should be at least 3"),
    "vmap axis type": (lambda: fx.vmap(plus, in_axes=(0, "a"))(X, X), TypeError,
                       "must be an int, None, or"),
    "vmap axis tree": (lambda: fx.vmap(plus, in_axes=(0, (0, 0)))(X, X), ValueError,
                       r"vmap in_axes\[1\]"),
    "vmap out_axes none": (lambda: fx.vmap(plus, out_axes=None)(X, X), ValueError,
                           "axis spec None but output was batched on axis 0"),
    "vmap out_axes tree": (lambda: fx.vmap(plus, out_axes=(0, 0))(X, X), ValueError,
                           "vmap out_axes"),
    "vmap out axis": (lambda: fx.vmap(plus, out_axes=3)(X, X), ValueError,
                      "axis 3 is out of bound"),
    "vmap axis_size": (lambda: fx.vmap(plus, axis_size=4)(X, X), ValueError,
                       "the `axis_size` argument was 4"),
    "vmap empty": (lambda: fx.vmap(plus)(), ValueError, "at least one argument"),
    "vmap text": (lambda: fx.vmap(lambda x: "a")(X), TypeError, "Output from batched function 'a'"),
    # jit
    "static list": (lambda: fx.jit(lambda x, y: x, static_argnums=0)([1], 2), ValueError,
                    "Non-hashable static arguments are not supported"),
    "static named list": (lambda: fx.jit(lambda x, y: x, static_argnames="x")(x=[1], y=2),
                          ValueError, "Non-hashable static arguments"),
    "static number": (lambda: fx.jit(plus, static_argnums=4), ValueError,
                      r"static_argnums=\(4,\), but only accepts 2 positional arguments"),
    "static name": (lambda: fx.jit(plus, static_argnames="z"), ValueError,
                    "invalid argnames {'z'} in static_argnames"),
    "jit of text": (lambda: fx.jit(lambda x: x)("a"), TypeError,
                    "of type <class 'str'> and was passed to the function at path x"),
    "jit gives text": (lambda: fx.jit(lambda x: ["a"])(1.0), TypeError,
                       r"returned a value at output component \[0\] of type <class 'str'>"),
    "python if": (lambda: fx.jit(lambda x: x if x else 2)(1.0),
                  errors.TracerBoolConversionError, r"boolean conversion[\s\S]*argument x"),
    "python if under vmap": (lambda: fx.vmap(lambda x: x if x > 0 else 2)(X),
                             errors.TracerBoolConversionError, "boolean conversion"),
    "python range": (lambda: fx.jit(lambda n: list(range(n)))(3),
                     errors.TracerIntegerConversionError, "__index__"),
    "python float": (lambda: fx.jit(lambda x: float(x))(3.0),
                     errors.ConcretizationTypeError, "float"),
    "numpy in jit": (lambda: fx.jit(lambda x: np.sin(np.asarray(x)))(X),
                     errors.TracerArrayConversionError, "__array__"),
    "not callable": (lambda: fx.jit(3), TypeError, "Expected a callable value, got 3"),
    "donate static": (lambda: fx.jit(lambda x: x, donate_argnums=0, static_argnums=0), ValueError,
                      "cannot intersect"),
    "compiled types": (lambda: fx.jit(square).lower(1.0).compile()(X), TypeError,
                       r"Argument 'x' compiled with f32\[\] and called with f32\[3\]"),
    "compiled structure": (lambda: fx.jit(square).lower(1.0).compile()(1.0, 2.0), TypeError,
                           r"seen tuple of length 1 but now given tuple of length 2"),
    "leak": (leaked, errors.UnexpectedTracerError, "leaked tracer"),
    "leak from grad": (leaked_from_grad, errors.UnexpectedTracerError, "unexpected tracer"),
    # loops
    "scan carry type": (lambda: scan(lambda c, a: (c.astype(int), a), np.float32(3), X),
                        TypeError,
                        r"The input carry c has type float32\[\] but the corresponding output "
                        r"carry component has type int32\[\], so the dtypes do not match"),
    "scan carry shape": (lambda: scan(lambda c, a: (c + X, a), 1.0, X), TypeError,
                         "so the shapes do not match"),
    "scan carry path": (
        lambda: scan(lambda c, a: ({"a": c["a"], "b": c["b"].astype(int)}, a),
                     {"a": 1.0, "b": X}, X), TypeError,
        r"component c\['b'\] has type float32\[3\] but .* has type int32\[3\]"),
    "scan carry tree": (lambda: scan(lambda c, a: ((c, c), a), np.float32(3), X), TypeError,
                        "must have the same pytree structure"),
    "scan lengths": (lambda: scan(lambda c, a: (c, a), 1.0, (X, np.ones(2))), ValueError,
                     "different leading axis sizes: 3, 2"),
    "scan no length": (lambda: scan(lambda c, a: (c, a), 1.0, None), ValueError,
                       "no values to scan over and `length` not provided"),
    "scan scalar": (lambda: scan(lambda c, a: (c, a), 1.0, 1.0), ValueError, "no leading axis"),
    "scan no pair": (lambda: scan(lambda c, a: c, 1.0, X), TypeError, "output must be a pair"),
    "scan length": (lambda: scan(lambda c, a: (c, a), 1.0, X, length=4), ValueError,
                    r"`length` argument of 4 which disagrees with leading axis sizes \[3\]"),
    "while no bool": (lambda: lax.while_loop(lambda c: c, lambda c: c, 1.0), TypeError,
                      "must return a boolean scalar"),
    "while pair": (lambda: lax.while_loop(lambda c: (c < 1, c), lambda c: c, 1.0), TypeError,
                   "boolean scalar, but got pytree"),
    "while carry": (lambda: lax.while_loop(lambda c: c < 1, lambda c: c.astype(int),
                                           np.float32(1)), TypeError, "while_loop body function"),
    "while tree": (lambda: lax.while_loop(lambda c: c < 1, lambda c: (c, c), 1.0), TypeError,
                   "same pytree structure"),
    "while reverse": (lambda: fx.grad(lambda x: lax.while_loop(lambda c: c < 3, lambda c: c + 1,
                                                               x))(1.0), ValueError,
                      "Reverse-mode differentiation does not work for lax.while_loop"),
    "fori tree": (lambda: lax.fori_loop(0, 3, lambda i, x: (x, x), 1.0), TypeError,
                  r"loop_carry\[1\]"),
    "fori type": (lambda: lax.fori_loop(0, 3, lambda i, x: x + X, 1.0), TypeError,
                  r"component loop_carry\[1\] has type float32\[\]"),
    "fori bounds": (lambda: lax.fori_loop(0.0, 3, lambda i, x: x, 1.0), TypeError, "fori_loop"),
    "cond tree": (lambda: lax.cond(True, lambda c: c, lambda c: (c, c), 1.0), TypeError,
                  r"same pytree structure[\s\S]*true_fun output is a .* but false_fun output"),
    "cond types": (lambda: lax.cond(True, lambda c: c, lambda c: c.astype(int), np.float32(1)),
                   TypeError, r"The output of true_fun has type float32\[\] but the corresponding "
                   r"output of false_fun has type int32\[\]"),
    "cond pred shape": (lambda: lax.cond(X, lambda c: c, lambda c: c, 1.0), TypeError,
                        "Pred must be a scalar"),
    "cond pred text": (lambda: lax.cond("a", lambda c: c, lambda c: c, 1.0), TypeError,
                       "Pred must be a scalar, got a of type"),
    "switch index": (lambda: lax.switch(1.0, [square], 1.0), TypeError,
                     "Index type must be an integer, got 1.0 as float32"),
    "switch empty": (lambda: lax.switch(1, [], 1.0), ValueError, "Empty branch sequence"),
    # custom rules
    "no jvp": (lambda: fx.custom_jvp(square)(1.0), AttributeError, "No JVP defined for"),
    "no vjp": (lambda: fx.custom_vjp(square)(1.0), AttributeError, "No VJP defined for"),
    "jvp no pair": (lambda: fx.grad(custom(lambda p, t: p[0]))(1.0), TypeError,
                    "must produce a pair"),
    "jvp trees": (lambda: fx.grad(custom(lambda p, t: (p[0], (t[0], t[0]))))(1.0), TypeError,
                  "equal container"),
    "jvp types": (lambda: fx.jvp(custom(lambda p, t: (p[0], X)), (1.0,), (1.0,)), TypeError,
                  r"Expected float32\[\] \(tangent type of float32\[\]\) but got float32\[3\]"),
    "jvp output": (lambda: fx.grad(fx.jit(custom(lambda p, t: (X, X))))(1.0), TypeError,
                   "where the first element represents the primal output"),
    "jvp keywords": (lambda: custom(lambda p, t: (p[0], t[0]))(y=1.0), TypeError,
                     "could not be resolved to positional-only"),
    "fwd no pair": (lambda: fx.grad(custom_back(lambda x: x, lambda r, g: (g,)))(1.0), TypeError,
                    "must produce a pair"),
    "bwd no tuple": (lambda: fx.grad(custom_back(lambda x: (x, None), lambda r, g: g))(1.0),
                     TypeError, "same container"),
    "bwd length": (lambda: fx.grad(custom_back(lambda x: (x, None), lambda r, g: (g, g)))(1.0),
                   TypeError, "same container"),
    "bwd shape": (lambda: fx.grad(custom_back(lambda x: (x, None), lambda r, g: (X,)))(1.0),
                  ValueError, r"at output\[0\] the bwd rule"),
    "vjp forwards": (lambda: fx.jvp(custom_back(lambda x: (x, None), lambda r, g: (g,)), (1.0,),
                                    (1.0,)), TypeError,
                     r"can't apply forward-mode autodiff \(jvp\) to a custom_vjp function"),
    "nondiff tracer": (
        lambda: fx.jit(lambda n: custom_back(lambda x, n: (x, None), lambda n, r, g: (g,),
                                             fun=lambda x, n: x, nondiff_argnums=(1,))(1.0, n))(1),
        errors.UnexpectedTracerError, "nondiff_argnums"),
    "closed over": (
        lambda: fx.grad(lambda y: fx.jit(custom_over(y))(1.0))(2.0),
        errors.UnexpectedTracerError, "with respect to a closed-over value"),
    # names
    "unbound psum": (lambda: lax.psum(X, "i"), NameError, "unbound axis name: i"),
    "unbound index": (lambda: lax.axis_index("i"), NameError, "unbound axis name: i"),
    "other name": (lambda: fx.vmap(lambda x: lax.psum(x, "j"), axis_name="i")(X), NameError, "j"),
}  # fmt: skip


def custom_over(y):
    f = fx.custom_jvp(lambda x: x * y)
    f.defjvp(lambda p, t: (p[0], t[0]))
    return f


@pytest.mark.parametrize("name", CASES)
def test_error(name):
    run, kind, pattern = CASES[name]
    with pytest.raises(kind, match=pattern):
        run()


@pytest.mark.parametrize(
    "transform", [fx.jit, fx.vmap, fx.grad, lambda f: lambda x: fx.jvp(f, (x,), (x,))]
)
def test_checking_leaks(transform):
    seen = []

    def leaky(x):
        seen.append(x * 2)
        return (x * x).sum()

    with fx.checking_leaks(), pytest.raises(errors.UnexpectedTracerError, match="Leaked trace"):
        transform(leaky)(X)
    seen.clear()
    with fx.checking_leaks():
        transform(lambda x: (x * x).sum())(X)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda n: fnp.split(np.arange(4), [n]), errors.ConcretizationTypeError),
        (lambda n: fnp.pad(np.ones(3), ((n, 0),)), errors.ConcretizationTypeError),
        (lambda n: fx.ops.segment_sum(np.ones(3), np.arange(3), n),
         errors.ConcretizationTypeError),
        (lambda n: fnp.arange(None), TypeError),
        (lambda n: fnp.arange(np.ones(2)), ValueError),
        (lambda n: fnp.arange(1j), ValueError),
        (lambda n: fnp.arange(2, dtype=bool), TypeError),
        (lambda n: fnp.ravel(np.eye(2), "K"), NotImplementedError),
        (lambda n: fnp.zeros(2, fnp.ones(2)), ValueError),
        (lambda n: fnp.full_like(np.ones(2), 1, np.ones(2)), TypeError),
    ],
)  # fmt: skip
def test_classes_of_jax(call, error):
    with pytest.raises(error) as found:
        fx.jit(call)(1)
    assert type(found.value) is error


def test_the_diagonal_of_tri_may_be_traced():
    found = fx.jit(lambda k: fnp.tri(3, 2, k, "int8"))(1)
    np.testing.assert_array_equal(found, np.tri(3, 2, 1))
