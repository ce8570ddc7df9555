"""The table: models with their sizes, tokens, families and scores. Pandas in, arrays out.

A leaderboard table has one row per model and one column per benchmark, next to ``model``,
``family``, ``lineage``, ``post_trained``, ``params_b``, ``active_params_b``, ``tokens_t`` and
``released``. Everything a user may hand in is checked here, once, and a fault is answered with
one line that names the file, the row, the column, the value, what is wrong and how to mend it
(:class:`TableError`). Behind this module tables are arrays with labels.

A query is the same kind of table without scores: :mod:`sloth_jax.data.query`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sloth_jax.data.columns import (
    ABOUT,
    COLUMNS,
    agree_by_family,
    bundled_floors,
    match_benchmark,
    number_of,
    parse_rows,
    sort_columns,
    with_facts,
)
from sloth_jax.data.tables import RawTable, TableError, cell_text, read_bundled, read_table
from sloth_jax.files import csv_text, write_text
from sloth_jax.wording import did_you_mean, quoted, spelling


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Models, what compute went into them, and their scores.

    Rows are sorted by model name, so the order of a file's rows never changes a result.

    Attributes:
        models: names of the models, sorted; dimension ``model``.
        families: names of the families, sorted; dimension ``family``.
        lineages: names of the lineages, sorted; dimension ``lineage``.
        benchmarks: names of the benchmarks in the file's order; dimension ``benchmark``.
        family: ``(model,)`` position of each model's family in ``families``.
        lineage_of_family: ``(family,)`` position of each family's lineage in ``lineages``.
        post_trained_of_family: ``(family,)`` 1.0 for post-trained families, 0.0 for base ones.
        params_b: ``(model,)`` parameters in billions; of a mixture of experts, all of them.
        active_params_b: ``(model,)`` parameters active per token in billions; NaN where dense.
        tokens_t: ``(model,)`` pretraining tokens in trillions.
        released: ``(model,)`` day or month of release as text; empty where not known.
        scores: ``(model, benchmark)`` fractions in [0, 1]; NaN where not evaluated.
        floors: ``(benchmark,)`` chance floors as fractions in [0, 1).
        standard_errors: ``(model, benchmark)`` of the scores, fractions; NaN where not given.
        items: ``(benchmark,)`` number of independent items that a score is the mean of; NaN where
            not known, or known of half of the scores or fewer.
        source: ``(model, benchmark)`` position in ``sources`` of where each score is from.
        sources: names of leaderboards or evaluations, sorted; ``("",)`` where none is named.
        warnings: what was assumed or left out while loading, one sentence each.
    """

    models: tuple[str, ...]
    families: tuple[str, ...]
    lineages: tuple[str, ...]
    benchmarks: tuple[str, ...]
    family: np.ndarray
    lineage_of_family: np.ndarray
    post_trained_of_family: np.ndarray
    params_b: np.ndarray
    active_params_b: np.ndarray
    tokens_t: np.ndarray
    released: tuple[str, ...]
    scores: np.ndarray
    floors: np.ndarray
    standard_errors: np.ndarray
    items: np.ndarray
    source: np.ndarray
    sources: tuple[str, ...] = ("",)
    warnings: tuple[str, ...] = ()

    @property
    def observed(self) -> np.ndarray:
        """``(model, benchmark)`` True where the model was evaluated on the benchmark."""
        return ~np.isnan(self.scores)

    def sampling_error(self) -> np.ndarray:
        """Standard error of each score, ``(model, benchmark)`` fractions; 0 where nobody knows.

        As given, else that of a share of so many items.
        """
        of_items = error_of_share(self.scores, self.items[None, :])
        given = self.standard_errors
        return np.nan_to_num(np.where(np.isnan(given), of_items, given), nan=0.0)

    def subset(self, keep: np.ndarray) -> Leaderboard:
        """Returns the table of some models; families and lineages without a model disappear.

        Args:
            keep: ``(model,)`` True for the models to keep.

        Raises:
            ValueError: ``keep`` is not one boolean per model, or keeps none.
        """
        keep = self._mask(keep, "keep")
        if not keep.any():
            raise ValueError("keep leaves no model")
        rows = np.flatnonzero(keep)
        family_names = [self.families[f] for f in self.family[rows]]
        lineages = {
            name: self.lineages[lineage]
            for name, lineage in zip(self.families, self.lineage_of_family, strict=True)
        }
        post_trained = dict(
            zip(self.families, (self.post_trained_of_family > 0.5).tolist(), strict=True)
        )
        return replace(
            self,
            models=tuple(self.models[m] for m in rows),
            **_index_families(family_names, lineages, post_trained),
            params_b=self.params_b[rows],
            active_params_b=self.active_params_b[rows],
            tokens_t=self.tokens_t[rows],
            released=tuple(self.released[m] for m in rows),
            scores=self.scores[rows],
            standard_errors=self.standard_errors[rows],
            source=self.source[rows],
        )

    def hide(self, hidden: np.ndarray) -> Leaderboard:
        """Returns the same models and families with the scores of some models taken away.

        Args:
            hidden: ``(model,)`` True for the models whose scores become NaN.

        Raises:
            ValueError: ``hidden`` is not one boolean per model.
        """
        hidden = self._mask(hidden, "hidden")
        return replace(self, scores=np.where(hidden[:, None], np.nan, self.scores))

    def select_benchmarks(self, names: Sequence[str]) -> Leaderboard:
        """Returns the table with some benchmarks, in the order of ``names``.

        Models that are left without a score stay.

        Args:
            names: benchmarks, spelt as in the table up to case and punctuation.

        Raises:
            TableError: a name is not in the table or occurs twice, or there is none.
        """
        names = (names,) if isinstance(names, str) else tuple(names)
        if not names:
            raise TableError(f"no benchmark was chosen: choose from {', '.join(self.benchmarks)}")
        positions: list[int] = []
        for name in names:
            found = match_benchmark(name, self.benchmarks)
            if found is None:
                raise TableError(
                    f"no benchmark {quoted(name)} in the table{did_you_mean(name, self.benchmarks)}"
                    f" (the table has {', '.join(self.benchmarks)})"
                )
            position = self.benchmarks.index(found)
            if position in positions:
                raise TableError(f"benchmark {quoted(found)} is chosen twice: name it once")
            positions.append(position)
        return replace(
            self,
            benchmarks=tuple(self.benchmarks[j] for j in positions),
            scores=self.scores[:, positions],
            floors=self.floors[positions],
            standard_errors=self.standard_errors[:, positions],
            items=self.items[positions],
            source=self.source[:, positions],
        )

    def to_frame(self) -> pd.DataFrame:
        """Returns the table as pandas knows it: :data:`COLUMNS`, then a column per benchmark.

        Behind them stand, where anything is known of them, columns of scores' standard errors
        (``MMLU se``) and sources (``MMLU source``).
        """
        frame = pd.DataFrame(
            {
                "model": list(self.models),
                "family": [self.families[f] for f in self.family],
                "lineage": [self.lineages[self.lineage_of_family[f]] for f in self.family],
                "post_trained": self.post_trained_of_family[self.family] > 0.5,
                "params_b": self.params_b,
                "active_params_b": self.active_params_b,
                "tokens_t": self.tokens_t,
                "released": list(self.released),
            }
        )
        scores = pd.DataFrame(self.scores, columns=list(self.benchmarks))
        about: dict[str, Any] = {}
        for j, name in enumerate(self.benchmarks):
            if np.isfinite(self.standard_errors[:, j]).any():
                about[f"{name} se"] = self.standard_errors[:, j]
            if len(self.sources) > 1:
                named = np.asarray(self.sources, dtype=object)[self.source[:, j]]
                about[f"{name} source"] = np.where(self.observed[:, j], named, "")
        return pd.concat([frame, scores, pd.DataFrame(about, index=frame.index)], axis=1)

    def to_csv(self, path: str | Path) -> None:
        """Writes the table so that :func:`load_leaderboard` reads the same numbers back.

        Floors are not part of the file. An interrupted call leaves an old file as it was.

        Args:
            path: file to write.

        Raises:
            OutputError: the file cannot be written.
        """
        write_text(path, self.to_csv_text())

    def to_csv_text(self) -> str:
        """Returns the table as CSV, floats as the shortest text that reads back the same."""
        frame = self.to_frame()
        rows = frame.itertuples(index=False, name=None)
        return csv_text([frame.columns, *([cell_text(value) for value in row] for row in rows)])

    def _mask(self, mask: np.ndarray, name: str) -> np.ndarray:
        mask = np.asarray(mask)
        if mask.dtype != np.bool_ or mask.shape != (len(self.models),):
            raise ValueError(
                f"{name} must be one boolean per model, shape ({len(self.models)},);"
                f" got {mask.dtype} of shape {mask.shape}"
            )
        return mask


