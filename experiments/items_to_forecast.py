"""How much wider is a large model's forecast if its small relatives answered few items?

Families of the bundled table with four sizes or more play a user's own: their lineages are taken
out, the three smallest models of each come back with scores of 30, 100, 300 or 1,000 answers
(binomial draws from their real scores, with their standard errors) or of all, and the largest is
forecast; with none it is a cold start. With `--banks`, answers are real: in every family of a bank
with two sizes or more, scores of the smaller models over the whole bank are estimated from items
that `sloth-jax items select` chooses, without the lineage's own answers, and the largest one's
score over the bank is forecast. Writes forecasts.csv, means.csv, summary.json and
items_to_forecast.png.

Run: python experiments/items_to_forecast.py --out out/items_to_forecast --banks FOLDER
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from _runner import command_line, drawing_grid, edition_2024, execute, save, settings_of
from few_items import read_banks
from matplotlib.axes import Axes

import sloth_jax as sj
from sloth_jax.cli.console import tell
from sloth_jax.data.importing.reader import import_scores
from sloth_jax.data.schema import COLUMNS, bundled_items
from sloth_jax.evaluation.held_out import mean_and_error, score_rows
from sloth_jax.items.answers import score_columns
from sloth_jax.items.reports import score_models, selected

COUNTS = (30, 100, 300, 1000)
NONE, ALL = 0, -1  # items: a cold start, and scores as they are
SMALL = 3
GROUPS = 4  # lineages are taken out in so many parts
THINNED = "thinned"
BANKED = "bank score"


def main(arguments: Sequence[str] | None = None) -> None:
    """Forecast with all counts, save and draw."""
    parser = command_line(__file__, __doc__)
    parser.add_argument("--banks", type=Path, metavar="DIR", help="of item banks NAME.csv")
    options = parser.parse_args(arguments)
    counts = (NONE, *(COUNTS[:1] if options.smoke else COUNTS), ALL)
    table = edition_2024()
    parts = [thinned(table, counts, options).assign(part=THINNED)]
    for name, bank in (read_banks(options.banks) if options.banks else {}).items():
        parts += [rows.assign(part=name) for rows in banked(table, bank, counts, options)]
    rows = pd.concat(parts, ignore_index=True)
    found = summarised(rows)
    save(
        options,
        {"forecasts": rows, "means": found},
        settings_of(options),
        counts=counts,
        small=SMALL,
        families={part: sorted(own["family"].unique()) for part, own in rows.groupby("part")},
    )
    draw(found, options.out / "items_to_forecast.png")
    print(found.to_string(index=False, float_format="%.4f"))


def own_families(table: sj.Leaderboard, least: int) -> dict[int, tuple[np.ndarray, int]]:
    """Family -> its smallest models, at most three, and its largest, where it has so many sizes."""
    found = {}
    for family in range(len(table.families)):
        rows = np.flatnonzero(table.family == family)
        by_size = rows[np.argsort(table.params_b[rows], kind="stable")]
        sizes = len(set(table.params_b[rows].tolist()))
        if sizes >= least and np.isfinite(table.scores[by_size[-1]]).any():
            found[family] = by_size[:-1][:SMALL], int(by_size[-1])
    return found


def forecast_large(
    full: sj.Leaderboard,
    lineages: Sequence[int],
    small: pd.DataFrame | None,
    large: Sequence[int],
    options: argparse.Namespace,
) -> pd.DataFrame:
    """Forecasts of large models by the other lineages and by small relatives, judged."""
    others = full.subset(~np.isin(full.lineage_of_family[full.family], lineages))
    table = others if small is None else sj.add_models(others, small)
    fit_key, key = jax.random.split(jax.random.key(options.seed))
    fit = sj.fit(table, key=fit_key, settings=settings_of(options))
    query = sj.load_query(full.to_frame().iloc[list(large)][list(COLUMNS)], table)
    draws = sj.forecast(fit, query, key=key).draws
    at = [full.benchmarks.index(name) for name in table.benchmarks]
    truth = full.scores[np.asarray(large)][:, at]
    model, benchmark = np.nonzero(np.isfinite(truth))
    rows = np.asarray(large)[model], np.asarray(at)[benchmark]
    return score_rows(full, *rows, np.asarray(draws)[:, model, benchmark])


def thinned(
    table: sj.Leaderboard, counts: Sequence[int], options: argparse.Namespace
) -> pd.DataFrame:
    """Small models' scores of some answers, drawn from their real scores."""
    families = own_families(table, SMALL + 1)
    of = {family: int(table.lineage_of_family[family]) for family in families}
    lineages = sorted(set(of.values()))
    lineages = lineages[:2] if options.smoke else lineages
    groups = [lineages[at::GROUPS] for at in range(1 if options.smoke else GROUPS)]
    parts = []
    for at, group in enumerate(groups):
        mine = [families[family] for family in families if of[family] in group]
        small = np.concatenate([each for each, _ in mine])
        for count in counts:
            tell(f"group {at + 1} of {len(groups)}, {in_words(count)} ...")
            rng = np.random.default_rng([options.seed, at, max(count, 0)])
            frame = None if count == NONE else thin(table, small, count, rng)
            large = [each for _, each in mine]
            rows = forecast_large(table, group, frame, large, options)
            parts.append(rows.assign(items=count))
    return pd.concat(parts, ignore_index=True)


