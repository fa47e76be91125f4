"""Evaluates hostile calls in a process of its own, and what the calls are made of.

A call is an expression over the names of `namespace`, so that Fornax and jax evaluate the same
text: `fx.numpy.sum(array("int8", (2, 3), "reversed"), axis=7)`. The process reads pickled
expressions and writes a pickled outcome for each; its parent (`hostile.py`) outlives it.
"""

from __future__ import annotations

import collections
import enum
import fractions
import importlib
import os
import pickle
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

#: seconds that Python code may take before it is interrupted
SECONDS = 20
#: bytes of address space; jax reserves more than it uses
SPACE = {"fornax": 6 << 30, "jax": 24 << 30}
#: results larger than this are not compared
LARGEST = 200_000

SPECIAL = {
    "f": (np.nan, np.inf, -np.inf, -0.0, 3e38, 1.0, -2.5),
    "c": (complex(np.nan, 1), complex(np.inf, 0), complex(-0.0, -0.0), 1j, 3e38 + 0j, 2 - 3j),
}


class Vector(np.ndarray):
    """A subclass of NumPy's array."""


class Arrayish:
    """Offers `__jax_array__`, as arrays of other libraries do."""

    def __init__(self, value):
        self.value = value

    def __jax_array__(self):
        return self.value


class Refuses:
    """Raises at whatever is asked of it."""

    def __getattr__(self, name):
        raise ValueError(f"no {name}")

    def __bool__(self):
        raise ValueError("no truth")

    def __array__(self, *args, **kwargs):
        raise ValueError("no array")


class Colour(enum.Enum):
    RED = 1


def numbers(dtype: np.dtype, count: int, special: bool) -> np.ndarray:
    """Small numbers, or the edges of a dtype."""
    kind = "f" if dtype.kind == "V" else dtype.kind
    if special and kind in SPECIAL:
        with np.errstate(all="ignore"):
            return np.resize(np.array(SPECIAL[kind]), count).astype(dtype)
    if special and kind in "iu":
        limits = np.iinfo(dtype)
        return np.resize(np.array([limits.min, limits.max, 0, 1], dtype), count)
    values = np.arange(count) * 7 % 5
    if kind in "fc":
        return (values * 0.5 - 0.75).astype(dtype)
    return values.astype(dtype)


def array(dtype: str, shape: tuple[int, ...], kind: str = "plain", library: Any = None) -> Any:
    """An array of moderate or special numbers with an unusual layout or type."""
    code = dtype_named(dtype)
    count = int(np.prod(shape))
    x = numbers(code, count, kind == "special").reshape(shape)
    if kind == "denormal" and code.kind in "fc":
        x = (np.ones(shape) * np.finfo(code).smallest_subnormal).astype(code)
    if kind == "reversed":
        return x[tuple(slice(None, None, -1) for _ in shape)]
    if kind == "strided":
        return np.repeat(x, 2, -1)[..., ::2] if shape else x
    if kind == "fortran":
        return np.asfortranarray(x)
    if kind == "readonly":
        x.flags.writeable = False
    if kind == "swapped" and code.kind in "iufc" and code.itemsize > 1:
        return x.astype(code.newbyteorder(">"))
    if kind == "subclass":
        return x.view(Vector)
    if kind == "masked":
        return np.ma.masked_array(x, mask=np.zeros(shape, bool))
    if kind == "list":
        return x.tolist()
    if kind in ("own", "deleted", "weak", "arrayish"):
        found = library.numpy.asarray(x)
        if kind == "weak":
            return library.numpy.broadcast_to(library.numpy.asarray(2.0), shape)
        if kind == "deleted":
            found.delete()
        return Arrayish(found) if kind == "arrayish" else found
    return x


def dtype_named(name: str) -> np.dtype:
    return np.dtype(getattr(ml_dtypes, name, None) or name)


def nested(depth: int, leaf: Any = 1.0, kind: str = "list") -> Any:
    """A container in a container in a …."""
    for _ in range(depth):
        leaf = [leaf] if kind == "list" else {"a": leaf}
    return leaf


def itself() -> list:
    """A list that contains itself."""
    found: list = [1.0]
    found.append(found)
    return found


