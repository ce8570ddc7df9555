"""What the command lines of the project share: one-line errors, exit codes, notes on stderr."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from sloth_jax.errors import InputError

BAD_INPUT = 2
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        """Print the message on stderr and exit with code 2."""
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def tell(text: str) -> None:
    """Print a line on stderr, at once."""
    print(text, file=sys.stderr, flush=True)


def number(low: int) -> Any:
    """Type of an option that is a whole number, ``low`` or more."""

    def parse(text: str) -> int:
        value = int(text)
        if value < low:
            raise argparse.ArgumentTypeError(f"{value} is too small: give {low} or more")
        return value

    parse.__name__ = "whole number"  # argparse names the type by it
    return parse


def run_and_exit(name: str, work: Callable[[], None], *, interrupted: str) -> NoReturn:
    """Run a command's work and exit with its code.

    Args:
        name: the command, to begin the line of an error.
        work: what it does; bad input is raised as :class:`sloth_jax.errors.InputError`.
        interrupted: what to tell about results when the user interrupts it.

    Raises:
        SystemExit: always: 0 done, 2 bad input, 130 interrupted.
    """
    try:
        work()
    except KeyboardInterrupt:
        tell(f"interrupted: {interrupted}")
        sys.exit(INTERRUPTED)
    except InputError as error:
        tell(f"{name}: {error}")
        sys.exit(BAD_INPUT)
    except BrokenPipeError:
        # The reader of stdout (head, less) has gone; silence the interpreter's own complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)
