"""Further bundled tables, for tasks and queries: observational scores, mixtures of experts."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.reading import parse_leaderboard
from sloth_jax.data.schema import COLUMNS, bundled_floors
from sloth_jax.data.tables import read_bundled

OBSERVATIONAL_FLOORS = {
    "XWinograd": 0.5,  # two choices
    "HumanEval": 0.0,  # a free answer
    "MT-Bench grade": 0.1,  # the lowest grade of ten
    "Chatbot Arena": 0.0,  # the worst model's Elo, from which the table's share counts
}
"""Chance floors of the benchmarks that only the observational table has."""


def load_observational() -> Leaderboard:
    """The bundled table of base and chat models with the benchmarks of Ruan et al.

    Source: Ruan, Maddison and Hashimoto, arXiv 2405.10938; sizes, tokens and families are those of
    the bundled leaderboard where it has the model. Models whose size or tokens are not public are
    left out, with a warning; :func:`observational_frame` has them.
    """
    table = read_bundled("observational.csv")
    records = table.records()
    closed = {
        row for row, cells in enumerate(records) if not (cells["params_b"] and cells["tokens_t"])
    }
    public = [row for row in range(len(records)) if row not in closed]
    found = parse_leaderboard(
        replace(
            table,
            rows=[table.rows[row] for row in public],
            numbers=[table.numbers[row] for row in public],
        ),
        OBSERVATIONAL_FLOORS,
    )
    names = ", ".join(sorted(records[row]["model"] for row in closed))
    warning = f"{table.source}: left out, since their sizes or tokens are not public: {names}"
    return replace(found, warnings=(warning, *found.warnings))


def observational_frame() -> pd.DataFrame:
    """Benchmarks of all models of that table, those of unknown size too.

    Returns:
        Index ``model``; a column per benchmark, fractions, NaN where not measured.
    """
    frame = pd.DataFrame(read_bundled("observational.csv").records()).set_index("model")
    frame = frame.loc[:, "released":].drop(columns="released")
    return frame.replace("", "nan").astype(float)


def bundled_mixtures() -> pd.DataFrame:
    """Bundled mixtures of experts whose token counts are public, beside the bundled table.

    Returns:
        A row per model: :data:`COLUMNS`, then a column per benchmark, fractions, NaN where not
        evaluated; what a frame of a :class:`Leaderboard` has.
    """
    frame = pd.DataFrame(read_bundled("mixtures.csv").records())[[*COLUMNS, *bundled_floors()]]
    numbers = ["params_b", "active_params_b", "tokens_t", *bundled_floors()]
    frame[numbers] = frame[numbers].replace("", "nan").astype(float)
    frame["post_trained"] = frame["post_trained"] == "True"
    return frame
