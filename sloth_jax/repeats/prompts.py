"""How a model performs over many prompt templates, from answers to few cells (template, item).

One template says little about how a benchmark depends on its wording: what is wanted is the
distribution of performance over templates, above all its quantiles (Maia Polo et al., "Efficient
multi-prompt evaluation of LLMs", arXiv 2405.17202). The law is that of
:mod:`sloth_jax.repeats.prompt_law`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.errors import InputError
from sloth_jax.repeats.prompt_answers import PromptAnswers, read_prompt_answers
from sloth_jax.repeats.prompt_law import Cells, Component, Design, Draws, answered, draw, posterior
from sloth_jax.showing import Shown
from sloth_jax.wording import counted, quoted


@dataclass(frozen=True, eq=False, repr=False)
class PromptPerformance(Shown):
    """Performance of templates, as draws of what evaluating all their items would give.

    Attributes:
        answers: what was seen.
        draws: share of all items answered right, ``(draw, template)``, fractions.
        scale: s_theta, how far templates of equal covariates differ, in log odds, ``(draw,)``.
        effects: of the covariates, in log odds per unit of each, ``(draw, covariate)``.
        covariates: their names.
        converged: whether the posterior's mode was found at every scale that matters.
    """

    answers: PromptAnswers
    draws: np.ndarray
    scale: np.ndarray
    effects: np.ndarray
    covariates: tuple[str, ...]
    converged: bool

    @property
    def unseen(self) -> tuple[str, ...]:
        """Templates without an answer, which the others and covariates alone describe."""
        return tuple(self.answers.templates[t] for t in np.flatnonzero(self.answers.counts == 0))

    def summary(self, level: float = 0.9) -> pd.DataFrame:
        """A row per template: ``template``, ``answers``, ``median``, ``lower``, ``upper``.

        Args:
            level: probability inside the intervals.
        """
        frame = pd.DataFrame({"template": self.answers.templates, "answers": self.answers.counts})
        return frame.assign(**interval(self.draws, level))

    def sorted(self, level: float = 0.9) -> pd.DataFrame:
        """The distribution: as :meth:`summary`, for the worst template, the second worst, ...

        Templates are sorted within each draw, so that the spread is that of the templates and not
        that of their shrunken estimates.
        """
        ranks = np.arange(1, len(self.answers.templates) + 1)
        return pd.DataFrame({"rank": ranks}).assign(**interval(np.sort(self.draws, axis=1), level))

    def quantiles(
        self, at: Sequence[float] = (0.05, 0.5, 0.95), level: float = 0.9
    ) -> pd.DataFrame:
        """Quantiles of performance over templates, a row each.

        Args:
            at: 0 for the worst template, 0.05 for that which 5 % are worse than, 1 for the best.
            level: probability inside the intervals.

        Returns:
            Columns ``quantile``, ``median``, ``lower``, ``upper``; fractions.

        Raises:
            InputError: if a quantile is not between 0 and 1.
        """
        wanted = np.atleast_1d(np.asarray(at, float))
        if not ((wanted >= 0) & (wanted <= 1)).all():
            raise InputError(f"quantiles {list(at)}: give numbers between 0 and 1")
        found = np.quantile(self.draws, wanted, axis=1).T
        return pd.DataFrame({"quantile": wanted}).assign(**interval(found, level))

    def _line(self) -> str:
        seen = counted(len(self.answers.template), "answer")
        shape = f"{len(self.answers.templates)} templates, {len(self.answers.items)} items"
        return f"{shape}, {seen}, {len(self.draws)} draws"

    def _rows(self) -> Any:
        return self.quantiles()


def interval(draws: np.ndarray, level: float) -> dict[str, np.ndarray]:
    """Median and ends of the central interval of ``draws (draw, ...)``, by column name.

    Raises:
        InputError: if the level is not between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise InputError(f"level {level:g}: give a probability between 0 and 1")
    tail = 0.5 - 0.5 * level
    names = ("median", "lower", "upper")
    return dict(zip(names, np.quantile(draws, [0.5, tail, 1.0 - tail], axis=0), strict=True))


