"""Tables that nobody would write: does each end in a result or in one line that says why not?

Odd names, gaps of any pattern, sizes from a single parameter to 10^15, constant columns, scores of
nothing but chance, and faults of every kind are drawn at random. Each table is written to a file
and goes the whole way: read, checked, fitted by its mode, by Laplace's approximation and by NUTS,
predicted from. What counts as a failure is any other error, a number that is not finite, or a table
that takes longer than a minute. Writes tables.csv, failures (if any) and summary.json; exit code 1
where something failed.

Run: python experiments/generated_tables.py --tables 2000 --out out/generated_tables
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from _runner import command_line, execute, save
from tqdm import tqdm

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.data.quality import suspect_scores
from sloth_jax.evaluation.methods import SMOKE_SETTINGS
from sloth_jax.files import write_text

_HANG = 60.0  # seconds for a table whose programs are compiled
_NAMES = (
    "llama-7b", "Ünïcode-模型", "=SUM(A1)", "+1b", "@home", "-ours", "a, b", 'say "7b"', "a\nb",
    "😀-3b", "عربى", "x" * 300, "null", "None", "1e5", "0", "tab\there", "' or 1=1", "../../etc",
)  # fmt: skip
_FAULTS = (
    "duplicate", "text", "negative", "percent", "infinite", "no size",
    "no family", "two lineages", "no scores", "no column", "short row", "bytes", "empty",
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """Shapes are few, because every new one has to be compiled."""

    models: int
    families: int
    lineages: int
    benchmarks: int


SHAPES = (
    Shape(3, 1, 1, 1), Shape(4, 4, 4, 2), Shape(9, 3, 2, 3), Shape(16, 5, 3, 4),
    Shape(24, 2, 1, 5), Shape(40, 16, 8, 8),
)  # fmt: skip


def generate(rng: np.random.Generator, shape: Shape) -> tuple[bytes, str]:
    """A file and the fault that was put into it, which may be none."""

    def names(kind: str, count: int) -> list[str]:
        odd = rng.random() < 0.5
        return [f"{rng.choice(_NAMES)} {kind}{k}" if odd else f"{kind}{k}" for k in range(count)]

    def sizes() -> np.ndarray:
        low, high = [(-1, 2), (-9, 15), (0, 0), (14.9, 15)][rng.integers(4)]
        return 10.0 ** rng.uniform(low, high, shape.models)

    n, width = shape.models, shape.benchmarks
    # Sizes of families and lineages are those of the shape: other ones are other programs.
    sizes_rng = np.random.default_rng(n)
    family = np.arange(n)
    family[shape.families :] = sizes_rng.integers(0, shape.families, n - shape.families)
    of_lineage = np.arange(shape.families)
    of_lineage[shape.lineages :] = sizes_rng.integers(
        0, shape.lineages, shape.families - shape.lineages
    )
    family = rng.permutation(family)
    family_names, lineage_names = names("f", shape.families), names("l", shape.lineages)
    post_trained = rng.random(shape.families) < 0.5
    frame = pd.DataFrame(
        {
            "model": names("m", n),
            "family": [family_names[f] for f in family],
            "lineage": [lineage_names[of_lineage[f]] for f in family],
            "post_trained": post_trained[family],
            "params_b": sizes(),
            "tokens_t": sizes() if rng.random() < 0.5 else np.clip(sizes(), 1e-12, 1e15),
        }
    )
    frame[["params_b", "tokens_t"]] = frame[["params_b", "tokens_t"]].clip(1e-9, 1e15)
    kinds = (
        lambda: rng.random(n),
        lambda: np.full(n, rng.random()),
        lambda: rng.integers(0, 2, n).astype(float),
        lambda: 0.25 + 0.01 * rng.random(n),
        lambda: 1e-12 * rng.random(n),
        lambda: np.sort(rng.random(n)),
    )
    gaps = rng.choice([0.0, 0.3, 0.9])
    for j, name in enumerate(names("b", width)):
        column = kinds[rng.integers(len(kinds))]()
        frame[name] = np.where(rng.random(n) < gaps, np.nan, column)
        if j == 0 and rng.random() < 0.3:
            frame[f"{name} se"] = 0.3 * rng.random(n)
    fault = str(rng.choice(_FAULTS)) if rng.random() < 0.4 else ""
    return _spoilt(frame, fault, rng), fault


def _spoilt(frame: pd.DataFrame, fault: str, rng: np.random.Generator) -> bytes:
    """The file with a fault in one place."""
    row, last = int(rng.integers(len(frame))), frame.columns[-1]
    frame = frame.astype(object)
    changes = {
        "duplicate": ("model", frame["model"].iloc[0]), "text": (last, "high"),
        "negative": (last, -0.2), "percent": (last, 55.0), "infinite": ("params_b", "1e999"),
        "no size": ("params_b", None), "no family": ("family", None),
        "two lineages": ("lineage", "another"),
    }  # fmt: skip
    if fault in changes:
        column, value = changes[fault]
        frame.loc[row, column] = value
    if fault == "no scores":
        frame.iloc[:, 6:] = None
    if fault == "no column":
        frame = frame.drop(columns="tokens_t")
    text = frame.to_csv(index=False).encode()
    if fault == "short row":
        return text + b"\nalone"
    if fault == "bytes":
        return bytes(rng.integers(0, 256, 200, dtype=np.uint8))
    return b"" if fault == "empty" else text


def whole_way(path: Path, key: jax.Array) -> tuple[str, Shape]:
    """Everything a user does with a table; the outcome in a word, and what was compiled for."""
    table = sj.load_leaderboard(path)
    skills = min(2, len(table.benchmarks))
    report = sj.check_identifiability(table, skills=skills)
    for suspect in suspect_scores(table):
        str(suspect)
    query = sj.Query.from_frame(
        pd.DataFrame(
            {
                "model": ["next"],
                "family": [table.families[0]],
                "params_b": [70.0],
                "tokens_t": [15.0],
            }
        ),
        table,
    )
    for inference in ("mode", "laplace", "nuts"):
        fit = sj.fit(table, key=key, settings=SMOKE_SETTINGS, inference=inference, skills=skills)
        predicted = sj.forecast(fit, query, key=key)
        if not np.isfinite(predicted.draws).all():
            raise ArithmeticError(f"{inference}: a number that is not finite, and nobody said so")
    models, families, lineages = len(table.models), len(table.families), len(table.lineages)
    shape = Shape(models, families, lineages, len(table.benchmarks))
    return "result" if report.holds else "result, skills not determined", shape


def run(options: argparse.Namespace) -> None:
    """Draw tables, try each, save what happened."""
    shapes = SHAPES[1:2] if options.smoke else SHAPES
    count = 20 if options.smoke else options.tables
    out: Path = options.out
    (out / "failures").mkdir(parents=True, exist_ok=True)
    file = out / "table.csv"
    key = jax.random.key(options.seed)
    rows, compiled = [], set()
    for index in tqdm(range(count), desc="tables", disable=not sys.stderr.isatty()):
        rng = np.random.default_rng([options.seed, index])
        shape = shapes[index % len(shapes)]
        content, fault = generate(rng, shape)
        file.write_bytes(content)
        began = time.perf_counter()
        faulthandler.dump_traceback_later(10 * _HANG, exit=True)
        failed = ""
        try:
            outcome, shape = whole_way(file, key)
        except sj.InputError as error:
            outcome = "one line" if "\n" not in str(error) else "several lines"
            failed = "" if outcome == "one line" else str(error)
        except Exception:
            outcome, failed = "crash", traceback.format_exc()
        faulthandler.cancel_dump_traceback_later()
        seconds = time.perf_counter() - began
        if seconds > _HANG and shape in compiled:
            failed = f"{failed}\ntook {seconds:.0f} s"
        # A fault may make one lineage more, and with it programs that are new.
        if outcome.startswith("result"):
            compiled.add(shape)
        if failed:
            write_text(out / "failures" / f"{index}.txt", failed)
            (out / "failures" / f"{index}.csv").write_bytes(content)
        rows.append(
            {"table": index, **vars(shape), "fault": fault, "outcome": outcome,
             "failed": bool(failed), "seconds": round(seconds, 2)}
        )  # fmt: skip
    found = pd.DataFrame(rows)
    file.unlink()
    failures = int(found["failed"].sum())
    outcomes = found["outcome"].value_counts().to_dict()
    save(
        options,
        {"tables": found},
        SMOKE_SETTINGS,
        generated=count,
        outcomes=outcomes,
        failed=failures,
        slowest_seconds=float(found["seconds"].max()),
        median_seconds=float(found["seconds"].median()),
    )
    print(f"{count} tables, {failures} failed: {outcomes}")
    tell(f"Results: {out}")
    if failures:
        sys.exit(1)


if __name__ == "__main__":
    parser = command_line(__doc__, fits=False)
    parser.add_argument("--tables", type=number(1), default=2000, help="default: 2000")
    execute(run, parser, interrupted="stopped; partly written")
