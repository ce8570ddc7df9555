"""What a large item bank with few answers costs: reading, fitting, choosing, scoring.

A bank of 5,000 models and 40,000 items of a two-parameter law, of which a twentieth of the cells
were answered, is written as long CSV, as parquet and as NPZ of single answers. Each is read in a
process of its own, and that of the NPZ goes on to fit the law, choose a hundred items and estimate
a score. Writes item_bank.csv and item_bank.json: seconds of each step, compilation included, peak
memory of the process so far beside that of a dense table of floats, and the correlation of the
fitted skills and difficulties with those that answers were drawn from.

Run: python benchmarks/item_bank.py --out out/item_bank
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from items import peak_gb

import sloth_jax as sj
from sloth_jax.cli.console import Parser, number, run_and_exit, tell
from sloth_jax.cli.process import run_as_process
from sloth_jax.files import write_text
from sloth_jax.items.abilities import arrays_of
from sloth_jax.items.estimates import estimate_score
from sloth_jax.provenance import versions

SIZE, SMALL = (5000, 40_000), (60, 400)  # models, items
ANSWERED = 0.05
FORMS = ("npz", "parquet", "csv")
TRUTH = "truth.npz"


def simulate(folder: Path, size: tuple[int, int], seed: int) -> None:
    """Write the bank in all forms, and what it was drawn from."""
    rng = np.random.default_rng(seed)
    models, items = size
    theta = rng.normal(size=models)
    slope, difficulty = np.exp(0.4 * rng.normal(size=items)), 1.5 * rng.normal(size=items)
    model, item, right = [], [], []
    for m in range(models):
        at = np.flatnonzero(rng.random(items) < ANSWERED).astype(np.int32)
        chance = 1.0 / (1.0 + np.exp(difficulty[at] - slope[at] * theta[m]))
        model.append(np.full(len(at), m, np.int32))
        item.append(at)
        right.append((rng.random(len(at)) < chance).astype(np.uint8))
    model, item, right = (np.concatenate(part) for part in (model, item, right))
    names = [[f"{what}{n}" for n in range(count)] for what, count in zip("mi", size, strict=True)]
    arrays = {"model": model, "item": item, "successes": right, "tries": np.ones_like(right)}
    np.savez(folder / "bank.npz", models=names[0], items=names[1], **arrays)
    np.savez(folder / TRUTH, theta=theta, difficulty=difficulty)
    columns = [
        pd.Categorical.from_codes(at, categories=name)
        for at, name in zip((model, item), names, strict=True)
    ]
    frame = pd.DataFrame({"model": columns[0], "item": columns[1], "correct": right})
    frame.to_parquet(folder / "bank.parquet", index=False)
    frame.to_csv(folder / "bank.csv", index=False)


def used(path: Path) -> list[dict[str, Any]]:
    """Seconds and peak memory of each step with one file."""
    rows: list[dict[str, Any]] = []
    start = time.perf_counter()

    def done(step: str, **more: Any) -> None:
        nonlocal start
        now = time.perf_counter()
        rows.append({"file": path.suffix[1:], "step": step, "seconds": now - start})
        rows[-1] |= {"peak_gb": peak_gb(), **more}
        start = time.perf_counter()

    done("start")
    bank = sj.items.read_bank(path)
    done("read", file_gb=path.stat().st_size / 1e9, answers=int(bank.tries.sum()))
    if path.suffix != ".npz":
        return rows
    law = sj.items.fit_responses(bank)
    with np.load(path.with_name(TRUTH)) as truth:
        alike = [
            float(np.corrcoef(found, truth[name])[0, 1])
            for name, found in (
                ("theta", np.asarray(law.abilities.mean)[:, 0]),
                ("difficulty", np.asarray(law.items.mean)[:, 1]),
            )
        ]
    done("fit", sweeps=law.sweeps, skill_correlation=alike[0], difficulty_correlation=alike[1])
    key = jax.random.key(0)
    sj.items.select_items(law, min(100, len(bank.items)), key=key)
    done("choose 100 items")
    right, made = (counts[0].astype(float) for counts in (bank.successes, bank.tries))
    estimate_score(law, arrays_of(law), right, made, np.ones(len(made), bool), None, key)
    done("score of a model")
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, use each file in a process of its own, save."""
    parser = Parser(prog=Path(__file__).name, description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="a small bank only")
    parser.add_argument("--simulate", action="store_true", help="write the files, and no more")
    parser.add_argument("--use", type=Path, metavar="FILE", help="use one, and no more")
    options = parser.parse_args(arguments)
    size, out = SMALL if options.smoke else SIZE, options.out
    out.mkdir(parents=True, exist_ok=True)
    if options.simulate:
        return simulate(out, size, options.seed)
    if options.use:
        return print(json.dumps(used(options.use)))
    again = [sys.executable, __file__, "--out", str(out), "--seed", str(options.seed)]
    subprocess.run([*again, "--simulate", *["--smoke"] * options.smoke], check=True)
    rows = []
    for form in FORMS:
        tell(f"{form} ...")
        done = subprocess.run(
            [*again, "--use", str(out / f"bank.{form}")], check=True, capture_output=True, text=True
        )
        rows += json.loads(done.stdout.splitlines()[-1])
        (out / f"bank.{form}").unlink()
    table = pd.DataFrame(rows)
    write_text(out / "item_bank.csv", table.to_csv(index=False, float_format="%.4g"))
    record = {
        "models": size[0],
        "items": size[1],
        "answered": ANSWERED,
        "dense_gb": size[0] * size[1] * 8 / 1e9,
        "rows": json.loads(table.round(4).to_json(orient="records")),
        "seed": options.seed,
        "versions": versions(),
    }
    write_text(out / "item_bank.json", json.dumps(record, indent=2) + "\n")
    print(table.to_string(index=False, float_format="%.3g"))
    return None


if __name__ == "__main__":
    run_as_process(lambda: run_and_exit("item_bank", main))
