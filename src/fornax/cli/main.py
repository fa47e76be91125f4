"""The arguments of the command `fornax`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import fornax
from fornax.cli.run import run_module, run_script

__all__ = ["main"]

RUN_USAGE = "fornax run [-h] (script.py | -m module) [arguments ...]"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fornax",
        description="Run programs written for JAX on Fornax.",
        epilog="fornax run script.py [arguments]; fornax run -m module [arguments]",
    )
    parser.add_argument("--version", action="version", version=f"fornax {fornax.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser(
        "run", add_help=False, help="run a script or module with `import jax` meaning Fornax"
    )
    return parser


def _run(arguments: Sequence[str]) -> int:
    """`fornax run …`: everything after the script or module belongs to the program."""
    if arguments and arguments[0] in ("-h", "--help"):
        print(f"usage: {RUN_USAGE}\n\nRun a program with `import jax` answered by Fornax.")
        return 0
    if arguments and arguments[0] == "-m":
        if len(arguments) > 1:
            return run_module(arguments[1], arguments[2:])
    elif arguments and not arguments[0].startswith("-"):
        return run_script(arguments[0], arguments[1:])
    print(f"usage: {RUN_USAGE}", file=sys.stderr)
    return 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: those of the process); the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] == "run":
        return _run(given[1:])
    parser = _parser()
    parser.parse_args(given)
    parser.print_help()
    return 0
