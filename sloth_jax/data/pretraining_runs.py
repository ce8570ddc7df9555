"""Public token counts of pretraining runs, found by a model's name.

Built by ``scripts/build_dataset.py`` from model cards and papers, each with its source. Names
follow conventions only, so what is found here is a suggestion and is listed as one.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from sloth_jax.data.model_names import family_in_name
from sloth_jax.data.tables import read_bundled

_SIZE_TOLERANCE = 0.3  # of a registered size, relative: 6.7 and 7 are one model, 7 and 9 are not


class Pretraining(NamedTuple):
    """A pretraining run.

    Attributes:
        lineage: its name.
        tokens_t: training tokens, trillions; None where they are not public.
        source: where they stand.
    """

    lineage: str
    tokens_t: float | None
    source: str


class _Entry(NamedTuple):
    pattern: re.Pattern[str]
    params_b: float | None
    run: Pretraining


def _key_pattern(key: str) -> re.Pattern[str]:
    # "yi" is in "yi-chat" and not in "tiny", "llama-3" not in "llama-3.1"
    text = re.escape(key).replace(r"\-", "[-_ .]?")
    return re.compile(rf"(?<![a-z0-9]){text}(?![a-z0-9]|\.\d)")


@cache
def _entries() -> tuple[_Entry, ...]:
    found = []
    for row in read_bundled("pretraining.csv").records():
        tokens = float(row["tokens_t"]) if row["tokens_t"] else None
        size = float(row["params_b"]) if row["params_b"] else None
        run = Pretraining(row["lineage"], tokens, row["source"])
        found += [_Entry(_key_pattern(key), size, run) for key in row["keys"].split()]
    return tuple(found)


def pretraining_of(name: str, params_b: float) -> Pretraining | None:
    """The pretraining run that a model descends from, by its name.

    Args:
        name: ``owner/model`` or ``model``.
        params_b: its size, billions, which distinguishes the runs of a lineage.

    Returns:
        The run; with tokens only if one of about this size is registered. None where the name
        holds no registered lineage, or two that are equally long, as names of merges do.
    """
    text = family_in_name(name)  # a size may stand between the words of a key
    found = [(entry, entry.pattern.search(text)) for entry in _entries()]
    lengths = [(entry, len(match[0])) for entry, match in found if match]
    longest = max((length for _, length in lengths), default=0)
    matches = [entry for entry, length in lengths if length == longest]
    if len({entry.run.lineage for entry in matches}) != 1:
        return None

    def distance(entry: _Entry) -> float:
        return abs((entry.params_b or params_b) / params_b - 1.0)

    nearest = min(matches, key=distance)
    if distance(nearest) > _SIZE_TOLERANCE:
        return Pretraining(nearest.run.lineage, None, "no run of this size is registered")
    return nearest.run
