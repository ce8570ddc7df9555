"""A command as a process, which Ctrl-C ends at once, at any moment, with one line.

Python turns an interrupt into an exception between two of its instructions. That is too late in a
compiled program, which may take minutes; in a callback or a destructor the exception is printed and
forgotten; in an import it shows a traceback; and where it does arrive, the interpreter shuts down
while XLA's threads still run, which may end in a segmentation fault. So an interrupt never becomes
an exception here. The system writes every signal into a pipe at once. A thread reads it, waits for
the file that is being written, if any, says one line, and ends the process without the shutdown of
the interpreter. Results survive, since files are written whole or not at all.

A process whose interrupts are ignored, as of a shell's job in the background, goes on ignoring
them. Nothing here loads more than Python itself has: an interrupt during imports counts too.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from sloth_jax.interrupts import unbroken, written

BAD_INPUT = 2
INTERRUPTED = 130
NOT_WRITTEN = "standard output could not be written"
_PATIENCE = 10.0  # seconds for a file that is being written

open_bars: list[Any] = []
"""Progress bars on stderr whose line has not ended."""


def what_is_kept() -> str:
    """What an interrupted command leaves, in words."""
    kept = [path for path in dict.fromkeys(written) if os.path.exists(path)]
    return f"{', '.join(kept)} written before" if kept else "nothing was written"


_tell_kept: list[Callable[[], str]] = [what_is_kept]


def on_interrupt(tell_kept: Callable[[], str]) -> None:
    """Have an interrupt tell something else about what is kept than :func:`what_is_kept`."""
    _tell_kept[0] = tell_kept


def run_as_process(work: Callable[[], Any]) -> NoReturn:
    """Run work as the whole process, and end it with the code that work exits with.

    Args:
        work: returns, or raises ``SystemExit``; another exception is printed, with code 1.
    """
    _end_on_interrupt()
    code = 0
    try:
        work()
    except SystemExit as ended:
        code = _code_of(ended)
    except BrokenPipeError:
        pass  # the reader of stdout (head, less) has gone
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            pass
        except OSError as error:
            if not code:
                code = BAD_INPUT
                _say(f"sloth-jax: {NOT_WRITTEN} ({error.strerror})")
    os._exit(code)


def _code_of(ended: SystemExit) -> int:
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or 0
    _say(str(ended.code))
    return 1


def _end_on_interrupt() -> None:
    """From here on Ctrl-C ends the process, unless the process was started to ignore it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        return
    out, into = os.pipe()
    os.set_blocking(into, False)

    def watch() -> None:
        while heard := os.read(out, 64):
            if signal.SIGINT in heard:
                unbroken.acquire(timeout=_PATIENCE)
                kept = _tell_kept[0]()
                _say(f"{chr(10) if open_bars else ''}interrupted: {kept}")
                os._exit(INTERRUPTED)

    # A handler that does nothing: without one the system would end the process by itself.
    threading.Thread(target=watch, daemon=True).start()
    signal.set_wakeup_fd(into, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, lambda number, frame: None)


def _say(text: str) -> None:
    """A line on stderr, past Python's buffer, which another thread may be holding."""
    try:
        os.write(2, f"{text}\n".encode())
    except OSError:
        pass  # nobody hears it
