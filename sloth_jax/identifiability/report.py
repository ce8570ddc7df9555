"""What a check of identifiability found, in numbers and in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from sloth_jax.wording import counted


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


_ORDER = {"fails": 0, "weak": 1, "note": 2}


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings in order of weight."""
    return tuple(sorted(findings, key=lambda one: _ORDER[one.kind]))


class Verdict:
    """Whether assumptions hold, by a check's findings."""

    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether no assumption fails."""
        return not any(finding.kind == "fails" for finding in self.findings)

    def warnings(self) -> tuple[str, ...]:
        """What fails and what barely holds, a sentence each."""
        return tuple(finding.text for finding in self.findings if finding.kind != "note")

    def in_words(self, verdict: str, *facts: str) -> str:
        """Everything in words: what holds, or that it does not, facts and findings.

        Args:
            verdict: what is determined where all assumptions hold.
            facts: a line each.
        """
        first = (
            f"The assumptions hold: {verdict}"
            if self.holds
            else ("NOT identified: see what fails below.")
        )
        rest = (*facts, *(f"{finding.kind}: {finding.text}" for finding in self.findings))
        return "\n".join((first, *(f"  {line}" for line in rest)))


@dataclass(frozen=True)
class Report(Verdict):
    """What :func:`check_identifiability` found.

    Attributes:
        skills: d, the number of skills that was checked.
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
        supported = "not testable, too few models have all scores"
        if self.supported_skills is not None:
            supported = "{} clearly, {} at most".format(*self.supported_skills)
        within = ", ".join(f"{value:.3g}" for value in self.within_singular_values)
        return self.in_words(
            "up to a rotation, skills and slopes are determined.",
            f"{counted(self.models, 'model')} of {counted(self.families, 'family', 'families')} "
            f"on {counted(self.benchmarks, 'benchmark')}, {counted(self.skills, 'skill')}",
            f"design matrix: rank {self.design_rank} of {self.design_columns} columns, condition "
            f"number {self.condition_number:.1f}",
            f"within families: singular values {within}",
            f"whole law: rank {self.local_rank} of {self.local_rank_expected}",
            f"skills that stand out of the noise: {supported}",
        )
