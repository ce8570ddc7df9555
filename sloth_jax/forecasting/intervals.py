"""Central intervals of draws."""

from __future__ import annotations

import numpy as np


def tail_probabilities(level: float) -> list[float]:
    """Probabilities of the quantiles that end a central interval.

    Args:
        level: probability inside, in (0, 1).

    Raises:
        ValueError: if the level is not inside (0, 1).
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level {level} is not between 0 and 1: 0.9 means 90 %")
    return [0.5 - level / 2.0, 0.5 + level / 2.0]


def central_interval(draws: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the central interval of draws, ``(...)`` each.

    Args:
        draws: ``(draw, ...)``.
        level: probability inside, in (0, 1).

    Raises:
        ValueError: if ``level`` is not inside (0, 1).
    """
    lower, upper = np.quantile(draws, tail_probabilities(level), axis=0)
    return lower, upper