def load_leaderboard(
    path: str | Path | None = None,
    *,
    floors: str | Path | None = None,
    benchmarks: Sequence[str] | None = None,
    corrected: bool = True,
) -> Leaderboard:
    """Loads a table of models and scores.

    Columns are found under several spellings (``#Params (B)``, ``Model Family``...). ``lineage``
    (default: the family), ``post_trained`` (default: false, with a warning), ``active_params_b``
    and ``released`` may be missing; every column that is not one of :data:`COLUMNS` is a
    benchmark. Chance floors come from the floors file, else from the bundled table of benchmarks,
    else they are 0 with a warning.

    Args:
        path: CSV or parquet (``.parquet``, ``.pq``) file; None for the bundled table, whose
            models without a public token count are left out, with a warning that names them.
        floors: table of chance floors, see :func:`load_floors`.
        benchmarks: names of the benchmarks to keep, in this order; None keeps all.
        corrected: False (bundled table only) for sizes, tokens, families and lineages exactly as
            published, faults included.

    Raises:
        TableError: a table cannot be read or used.
        ValueError: ``corrected=False`` together with a path.
    """
    if path is None:
        table = read_bundled("leaderboard.csv")
        if not corrected:
            table = _undo_corrections(table)
    elif corrected:
        table = read_table(Path(path))
    else:
        raise ValueError("corrected=False undoes corrections of the bundled table: give no path")
    leaderboard = _leaderboard(table, floors, tokens_may_be_missing=path is None)
    return leaderboard if benchmarks is None else leaderboard.select_benchmarks(benchmarks)


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
    found = _leaderboard(merged, own, tokens_may_be_missing=False)
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


