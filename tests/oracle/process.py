"""jax in a process of its own, which works ahead of the tests."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from oracle.calls import Call

#: jax keeps its compiled programs here: the next run needs a third of the time
CACHE = Path(__file__).parents[2] / "build" / "oracle"


def environment() -> dict[str, str]:
    """The environment of a process that runs jax."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(CACHE),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


class Worker:
    """Answers questions, each a key and a list of calls, in the order they are given in.

    The questions are read as the process is ready for them, so that it never waits for the tests.
    """

    def __init__(self, questions: Iterable[tuple[Any, list[Call]]]):
        listed = list(questions)
        self.calls = dict(listed)
        self.answers: dict[Any, Future] = {key: Future() for key, _ in listed}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "oracle.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        self.threads = [
            threading.Thread(target=target, daemon=True) for target in (self._ask, self._listen)
        ]
        for thread in self.threads:
            thread.start()

    def _ask(self) -> None:
        try:
            for calls in self.calls.values():
                pickle.dump(calls, self.process.stdin)
                self.process.stdin.flush()
            self.process.stdin.close()
        except (BrokenPipeError, ValueError):  # the process has ended or was closed
            return

    def _listen(self) -> None:
        error: Exception | None = None
        for answer in self.answers.values():
            if error is None:
                try:
                    answer.set_result(pickle.load(self.process.stdout))
                    continue
                except (EOFError, OSError, ValueError) as ended:
                    error = ended
            answer.set_exception(RuntimeError(f"the process that runs jax has ended: {error!r}"))

    def answer(self, key: Any) -> list:
        """The outcomes of the calls under `key`; waits for them."""
        return self.answers[key].result()

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join()
        for stream in (self.process.stdin, self.process.stdout):
            try:
                stream.close()
            except BrokenPipeError:
                pass
