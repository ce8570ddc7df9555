"""Do intervals of unknown token counts hold? Known counts are hidden and told again by scores.

Twice 40 models at random lose their token counts, then every lineage in turn all of its own; the
table is fitted, and the hidden counts are compared with their intervals before and after scores.
Writes hidden.csv, summary.json and unknown_tokens.png.

Run: python experiments/unknown_tokens.py --out out/unknown_tokens
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from _runner import command_line, drawing, execute, first_models, legend_below, save, settings_of

import sloth_jax as sj
from sloth_jax.cli.console import tell
from sloth_jax.evaluation.held_out import mean_and_error
from sloth_jax.plotting.figure_style import BLUE, GREY, ORANGE

MODELS, ROUNDS, GROUPS = 40, 2, 6


def main(arguments: Sequence[str] | None = None) -> None:
    """Hide, fit, compare, save and draw."""
    parser = command_line(__file__, __doc__)
    parser.add_argument("--edition", choices=("2024", "2025"), default="2024")
    options = parser.parse_args(arguments)
    table = sj.load_leaderboard(edition=options.edition)
    table = first_models(table) if options.smoke else table
    settings = settings_of(options)
    parts = []
    for kind, groups in hidden_groups(table, options).items():
        for at, rows in enumerate(groups):
            tell(f"{kind}, {at + 1} of {len(groups)} ...")
            key = jax.random.fold_in(jax.random.key(options.seed), len(parts))
            parts.append(told_by_scores(table, rows, settings, key).assign(kind=kind, group=at))
    found = pd.concat(parts, ignore_index=True)
    kinds = {str(kind): summary(rows) for kind, rows in found.groupby("kind", sort=False)}
    save(options, {"hidden": found}, settings, edition=options.edition, **kinds)
    draw(found, options.out / "unknown_tokens.png")
    for kind, numbers in kinds.items():
        print(f"{kind}: {numbers}")


def hidden_groups(table: sj.Leaderboard, options: argparse.Namespace) -> dict[str, list]:
    """Kind -> rows of the models whose token counts are hidden together."""
    rng = np.random.default_rng(options.seed)
    known = np.flatnonzero(table.known & table.observed.any(axis=1))
    count, rounds, groups = (3, 1, 1) if options.smoke else (MODELS, ROUNDS, GROUPS)
    lineages = np.array_split(rng.permutation(len(table.lineages)), GROUPS)[:groups]
    of_model = table.lineage_of_family[table.family]
    return {
        "models": [rng.choice(known, count, replace=False) for _ in range(rounds)],
        "lineages": [known[np.isin(of_model[known], some)] for some in lineages],
    }


def told_by_scores(
    table: sj.Leaderboard, rows: np.ndarray, settings: sj.FitSettings, key: jax.Array
) -> pd.DataFrame:
    """Intervals of hidden token counts, and the counts, a row per model."""
    tokens = table.tokens_t.copy()
    tokens[rows] = np.nan
    fit = sj.fit(replace(table, tokens_t=tokens), key=key, settings=settings)
    found = sj.forecasting.unknown_covariates(fit, key=key)
    place = {name: m for m, name in enumerate(table.models)}
    found = found[found["model"].isin([table.models[m] for m in rows])]
    at = np.array([place[name] for name in found["model"]], int)
    lineages = np.asarray(table.lineages, object)[table.lineage_of_family[table.family[at]]]
    return found.assign(lineage=lineages, hidden=table.tokens_t[at])


def summary(rows: pd.DataFrame) -> dict[str, float]:
    """Coverage and error of log tokens, before and after scores; ``_se`` over lineages."""
    found: dict[str, float] = {"models": len(rows), "lineages": rows["lineage"].nunique()}
    lineage = rows["lineage"].to_numpy()
    for prefix in ("prior_", ""):
        inside = rows["hidden"].between(rows[f"{prefix}lower"], rows[f"{prefix}upper"])
        error = np.abs(np.log((rows[f"{prefix}median"] / rows["hidden"]).to_numpy(float)))
        for name, values in (("covered_90", inside.to_numpy(float)), ("error_of_log", error)):
            mean, se = mean_and_error(values, lineage)
            found |= {f"{prefix}{name}": round(mean, 4), f"{prefix}{name}_se": round(se, 4)}
        found[f"{prefix}covered_90_lineages"] = round(inside.groupby(lineage).mean().mean(), 4)
        width = np.log((rows[f"{prefix}upper"] / rows[f"{prefix}lower"]).to_numpy(float))
        found[f"{prefix}width_90_of_log"] = round(float(np.median(width)), 4)
    return found


def draw(found: pd.DataFrame, path: Path) -> None:
    """Hidden against told token counts of lineages, before and after scores."""
    rows = found[found["kind"] == "lineages"].groupby("lineage", as_index=False).first()
    rows = rows.sort_values("hidden", ignore_index=True)
    with drawing(path, figsize=(6.5, max(3.0, 0.8 + 0.2 * len(rows)))) as (figure, ax):
        place = np.arange(len(rows))
        for prefix, colour, shift, label in (
            ("prior_", GREY, 0.15, "from relatives, size and date"),
            ("", BLUE, -0.15, "and scores"),
        ):
            ends = rows[f"{prefix}lower"], rows[f"{prefix}upper"]
            ax.hlines(place + shift, *ends, color=colour, label=f"90 % {label}")
            ax.plot(rows[f"{prefix}median"], place + shift, "o", color=colour, markersize=3)
        ax.plot(rows["hidden"], place, "|", color=ORANGE, markersize=9, label="as published")
        ax.set_xscale("log")
        ax.set_yticks(place, rows["lineage"])
        ax.set_xlabel("pretraining tokens (trillions), hidden with the whole lineage")
        ax.set_title("What scores tell of token counts that nobody told")
        legend_below(figure, ax, 3)


if __name__ == "__main__":
    execute(main)
