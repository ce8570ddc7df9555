"""What item responses cost: the mode of 100 models at 20,000 problems, and how that grows.

Writes items.csv and items.json: seconds (compilation included, and ratios to the smallest case of
the same run), peak memory of the process so far, whether the fit converged, and the correlation of
the fitted parameters with those that the counts were drawn from.

Run: python benchmarks/items.py --out out/items
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from sloth_jax.cli.console import Parser, number, run_and_exit, tell
from sloth_jax.cli.process import run_as_process
from sloth_jax.files import write_text
from sloth_jax.provenance import versions
from sloth_jax.repeats.response import fit_items, simulate_attempts

MODELS, SKILLS, TRIES = 100, 2, 100
PROBLEMS = (1250, 5000, 20_000)


def peak_gb() -> float:
    """Largest memory that the process has held, 1e9 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, fit with given and with free skills, save."""
    parser = Parser(prog=Path(__file__).name, description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="the smallest case only")
    options = parser.parse_args(arguments)
    rows = []
    for problems in PROBLEMS[:1] if options.smoke else PROBLEMS:
        theta = np.random.default_rng(options.seed).normal(size=(MODELS, SKILLS))
        key, fit_key = jax.random.split(jax.random.key(options.seed))
        attempts, items = simulate_attempts(key, theta, problems=problems, tries=TRIES)
        for kind, given in (("given", theta), ("free", None)):
            start = time.perf_counter()
            fit = fit_items(attempts, theta=given, skills=1, key=fit_key)
            seconds = time.perf_counter() - start
            alike = np.corrcoef(fit.items.difficulty, items.difficulty)[0, 1]
            rows.append(
                {
                    "problems": problems,
                    "skills": f"{SKILLS} given" if kind == "given" else "1 free",
                    "seconds": seconds,
                    "peak_gb": peak_gb(),
                    "converged": fit.converged,
                    "difficulty_correlation": float(alike),
                }
            )
            tell(f"{problems} problems, skills {kind}: {seconds:.1f} s")
    table = pd.DataFrame(rows)
    table["ratio"] = table["seconds"] / table.groupby("skills")["seconds"].transform("first")
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "items.csv", table.to_csv(index=False, float_format="%.4g"))
    record = {
        "models": MODELS,
        "tries": TRIES,
        "rows": table.round(4).to_dict("records"),
        "seed": options.seed,
        "versions": versions(),
    }
    write_text(out / "items.json", json.dumps(record, indent=2) + "\n")
    print(table.to_string(index=False, float_format="%.3g"))


if __name__ == "__main__":
    run_as_process(lambda: run_and_exit("items", main))
