"""The JAX-shaped names that libraries use: what they mean in Fornax."""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np
import pytest

import fornax
from fornax import numpy as fnp
from fornax.compat import (
    core_names,
    derivatives,
    places,
    programs,
    traceback_filter,
    value_types,
    wrapped_functions,
)
from fornax.compat.partial_evaluation import (
    PartialVal,
    trace_to_jaxpr_dynamic,
    trace_to_jaxpr_nounits,
)
from fornax.ir.types import ArrayType

VECTOR = ArrayType((3,), "float32")


@pytest.mark.parametrize("name", places.MODULES)
def test_every_place_is_a_module(name):
    module = importlib.import_module(places.MODULES[name])
    for public in getattr(module, "__all__", ()):
        assert getattr(module, public) is not None or public == "not_mapped"


def test_whose_tracer_a_value_is():
    def function(x):
        top = programs.find_top_trace([x])
        assert isinstance(x, derivatives.JVPTracer) and x._trace.main is top.main

        def inner(y):
            assert y._trace.main is not top.main and x._trace.main is top.main
            return x * y

        return fornax.jvp(inner, (2.0,), (1.0,))[1]

    assert fornax.jvp(function, (3.0,), (1.0,)) == (3.0, 1.0)


def test_libraries_can_declare_classes_of_values():
    class Wrapped:
        def __init__(self, inside):
            self.inside = inside

    table = core_names.pytype_aval_mappings
    assert np.ndarray in table and Wrapped not in table and core_names.Tracer is fornax.core.Tracer
    with pytest.raises(TypeError):
        fornax.typeof(Wrapped(fnp.ones(3)))
    table[Wrapped] = lambda x: fornax.typeof(x.inside)
    assert fornax.typeof(Wrapped(fnp.ones(3))) == VECTOR and Wrapped in set(table)
    del table[Wrapped]
    assert Wrapped not in table and len(table) == len(list(table))
    assert value_types.canonicalize_dtype_handlers[np.ndarray](np.ones(3)).shape == (3,)


def test_partial_evaluation_computes_what_is_known():
    ran = []

    def function(x, y):
        ran.append(float(y[0]))  # y is known: its values can be asked for
        return x + y, 2 * y

    flat, tree = wrapped_functions.flatten_fun_nokwargs(
        wrapped_functions.wrap_init(lambda *args: dict(enumerate(function(*args)))),
        fornax.tree.structure((0, 0)),
    )
    values = [PartialVal.unknown(VECTOR), PartialVal.known(fnp.ones(3))]
    program, outputs, constants = trace_to_jaxpr_nounits(flat, values)
    assert ran == [1.0] and tree() == fornax.tree.structure({0: 0, 1: 0})
    assert not outputs[0].is_known() and outputs[0].get_aval() == VECTOR
    assert np.array_equal(outputs[1].get_known(), [2, 2, 2])
    (total,) = programs.eval_jaxpr(program, constants, fnp.arange(3.0))
    assert np.array_equal(total, [1, 2, 3])
    program, outputs, _ = trace_to_jaxpr_nounits(flat, values, instantiate=True)
    assert not outputs[1].is_known() and len(program.outputs) == 2


def test_programs_and_their_types():
    program, types, constants = trace_to_jaxpr_dynamic(
        wrapped_functions.wrap_init(lambda x: [fnp.sin(x)]), [VECTOR]
    )
    assert types == [VECTOR] and not constants
    run = programs.jaxpr_as_fun(program)
    assert np.array_equal(run(fnp.zeros(3))[0], [0, 0, 0])
    assert programs.unmapped_aval(4, 1, VECTOR).shape == (3, 4)
    assert programs.mapped_aval(3, 0, VECTOR).shape == ()
    assert programs.valid_jaxtype(3) and not programs.valid_jaxtype("3")


def test_the_state_of_tracing():
    outside = programs.get_opaque_trace_state()
    seen = []

    @fornax.jit
    def inside(x):
        seen.append(programs.get_opaque_trace_state(convention="any"))
        seen.append(programs.trace_state_clean())
        with programs.take_current_trace() as trace:
            seen.append(programs.trace_state_clean())
            with programs.set_current_trace(trace):
                seen.append(programs.find_top_trace(()) is trace)
        return x

    inside(1.0)
    assert outside == programs.get_opaque_trace_state() != seen[0]
    assert seen[1:] == [False, True, True] and programs.trace_state_clean()


def test_transformations_of_wrapped_functions():
    @wrapped_functions.transformation_with_aux
    def doubled(extra, x):
        result = yield (2 * x,), {}
        yield result + extra, "aux"

    @wrapped_functions.transformation2
    def negated(f, x):
        return -f(x)

    wrapped = wrapped_functions.wrap_init(lambda x, by=1: x * by, {"by": 3})
    function, aux = doubled(negated(wrapped), 100)
    with pytest.raises(wrapped_functions.StoreException):
        aux()
    assert function.call_wrapped(2) == 100 - 12 and aux() == "aux"


def test_files_of_libraries():
    traceback_filter.register_exclusion(__file__)
    assert __file__ in traceback_filter._exclude_paths
    traceback_filter._exclude_paths.remove(__file__)
