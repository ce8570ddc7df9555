"""What a reader made of a source: rows kept, rows rejected, values read off names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from sloth_jax.data.schema import ABOUT, COLUMNS, bundled_floors
from sloth_jax.errors import InputError
from sloth_jax.model_names import plain_name
from sloth_jax.wording import one_line

FORMATS = ("lm-eval", "open-llm-leaderboard-v1", "open-llm-leaderboard-v2", "table")
LM_EVAL, V1, V2, TABLE = FORMATS
Facts = Mapping[str, Mapping[str, tuple[Any, str]]]
"""What a source cannot know: model in small letters -> column -> value, and where it stands."""
KINDS = ("merged", "moe", "flagged", "adapters")
"""Kinds of rows in exports of leaderboards that may be left out on request."""


@dataclass(eq=False)
class Imported:
    """What a reader made of a source.

    Attributes:
        source: file or folder.
        format: one of :data:`FORMATS`.
        rows: canonical rows: the columns of a table, then benchmarks, fractions, and columns about
            scores (``MMLU se``, ``MMLU items``, ``MMLU source``).
        rejected: what was not kept: ``source, row, model, reason``.
        unknown: models that were kept without their size or tokens: the same, and what is known of
            them, in the columns of a facts file.
        guessed: what was not given but read off a name: ``model, column, value, because``.
        notes: what was mapped, assumed or ignored, a sentence each.
        rows_in: rows, or runs, that the source holds.
        facts: what was given beside the source.
        facts_used: the models of those that the source has.
    """

    source: str
    format: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    unknown: list[dict[str, Any]] = field(default_factory=list)
    guessed: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows_in: int = 0
    facts: Facts = field(default_factory=dict)
    facts_used: set[str] = field(default_factory=set)

    @property
    def frame(self) -> pd.DataFrame:
        """The canonical table, sorted by model; benchmarks in the order of the bundled table.

        Columns about scores follow.
        """
        found = dict.fromkeys(name for row in self.rows for name in row if name not in COLUMNS)
        known = [name for name in bundled_floors() if name in found]
        benchmarks = [*known, *(name for name in found if name not in known)]
        about = {f"{name} {kind}" for name in found for kind in ABOUT}
        benchmarks.sort(key=lambda name: name in about)
        frame = pd.DataFrame(self.rows, columns=[*COLUMNS, *benchmarks])
        return frame.sort_values("model", kind="stable", ignore_index=True)

    def reasons(self, rows: Sequence[Mapping[str, Any]] | None = None) -> dict[str, int]:
        """Reason -> how many rows were rejected for it, or of other rows, the commonest first."""
        rows = self.rejected if rows is None else rows
        # what is in quotes or brackets differs from row to row
        kinds = [re.sub(r"[:(].*", "", row["reason"]).strip() for row in rows]
        return {str(kind): int(count) for kind, count in pd.Series(kinds).value_counts().items()}

    def reject(self, row: int | str, model: str, reason: str) -> None:
        """Note that a row was not kept."""
        self.rejected.append({"source": self.source, "row": row, "model": model, "reason": reason})

    def facts_of(self, model: str) -> Mapping[str, tuple[Any, str]]:
        """What was given of a model, by its whole name or that without its owner."""
        for name in (model.lower(), plain_name(model)):
            if name in self.facts:
                self.facts_used.add(name)
                return self.facts[name]
        return {}

    def guess(self, model: str, column: str, value: Any, because: str) -> Any:
        """Note that a value comes from a name, and return it."""
        self.guessed.append({"model": model, "column": column, "value": value, "because": because})
        return value


class NothingKept(InputError):
    """No row of a source could be used; ``found`` has the reasons."""

    def __init__(self, found: Imported) -> None:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in found.reasons().items())
        first = f"; for example, {found.rejected[0]['reason']}" if found.rejected else ""
        what = f"none of {found.rows_in} rows could be kept: {reasons or 'there are none'}{first}"
        super().__init__(one_line(f"{found.source}: {what}"))
        self.found = found
