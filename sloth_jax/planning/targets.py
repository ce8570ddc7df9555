"""What a plan maximises: a benchmark, a weighted mean of several, or a skill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sloth_jax.data.schema import match_benchmark
from sloth_jax.errors import InputError
from sloth_jax.wording import did_you_mean, quoted, spelling

MEAN = "mean"  # the target that weighs all benchmarks alike


@dataclass(frozen=True)
class Target:
    """The score, or skill, that a plan maximises.

    Attributes:
        label: its name in tables and figures.
        benchmarks: positions of its benchmarks in the training table; empty for a skill.
        weights: of the benchmarks, positive, summing to 1.
        skill: position of the skill, None for benchmarks.
    """

    label: str
    benchmarks: tuple[int, ...]
    weights: tuple[float, ...]
    skill: int | None = None

    @property
    def is_mix(self) -> bool:
        """Whether it is a mean of several benchmarks."""
        return len(self.benchmarks) > 1


def parse_target(text: str) -> str | dict[str, float]:
    """A target in one text: a name, or names with weights, as ``MMLU=2,GSM8K=1``.

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
                f"target {text!r}: {weight.strip()!r} is not a number; write MMLU=2,GSM8K=1"
            ) from None
    return found


def find_target(
    wanted: str | Mapping[str, float], names: tuple[str, ...], labels: tuple[str, ...] = ()
) -> Target:
    """Find a target by its name.

    Args:
        wanted: a benchmark, ``"mean"`` of all, a skill by its label or number (``"skill 1"``), or
            benchmarks with weights, positive.
        names: benchmarks of the training table.
        labels: of skills, where they are interpreted.

    Raises:
        InputError: if there is no such benchmark or skill, or the weights are not positive.
    """
    if isinstance(wanted, str):
        if wanted == MEAN:
            return Target("mean of all benchmarks", tuple(range(len(names))), _even(len(names)))
        skill = None if wanted in names else _skill_position(wanted, labels)
        if skill is not None:
            return Target(labels[skill], (), (), skill)
        at = _position(wanted, names, labels)
        return Target(names[at], (at,), (1.0,))
    if not wanted:
        raise InputError("no target: name a benchmark")
    positions = tuple(_position(name, names) for name in wanted)
    weights = np.array([float(weight) for weight in wanted.values()])
    if len(set(positions)) < len(positions):
        raise InputError("a benchmark occurs twice in the target")
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise InputError("weights of a target are positive numbers: leave out what does not count")
    weights = weights / weights.sum()
    parts = (f"{w:.3g} {names[j]}" for w, j in zip(weights, positions, strict=True))
    label = names[positions[0]] if len(positions) == 1 else " + ".join(parts)
    return Target(label, positions, tuple(float(w) for w in weights))


def _skill_position(wanted: str, labels: tuple[str, ...]) -> int | None:
    """Position of a skill by its label, spelt as it may be, or by its number, as ``"skill 1"``.

    Returns:
        The position; None if there is no such skill.
    """
    numbers = {spelling(f"skill {k + 1}"): k for k in range(len(labels))}
    return (numbers | {spelling(label): k for k, label in enumerate(labels)}).get(spelling(wanted))


def could_name_skill(wanted: str, names: tuple[str, ...]) -> bool:
    """Whether a text may be a proposed name of a skill: benchmarks joined by ``+``.

    Args:
        wanted: the text.
        names: benchmarks of the training table.
    """
    if match_benchmark(wanted, names):
        return False
    parts = [part.strip().removeprefix("not ") for part in wanted.split("+")]
    return len(parts) > 1 and all(match_benchmark(part, names) for part in parts)


def _even(count: int) -> tuple[float, ...]:
    return (1.0 / count,) * count


def _position(name: str, names: tuple[str, ...], labels: tuple[str, ...] = ()) -> int:
    found = match_benchmark(name, names)
    if found is None:
        choices = (*names, *labels, MEAN)
        hint = did_you_mean(name, choices) or f": choose from {', '.join(choices)}"
        raise InputError(f"no target {quoted(name)}{hint}")
    return names.index(found)
