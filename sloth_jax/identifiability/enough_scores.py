"""Has a table enough scores for the law to say anything that is not the prior's?"""

from __future__ import annotations

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import TableTooSmall
from sloth_jax.law.surface import LINEAR

FEW_SCORES = 4  # of fewer, a benchmark's line is mostly the prior's


def scores_needed(surface: str) -> int:
    """Models that at least one benchmark must be measured on.

    As many as its line has numbers: a level, a slope for each linear column of the surface and a
    shift by post-training; and one more, without which every noise would do.

    Args:
        surface: one of :data:`sloth_jax.law.surface.KINDS`.
    """
    return 1 + len(LINEAR[surface]) + 1 + 1


def check_enough_scores(table: Leaderboard, *, surface: str = "smooth") -> None:
    """Refuse a table of which no benchmark is measured on enough models.

    One benchmark is enough, since the others may learn from it by the skills that they share; what
    is not learnt of them widens their intervals.

    Args:
        table: models and scores.
        surface: one of :data:`sloth_jax.law.surface.KINDS`.

    Raises:
        TableTooSmall: saying what is missing.
    """
    most = int(table.observed.sum(axis=0).max())
    needed = scores_needed(surface)
    if most < needed:
        models = "1 model" if most == 1 else f"{most} models"
        raise TableTooSmall(
            f"the table is too small: no benchmark has scores of more than {models}, and the law "
            f"needs {needed} on one of them (a level, {len(LINEAR[surface])} of size and tokens, "
            "post-training, noise); add models, or put the table beside the bundled one: --add, "
            "sj.add_models"
        )


def left_to_prior(table: Leaderboard, size: str) -> list[str]:
    """What a table has no information about, so that the prior decides: a sentence each.

    Args:
        table: models and scores.
        size: what counts as the size of a mixture of experts, one of
            :data:`sloth_jax.law.options.SIZES`.
    """
    scored = table.observed.any(axis=1)
    params = table.params_b
    if size == "active":
        params = np.where(np.isnan(table.active_params_b), params, table.active_params_b)
    found = []
    for values, name in ((params, "size"), (table.tokens_t, "tokens")):
        values = values[scored & np.isfinite(values)]
        if not values.size:
            found.append(f"no model has a known {name}: what is said of it comes from the prior")
        elif np.ptp(np.log(values)) < 1e-9:
            found.append(
                f"all models have the same {name}: how scores grow with {name} comes from the prior"
            )
    if np.unique(table.lineage_of_family[table.family[scored]]).size == 1:
        found.append("there is one lineage: how far another departs from it comes from the prior")
    if scored.sum() < len(table.benchmarks):
        found.append(
            f"{scored.sum()} models are fewer than the {len(table.benchmarks)} benchmarks: much "
            "of what benchmarks have in common comes from the prior"
        )
    counts = table.observed.sum(axis=0)
    few = [f"{table.benchmarks[j]} ({counts[j]})" for j in np.flatnonzero(counts < FEW_SCORES)]
    if few:
        found.append(
            f"benchmarks with fewer than {FEW_SCORES} scores: {', '.join(few)}: most of what is "
            "predicted of them comes from the prior"
        )
    return found