def thin(
    table: sj.Leaderboard, models: np.ndarray, count: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Models with scores of so many answers, drawn from their own, and their standard errors."""
    frame = table.to_frame().iloc[models].dropna(axis=1, how="all").reset_index(drop=True)
    frame = frame[[name for name in frame.columns if name in (*COLUMNS, *table.benchmarks)]]
    if count == ALL:
        return frame
    for name in [each for each in table.benchmarks if each in frame.columns]:
        if count >= bundled_items().get(name, np.inf):
            continue  # the benchmark has no more
        score = frame[name].to_numpy(float)
        right = rng.binomial(count, np.nan_to_num(score)).astype(float)
        # se = sqrt( p (1 - p) / n ), p = (right + 1) / (n + 2): never nought
        p = (right + 1.0) / (count + 2.0)
        known = np.isfinite(score)
        frame[name] = np.where(known, right / count, np.nan)
        frame[f"{name} se"] = np.where(known, np.sqrt(p * (1.0 - p) / count), np.nan)
    return frame


def banked(
    table: sj.Leaderboard,
    bank: sj.items.ItemBank,
    counts: Sequence[int],
    options: argparse.Namespace,
) -> list[pd.DataFrame]:
    """Small models' scores from answers to items of a bank that does not hold their lineage.

    A frame for every family and count; none where the bank has no family with two sizes.
    """
    full, name_of = with_bank(table, bank)
    if not name_of:
        return []
    known = np.array([full.models.index(name_of[m]) if m in name_of else -1 for m in bank.models])
    lineage = np.where(known < 0, -1, full.lineage_of_family[full.family[known]])
    inside = full.subset(np.isin(np.arange(len(full.models)), known))
    families = {
        full.families.index(inside.families[family]): tuple(
            np.array([full.models.index(inside.models[m]) for m in np.atleast_1d(each)])
            for each in pair
        )
        for family, pair in own_families(inside, 2).items()
    }
    parts: list[pd.DataFrame] = []
    for family, (small, large) in list(families.items())[: 1 if options.smoke else None]:
        own = int(full.lineage_of_family[family])
        others = bank.select_models(lineage != own)
        mine = bank.select_models(np.isin(known, small))
        facts = full.to_frame().iloc[small].reset_index(drop=True)
        facts = facts[[*COLUMNS, BANKED]]
        for count in counts:
            tell(f"{full.families[family]}, {in_words(count)} ...")
            frame = None if count == NONE else facts
            if count > 0:
                scores = asked(others, mine, count, options.seed)
                scores = scores.assign(model=scores["model"].map(name_of))
                frame = facts.drop(columns=BANKED).merge(scores, on="model")
            rows = forecast_large(full, [own], frame, large.tolist(), options)
            parts.append(rows[rows["benchmark"] == BANKED].assign(items=count))
    return parts


def with_bank(
    table: sj.Leaderboard, bank: sj.items.ItemBank
) -> tuple[sj.Leaderboard, dict[str, str]]:
    """The table with the bank's scores, and model of the bank -> model of the table.

    Facts of models that the table does not have are those that `sloth-jax import` reads off names.
    """
    plain = {name: name.replace("_", ".").lower().removesuffix("-hf") for name in bank.models}
    scores = pd.DataFrame({"model": [plain[m] for m in bank.models], BANKED: bank.scores()})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bank.csv"
        scores.to_csv(path, index=False)
        found = import_scores(path).frame  # keeps models whose size no name tells, too
    bare = found[["model", BANKED]]
    sized = found[found[["params_b", "tokens_t"]].notna().all(axis=1)]
    new = sized[~sized["model"].isin(table.models)]
    rows = pd.concat([bare[bare["model"].isin(table.models)], new], ignore_index=True)
    full = sj.add_models(table, rows) if len(rows) else table
    return full, {name: short for name, short in plain.items() if short in set(rows["model"])}


def asked(bank: sj.items.ItemBank, mine: sj.items.ItemBank, count: int, seed: int) -> pd.DataFrame:
    """Scores from answers to so many items, by way of the files that the commands write."""
    chosen = selected(bank, count, "stratified", None, 1, seed)
    at = [bank.item_number[name] for name in chosen["item"]]
    answered = mine.tries[:, at] > 0
    model, item = np.nonzero(answered)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.csv"
        chosen.iloc[item].assign(
            model=np.asarray(mine.models, object)[model],
            correct=mine.successes[:, at][answered],
        ).to_csv(path, index=False)
        scores = score_models(bank, str(path), str(path), 1, seed)
    return score_columns(scores, BANKED)


def summarised(rows: pd.DataFrame) -> pd.DataFrame:
    """Width, error, CRPS and coverage by items asked, with errors over families."""
    found = []
    for (part, items), own in rows.groupby(["part", "items"], sort=False):
        family = own["family"].to_numpy()
        line: dict[str, Any] = {"part": part, "items": items, "scores": len(own)}
        for name, column in (
            *(("width", "width_90"), ("error", "error"), ("crps", "crps")),
            ("coverage_90", "covered_90"),
        ):
            line[name], line[f"{name}_se"] = mean_and_error(own[column].to_numpy(float), family)
        found.append(line)
    table = pd.DataFrame(found)
    whole = table[table["items"] == ALL].set_index("part")["width"]
    return table.assign(ratio=table["width"] / table["part"].map(whole))


def in_words(count: int) -> str:
    """A number of items, as a heading says it."""
    return {NONE: "none", ALL: "all items"}.get(count, f"{count:,} items")


def draw(found: pd.DataFrame, path: Path) -> None:
    """Width of the forecast against items asked, a panel for each part."""
    parts = list(dict.fromkeys(found["part"]))
    with drawing_grid(path, len(parts), 2, (4.2, 3.0)) as (_, panels):
        for ax, part in zip(panels, parts, strict=True):
            _panel(ax, found[found["part"] == part].reset_index(drop=True), part)
        panels[0].set_ylabel("width of 90 % intervals, points")
        # The axis is shared by all panels.
        panels[0].set_ylim(0.0, 105 * float((found["width"] + found["width_se"].fillna(0.0)).max()))


def _panel(ax: Axes, own: pd.DataFrame, part: str) -> None:
    at = np.arange(len(own))
    ax.errorbar(at, 100 * own["width"], 100 * own["width_se"], marker="o")
    some = int(np.flatnonzero(own["items"] > 0)[min(1, (own["items"] > 0).sum() - 1)])
    title = "all benchmarks, drawn answers" if part == THINNED else f"{part}, real answers"
    ratio = f"{own['ratio'][some]:.2f} times as wide as with all"
    ax.set_title(f"{title}:\nwith {own['items'][some]} items {ratio}", loc="left")
    ax.set_xticks(at, [in_words(int(count)).removesuffix(" items") for count in own["items"]])
    ax.set_xlabel("items that each small model answered")


if __name__ == "__main__":
    execute(main)
