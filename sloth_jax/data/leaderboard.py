"""The table: models with their sizes, tokens, families and scores, as arrays with labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sloth_jax.data.schema import bundled_floors, match_benchmark
from sloth_jax.data.tables import TableError, cell_text
from sloth_jax.files import csv_text, write_text
from sloth_jax.showing import Shown
from sloth_jax.wording import did_you_mean, quoted


@dataclass(frozen=True, eq=False, repr=False)
class Leaderboard(Shown):
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
        params_b: ``(model,)`` parameters in billions; of a mixture of experts, all of them; NaN
            where not known.
        active_params_b: ``(model,)`` parameters active per token in billions; NaN where dense.
        tokens_t: ``(model,)`` pretraining tokens in trillions; NaN where not known.
        released: ``(model,)`` day or month of release as text; empty where not known.
        scores: ``(model, benchmark)`` fractions in [0, 1]; NaN where not evaluated.
        floors: ``(benchmark,)`` chance floors as fractions in [0, 1).
        standard_errors: ``(model, benchmark)`` of the scores, fractions; NaN where not given.
        items: ``(benchmark,)`` number of independent items that a score is the mean of; NaN where
            not known, or known of half of the scores or fewer.
        source: ``(model, benchmark)`` position in ``sources`` of where each score is from.
        sources: names of leaderboards or evaluations, sorted; ``("",)`` where none is named.
        run: ``(model,)`` name of the training run that a model is a checkpoint of; empty where it
            is of none; ``()`` where none is.
        warnings: what was assumed or left out while loading, one sentence each.
        group_of_benchmark: ``(benchmark,)`` name of the suite whose part each is, empty where it
            stands alone; ``()`` where all do.
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
    run: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    group_of_benchmark: tuple[str, ...] = ()

    def _line(self) -> str:
        given = self.observed
        return (
            f"{len(self.models)} models of {len(self.families)} families in {len(self.lineages)} "
            f"lineages, {len(self.benchmarks)} benchmarks, {given.sum()} scores "
            f"({given.mean():.0%} of all)"
        )

    def _rows(self) -> pd.DataFrame:
        return self.to_frame()

    @property
    def observed(self) -> np.ndarray:
        """``(model, benchmark)`` True where the model was evaluated on the benchmark."""
        return ~np.isnan(self.scores)

    @property
    def known(self) -> np.ndarray:
        """``(model,)`` True where both the size and the tokens of the model are known."""
        return np.isfinite(self.params_b) & np.isfinite(self.tokens_t)

    def lineage_by_family(self) -> dict[str, str]:
        """Returns family -> lineage, by name."""
        names = [self.lineages[lineage] for lineage in self.lineage_of_family]
        return dict(zip(self.families, names, strict=True))

    def post_trained_by_family(self) -> dict[str, bool]:
        """Returns family -> whether it is post-trained."""
        post_trained = (self.post_trained_of_family > 0.5).tolist()
        return dict(zip(self.families, post_trained, strict=True))

    def sampling_error(self) -> np.ndarray:
        """Standard error of each score, ``(model, benchmark)`` fractions; 0 where not known.

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
        families = [self.families[f] for f in self.family[rows]]
        return replace(
            self,
            models=tuple(self.models[m] for m in rows),
            **index_families(families, self.lineage_by_family(), self.post_trained_by_family()),
            params_b=self.params_b[rows],
            active_params_b=self.active_params_b[rows],
            tokens_t=self.tokens_t[rows],
            released=tuple(self.released[m] for m in rows),
            scores=self.scores[rows],
            standard_errors=self.standard_errors[rows],
            source=self.source[rows],
            run=runs_of(self.run[m] for m in rows if self.run),
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
            group_of_benchmark=tuple(self.group_of_benchmark[j] for j in positions)
            if self.group_of_benchmark
            else (),
        )

    def groups(self) -> dict[str, tuple[int, ...]]:
        """Returns group -> positions of its benchmarks, for groups of two or more."""
        parts: dict[str, tuple[int, ...]] = {}
        for j, name in enumerate(self.group_of_benchmark):
            parts[name] = (*parts.get(name, ()), j)
        return {name: found for name, found in parts.items() if name and len(found) > 1}

    def to_frame(self) -> pd.DataFrame:
        """Returns a data frame: :data:`COLUMNS`, then a column per benchmark.

        Where they are known, columns of the scores' standard errors (``MMLU se``) and sources
        (``MMLU source``) follow, groups (``Mine group``), and floors (``Mine floor``) that are not
        the usual ones.
        :func:`load_leaderboard` makes the same table of it. (Of a :meth:`subset` it finds numbers
        of items and sources anew, from the scores that are left.)
        """
        frame = pd.DataFrame(
            {
                "model": list(self.models),
                "family": [self.families[f] for f in self.family],
                "lineage": [self.lineages[i] for i in self.lineage_of_family[self.family]],
                "post_trained": self.post_trained_of_family[self.family] > 0.5,
                "params_b": self.params_b,
                "active_params_b": self.active_params_b,
                "tokens_t": self.tokens_t,
                "released": list(self.released),
            }
        )
        if self.run:
            frame["run"] = list(self.run)
        scores = pd.DataFrame(self.scores, columns=list(self.benchmarks))
        about: dict[str, Any] = {}
        for j, name in enumerate(self.benchmarks):
            if np.isfinite(self.standard_errors[:, j]).any():
                about[f"{name} se"] = self.standard_errors[:, j]
            if self.sources != ("",):
                named = np.asarray(self.sources, dtype=object)[self.source[:, j]]
                about[f"{name} source"] = np.where(self.observed[:, j], named, "")
            if self.floors[j] != bundled_floors().get(name, 0.0):
                about[f"{name} floor"] = self.floors[j]
            if self.group_of_benchmark and self.group_of_benchmark[j]:
                about[f"{name} group"] = self.group_of_benchmark[j]
        return pd.concat([frame, scores, pd.DataFrame(about, index=frame.index)], axis=1)

    def to_csv(self, path: str | Path) -> None:
        """Writes the table so that :func:`load_leaderboard` reads the same numbers back.

        An interrupted call leaves an old file as it was.

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


def index_families(
    families: Sequence[str], lineages: Mapping[str, str], post_trained: Mapping[str, bool]
) -> dict[str, Any]:
    """The fields about families, from those of the models and what is known of each."""
    names = sorted(set(families))
    lineage_names = sorted({lineages[name] for name in names})
    family_at = {name: f for f, name in enumerate(names)}
    lineage_at = {name: i for i, name in enumerate(lineage_names)}
    return {
        "families": tuple(names),
        "lineages": tuple(lineage_names),
        "family": np.array([family_at[name] for name in families], dtype=np.int64),
        "lineage_of_family": np.array(
            [lineage_at[lineages[name]] for name in names], dtype=np.int64
        ),
        "post_trained_of_family": np.array([float(post_trained[name]) for name in names]),
    }


def runs_of(names: Iterable[str]) -> tuple[str, ...]:
    """Runs of models by name, ``(model,)``; ``()`` where none is named."""
    found = tuple(names)
    return found if any(found) else ()


def error_of_share(share: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Standard error of a share of independent items, sqrt(p (1 - p) / n); NaN where n is.

    None right and all right are as uncertain as one item from them.
    """
    p = np.clip(share, 1.0 / (items + 2.0), (items + 1.0) / (items + 2.0))
    return np.sqrt(p * (1.0 - p) / items)
