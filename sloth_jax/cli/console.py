"""What command lines share: errors in one line, exit codes, interrupts, progress on stderr."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from sloth_jax.errors import InputError

BAD_INPUT = 2
INTERRUPTED = 130
_PATIENCE = 1.0  # seconds that Python has to end by itself after Ctrl-C


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        """Print the message on stderr and exit with code 2."""
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def tell(text: str) -> None:
    """Print a line on stderr, at once."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def show_progress(what: str, total: int | None = None) -> Iterator[Callable[[int], Any]]:
    """Show on stderr how far something is; a :class:`sloth_jax.inference.progress.Progress`.

    Args:
        what: what is done, for the user.
        total: of how many steps. None where it is one compiled program, which cannot say how far
            it is: then for how long, on a terminal only, and where it takes over 2 s.

    Yields:
        What to call with every number of steps that is done.
    """
    from tqdm import tqdm  # a command that shows no progress need not load it

    if total is not None:
        with tqdm(total=total, desc=what) as bar:
            yield bar.update
        return
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    done = threading.Event()
    with tqdm(desc=what, bar_format="{desc} ... {elapsed}", delay=2.0, leave=False) as bar:

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
def _interruptible(message: str) -> Iterator[None]:
    """End the process soon after Ctrl-C, even inside a compiled program that takes minutes.

    Python hears of a signal between two of its instructions, and a program of XLA's is one of them.
    The system writes to a pipe at once, which another thread reads. Files are written whole or not
    at all, so that nothing is lost that was finished.
    """
    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or not hasattr(signal, "set_wakeup_fd"):
        yield
        return
    out, into = os.pipe()
    os.set_blocking(into, False)
    done = threading.Event()

    def watch() -> None:
        while heard := os.read(out, 64):
            if signal.SIGINT in heard and not done.wait(_PATIENCE):
                tell(message)
                os._exit(INTERRUPTED)

    before = signal.set_wakeup_fd(into, warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        signal.set_wakeup_fd(before)
        os.close(into)  # which ends the watcher
        watcher.join()
        os.close(out)


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
    message = f"interrupted: {interrupted}"
    try:
        with _interruptible(message):
            work()
    except KeyboardInterrupt:
        tell(message)
        sys.exit(INTERRUPTED)
    except InputError as error:
        tell(f"{name}: {error}")
        sys.exit(BAD_INPUT)
    except BrokenPipeError:
        # The reader of stdout (head, less) has gone; silence the interpreter's own complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)
