"""What the planning options name: a family, bounds, a target."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sloth_jax.errors import InputError

if TYPE_CHECKING:
    from sloth_jax.planning import Bounds, Family


def family_of(options: argparse.Namespace) -> Family:
    """The family of ``--family`` and of the options that describe it."""
    from sloth_jax.planning import Family

    return Family(options.family, options.lineage, options.post_trained, options.active_fraction)


def bounds_of(options: argparse.Namespace) -> Bounds:
    """The bounds that are given, the usual ones otherwise."""
    from sloth_jax.planning import Bounds

    given = {
        name: tuple(getattr(options, f"{name}_bounds"))
        for name in ("params_b", "tokens_t")
        if getattr(options, f"{name}_bounds")
    }
    return Bounds(**given)


def target_of(text: str) -> str | dict[str, float]:
    """What ``--target`` says: a name, or names with weights.

    Raises:
        InputError: if a weight is not a number.
    """
    if "=" not in text:
        return text
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.rpartition("=")
        try:
            found[name.strip()] = float(weight)
        except ValueError:
            raise InputError(
                f"--target {text!r}: {weight.strip()!r} is not a number; write MMLU=2,GSM8K=1"
            ) from None
    return found
