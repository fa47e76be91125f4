"""Evaluates calls with jax in a process of its own: jax's threads and tests that fork do not mix.

Reads pickled lists of calls (see `calls.py`) from standard input and writes a pickled list of
outcomes for each to standard output.
"""

from __future__ import annotations

import itertools
import os
import pickle
import sys
import warnings
from typing import Any

import numpy as np

from oracle import composed, effects, transformed

#: after so many lists of calls jax gives back what it has compiled: megabytes for each list
FORGET = 100

#: an outcome: ("error", names of the classes, message) or ("values", leaves), where a leaf is
#: (array, weak_type)
Outcome = tuple


def outcome(call: tuple, package: Any, names: dict[str, Any] | None = None) -> Outcome:
    """What evaluating (source, operands, x64) with a package, jax or Fornax, gives.

    Python's numbers among the results count as the weakly typed arrays that they stand for.
    """
    source, operands, _ = call
    namespace = {
        "jax": package, "lax": package.lax, "np": np, "composed": composed,
        "transformed": transformed, "effects": effects,
        **{f"x{k}": x for k, x in enumerate(operands)}, **(names or {}),
    }  # fmt: skip
    try:
        found = [
            package.numpy.asarray(x)
            if isinstance(x, bool | int | float | complex) and not isinstance(x, np.generic)
            else x
            for x in package.tree.leaves(eval(source, namespace))
        ]
        return "values", [(np.asarray(x), bool(getattr(x, "weak_type", False))) for x in found]
    except Exception as error:
        return "error", [c.__name__ for c in type(error).__mro__], str(error)


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints does not disturb the answers
    import jax

    warnings.simplefilter("ignore")
    for count in itertools.count(1):
        if count % FORGET == 0:
            jax.clear_caches()
        try:
            calls = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        found = []
        for call in calls:
            with jax.enable_x64(call[2]):
                found.append(outcome(call, jax))
        pickle.dump(found, answers)
        answers.flush()


if __name__ == "__main__":
    main()
