"""Does more data make a better law? The same held-out models, learning from few lineages and many.

The six benchmarks of the second leaderboard. Lineages of the edition 2024 are left out in five
groups, but for the smallest model of each of their families; the larger ones are predicted, and
they are the same throughout. The law learns them from the rest of the edition 2024, and from
12, 25, 50 and all other lineages of the edition 2025: nested subsets in random order. A lineage
that is tested teaches by the same smallest models in both editions, whatever else an edition has
of it. Each held-out model is judged against one measurement, that of the edition 2024, which the
edition 2025 has too; where sources differ (MATH Lvl 5) the law that learnt from both predicts
that source. Beside it a law of training FLOPs, a sigmoid for each benchmark with an intercept for
each family, which knows no sources. Writes learning.csv, against_2024.csv, summary.json,
more_data.png and splits/, a file per subset: a run that is stopped goes on with the next.

Run: python experiments/more_data.py --out out/more_data
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from _runner import check_same, command_line, drawing, execute, predict_held_out, save, settings_of

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.evaluation.held_out import mean_and_error, names_at, summarise
from sloth_jax.evaluation.left_out import flops_law
from sloth_jax.evaluation.methods import FOLD_SETTINGS
from sloth_jax.evaluation.published import leaderboard_benchmarks
from sloth_jax.evaluation.splits import Split, split_by_lineage
from sloth_jax.files import frame_csv, write_text
from sloth_jax.plotting.figure_style import BLUE, ORANGE

FOLDS = 5
COUNTS = (12, 25, 50)  # lineages to learn from, beside all
EDITIONS = ("2024", "2025")
NUMBERS = ("mae", "crps", "coverage_50", "coverage_90", "width_90")
WANTED = (0.85, 0.95)  # share of scores that 90 % intervals are to hold


@dataclass(frozen=True)
class Subset:
    """What is learnt from.

    Attributes:
        edition: of the bundled table.
        count: lineages that are not tested, at most; None for all.
        order: which random order of lineages the first are taken of.
    """

    edition: str
    count: int | None = None
    order: int = 0

    @property
    def name(self) -> str:
        """Of its file."""
        part = "all" if self.count is None else f"{self.count}_order{self.order}"
        return f"{self.edition}_{part}"


def subsets(counts: Sequence[int], orders: int) -> list[Subset]:
    """All that is learnt from: the edition 2024, then nested subsets of 2025, and all of it."""
    some = [Subset("2025", count, order) for order in range(orders) for count in counts]
    return [Subset("2024"), Subset("2025"), *some]


def load_tables(*, smoke: bool) -> dict[str, sj.Leaderboard]:
    """Scored models of each edition on the six benchmarks; of a few lineages for a smoke run."""
    names, found = leaderboard_benchmarks("v2"), {}
    for edition in EDITIONS:
        table = sj.load_leaderboard(benchmarks=names, edition=edition)
        table = table.subset(np.asarray(table.observed.any(axis=1)))
        if smoke:
            few = {"2024": 5, "2025": 8}[edition]
            kept = list(dict.fromkeys([*found.get("2024", table).lineages[:5], *table.lineages]))
            table = table.subset(np.isin(lineage_of_model(table), kept[:few]))
        found[edition] = table
    return found


def lineage_of_model(table: sj.Leaderboard) -> np.ndarray:
    """Name of each model's lineage, ``(model,)``."""
    return names_at(table.lineages, table.lineage_of_family[table.family])


