"""Does a fit survive being killed? SIGKILL at random moments, then the same command again.

A small table is fitted by `sloth-jax fit --inference nuts` once without interruption. Then the
same command is killed at a random moment (while it starts, samples, or writes), until it was
--times times; every file that it left is looked at, and it is called again until it ends.
Predictions from the result must be, byte for byte, those of the uninterrupted run. Writes kills.csv
and summary.json; exit code 1 if one differs.

Run: python experiments/kill_and_resume.py --out out/kill_and_resume
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from _runner import command_line, edition_2024, execute, first_models, save

import sloth_jax as sj
from sloth_jax.cli.console import number, tell

QUERY = "model,family,params_b,tokens_t\nbig,bloom,400,2\nnew,unknown-family,7,2\n"


class Fits:
    """Fits of one small table by ``sloth-jax fit``, each in a process and a folder of its own.

    Args:
        folder: for all files.
        draws: of all chains together.
        warmup: transitions before them.
    """

    def __init__(self, folder: Path, draws: int, warmup: int) -> None:
        self.folder = folder
        self.settings = ("--skills", 1, "--surface", "smooth", "--draws", draws, "--warmup", warmup)
        cache = os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(folder / "compiled")
        self.environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        first_models(edition_2024()).to_csv(folder / "table.csv")
        (folder / "query.csv").write_text(QUERY)

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        """``sloth-jax`` in this environment."""
        command = [sys.executable, "-m", "sloth_jax", *map(str, arguments)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, env=self.environment)

    def fit(self, place: Path) -> subprocess.Popen[bytes]:
        """Fit, to ``fit.nc`` in a folder."""
        data = ("--data", self.folder / "table.csv", "--inference", "nuts")
        return self.start("fit", *data, *self.settings, "--out", place / "fit.nc")

    def predictions(self, place: Path) -> bytes:
        """What the fit in a folder predicts."""
        fit = sj.load_fit(place / "fit.nc")
        query = sj.load_query(pd.read_csv(self.folder / "query.csv"), fit.table)
        return sj.forecast(fit, query, key=jax.random.key(0)).draws.tobytes()

    def uninterrupted(self) -> tuple[bytes, float]:
        """Predictions of a fit that is left alone, and its seconds once it is compiled."""
        place = self.folder / "whole"
        place.mkdir()
        length = 0.0
        for _ in range(2):
            (place / "fit.nc").unlink(missing_ok=True)
            start = time.perf_counter()
            finish(self.fit(place))
            length = time.perf_counter() - start
        return self.predictions(place), length

    def killed(self, place: Path, second: float, wanted: bytes) -> dict[str, Any]:
        """Kill a fit at a moment, look at what it left, call it again and compare; a row."""
        place.mkdir()
        process = self.fit(place)
        try:
            process.communicate(timeout=second)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        left, broken = sorted(path.name for path in place.iterdir()), unreadable(place)
        again = self.fit(place)
        _, said = again.communicate()
        # Parts of files that a kill left behind are hidden, and gone after the next call.
        whole = again.returncode == 0 and [path.name for path in place.iterdir()] == ["fit.nc"]
        return {
            "second": round(second, 2),
            "killed": process.returncode == -signal.SIGKILL,
            "left": " ".join(left),
            "unreadable": "; ".join(broken),
            "resumed": b"Going on from" in said,
            "same": whole and self.predictions(place) == wanted,
        }


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process, which has to succeed."""
    _, said = process.communicate()
    if process.returncode:
        raise sj.InputError(f"{process.args}: {said.decode()}")


def unreadable(folder: Path) -> list[str]:
    """Files in a folder that are neither a whole result nor a whole checkpoint."""
    found = []
    for path in folder.iterdir():
        try:
            if path.suffix == ".nc":
                sj.load_fit(path)
            elif path.suffix == ".unfinished":
                with np.load(path, allow_pickle=False) as kept:
                    assert kept["done"] > 0
        except Exception as error:  # whatever it is, the file cannot be read
            found.append(f"{path.name}: {error}")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill, look, resume, compare, save."""
    parser = command_line(__file__, __doc__, inference=(), skills=False)
    parser.add_argument("--times", type=number(1), default=20, metavar="N", help="default: 20")
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    draws, warmup, times = (24, 8, 1) if options.smoke else (2400, 200, options.times)
    rows, killed = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        fits = Fits(Path(scratch), draws, warmup)
        wanted, length = fits.uninterrupted()
        tell(f"without interruption: {length:.0f} s")
        # One that had ended before its moment came counts for nothing, but is compared too.
        while killed < times and len(rows) < 3 * times:
            # Half of the moments fall into the last fifth, where results are written.
            at = len(rows)
            share = rng.uniform(0.0, 1.0) if at % 2 else rng.uniform(0.8, 1.02)
            row = fits.killed(fits.folder / f"kill{at}", share * length, wanted)
            rows.append({"kill": at, **row})
            killed += row["killed"]
            tell(f"killed {killed} of {times}, now after {row['second']} s: same {row['same']}")
            shutil.rmtree(fits.folder / f"kill{at}")
    found = pd.DataFrame(rows)
    counts: dict[str, Any] = {
        name: int(found[name].sum()) for name in ("killed", "resumed", "same")
    }
    counts["unreadable"] = int((found["unreadable"] != "").sum())
    counts |= {"runs": len(found), "seconds_uninterrupted": round(length, 1)}
    save(options, {"kills": found}, **counts)
    print(
        f"{counts['killed']} of {len(found)} runs were killed; {counts['same']} of {len(found)} "
        f"give the same predictions, {counts['resumed']} went on from a checkpoint, "
        f"{counts['unreadable']} left a file that cannot be read"
    )
    if counts["same"] < len(found) or counts["unreadable"]:
        sys.exit(1)


if __name__ == "__main__":
    execute(main, interrupted="stopped")
