"""Help of every command, without the libraries that the work needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

import sloth_jax
from sloth_jax.cli.main import COMMANDS, main, parser

NAMES = (
    "predict",
    "complete",
    "fit",
    "plan",
    "require",
    "compare",
    "next",
    "report",
    "explore",
    "skills",
    "evaluate",
    "items",
    "import",
    "check",
    "data",
)
HEAVY = {"jax", "numpy", "pandas", "scipy", "matplotlib", "tqdm", "pyarrow"}
LOADED = """
import sys
from sloth_jax.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    print(*sorted(sys.modules), file=sys.stderr)
"""


def test_every_command_is_in_the_parser():
    (commands,) = (action for action in parser()._actions if action.dest == "command")
    assert commands.choices is not None
    assert tuple(commands.choices) == NAMES
    assert len(COMMANDS) == len(NAMES) - 1  # report and explore are one module


@pytest.mark.parametrize("command", [(), *((name,) for name in NAMES)])
def test_help_says_what_each_option_does_and_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert re.search(r"example: sloth-jax \w+", capsys.readouterr().out)
    (commands,) = (action for action in parser()._actions if action.dest == "command")
    assert commands.choices is not None
    shown = commands.choices[command[0]] if command else parser()
    assert all(action.help for action in shown._actions if action.dest != "command")


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("plan", "--help")])
def test_help_and_version_load_none_of_the_heavy_libraries(arguments):
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True
    )
    assert "sloth" in done.stdout
    loaded = set(done.stderr.split())
    assert "sloth_jax.cli.options" in loaded
    assert not loaded & HEAVY


def test_every_help_loads_none_of_the_heavy_libraries():
    code = (
        "import sys; from sloth_jax.cli.main import parser\n"
        "for command in parser()._actions[-1].choices.values(): command.format_help()\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & HEAVY


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"sloth-jax {sloth_jax.__version__}\n"


def test_the_command_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "sloth_jax", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith("sloth-jax ")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_can_complete_commands_options_and_files(shell, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        main(["--print-completion", shell])
    assert stop.value.code == 0
    script = capsys.readouterr().out
    assert all(name in script for name in (*NAMES, "--inference", "laplace"))
    path = tmp_path / "completion"
    path.write_text(script)
    program = shutil.which(shell)
    if program:
        subprocess.run([program, "-n", path], check=True)
    if program and shell == "bash":
        asked = f"source {path}; COMP_WORDS=(sloth-jax pre); COMP_CWORD=1; _shtab_sloth_jax; "
        done = subprocess.run(
            [program, "-c", asked + "echo ${COMPREPLY[@]}"], capture_output=True, text=True
        )
        assert done.stdout.strip() == "predict"
