"""Write the bundled registry of token counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from sloth_jax.model_names import size_in_name

from .leaderboard import CARD_COLUMNS, CARDS
from .records import SCRIPTS, BuildError, read_records, read_rows

PRETRAINING_CARDS = SCRIPTS / "pretraining_cards.csv"
REGISTRY = ("lineage", "keys", "shared", "without", "sizes_b", "released", "tokens_t", "source")
PRETRAINING_COLUMNS = ("family", *REGISTRY)


def build_pretraining(
    leaderboard: list[list[str]], models_path: Path = CARDS, cards_path: Path = PRETRAINING_CARDS
) -> list[list[str]]:
    """Builds the registry of token counts by lineage.

    Args:
        leaderboard: the corrected table, the header first.
        models_path: ``model_cards.csv``, for the sources of its token counts.
        cards_path: words in names by which a family's pretraining is known; a row with a family is
            about one of the leaderboard's base families, whose sizes, dates and tokens it takes.
            Its own sizes are other counts of the same models, with or without embeddings.
            ``keys`` name one lineage, ``shared`` keys several; ``without`` are words, as regular
            expressions, of models that are not of the run.

    Returns:
        rows of cells, the header first: :data:`REGISTRY`.

    Raises:
        BuildError: a card has a family that the leaderboard does not have, or both or neither of
            family and lineage; or a base family of the leaderboard with public tokens has no card.
    """
    header = leaderboard[0]
    rows = [dict(zip(header, cells, strict=True)) for cells in leaderboard[1:]]
    base = [row for row in rows if row["post_trained"] == "False" and row["tokens_t"]]
    sources = {
        name: row["tokens_source"] for name, row in read_rows(models_path, CARD_COLUMNS).items()
    }
    cells: list[list[str]] = [list(REGISTRY)]
    carded = set()
    for card in read_records(cards_path, PRETRAINING_COLUMNS):
        family = card["family"]
        if bool(family) == bool(card["lineage"]):
            raise BuildError(f"{cards_path}: keys {card['keys']!r}: give a family or a lineage")
        if not family:
            cells.append([card[column] for column in REGISTRY])
            continue
        own = [row for row in base if row["family"] == family]
        if not own:
            raise BuildError(f"{cards_path}: no base family {family!r} with tokens")
        carded.add(family)
        own.sort(key=lambda row: float(row["params_b"]))
        sizes = _sizes(own, card["sizes_b"].split())
        for row, counts in zip(own, sizes, strict=True):
            facts = {**card, **row, "sizes_b": counts, "source": sources[row["model"]]}
            cells.append([facts[column] for column in REGISTRY])
    silent = sorted({row["family"] for row in base} - carded - {"yi-200k"})  # named as yi is
    if silent:
        raise BuildError(f"{cards_path}: no card for the families {', '.join(silent)}")
    return cells


def _sizes(models: Sequence[dict[str, str]], counts: Sequence[str]) -> list[str]:
    """By model: its size, that in its name, and the counts that are nearest to it."""
    own = [float(row["params_b"]) for row in models]
    sizes = [[size] for size in own]
    for row, known in zip(models, sizes, strict=True):
        if stated := size_in_name(row["model"]):
            known.append(stated.params_b)
    for count in map(float, counts):
        nearest = min(range(len(own)), key=lambda i: abs(math.log(own[i] / count)))
        sizes[nearest].append(count)
    return [" ".join(f"{size:g}" for size in dict.fromkeys(known)) for known in sizes]
