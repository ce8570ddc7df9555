"""The main job on real data: hide every Llama-3 model above 8B, predict the 70B pair.

Writes predictions.csv, summary.json and held_out_llama3.png, and prints predictions, intervals and
the truth side by side. Run: python experiments/held_out_llama3.py --out out/held_out_llama3
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
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
from sloth_jax.cli.console import tell
from sloth_jax.data.schema import COLUMNS
from sloth_jax.evaluation.held_out import names_at

LINEAGE = "meta-llama-3"
LARGEST_SEEN_B = 8.0
PREDICTED = ("meta-llama-3-70b", "meta-llama-3-70b-instruct")
LEVEL = 0.9


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, forecast, save, plot and print."""
    options = command_line(__file__, __doc__).parse_args(arguments)
    full = edition_2024()
    of_lineage = names_at(full.lineages, full.lineage_of_family[full.family]) == LINEAGE
    if options.smoke:
        kept = of_lineage | (np.arange(len(full.models)) < SMOKE_MODELS)
        full, of_lineage = full.subset(kept), of_lineage[kept]
    hidden = of_lineage & (full.params_b > LARGEST_SEEN_B)
    training = full.subset(~hidden)
    rows = [full.models.index(model) for model in PREDICTED]
    query = sj.load_query(full.to_frame().iloc[rows][list(COLUMNS)], training)
    truth = full.scores[rows]

    settings = settings_of(options)
    fit_key, forecast_key = jax.random.split(jax.random.key(options.seed))
    fit = sj.fit(training, key=fit_key, settings=settings, progress=sj.show_progress)
    predictions = sj.forecast(fit, query, key=forecast_key)
    table = predictions.summary(LEVEL).assign(truth=truth.ravel())
    table["inside"] = table["truth"].between(table["lower"], table["upper"])
    error, inside = (
        float((table["median"] - table["truth"]).abs().mean()),
        int(sum(table["inside"])),
    )
    record = save(
        options,
        {"predictions": table},
        settings,
        hidden=[full.models[i] for i in np.flatnonzero(hidden)],
        mean_absolute_error_of_median=error,
        inside_90=inside,
        scores=len(table),
        diagnostics=vars(fit.diagnostics),
    )
    figure = options.out / "held_out_llama3.png"
    panels = {name: (predictions, at, truth[at]) for at, name in enumerate(PREDICTED)}
    title = "Predicted without any Llama-3 model above 8B"
    draw_intervals(figure, panels, title=title, floors=training.floors, level=LEVEL)
    for problem in fit.diagnostics.problems():
        tell(f"warning: {problem}")
    print(table.drop(columns=["level", "outside"]).to_string(index=False, float_format="%.3f"))
    print(f"\nerror {error:.3f}, inside 90 %: {inside} of {len(table)}")
    print(fit.diagnostics.summary())
    print(f"{record['seconds']} s in all; figure: {figure}")


if __name__ == "__main__":
    execute(main)
