"""The page of few prompts, from a finished run of few_prompts.py.

Run: python experiments/few_prompts_table.py --out docs/few_prompts.md out/few_prompts
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _pages import filled, fixed, markdown_table, only_run, with_error, write_page
from _runner import execute

OF_PROMPTS = {
    "distance": ("distance", 4),
    "distance_naive": ("naive distance", 4),
    "covered_5": ("5 %: 90 % hold", 3),
    "covered_50": ("50 %", 3),
    "covered_95": ("95 %", 3),
    "width_5": ("5 %: width", 3),
    "width_50": ("50 %", 3),
    "width_95": ("95 %", 3),
}
OF_PARTS = {
    "rank_correlation": ("rank correlation", 3),
    "covered": ("90 % hold", 3),
    "error": ("mean error", 4),
    "width": ("width", 4),
}


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if it is not one folder of a finished run, or is of a smoke run.
    """
    run = only_run(folders, "few_prompts.py", ["prompts", "parts", "best"])
    prompts = table(run["prompts"], ("law", "scheme"), OF_PROMPTS, {"ratio": ("ratio", 2)})
    parts = table(run["parts"], ("kind",), OF_PARTS, {"pooled_rank": ("over all simulations", 3)})
    bins = [
        [
            f"{row['low']:g} to {row['high']:g}",
            f"{row['subsets']:,}",
            fixed(row["said"], 3),
            f"{fixed(row['came_true'], 3)} ({fixed(row['came_true_se'], 3)})",
        ]
        for row in run["best"]["bins"]
    ]
    settings = {f"of_{name}": f"{value:g}" for name, value in run["settings"].items()}
    return filled(
        "few_prompts",
        prompts=prompts,
        parts=parts,
        best=markdown_table(["probability", "subsets", "mean", "were the best"], bins),
        first_said=with_error(run["best"], "first_said", 2),
        first_best=with_error(run["best"], "first_best", 2),
        seed=run["seed"],
        minutes=f"{run['seconds'] / 60:.0f}",
        **settings,
    )


def table(
    rows: list[dict[str, Any]],
    names: Sequence[str],
    measured: dict[str, tuple[str, int]],
    plain: dict[str, tuple[str, int]],
) -> str:
    """Rows by their names: numbers with standard errors, then those that have none."""
    head = [*names, *(title for title, _ in (*measured.values(), *plain.values()))]
    cells = []
    for row in rows:
        numbers = [with_error(row, name, digits) for name, (_, digits) in measured.items()]
        numbers += [fixed(row[name], digits) for name, (_, digits) in plain.items()]
        cells.append([*(row[name] for name in names), *numbers])
    return markdown_table(head, cells)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    write_page(__file__, __doc__, page, arguments)


if __name__ == "__main__":
    execute(main)
