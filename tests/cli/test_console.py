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

BEGIN = """
import os, signal, sys, threading, time
from sloth_jax.cli.process import open_bars, run_as_process
from sloth_jax.files import write_text
from sloth_jax.interrupts import unbroken
say = lambda text: print(text, file=sys.stderr, flush=True)
"""
RUN = """
run_as_process(work)
"""
COMPILED = """
import jax
def work():
    forever = lambda x: jax.lax.while_loop(lambda x: x < 2.0, jax.numpy.sin, x)
    program = jax.jit(forever).lower(0.1).compile()
    say("begun")
    jax.block_until_ready(program(0.1))
"""
SWALLOWED = """
def work():
    say("begun")
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""
WRITING = """
def work():
    with unbroken:
        say("begun")
        time.sleep(1.0)
        write_text(sys.argv[1], "whole")
    time.sleep(60)
"""
IN_A_LINE = """
def work():
    open_bars.append(1)
    say("begun")
    time.sleep(60)
"""


def interrupted(work: str, *arguments: object, ignored: bool = False) -> tuple[int, str]:
    """Exit code and what is told after an interrupt of work that has begun."""
    command = [sys.executable, "-c", BEGIN + work + RUN, *map(str, arguments)]
    # A shell that starts its commands in the background has them ignore interrupts.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        assert process.stderr is not None
        try:
            assert process.stderr.readline() == "begun\n"
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, told


@pytest.mark.parametrize("work", [COMPILED, SWALLOWED])
def test_an_interrupt_ends_work_that_never_would(work):
    assert interrupted(work) == (130, "interrupted: nothing was written\n")


def test_an_interrupt_waits_for_a_file_that_is_being_written(tmp_path):
    out = tmp_path / "out.txt"
    assert interrupted(WRITING, out) == (130, f"interrupted: {out} written before\n")
    assert out.read_text() == "whole"


def test_an_interrupt_is_told_on_a_line_of_its_own():
    assert interrupted(IN_A_LINE) == (130, "\ninterrupted: nothing was written\n")


def test_ignored_interrupts_stay_ignored():
    work = "def work():\n    say('begun')\n    time.sleep(1.0)\n    say('done')\n"
    assert interrupted(work, ignored=True) == (0, "done\n")


@pytest.mark.parametrize(
    ("work", "code", "told"),
    [
        ("def work(): pass", 0, ""),
        ("def work(): sys.exit(3)", 3, ""),
        ("def work(): raise BrokenPipeError", 0, ""),
        ("def work(): sys.exit('why')", 1, "why\n"),
        ("def work(): raise ValueError('a bug')", 1, "ValueError: a bug\n"),
    ],
)
def test_a_process_ends_with_the_code_of_its_work(work, code, told):
    command = [sys.executable, "-c", BEGIN + work + RUN]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr.endswith(told)


def test_a_full_disk_behind_standard_output_is_told():
    if not os.path.exists("/dev/full"):
        pytest.skip("no device that is always full")
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "sloth_jax", "data"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert "sloth-jax: standard output could not be written (No space" in done.stderr


def test_an_interrupt_in_a_process_of_someone_else_is_an_exit(capsys):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as ended:
            run_and_exit("test", lambda: os.kill(os.getpid(), signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 130
    assert capsys.readouterr().err.startswith("interrupted: ")


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
