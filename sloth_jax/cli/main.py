"""The command ``sloth-jax``: results on stdout, progress and warnings on stderr.

Exit codes: 0 done; 1 ``check`` found that an assumption fails, or a table is too small for the law;
2 bad input; 130 interrupted. What is wrong is reported in one line on stderr, with nothing written.

Each command is a module with ``add_parser``. Its handler imports what it needs when it runs, so
that ``--help`` and ``--version`` load neither JAX nor pandas.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from sloth_jax import __version__
from sloth_jax.cli import (
    check,
    compare,
    complete,
    data,
    evaluate,
    fit,
    importing,
    items,
    next_benchmark,
    plan,
    predict,
    report,
    require,
    skills,
)
from sloth_jax.cli.console import Parser, listen, run_and_exit
from sloth_jax.cli.options import add_run_options

# What stands for a file in a command's help.
_FILES = ("TABLE", "QUERY", "CANDIDATES", "FLOORS", "FILE", "FIGURE", "FIT.nc", "FILE.csv")

COMMANDS = (
    *(predict, complete, fit, plan, require, compare, next_benchmark),
    *(report, skills, evaluate, items, importing, check, data),
)


class _PrintCompletion(argparse.Action):
    """Prints what makes a shell complete the command, and exits."""

    def __call__(self, parser: argparse.ArgumentParser, *given: Any) -> NoReturn:
        import shtab  # only here, so that --help stays quick

        (commands,) = (action for action in parser._actions if action.dest == "command")
        assert commands.choices is not None
        for command in dict(commands.choices).values():
            for action in command._actions:
                if action.metavar in _FILES or action.dest in ("out", "plot"):
                    action.complete = shtab.FILE
        print(shtab.complete(parser, given[1]))
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    whole = Parser(
        prog="sloth-jax",
        description="Predict how language models score on benchmarks before they are trained.",
        epilog="example: sloth-jax predict --query query.csv --out predictions.csv\n"
        "options of a command: sloth-jax predict --help",
    )
    whole.add_argument("--version", action="version", version=f"sloth-jax {__version__}")
    whole.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=("bash", "zsh", "tcsh"),
        help="print a script by which this shell completes commands and options",
    )
    commands = whole.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Parser
    )
    for command in COMMANDS:
        command.add_parser(commands)
    for each in commands.choices.values():
        add_run_options(each)
    return whole


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit.

    Args:
        arguments: command line without the program's name; None takes ``sys.argv``.

    Raises:
        SystemExit: always, with the exit code.
    """
    options = parser().parse_args(arguments)
    options.whole_process = arguments is None
    options.words = list(sys.argv[1:] if arguments is None else arguments)
    listen(options.told)
    run_and_exit("sloth-jax", lambda: options.run(options))


if __name__ == "__main__":  # for profilers: the program is sloth_jax.__main__
    main()
