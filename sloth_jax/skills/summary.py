"""The summary of ``sloth-jax skills``: a record, and the same in words."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from sloth_jax.skills.interpret import Skills
from sloth_jax.skills.labels import label_support

NOTES = {
    "yes": "",
    "weakly": "An assumption barely holds: interpret these skills with care (sloth-jax check)",
    "no": "NOT IDENTIFIED: these skills may not be interpreted (sloth-jax check)",
}


def summary_of(
    skills: Skills, tables: dict[str, pd.DataFrame], word: str, level: float
) -> dict[str, Any]:
    """The summary as a record for JSON; None stands for ends of intervals that a mode lacks.

    Args:
        skills: named ones.
        tables: from :func:`sloth_jax.skills.tables.skill_tables`.
        word: of :func:`sloth_jax.skills.tables.may_interpret`.
        level: probability inside the intervals.
    """

    def rows(name: str) -> list[dict[str, Any]]:
        return json.loads(tables[name].to_json(orient="records"))

    named = [
        {"number": k + 1, "name": label, "draws_with_this_name": None if share != share else share}
        for k, (label, share) in enumerate(
            zip(skills.labels, label_support(skills).tolist(), strict=True)
        )
    ]
    shifts = rows("base_to_chat") if "base_to_chat" in tables else []
    return {
        "interpretable": word,
        "warnings": list(skills.fit.report.warnings()),
        "level": level,
        "skills": named,
        "rotation": {"starts_agreeing": skills.agreeing, "draws_converged": skills.settled},
        "loadings": rows("loadings"),
        "correlations": rows("correlations"),
        "growth": rows("growth"),
        "yearly_progress": rows("yearly_progress") if "yearly_progress" in tables else [],
        "base_to_chat": [row for row in shifts if row["base"] == "all"],
    }


def in_words(record: dict[str, Any]) -> str:
    """The summary of :func:`summary_of` in words."""
    lines = [f"{NOTES[record['interpretable']]}:"] if record["warnings"] else []
    lines += [f"  {warning}" for warning in record["warnings"]]
    certain = record["loadings"][0]["lower"] is not None
    interval = f"{100 * record['level']:g} % intervals" if certain else "a mode without intervals"
    lines.append(f"skills, in standard deviations of models, {interval}:")
    growth = {(row["more"], row["skill"]): row for row in record["growth"]}
    shifts = {row["skill"]: row for row in record["base_to_chat"]}
    years = {row["skill"]: row for row in record["yearly_progress"] if row["kind"] == "per year"}
    for skill in record["skills"]:
        name, share = skill["name"], skill["draws_with_this_name"]
        sure = "" if share is None else f" (the same two benchmarks in {share:.0%} of draws)"
        lines.append(f"  skill {skill['number']}: {name}{sure}")
        lines.append(f"    10 x parameters {_interval(growth['params', name])}")
        lines.append(f"    10 x tokens     {_interval(growth['tokens', name])}")
        if name in shifts:
            lines.append(f"    post-training   {_interval(shifts[name])}")
        if name in years:
            lines.append(f"    a year          {_interval(years[name])}")
    if record["correlations"]:
        lines.append("correlations over models:")
    for row in record["correlations"]:
        lines.append(f"  {row['skill']} and {row['other']}: {_interval(row)}")
    return "\n".join(lines)


def _interval(row: dict[str, Any]) -> str:
    if row["lower"] is None:
        return f"{row['median']:.2f}"
    return f"{row['median']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})"
