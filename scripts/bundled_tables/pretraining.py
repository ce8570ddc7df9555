"""Write the bundled registry of token counts."""

from __future__ import annotations

from pathlib import Path

from .leaderboard import CARD_COLUMNS, CARDS
from .records import SCRIPTS, BuildError, read_records, read_rows

PRETRAINING_CARDS = SCRIPTS / "pretraining_cards.csv"
PRETRAINING_COLUMNS = ("family", "lineage", "keys", "params_b", "tokens_t", "source")


def build_pretraining(
    leaderboard: list[list[str]], models_path: Path = CARDS, cards_path: Path = PRETRAINING_CARDS
) -> list[list[str]]:
    """Builds the registry of token counts by lineage.

    Args:
        leaderboard: the corrected table, the header first.
        models_path: ``model_cards.csv``, for the sources of its token counts.
        cards_path: words in names by which a family's pretraining is known; a row with a family is
            about one of the leaderboard's base families, whose sizes and tokens it takes.

    Returns:
        rows of cells, the header first: lineage, keys, size, tokens, source.

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
    cells = [["lineage", "keys", "params_b", "tokens_t", "source"]]
    carded = set()
    for card in read_records(cards_path, PRETRAINING_COLUMNS):
        family = card["family"]
        if bool(family) == bool(card["lineage"]):
            raise BuildError(f"{cards_path}: keys {card['keys']!r}: give a family or a lineage")
        if not family:
            cells.append([card[column] for column in PRETRAINING_COLUMNS[1:]])
            continue
        own = [row for row in base if row["family"] == family]
        if not own:
            raise BuildError(f"{cards_path}: no base family {family!r} with tokens")
        carded.add(family)
        for row in sorted(own, key=lambda row: float(row["params_b"])):
            source = sources[row["model"]]
            cells.append([row["lineage"], card["keys"], row["params_b"], row["tokens_t"], source])
    silent = sorted({row["family"] for row in base} - carded - {"yi-200k"})  # named as yi is
    if silent:
        raise BuildError(f"{cards_path}: no card for the families {', '.join(silent)}")
    return cells