def then(found: Any, *arguments: Any) -> Any:
    """Calls what a function returned, if it is a function."""
    return found(*arguments) if callable(found) else found


def total(library: Any, tree: Any) -> Any:
    """A real scalar out of all that is real in a result, to take the gradient of."""
    parts = [
        library.numpy.sum(library.numpy.asarray(leaf, "float32"))
        for leaf in library.tree.leaves(tree)
        if library.numpy.issubdtype(getattr(leaf, "dtype", object), np.floating)
    ]
    return sum(parts, library.numpy.zeros(()))


def namespace(library: str, modules: Sequence[str] = ()) -> dict[str, Any]:
    """What the text of a call sees. modules: imported below `library`, if they are there."""
    fx = importlib.import_module(library)
    for name in modules:
        try:
            importlib.import_module(f"{library}.{name}")
        except ImportError:
            continue
    return {
        "fx": fx, "jnp": fx.numpy, "lax": fx.lax, "np": np, "then": then, "nested": nested,
        "itself": itself, "Refuses": Refuses, "Colour": Colour, "collections": collections,
        "Fraction": fractions.Fraction, "dtype_named": dtype_named,
        "array": lambda *given: array(*given, library=fx), "total": lambda t: total(fx, t),
    }  # fmt: skip


class TooSlow(BaseException):
    """The time limit; not an Exception, which the call might catch."""


def interrupt(signum, frame):
    raise TooSlow


def leaf_of(fx: Any, leaf: Any) -> tuple:
    """A part of a result, as something that can be pickled and compared."""
    dtype = getattr(leaf, "dtype", None)
    if dtype is None or not hasattr(leaf, "shape"):
        if isinstance(leaf, bool | int | float | complex | str | type(None)):
            return "python", leaf
        return "object", type(leaf).__name__
    if not hasattr(leaf, "__array__"):
        return "abstract", str(dtype), tuple(leaf.shape)
    if not isinstance(dtype, np.dtype):
        leaf = fx.random.key_data(leaf)
        return "key", np.asarray(leaf)
    if leaf.size > LARGEST:
        return "abstract", str(dtype), tuple(leaf.shape)
    found = np.asarray(leaf)
    if found.dtype.kind == "V" and found.dtype.itemsize or str(found.dtype).startswith("float8"):
        return "array", str(found.dtype), found.shape, found.astype(np.float64)
    if found.dtype.kind not in "biufc":
        return "abstract", str(found.dtype), found.shape
    return "array", str(found.dtype), found.shape, found


def outcome(text: str, names: dict[str, Any]) -> tuple:
    """("value", leaves, warnings) or ("error", class names, message, frames, warnings)."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            found = eval(text, names)
            leaves = [leaf_of(names["fx"], x) for x in names["fx"].tree.leaves(found)]
            signal.setitimer(signal.ITIMER_REAL, 0)
            return "value", leaves, warned(seen)
        except TooSlow:
            frames = traceback.extract_tb(sys.exc_info()[2])
            return "hang", [f"{f.filename}:{f.lineno} {f.name}" for f in frames[-12:]]
        except Exception as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            return "error", *described(error), warned(seen)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def described(error: Exception) -> tuple[list[str], str, list[str]]:
    frames, step = [], error.__traceback__
    while step is not None:
        frames.append(f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}")
        step = step.tb_next
    try:
        words = str(error)
    except Exception as inner:
        words = f"<no text: {inner}>"
    return [c.__name__ for c in type(error).__mro__], words[:2000], frames[-3:]


def warned(seen: list) -> list[tuple[str, str]]:
    return [(w.category.__name__, str(w.message)[:200]) for w in seen[:5]]


def serve(evaluate: Callable[[str], tuple]) -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints does not disturb the answers
    while True:
        try:
            text = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(evaluate(text), answers)
        answers.flush()


def main(library: str, modules: Sequence[str]) -> None:
    os.environ["JAX_PLATFORMS"] = "cpu"
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    names = namespace(library, modules)
    resource.setrlimit(resource.RLIMIT_AS, (SPACE[library], SPACE[library]))
    signal.signal(signal.SIGALRM, interrupt)
    serve(lambda text: outcome(text, dict(names)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
