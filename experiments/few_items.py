"""How well do a few items tell the score over all? Models of a bank are left out and estimated.

Every model of each bank is left out in turn: the law of items is fitted to the others, items are
selected, and the model's score over all items is estimated from its answers to these. In banks of
at most 5,000 items, half of them are then a new version of the benchmark that five models answered,
once a random half and once the harder ones: all others' scores on it are predicted, and beside that
their old scores are copied. A large simulated bank of a two-parameter law shows what fitting costs
and whether skills come back. Writes models.csv, means.csv, new_versions.csv, summary.json and
few_items.png.

Run: python experiments/few_items.py --out out/few_items --banks FOLDER
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from _runner import command_line, drawing_grid, execute, legend_below, save
from matplotlib.axes import Axes

import sloth_jax as sj
from sloth_jax.cli.console import tell
from sloth_jax.evaluation.held_out import mean_and_error
from sloth_jax.items.estimates import (
    calibration_of,
    central,
    left_out_estimates,
    with_combination,
)
from sloth_jax.items.new_version import models_to_evaluate, scores_on_new_items
from sloth_jax.items.selection import METHODS
from sloth_jax.plotting.figure_style import COLOURS

COUNTS = (30, 100, 300)
SIMULATED = (2000, 10_000)  # models, items
EVALUATED = 5
ROUNDS = 4  # new versions, each way
MOST_HALVED = 5000  # items of a bank; each new version takes a fit for every model on it


def main(arguments: Sequence[str] | None = None) -> None:
    """Leave models out, save and draw."""
    parser = command_line(__file__, __doc__, inference=())
    parser.add_argument(
        "--banks",
        type=Path,
        metavar="DIR",
        help="of item banks NAME.csv or NAME.csv.gz, their labels NAME_items.csv (default: a "
        "simulated bank)",
    )
    options = parser.parse_args(arguments)
    key = jax.random.key(options.seed)
    banks = read_banks(options.banks) if options.banks else {}
    simulated, recovery = simulate(options)
    banks = banks or {"simulated": simulated}
    counts = (20,) if options.smoke else COUNTS
    parts = []
    for name, bank in banks.items():
        tell(f"{name} ...")
        parts.append(left_out(bank, counts, options.skills, key).assign(bank=name))
    rows = pd.concat(parts, ignore_index=True)
    found = summarised(rows)
    versions = [
        new_versions(bank, options.seed, 1 if options.smoke else ROUNDS).assign(bank=name)
        for name, bank in banks.items()
        if len(bank.items) <= MOST_HALVED
    ]
    new = pd.concat(versions, ignore_index=True)
    save(
        options,
        {"models": rows, "means": found, "new_versions": new},
        {"skills": options.skills, "counts": counts},
        simulated=recovery,
        new_versions=version_means(new),
    )
    draw(found, options.out / "few_items.png")
    print(found.to_string(index=False))
    print(version_means(new))


def read_banks(folder: Path) -> dict[str, sj.items.ItemBank]:
    """Banks of a folder by name, with their labels where there are any.

    Raises:
        InputError: if there is none.
    """
    found = {}
    for path in sorted(folder.glob("*.csv*")):
        name = path.name.split(".")[0]
        labels = folder / f"{name}_items.csv"
        if not name.endswith("_items"):
            found[name] = sj.items.read_bank(path, labels if labels.exists() else None)
    if not found:
        raise sj.InputError(f"{folder}: no item bank NAME.csv in it")
    return found


def simulate(options: argparse.Namespace) -> tuple[sj.items.ItemBank, dict[str, Any]]:
    """A small bank for the rest, and what fitting a large one costs and finds."""
    models, items = (24, 120) if options.smoke else SIMULATED
    rng = np.random.default_rng(options.seed)
    theta = rng.normal(size=models)
    slope, difficulty = np.exp(0.4 * rng.normal(size=items)), 1.5 * rng.normal(size=items)
    p = 1.0 / (1.0 + np.exp(difficulty - theta[:, None] * slope))
    answers = (rng.random(p.shape) < p).astype(np.uint16)
    named = [tuple(f"{what}{i}" for i in range(n)) for what, n in (("m", models), ("i", items))]
    bank = sj.items.ItemBank(named[0], named[1], answers, np.ones_like(answers))
    began = time.perf_counter()
    law = sj.items.fit_responses(bank)
    fitted = time.perf_counter()
    sj.items.select_items(law, min(100, items), method="information", key=jax.random.key(0))
    selected = time.perf_counter()
    return bank.select_models(np.arange(min(models, 24))), {
        "models": models,
        "items": items,
        "sweeps": law.sweeps,
        "fit_seconds": round(fitted - began, 1),
        "selection_seconds": round(selected - fitted, 1),
        "skill_correlation": float(np.corrcoef(law.abilities.mean[:, 0], theta)[0, 1]),
    }


def left_out(
    bank: sj.items.ItemBank, counts: Sequence[int], skills: int, key: jax.Array
) -> pd.DataFrame:
    """Estimates of every model, errors tested on the others: a row for each way to get one."""

    def selection(method: str, count: int) -> Any:
        return lambda law, allowed, key: sj.items.select_items(
            law, count, method=method, allowed=allowed, key=key
        )

    ways = {f"{m} {count}": selection(m, count) for count in counts for m in METHODS}
    tested = left_out_estimates(bank, ways, skills=skills, folds=len(bank.models), key=key)
    rows = []
    for way, those in tested.groupby("selection", sort=False):
        method, count = str(way).split()
        for model, own in those.groupby("model", sort=False):
            others = calibration_of(those[those["model"] != model])
            pairs = own[["estimate", "error"]].to_numpy(float)
            found = {
                str(name): (float(estimate), float(error))
                for name, (estimate, error) in zip(own["estimator"], pairs, strict=True)
            }
            truth = float(own["score"].iloc[0])
            for estimator, (estimate, error) in with_combination(found, others).items():
                ends = central(estimate, error)
                rows.append((int(count), method, model, estimator, truth, estimate, *ends))
    columns = ["items", "method", "model", "estimator", "score", "estimate", "lower", "upper"]
    frame = pd.DataFrame(rows, columns=columns)
    inside = frame["score"].between(frame["lower"], frame["upper"])
    return frame.assign(error=(frame["estimate"] - frame["score"]).abs(), covered=inside)


def summarised(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean error, its standard error over models, coverage and width."""
    keys = ["bank", "items", "method", "estimator"]
    found = []
    for names, part in rows.groupby(keys, sort=False):
        model = part["model"].to_numpy()
        error, error_se = mean_and_error(part["error"].to_numpy(), model)
        inside, inside_se = mean_and_error(part["covered"].to_numpy(float), model)
        width = float((part["upper"] - part["lower"]).mean())
        found.append((*names, error, error_se, inside, inside_se, width))
    return pd.DataFrame(
        found, columns=[*keys, "error", "error_se", "coverage_90", "coverage_90_se", "width_90"]
    )


