"""Does a fit survive being killed? SIGKILL at random moments, then the same command again.

A small table is fitted by `sloth-jax fit --inference nuts` once without interruption. Then the
same command is killed at a random moment (while it starts, samples, or writes), until it was
--times times; every file that it left is looked at, and it is called again until it ends.
Predictions from the result must be, byte for byte, those of the uninterrupted run. Writes kills.csv
and summary.json; exit code 1 if one differs.

Run: python experiments/kill_and_resume.py --out out/kill_and_resume
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _runner import command_line, execute, save

import sloth_jax as sj
from sloth_jax.cli.console import number, tell

MODELS = 24
QUERY = "model,family,params_b,tokens_t\nbig,bloom,400,2\nnew,nobody,7,2\n"


def command(*arguments: object) -> list[str]:
    """The command line of ``sloth-jax`` in this environment."""
    return [sys.executable, "-m", "sloth_jax.cli.main", *(str(argument) for argument in arguments)]


def predictions(fit: Path, query: Path, environment: dict[str, str]) -> bytes:
    """What a saved fit predicts."""
    out = fit.with_suffix(".csv")
    subprocess.run(
        command("predict", "--fit", fit, "--query", query, "--out", out),
        check=True, capture_output=True, env=environment,
    )  # fmt: skip
    return out.read_bytes()


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


def run(options: argparse.Namespace) -> None:
    """Kill, look, resume, compare, save."""
    rng = np.random.default_rng(options.seed)
    draws = 40 if options.smoke else 2400
    times = 1 if options.smoke else options.times
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": os.environ.get("JAX_COMPILATION_CACHE_DIR")
            or str(folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        table = sj.load_leaderboard()
        table.subset(np.arange(len(table.models)) < MODELS).to_csv(folder / "table.csv")
        (folder / "query.csv").write_text(QUERY)

        def fit(to: Path) -> list[str]:
            return command(
                "fit", "--data", folder / "table.csv", "--inference", "nuts", "--skills", 1,
                "--draws", draws, "--warmup", 20 if options.smoke else 200, "--out", to,
            )  # fmt: skip

        whole = folder / "whole"
        whole.mkdir()
        for _ in range(2):  # the second time nothing is compiled, as in those that follow
            (whole / "fit.nc").unlink(missing_ok=True)
            start = time.perf_counter()
            subprocess.run(fit(whole / "fit.nc"), check=True, capture_output=True, env=environment)
            length = time.perf_counter() - start
        wanted = predictions(whole / "fit.nc", folder / "query.csv", environment)
        tell(f"without interruption: {length:.0f} s")
        rows = []
        killed = 0
        for at in range(3 * times):
            if killed == times:
                break
            place = folder / f"kill{at}"
            place.mkdir()
            # Half of the moments fall into the last fifth, where results are written.
            share = rng.uniform(0.0, 1.0) if at % 2 else rng.uniform(0.8, 1.02)
            process = subprocess.Popen(
                fit(place / "fit.nc"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=environment,
            )  # fmt: skip
            try:
                process.wait(share * length)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
            # One that had ended before its moment came counts for nothing, but is compared too.
            killed += process.returncode == -signal.SIGKILL
            left = sorted(path.name for path in place.iterdir())
            broken = unreadable(place)
            again = subprocess.run(fit(place / "fit.nc"), capture_output=True, env=environment)
            # Parts of files that a kill left behind are hidden, and gone after the next call.
            remaining = sorted(path.name for path in place.iterdir())
            same = (
                again.returncode == 0
                and remaining == ["fit.nc"]
                and (predictions(place / "fit.nc", folder / "query.csv", environment) == wanted)
            )
            rows.append(
                {
                    "kill": at,
                    "second": round(share * length, 2),
                    "killed": process.returncode == -signal.SIGKILL,
                    "left": " ".join(left),
                    "unreadable": "; ".join(broken),
                    "resumed": b"Going on from" in again.stderr,
                    "same": same,
                }
            )
            tell(f"killed {killed} of {times}, now after {share * length:.1f} s: same {same}")
            shutil.rmtree(place)
    found = pd.DataFrame(rows)
    record = save(
        options,
        {"kills": found},
        runs=len(found),
        killed=int(found["killed"].sum()),
        resumed=int(found["resumed"].sum()),
        same=int(found["same"].sum()),
        unreadable=int((found["unreadable"] != "").sum()),
        seconds_uninterrupted=round(length, 1),
    )
    print(
        f"{record['killed']} of {len(found)} runs were killed; {record['same']} of {len(found)} "
        f"give the same predictions, {record['resumed']} went on from a checkpoint, "
        f"{record['unreadable']} left a file that cannot be read"
    )
    if record["same"] < len(found) or record["unreadable"]:
        sys.exit(1)


if __name__ == "__main__":
    parser = command_line(__doc__, fits=False)
    parser.add_argument("--times", type=number(1), default=20, metavar="N", help="default: 20")
    execute(run, parser, interrupted="stopped")
