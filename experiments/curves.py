"""Scores against size, family by family: what was seen, what was hidden, and bands between.

Of the lineages of some families everything is hidden but the smallest models of each family
(--seen). One fit of the rest predicts, for every benchmark, models of the family at sizes in
between and up to its largest; tokens go straight, in logarithms, from model to model. Bands are
where a new model of that size would score. Beside the law stands a sigmoid of training FLOPs with
an intercept for each family, which has no intervals, where one of the family's scores on the
benchmark was seen. Writes curves.csv, points.csv, summary.json, a figure of each family (such as
curves_qwen2.png), and slide.png, one panel in large type.

Run: python experiments/curves.py --out out/curves
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _runner import (
    SMOKE_MODELS,
    command_line,
    drawing_grid,
    edition_2024,
    execute,
    legend_below,
    save,
    settings_of,
)

import sloth_jax as sj
from sloth_jax.cli.console import number
from sloth_jax.data.schema import COLUMNS
from sloth_jax.evaluation.left_out import flops_law
from sloth_jax.plotting.figure_style import style
from sloth_jax.plotting.scores import plot_curves

FAMILIES = ("qwen2", "qwen1.5-chat", "pythia")
LEVELS = (0.9, 0.5)
SIZES = 24  # of each curve
SLIDE = "MMLU"
LAW, PLAIN = "this law", "FLOPs law"


def main(arguments: Sequence[str] | None = None) -> None:
    """Hide, fit, predict, save, draw."""
    parser = command_line(__file__, __doc__)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), metavar="NAME")
    parser.add_argument("--seen", type=number(1), default=1, metavar="N", help="smallest models")
    options = parser.parse_args(arguments)
    table = edition_2024()
    for name in options.families:
        if name not in table.families:
            raise sj.InputError(f"no family {name!r} in the bundled table")
    lineages = [table.lineage_of_family[table.families.index(name)] for name in options.families]
    hide = np.isin(table.lineage_of_family[table.family], lineages)
    if options.smoke:
        kept = hide | (np.arange(len(table.models)) < SMOKE_MODELS)
        table, hide = table.subset(kept), hide[kept]
    hidden = hide & (rank_in_family(table) >= options.seen)
    training = table.subset(~hidden)
    places = pd.concat([places_of(table, name) for name in options.families], ignore_index=True)
    fit_key, forecast_key, plain_key = jax.random.split(jax.random.key(options.seed), 3)
    settings = settings_of(options)
    fit = sj.fit(training, key=fit_key, settings=settings, progress=sj.show_progress)
    forecast = sj.forecast(fit, sj.load_query(places, training), key=forecast_key)
    points = points_of(table, hidden, options.families)
    curves = rows_of(places, forecast)
    curves["flops_law"] = plain(table, hidden, places, plain_key, options.seen).ravel()
    # Its intercept of a family is a guess where the family has no score to learn it from.
    learnt = points[~points["held_out"]].groupby(["family", "benchmark"]).size().index
    known = pd.MultiIndex.from_frame(curves[["family", "benchmark"]]).isin(learnt)
    curves["flops_law"] = curves["flops_law"].where(known)
    save(
        options,
        {"curves": curves, "points": points},
        settings,
        families=options.families,
        seen=options.seen,
        hidden=[table.models[i] for i in np.flatnonzero(hidden)],
        diagnostics=vars(fit.diagnostics),
    )
    floors = dict(zip(table.benchmarks, table.floors.tolist(), strict=True))
    for name in options.families:
        path = options.out / f"curves_{name.replace('/', '_')}.png"
        draw(path, curves[curves["family"] == name], points[points["family"] == name], floors)
    first = options.families[0]
    draw_slide(options.out / "slide.png", *(c[c["family"] == first] for c in (curves, points)))
    print(f"{len(options.families)} families, {int(hidden.sum())} models hidden: {options.out}")


def rank_in_family(table: sj.Leaderboard) -> np.ndarray:
    """Place of each model among its family's by size, the smallest 0, ``(model,)``."""
    order = np.lexsort((np.arange(len(table.models)), table.params_b))
    rank = np.zeros(len(table.models), int)
    for family in range(len(table.families)):
        mine = order[table.family[order] == family]
        rank[mine] = np.arange(len(mine))
    return rank


def places_of(table: sj.Leaderboard, family: str) -> pd.DataFrame:
    """Models that a family might have: a query, from its smallest size to beyond its largest."""
    frame = table.to_frame()
    frame = frame[frame["family"] == family].sort_values("params_b")
    sizes, tokens = frame["params_b"].to_numpy(float), frame["tokens_t"].to_numpy(float)
    grid = np.geomspace(sizes.min(), 1.25 * sizes.max(), SIZES)
    saw = np.exp(np.interp(np.log(grid), np.log(sizes), np.log(tokens)))
    query = pd.DataFrame({"model": [f"{family}, size {at}" for at in range(SIZES)]})
    query = query.assign(family=family, params_b=grid, tokens_t=saw)
    known = [name for name in COLUMNS if name in ("lineage", "post_trained")]
    return query.assign(**{name: frame[name].iloc[0] for name in known})


