"""debug.breakpoint: looking around in a program while it runs, from the terminal."""

from __future__ import annotations

import cmd
import pprint
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any, TextIO

from fornax import pytree, source
from fornax.api.callback import debug_callback
from fornax.ir.trace import Tracer
from fornax.ir.types import is_value
from fornax.source import located

__all__ = ["breakpoint"]


class Frame:
    """A place in the user's code and the names it knew."""

    def __init__(self, frame: FrameType):
        code = frame.f_code
        self.title = f"{code.co_filename}:{frame.f_lineno} ({code.co_name})"
        self.file, self.line = code.co_filename, frame.f_lineno
        self.globals = frame.f_globals
        self.names = dict(frame.f_locals)

    def lines(self, around: int | None) -> list[str]:
        """The source near the place, or all of the file."""
        try:
            with open(self.file, encoding="utf-8") as text:
                lines = text.read().splitlines()
        except OSError:
            return ["no source"]
        first, last = 1, len(lines)
        if around is not None:
            first, last = max(self.line - around, 1), min(self.line + around, last)
        return [
            f"{'->' if n == self.line else '  '} {n:4d} {lines[n - 1]}"
            for n in range(first, last + 1)
        ]


class Console(cmd.Cmd):
    """Commands on the frames of a program that has stopped; values are arrays."""

    prompt = "(fdb) "
    use_rawinput = False

    def __init__(self, frames: Sequence[Frame], stdin: TextIO | None, stdout: TextIO | None):
        super().__init__(stdin=stdin, stdout=stdout)
        self.use_rawinput = stdin is None and sys.stdin.isatty()
        self.frames = frames
        self.place = 0
        self.quits = False

    @property
    def frame(self) -> Frame:
        return self.frames[self.place]

    def say(self, text: Any) -> None:
        self.stdout.write(f"{text}\n")

    def evaluate(self, text: str) -> Any:
        return eval(text, {**self.frame.globals, **self.frame.names})  # noqa: S307

    def show(self, text: str, form: Any) -> None:
        try:
            self.say(form(self.evaluate(text)))
        except Exception as error:
            self.say(f"{type(error).__name__}: {error}")

    def do_p(self, text: str) -> None:
        """p expression: print its value"""
        self.show(text, repr)

    def do_pp(self, text: str) -> None:
        """pp expression: print its value, laid out"""
        self.show(text, pprint.pformat)

    def default(self, line: str) -> None:
        self.show(line, repr)

    def emptyline(self) -> bool:
        return False

    def do_u(self, _: str) -> None:
        """u: go to the caller"""
        if self.place + 1 < len(self.frames):
            self.place += 1
            self.say(f"> {self.frame.title}")
        else:
            self.say("At topmost frame.")

    def do_d(self, _: str) -> None:
        """d: go back to the function called"""
        if self.place:
            self.place -= 1
            self.say(f"> {self.frame.title}")
        else:
            self.say("At bottommost frame.")

    def do_l(self, _: str) -> None:
        """l: the source around"""
        self.say("\n".join(self.frame.lines(5)))

    def do_ll(self, _: str) -> None:
        """ll: the whole file"""
        self.say("\n".join(self.frame.lines(None)))

    def do_bt(self, _: str) -> None:
        """bt: where we are"""
        self.say("\n".join(f"> {f.title}" for f in reversed(self.frames)))

    def do_c(self, _: str) -> bool:
        """c: go on"""
        return True

    def do_q(self, _: str) -> bool:
        """q: stop the program"""
        self.quits = True
        return True

    do_up, do_down, do_list, do_where, do_w = do_u, do_d, do_l, do_bt, do_bt
    do_continue = do_cont = do_c
    do_quit = do_exit = do_q
    do_EOF = do_c  # noqa: N815  (a closed input goes on)


def user_frames(limit: int | None) -> list[Frame]:
    """The callers that are not part of Fornax, innermost first."""
    found: list[Frame] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (limit is None or len(found) < limit):
        if not source.is_inside(frame.f_code):
            found.append(Frame(frame))
        frame = frame.f_back
    return found


def breakpoint(
    *,
    backend: str | None = None,
    filter_frames: bool = True,
    num_frames: int | None = None,
    ordered: bool = False,
    token: Any = None,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
) -> None:
    """Stop here when the program runs, and read commands: p, pp, l, ll, u, d, bt, c, q.

    Anything else is evaluated with the names of the function, whose arrays have their values, also
    inside compiled programs. num_frames: how many callers can be looked at. ordered: in program
    order with other ordered effects. stdin, stdout: text streams in the place of the terminal.
    backend, filter_frames, token: accepted.

    Raises JaxRuntimeError from the program when the command q stops it.
    """
    del backend, filter_frames, token
    frames = user_frames(num_frames)
    values = [{k: v for k, v in f.names.items() if _shows(v)} for f in frames]

    def stop(values: Any) -> None:
        for frame, names in zip(frames, values, strict=True):
            frame.names.update(names)
        console = Console(frames, stdin, stdout)
        console.say(f"Entering fdb at {frames[0].title}")
        console.cmdloop()
        if console.quits:
            raise KeyError(
                located(
                    "stopped by the command q", attempt="the command c to let the program go on"
                )
            )

    debug_callback(ordered=ordered)(stop, values)


def _shows(value: Any) -> bool:
    """Whether a local variable has arrays that the program knows only when it runs."""
    leaves = pytree.tree_leaves(value)
    return bool(leaves) and all(
        is_value(leaf) and (not isinstance(leaf, Tracer) or leaf._trace.alive) for leaf in leaves
    )
