"""Does more data make a better law? The same held-out models, learning from few lineages and many.

The six benchmarks of the second leaderboard. Lineages are left out in five groups, but for the
smallest model of each of their families; the larger ones are predicted, and they are the same
throughout. The law learns them from the rest of the edition 2024, and from 12, 25, 50 and all
other lineages of the edition 2025: nested subsets in random order. A lineage that is tested teaches
by the same smallest models in both editions, whatever else an edition has of it. Last, the law
learns from the edition 2025 with its models of unknown tokens, which are integrated out.

Two sets are tested: models of the edition 2024, which both editions have, and models of lineages
that only the edition 2025 has, which the law that learnt from the edition 2024 has to foresee. Each
model is judged against one measurement, whatever the law learnt from: that which the edition 2025
has of it. Where sources differ (MATH Lvl 5), a law that learnt from both predicts the source of
that measurement. Beside it stands a law of training FLOPs, a sigmoid for each benchmark with an
intercept for each family, which knows no sources. Writes learning.csv, ratios.csv, summary.json,
more_data.png and splits/, a file per subset: a run that is stopped goes on with the next.

Run: python experiments/more_data.py --out out/more_data
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from _runner import (
    check_same,
    command_line,
    drawing,
    execute,
    legend_below,
    predict_held_out,
    save,
    settings_of,
)
from matplotlib.axes import Axes

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
UNKNOWN = "2025, unknown tokens too"  # what else may be learnt from
SMOKE = ("bloom", "gemma", "olmo", "opt", "danube3", "falcon3", "smollm2")  # lineages
WANTED = (0.85, 0.95)  # share of scores that 90 % intervals are to hold


@dataclass(frozen=True)
class Subset:
    """What is learnt from, and tested.

    Attributes:
        tested: edition whose models are tested: of 2025, those of lineages that 2024 has not.
        edition: of the bundled table that is learnt from, or :data:`UNKNOWN`.
        count: lineages that are not tested, at most; None for all.
        order: which random order of lineages the first are taken of.
    """

    tested: str
    edition: str
    count: int | None = None
    order: int = 0

    @property
    def name(self) -> str:
        """Of its file."""
        part = "all" if self.count is None else f"{self.count}_order{self.order}"
        edition = self.edition.replace(", ", "_").replace(" ", "_")
        return f"{self.tested}_from_{edition}_{part}"


def subsets(counts: Sequence[int], orders: int) -> list[Subset]:
    """All that is learnt from: the edition 2024, all of 2025, and nested subsets of it."""
    some = [("2025", count, order) for order in range(orders) for count in counts]
    learnt = [("2024", None, 0), ("2025", None, 0), (UNKNOWN, None, 0), *some]
    return [Subset(tested, *one) for tested in EDITIONS for one in learnt]


def load_tables(*, smoke: bool) -> dict[str, sj.Leaderboard]:
    """Scored models of each edition on the six benchmarks; of a few lineages for a smoke run.

    Sizes and tokens are known but in :data:`UNKNOWN`.
    """
    names, found = leaderboard_benchmarks("v2"), {}
    for edition in (*EDITIONS, UNKNOWN):
        table = sj.load_leaderboard(benchmarks=names, edition=edition[:4])
        table = table if edition == UNKNOWN else table.subset(table.known)
        table = table.subset(np.asarray(table.observed.any(axis=1)))
        if smoke:
            table = table.subset(np.isin(lineage_of_model(table), SMOKE))
        found[edition] = table
    return found


def lineage_of_model(table: sj.Leaderboard) -> np.ndarray:
    """Name of each model's lineage, ``(model,)``."""
    return names_at(table.lineages, table.lineage_of_family[table.family])


def split_of(tested: str, tables: dict[str, sj.Leaderboard], folds: int) -> Split:
    """Groups of tested lineages, and which of their models stay."""
    table = tables[tested]
    if tested == "2025":
        table = table.subset(~np.isin(lineage_of_model(table), tables["2024"].lineages))
    return split_by_lineage(table, 1, folds=folds)


