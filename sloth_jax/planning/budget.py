"""Training compute, and the sizes and tokens that a budget of it allows.

Training ``s`` billion active parameters on ``t`` trillion tokens costs ``6e21 s t`` FLOPs (Kaplan
et al. 2020, section 2.1), so that a budget is a straight line in log size and log tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.errors import InputError
from sloth_jax.law.options import FLOPS_UNIT
from sloth_jax.planning.family import Family


@dataclass(frozen=True)
class Bounds:
    """Sizes and tokens that a plan may choose from.

    Attributes:
        params_b: smallest and largest, billions; of a mixture of experts, of all parameters.
        tokens_t: fewest and most, trillions.
    """

    params_b: tuple[float, float] = (0.1, 1000.0)
    tokens_t: tuple[float, float] = (0.05, 50.0)

    def __post_init__(self) -> None:
        for name, (low, high) in (("params_b", self.params_b), ("tokens_t", self.tokens_t)):
            if not (np.isfinite([low, high]).all() and low > 0):
                raise InputError(f"bounds of {name} are {low:g} to {high:g}: give positive numbers")
            if not low < high:
                raise InputError(
                    f"bounds of {name} are crossed, {low:g} to {high:g}: give the smaller first"
                )

    def logs(self) -> tuple[float, float, float, float]:
        """Logs of smallest and largest size, fewest and most tokens."""
        found = np.log([*self.params_b, *self.tokens_t])
        return (float(found[0]), float(found[1]), float(found[2]), float(found[3]))


WIDE_BOUNDS = Bounds()  # more than anything that is trained today


class Split(NamedTuple):
    """Sizes and tokens, by their logs, of one shape.

    Attributes:
        log_params: log of all parameters in billions.
        log_tokens: log of tokens in trillions.
    """

    log_params: Array
    log_tokens: Array


def split_at(u: Array, v: Array, log_budget: Array, log_bounds: Array) -> Split:
    """Splits within a budget and bounds, from coordinates in the unit square.

    Args:
        u: from the smallest size to the largest that the budget allows.
        v: from the fewest tokens to the most that are left for that size; at 1 the whole budget is
            spent as far as the bounds allow.
        log_budget: log of size times tokens, billions times trillions.
        log_bounds: :meth:`Bounds.logs`, ``(4,)``.
    """
    least_params, most_params, least_tokens, most_tokens = log_bounds
    largest = jnp.minimum(most_params, log_budget - least_tokens)
    log_params = least_params + u * (largest - least_params)
    affordable = jnp.minimum(most_tokens, log_budget - log_params)
    return Split(log_params, least_tokens + v * (affordable - least_tokens))


def check_budgets(budgets: np.ndarray, family: Family, bounds: Bounds) -> None:
    """Refuse budgets, ``(budget,)`` FLOPs, that buy nothing within bounds.

    Raises:
        InputError: naming the budget, and what to do.
    """
    least = FLOPS_UNIT * family.active_fraction * bounds.params_b[0] * bounds.tokens_t[0]
    for budget in budgets:
        if not (np.isfinite(budget) and budget > 0):
            raise InputError(f"budget {budget:g} FLOPs is not a positive number: 1e24, say")
        if budget < least:
            raise InputError(
                f"budget {budget:g} FLOPs is below that of the smallest model within bounds, "
                f"{least:.3g}: lower the bounds of params_b or tokens_t"
            )
