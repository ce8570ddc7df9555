"""Facts of models that a source of scores cannot know, such as training tokens, from a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sloth_jax.data.importing.result import Facts
from sloth_jax.data.rows import facts_given
from sloth_jax.data.schema import read_header, with_facts
from sloth_jax.data.tables import read_table


def read_facts(paths: Sequence[str | Path | pd.DataFrame]) -> Facts:
    """Reads tables of facts: the columns of a table of models, without scores.

    Only ``model`` is needed, and empty cells are not known. Other columns are ignored, so that the
    rejected rows of an import can be filled in and handed back.

    Raises:
        TableError: a cell cannot be used, or two rows of a model contradict each other.
    """
    found: dict[str, dict[str, Any]] = {}
    for table in (with_facts(read_table(path)) for path in paths):
        columns = read_header(table).facts
        for row, cells in enumerate(table.rows):
            if not any(cells[position] for position in columns.values()):
                continue  # of a file without a model's name
            facts = facts_given(table, row, columns)
            known = found.setdefault(facts.pop("model").lower(), {})
            for column, value in facts.items():
                if known.setdefault(column, value) != value:
                    what = f"{known[column]} stands before for this model: keep one"
                    raise table.error(what, row, columns[column])
    return found
