"""Has a table enough scores for the law to say anything that is not the prior's?"""

from __future__ import annotations

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import TableTooSmall
from sloth_jax.law.surface import LINEAR


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