def load_observational() -> Leaderboard:
    """The bundled table of base and chat models with the benchmarks of Ruan et al.

    Source: Ruan, Maddison and Hashimoto, arXiv 2405.10938; sizes, tokens and families are those of
    the bundled leaderboard where it has the model. Models whose size or tokens nobody made public
    are left out, with a warning; :func:`observational_frame` has them.
    """
    table = read_bundled("observational.csv")
    size, model = table.header.index("params_b"), table.header.index("model")
    public = [row for row, cells in enumerate(table.rows) if cells[size]]
    kept = replace(
        table,
        rows=[table.rows[row] for row in public],
        numbers=[table.numbers[row] for row in public],
    )
    found = _leaderboard(kept, OBSERVATIONAL_FLOORS, tokens_may_be_missing=True)
    closed = sorted(cells[model] for cells in table.rows if not cells[size])
    warning = f"{table.source}: left out, since their sizes are not public: {', '.join(closed)}"
    return replace(found, warnings=(warning, *found.warnings))


def observational_frame() -> pd.DataFrame:
    """Benchmarks of all models of that table, those of unknown size too.

    Returns:
        Index ``model``; a column per benchmark, fractions, NaN where not measured.
    """
    table = read_bundled("observational.csv")
    frame = pd.DataFrame(table.rows, columns=table.header).set_index("model")
    frame = frame.loc[:, list(table.header)[table.header.index("released") + 1 :]]
    return frame.replace("", "nan").astype(float)


