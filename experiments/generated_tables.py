"""Odd and broken tables: does each end in a result or in one line that says why not?

Odd names, gaps of any pattern, sizes from a single parameter to 10^4 billion, constant columns,
scores of nothing but chance, and faults of every kind are drawn at random. Each table is written to
a file and goes the whole way: read, checked, fitted by its mode, by Laplace's approximation and by
NUTS, predicted from. What counts as a failure is any other error, a number that is not finite, or a
table that takes longer than a minute. Writes tables.csv, failures (if any) and summary.json; exit
code 1 where something failed.

Run: python experiments/generated_tables.py --tables 2000 --out out/generated_tables
"""

from __future__ import annotations

import faulthandler
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from _runner import command_line, execute, save
from tqdm import tqdm

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.evaluation.methods import SMOKE_SETTINGS
from sloth_jax.files import write_text
from sloth_jax.identifiability.quality import suspect_scores

_HANG = 60.0  # seconds for a table whose programs are compiled
_NAMES = (
    "llama-7b", "Ünïcode-模型", "=SUM(A1)", "+1b", "@home", "-ours", "a, b", 'say "7b"', "a\nb",
    "😀-3b", "عربى", "x" * 300, "null", "None", "1e5", "0", "tab\there", "' or 1=1", "../../etc",
)  # fmt: skip
_FAULTS = (
    "duplicate, text, negative, percent, infinite, no size, no family, two lineages, no scores, "
    "no column, short row, bytes, empty"
).split(", ")


@dataclass(frozen=True)
class Shape:
    """Shapes are few, because every new one has to be compiled."""

    models: int
    families: int
    lineages: int
    benchmarks: int
    unknown: int = 0  # models without a size or tokens


_COUNTS = ((3, 1, 1, 1), (7, 4, 4, 2), (9, 3, 2, 3), (16, 5, 3, 4), (24, 2, 1, 5), (40, 16, 8, 8))
SHAPES = [Shape(*counts) for counts in _COUNTS]


def generate(rng: np.random.Generator, shape: Shape) -> tuple[bytes, str]:
    """A file and the fault that was put into it, which may be none."""
    n, counts = shape.models, (shape.families, shape.lineages)
    # Sizes of families and lineages are those of the shape: other ones are other programs.
    fixed = np.random.default_rng(n)
    family = at_least_once(n, shape.families, fixed)
    of_lineage = at_least_once(*counts, fixed)
    family = rng.permutation(family)
    family_names, lineage_names = (names(rng, *of) for of in zip("fl", counts, strict=True))
    frame = pd.DataFrame(
        {
            "model": names(rng, "m", n),
            "family": [family_names[f] for f in family],
            "lineage": [lineage_names[of_lineage[f]] for f in family],
            "post_trained": (rng.random(shape.families) < 0.5)[family],
            "params_b": sizes(rng, n),
            "tokens_t": sizes(rng, n),
        }
    )
    kinds = (
        lambda: rng.random(n),
        lambda: np.full(n, rng.random()),
        lambda: rng.integers(0, 2, n).astype(float),
        lambda: 0.25 + 0.01 * rng.random(n),
        lambda: 1e-12 * rng.random(n),
        lambda: np.sort(rng.random(n)),
    )
    gaps = rng.choice([0.0, 0.3, 0.9])
    for j, name in enumerate(names(rng, "b", shape.benchmarks)):
        column = kinds[rng.integers(len(kinds))]()
        frame[name] = np.where(rng.random(n) < gaps, np.nan, column)
        if j == 0 and rng.random() < 0.3:
            frame[f"{name} se"] = 0.3 * rng.random(n)
    fault = str(rng.choice(_FAULTS)) if rng.random() < 0.4 else ""
    return spoilt(frame, fault, rng), fault


def names(rng: np.random.Generator, kind: str, count: int) -> list[str]:
    """Different names, half of the time odd ones."""
    odd = rng.random() < 0.5
    return [f"{rng.choice(_NAMES)} {kind}{k}" if odd else f"{kind}{k}" for k in range(count)]


