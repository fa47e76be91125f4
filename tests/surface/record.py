"""Writes recorded/<subject>.json: what JAX gives for `surface_cases.py`. Needs jax 0.10.2.

With an argument, writes all anew into the folder of that name; without, adds what is missing.
"""

import pathlib
import sys
import warnings

import jax
import jax.example_libraries.optimizers
import jax.example_libraries.stax
import jax.scipy.fft
import jax.scipy.sparse.linalg
import jax.scipy.stats
from surface_cases import SUBJECTS, evaluate, mentioned

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import recording

FOLDER = pathlib.Path(*sys.argv[1:2] or [pathlib.Path(__file__).parent / "recorded"])


def recorded(line):
    return recording.recorded(lambda arrays: evaluate(line, jax, arrays), mentioned(line))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    FOLDER.mkdir(exist_ok=True)
    for subject, lines in SUBJECTS.items():
        place = FOLDER / f"{subject}.json"
        old = recording.read(place)
        recording.write(place, {line: old.get(line) or recorded(line) for line in lines})
