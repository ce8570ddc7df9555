"""What was published with the law: fold groups and errors of its comparison."""

from __future__ import annotations

from functools import cache

from sloth_jax.data.tables import read_bundled
from sloth_jax.errors import InputError, check_choice

LEADERBOARDS = ("v1", "v2", "both")
"""The two Open LLM Leaderboards with 6 benchmarks each, and their 12 together."""


def leaderboard_benchmarks(leaderboard: str) -> tuple[str, ...]:
    """Returns the bundled benchmarks of a leaderboard, in the bundled table's order.

    Args:
        leaderboard: one of :data:`LEADERBOARDS`.

    Raises:
        InputError: there is no such leaderboard.
    """
    check_choice("leaderboard", leaderboard, LEADERBOARDS)
    return tuple(
        row["benchmark"]
        for row in _bundled_rows("benchmarks.csv")
        if leaderboard in (row["leaderboard"], "both")
    )


def published_groups(leaderboard: str, n_train: int) -> tuple[tuple[str, ...], ...]:
    """Returns the families that each published fold tests together.

    The names are the published ones, those of ``load_leaderboard(corrected=False)``; the corrected
    table spells a few families differently.

    Args:
        leaderboard: one of :data:`LEADERBOARDS`.
        n_train: models of each tested family that stay in training, 1 or 2.

    Raises:
        InputError: there are no published folds of this kind.
    """
    check_choice("leaderboard", leaderboard, LEADERBOARDS)
    if n_train not in (1, 2):
        raise InputError(
            f"no published folds keep {n_train} training models of a tested family: choose 1 or 2"
        )
    groups: dict[int, list[str]] = {}
    for row in _bundled_rows("folds.csv"):
        if (row["leaderboard"], int(row["n_train"])) == (leaderboard, n_train):
            groups.setdefault(int(row["fold"]), []).append(row["family"])
    return tuple(tuple(groups[fold]) for fold in sorted(groups))


def published_errors(leaderboard: str, n_train: int) -> dict[str, float]:
    """Returns the published mean absolute error of every published method, a fraction.

    Args:
        leaderboard: one of :data:`LEADERBOARDS`.
        n_train: models of each tested family that stay in training.

    Returns:
        method -> error, in the published order; empty where nothing was published.
    """
    return {
        row["method"]: float(row["mean_abs_error"])
        for row in _bundled_rows("published_errors.csv")
        if (row["leaderboard"], int(row["n_train"])) == (leaderboard, n_train)
    }


@cache
def _bundled_rows(name: str) -> tuple[dict[str, str], ...]:
    return tuple(read_bundled(name).records())
