"""What is the size of a mixture of experts? Forecasts by its active and by its total parameters.

The bundled mixtures of experts whose token counts are public are predicted by laws that count
their parameters in two ways, each lineage of them left out in turn: its scores are predicted from
the bundled table and the other mixtures. Writes held_out.csv, summary.json and mixtures.png.

Run: python experiments/mixtures.py --out out/mixtures
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from _runner import (
    command_line,
    drawing,
    edition_2024,
    execute,
    first_models,
    legend_below,
    predict_held_out,
    save,
    settings_of,
)

import sloth_jax as sj
from sloth_jax.cli.console import tell
from sloth_jax.evaluation.held_out import mean_and_error
from sloth_jax.evaluation.methods import FOLD_SETTINGS
from sloth_jax.law.options import SIZES
from sloth_jax.plotting.figure_style import BLUE, GREY, ORANGE

SCORED = ["error", "crps", "covered_90", "width_90"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit with each lineage of mixtures left out, score, save and draw."""
    options = command_line(__file__, __doc__).parse_args(arguments)
    mixtures, dense = sj.bundled_mixtures(), edition_2024()
    if options.smoke:
        mixtures, dense = mixtures.iloc[:3], first_models(dense)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mixtures.csv"
        mixtures.to_csv(path, index=False)
        table = sj.add_models(dense, path)
    # A fold for each lineage of mixtures.
    mixed = np.isin(table.models, mixtures["model"])
    lineage = np.where(mixed, table.lineage_of_family[table.family], -1)
    hidden = np.unique(lineage[mixed])[:, None] == lineage[None]
    train = table.observed[None] & ~hidden[:, :, None]
    settings = settings_of(options, FOLD_SETTINGS)
    parts = []
    for size in SIZES:
        tell(f"{len(hidden)} lineages left out, {size} parameters ...")
        of_size = replace(settings, size=size)
        key = jax.random.key(options.seed)
        parts.append(predict_held_out(table, train, hidden, of_size, key).assign(size=size))
    rows = pd.concat(parts, ignore_index=True)
    means = pd.DataFrame(rows.groupby("size", sort=False)[SCORED].mean())
    # The same scores in the same order: how much larger the error is by total parameters.
    more = (parts[1]["error"] - parts[0]["error"]).to_numpy()
    more, error = mean_and_error(more, parts[0]["lineage"].to_numpy())
    save(
        options,
        {"held_out": rows},
        settings,
        mixtures=int(mixed.sum()),
        lineages=len(hidden),
        scores=len(parts[0]),
        by_size=json.loads(means.round(5).to_json(orient="index")),
        more_error_by_total=[round(more, 5), round(error, 5)],
    )
    draw(rows, options.out / "mixtures.png")
    print(means.to_string(float_format="%.4f"))
    print(f"error by total less by active parameters: {more:.4f} (standard error {error:.4f})")


def draw(rows: pd.DataFrame, path: Path) -> None:
    """Predicted less measured, model by model."""
    models = list(dict.fromkeys(rows["model"]))
    with drawing(path, figsize=(6.5, 0.8 + 0.55 * len(models))) as (figure, ax):
        looks_of_sizes = zip(SIZES, (BLUE, ORANGE), ("o", "D"), strict=True)
        for at, (size, colour, marker) in enumerate(looks_of_sizes):
            shown = rows[rows["size"] == size]
            place = [len(models) - 1 - models.index(m) + 0.15 - 0.3 * at for m in shown["model"]]
            looks = {"color": colour, "markersize": 4, "alpha": 0.7}
            error = 100.0 * (shown["median"] - shown["score"])
            mean = f"{error.mean():+.1f}".replace("-", "−")
            ax.plot(error, place, marker, label=f"{size} parameters: mean {mean}", **looks)
        ax.axvline(0.0, color=GREY, linewidth=1.0)
        ax.set_yticks(range(len(models))[::-1], models)
        ax.set_title("Forecasts of mixtures of experts by active or total parameters")
        ax.set_xlabel("predicted median less measured score (percentage points)")
        legend_below(figure, ax, 2)


if __name__ == "__main__":
    execute(main)
