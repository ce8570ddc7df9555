"""May the skills of a table be interpreted? The assumptions of the law, tested on the table.

With the link and the floors known, loadings of rank d, and a design matrix ``[covariates | a column
per family]`` of full column rank, the law's parameters are determined up to one invertible ``d x
d`` matrix and a shift of all skills (Maia Polo et al., arXiv 2412.06540, section 3.2). Families
take everything that differs between them, so slopes are learnt from what varies *inside* families
alone. Tested here:

* the design: its rank, overall and within families, and by name what is not determined;
* counts: skills against benchmarks, rows and rank, benchmarks with hardly a score or the same as
  another's;
* the law at a point, missing scores as they are: the rank of the Jacobian of all observed
  predictors with respect to all parameters, against their number less ``d x d + d``. A link that
  increases everywhere changes no rank, so predictors do for scores;
* the rank assumption itself: how many skills stand out of the noise in what the design explains.

Numbers are double precision NumPy throughout: a rank is a matter of thresholds.
"""

from __future__ import annotations

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError
from sloth_jax.identifiability.design import (
    Design,
    collinearity,
    design_of,
    silent_families,
    too_few_rows,
    undetermined_slopes,
)
from sloth_jax.identifiability.local_rank import local_rank
from sloth_jax.identifiability.report import Finding, Report, ordered
from sloth_jax.identifiability.supported_skills import supported_skills
from sloth_jax.wording import counted


def check_skills(skills: int, table: Leaderboard) -> None:
    """Raise InputError unless the number of skills fits the table's number of benchmarks."""
    if not 1 <= skills <= len(table.benchmarks):
        raise InputError(
            f"{skills} skills do not fit {counted(len(table.benchmarks), 'benchmark')}: "
            f"choose a number from 1 to {len(table.benchmarks)}"
        )


def check_identifiability(
    table: Leaderboard, *, skills: int = 4, surface: str = "smooth", seed: int = 0
) -> Report:
    """Test the law's assumptions on a table.

    Args:
        table: models and scores; models without a score are left out.
        skills: number of skills d.
        surface: one of :data:`sloth_jax.law.surface.KINDS`. Slopes of its linear columns are
            looked at; its smooth part is held by a prior.
        seed: of the generic point at which the law is differentiated, and of the noise.

    Returns:
        A :class:`Report`.

    Raises:
        InputError: if the skills do not fit the table.

    Examples:
        Every family trained all its models on the same tokens, so nothing tells their slope:

        >>> import pandas as pd
        >>> import sloth_jax as sj
        >>> rows = [(f"{f}-{s}", f, s, t, 0.3 + s / 40 + t / 20, 0.2 + s / 30)
        ...         for f, t in (("a", 1), ("b", 2), ("c", 4)) for s in (1, 3, 7)]
        >>> names = ["model", "family", "params_b", "tokens_t", "first", "second"]
        >>> table = sj.load_leaderboard(pd.DataFrame(rows, columns=names))
        >>> report = sj.check_identifiability(table, skills=1, surface="additive")
        >>> report.holds, report.findings[0].cause, report.findings[0].subjects
        (False, 'confounded', ('log_tokens',))
    """
    check_skills(skills, table)
    scored = np.asarray(table.observed.any(axis=1))
    if not (scored & table.known).any():
        return _unknown_sizes(table, skills)
    unknown = int((scored & ~table.known).sum())
    table = table.subset(scored & table.known)
    design = design_of(table, surface)
    rank, expected = local_rank(table, skills=skills, surface=surface, seed=seed)
    supported = supported_skills(table, surface=surface, seed=seed)

    found = undetermined_slopes(design) + silent_families(table, design)
    found += _of_benchmarks(table) + _duplicates(table)
    if not _fails(found):
        found += collinearity(design)
    found += too_few_rows(design)
    if unknown:
        models = "1 model" if unknown == 1 else f"{unknown} models"
        text = f"{models} of unknown size or tokens are left out of this check, not of a fit"
        found.append(Finding("note", "unknown_covariates", text))
    found += _of_skills(skills, len(table.families), design, supported)
    if rank < expected and not _fails(found):
        free, change = expected - rank, "changes" if expected - rank == 1 else "change"
        text = (
            f"{counted(free, 'direction')} of the law's parameters {change} no observed score: "
            "some families or benchmarks have too few scores"
        )
        found.append(Finding("fails", "local_rank", text))
    return Report(
        skills=skills,
        models=len(table.models),
        families=len(table.families),
        benchmarks=len(table.benchmarks),
        design_rank=design.rank,
        design_columns=design.columns,
        condition_number=design.condition_number,
        within_singular_values=tuple(float(value) for value in design.within_values),
        local_rank=rank,
        local_rank_expected=expected,
        supported_skills=supported,
        findings=ordered(found),
    )