def bundled_mixtures() -> pd.DataFrame:
    """Bundled mixtures of experts whose token counts are public, beside the bundled table.

    Returns:
        A row per model: :data:`COLUMNS`, then a column per benchmark, fractions, NaN where not
        evaluated; what a frame of a :class:`Leaderboard` has.
    """
    table = read_bundled("mixtures.csv")
    frame = pd.DataFrame(table.rows, columns=table.header)
    frame = frame[[*COLUMNS, *bundled_floors()]]
    numbers = ["params_b", "active_params_b", "tokens_t", *bundled_floors()]
    frame[numbers] = frame[numbers].replace("", "nan").astype(float)
    frame["post_trained"] = frame["post_trained"] == "True"
    return frame


OBSERVATIONAL_FLOORS = {
    "XWinograd": 0.5,
    "HumanEval": 0.0,
    "MT-Bench grade": 0.1,
    "Chatbot Arena": 0.0,
}
"""Chance floors of what only the observational table has: two choices; a free answer; the lowest
grade of ten; the worst model's Elo, from which the table's share counts.
"""


def load_floors(path: str | Path, benchmarks: Sequence[str]) -> dict[str, float]:
    """Loads chance floors from a table with the columns ``benchmark`` and ``floor``.

    Other columns are ignored. The table need not have all benchmarks.

    Args:
        path: CSV or parquet file.
        benchmarks: the benchmarks of the training table.

    Returns:
        benchmark -> floor, a fraction in [0, 1).

    Raises:
        TableError: the table cannot be read, has a benchmark that the training table has not, has
            one twice, or a floor outside [0, 1).
    """
    table = read_table(Path(path))
    positions: dict[str, int] = {}
    for position, header in enumerate(table.header):
        key = spelling(header)
        if key not in ("benchmark", "floor"):
            continue
        if key in positions:
            raise table.error(f"two columns mean {key!r}: keep one", column=header)
        positions[key] = position
    for name in ("benchmark", "floor"):
        if name not in positions:
            raise table.error(
                f"column {name!r} is missing: a table of floors has the columns benchmark and floor"
            )
    floors: dict[str, float] = {}
    for row, cells in enumerate(table.rows):
        name = cells[positions["benchmark"]]
        cell = {"row": row, "column": positions["floor"]}
        found = match_benchmark(name, benchmarks)
        if found is None:
            raise table.error(
                f"no such benchmark in the training table{did_you_mean(name, benchmarks)}",
                row=row,
                column=positions["benchmark"],
            )
        if found in floors:
            raise table.error(
                f"benchmark {quoted(found)} has a floor already: keep one row for it",
                row=row,
                column=positions["benchmark"],
            )
        floor = number_of(table, row, positions["floor"])
        if math.isnan(floor):
            raise table.error("floor is empty: write a fraction in [0, 1)", **cell)
        if not 0 <= floor < 1:
            raise table.error(
                "floors are fractions in [0, 1): write 0.25 for four choices, 0 for none", **cell
            )
        floors[found] = floor
    return floors


def _index_families(
    families: Sequence[str], lineages: Mapping[str, str], post_trained: Mapping[str, bool]
) -> dict[str, Any]:
    """Turns names into positions: the fields of a leaderboard that concern families.

    Args:
        families: ``(model,)`` names.
        lineages: family -> lineage.
        post_trained: family -> whether it is post-trained.
    """
    names = sorted(set(families))
    lineage_names = sorted({lineages[name] for name in names})
    position = {name: f for f, name in enumerate(names)}
    lineage_position = {name: i for i, name in enumerate(lineage_names)}
    return {
        "families": tuple(names),
        "lineages": tuple(lineage_names),
        "family": np.array([position[name] for name in families], dtype=np.int64),
        "lineage_of_family": np.array(
            [lineage_position[lineages[name]] for name in names], dtype=np.int64
        ),
        "post_trained_of_family": np.array(
            [float(post_trained[name]) for name in names], dtype=np.float64
        ),
    }


