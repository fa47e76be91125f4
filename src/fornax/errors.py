"""Every error that Fornax raises on purpose, with JAX's names and base classes.

A message says *what* happened (operation, operand types), *where* (the user's line), *why* it
cannot work, and what to *try*. `message` puts the four together, `fornax.source.located` knows the
user's line. What a user can do wrong is raised with words from one of them, as in
`raise ValueError(located("what", "why", "try"))`; `tests/house` refuses it without a try. Two
classes are no such mistakes: `InternalError`, where Fornax broke a promise to itself, and `Signal`,
which is caught inside Fornax and never seen.
"""

from __future__ import annotations

__all__ = [
    "ConcretizationTypeError",
    "FornaxError",
    "InconclusiveDimensionOperation",
    "InternalError",
    "JAXIndexError",
    "JAXTypeError",
    "JaxRuntimeError",
    "JaxprCheckError",
    "JaxprTypeError",
    "KeyReuseError",
    "NonConcreteBooleanIndexError",
    "OutOfMemoryError",
    "TracerArrayConversionError",
    "TracerBoolConversionError",
    "TracerIntegerConversionError",
    "TypePromotionError",
    "UnexpectedTracerError",
]


def message(what: str, where: str = "", why: str = "", attempt: str = "") -> str:
    """One text out of the four parts; empty parts are left out."""
    lines = [what]
    if where:
        lines.append(f"  where: {where}")
    if why:
        lines.append(f"  why:   {why}")
    if attempt:
        lines.append(f"  try:   {attempt}")
    return "\n".join(lines)


class FornaxError(Exception):
    """Base of the errors that are Fornax's own rather than Python's."""


class Signal(Exception):  # noqa: N818
    """Base of what is raised and caught inside Fornax; its words are for readers of the source."""


class InternalError(FornaxError, AssertionError):
    """Fornax broke a promise to itself: a bug in Fornax, not in your program.

    Please report it with the whole text of the error. The program in question helps most:
    `fornax.make_jaxpr(f)(*args)` prints it. `with fornax.disable_jit():` runs the same program one
    operation at a time, without the compiler, which often gets you further until it is mended.
    """

    def __str__(self) -> str:
        return message(super().__str__(), why=_BUG, attempt=_REPORT)


_BUG = "this is a bug in Fornax, not in your program"
_REPORT = (
    "report it with this text and what fornax.make_jaxpr(f)(*args) prints; until it is mended, "
    "`with fornax.disable_jit():` runs without the compiler"
)


class JAXTypeError(FornaxError, TypeError):
    """Base of the errors about values that a transformation does not know or must not meet."""


class JAXIndexError(FornaxError, IndexError):
    """Base of the errors about indices."""


class ConcretizationTypeError(JAXTypeError):
    """A concrete value was needed where only a traced one exists.

    Inside `jit`, `vmap` and the bodies of loops a value has a shape and a dtype and no number yet.
    Whatever asks for the number raises this: `float(x)`, `int(x)`, `x.item()`, an axis or a length
    that depends on an argument.

    ```python
    import fornax as fx
    import fornax.numpy as fnp
    from fornax import lax


    def mean_of_rows(x, axis):
        return x.mean(axis=axis)


    try:
        fx.jit(mean_of_rows)(fnp.ones((2, 3)), 0)
    except fx.errors.ConcretizationTypeError as error:
        print(type(error).__name__)
    print(fx.jit(mean_of_rows, static_argnames="axis")(fnp.ones((2, 3)), axis=0))
    ```

    ```text
    ConcretizationTypeError
    [1. 1. 1.]
    ```

    What decides about the program is static (`static_argnums`, `static_argnames`, or a closure); a
    conversion that is meant for the array is `x.astype(float)`; what is for the reader is
    `debug.print`.
    """


