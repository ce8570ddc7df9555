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

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError
from sloth_jax.law.surface import LINEAR, fit_surface

_POOR = 30.0  # condition number from which estimates suffer (Belsley, Kuh and Welsch 1980)
_TINY = 1e-6  # singular values of float32 covariates below this share of the largest are zero
# Quantiles of the strongest direction of noise: a skill above the first is clear, and one below the
# second is as weak as noise usually is.
_CLEAR, _POSSIBLE = 0.95, 0.5
_NOISE_TABLES = 200


@dataclass(frozen=True)
class Finding:
    """One thing that the check has to say.

    Attributes:
        kind: ``"fails"``: an assumption does not hold; ``"weak"``: it barely does; ``"note"``.
        cause: a short name that programs can look for.
        text: one sentence.
        subjects: families, benchmarks or covariates it is about.
    """

    kind: str
    cause: str
    text: str
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """What :func:`check_identifiability` found.

    Attributes:
        skills: d, the number of skills that was asked about.
        models: scored models.
        families: families with a scored model.
        benchmarks: benchmarks.
        design_rank: rank of ``[covariates | family columns]``.
        design_columns: its number of columns, which the rank should be.
        condition_number: of the same, columns scaled to length one.
        within_singular_values: of the covariates less their family means, columns scaled by their
            standard deviation over all models; small ones are badly determined slopes.
        local_rank: rank of the Jacobian of the observed predictors.
        local_rank_expected: number of parameters less ``d x d + d``.
        supported_skills: how many skills clearly stand out of the noise, and how many possibly do;
            None where too few models have all scores to tell.
        findings: in order of weight.
    """

    skills: int
    models: int
    families: int
    benchmarks: int
    design_rank: int
    design_columns: int
    condition_number: float
    within_singular_values: tuple[float, ...]
    local_rank: int
    local_rank_expected: int
    supported_skills: tuple[int, int] | None
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether no assumption fails."""
        return not any(finding.kind == "fails" for finding in self.findings)

    def warnings(self) -> tuple[str, ...]:
        """What fails and what barely holds, a sentence each."""
        return tuple(finding.text for finding in self.findings if finding.kind != "note")

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return asdict(self) | {"holds": self.holds}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Report:
        """What :meth:`to_dict` wrote."""
        found = (f | {"subjects": tuple(f["subjects"])} for f in facts["findings"])
        supported = facts["supported_skills"]
        changed = {
            "findings": tuple(Finding(**f) for f in found),
            "within_singular_values": tuple(facts["within_singular_values"]),
            "supported_skills": None if supported is None else tuple(supported),
        }
        return cls(**({name: facts[name] for name in facts if name != "holds"} | changed))

    def to_text(self) -> str:
        """Everything in words."""
        verdict = (
            "The assumptions hold: up to a rotation, skills and slopes are determined."
            if self.holds
            else "NOT identified: see what fails below."
        )
        supported = "not testable, too few models have all scores"
        if self.supported_skills is not None:
            supported = "{} clearly, {} at most".format(*self.supported_skills)
        within = ", ".join(f"{value:.3g}" for value in self.within_singular_values)
        lines = [
            verdict,
            f"  {self.models} models of {self.families} families on {self.benchmarks} benchmarks, "
            f"{self.skills} skills",
            f"  design matrix: rank {self.design_rank} of {self.design_columns} columns, condition "
            f"number {self.condition_number:.1f}",
            f"  within families: singular values {within}",
            f"  whole law: rank {self.local_rank} of {self.local_rank_expected}",
            f"  skills that stand out of the noise: {supported}",
        ]
        lines += [f"  {finding.kind}: {finding.text}" for finding in self.findings]
        return "\n".join(lines)


def check_skills(skills: int, table: Leaderboard) -> None:
    """Raise InputError unless the number of skills fits the table's number of benchmarks."""
    if not 1 <= skills <= len(table.benchmarks):
        raise InputError(
            f"{skills} skills do not fit {len(table.benchmarks)} benchmarks: "
            f"choose a number from 1 to {len(table.benchmarks)}"
        )