def _leaderboard(
    table: RawTable,
    floors: str | Path | Mapping[str, float] | None,
    *,
    tokens_may_be_missing: bool,
) -> Leaderboard:
    columns, benchmark_columns, about, warnings = sort_columns(table)
    parsed = parse_rows(table, columns, tokens_may_be_missing=tokens_may_be_missing)
    warnings += parsed.warnings
    if not benchmark_columns:
        raise table.error("a table without scores: add a column per benchmark")
    scores = np.array(
        [
            [_score(table, row, position) for position in benchmark_columns.values()]
            for row in range(len(table.rows))
        ]
    )
    if np.isnan(scores).all():
        raise table.error("a table without scores: fill in the columns of the benchmarks")

    lineages = agree_by_family(table, "lineage", parsed.families, parsed.lineages, {})
    lineages = {family: lineages.get(family, family) for family in parsed.families}
    post_trained = agree_by_family(table, "post_trained", parsed.families, parsed.post_trained, {})
    silent = sorted(set(parsed.families) - post_trained.keys())
    if silent:
        warnings.append(
            f"{table.source}: post_trained is not given and taken as false for"
            f" {'all families' if not post_trained else 'the families ' + ', '.join(silent)}"
        )
    post_trained |= dict.fromkeys(silent, False)

    tokens_t = np.array(parsed.tokens_t)
    by_name = sorted(range(len(parsed.models)), key=parsed.models.__getitem__)
    kept = [row for row in by_name if not np.isnan(tokens_t[row])]
    left_out = [parsed.models[row] for row in by_name if np.isnan(tokens_t[row])]
    if left_out:
        warnings.append(
            f"{table.source}: left out, since their token counts are not public:"
            f" {', '.join(left_out)}"
        )
    benchmarks = tuple(benchmark_columns)
    for j, name in enumerate(benchmarks):
        if np.isnan(scores[kept, j]).all():
            warnings.append(f"{table.source}: no model has a score on {name}")
    scoreless = [parsed.models[row] for row in kept if np.isnan(scores[row]).all()]
    if scoreless:
        warnings.append(f"{table.source}: models without a score: {', '.join(scoreless)}")
    benchmark_floors, floor_warnings = _floors(table.source, floors, benchmarks)
    errors, items = _sampling(table, scores, benchmark_columns, about)
    source, sources, source_warnings = _sources(table, scores, benchmark_columns, about["source"])
    return Leaderboard(
        models=tuple(parsed.models[row] for row in kept),
        **_index_families([parsed.families[row] for row in kept], lineages, post_trained),
        benchmarks=benchmarks,
        params_b=np.array(parsed.params_b)[kept],
        active_params_b=np.array(parsed.active_params_b)[kept],
        tokens_t=tokens_t[kept],
        released=tuple(parsed.released[row] for row in kept),
        scores=scores[kept],
        floors=benchmark_floors,
        standard_errors=errors[kept],
        items=items,
        source=source[kept],
        sources=sources,
        warnings=tuple(warnings + floor_warnings + source_warnings),
    )


_MOST_SOURCES = 8  # more are no leaderboards but notes