def prompt_performance(
    answers: str | Path | pd.DataFrame | PromptAnswers,
    *,
    key: Array,
    templates: Sequence[str] | None = None,
    items: Sequence[str] | None = None,
    covariates: pd.DataFrame | None = None,
    draws: int = 500,
) -> PromptPerformance:
    """The distribution of a model's performance over prompt templates, from few answers.

    Performance of a template is the share of all items that it gets right: answers that were seen,
    and draws of the others. It is about these items and templates, not about new ones.

    Args:
        answers: a row per answer, see :func:`read_prompt_answers`; evaluate about twice as many
            cells as there are items, chosen by :func:`balanced_cells`.
        key: random key.
        templates: all of them; those without an answer get wide intervals. None for those of the
            answers; answers that were read already have theirs.
        items: all of the benchmark; None for those of the answers.
        covariates: of templates, a numeric column each; rows are named by the index or a column
            ``template``.
        draws: how many.

    Returns:
        A :class:`PromptPerformance`.

    Raises:
        InputError: as :func:`read_prompt_answers`, or if a template's covariates are missing or no
            finite numbers, or fewer than 2 draws are asked for.
    """
    if draws < 2:
        raise InputError(f"{draws} draws: ask for 2 or more")
    if not isinstance(answers, PromptAnswers):
        answers = read_prompt_answers(answers, templates=templates, items=items)
    values, names = covariate_values(covariates, answers.templates)
    # Standard deviations of a covariate are one scale; constants have no effect that can be seen.
    centre, spread = values.mean(axis=0), values.std(axis=0)
    spread = np.where(spread > 1e-9 * np.maximum(1.0, np.abs(centre)), spread, 1.0)
    columns = np.column_stack([np.ones(len(values)), (values - centre) / spread])
    of_posterior, of_answers = jax.random.split(key)
    cells, found, drawn = posterior_draws(
        answers, columns, np.ones(columns.shape[1]), of_posterior, draws
    )
    return PromptPerformance(
        answers,
        np.asarray(answered(drawn, cells, of_answers), float),
        np.asarray(drawn.scale, float),
        np.asarray(drawn.gamma, float)[:, 1:] / spread,
        names,
        is_converged(found),
    )


def posterior_draws(
    answers: PromptAnswers, columns: np.ndarray, spread: np.ndarray, key: Array, draws: int
) -> tuple[Cells, Component, Draws]:
    """Answers as arrays, their posterior and draws of it.

    Args:
        answers: what was seen.
        columns: intercept and covariates, ``(template, covariate)``.
        spread: of effects a priori, in units of their common scale, ``(covariate,)``.
        key: random key.
        draws: how many.
    """
    cells = Cells(
        jnp.asarray(answers.template),
        jnp.asarray(answers.item),
        jnp.asarray(answers.correct, float),
    )
    design = Design(jnp.asarray(columns, float), jnp.asarray(spread, float))
    found = posterior(cells, design, len(answers.items))
    return cells, found, draw(found, cells, key, draws)


def is_converged(found: Component) -> bool:
    """Whether the last step was small at all points of the grid that have weight."""
    weight = np.asarray(jax.nn.softmax(found.log_evidence))
    return bool(np.all(np.asarray(found.moved)[weight > 1e-3] < 0.01))


def covariate_values(
    covariates: pd.DataFrame | None, templates: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values of named templates, ``(template, covariate)``, and the names of the covariates.

    Raises:
        InputError: if a template has no row or two, or a value is no finite number.
    """
    if covariates is None:
        return np.zeros((len(templates), 0)), ()
    frame = covariates.set_index("template") if "template" in covariates else covariates
    frame = frame.set_axis([str(name) for name in frame.index])
    counts = frame.index.value_counts()
    for name in templates:
        if counts.get(name, 0) != 1:
            how = "two rows" if name in counts else "no row"
            raise InputError(f"covariates: {how} for template {quoted(name)}: give one")
    found = frame.loc[list(templates)].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    bad = np.argwhere(~np.isfinite(found))
    if len(bad):
        row, column = map(int, bad[0])
        raise InputError(
            f"covariates: template {quoted(str(templates[row]))}, column "
            f"{quoted(str(frame.columns[column]))}: not a finite number: give one"
        )
    return found, tuple(str(name) for name in frame.columns)
