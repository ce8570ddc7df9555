"""What a user waits for: wall seconds of whole commands, cold and with a warm compilation cache.

Each command runs once with an empty cache of its own (cold) and then `--runs` times more (warm).
Writes command_times.csv (command, seconds of the cold run, median, least and most of the warm ones)
and command_times.json with the machine's cores and the versions beside them. Every run is a process
of its own, so that importing is counted. Run it on an idle machine.

Run: python benchmarks/command_times.py --out out/command_times
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sloth_jax.cli.console import Parser, number, run_and_exit, tell
from sloth_jax.cli.process import run_as_process
from sloth_jax.errors import InputError
from sloth_jax.files import write_text
from sloth_jax.provenance import versions

QUERY = """model,family,params_b,tokens_t
meta-llama-3-405b,meta-llama-3,405,15.6
my-next-model,my-family,7,4
"""
# Commands of the README by the name of what they do; {folder} holds the query and the saved fit.
COMMANDS = {
    "predict": "predict --query {folder}/query.csv",
    "predict --point": "predict --point --query {folder}/query.csv",
    "fit": "fit --out {folder}/fit.nc",
    "predict --fit": "predict --fit {folder}/fit.nc --query {folder}/query.csv",
    "plan --fit": "plan --fit {folder}/fit.nc --family qwen2 --flops 1e24",
    "require --fit": ("require --fit {folder}/fit.nc --family qwen2 --benchmark GSM8K --score 0.9"),
    "check": "check --edition 2024",
    "compare --fit": "compare --fit {folder}/fit.nc {folder}/query.csv",
}
QUICK = ("check",)


def seconds(command: str, folder: Path, cache: Path) -> float:
    """Wall time of one command in a process of its own, its compiled programs kept in ``cache``."""
    environment = os.environ | {"SLOTH_JAX_CACHE": str(cache)}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)  # it would win
    arguments = command.format(folder=folder).split()
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "sloth_jax", *arguments, "-q"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InputError(f"sloth-jax {command}: {done.stderr.strip()}")
    return time.perf_counter() - start


def measure(runs: int, names: Sequence[str]) -> pd.DataFrame:
    """A row per command: the cold run, and the median, least and most of the warm ones."""
    rows = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "query.csv").write_text(QUERY)
        for name in names:
            # An empty cache each, or the first command would warm it for the others.
            cache = folder / f"cache of {name}".replace(" ", "_")
            cold = seconds(COMMANDS[name], folder, cache)
            warm = pd.Series([seconds(COMMANDS[name], folder, cache) for _ in range(runs)])
            rows.append(
                {
                    "command": name,
                    "cold": cold,
                    "warm_median": warm.median(),
                    "warm_least": warm.min(),
                    "warm_most": warm.max(),
                }
            )
            tell(f"{name}: {cold:.1f} s cold, {warm.median():.1f} s warm")
    return pd.DataFrame(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Time the commands, save."""
    parser = Parser(prog=Path(__file__).name, description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--runs", type=number(1), default=5, help="warm runs (default: 5)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="one command, one warm run")
    options = parser.parse_args(arguments)
    runs = 1 if options.smoke else options.runs
    table = measure(runs, QUICK if options.smoke else tuple(COMMANDS))
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "command_times.csv", table.to_csv(index=False, float_format="%.3g"))
    record = {
        "cores": os.cpu_count(),
        "runs": runs,
        "rows": table.round(3).to_dict("records"),
        "versions": versions(),
    }
    write_text(out / "command_times.json", json.dumps(record, indent=2) + "\n")
    print(table.to_string(index=False, float_format="%.1f"))


if __name__ == "__main__":
    run_as_process(lambda: run_and_exit("command_times", main))