def sizes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Sizes of models, or tokens: usual, of any magnitude, all the same, or huge."""
    low, high = [(-1, 2), (-9, 4), (0, 0), (3.9, 4)][rng.integers(4)]
    return np.clip(10.0 ** rng.uniform(low, high, count), 1e-9, 1e4)


def at_least_once(count: int, groups: int, rng: np.random.Generator) -> np.ndarray:
    """A group for each of ``count``, no group empty."""
    return np.concatenate([np.arange(groups), rng.integers(0, groups, count - groups)])


def spoilt(frame: pd.DataFrame, fault: str, rng: np.random.Generator) -> bytes:
    """The file with a fault in one place."""
    row, last = int(rng.integers(len(frame))), frame.columns[-1]
    frame = frame.astype(object)
    changes = {
        "duplicate": ("model", frame["model"].iloc[0]),
        "text": (last, "high"),
        "negative": (last, -0.2),
        "percent": (last, 55.0),
        "infinite": ("params_b", "1e999"),
        "no size": ("params_b", None),
        "no family": ("family", None),
        "two lineages": ("lineage", "another"),
    }
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
    row = {"model": "next", "family": table.families[0], "params_b": 70.0, "tokens_t": 15.0}
    query = sj.load_query(pd.DataFrame([row]), table)
    for inference in ("mode", "laplace", "nuts"):
        fit = sj.fit(table, key=key, settings=SMOKE_SETTINGS, inference=inference, skills=skills)
        predicted = sj.forecast(fit, query, key=key)
        if not np.isfinite(predicted.draws).all():
            raise ArithmeticError(f"{inference}: a forecast that is not finite, without an error")
    axes = (table.models, table.families, table.lineages, table.benchmarks)
    shape = Shape(*(len(axis) for axis in axes), unknown=int((~table.known).sum()))
    return "result" if report.holds else "result, skills not determined", shape


def attempt(file: Path, key: jax.Array, shape: Shape) -> tuple[str, str, Shape]:
    """The outcome for a table, what failed or nothing, and the shape that was compiled for."""
    faulthandler.dump_traceback_later(10 * _HANG, exit=True, file=2)
    try:
        outcome, shape = whole_way(file, key)
        return outcome, "", shape
    except sj.InputError as error:
        several = "\n" in str(error)
        return ("several lines", str(error), shape) if several else ("one line", "", shape)
    except Exception:
        return "crash", traceback.format_exc(), shape
    finally:
        faulthandler.cancel_dump_traceback_later()


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw tables, try each, save what happened."""
    parser = command_line(__file__, __doc__, inference=(), skills=False)
    parser.add_argument("--tables", type=number(1), default=2000, help="default: 2000")
    options = parser.parse_args(arguments)
    shapes = SHAPES[1:2] if options.smoke else SHAPES
    count = 20 if options.smoke else options.tables
    failures = options.out / "failures"
    failures.mkdir(parents=True, exist_ok=True)
    file = options.out / "table.csv"
    key = jax.random.key(options.seed)
    rows, compiled = [], set()
    for index in tqdm(range(count), desc="tables", disable=not sys.stderr.isatty()):
        rng = np.random.default_rng([options.seed, index])
        shape = shapes[index % len(shapes)]
        content, fault = generate(rng, shape)
        file.write_bytes(content)
        began = time.perf_counter()
        outcome, failed, shape = attempt(file, key, shape)
        seconds = time.perf_counter() - began
        # Which lineages lack a size is part of what is compiled.
        if seconds > _HANG and shape in compiled and not shape.unknown:
            failed = f"{failed}\ntook {seconds:.0f} s"
        # A fault may make one lineage more, and with it programs that are new.
        if outcome.startswith("result"):
            compiled.add(shape)
        if failed:
            write_text(failures / f"{index}.txt", failed)
            (failures / f"{index}.csv").write_bytes(content)
        facts = {"fault": fault, "outcome": outcome, "failed": bool(failed)}
        rows.append({"table": index, **vars(shape), **facts, "seconds": round(seconds, 2)})
    file.unlink()
    found = pd.DataFrame(rows)
    failed, outcomes = int(found["failed"].sum()), found["outcome"].value_counts().to_dict()
    save(
        options,
        {"tables": found},
        SMOKE_SETTINGS,
        generated=count,
        outcomes=outcomes,
        failed=failed,
        slowest_seconds=float(found["seconds"].max()),
        median_seconds=float(found["seconds"].median()),
    )
    print(f"{count} tables, {failed} failed: {outcomes}")
    tell(f"Results: {options.out}")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    execute(main, interrupted="stopped; partly written")
