"""Scales of scores: fractions, percent, and ratings that a monotone transform takes into (0, 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sloth_jax.data.schema import bundled_floors
from sloth_jax.errors import InputError
from sloth_jax.wording import quoted

FRACTION, PERCENT, UNBOUNDED = "fraction", "percent", "unbounded"
_RATING = 10.0  # the largest score of a benchmark that may be a rating, or a share
_GAP = 10.0  # factor without a score in a column whose lower scores are fractions, the others not
_LEAST_FLOOR = 0.05  # with such a chance floor hardly a model has 1 percent right
_LONG_TAIL = 20.0  # largest over smallest score of which logarithms are taken
_END = 0.002  # of predicted shares that are taken back: six standard deviations from the mean
_EXACT = 1e-15  # of measured ones


@dataclass(frozen=True)
class ScoreScale:
    """How a benchmark's scores become shares, and shares become scores.

    A score ``x`` is the share ``(x - low) / (high - low)`` or, where it has no ends, ``1 / (1 +
    exp(-z))`` of the standardised score ``z = (x - low) / (high - low)``, of its logarithm where
    ``log``. Both increase, so medians and ends of intervals go back as they came.

    Attributes:
        kind: ``"fraction"``, ``"percent"``, ``"unbounded"``, or the two ends as ``"800:1400"``.
        low: what is 0; the mean of unbounded scores.
        high: what is 1; the mean of unbounded scores and their standard deviation.
        log: whether ``low`` and ``high`` are of logarithms.
    """

    kind: str = FRACTION
    low: float = 0.0
    high: float = 1.0
    log: bool = False

    def to_shares(self, scores: np.ndarray) -> np.ndarray:
        """Shares of scores, any shape; outside [0, 1] where a score is outside its ends."""
        place = ((np.log(scores) if self.log else scores) - self.low) / (self.high - self.low)
        return 1.0 / (1.0 + np.exp(-place)) if self.kind == UNBOUNDED else place

    def to_scores(self, shares: np.ndarray, *, measured: bool = False) -> np.ndarray:
        """Scores of shares, any shape.

        Predictions of unbounded ones end 6 standard deviations from the mean; what was
        ``measured`` comes back as it was.
        """
        if self.kind != UNBOUNDED:
            return self.low + (self.high - self.low) * shares
        end = _EXACT if measured else _END
        inside = np.clip(shares, end, 1.0 - end)
        place = self.low + (self.high - self.low) * np.log(inside / (1.0 - inside))
        return np.exp(place) if self.log else place

    def error_of_share(self, scores: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Standard errors of shares from those of scores, by the slope of the transform."""
        rate = 1.0 / (self.high - self.low)
        if self.kind == UNBOUNDED:
            share = self.to_shares(scores)
            rate = rate * share * (1.0 - share) / (scores if self.log else 1.0)
        return errors * rate

    def in_words(self) -> str:
        """How scores are taken, for a note; empty for fractions."""
        if self.kind in (FRACTION, PERCENT):
            return "" if self.kind == FRACTION else "percent"
        if self.kind != UNBOUNDED:
            return f"from {self.low:g} to {self.high:g}"
        ends = np.array([self.low, self.high - self.low])
        what = f"logarithm, mean {ends[0]:.3g}" if self.log else f"mean {ends[0]:.4g}"
        return f"no shares; the law learns their logistic transform ({what}, sd {ends[1]:.3g})"


def unbounded(benchmark: str, scores: np.ndarray) -> ScoreScale:
    """The scale of scores without ends, from their mean and standard deviation.

    Args:
        benchmark: for the message.
        scores: ``(entry,)``, all of the benchmark's.

    Raises:
        InputError: if there is one distinct score only.
    """
    if np.ptp(scores) == 0.0:
        raise InputError(
            f"benchmark {quoted(benchmark)}: all scores are {scores[0]:g} and no shares, so that "
            "there is no scale to tell: remove the benchmark, or say its ends in a column scale, "
            f"as 0:{max(2.0 * scores[0], 1.0):g}"
        )
    log = bool(scores.min() > 0.0 and scores.max() > _LONG_TAIL * scores.min())
    values = np.log(scores) if log else scores
    return ScoreScale(UNBOUNDED, float(values.mean()), float(values.mean() + values.std()), log)


def recognise_scale(benchmark: str, scores: np.ndarray) -> str:
    """The kind of scale that all scores of a benchmark have, for :func:`named_scale`.

    Fractions: all in [0, 1]. Percent: all in [0, 100], and of a benchmark that is not bundled some
    above 10. Anything else is unbounded.

    Args:
        benchmark: its name.
        scores: ``(entry,)``, all of the benchmark's.

    Raises:
        InputError: if there may be fractions among percent or ratings.
    """
    if scores.min() < 0.0 or scores.max() > 100.0:
        return UNBOUNDED
    low, high = scores[(scores > 0.0) & (scores <= 1.0)], scores[scores > 1.0]
    if not high.size:
        return FRACTION
    floors = bundled_floors()
    rating = scores.max() <= _RATING and benchmark not in floors
    if rating:
        mixed = low.size > 0 and low.min() < 1.0
    else:
        above_chance = floors.get(benchmark, 0.0) >= _LEAST_FLOOR
        mixed = low.size > 0 and (
            above_chance or high.min() > _GAP * low.max() or low.size > high.size
        )
    if mixed:
        other = "ratings" if rating else "percent"
        raise InputError(
            f"benchmark {quoted(benchmark)}: scores up to 1, such as {low[0]:g}, and above, such "
            f"as {high[0]:g}: are fractions and {other} mixed? write one scale, or say it in a "
            "column scale: fraction, percent, unbounded or its ends, as 0:10"
        )
    return UNBOUNDED if rating else PERCENT


def named_scale(text: str, benchmark: str, scores: np.ndarray) -> ScoreScale:
    """The scale that a user names.

    Args:
        text: ``fraction``, ``percent``, ``unbounded``, or the worst and the best score, as
            ``800:1400``.
        benchmark: for messages.
        scores: ``(entry,)``, all of the benchmark's.

    Raises:
        InputError: if it is none, or a score lies outside it.
    """
    text = text.lower()
    if text == UNBOUNDED:
        return unbounded(benchmark, scores)
    known = {FRACTION: "0:1", PERCENT: "0:100"}
    worst, _, best = known.get(text, text).partition(":")
    try:
        scale = ScoreScale(text, float(worst), float(best))
    except ValueError:
        scale = ScoreScale(high=-1.0)
    if not (np.isfinite([scale.low, scale.high]).all() and scale.low < scale.high):
        raise InputError(
            f"benchmark {quoted(benchmark)}: {quoted(text)} is no scale: write fraction, percent, "
            "unbounded, or the worst and the best score, as 800:1400"
        )
    outside = scores[(scores < scale.low) | (scores > scale.high)]
    if outside.size:
        raise InputError(
            f"benchmark {quoted(benchmark)}: the score {outside[0]:g} is outside its scale, "
            f"{scale.low:g} to {scale.high:g}: mend one of them"
        )
    return scale
