"""Run every command and example of README and docs in a clean clone, in order.

* ``sh`` blocks, and code between backticks that begins with a command, are run by bash. A command
  with a placeholder (an ellipsis, or a word in capitals) shows a form and is counted, not run.
* ``python`` blocks are run as a script, in which the bundled table is that of 2024, and fits take
  few steps and draws.
* A block whose fence names a file after its language, as in ``csv query.csv``, becomes that file.

Commands that take long get smoke settings; the list is printed. README's first prediction is made
as it stands. A command that was run on an earlier page is not run again, and neither are those that
the test suite runs in the same way. The first that fails ends the check with exit code 1.

Run: scripts/check_docs, or scripts/check_docs --environment .venv to install nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from quick_compilation import quick_flags, shared_programs

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", *(f"docs/{name}.md" for name in ("data", "planning", "skills", "running")))
COMMANDS = re.compile(r"(sloth-jax .* -|python .*/|\./scripts/)")  # between backticks
QUICK_FIT = "--edition 2024 --skills 2 --draws 20"
# Beginning of a command -> what is added to it here. The test suite is run by .ci/run itself.
SMOKE = {
    "./scripts/quickstart": "--smoke",
    "./scripts/test": "tests/test_rooms.py -n 0 -q",
    "python experiments/run_all.py": "--smoke --only held_out_llama3",
    "python experiments/development.py": "--smoke --inference mode --skills 1",
    "python experiments/cross_validation.py": "--smoke --methods logF_sigmoid_faminter pca_d=1",
    "python experiments/": "--smoke",
    "python benchmarks/": "--smoke",
    "sloth-jax fit": QUICK_FIT,
    "sloth-jax predict --add": QUICK_FIT,
    "sloth-jax complete --add": QUICK_FIT,
    "sloth-jax evaluate": "--edition 2024 --skills 1 --folds 2 --draws 20",
}
WHOLE = "sloth-jax predict --query query.csv"  # takes a minute to run, and is better optimised
TESTED = ("python notebooks/", "python benchmarks/cost.py")  # by the test suite, in the same way
# Run before a block of Python, which stays as it is.
QUICK_BLOCK = """
from functools import partial
import sloth_jax
sloth_jax.load_leaderboard = partial(sloth_jax.load_leaderboard, edition="2024")
sloth_jax.fit = partial(sloth_jax.fit, skills=2, steps=20, draws=20)
"""
FENCE = re.compile(r"^```(\w*) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
PLACEHOLDER = re.compile(r"\.\.\.|(?<![\w/.])[A-Z]{2,}(?![\w/.])")


@dataclass(frozen=True)
class Example:
    """Something that a page shows.

    Attributes:
        page: that shows it.
        line: where it begins.
        kind: ``sh``, ``python`` or ``file``.
        text: the command, the script, or what is in the file.
        name: of the file.
    """

    page: str
    line: int
    kind: str
    text: str
    name: str = ""


def examples(page: str, text: str) -> Iterator[Example]:
    """Everything of a page that is to be run or written, in order."""
    blocks = list(FENCE.finditer(text))
    inside = [(block.start(), block.end()) for block in blocks]
    inline = [
        found
        for found in INLINE.finditer(text)
        if COMMANDS.match(found[1])
        and not any(start <= found.start() < end for start, end in inside)
    ]
    for found in sorted([*blocks, *inline], key=lambda match: match.start()):
        line = text.count("\n", 0, found.start()) + 1
        if found.re is INLINE:
            yield Example(page, line, "sh", found[1])
            continue
        language, name, body = found.groups()
        if name:
            yield Example(page, line, "file", body, name)
        elif language == "python":
            yield Example(page, line, "python", body)
        elif language == "sh":
            for command in commands_of(body):
                yield Example(page, line, "sh", command)


def commands_of(block: str) -> list[str]:
    """Commands of a block, one a line; lines that end in a backslash go on."""
    lines = block.replace("\\\n", " ").splitlines()
    return [" ".join(line.split(" #")[0].split()) for line in lines if line.split("#")[0].strip()]


def as_run(command: str) -> str:
    """The command with its smoke settings, where it is a long one."""
    for start, added in SMOKE.items():
        if command.startswith(start) and added.split()[0] not in command:
            return f"{command} {added}"
    return command


def copy_tree(folder: Path) -> None:
    """What git would clone, with changes that are not committed yet; without git, all files."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True)
    names = done.stdout.split("\0")
    if done.returncode:
        names = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*")]
        names = [name for name in names if not name.startswith((".venv/", "out/"))]
    for name in filter(None, names):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
            target.chmod((ROOT / name).stat().st_mode)


