"""The page docs/comparison.md: our errors beside the published ones, from finished runs.

Reads the folders that cross_validation.py wrote, twelve for the whole page (three leaderboards, one
or two training models, two protocols), and those of calibration.py, whose medians are rows of ours.
Writes Markdown. What is missing is left blank.

Run: python experiments/comparison_table.py --out docs/comparison.md out/*/
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _pages import differences, filled, finished, fixed, markdown_table, write_page
from _runner import execute

import sloth_jax as sj
from sloth_jax.evaluation.folds import PROTOCOLS, make_folds
from sloth_jax.evaluation.methods import ABLATIONS, OURS, published_methods
from sloth_jax.evaluation.published import (
    LEADERBOARDS,
    leaderboard_benchmarks,
    published_errors,
    published_groups,
)

PLAIN = "logF_sigmoid_faminter"
PLACES = [(leaderboard, n_train) for n_train in (1, 2) for leaderboard in LEADERBOARDS]
HEADS = [f"{leaderboard}, n = {n}" for leaderboard, n in PLACES]
METHODS = list(published_methods(1))
# What the published comparison is to be reproduced to; networks have a random start, many minima
# and a looser stop, and are compared by rank.
REPRODUCED = ("logF_sigmoid", "logSlogT_sigmoid", "pca", "factor_sigmoid")


@cache
def published(leaderboard: str, n_train: int) -> pd.Series:
    """Published errors, by method."""
    return pd.Series(published_errors(leaderboard, n_train))


class Setting(NamedTuple):
    """A setting of the comparison, in which two runs of a method would contradict each other."""

    protocol: str
    leaderboard: str
    n_train: int


class Runs(NamedTuple):
    """Finished runs.

    Attributes:
        errors: setting -> method -> mean absolute error.
        seconds: setting -> method -> seconds.
    """

    errors: dict[Setting, dict[str, float]]
    seconds: dict[Setting, dict[str, float]]

    def of(self, protocol: str, *methods: str) -> list[pd.Series | None]:
        """Errors of methods on every place; None where one is missing."""
        found = [self.errors.get(Setting(protocol, *place), {}) for place in PLACES]
        return [
            pd.Series(errors)[list(methods)] if set(methods) <= set(errors) else None
            for errors in found
        ]


def read(folders: list[Path]) -> Runs:
    """Errors of all methods in all runs.

    Raises:
        InputError: if a folder holds no finished run, a smoke run, or a setting that another has.
    """
    compared, ours = Runs({}, {}), {}
    for folder in folders:
        if (folder / "summary.json").exists():
            setting, name, error = read_calibration(folder)
            if setting.n_train == 0:
                continue  # the cold start has no published errors to stand beside
            if name in ours.setdefault(setting, {}):
                where = " ".join(map(str, setting))
                raise sj.InputError(f"{folder}: a second run of {name} on {where}")
            ours[setting][name] = error
            continue
        record = finished(folder, "cross_validation.py", ["methods"], record="run.json")
        setting = Setting(*(record["settings"][name] for name in Setting._fields))
        if setting in compared.errors:
            raise sj.InputError(
                f"{folder}: a second run of {' '.join(map(str, setting))}; name one"
            )
        summary = pd.read_csv(folder / "summary.csv", index_col="method")
        compared.errors[setting] = dict(summary["average"])
        compared.seconds[setting] = {m: of["seconds"] for m, of in record["methods"].items()}
    for setting, errors in ours.items():
        compared.errors[setting] = compared.errors.get(setting, {}) | errors
    return compared


def read_calibration(folder: Path) -> tuple[Setting, str, float]:
    """Setting, name of the method and error of a run of calibration.py."""
    needs = (*Setting._fields, "mae")
    record = finished(folder, "calibration.py", needs)
    changed = differences(record, ("skills", "inference"))
    names = [f"d={value}" if name == "skills" else value for name, value in changed.items()]
    setting = Setting(*(record[name] for name in Setting._fields))
    return setting, "_".join(["fit", *names]), float(record["mae"])


def row(name: str, values: Sequence[float | None], digits: int = 4) -> list[str]:
    """A row of the page."""
    return [name, *(fixed(value, digits) for value in values)]


def least(errors: Sequence[pd.Series | None]) -> list[float | None]:
    """The smallest error on every place."""
    return [None if of is None else float(of.min()) for of in errors]


def short_rows(runs: Runs) -> list[list[str]]:
    """The plain baseline, the best of the published methods and ours, by protocol."""
    theirs = [published(*place) for place in PLACES]
    best = f"best of the {len(METHODS)}"
    rows = [
        row(f"plain: `{PLAIN}`, as published", [of[PLAIN] for of in theirs]),
        row(f"plain: `{PLAIN}`, here", least(runs.of("published", PLAIN))),
        row(f"{best}, as published", least(theirs)),
    ]
    for protocol in PROTOCOLS:
        usual = protocol == "published"
        title = "" if usual else f", {protocol} protocol"
        wanted = {f"ours: `{name}`{title}": (name,) for name in (*OURS, *ABLATIONS["inference"])}
        # The best of a few would look worse than it is.
        wanted = {f"{best}, here{title}": METHODS} | wanted
        if not usual:
            wanted = {f"plain: `{PLAIN}`, here{title}": (PLAIN,)} | wanted
        found = {name: least(runs.of(protocol, *methods)) for name, methods in wanted.items()}
        rows += [row(name, of) for name, of in found.items() if any(v is not None for v in of)]
    return rows


def reproduced_rows(runs: Runs) -> list[list[str]]:
    """How far the published methods are from their published errors."""
    strict = [name for name in METHODS if name.startswith(REPRODUCED)]
    components = [name for name in METHODS if name.startswith("pca")]
    found: dict[str, list[Any]] = {"rank": [], "pca": [], "strict": [], "seconds": []}
    for place, ours in zip(PLACES, runs.of("published", *METHODS), strict=True):
        values: tuple[float | None, ...] = (None,) * len(found)
        if ours is not None:
            theirs = published(*place)[METHODS]
            gap = (ours - theirs).abs()
            rank = float(ours.corr(theirs, method="spearman"))
            seconds = runs.seconds[Setting("published", *place)]
            values = (
                rank,
                gap[components].max(),
                gap[strict].max(),
                sum(seconds[m] for m in METHODS),
            )
        for kept, value in zip(found.values(), values, strict=True):
            kept.append(value)
    return [
        row(f"rank correlation over the {len(METHODS)} methods", found["rank"]),
        row("largest difference, PCA", found["pca"]),
        row("largest difference, all with a logistic link", found["strict"]),
        row(f"seconds for the {len(METHODS)} methods", found["seconds"], 0),
    ]


def changed_folds() -> str:
    """How many folds of complete rows the strict protocol changes, where it does."""
    table, found = sj.load_leaderboard(corrected=False), []
    for (leaderboard, n_train), head in zip(PLACES, HEADS, strict=True):
        some = table.select_benchmarks(leaderboard_benchmarks(leaderboard))
        groups, how = published_groups(leaderboard, n_train), {"n_train": n_train, "complete": True}
        two = [make_folds(some, groups, protocol=name, **how).train for name in PROTOCOLS]
        count = int(np.any(two[0] != two[1], axis=(1, 2)).sum())
        found += [f"{count} of {head}"] if count else []
    return " and ".join(found) or "none"


def page(folders: list[Path]) -> str:
    """The whole page as Markdown."""
    runs = read(folders)
    ours = [runs.of("published", name) for name in METHODS]
    pairs = [
        [
            f"{fixed(published(*place)[name])} / {fixed(here)}"
            for place, here in zip(PLACES, least(of), strict=True)
        ]
        for name, of in zip(METHODS, ours, strict=True)
    ]
    methods = [[name, *cells] for name, cells in zip(METHODS, pairs, strict=True)]
    return filled(
        "comparison",
        count=len(METHODS),
        short=markdown_table(["method", *HEADS], short_rows(runs)).rstrip(),
        changed=changed_folds(),
        ablations=" ".join(ABLATIONS),
        reproduced=markdown_table(["", *HEADS], reproduced_rows(runs)).rstrip(),
        methods=markdown_table(["method", *HEADS], methods),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    write_page(__file__, __doc__, page, arguments)


if __name__ == "__main__":
    execute(main)