def new_versions(bank: sj.items.ItemBank, seed: int, rounds: int) -> pd.DataFrame:
    """Half of the items become new; a row per model that was not evaluated on them."""
    shape, parts = bank.tries.shape, []
    hard = 1.0 - bank.successes.mean(axis=0) / np.maximum(bank.tries.mean(axis=0), 1e-9)
    for at in range(rounds):
        rng = np.random.default_rng([seed, at])
        for kind, lean in (("random half", 0.0), ("harder half", 1.0)):
            new = np.zeros(shape[1], bool)
            new[np.argsort(-(rng.random(shape[1]) + lean * hard))[: shape[1] // 2]] = True
            hide = partial(np.where, np.broadcast_to(new, shape), 0)
            law = sj.items.fit_responses(
                replace(bank, tries=hide(bank.tries), successes=hide(bank.successes))
            )
            seen = np.isin(np.arange(shape[0]), models_to_evaluate(law, EVALUATED))
            hidden = new[None, :] & ~seen[:, None]
            part = scores_on_new_items(
                replace(
                    bank,
                    tries=np.where(hidden, 0, bank.tries),
                    successes=np.where(hidden, 0, bank.successes),
                ),
                new,
                key=jax.random.key(seed),
            )
            truth = bank.successes[:, new].sum(axis=1) / bank.tries[:, new].sum(axis=1)
            parts.append(part.assign(truth=truth, kind=kind, round=at)[~seen])
    return pd.concat(parts, ignore_index=True)


def version_means(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Errors of the law and of copied scores on new versions, with errors over models."""
    found = []
    for (bank, kind), part in rows.groupby(["bank", "kind"], sort=False):
        model = part["model"].to_numpy()
        inside = part["truth"].between(part["lower"], part["upper"]).to_numpy(float)
        values = {
            "error": (part["score"] - part["truth"]).abs().to_numpy(),
            "copied_error": (part["old_score"] - part["truth"]).abs().to_numpy(),
            "coverage_90": inside,
        }
        means = {name: mean_and_error(value, model) for name, value in values.items()}
        both = {name: mean for name, (mean, _) in means.items()}
        errors = {f"{name}_se": error for name, (_, error) in means.items()}
        found.append({"bank": bank, "kind": kind, "scores": len(part)} | both | errors)
    return found


def draw(found: pd.DataFrame, path: Path) -> None:
    """Error against the number of items: the combined estimate by method, and the plain mean."""
    banks = list(dict.fromkeys(found["bank"]))
    with drawing_grid(path, len(banks), 3, (3.4, 2.9), sharey=True) as (figure, panels):
        for ax, bank in zip(panels, banks, strict=True):
            _panel(ax, found[found["bank"] == bank])
            ax.set_title(bank.replace("_", " "))
            ax.set_xlabel("items asked")
        panels[0].set_ylabel("mean absolute error of the score")
        legend_below(figure, panels[0], 3)


def _panel(ax: Axes, found: pd.DataFrame) -> None:
    plain = found[(found["estimator"] == "mean") & (found["method"] == "random")]
    ax.errorbar(plain["items"], plain["error"], plain["error_se"], color="0.5", marker="s",
                label="random, plain mean")  # fmt: skip
    for at, (method, marker) in enumerate(zip(METHODS, "oDv^P*X", strict=False)):
        own = found[(found["estimator"] == "combined") & (found["method"] == method)]
        # Apart from each other, so that bars can be told apart.
        at_items = own["items"] * 1.03 ** (at - 1.5)
        ax.errorbar(at_items, own["error"], own["error_se"], color=COLOURS[at], marker=marker,
                    label=f"{method}, combined")  # fmt: skip
    ax.set_xscale("log")
    ax.set_xticks(list(plain["items"]), [str(count) for count in plain["items"]])
    ax.minorticks_off()
    ax.set_ylim(0.0, None)


if __name__ == "__main__":
    execute(main)
