"""What answers of models to items determine: abilities, items, and how many skills.

The rank of the law is that of :mod:`sloth_jax.identifiability.response_rank`, without any prior:
where it is too low, priors alone say how models of different blocks compare. What models depart by
in categories and on hard items is held by its prior and not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sloth_jax.errors import InputError
from sloth_jax.identifiability.report import Finding, Verdict, ordered
from sloth_jax.identifiability.response_rank import ResponseRank, connected_blocks, response_rank
from sloth_jax.wording import counted, listed

_MODELS, _ITEMS = 300, 3000  # at most so many, at random, tell how many skills stand out
_SIMULATED = 20
_MOST_SKILLS = 4


@dataclass(frozen=True)
class ResponseReport(Verdict):
    """What :func:`check_responses` found.

    Attributes:
        skills: of the law that was checked.
        models: in the bank.
        items: in the bank.
        answers: cells (model, item) with an answer.
        blocks: of models that share no item with others.
        local_rank: rank of the Jacobian of all logits, without priors.
        local_rank_expected: number of parameters less ``skills x skills + skills``.
        ranked_models: models of which it is: all, or as many at random as fit.
        supported_skills: how many skills stand out of the noise of single answers, at most
            4; None where too few models answered.
        models_per_item: so many answers to an item say as much of its slope as the prior that its
            items share; None where the law could not be fitted.
        findings: in order of weight.
    """

    skills: int
    models: int
    items: int
    answers: int
    blocks: int
    local_rank: int
    local_rank_expected: int
    ranked_models: int
    supported_skills: int | None
    models_per_item: float | None
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return asdict(self) | {"holds": self.holds}

    def to_text(self) -> str:
        """Everything in words."""
        some = f", of {self.ranked_models} of the models" * (self.ranked_models < self.models)
        supported = self.supported_skills
        least = "not known, the law cannot be fitted"
        if self.models_per_item is not None:
            least = f"{self.models_per_item:.0f} models to know its slope as well as the prior does"
        return self.in_words(
            "up to a rotation and a shift, abilities and items are determined.",
            f"{counted(self.models, 'model')}, {self.items:,} items, {self.answers:,} answers, "
            f"{counted(self.skills, 'skill')}",
            f"blocks of models that share no item: {self.blocks}",
            f"whole law: rank {self.local_rank} of {self.local_rank_expected}{some}",
            f"skills that stand out of the noise: "
            f"{'not testable' if supported is None else supported}",
            f"an item needs: {least}",
        )


def check_responses(
    models: tuple[str, ...],
    successes: np.ndarray,
    tries: np.ndarray,
    *,
    skills: int = 1,
    models_per_item: float | None = None,
    notes: Sequence[str] = (),
    seed: int = 0,
) -> ResponseReport:
    """Test what answers determine of their models' abilities and of the items.

    Args:
        models: names; dimension ``model``.
        successes: right answers, ``(model, item)``.
        tries: answers, likewise; 0 where there is none.
        skills: of the law.
        models_per_item: so many answers to an item say as much of its slope as the prior.
        notes: what else is known of the items, a sentence each.
        seed: of the generic point at which the law is differentiated, and of the noise.

    Raises:
        InputError: fewer than one skill.
    """
    if skills < 1:
        raise InputError(f"{skills} skills: ask for 1 or more")
    answered = tries > 0
    blocks, ranked = connected_blocks(answered), response_rank(answered, skills=skills, seed=seed)
    supported = _supported(successes, tries, np.random.default_rng(seed))
    found = [*_of_blocks(models, blocks), *_of_rank(models, ranked, len(blocks))]
    if supported is not None and skills > supported:
        text = (
            f"{counted(supported, 'skill')} {'stands' if supported == 1 else 'stand'} out of the "
            f"noise of single answers: the last {skills - supported} of {skills} may be anything"
        )
        found.append(Finding("weak", "too_many_skills", text))
    found += [Finding("note", "no_variation", line) for line in notes]
    found += _of_items(answered.sum(axis=0), skills, models_per_item)
    return ResponseReport(
        skills=skills,
        models=len(models),
        items=tries.shape[1],
        answers=int(answered.sum()),
        blocks=len(blocks),
        local_rank=ranked.rank,
        local_rank_expected=ranked.expected,
        ranked_models=len(ranked.models),
        supported_skills=supported,
        models_per_item=models_per_item,
        findings=ordered(found),
    )


def items_that_tell_little(successes: np.ndarray, tries: np.ndarray) -> tuple[str, ...]:
    """Items that all models got right, or none, or that nobody answered: a sentence each.

    Args:
        successes: right answers, ``(model, item)``.
        tries: answers, likewise.
    """
    right, made = successes.sum(axis=0), tries.sum(axis=0)
    lines = []
    for at, what in (
        ((made > 0) & (right == 0), "answered right by no model"),
        ((made > 0) & (right == made), "answered right by every model"),
        (made == 0, "that nobody answered"),
    ):
        if at.any():
            lines.append(
                f"{int(at.sum()):,} of {len(made):,} items {what}: the prior holds their parameters"
            )
    return tuple(lines)


def _of_blocks(models: tuple[str, ...], blocks: tuple[np.ndarray, ...]) -> list[Finding]:
    """Models that cannot be compared, as they share no item."""
    if len(blocks) < 2:
        return []
    names = [models[m] for m in np.concatenate(blocks[1:])]
    text = (
        f"{counted(len(blocks), 'block')} of models share no item: {listed(names)} "
        f"{'is' if len(names) == 1 else 'are'} not comparable with the {len(blocks[0])} of the "
        "largest; let some models of each answer the same items"
    )
    return [Finding("fails", "separate_blocks", text, tuple(names))]


def _of_rank(models: tuple[str, ...], ranked: ResponseRank, blocks: int) -> list[Finding]:
    """Directions of the law that change no answer, and whose abilities they are."""
    free = ranked.expected - ranked.rank
    if free <= 0 or blocks > 1:  # blocks say it already
        return []
    text = (
        f"{counted(free, 'direction')} of the law's parameters "
        f"{'changes' if free == 1 else 'change'} no answer"
    )
    names = tuple(models[m] for m in ranked.undetermined)
    if names:
        text += (
            f": abilities of {listed(names)} do not follow from their answers to items that others "
            "answered"
        )
    return [Finding("fails", "local_rank", text, names)]


def _of_items(answers: np.ndarray, skills: int, least: float | None) -> list[Finding]:
    """Items that tell nothing of models, and those whose parameters are the prior's."""
    found = []
    few = int(((answers > 0) & (answers <= skills + 1)).sum())
    if few:
        text = (
            f"{few:,} of {len(answers):,} items have at most {skills + 1} answers, which their "
            "own parameters fit whatever they are: they tell nothing of abilities"
        )
        kind = "fails" if few == int((answers > 0).sum()) else "weak"
        found.append(Finding(kind, "few_answers", text))
    vague = 0 if least is None else int((answers < least).sum())
    if vague:
        text = (
            f"{vague:,} of {len(answers):,} items have fewer than the {least:.0f} answers at "
            "which an item's slope is known as well from them as from the prior"
        )
        found.append(Finding("note", "vague_slopes", text))
    return found


