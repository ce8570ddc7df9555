"""How much better do families get with the years, at the same size and number of tokens?

Fits the newest edition of the bundled table, takes the skills that base families would have at 7
billion parameters and 2 trillion tokens, and draws a line through the lineages' first releases, for
each skill and draw. Writes efficiency_by_date.csv, yearly_progress.csv, summary.json and
progress.png.

Run: python experiments/progress.py --out out/progress
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import jax
from _runner import (
    SAMPLED,
    SMOKE_MODELS,
    command_line,
    drawing_grid,
    execute,
    first_models,
    save,
    settings_of,
)

import sloth_jax as sj
from sloth_jax.plotting.skills import plot_progress

LEVEL = 0.9


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, save and draw."""
    parser = command_line(__file__, __doc__, inference=SAMPLED)
    options = parser.parse_args(arguments)
    table = sj.load_leaderboard()
    if options.smoke:
        table = first_models(table, 4 * SMOKE_MODELS)
    settings = settings_of(options)
    fit_key, turn_key = jax.random.split(jax.random.key(options.seed))
    fit = sj.fit(table, key=fit_key, settings=settings, progress=sj.show_progress)
    skills = sj.interpret_skills(fit, key=turn_key)
    skills = skills.named(sj.skills.propose_labels(skills))
    by_date = sj.skills.efficiency_by_date(skills, LEVEL)
    yearly = sj.skills.yearly_progress(skills, LEVEL)
    save(
        options,
        {"efficiency_by_date": by_date, "yearly_progress": yearly},
        settings,
        level=LEVEL,
        lineages=by_date["lineage"].nunique(),
        models=len(table.models),
        first=by_date["year"].min(),
        last=by_date["year"].max(),
        yearly=json.loads(yearly.to_json(orient="records")),
        problems=fit.diagnostics.problems(),
    )
    labels = skills.labels
    with drawing_grid(options.out / "progress.png", len(labels), 3, (3.4, 3.2)) as (figure, panels):
        for label, ax in zip(labels, panels, strict=True):
            plot_progress(by_date, yearly, label, ax=ax)
            ax.label_outer()
        figure.suptitle("Base families at one size and number of tokens, 90 % intervals")
    print(yearly.to_string(index=False, float_format="%.2f"))


if __name__ == "__main__":
    execute(main)
