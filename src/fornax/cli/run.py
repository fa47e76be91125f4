"""Run a program written for JAX on Fornax."""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType

from fornax.compat import alias

__all__ = ["run_module", "run_script"]

#: files whose frames are ours: between the command line and the program
_OWN = (os.path.dirname(os.path.abspath(__file__)), runpy.__file__)


def _is_own(frame_file: str) -> bool:
    return frame_file.startswith(_OWN) or frame_file in ("<frozen runpy>", "<frozen importlib>")


def _without_own_frames(found: TracebackType | None) -> TracebackType | None:
    while found is not None and _is_own(found.tb_frame.f_code.co_filename):
        found = found.tb_next
    return found


def _guarded(arguments: Sequence[str], start: str, run) -> int:
    """Run with `sys.argv` and `sys.path` as Python itself would set them."""
    alias.install()
    sys.argv = list(arguments)
    sys.path[0:0] = [start]
    try:
        run()
    except Exception as error:
        frames = _without_own_frames(error.__traceback__)
        if sys.excepthook is sys.__excepthook__:
            traceback.print_exception(type(error), error.with_traceback(frames), frames)
        else:  # the program has its own way to report errors
            sys.excepthook(type(error), error.with_traceback(frames), frames)
        return 1
    return 0


def run_script(path: str, arguments: Sequence[str] = ()) -> int:
    """Run the file `path` as `__main__`; returns the exit status.

    SystemExit passes through, as in `python path`.
    """
    if not os.path.exists(path):
        print(f"fornax run: can't open file {path!r}: no such file", file=sys.stderr)
        return 2
    start = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
    return _guarded([path, *arguments], start, lambda: runpy.run_path(path, run_name="__main__"))


def run_module(name: str, arguments: Sequence[str] = ()) -> int:
    """Run the module `name` as `python -m name` does; returns the exit status."""
    return _guarded(
        [name, *arguments],
        os.getcwd(),
        lambda: runpy.run_module(name, run_name="__main__", alter_sys=True),
    )
