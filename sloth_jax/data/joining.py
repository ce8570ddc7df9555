"""Models and scores of your own, joined to a table."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.reading import (
    checked_groups,
    in_groups,
    load_floors,
    load_groups,
    parse_leaderboard,
)
from sloth_jax.data.schema import ABOUT, FACTS, Header, match_benchmark, read_header
from sloth_jax.data.tables import RawTable, read_table


def add_models(
    table: Leaderboard,
    added: str | Path | pd.DataFrame,
    *,
    floors: str | Path | pd.DataFrame | None = None,
    source: str = "data frame",
) -> Leaderboard:
    """The table with models and scores of your own beside its own.

    A row of a model that the table has may leave its facts empty, and adds scores: on benchmarks
    that it lacked, or in place of those it had, with a warning. It may fill in a size, tokens or a
    date that the table lacks, and must not contradict others. A column that the table lacks is a
    new benchmark, which a handful of models are enough to begin with.

    Args:
        table: what to add to.
        added: CSV or parquet file, or data frame, read like that of :func:`load_leaderboard`.
        floors: chance floors, and groups, of new benchmarks, see :func:`load_floors`; those of the
            table's own stay as they are otherwise.
        source: what errors call a frame.

    Returns:
        The new table; it warns of every score that was replaced.

    Raises:
        TableError: if the file cannot be read or used, or contradicts the table on a fact.
    """
    mine = read_table(added, source)
    header = read_header(mine, whole=False)
    benchmarks = {
        match_benchmark(name, table.benchmarks) or name: at
        for name, at in header.benchmarks.items()
    }
    header = header._replace(benchmarks=benchmarks)
    cells, row_of, replaced = _merge(table, mine, header)
    names = tuple(dict.fromkeys((*table.benchmarks, *benchmarks)))
    columns = [*FACTS, *names, *(f"{name} {kind}" for name in names for kind in ABOUT)]
    merged = RawTable(
        mine.source,
        columns,
        [[row.get(name, "") for name in columns] for row in cells.values()],
        [mine.numbers[row_of[model]] if model in row_of else 0 for model in cells],
    )
    known_floors = dict(zip(table.benchmarks, table.floors.tolist(), strict=True))
    known_floors |= {} if floors is None else load_floors(floors, names)
    groups = {} if floors is None else load_groups(floors, names)
    found = checked_groups(in_groups(parse_leaderboard(merged, known_floors), groups), mine.source)
    twins = _duplicates(found, row_of.keys() - set(table.models), table)
    warnings = (*table.warnings, *header.warnings, *replaced, *twins, *found.warnings)
    return replace(found, warnings=warnings)


def _merge(
    table: Leaderboard, added: RawTable, header: Header
) -> tuple[dict[str, dict[str, str]], dict[str, int], list[str]]:
    """Model -> column -> cell, model -> its row in ``added``, and a warning per replaced score."""
    about = {
        f"{match_benchmark(name, table.benchmarks) or name} {kind}": at
        for kind, columns in header.about.items()
        for name, at in columns.items()
    }
    cells = {row["model"]: row for row in read_table(table.to_frame()).records()}
    first_of_family = {row["family"]: row for row in cells.values()}
    row_of: dict[str, int] = {}
    warnings: list[str] = []
    for row, texts in enumerate(added.rows):
        model = texts[header.facts["model"]]
        if model in row_of:
            raise added.error(f"stands in row {added.numbers[row_of[model]]} already", row)
        row_of[model] = row
        facts = {name: texts[at] for name, at in header.facts.items() if texts[at]}
        scores = {name: texts[at] for name, at in header.benchmarks.items() if texts[at]}
        if known := cells.get(model):
            sized = known["params_b"]
            for name, text in facts.items():
                # of a model of known size, no active parameters mean that it is dense
                if not known.get(name) and (name != "active_params_b" or not sized):
                    known[name] = text
                    warnings.append(f"{added.source}: {model} has {name} {text}, not known before")
                elif not _same(text, known[name]):
                    what = f"the table has {name} {known[name] or 'empty'}, and facts must agree:"
                    what += " leave it empty, or give your model another name"
                    raise added.error(what, row, header.facts[name])
            warnings += [
                f"{added.source}: {model} on {name}: {text} instead of {known[name]}"
                for name, text in scores.items()
                if known.get(name) and not _same(text, known[name])
            ]
        else:
            relative = first_of_family.get(facts.get("family", ""), {})
            shared = {name: relative.get(name, "") for name in ("lineage", "post_trained")}
            cells[model] = shared | facts
        # A replaced score loses its old standard error, items and source.
        told = [f"{name} {kind}" for name in scores for kind in ABOUT]
        cells[model] |= scores | {
            name: texts[about[name]] if name in about else "" for name in told
        }
    return cells, row_of, warnings


def _duplicates(joined: Leaderboard, new: set[str], table: Leaderboard) -> list[str]:
    """New models that may be one of the table's under another name, a warning each."""
    found = []
    for m, model in enumerate(joined.models):
        family = joined.families[joined.family[m]]
        if model not in new or family not in table.families:
            continue
        same = table.family == table.families.index(family)
        for name in ("params_b", "tokens_t"):
            same &= np.isclose(getattr(table, name), getattr(joined, name)[m], rtol=0.05)
        found += [
            f"{model} has family, size and tokens of {table.models[other]}: is it the same model, "
            "counted twice? give it that name to join the two"
            for other in np.flatnonzero(same)
        ]
    return found


def _same(one: str, other: str) -> bool:
    """Whether two cells say the same: as numbers, or as words in any case."""
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-3)
    except ValueError:
        return one.strip().lower() == other.strip().lower()