def _supported(successes: np.ndarray, tries: np.ndarray, rng: np.random.Generator) -> int | None:
    """Skills above noise, by parallel analysis (Horn 1965): eigenvalues of models' residuals.

    Noise is answers of models that are all alike, drawn from each item's rate.
    """
    models, items = (
        np.sort(rng.permutation(count)[:most])
        for count, most in zip(tries.shape, (_MODELS, _ITEMS), strict=True)
    )
    right, made = (counts[np.ix_(models, items)].astype(float) for counts in (successes, tries))
    rate = right.sum(axis=0) / np.maximum(made.sum(axis=0), 1.0)
    kept = (rate > 0.0) & (rate < 1.0)
    right, made, rate = right[:, kept], made[:, kept], rate[kept]
    if len(models) < 3 or not kept.any():
        return None
    root = np.sqrt(made)
    scale = np.sqrt(rate * (1.0 - rate)) * np.maximum(root, 1.0)

    def eigenvalues(right: np.ndarray) -> np.ndarray:
        left = np.where(made > 0, right - made * rate, 0.0) / scale
        return np.linalg.eigvalsh(left @ left.T)[::-1][:_MOST_SKILLS]

    drawn = [eigenvalues(rng.binomial(made.astype(int), rate)) for _ in range(_SIMULATED)]
    above = eigenvalues(right) > np.max(drawn, axis=0)
    return int(np.cumprod(above).sum())