def masks(
    base: Split, table: sj.Leaderboard, among: np.ndarray, count: int | None, order: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The folds of some lineages on a table, learning from some of the others.

    Args:
        base: groups of tested lineages.
        table: what is learnt from, and the tested models.
        among: models that may be learnt from, ``(model,)``, bool.
        count: lineages that are not tested, at most; None for all.
        order: names of all lineages, those to be learnt from first.

    Returns:
        Scores that may be used, ``(fold, model, benchmark)``, and models to be predicted,
        ``(fold, model)``, bool.
    """
    lineage, own = lineage_of_model(table), lineage_of_model(base.table)
    models = np.asarray(base.table.models, object)
    train, test = [], []
    for used, hidden in zip(base.train, base.test, strict=True):
        seen = used.any(axis=1)
        tested = np.unique(own[hidden])
        others = [name for name in order if name not in tested]
        stays = np.isin(table.models, models[seen & np.isin(own, tested)])
        train.append(stays | (among & np.isin(lineage, others[:count])))
        test.append(np.isin(table.models, models[hidden]))
    return np.array(train)[:, :, None] & table.observed[None], np.array(test)


def predict_subset(
    base: Split,
    tables: dict[str, sj.Leaderboard],
    subset: Subset,
    seed: int,
    settings: sj.FitSettings,
    key: jax.Array,
) -> pd.DataFrame:
    """Fit the law and the FLOPs law without each group of lineages, and predict it.

    Returns:
        Rows of :func:`_runner.predict_held_out`, with ``lineages_learnt`` and ``models_learnt``,
        how many of each that are not tested a fold learns from, and ``flops_error`` of the FLOPs
        law.
    """
    table = tables[max(subset.edition, subset.tested)]  # which has the tested models
    among = np.isin(table.models, tables[subset.edition].models)
    lineages = np.array(tables[UNKNOWN if subset.edition == UNKNOWN else "2025"].lineages)
    order = np.random.default_rng([seed, subset.order]).permutation(lineages).tolist()
    train, test = masks(base, table, among, subset.count, order)
    rows = predict_held_out(table, train, test, settings, key)
    lineage = lineage_of_model(table)
    for fold, hidden in enumerate(test):
        others = train[fold].any(axis=1) & ~np.isin(lineage, lineage[hidden])
        at = rows["fold"] == fold
        rows.loc[at, "lineages_learnt"] = np.unique(lineage[others]).size
        rows.loc[at, "models_learnt"] = others.sum()
    active = np.where(np.isnan(table.active_params_b), table.params_b, table.active_params_b)
    # It cannot learn from a model of unknown FLOPs.
    known = table.known
    plain = np.full(train.shape, np.nan)
    of_known = replace(table, params_b=active).subset(known)
    plain[:, known] = flops_law(1)(of_known, train[:, known], key)
    model = np.array([table.models.index(name) for name in rows["model"]])
    benchmark = np.array([table.benchmarks.index(name) for name in rows["benchmark"]])
    predicted = plain[rows["fold"], model, benchmark]
    return rows.assign(
        flops_law=predicted, flops_error=np.abs(predicted - rows["score"]), order=subset.order
    )


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


Condition = tuple[str, str, int | None]
"""What is tested, the edition that is learnt from, and how many of its lineages."""


def of_conditions(parts: dict[Subset, pd.DataFrame]) -> dict[Condition, pd.DataFrame]:
    """Rows of each condition, all random orders together, and of both tested sets together."""
    found: dict[Condition, list[pd.DataFrame]] = {}
    for subset, rows in parts.items():
        found.setdefault((subset.tested, subset.edition, subset.count), []).append(rows)
    for tested, edition, count in list(found):
        other = found.get(("2025", edition, count))
        if tested == "2024" and other:
            found["both", edition, count] = found[tested, edition, count] + other
    return {condition: pd.concat(rows) for condition, rows in found.items()}


def learning(conditions: dict[Condition, pd.DataFrame]) -> pd.DataFrame:
    """A row per condition: errors, CRPS, coverage, each with ``_se`` over tested lineages."""
    found = []
    for (tested, edition, count), rows in conditions.items():
        flops = mean_and_error(rows["flops_error"].to_numpy(), rows["lineage"].to_numpy())
        scored = summarise(rows)
        del scored["scores"]
        found.append(
            {
                "tested": tested,
                "edition": edition,
                "asked": asked(count),
                "lineages": rows["lineages_learnt"].mean(),
                "models": rows["models_learnt"].mean(),
                "tested_lineages": scored.pop("lineages"),
                "scores": len(rows) // rows["order"].nunique(),
                **scored,
                "flops_mae": flops[0],
                "flops_mae_se": flops[1],
            }
        )
    by = ["tested", "edition", "lineages"]
    return pd.DataFrame(found).sort_values(by, ignore_index=True)


def asked(count: int | None) -> str:
    """A number of lineages in a table."""
    return "all" if count is None else str(count)


def ratios_of(conditions: dict[Condition, pd.DataFrame]) -> pd.DataFrame:
    """A row per condition of the edition 2025 and benchmark: CRPS and error over a reference's.

    The reference is the edition 2024, and for models of unknown tokens the edition 2025 without
    them too. Entries are the held-out scores, each averaged over random orders, so that what is
    compared is the same score; standard errors are over lineages.
    """
    at = ["lineage", "model", "benchmark"]
    columns = ["crps", "error", "flops_error"]
    means = {name: rows.groupby(at)[columns].mean() for name, rows in conditions.items()}
    found = []
    for (tested, edition, count), one in means.items():
        for less in {"2024": (), "2025": ("2024",), UNKNOWN: ("2024", "2025")}[edition]:
            other = means.get((tested, less, None))
            if other is None:  # of a run that is not finished
                continue
            about = {"tested": tested, "edition": edition, "asked": asked(count), "over": less}
            found += [about | row for row in _ratios(one, other.loc[one.index], columns)]
    return pd.DataFrame(found)


def _ratios(
    one: pd.DataFrame, other: pd.DataFrame, columns: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Ratios of means of the same scores, of all and of each benchmark."""
    of_score = one.index.get_level_values("benchmark")
    for benchmark in ("all", *dict.fromkeys(of_score)):
        part = (of_score == benchmark) | (benchmark == "all")
        group = one.index[part].get_level_values("lineage").to_numpy()
        row: dict[str, Any] = {"benchmark": benchmark}
        for name in columns:
            values, reference = (np.asarray(frame.loc[part, name]) for frame in (one, other))
            row[name], row[f"{name}_se"] = ratio_and_error(values, reference, group)
        yield row


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict from every subset that is not done yet, save after each, then draw."""
    parser = command_line(__file__, __doc__)
    parser.add_argument(
        "--orders", type=number(1), default=2, metavar="N", help="random orders of lineages"
    )
    parser.add_argument(
        "--counts",
        type=number(1),
        nargs="*",
        default=COUNTS,
        metavar="N",
        help="lineages of the edition 2025 to learn from, beside all (default: 12 25 50)",
    )
    options = parser.parse_args(arguments)
    settings = settings_of(options, FOLD_SETTINGS)
    tables = load_tables(smoke=options.smoke)
    folds = 2 if options.smoke else FOLDS
    bases = {tested: split_of(tested, tables, folds) for tested in EDITIONS}
    counts, orders = ((2,), 1) if options.smoke else (options.counts, options.orders)
    wanted = subsets(counts, orders)
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
            base = bases[subset.tested]
            rows = predict_subset(base, tables, subset, options.seed, settings, key)
            write_text(path, frame_csv(rows, "%.9g"))
        # What is kept is what is summarised, so that a run that was stopped gives the same.
        parts[subset] = pd.read_csv(path)
        conditions = of_conditions(parts)
        rows, ratios = learning(conditions), ratios_of(conditions)
        save(
            options,
            {"learning": rows, "ratios": ratios},
            settings,
            orders=options.orders,
            subsets=[one.name for one in parts],
            learning=json.loads(rows.to_json(orient="records")),
            ratios=json.loads(ratios.to_json(orient="records")),
        )
    draw(options.out / "more_data.png", rows)
    print(rows.to_string(index=False, float_format="%.4f"))
    print(ratios[ratios["benchmark"] == "all"].to_string(index=False, float_format="%.3f"))


TITLES = {
    "2024": "models of the edition 2024",
    "2025": "models of lineages that only the edition 2025 has",
}


def draw(path: Path, rows: pd.DataFrame) -> None:
    """CRPS, error and coverage against lineages learnt from; bars are standard errors."""
    panels = {"crps": "CRPS", "mae": "mean absolute error", "coverage_90": "90 % intervals hold"}
    with drawing(path, 2, 3, figsize=(10.5, 6.6)) as (figure, axes):
        for row, (tested, title) in enumerate(TITLES.items()):
            part = rows[rows["tested"] == tested]
            for ax, (name, what) in zip(axes[row], panels.items(), strict=True):
                draw_panel(ax, part, name)
                ax.set_title(what)
                ax.set_xlabel("lineages learnt from")
            scores, lineages = part["scores"].iloc[0], part["tested_lineages"].iloc[0]
            axes[row, 0].set_title(
                f"{title}: {scores} scores, {lineages} lineages\nCRPS", loc="left"
            )
        legend_below(figure, axes[0, 1], 4)
        figure.suptitle(
            "The same models predicted throughout; bars: one standard error over lineages"
        )


def draw_panel(ax: Axes, rows: pd.DataFrame, name: str) -> None:
    """One number of both editions against lineages learnt from."""
    for edition, colour, marker in (("2024", ORANGE, "s"), ("2025", BLUE, "o")):
        part = rows[rows["edition"] == edition]
        style: dict[str, Any] = {"color": colour, "marker": marker, "capsize": 3}
        label = f"law, from edition {edition}"
        ax.errorbar(part["lineages"], part[name], part[f"{name}_se"], label=label, **style)
        if name == "mae":
            style |= {"linestyle": ":", "fillstyle": "none", "label": f"FLOPs law, {edition}"}
            ax.errorbar(part["lineages"], part["flops_mae"], part["flops_mae_se"], **style)
    if name == "coverage_90":
        ax.axhspan(*WANTED, color="0.9", zorder=0)
        ax.set_ylim(0.7, 1.0)
    else:
        ax.set_ylim(bottom=0.0)


if __name__ == "__main__":
    execute(main)
