"""What three small models of one's own say about a large one: its intervals before and after.

A lineage of the bundled table plays a user's own: it is taken out whole, and the large model of one
of its families is predicted as a cold start. Then the family's smallest models join the table from
a file, as `sloth-jax predict --add MINE.csv` has it, and the large one is predicted again. Writes
mine.csv, predictions.csv, summary.json and own_models.png.

Run: python experiments/own_models.py --out out/own_models
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
import pandas as pd
from _runner import (
    SMOKE_MODELS,
    command_line,
    draw_intervals,
    edition_2024,
    execute,
    save,
    settings_of,
)

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.data.schema import COLUMNS
from sloth_jax.files import frame_csv, write_text

LEVEL = 0.9


def members(table: sj.Leaderboard, family: str, count: int) -> tuple[np.ndarray, int]:
    """The smallest models of a family, and its largest."""
    if family not in table.families:
        raise sj.InputError(f"no family {family!r} in the bundled table")
    rows = np.flatnonzero(table.family == table.families.index(family))
    if rows.size <= count:
        raise sj.InputError(
            f"family {family}: {rows.size} models, {count} small and a large needed"
        )
    by_size = rows[np.argsort(table.params_b[rows], kind="stable")]
    return by_size[:count], int(by_size[-1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict before and after, save, draw, print."""
    parser = command_line(__file__, __doc__)
    parser.add_argument("--family", default="qwen2", help="whose part it is (default: qwen2)")
    parser.add_argument(
        "--small", type=number(1), default=3, metavar="N", help="models measured (default: 3)"
    )
    options = parser.parse_args(arguments)
    full = edition_2024()
    small, large = members(full, options.family, options.small)
    lineage = full.lineage_of_family[full.families.index(options.family)]
    own = full.lineage_of_family[full.family] == lineage
    others = full.subset(~own & (np.arange(len(own)) < (SMOKE_MODELS if options.smoke else np.inf)))
    rows = full.to_frame()
    options.out.mkdir(parents=True, exist_ok=True)
    mine = options.out / "mine.csv"
    write_text(mine, frame_csv(rows.iloc[small].dropna(axis=1, how="all")))
    added = sj.add_models(others, mine)
    tables = {"cold start": others, f"{options.small} small models added": added}

    settings = settings_of(options)
    fit_key, forecast_key = jax.random.split(jax.random.key(options.seed))
    forecasts, problems, parts = {}, {}, []
    truth = full.scores[large]
    for name, table in tables.items():
        tell(f"{name}: fitting ...")
        fit = sj.fit(table, key=fit_key, settings=settings, progress=sj.show_progress)
        problems[name] = fit.diagnostics.problems()
        query = sj.load_query(rows.iloc[[large]][list(COLUMNS)], table)
        forecasts[name] = sj.forecast(fit, query, key=forecast_key)
        parts.append(forecasts[name].summary(LEVEL).assign(known=name, truth=truth))
    found = pd.concat(parts, ignore_index=True)
    found["inside"] = found["truth"].between(found["lower"], found["upper"])
    found["width"] = found["upper"] - found["lower"]
    found["error"] = (found["median"] - found["truth"]).abs()
    measured = found[found["truth"].notna()]
    means = measured.groupby("known", sort=False)[["width", "error", "inside"]].mean()
    record = save(
        options,
        {"predictions": found},
        settings,
        family=options.family,
        small=[full.models[at] for at in small],
        large=full.models[large],
        left_out=[full.models[at] for at in np.flatnonzero(own)],
        means=means.to_dict("index"),
        problems=problems,
    )
    panels = {
        f"{name}: mean width {100 * means['width'][name]:.0f} points": (one, 0, truth)
        for name, one in forecasts.items()
    }
    title = f"{record['large']}, predicted without and with {', '.join(record['small'])}"
    path = options.out / "own_models.png"
    draw_intervals(path, panels, title=title, floors=full.floors, level=LEVEL)
    print(means.to_string(float_format="%.3f"))
    tell(f"{record['seconds']} s. Results: {options.out}")


if __name__ == "__main__":
    execute(main, interrupted="stopped; partly written")
