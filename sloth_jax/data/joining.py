"""Models and scores of your own, joined to a table."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.data.reading import load_floors, parse_leaderboard
from sloth_jax.data.schema import ABOUT, COLUMNS, match_benchmark, sort_columns, with_facts
from sloth_jax.data.tables import RawTable, cell_text, read_table


def add_models(
    table: Leaderboard, path: str | Path, *, floors: str | Path | None = None
) -> Leaderboard:
    """The table with models and scores of your own beside its own.

    A row of a model that the table has may leave its facts empty, and adds scores: on benchmarks
    that it lacked, or in place of those it had, with a warning. New models need facts like those
    of any table; a column that the table does not have is a new benchmark, which may be measured
    on a handful of models and is predicted for the others.

    Args:
        table: what to add to.
        path: CSV or parquet file, read like that of :func:`load_leaderboard`.
        floors: chance floors of new benchmarks, see :func:`load_floors`.

    Returns:
        The new table; it warns of every score that was replaced.

    Raises:
        TableError: if the file cannot be read or used, or contradicts the table on a fact.
    """
    mine = with_facts(read_table(Path(path)))
    columns, benchmarks, about, warnings = sort_columns(mine)

    def theirs(name: str) -> str:
        return match_benchmark(name, table.benchmarks) or name

    benchmarks = {theirs(name): at for name, at in benchmarks.items()}
    said = {(theirs(name), kind): at for kind, of in about.items() for name, at in of.items()}
    names = [*table.benchmarks, *(name for name in benchmarks if name not in table.benchmarks)]
    frame = table.to_frame()
    header = [*COLUMNS, *names, *(f"{name} {kind}" for name in names for kind in ABOUT)]
    known: dict[str, dict[str, str]] = {}
    for row in frame.itertuples(index=False, name=None):
        cells = dict(zip(frame.columns, map(cell_text, row), strict=True))
        known[cells["model"]] = cells
    numbers = dict.fromkeys(known, 0)
    of_family = {cells["family"]: cells for cells in known.values()}
    seen: dict[str, int] = {}
    for row, texts in enumerate(mine.rows):
        model = texts[columns["model"]]
        if model in seen:
            raise mine.error(f"stands in row {mine.numbers[seen[model]]} already", row=row)
        seen[model] = row
        given = {name: texts[at] for name, at in columns.items() if texts[at]}
        scores = {name: texts[at] for name, at in benchmarks.items() if texts[at]}
        if model in known:
            for name, text in given.items():
                if not _same(text, known[model][name]):
                    raise mine.error(
                        f"the table has {name} {known[model][name] or 'empty'}: leave it empty, or "
                        "give your model another name",
                        row=row,
                        column=columns[name],
                    )
            for name, text in scores.items():
                before = known[model].get(name, "")
                if before and not _same(text, before):
                    warnings.append(f"{path}: {model} on {name}: {text} instead of {before}")
        else:
            relative = of_family.get(given.get("family", ""), {})
            shared = {name: relative.get(name, "") for name in ("lineage", "post_trained")}
            known[model] = {**shared, **given}
        known[model] |= scores
        # What was known of a score that is replaced is known no longer.
        known[model] |= {
            f"{name} {kind}": texts[said[name, kind]] if (name, kind) in said else ""
            for name in scores
            for kind in ABOUT
        }
        numbers[model] = mine.numbers[row]
    merged = RawTable(
        str(path),
        header,
        [[cells.get(name, "") for name in header] for cells in known.values()],
        list(numbers.values()),
    )
    own = dict(zip(table.benchmarks, table.floors.tolist(), strict=True))
    own |= {} if floors is None else load_floors(floors, names)
    found = parse_leaderboard(merged, own, tokens_may_be_missing=False)
    warnings += _doubles(found, set(seen) - set(table.models), table)
    return replace(found, warnings=(*table.warnings, *warnings, *found.warnings))


def _doubles(joined: Leaderboard, new: set[str], table: Leaderboard) -> list[str]:
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