def check_identifiability(
    table: Leaderboard, *, skills: int = 4, surface: str = "smooth", seed: int = 0
) -> Report:
    """Test the law's assumptions on a table.

    Args:
        table: models and scores; models without a score are left out.
        skills: number of skills d.
        surface: one of :data:`sloth_jax.law.options.SURFACES`. Slopes of its linear columns are
            looked at; its smooth part is held by a prior.
        seed: of the generic point at which the law is differentiated, and of the noise.

    Returns:
        A :class:`Report`.

    Raises:
        InputError: if the skills do not fit the table.
    """
    check_skills(skills, table)
    table = table.subset(np.asarray(table.observed.any(axis=1)))
    x = _covariates(table, surface)
    names = LINEAR[surface]
    member = np.eye(len(table.families))[table.family]
    design = np.hstack([x, member])
    values = np.linalg.svd(design / _lengths(design), compute_uv=False)
    within = x - member @ (member.T @ x / member.sum(axis=0)[:, None])
    spread = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    within_values = np.linalg.svd(within / spread, compute_uv=False)
    within_values = np.pad(within_values, (0, len(names) - len(within_values)))
    design_rank = int((within_values > _TINY * len(x) ** 0.5).sum()) + member.shape[1]
    rank, expected = local_rank(table, skills=skills, surface=surface, seed=seed)
    supported = supported_skills(table, surface=surface, seed=seed)

    found = _of_design(within / spread, names)
    found += _of_families(table, within)
    found += _of_benchmarks(table)
    if not found or all(one.kind != "fails" for one in found):
        weak = float(within_values.max() / max(within_values.min(), 1e-300))
        if weak > _POOR:
            found.append(
                Finding(
                    "weak",
                    "collinear",
                    f"covariates nearly move together inside families (condition number "
                    f"{weak:.0f}): their slopes have wide intervals",
                    names,
                )
            )
    if design.shape[0] < design.shape[1]:
        found.append(
            Finding(
                "fails",
                "too_few_rows",
                f"{design.shape[0]} models for {design.shape[1]} columns of covariates and "
                "families: measure more models per family",
            )
        )
    if skills > len(names) + len(table.families) - 1:
        found.append(
            Finding(
                "fails",
                "too_many_skills",
                f"{skills} skills need as many directions in which models differ, and covariates "
                f"and families give {len(names) + len(table.families) - 1}: ask for fewer",
            )
        )
    clear, possible = supported or (skills, skills)
    if skills > clear:
        fails = skills > possible
        text = (
            f"{possible if fails else clear} skills {'at most' if fails else 'clearly'} stand out "
            f"of the noise in what size, tokens and family explain: the last "
            f"{skills - (possible if fails else clear)} of {skills} may be anything"
        )
        found.append(Finding("fails" if fails else "weak", "too_many_skills", text))
    if rank < expected and all(one.kind != "fails" for one in found):
        found.append(
            Finding(
                "fails",
                "local_rank",
                f"{expected - rank} directions of the law's parameters change no observed score: "
                "some families or benchmarks have too few scores",
            )
        )
    order = {"fails": 0, "weak": 1, "note": 2}
    return Report(
        skills=skills,
        models=len(table.models),
        families=len(table.families),
        benchmarks=len(table.benchmarks),
        design_rank=design_rank,
        design_columns=design.shape[1],
        condition_number=float(values[0] / max(values[-1], 1e-300)),
        within_singular_values=tuple(float(value) for value in within_values),
        local_rank=rank,
        local_rank_expected=expected,
        supported_skills=supported,
        findings=tuple(sorted(found, key=lambda one: order[one.kind])),
    )


def _covariates(table: Leaderboard, kind: str) -> np.ndarray:
    return np.asarray(fit_surface(table, kind=kind).linear(table), float)


