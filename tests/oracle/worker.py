"""Evaluates calls with jax in a process of its own: jax's threads and tests that fork do not mix.

Reads pickled lists of calls (see `calls.py`) from standard input and writes a pickled list of
outcomes for each to standard output.
"""

from __future__ import annotations

import os
import pickle
import sys
import warnings
from typing import Any

import numpy as np

#: an outcome: ("error", names of the classes, message) or ("values", leaves), where a leaf is
#: (array, weak_type)
Outcome = tuple


def outcome(call: tuple, namespace: dict[str, Any], leaves) -> Outcome:
    """What evaluating (source, operands, x64) gives; `leaves` flattens results."""
    source, operands, _ = call
    names = {f"x{k}": x for k, x in enumerate(operands)}
    try:
        found = leaves(eval(source, {**namespace, "np": np, **names}))
        return "values", [(np.asarray(x), bool(getattr(x, "weak_type", False))) for x in found]
    except Exception as error:
        return "error", [c.__name__ for c in type(error).__mro__], str(error)


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints does not disturb the answers
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    warnings.simplefilter("ignore")
    while True:
        try:
            calls = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        found = []
        for call in calls:
            with jax.enable_x64(call[2]):
                found.append(outcome(call, {"lax": jax.lax}, jax.tree.leaves))
        pickle.dump(found, answers)
        answers.flush()


if __name__ == "__main__":
    main()
