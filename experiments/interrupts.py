"""Does Ctrl-C end a command at once, and cleanly? SIGINT at random moments, many times.

`sloth-jax fit` (Laplace, and NUTS that goes on from a checkpoint), `predict`, `plan` and `import`
are started --times times altogether, in turn, and interrupted at a random moment: while they start,
load libraries, compile, run or write. Each has to end with code 130 and one line on stderr, soon,
without a traceback or a crash, and to leave no file, or whole ones. Writes interrupts.csv and
summary.json; exit code 1 if one did not.

An interrupt in the first hundredths of a second finds Python itself starting, which ends by the
signal or with a traceback of its own, before the command's first line; these are counted apart.

Run: python experiments/interrupts.py --out out/interrupts
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _runner import command_line, edition_2024, execute, first_models, save
from kill_and_resume import QUERY, unreadable

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.cli.process import INTERRUPTED

SOON = 2.0  # seconds from the interrupt to the end
WIDE = "model,family,params_b,tokens_t,one,two\na,f,7,2,0.5,0.6\nb,f,13,2,0.6,0.7\n"
KINDS = ("fit", "predict", "plan", "nuts", "import")


class Commands:
    """Commands on one small table, in folders of their own.

    Args:
        folder: for all files.
        draws: of all chains together, and of Laplace's approximation.
        warmup: transitions before them.
        kinds: of commands, of :data:`KINDS`.
    """

    def __init__(self, folder: Path, draws: int, warmup: int, kinds: Sequence[str]) -> None:
        self.folder = folder
        own = {"SLOTH_JAX_CACHE": str(folder / "cache")}
        self.environment = os.environ | ({} if "JAX_COMPILATION_CACHE_DIR" in os.environ else own)
        first_models(edition_2024()).to_csv(folder / "table.csv")
        (folder / "query.csv").write_text(QUERY)
        (folder / "wide.csv").write_text(WIDE)
        small = ("--data", folder / "table.csv", "--skills", 1, "--surface", "translog")
        laplace, chains = (*small, "--draws", draws), ("--warmup", warmup, "--inference", "nuts")
        fit = ("--fit", folder / "fit.nc")
        ask = ("--flops", "1e23", "--family", "bloom", "--json")
        self.arguments: dict[str, tuple[object, ...]] = {
            "fit": ("fit", *laplace, "--out", "out.nc"),
            "nuts": ("fit", *laplace, *chains, "--out", "nuts.nc"),
            "predict": ("predict", "--query", folder / "query.csv", *fit, "--out", "out.csv"),
            "plan": ("plan", *fit, *ask, "--out", "out.json", "--plot", "out.png"),
            "import": ("import", folder / "wide.csv", "--out", "out.csv"),
        }
        self.seconds = {"fit": self.run("fit", folder)}
        (folder / "out.nc").rename(folder / "fit.nc")
        self.seconds |= {kind: self.run(kind, folder) for kind in kinds if kind != "fit"}
        # Once more, since the first time most of it was compiling.
        self.compiled = {kind: self.run(kind, folder) for kind in kinds}

    def start(self, kind: str, place: Path, *more: str) -> subprocess.Popen[str]:
        """Start a command in a folder, with more options."""
        command = [sys.executable, "-m", "sloth_jax", *map(str, self.arguments[kind]), *more]
        pipe, own = subprocess.PIPE, self.environment
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, env=own, cwd=place, text=True)

    def run(self, kind: str, place: Path) -> float:
        """Run a command to its end; its seconds."""
        begin = time.perf_counter()
        process = self.start(kind, place)
        _, said = process.communicate()
        if process.returncode:
            raise sj.InputError(f"{process.args}: {said}")
        return time.perf_counter() - begin

    def interrupt(self, kind: str, place: Path, second: float, *more: str) -> dict[str, Any]:
        """Interrupt a command at a moment, and look at what it said and left; a row."""
        place.mkdir(exist_ok=True)
        process = self.start(kind, place, *more)
        try:
            process.communicate(timeout=second)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        begin = time.perf_counter()
        _, said = process.communicate()
        took = time.perf_counter() - begin
        # Progress and notes come before; a bar's line is rewritten after returns.
        lines = said.replace("\r", "\n").splitlines()
        told = [line for line in lines if line.startswith("interrupted: ")]
        code = process.returncode
        return {
            "command": kind,
            "second": round(second, 3),
            "code": code,
            "took": round(took, 3),
            "ended": code == 0,
            # Nothing of the command is in the traceback, if there is one.
            "python": code in (1, -signal.SIGINT) and not told and "cli/main.py" not in said,
            "clean": code == INTERRUPTED and lines[-1:] == told and "Traceback" not in said,
            "left": " ".join(sorted(path.name for path in place.iterdir())),
            "broken": "; ".join(broken(place)),
            "said": "" if told else said[-300:],
        }


def broken(place: Path) -> list[str]:
    """What should not be in a folder: parts of files, and files that cannot be read."""
    found = [f"{path.name}: a part" for path in place.glob(".*")]
    for path in place.glob("*.csv"):
        if len(pd.read_csv(path)) == 0:
            found.append(f"{path.name}: empty")
    for path in place.glob("*.json"):
        pd.read_json(path, typ="series")
    return found + unreadable(place)


def main(arguments: Sequence[str] | None = None) -> None:
    """Interrupt, look, save."""
    parser = command_line(__file__, __doc__, inference=(), skills=False)
    parser.add_argument("--times", type=number(1), default=40, metavar="N", help="default: 40")
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    draws, warmup, times = (8, 8, 2) if options.smoke else (2000, 200, options.times)
    # A shell that starts its commands in the background has them, and theirs, ignore interrupts.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        kinds = ("fit", "import") if options.smoke else KINDS
        commands = Commands(Path(scratch), draws, warmup, kinds)
        tell(f"seconds without interruption: {commands.seconds}, compiled {commands.compiled}")
        for at in range(times):
            kind = kinds[at % len(kinds)]
            place = commands.folder / (kind if kind == "nuts" else f"run{at}")
            # Every third has to compile; every third of the others is met loading libraries.
            compiles = ("--no-cache",) if at % 3 == 2 else ()
            within = commands.seconds[kind] if compiles else commands.compiled[kind]
            second = rng.uniform(0.0, 0.5 if at % 9 in (3, 7) else within)
            rows.append(commands.interrupt(kind, place, second, *compiles))
            row = rows[-1]
            tell(f"{kind} after {row['second']} s: code {row['code']}, {row['took']} s")
    found = pd.DataFrame(rows)
    interrupted = found[~found["ended"] & ~found["python"]]
    counts = {
        "runs": len(found),
        "ended_before": int(found["ended"].sum()),
        "python_starting": int(found["python"].sum()),
        "interrupted": len(interrupted),
        "clean": int(interrupted["clean"].sum()),
        "soon": int((interrupted["took"] <= SOON).sum()),
        "longest_seconds": float(found["took"].max()),
        "broken": int((found["broken"] != "").sum()),
    }
    save(options, {"interrupts": found}, **counts)
    print(
        f"{counts['interrupted']} of {len(found)} runs were interrupted: {counts['clean']} "
        f"cleanly, {counts['soon']} within {SOON:g} s, {counts['broken']} left something broken; "
        f"{counts['python_starting']} found Python starting"
    )
    if counts["clean"] < len(interrupted) or counts["broken"]:
        sys.exit(1)


if __name__ == "__main__":
    execute(main, interrupted="stopped")