def _lengths(matrix: np.ndarray) -> np.ndarray:
    length = np.sqrt((matrix**2).sum(axis=0))
    return np.where(length > 0, length, 1.0)


def _of_design(within: np.ndarray, names: tuple[str, ...]) -> list[Finding]:
    """What no family varies, by name."""
    _, values, rows = np.linalg.svd(within, full_matrices=True)
    values = np.pad(values, (0, len(names) - len(values)))
    null = rows[values <= _TINY * len(within) ** 0.5]
    if len(null) == len(names):
        text = (
            "no family has two models of different size or tokens: families take all "
            "differences, and no slope is identified"
        )
        return [Finding("fails", "no_variation", text, names)]
    found = []
    for direction in _reduced(null):
        parts = np.flatnonzero(np.abs(direction) > 1e-4)
        if len(parts) == 1:
            name = names[parts[0]]
            varied = name.removeprefix("log_").replace("_x_log_", " x ")
            text = (
                f"{name} is a combination of the family columns: no family varies its {varied}, "
                "so its slope is not identified"
            )
        else:
            sum_ = " ".join(f"{direction[k]:+.2f} {names[k]}" for k in parts)
            text = (
                f"{sum_} is the same for all models of a family, in every family: these slopes "
                "are not identified one by one"
            )
        found.append(Finding("fails", "confounded", text, tuple(names[k] for k in parts)))
    return found


def _reduced(null: np.ndarray) -> np.ndarray:
    """Row echelon form of a basis, so that each direction involves as few covariates as can be."""
    null = null.copy()
    row = 0
    for column in range(null.shape[1]):
        if row == len(null):
            break
        pivot = row + int(np.argmax(np.abs(null[row:, column])))
        if abs(null[pivot, column]) < 1e-8:
            continue
        null[[row, pivot]] = null[[pivot, row]]
        null[row] /= null[row, column]
        for other in range(len(null)):
            if other != row:
                null[other] -= null[other, column] * null[row]
        row += 1
    return null


def _of_families(table: Leaderboard, within: np.ndarray) -> list[Finding]:
    varies = np.abs(within).max(axis=1) > _TINY
    silent = [name for f, name in enumerate(table.families) if not varies[table.family == f].any()]
    if not silent or len(silent) == len(table.families):
        return []
    text = (
        f"{len(silent)} of {len(table.families)} families have no two models that differ in size "
        "or tokens and tell nothing about slopes"
    )
    return [Finding("note", "silent_families", text, tuple(silent))]


def _of_benchmarks(table: Leaderboard) -> list[Finding]:
    found = []
    seen = table.observed
    together = seen.T.astype(int) @ seen.astype(int)
    for j, name in enumerate(table.benchmarks):
        scores = table.scores[seen[:, j], j]
        if scores.size < 3:
            text = f"{name} has {scores.size} scores: too few to tell its bias and loadings"
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


def local_rank(
    table: Leaderboard, *, skills: int, surface: str = "smooth", seed: int = 0
) -> tuple[int, int]:
    """Rank of the law's Jacobian at a generic point, and what it should be.

    For ``eta_mj = lambda_j' (alpha_f + B' x_m) + b_j`` over the observed entries::

        d eta / d alpha_f = lambda_j    d eta / d B = x_m lambda_j'
        d eta / d lambda_j = theta_m    d eta / d b_j = 1

    Where the parameters are, but for a set of measure zero, does not matter.

    Args:
        table: models and scores, every model with at least one.
        skills: number of skills d.
        surface: one of :data:`sloth_jax.law.options.SURFACES`. Slopes of its linear columns are
            looked at; its smooth part is held by a prior.
        seed: of the point.

    Returns:
        The rank, and the number of parameters less ``d x d + d``: of one invertible matrix that
        turns skills, and of one shift.
    """
    rng = np.random.default_rng(seed)
    x = _covariates(table, surface)
    families, benchmarks = len(table.families), len(table.benchmarks)
    loading = rng.normal(size=(benchmarks, skills))
    theta = rng.normal(size=(families, skills))[table.family]
    theta = theta + x @ rng.normal(size=(x.shape[1], skills))
    model, benchmark = np.nonzero(table.observed)
    entries, width = len(model), x.shape[1]
    of_family = np.zeros((entries, families, skills))
    of_family[np.arange(entries), table.family[model]] = loading[benchmark]
    of_slope = x[model][:, :, None] * loading[benchmark][:, None, :]
    of_loading = np.zeros((entries, benchmarks, skills))
    of_loading[np.arange(entries), benchmark] = theta[model]
    of_bias = np.eye(benchmarks)[benchmark]
    jacobian = np.hstack(
        [
            of_family.reshape(entries, -1),
            of_slope.reshape(entries, width * skills),
            of_loading.reshape(entries, -1),
            of_bias,
        ]
    )
    values = np.linalg.svd(jacobian / _lengths(jacobian), compute_uv=False)
    rank = int((values > _TINY * values[0]).sum())
    return rank, jacobian.shape[1] - skills**2 - skills


