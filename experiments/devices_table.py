"""The page of devices and precision, from a finished run of devices.py.

Run: python experiments/devices_table.py --out docs/devices.md out/devices
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _pages import filled, fixed, markdown_table, only_run, write_page
from _runner import execute

HEAD = ["device", "bits", "first, s", "again, s", "medians, mean", "medians, most", "width"]


def page(folders: list[Path]) -> str:
    """The page as Markdown.

    Raises:
        InputError: if it is not one folder of a finished run, or is of a smoke run.
    """
    run = only_run(folders, "devices.py", ["rows", "cores"])
    lines = []
    for row in run["rows"]:
        again = "" if row["seed"] == run["seed"] else ", another seed"
        width = [fixed(row[f"width_ratio{end}"], 2) for end in ("", "_low", "_high")]
        seconds = fixed(row["cold"], 0), fixed(row["warm"], 1)
        shift = fixed(row["median_shift_mean"]), fixed(row["median_shift_most"])
        name = f"{row['device']}{again}"
        spread = f"{width[0]} ({width[1]} to {width[2]})"
        lines.append([name, str(row["bits"]), *seconds, *shift, spread])
    return filled(
        "devices",
        table=markdown_table(HEAD, lines).rstrip(),
        verdict=verdict(run["rows"], run["seed"]),
        edition=run["edition"],
        cores=run["cores"],
        device=run["versions"]["device"],
        jax=run["versions"]["jax"],
        seed=run["seed"],
    )


def verdict(rows: list[dict[str, Any]], seed: int) -> str:
    """Whether medians move more with device and precision than with another seed."""
    luck = max(row["median_shift_mean"] for row in rows if row["seed"] != seed)
    others = max(row["median_shift_mean"] for row in rows if row["seed"] == seed)
    if others <= luck:
        return "Precision and device move medians no further than another seed does."
    return (
        f"Precision or device move medians {others / luck:.1f} times as far as another seed does."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    write_page(__file__, __doc__, page, arguments)


if __name__ == "__main__":
    execute(main)
