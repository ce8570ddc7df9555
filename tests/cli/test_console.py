"""Interrupts end at once, and long work shows that it goes on."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time

import pytest

from sloth_jax.cli.console import run_and_exit, show_progress

# A shell that starts its commands in the background has them ignore interrupts.
LONG = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
import jax
from sloth_jax.cli.console import run_and_exit, tell
def work():
    forever = lambda x: jax.lax.while_loop(lambda x: x < 2.0, jax.numpy.sin, x)
    program = jax.jit(forever).lower(0.1).compile()
    tell("begun")
    jax.block_until_ready(program(0.1))
run_and_exit("test", work, interrupted="nothing was written")
"""


def test_an_interrupt_ends_a_compiled_program_that_never_would():
    command = [sys.executable, "-c", LONG]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert process.stderr.readline() == "begun\n"
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert told == "interrupted: nothing was written\n"


def test_work_that_hears_of_an_interrupt_ends_by_itself(capsys):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as ended:
            run_and_exit("test", lambda: os.kill(os.getpid(), signal.SIGINT), interrupted="kept")
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted: kept\n"
    assert signal.set_wakeup_fd(-1) == -1  # as it was before


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "shown"), [(Terminal, True), (io.StringIO, False)])
def test_long_work_is_shown_on_a_terminal_only(monkeypatch, stream, shown):
    terminal = stream()
    monkeypatch.setattr(sys, "stderr", terminal)
    with show_progress("waiting"):
        time.sleep(3.2)
    with show_progress("hardly"):
        pass
    monkeypatch.undo()
    assert ("waiting ... 00:0" in terminal.getvalue()) is shown
    assert "hardly" not in terminal.getvalue()