def supported_skills(
    table: Leaderboard, *, surface: str = "smooth", seed: int = 0
) -> tuple[int, int] | None:
    """How many skills stand out of the noise in what the design explains.

    On models with all scores, logits of shares above chance are regressed on covariates and
    families. If there are d skills, the fitted values have rank d but for noise. Counted are
    singular values above the largest of noise fitted in the same way (parallel analysis: Horn
    1965; for reduced-rank regression, Reinsel and Velu 1998). The noise is the residuals with the
    signs of whole rows drawn at random (the wild bootstrap: Wu 1986), so that models whose logits
    scatter more, or on all benchmarks together, are noise as well.

    Args:
        table: models and scores.
        surface: one of :data:`sloth_jax.law.options.SURFACES`. Slopes of its linear columns are
            looked at; its smooth part is held by a prior.
        seed: of the noise.

    Returns:
        How many clearly do, above 95 % of noise tables, and how many possibly do, above half of
        them. None where the complete
        models leave fewer residual degrees of freedom than there are benchmarks.
    """
    complete = np.asarray(table.observed.all(axis=1))
    if complete.sum() < 3:
        return None
    table = table.subset(complete)
    x = _covariates(table, surface)
    design = np.hstack([x, np.eye(len(table.families))[table.family]])
    basis, values, _ = np.linalg.svd(design, full_matrices=False)
    basis = basis[:, values > _TINY * values[0]]
    free = len(design) - basis.shape[1]
    if free < len(table.benchmarks):
        return None
    share = (table.scores - table.floors) / (1.0 - table.floors)
    share = np.clip(share, 0.02, 0.98)  # scores scatter around chance; logits there would shout
    logits = np.log(share) - np.log1p(-share)
    logits = logits - logits.mean(axis=0)
    fitted = basis.T @ logits
    residual = logits - basis @ fitted
    # A residual is smaller than its noise by sqrt(1 - h), h its row's leverage.
    left = 1.0 - (basis**2).sum(axis=1)
    told = left > 0.01
    rows = residual[told] / np.sqrt(left[told])[:, None]
    sd = np.sqrt((rows**2).mean(axis=0))
    sd = np.where(sd > 0, sd, 1.0)
    found = np.linalg.svd(fitted / sd, compute_uv=False)
    rng = np.random.default_rng(seed)
    noise = []
    for _ in range(_NOISE_TABLES):
        drawn = rows[rng.integers(len(rows), size=len(design))]  # for models alone in their family
        drawn[told] = rows
        sign = rng.choice([-1.0, 1.0], size=(len(design), 1))
        noise.append(basis.T @ (sign * drawn / sd))
    # Every skill against the strongest direction of noise: after d skills what is left is noise
    # in its own strongest directions.
    strongest = np.linalg.svd(np.array(noise), compute_uv=False)[:, 0]
    clear, possible = (
        int((found > np.quantile(strongest, level)).sum()) for level in (_CLEAR, _POSSIBLE)
    )
    return clear, possible