def rows_of(places: pd.DataFrame, forecast: sj.Forecast) -> pd.DataFrame:
    """A row per place and benchmark: the median and the ends of intervals."""
    shape = (len(places), len(forecast.benchmarks))
    found = {
        name: np.repeat(places[name].to_numpy(), shape[1])
        for name in ("family", "params_b", "tokens_t")
    }
    rows = pd.DataFrame(found).assign(benchmark=list(forecast.benchmarks) * shape[0])
    rows["median"] = np.median(forecast.draws, axis=0).ravel()
    for level in LEVELS:
        lower, upper = forecast.interval(level)
        rows[f"lower_{100 * level:g}"], rows[f"upper_{100 * level:g}"] = (
            lower.ravel(),
            upper.ravel(),
        )
    return rows


def plain(
    table: sj.Leaderboard, hidden: np.ndarray, places: pd.DataFrame, key: jax.Array, seen: int
) -> np.ndarray:
    """What the FLOPs law predicts at the places, ``(place, benchmark)``."""
    frame = pd.concat([table.to_frame(), places], ignore_index=True)
    longer = sj.load_leaderboard(frame)
    at = [longer.models.index(model) for model in places["model"]]
    train = longer.observed.copy()
    train[[longer.models.index(table.models[i]) for i in np.flatnonzero(hidden)]] = False
    predicted = flops_law(seen)(longer, np.asarray(train)[None], key)[0]
    order = [longer.benchmarks.index(name) for name in table.benchmarks]
    return predicted[at][:, order]


def points_of(table: sj.Leaderboard, hidden: np.ndarray, families: Sequence[str]) -> pd.DataFrame:
    """Measured scores of the families, a row each."""
    parts = []
    for j, benchmark in enumerate(table.benchmarks):
        rows = pd.DataFrame({"model": table.models, "params_b": table.params_b})
        rows["family"] = [table.families[family] for family in table.family]
        rows = rows.assign(benchmark=benchmark, score=table.scores[:, j], held_out=hidden)
        parts.append(rows[rows["score"].notna() & rows["family"].isin(list(families))])
    return pd.concat(parts, ignore_index=True)


def panel(curves: pd.DataFrame, points: pd.DataFrame, benchmark: str) -> tuple:
    """What :func:`plot_curves` draws of one benchmark: points, lines, bands."""
    of = curves[curves["benchmark"] == benchmark]
    size = of["params_b"].to_numpy()
    lines = {LAW: (size, of["median"].to_numpy())}
    if of["flops_law"].notna().all():
        lines[PLAIN] = (size, of["flops_law"].to_numpy())
    bands = {
        f"{100 * level:g} % interval": (
            size,
            of[f"lower_{100 * level:g}"].to_numpy(),
            of[f"upper_{100 * level:g}"].to_numpy(),
        )
        for level in LEVELS
    }
    return points[points["benchmark"] == benchmark], lines, bands


def draw(path: Path, curves: pd.DataFrame, points: pd.DataFrame, floors: dict[str, float]) -> None:
    """All benchmarks of a family that it has scores on."""
    shown = list(dict.fromkeys(points["benchmark"]))
    columns, family = 4, curves["family"].iloc[0]
    with drawing_grid(path, len(shown), columns, (2.7, 2.2), sharey=False) as (figure, axes):
        for at, (ax, benchmark) in enumerate(zip(axes, shown, strict=True)):
            some, lines, bands = panel(curves, points, benchmark)
            plot_curves(some, lines, bands=bands, floor=floors[benchmark], named=True, ax=ax)
            ax.set_title(benchmark)
            ax.set_ylabel("" if at % columns else "score")
            ax.set_xlabel("" if at < len(shown) - columns else "parameters (billions)")
        legend_below(figure, axes[0], 5)
        seen = int((~points["held_out"]).groupby(points["benchmark"]).sum().max())
        models = "smallest model" if seen == 1 else f"{seen} smallest models"
        figure.suptitle(f"{family}: predicted from its {models}", x=0.01, ha="left")


def draw_slide(path: Path, curves: pd.DataFrame, points: pd.DataFrame) -> None:
    """One family and one benchmark, in large type."""
    known = set(points["benchmark"])
    benchmark = SLIDE if SLIDE in known else sorted(known)[0]
    some, lines, bands = panel(curves, points, benchmark)
    with style("slide"):
        figure, ax = plt.subplots(layout="constrained")
        plot_curves(some, lines, bands=bands, named=True, ax=ax)
        ax.set_title(f"{curves['family'].iloc[0]}: score on {benchmark}, 50 and 90 % intervals")
        ax.set_ylabel("")
        for held_out, word, above in ((False, "seen", -28), (True, "held out", 20)):
            smallest = some[some["held_out"] == held_out].nsmallest(1, "params_b")
            for row in smallest.itertuples():
                place = {"xytext": (0, above), "textcoords": "offset points", "ha": "center"}
                ax.annotate(word, (row.params_b, row.score), **place)
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    execute(main)