# Bash: the environment is one that scripts/_environment.sh would make, with packages from another.
_BORROW = """
set -euo pipefail
packages="$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
"$1/bin/python" -m venv --without-pip .venv
here="$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
printf '%s\\n%s\\n' "$PWD" "$packages" >"$here/clone.pth"
for tool in pytest lint-imports ruff; do
    if [[ -e $1/bin/$tool ]]; then ln -s "$1/bin/$tool" .venv/bin/; fi
done
printf '#!%s\\nfrom sloth_jax.cli.main import main\\nmain()\\n' "$PWD/.venv/bin/python" \\
    >.venv/bin/sloth-jax
chmod +x .venv/bin/sloth-jax
printf '%s test\\n' "$PWD $(sed '/^\\[tool\\./,$d' pyproject.toml | cksum)" \\
    >.venv/sloth_jax-installed
"""


def borrow(folder: Path, environment: Path) -> None:
    """Give a clone an environment with the packages of another, and its own sloth_jax."""
    subprocess.run(["bash", "-c", _BORROW, "bash", str(environment)], cwd=folder, check=True)


def main() -> int:
    """Check all pages; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("pages", nargs="*", default=PAGES, help="default: README and docs")
    parser.add_argument("--environment", type=Path, help="take its packages, install nothing")
    parser.add_argument("--list", action="store_true", help="print what would be run")
    options = parser.parse_args()
    found = [
        example for page in options.pages for example in examples(page, (ROOT / page).read_text())
    ]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "clone"
        folder.mkdir()
        if not options.list:
            copy_tree(folder)
            if options.environment:
                borrow(folder, options.environment.resolve())
        return run_all(found, folder, options.list)


def run_all(found: list[Example], folder: Path, only_list: bool) -> int:
    """Run or list examples in a folder; the exit code."""
    done: set[str] = set()
    forms = 0
    env = os.environ | {
        "PATH": f"{folder}/.venv/bin{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder.parent),  # completion in shells is installed there
        "SLOTH_JAX_QUICK": "1",  # of notebooks
        # Many of them fit the same table: what one has compiled the next need not compile.
        **shared_programs(folder.parent / "compiled"),
        "MPLBACKEND": "Agg",
    }
    env.pop("SLOTH_JAX_VENV", None)
    for example in found:
        if example.kind == "file":
            if not only_list:
                (folder / example.name).parent.mkdir(parents=True, exist_ok=True)
                (folder / example.name).write_text(example.text)
            continue
        if example.kind == "sh" and PLACEHOLDER.search(example.text):
            forms += 1
            continue
        if example.text in done or example.text.startswith(TESTED):
            continue
        done.add(example.text)
        command = as_run(example.text) if example.kind == "sh" else "python block"
        print(f"{example.page}:{example.line}: {command}", flush=True)
        if only_list:
            continue
        began = time.perf_counter()
        if example.kind == "python":
            run = [str(folder / ".venv/bin/python"), "-c", QUICK_BLOCK + example.text]
        else:
            run = ["bash", "-c", command]
        env["XLA_FLAGS"] = quick_flags(1 if example.text.startswith(WHOLE) else 0)
        result = subprocess.run(run, cwd=folder, env=env, capture_output=True, text=True)
        if result.returncode:
            print(f"failed with exit code {result.returncode}\n{result.stdout}{result.stderr}")
            return 1
        print(f"    {time.perf_counter() - began:.0f} s", flush=True)
    print(f"{len(done)} commands and examples run, {forms} forms with placeholders not run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
