"""Names for skills, from the benchmarks that tell most of each, by a fixed rule.

A benchmark that loads on everything names nothing. So what counts is the size of its median
loading on the skill, times that loading's share of all its loadings. The two benchmarks for which
this is largest are the name, joined by a plus; ``not`` stands before one that falls as the skill
grows. The same loadings give the same names.
"""

from __future__ import annotations

import jax
import numpy as np

from sloth_jax.inference.fit import Fit
from sloth_jax.skills.interpret import Skills, interpret_skills


def propose_labels(skills: Skills, *, top: int = 2) -> tuple[str, ...]:
    """Names for skills from the benchmarks that tell most of each; the rule is above.

    Args:
        skills: from :func:`sloth_jax.skills.interpret.interpret_skills`.
        top: how many benchmarks make a name; more where two skills would have the same name.

    Returns:
        A different name for each skill: a place to start from, not a name for a paper. Numbers
        where benchmarks do not tell the skills apart.
    """
    median, names = np.median(skills.loading, axis=0), skills.table.benchmarks
    order = _order(median)
    for count in range(top, len(names) + 1):
        chosen = [order[:count, k] for k in range(median.shape[1])]
        signed = [{(j, median[j, k] < 0.0) for j in at} for k, at in enumerate(chosen)]
        if all(one not in signed[:k] for k, one in enumerate(signed)):
            return tuple(_joined(at, median[:, k], names) for k, at in enumerate(chosen))
    return tuple(f"skill {k + 1}" for k in range(median.shape[1]))


def named_skills(fit: Fit) -> Skills:
    """The skills of a fit under their proposed names.

    The random key is fixed: a fit has the same skills, order and names in every command, whatever
    its ``--seed``. It is that of ``experiments/skills.py`` with seed 0.
    """
    _, key = jax.random.split(jax.random.key(0))
    found = interpret_skills(fit, key=key)
    return found.named(propose_labels(found))


def label_support(skills: Skills, *, top: int = 2) -> np.ndarray:
    """How sure the benchmarks of a name are.

    Args:
        skills: from :func:`sloth_jax.skills.interpret.interpret_skills`.
        top: how many benchmarks make a name.

    Returns:
        For each skill the share of draws whose own loadings choose the same benchmarks by the rule,
        ``(skill,)``; NaN of a mode, which has one set of loadings.
    """
    if not skills.has_intervals:
        return np.full(len(skills.labels), np.nan)
    wanted = np.sort(_order(np.median(skills.loading, axis=0))[:top], axis=0)
    found = np.sort(_order(skills.loading)[:, :top], axis=1)
    return (found == wanted[None]).all(axis=1).mean(axis=0)


def _order(loading: np.ndarray) -> np.ndarray:
    """Benchmarks by how much they tell of each skill, like ``(..., benchmark, skill)``."""
    size = np.abs(loading)
    weight = size * size / size.sum(axis=-1, keepdims=True)
    return np.argsort(-weight, axis=-2, kind="stable")


def _joined(at: np.ndarray, loading: np.ndarray, names: tuple[str, ...]) -> str:
    return " + ".join(f"{'' if loading[j] >= 0 else 'not '}{names[j]}" for j in at.tolist())