def error_of_share(share: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Standard error of a share of independent items, sqrt(p (1 - p) / n); NaN where n is.

    None right and all right are as uncertain as one item from them.
    """
    p = np.clip(share, 1.0 / (items + 2.0), (items + 1.0) / (items + 2.0))
    return np.sqrt(p * (1.0 - p) / items)


def _sampling(
    table: RawTable,
    scores: np.ndarray,
    benchmarks: Mapping[str, int],
    about: Mapping[str, Mapping[str, int]],
) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors ``(model, benchmark)`` as given or by numbers of items, and ``items``."""
    errors = np.full(scores.shape, np.nan)
    items = np.full(len(benchmarks), np.nan)
    for j, name in enumerate(benchmarks):
        for kind in ("items", "se"):
            if name not in about[kind]:
                continue
            for row in np.flatnonzero(np.isfinite(scores[:, j])):
                given = _sampling_cell(table, int(row), about[kind][name], kind)
                if kind == "items":
                    given = float(error_of_share(scores[row, j], np.asarray(given)))
                errors[row, j] = errors[row, j] if math.isnan(given) else given
        known = np.isfinite(errors[:, j]) & (scores[:, j] > 0.0) & (scores[:, j] < 1.0)
        # A few scores with errors say nothing of the others, whose noise is learnt as a whole.
        if 2 * np.isfinite(errors[:, j]).sum() > np.isfinite(scores[:, j]).sum() and known.any():
            # n = p (1 - p) / se^2
            p, error = scores[known, j], errors[known, j]
            items[j] = np.median(p * (1.0 - p) / error**2)
    return errors, items


def _sampling_cell(table: RawTable, row: int, position: int, kind: str) -> float:
    """A standard error or number of items; NaN where it is empty, or an error of zero."""
    given = number_of(table, row, position)
    if kind == "items" and given < 1.0:
        raise table.error("a score is a mean of at least one item", row=row, column=position)
    if kind == "se" and not (math.isnan(given) or 0.0 <= given < 1.0):
        raise table.error(
            "standard errors are fractions, like scores; did you mean percent? divide by 100",
            row=row,
            column=position,
        )
    # Where no item or every item was right, programs write 0, and mean that they do not know.
    return given if given > 0.0 else math.nan


def _sources(
    table: RawTable,
    scores: np.ndarray,
    benchmarks: Mapping[str, int],
    columns: Mapping[str, int],
) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """Where each score is from, ``(model, benchmark)``, the names, and warnings."""
    named = np.full(scores.shape, "", dtype=object)
    for j, name in enumerate(benchmarks):
        if name in columns:
            named[:, j] = [cells[columns[name]] for cells in table.rows]
    seen = np.isfinite(scores)
    names = sorted(set(named[seen]))
    if len(names) > _MOST_SOURCES:
        warning = (
            f"{table.source}: {len(names)} different sources of scores are more than can differ by"
            f" an offset each: ignored (at most {_MOST_SOURCES})"
        )
        return np.zeros(scores.shape, dtype=np.int64), ("",), [warning]
    place = {name: at for at, name in enumerate(names)}
    found = np.array([[place.get(name, 0) for name in row] for row in named], dtype=np.int64)
    return np.where(seen, found, 0), tuple(names), []


def _score(table: RawTable, row: int, position: int) -> float:
    score = number_of(table, row, position)
    if score > 1:
        what = "did you mean fractions? divide percent by 100"
        header = table.header[position]
        if match_benchmark(header, list(bundled_floors())) is None:
            what += "; a column that is no benchmark must go" + did_you_mean(header, COLUMNS)
        raise table.error(f"scores are fractions in [0, 1]; {what}", row=row, column=position)
    if score < 0:
        raise table.error(
            "scores are fractions in [0, 1]; write the raw score, not one that is relative to"
            " chance",
            row=row,
            column=position,
        )
    return score


def _floors(
    source: str, given: str | Path | Mapping[str, float] | None, benchmarks: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Returns the ``(benchmark,)`` floors and warnings about those that are assumed."""
    if isinstance(given, str | Path):
        given = load_floors(given, benchmarks)
    floors = {**bundled_floors(), **(given or {})}
    unknown = [name for name in benchmarks if name not in floors]
    warnings = []
    if unknown:
        warnings.append(
            f"{source}: chance floor 0 is assumed for {', '.join(unknown)}: give a table of floors"
        )
    return np.array([floors.get(name, 0.0) for name in benchmarks]), warnings


def _undo_corrections(table: RawTable) -> RawTable:
    """Puts the published values back into the bundled table."""
    row_of = {cells[table.header.index("model")]: row for row, cells in enumerate(table.rows)}
    rows = [list(cells) for cells in table.rows]
    corrections = read_bundled("corrections.csv")
    for cells in corrections.rows:
        entry = dict(zip(corrections.header, cells, strict=True))
        rows[row_of[entry["model"]]][table.header.index(entry["column"])] = entry["published"]
    return replace(table, rows=rows)
