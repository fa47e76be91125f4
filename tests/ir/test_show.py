"""Programs as text: JAX's notation, names by order of appearance, the same every time."""

from __future__ import annotations

import pytest

import fornax as fx
import fornax.numpy as fnp
from fornax import lax
from fornax.errors import JaxprCheckError
from fornax.ir.check import check
from fornax.ir.jaxpr import Equation, Jaxpr, Var
from fornax.ir.types import ArrayType

x = fnp.ones((3, 4))


@fx.custom_jvp
def doubled(v):
    return 2 * v


doubled.defjvp(lambda primals, tangents: (doubled(*primals), 3 * tangents[0]))

PROGRAMS = {
    "gelu": (lambda x: 0.5 * x * (1 + fnp.tanh(0.8 * (x + 0.04 * x**3))), x),
    "product": (lambda x: x @ x.T + x.sum(), x),
    "grad_of_jit": (fx.grad(lambda x: fx.jit(lambda y: fnp.tanh(y) * y)(x).sum()), x),
    "vmap": (fx.vmap(lambda row: fnp.dot(row, row) * fnp.arange(4.0)), x),
    "scan": (lambda xs: lax.scan(lambda c, a: (c + a, c * a), fnp.zeros(4), xs), x),
    "while": (lambda v: lax.while_loop(lambda s: s < 3, lambda s: s + 1, v), 0.0),
    "cond": (lambda v: lax.cond(v > 0, fnp.sin, fnp.cos, v), 1.0),
    "custom_jvp": (fx.jacfwd(lambda v: doubled(v).sum()), x),
    "indexing": (lambda x: x[1:, None].at[0].set(3.0), x),
    "constants": (lambda v: v + fnp.array([1.0, 2.0]), 3.0),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_text(name, golden):
    function, *args = PROGRAMS[name]
    jaxpr = fx.make_jaxpr(function)(*args)
    check(jaxpr)
    assert str(jaxpr) == str(fx.make_jaxpr(function)(*args))
    golden(f"{name}.txt", str(jaxpr) + "\n")


def broken_programs():
    f32, i32 = ArrayType((), "float32"), ArrayType((), "int32")
    sin = fx.make_jaxpr(fnp.sin)(1.0).equations[0].primitive
    a, b, c = Var(f32), Var(f32), Var(i32)
    yield "not in scope", Jaxpr((a,), (Equation(sin, (b,), {}, (Var(f32),)),), (a,))
    yield "type rule", Jaxpr((a,), (Equation(sin, (a,), {}, (c,)),), (c,))
    yield "bound twice", Jaxpr((a, a), (), (a,))
    yield "second time", Jaxpr((a,), (Equation(sin, (a,), {}, (a,)),), (a,))
    yield "not in scope", Jaxpr((a,), (), (b,))


@pytest.mark.parametrize("phrase,jaxpr", list(broken_programs()))
def test_the_checker_refuses(phrase, jaxpr):
    with pytest.raises(JaxprCheckError, match=phrase):
        check(jaxpr)
