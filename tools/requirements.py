"""Prints the requirements of this project: `build`, and any of its extras, for pip."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def requirements(extras: list[str]) -> list[str]:
    """Requirement strings from pyproject.toml; "build" stands for what building needs."""
    data = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    project = data["project"]
    found = list(project["dependencies"])
    for extra in extras:
        if extra == "build":
            found += [*data["build-system"]["requires"], "cmake>=3.18", "ninja"]
        else:
            found += project["optional-dependencies"][extra]
    return found


if __name__ == "__main__":
    print(*(item.replace(" ", "") for item in requirements(sys.argv[1:])))