def masks(
    base: Split, table: sj.Leaderboard, count: int | None, order: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The folds of one edition on the table of another, learning from some lineages.

    Args:
        base: folds of the edition 2024.
        table: of either edition.
        count: lineages that are not tested, at most; None for all.
        order: names of all lineages, those to be learnt from first.

    Returns:
        Scores that may be used, ``(fold, model, benchmark)``, and models to be predicted,
        ``(fold, model)``, bool.
    """
    lineage, own = lineage_of_model(table), lineage_of_model(base.table)
    models = np.asarray(base.table.models, object)
    train, test = [], []
    for seen, hidden in zip(base.train.any(axis=2), base.test, strict=True):
        tested = np.unique(own[hidden])
        others = [name for name in order if name not in tested and name in table.lineages]
        stays = np.isin(table.models, models[seen & np.isin(own, tested)])
        train.append(stays | np.isin(lineage, others[:count]))
        test.append(np.isin(table.models, models[hidden]))
    return np.array(train)[:, :, None] & table.observed[None], np.array(test)


def predict_subset(
    base: Split,
    table: sj.Leaderboard,
    subset: Subset,
    seed: int,
    settings: sj.FitSettings,
    key: jax.Array,
) -> pd.DataFrame:
    """Fit the law and the FLOPs law without each group of lineages, and predict it.

    Returns:
        Rows of :func:`_runner.predict_held_out`, with ``lineages`` and ``models``, how many of each
        that are not tested a fold learns from, and ``flops_error`` of the FLOPs law.
    """
    order = np.random.default_rng([seed, subset.order]).permutation(np.array(table.lineages))
    train, test = masks(base, table, subset.count, order.tolist())
    rows = predict_held_out(table, train, test, settings, key)
    lineage, learnt = lineage_of_model(table), train.any(axis=2)
    for fold, hidden in enumerate(test):
        others = learnt[fold] & ~np.isin(lineage, lineage[hidden])
        at = rows["fold"] == fold
        rows.loc[at, "lineages_learnt"] = np.unique(lineage[others]).size
        rows.loc[at, "models_learnt"] = others.sum()
    active = np.where(np.isnan(table.active_params_b), table.params_b, table.active_params_b)
    plain = flops_law(1)(replace(table, params_b=active), train, key)
    model = np.array([table.models.index(name) for name in rows["model"]])
    benchmark = np.array([table.benchmarks.index(name) for name in rows["benchmark"]])
    predicted = plain[rows["fold"], model, benchmark]
    return rows.assign(flops_law=predicted, flops_error=np.abs(predicted - rows["score"]))


def ratio_and_error(
    values: np.ndarray, reference: np.ndarray, group: np.ndarray
) -> tuple[float, float]:
    """Ratio of two means of the same entries, and its standard error over groups.

    Args:
        values: ``(entry,)``.
        reference: ``(entry,)``, positive on average.
        group: of each entry, ``(entry,)``.
    """
    ratio = values.mean() / reference.mean()
    # The ratio's linearisation: (values - ratio reference) / mean reference
    _, error = mean_and_error((values - ratio * reference) / reference.mean(), group)
    return float(ratio), error


def of_conditions(parts: dict[Subset, pd.DataFrame]) -> dict[tuple[str, int | None], pd.DataFrame]:
    """Rows of each edition and number of lineages, all random orders together."""
    found: dict[tuple[str, int | None], list[pd.DataFrame]] = {}
    for subset, rows in parts.items():
        found.setdefault((subset.edition, subset.count), []).append(rows)
    return {condition: pd.concat(rows) for condition, rows in found.items()}


def learning(conditions: dict[tuple[str, int | None], pd.DataFrame]) -> pd.DataFrame:
    """A row per edition and number of lineages: errors, CRPS, coverage, each with ``_se``."""
    found = []
    for (edition, count), rows in conditions.items():
        flops, error = mean_and_error(rows["flops_error"].to_numpy(), rows["lineage"].to_numpy())
        scored = summarise(rows)
        held_out = {
            "tested_lineages": scored.pop("lineages"),
            "scores": len(rows) // rows["order"].nunique(),
        }
        del scored["scores"]
        found.append(
            {
                "edition": edition,
                "asked": "all" if count is None else str(count),
                "lineages": rows["lineages_learnt"].mean(),
                "models": rows["models_learnt"].mean(),
                **held_out,
                **scored,
                "flops_mae": flops,
                "flops_mae_se": error,
            }
        )
    return pd.DataFrame(found).sort_values(["edition", "lineages"], ignore_index=True)


def against_2024(conditions: dict[tuple[str, int | None], pd.DataFrame]) -> pd.DataFrame:
    """A row per number of lineages of 2025 and benchmark: CRPS and error over those of 2024.

    Entries are the held-out scores, each averaged over random orders, so that what is compared is
    the same score; standard errors are over lineages.
    """
    at = ["lineage", "model", "benchmark"]
    columns = ["crps", "error", "flops_error"]
    means = {name: rows.groupby(at)[columns].mean() for name, rows in conditions.items()}
    reference, found = means["2024", None], []
    for (edition, count), one in means.items():
        if edition == "2024":
            continue
        for benchmark in ("all", *dict.fromkeys(one.index.get_level_values("benchmark"))):
            part = one if benchmark == "all" else one.xs(benchmark, level="benchmark")
            other = reference.loc[one.index]
            other = other if benchmark == "all" else other.xs(benchmark, level="benchmark")
            group = part.index.get_level_values("lineage").to_numpy()
            row: dict[str, Any] = {"asked": "all" if count is None else str(count)}
            row["benchmark"] = benchmark
            for name in columns:
                ratio = ratio_and_error(part[name].to_numpy(), other[name].to_numpy(), group)
                row[name], row[f"{name}_se"] = ratio
            found.append(row)
    return pd.DataFrame(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict from every subset that is not done yet, save after each, then draw."""
    parser = command_line(__file__, __doc__)
    parser.add_argument(
        "--orders", type=number(1), default=2, metavar="N", help="random orders of lineages"
    )
    options = parser.parse_args(arguments)
    settings = settings_of(options, FOLD_SETTINGS)
    tables = load_tables(smoke=options.smoke)
    base = split_by_lineage(tables["2024"], 1, folds=2 if options.smoke else FOLDS)
    wanted = subsets((2,) if options.smoke else COUNTS, 1 if options.smoke else options.orders)
    summary, folder = options.out / "summary.json", options.out / "splits"
    if summary.exists():
        same = {"seed": options.seed, "smoke": options.smoke, "settings": asdict(settings)}
        check_same(options.out, json.loads(summary.read_text()), same)
    else:
        save(options, {}, settings)
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[Subset, pd.DataFrame] = {}
    key = jax.random.key(options.seed)
    for subset in wanted:
        path = folder / f"{subset.name}.csv"
        tell(f"{subset.name}: done before" if path.exists() else f"{subset.name} ...")
        if not path.exists():
            table = tables[subset.edition]
            rows = predict_subset(base, table, subset, options.seed, settings, key)
            rows = rows.assign(order=subset.order)
            write_text(path, frame_csv(rows, "%.9g"))
        # What is kept is what is summarised, so that a run that was stopped gives the same.
        parts[subset] = pd.read_csv(path)
        conditions = of_conditions(parts)
        rows, ratios = learning(conditions), against_2024(conditions)
        save(
            options,
            {"learning": rows, "against_2024": ratios},
            settings,
            orders=options.orders,
            subsets=[one.name for one in parts],
            learning=json.loads(rows.to_json(orient="records")),
            against_2024=json.loads(ratios.to_json(orient="records")),
        )
    draw(options.out / "more_data.png", rows)
    print(rows.to_string(index=False, float_format="%.4f"))
    print(ratios[ratios["benchmark"] == "all"].to_string(index=False, float_format="%.3f"))


def draw(path: Path, rows: pd.DataFrame) -> None:
    """CRPS, error and coverage against lineages learnt from; bars are standard errors."""
    panels = {"crps": "CRPS", "mae": "mean absolute error", "coverage_90": "90 % intervals hold"}
    with drawing(path, 1, 3, figsize=(10.5, 3.6)) as (figure, axes):
        for ax, (name, what) in zip(axes, panels.items(), strict=True):
            for edition, colour, marker in (("2024", ORANGE, "s"), ("2025", BLUE, "o")):
                part = rows[rows["edition"] == edition]
                style: dict[str, Any] = {"color": colour, "marker": marker, "capsize": 3}
                label = f"law, edition {edition}"
                at = part["lineages"]
                ax.errorbar(at, part[name], part[f"{name}_se"], label=label, **style)
                if name == "mae":
                    bars = (part["flops_mae"], part["flops_mae_se"])
                    style |= {"linestyle": ":", "fillstyle": "none"}
                    ax.errorbar(at, *bars, label=f"FLOPs law, edition {edition}", **style)
            if name == "coverage_90":
                ax.axhspan(*WANTED, color="0.9", zorder=0)
                ax.set_ylim(0.7, 1.0)
            else:
                ax.set_ylim(bottom=0.0)
            ax.set_title(what)
            ax.set_xlabel("lineages learnt from")
        handles, labels = axes[1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        scores, lineages = rows["scores"].min(), rows["tested_lineages"].min()
        figure.suptitle(
            f"The same {scores:.0f} held-out scores of {lineages:.0f} lineages; bars: one standard "
            "error over them",
            x=0.01,
            ha="left",
        )


if __name__ == "__main__":
    execute(main)
