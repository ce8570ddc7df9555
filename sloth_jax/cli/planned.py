"""What the planning options name: a family, bounds, a target."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sloth_jax.data.leaderboard import Leaderboard
    from sloth_jax.inference.fit import Fit
    from sloth_jax.planning import Bounds, Family


def family_of(options: argparse.Namespace) -> Family:
    """The family of ``--family`` and of the options that describe it."""
    from sloth_jax.planning import Family

    return Family(options.family, options.lineage, options.post_trained, options.active_fraction)


def known_family(family: Family, table: Leaderboard) -> Family:
    """The family under the training table's name of it; prints a note where that is another.

    Raises:
        InputError: if the table has several names that are spelt like it.
    """
    from sloth_jax.cli.console import tell
    from sloth_jax.planning.family import as_family

    found = as_family(family, table)
    if found.name != family.name:
        tell(f"note: family {family.name!r} is taken for {found.name!r} of the training table")
    return found


def bounds_of(options: argparse.Namespace) -> Bounds:
    """The bounds that are given, the usual ones otherwise."""
    from sloth_jax.planning import Bounds

    given = {
        name: tuple(getattr(options, f"{name}_bounds"))
        for name in ("params_b", "tokens_t")
        if getattr(options, f"{name}_bounds")
    }
    return Bounds(**given)


def asks_for_skill(
    options: argparse.Namespace,
    target: str | dict[str, float],
    saved: Fit | None,
    table: Leaderboard,
) -> bool:
    """Whether a target is a skill, by number or by what may be its name.

    What proposed names are is known only after the fit; what cannot be one is refused before it.

    Raises:
        InputError: if there is no such target.
    """
    from sloth_jax.cli.fitting import number_of_skills
    from sloth_jax.planning.targets import could_name_skill, find_target

    if isinstance(target, str) and could_name_skill(target, table.benchmarks):
        return True
    count = len(saved.pivot_benchmarks) if saved else number_of_skills(options, table)
    numbers = tuple(f"skill {k + 1}" for k in range(count))
    return find_target(target, table.benchmarks, numbers).skill is not None