class TracerArrayConversionError(JAXTypeError):
    """A traced array was handed to NumPy.

    NumPy computes with numbers, and while tracing there are none.

    ```python
    import fornax as fx
    import fornax.numpy as fnp
    from fornax import lax

    import numpy as np

    try:
        fx.jit(lambda x: np.sin(x))(fnp.ones(3))
    except fx.errors.TracerArrayConversionError as error:
        print(type(error).__name__)
    print(fx.jit(lambda x: fnp.sin(x))(fnp.zeros(3)))
    ```

    ```text
    TracerArrayConversionError
    [0. 0. 0.]
    ```

    Also `np_array[i]` with a traced `i` does this: index `fnp.asarray(np_array)` instead. Code that
    exists in NumPy only goes through `pure_callback`.
    """


class TracerIntegerConversionError(JAXTypeError):
    """A traced value was used where Python needs an integer.

    `range(n)`, the index of a list, and shapes need an integer at the time of tracing.

    ```python
    import fornax as fx
    import fornax.numpy as fnp
    from fornax import lax

    table = [10.0, 20.0, 30.0]
    try:
        fx.jit(lambda i: table[i])(1)
    except fx.errors.TracerIntegerConversionError as error:
        print(type(error).__name__)
    print(fx.jit(lambda i: fnp.array(table)[i])(1))
    print(fx.jit(lambda n: lax.fori_loop(0, n, lambda i, total: total + i, 0))(5))
    ```

    ```text
    TracerIntegerConversionError
    20.0
    10
    ```

    Index an array instead of a list, use `lax.fori_loop` instead of `range`, or make the argument
    static where it decides about a shape.
    """


class TracerBoolConversionError(ConcretizationTypeError):
    """A traced value was used as a condition of Python control flow.

    `if`, `while`, `and`, `or`, `not`, `assert`, `min` and `max` ask a value whether it is true.
    While tracing, nobody knows: both answers have to be possible in one program.

    ```python
    import fornax as fx
    import fornax.numpy as fnp
    from fornax import lax

    try:
        fx.jit(lambda x: x if x > 0 else -x)(1.0)
    except fx.errors.TracerBoolConversionError as error:
        print(type(error).__name__)
    print(fx.jit(lambda x: fnp.where(x > 0, x, -x))(-1.0))
    print(fx.jit(lambda x: lax.cond(x > 0, lambda x: x, lambda x: -x, x))(-1.0))
    ```

    ```text
    TracerBoolConversionError
    1.0
    1.0
    ```

    `numpy.where` computes both and chooses by element, `lax.cond` runs one branch,
    `lax.while_loop` repeats, `&`, `|`, `~` combine conditions. A condition on a static argument, on
    a shape or a dtype is plain Python.
    """


class NonConcreteBooleanIndexError(JAXIndexError):
    """A traced boolean mask was used as an index; its result would have no static shape.

    How many elements a mask selects depends on its values, and shapes are known while tracing.

    ```python
    import fornax as fx
    import fornax.numpy as fnp
    from fornax import lax

    x = fnp.array([3.0, -1.0, 2.0])
    try:
        fx.jit(lambda x: x[x > 0].sum())(x)
    except fx.errors.NonConcreteBooleanIndexError as error:
        print(type(error).__name__)
    print(fx.jit(lambda x: fnp.sum(x, where=x > 0))(x))
    print(fx.jit(lambda x: fnp.where(x > 0, x, 0.0))(x))
    ```

    ```text
    NonConcreteBooleanIndexError
    5.0
    [3. 0. 2.]
    ```

    Keep the mask and use it where values are combined (`where=` of reductions, `numpy.where`), or
    say how many elements there are at most: `numpy.nonzero(mask, size=n, fill_value=...)`.
    """


class UnexpectedTracerError(JAXTypeError):
    """A traced value was used after the function that made it had ended (a leak).

    A traced function acts through its result only. A value that it stores in a global, an attribute
    or a list outlives the trace that knows what it means.

    ```python
    import fornax as fx
    import fornax.numpy as fnp
    from fornax import lax

    seen = []


    @fx.jit
    def square(x):
        seen.append(x * x)
        return x * x


    square(2.0)
    try:
        seen[0] + 1
    except fx.errors.UnexpectedTracerError as error:
        print(type(error).__name__)
    ```

    ```text
    UnexpectedTracerError
    ```

    Return what is wanted outside, if need be as an auxiliary result (`has_aux=True`). `with
    fornax.checking_leaks():` raises as soon as the function ends that leaks.
    """


