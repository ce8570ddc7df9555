"""What command lines share: errors in one line, exit codes, interrupts, progress on stderr."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from sloth_jax.cli.process import BAD_INPUT, INTERRUPTED, NOT_WRITTEN, open_bars, what_is_kept
from sloth_jax.errors import InputError, TableTooSmall

NOT_ANSWERED = 1


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others, and whose texts keep their lines."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        """Print the message on stderr and exit with code 2."""
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


LOG = logging.getLogger("sloth_jax")
"""What the package tells: progress and results at INFO, what to doubt at WARNING, all at DEBUG."""


class _OnStderr(logging.Handler):
    """Prints what is told, beside progress bars and not into them."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno == logging.WARNING:
            text = f"warning: {text}"
        if open_bars:
            open_bars[-1].write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)


def listen(level: int = logging.INFO) -> None:
    """Print on stderr what the package tells from a level on; a library alone prints nothing."""
    if not any(isinstance(handler, _OnStderr) for handler in LOG.handlers):
        LOG.addHandler(_OnStderr())
    LOG.setLevel(level)
    # Warnings of other libraries: their authors' business, but for -v.
    logging.captureWarnings(True)
    others = logging.getLogger("py.warnings")
    others.handlers = list(LOG.handlers) if level <= logging.DEBUG else [logging.NullHandler()]
    others.propagate = False


def tell(text: str, level: int = logging.INFO) -> None:
    """Tell a line, at once: on stderr, unless the user wants less; -v shows level DEBUG too."""
    if not LOG.handlers:
        listen()  # a script that has not chosen a level
    LOG.log(level, text)


def warn(text: str) -> None:
    """Tell what to doubt, with the word warning before it."""
    tell(text, logging.WARNING)


@contextmanager
def show_progress(what: str, total: int | None = None) -> Iterator[Callable[[int], Any]]:
    """Show on stderr how far something is; a :class:`sloth_jax.progress.Progress`.

    Args:
        what: what is done, for the user.
        total: of how many steps. None where it is one compiled program, which cannot say how far
            it is: then for how long, on a terminal only, and where it takes over 2 s.

    Yields:
        What to call with every number of steps that is done.
    """
    if LOG.level > logging.INFO:
        yield lambda count: None
        return
    from tqdm import tqdm  # a command that shows no progress need not load it

    if total is not None:
        with tqdm(total=total, desc=what) as bar, _open(bar):
            yield bar.update
        return
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    done = threading.Event()
    clock = {"bar_format": "{desc} ... {elapsed}", "delay": 2.0, "leave": False}
    with tqdm(desc=what, **clock) as bar, _open(bar):

        def tick() -> None:
            while not done.wait(1.0):
                bar.update(0)  # shows the bar once its delay is over
                bar.refresh()

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield lambda count: None
        finally:
            done.set()
            ticker.join()


@contextmanager
def _open(bar: Any) -> Iterator[None]:
    """Remember that a bar's line on stderr has not ended, for whoever else writes there."""
    open_bars.append(bar)
    try:
        yield
    finally:
        open_bars.remove(bar)


def number(low: int) -> Any:
    """Type of an option that is a whole number, ``low`` or more."""

    def parse(text: str) -> int:
        value = int(text)
        if value < low:
            raise argparse.ArgumentTypeError(f"{value} is too small: give {low} or more")
        return value

    parse.__name__ = "whole number"  # argparse names the type by it
    return parse


def run_and_exit(name: str, work: Callable[[], None]) -> NoReturn:
    """Run a command's work and exit with its code.

    Args:
        name: the command, to begin the line of an error.
        work: what it does; bad input is raised as :class:`sloth_jax.errors.InputError`.

    Raises:
        SystemExit: always: 0 done, 1 a table that is too small, 2 bad input, 130 interrupted.
    """
    try:
        work()
    except KeyboardInterrupt:  # in a process of someone else's: ours never raises it
        tell(f"interrupted: {what_is_kept()}", logging.ERROR)
        sys.exit(INTERRUPTED)
    except InputError as error:
        tell(f"{name}: {error}", logging.ERROR)
        sys.exit(NOT_ANSWERED if isinstance(error, TableTooSmall) else BAD_INPUT)
    except BrokenPipeError:
        # The reader of stdout (head, less) has gone; silence the interpreter's own complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or error.filename is not None:
            raise
        tell(f"{name}: {NOT_WRITTEN} ({error.strerror})", logging.ERROR)
        sys.exit(BAD_INPUT)
    sys.exit(0)
