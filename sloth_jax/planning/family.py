"""Whose model is planned."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.tables import read_table
from sloth_jax.errors import InputError
from sloth_jax.forecasting.query import Query, known_name, query_of


@dataclass(frozen=True)
class Family:
    """Whose model is planned.

    Attributes:
        name: of the family, in any case and punctuation; one that is not in the table is drawn
            from the population.
        lineage: its pretraining run; None for the table's, or a new one.
        post_trained: whether it is; None for the table's, or where that is unknown.
        active_fraction: active over all parameters; below 1 for a mixture of experts.
    """

    name: str
    lineage: str | None = None
    post_trained: bool | None = None
    active_fraction: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.active_fraction <= 1.0:
            raise InputError(
                f"active fraction {self.active_fraction:g} is not in (0, 1]: give active over all "
                "parameters, 1 for a dense model"
            )

    def query(self, table: Leaderboard, params_b: np.ndarray, tokens_t: np.ndarray) -> Query:
        """Models of this family, all of one name, so that they share what is drawn for a model."""
        frame = pd.DataFrame(
            {"model": [self.name], "family": self.name, "params_b": 1.0, "tokens_t": 1.0}
        )
        if self.lineage is not None:
            frame["lineage"] = self.lineage
        if self.post_trained is not None:
            frame["post_trained"] = self.post_trained
        one = query_of(read_table(frame, "family"), table)
        count = len(params_b)
        active = params_b * self.active_fraction if self.active_fraction < 1 else np.nan
        return replace(
            one,
            models=one.models * count,
            families=one.families * count,
            lineages=one.lineages * count,
            post_trained=np.repeat(one.post_trained, count),
            params_b=np.asarray(params_b, float),
            active_params_b=np.broadcast_to(active, (count,)).astype(float),
            tokens_t=np.asarray(tokens_t, float),
        )


def as_family(family: Family | str, table: Leaderboard) -> Family:
    """A family given by itself or by its name, under the table's name of it.

    Raises:
        InputError: if the table has several names that are spelt like it.
    """
    given = Family(family) if isinstance(family, str) else family
    return replace(given, name=known_name(given.name, table.families))
