"""The first picture: a forecast of hidden models, and whether such intervals hold.

From finished runs: one of held_out_llama3.py, whose models are on the left, and those of
calibration.py, whose hidden scores are counted on the right. For every level the share of scores
inside central intervals of that level, with a 90 % interval by a bootstrap over families, whose
scores miss together. Writes one figure.

Run: python experiments/forecast_and_calibration.py --out docs/forecast_and_calibration.png \
    out/held_out_llama3 out/calibration_v1_1 out/calibration_v2_1
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _pages import finished
from _runner import execute, legend_below
from calibration import reliability

import sloth_jax as sj
from sloth_jax.cli.console import Parser
from sloth_jax.files import check_writable, write_bytes
from sloth_jax.plotting.calibration import plot_reliability
from sloth_jax.plotting.figure_files import image_of
from sloth_jax.plotting.figure_style import style
from sloth_jax.plotting.scores import plot_intervals

LEVEL = 0.9


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the runs and draw."""
    parser = Parser(prog=Path(__file__).name, description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("forecast", type=Path, metavar="DIR", help="of held_out_llama3.py")
    parser.add_argument(
        "calibrations", nargs="+", type=Path, metavar="DIR", help="of calibration.py"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FIGURE.png")
    options = parser.parse_args(arguments)
    check_writable(options.out)
    finished(options.forecast, "held_out_llama3.py", ["hidden"])
    records = [finished(one, "calibration.py", ["n_train"]) for one in options.calibrations]
    if len({record["n_train"] for record in records}) > 1:
        raise sj.InputError("runs with different numbers of training models: give those of one")
    tables = [pd.read_csv(one / "held_out.csv") for one in options.calibrations]
    hidden = pd.concat(tables, ignore_index=True)
    write_bytes(options.out, picture(pd.read_csv(options.forecast / "predictions.csv"), hidden))


def picture(forecast: pd.DataFrame, hidden: pd.DataFrame) -> bytes:
    """The figure: a panel for each forecast model, and one of all hidden scores."""
    models = list(dict.fromkeys(forecast["model"]))
    widths = [*(1.0,) * len(models), 1.05]
    table = sj.load_leaderboard(edition="2024")
    floors = dict(zip(table.benchmarks, table.floors.tolist(), strict=True))
    with style():
        figure, axes = plt.subplots(
            1, len(widths), figsize=(10.4, 3.7), width_ratios=widths, layout="constrained"
        )
        for at, (model, ax) in enumerate(zip(models, axes, strict=False)):
            rows = forecast[forecast["model"] == model]
            names = tuple(rows["benchmark"])
            median, lower, upper = (rows[n].to_numpy() for n in ("median", "lower", "upper"))
            known = {
                "truth": rows["truth"].to_numpy(),
                "floors": np.array([floors[name] for name in names]),
            }
            plot_intervals(median, lower, upper, names, **known, level=LEVEL, ax=ax)
            ax.set_title(model)
            if at:
                ax.tick_params(labelleft=False)
        plot_reliability(*reliability(hidden), ax=axes[-1])
        families = hidden["family"].nunique()
        axes[-1].set_title(f"{len(hidden)} hidden scores of {families} families")
        legend_below(figure, axes[0], 4)
        content = image_of(figure)
        plt.close(figure)
    return content


if __name__ == "__main__":
    execute(main)
