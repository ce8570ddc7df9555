"""The command ``sloth-jax``: results on stdout, progress and warnings on stderr.

Exit codes: 0 done; 1 ``check`` found that an assumption fails; 2 bad input, reported in one line
on stderr with nothing written; 130 interrupted.

Each command is a module with ``add_parser``. Its handler imports what it needs when it runs, so
that ``--help`` and ``--version`` load neither JAX nor pandas.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from sloth_jax import __version__
from sloth_jax.cli import (
    check,
    compare,
    data,
    evaluate,
    fit,
    importing,
    plan,
    predict,
    require,
    skills,
)
from sloth_jax.cli.console import Parser, run_and_exit

COMMANDS = (predict, fit, plan, require, compare, skills, evaluate, importing, check, data)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    whole = Parser(
        prog="sloth-jax",
        description="Predict how language models score on benchmarks before they are trained.",
        epilog="example: sloth-jax predict --query query.csv --out predictions.csv\n"
        "options of a command: sloth-jax predict --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"sloth-jax {__version__}")
    commands = whole.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Parser
    )
    for command in COMMANDS:
        command.add_parser(commands)
    return whole


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit.

    Args:
        arguments: command line without the program's name; None takes ``sys.argv``.

    Raises:
        SystemExit: always, with the exit code.
    """
    options = parser().parse_args(arguments)
    run_and_exit("sloth-jax", lambda: options.run(options), interrupted="nothing was written")


if __name__ == "__main__":
    main()
