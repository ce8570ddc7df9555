"""The page of suites and their parts, from a finished run of groups.py.

Run: python experiments/groups_table.py --out docs/groups.md out/groups
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _pages import filled, fixed, markdown_table, only_run, with_error, write_page
from _runner import execute

LAWS = ("suites", "strangers", "groups")


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if it is not one folder of a finished run, or is of a smoke run.
    """
    run = only_run(folders, "groups.py", ["skills", "development", "scores", "differences"])
    default = run["settings"]["prior"]["group_correlation"]
    whole = [row for row in run["scores"] if row["share"] == 1.0]
    suites = [row for row in whole if row["of"] == "suite"]
    compared = [row for row in run["differences"] if row["share"] == 1.0 and row["of"] == "suite"]
    few = min(row["share"] for row in run["scores"])
    sizes = {
        f"{name}_{what}": str(count)
        for name, found in run["sizes"].items()
        for what, count in found.items()
    }
    kept = ", the default" if run["chosen"] == default else f"; the default is {default:g}"
    text = filled(
        "groups",
        default=f"{default:g}",
        rest=f"{1.0 - default:g}",
        skills=of_choices(run["skills"], "skills"),
        chosen_skills=str(run["chosen_skills"]),
        skills_of_suites=str(run["settings"]["skills"]),
        development=of_choices(run["development"], "correlation"),
        inference=run["settings"]["inference"],
        **{f"{name}_folds": str(count) for name, count in run["folds"].items()},
        chosen=f"{run['chosen']:g}",
        kept=kept,
        scores=of_laws(suites),
        differences=of_differences(compared),
        verdict=verdict(compared),
        few=f"{100.0 * few:g}",
        parts=of_parts(run["scores"], run["differences"]),
        pareto_suites=fixed(worst(suites, "suites"), 1),
        pareto_parts=fixed(worst(suites, "groups"), 1),
        seed=run["seed"],
        **sizes,
    )
    return text.replace("\n\n\n", "\n\n")  # a table ends with a line end of its own


def points(row: dict[str, Any], name: str = "crps") -> str:
    """A CRPS in points of percent, with its standard error."""
    both = {key: None if row[key] is None else 100.0 * row[key] for key in (name, f"{name}_se")}
    return with_error(both, name, 2)


def of_choices(rows: list[dict[str, Any]], choice: str) -> str:
    """CRPS, and coverage over all suites, by the number of skills or the correlation."""
    names = {
        "all_crps": "all six",
        "crps": "MMLU",
        "parts_crps": "its subjects",
        "alone_crps": "the five others",
    }
    cells = [
        [
            f"{row[choice]:g}",
            *(points(row, name) for name in names),
            with_error(row, "all_covered_90", 2),
        ]
        for row in rows
    ]
    return markdown_table([choice, *names.values(), "all six: inside"], cells)


def of_laws(rows: list[dict[str, Any]]) -> str:
    """CRPS and coverage of each law, by benchmark."""
    found = {(row["benchmark"], row["law"]): row for row in rows}
    head = ["benchmark", *LAWS, *(f"{law}: inside" for law in LAWS)]
    cells = []
    for benchmark in in_order(rows):
        own = [found[benchmark, law] for law in LAWS]
        inside = [with_error(row, "covered_90", 2) for row in own]
        cells.append([benchmark, *(points(row) for row in own), *inside])
    return markdown_table(head, cells)


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    """Benchmarks of rows, what is over all of them first."""
    return sorted({row["benchmark"] for row in rows}, key=lambda name: (name != "all", name))


def of_differences(rows: list[dict[str, Any]]) -> str:
    """Groups less each other law, in pairs."""
    found = {(row["benchmark"], row["than"]): row for row in rows}
    cells = [
        [benchmark, *(points(found[benchmark, law]) for law in LAWS[:2])]
        for benchmark in in_order(rows)
    ]
    return markdown_table(["benchmark", *(f"less {law}" for law in LAWS[:2])], cells)


def of_parts(rows: list[dict[str, Any]], compared: list[dict[str, Any]]) -> str:
    """CRPS and coverage of strangers and groups, on parts and on suites, as many as are known."""
    names = ("share", "skills", "of")
    found = {(*(row[name] for name in names), row["law"]): row for row in over_all(rows)}
    less = {
        tuple(row[name] for name in names): row
        for row in over_all(compared)
        if row["than"] == "strangers"
    }
    cells = []
    for share, skills, of in sorted(less, key=lambda case: (-case[0], *case[1:])):
        own = [found[share, skills, of, law] for law in LAWS[1:]]
        inside = [with_error(row, "covered_90", 2) for row in own]
        start = [f"{100.0 * share:g} %", str(skills), f"{of}s", *(points(row) for row in own)]
        cells.append([*start, points(less[share, skills, of]), *inside])
    laws = (*LAWS[1:], "groups less strangers", *(f"{law}: inside" for law in LAWS[1:]))
    return markdown_table(["parts measured", "skills", "of", *laws], cells)


def over_all(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows over all benchmarks of a kind."""
    return [row for row in rows if row["benchmark"] == "all"]


def verdict(rows: list[dict[str, Any]]) -> str:
    """The differences over all suites in words, by twice their standard errors."""
    told = []
    for row in rows:
        if row["benchmark"] == "all":
            clear = abs(row["crps"]) > 2.0 * row["crps_se"]
            words = ("better" if row["crps"] < 0.0 else "worse") if clear else "no different"
            than = "from" if words == "no different" else "than"
            told.append(f"groups are {words} {than} {row['than']}")
    return f"By twice the standard errors, over all suites, {' and '.join(told)}."


def worst(rows: list[dict[str, Any]], law: str) -> float | None:
    """The largest Pareto k of a law's fits."""
    return max((row["pareto_k"] or 0.0 for row in rows if row["law"] == law), default=None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    write_page(__file__, __doc__, page, arguments)


if __name__ == "__main__":
    execute(main)