def _unknown_sizes(table: Leaderboard, skills: int) -> Report:
    """The report of a table of which no model has both its size and its tokens."""
    text = (
        "no model has both a known size and known tokens: how skills follow from them cannot be "
        "checked"
    )
    return Report(
        skills=skills,
        models=0,
        families=0,
        benchmarks=len(table.benchmarks),
        design_rank=0,
        design_columns=0,
        condition_number=float("inf"),
        within_singular_values=(),
        local_rank=0,
        local_rank_expected=0,
        supported_skills=None,
        findings=(Finding("fails", "no_variation", text),),
    )


def _fails(found: list[Finding]) -> bool:
    return any(one.kind == "fails" for one in found)


def _of_skills(
    skills: int, families: int, design: Design, supported: tuple[int, int] | None
) -> list[Finding]:
    """Whether there are more skills than directions, or than stand out of the noise."""
    found = []
    directions = len(design.names) + families - 1
    if skills > directions:
        text = (
            f"{skills} skills need as many directions in which models differ, and covariates and "
            f"families give {directions}: ask for fewer"
        )
        found.append(Finding("fails", "too_many_skills", text))
    clear, possible = supported or (skills, skills)
    if skills > clear:
        fails = skills > possible
        most, how = (possible, "at most") if fails else (clear, "clearly")
        text = (
            f"{counted(most, 'skill')} {how} {'stands' if most == 1 else 'stand'} out of the noise "
            "in what size, tokens and family explain: "
            f"the last {skills - most} of {skills} may be anything"
        )
        found.append(Finding("fails" if fails else "weak", "too_many_skills", text))
    return found


def _of_benchmarks(table: Leaderboard) -> list[Finding]:
    found = []
    seen = table.observed
    together = seen.T.astype(int) @ seen.astype(int)
    for j, name in enumerate(table.benchmarks):
        scores = table.scores[seen[:, j], j]
        if scores.size < 3:
            text = (
                f"{name} has {counted(scores.size, 'score')}: too few to tell its bias and loadings"
            )
            found.append(Finding("fails", "few_scores", text, (name,)))
            continue
        if np.ptp(scores) < 1e-9:
            text = f"{name} is the same for all models: it tells nothing about skills"
            found.append(Finding("fails", "constant_benchmark", text, (name,)))
        others = np.delete(together[j], j)
        if others.size and not others.any():
            text = (
                f"no model has {name} and another benchmark: whether they share a skill rests on "
                "families alone"
            )
            found.append(Finding("weak", "isolated_benchmark", text, (name,)))
    return found


def _duplicates(table: Leaderboard) -> list[Finding]:
    found, seen = [], table.observed
    for i in range(len(table.benchmarks)):
        for j in range(i):
            both = seen[:, i] & seen[:, j]
            a, b = table.scores[both, i], table.scores[both, j]
            if both.sum() < 5 or np.ptp(a) < 1e-9 or np.ptp(b) < 1e-9:
                continue
            if np.corrcoef(a, b)[0, 1] > 1.0 - 1e-6:
                names = (table.benchmarks[j], table.benchmarks[i])
                text = (
                    f"{names[0]} and {names[1]} are one measurement twice: a skill of their own "
                    "would look certain and be nothing; leave one out"
                )
                found.append(Finding("fails", "duplicate_benchmarks", text, names))
    return found