class InconclusiveDimensionOperation(FornaxError):  # noqa: N818  (JAX's name)
    """A question about symbolic dimensions has different answers for different sizes.

    Sizes in Fornax are integers so far; the class is there for programs that catch it.
    """


class TypePromotionError(FornaxError, ValueError):
    """Two dtypes have no implicit promotion.

    With `numpy_dtype_promotion("strict")` arrays of different dtypes are not mixed silently, and
    small floats of different formats never are.

    ```python
    import fornax as fx
    import fornax.numpy as fnp
    from fornax import lax

    with fx.numpy_dtype_promotion("strict"):
        try:
            fnp.ones(2) + fnp.arange(2)
        except fx.errors.TypePromotionError as error:
            print(type(error).__name__)
        print(fnp.ones(2) + fnp.arange(2).astype(fnp.float32), fnp.ones(2) * 2)
    ```

    ```text
    TypePromotionError
    [1. 2.] [2. 2.]
    ```

    Say with `astype` which dtype is meant. Python numbers take the dtype of the array they meet.
    """


class JaxprCheckError(InternalError, TypeError):
    """A program breaks a rule of the intermediate representation: a bug in a pass.

    Raised by the checker that `enable_checks` turns on between transformations. Report it with the
    program in the message.
    """


#: JAX's name for it
JaxprTypeError = JaxprCheckError


class KeyReuseError(JAXTypeError):
    """A random key was used twice.

    The same key gives the same numbers. With `debug_key_reuse` on, splitting a key and drawing
    numbers from it use it up, in eager code, in compiled programs, and from step to step of loops.

    ```python
    import fornax as fx
    import fornax.numpy as fnp
    from fornax import lax
    from fornax import random

    key = random.key(0)
    with fx.debug_key_reuse(True):
        random.normal(key)
        try:
            random.uniform(key)
        except fx.errors.KeyReuseError as error:
            print(type(error).__name__)
        first, second = random.split(random.key(0))
        print(random.bernoulli(first), random.bernoulli(second))
    ```

    ```text
    KeyReuseError
    False True
    ```

    `random.split` makes new keys, `random.fold_in(key, number)` one for each number;
    `random.clone(key)` says that the same numbers are meant.
    """


class JaxRuntimeError(FornaxError, RuntimeError):
    """Execution of a compiled program failed.

    Mostly a Python callback raised; its exception is in the message and in the traceback.

    ```python
    import fornax as fx
    import fornax.numpy as fnp
    from fornax import lax


    def look_up(x):
        raise KeyError("missing")


    shape = fx.ShapeDtypeStruct((), "float32")
    try:
        fx.block_until_ready(fx.jit(lambda x: fx.pure_callback(look_up, shape, x))(1.0))
    except fx.errors.JaxRuntimeError as error:
        print(type(error).__name__, "missing" in str(error))
    ```

    ```text
    JaxRuntimeError True
    ```
    """


class OutOfMemoryError(JaxRuntimeError, MemoryError):
    """An array does not fit into memory.

    Mostly a shape was computed wrongly, or an intermediate result is much larger than what goes in
    and comes out.

    ```python
    import fornax as fx
    import fornax.numpy as fnp
    from fornax import lax

    try:
        fnp.zeros((1 << 30, 1 << 30))
    except fx.errors.OutOfMemoryError as error:
        print(type(error).__name__, isinstance(error, fx.errors.JaxRuntimeError))
    ```

    ```text
    OutOfMemoryError True
    ```

    Compute in parts (`lax.map`, `lax.scan`), recompute instead of keeping (`checkpoint`), or choose
    a narrower dtype. Python programs catch it as MemoryError, too.
    """
