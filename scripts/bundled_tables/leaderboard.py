"""Write the bundled leaderboard and its corrections.

Rules for the corrected values:

- ``params_b``: the published nominal size stays where it is within 10 % of the model card's count;
  otherwise the card's count is taken. A size that is no nominal size at all but a misreading of
  the name (``1b1`` read as 1) is replaced whatever the distance; its row says so in ``reason``.
- ``active_params_b``: only mixtures of experts have it, and the published table has no such column.
- ``tokens_t``: the developers' count where it differs from the published one by more than 1 %.
  Empty where the developers never made it public.
- ``family``, ``lineage``: the published columns ``Family2`` and ``Family``, but for the rows that
  ``reason`` explains.
- ``released``: from the model card. The published ``date`` is the day on which the model
  was submitted to the leaderboard, often long after its release, and is not used.

A source that ends in ``; unverified`` is where the number should stand; the two have not been
compared for this table yet. ``reason`` holds one entry ``column: why`` for each value that differs
from the published one, several separated by `` | ``. A correction without a reason stops the
script, and so does a reason without a correction.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

from .benchmarks import BENCHMARKS
from .records import DECIMALS, SCRIPTS, BuildError, number, read_rows

CARDS = SCRIPTS / "model_cards.csv"
SIZE_TOLERANCE = 0.10
TOKENS_TOLERANCE = 0.01
PUBLISHED = {  # ours -> the published table's name
    "model": "Model",
    "family": "Family2",
    "lineage": "Family",
    "post_trained": "Instruct",
    "params_b": "#Params (B)",
    "tokens_t": "Pretraining Data Size (T)",
}
CARD_COLUMNS = (
    "model", "family", "lineage", "params_b", "active_params_b", "tokens_t", "released",
    "params_source", "tokens_source", "reason",
)  # fmt: skip
TABLE_COLUMNS = (
    "model", "family", "lineage", "post_trained", "params_b", "active_params_b", "tokens_t",
    "released",
)  # fmt: skip
# Column that may be corrected -> the card's column that says where the corrected value is from.
SOURCE_OF = {
    "family": None,  # how to spell a family is read off the models' names
    "lineage": "tokens_source",
    "params_b": "params_source",
    "active_params_b": "params_source",
    "tokens_t": "tokens_source",
}


def parse_reasons(
    model: str, text: str, columns: Collection[str] = tuple(SOURCE_OF)
) -> dict[str, str]:
    """Splits ``column: why | column: why`` into a reason per column, one of ``columns``."""
    reasons: dict[str, str] = {}
    for entry in filter(None, text.split(" | ")):
        column, colon, why = entry.partition(": ")
        if not colon or column not in columns or column in reasons or not why.strip():
            raise BuildError(
                f"model {model!r}: reason {entry!r} is not 'column: why' with one of the columns"
                f" {', '.join(columns)}, each once"
            )
        reasons[column] = why.strip()
    return reasons


def correct(
    card: dict[str, str], published: dict[str, str], reasons: dict[str, str]
) -> dict[str, str]:
    """Applies the rules in the module's docstring to one model.

    Args:
        card: the model's row of ``model_cards.csv``.
        published: its published values under our column names.
        reasons: column -> why the value differs from the published one.

    Returns:
        column -> value for the columns that can be corrected.
    """
    values = {column: card[column] for column in ("family", "lineage")}
    values["active_params_b"] = number(card["active_params_b"])

    values["params_b"] = number(card["params_b"])
    size, nominal = float(card["params_b"]), float(published["params_b"])
    if abs(nominal - size) <= SIZE_TOLERANCE * size and "params_b" not in reasons:
        values["params_b"] = published["params_b"]

    values["tokens_t"] = number(card["tokens_t"])
    if card["tokens_t"] and published["tokens_t"]:
        tokens = float(published["tokens_t"])
        if math.isclose(float(card["tokens_t"]), tokens, rel_tol=TOKENS_TOLERANCE):
            values["tokens_t"] = published["tokens_t"]
    return values


def build_leaderboard(source: Path, cards_path: Path = CARDS) -> dict[str, list[list[str]]]:
    """Builds the corrected table, and the table of its corrections.

    Args:
        source: the published table.
        cards_path: the hand-kept ``model_cards.csv``.

    Returns:
        file name -> rows of cells, the header first.

    Raises:
        BuildError: the two files do not fit together.
    """
    names = [benchmark.name for benchmark in BENCHMARKS]
    table = read_rows(source, [*PUBLISHED.values(), *names])
    cards = read_rows(cards_path, CARD_COLUMNS)
    for where, absent in (
        ("model_cards.csv", sorted(table.keys() - cards.keys())),
        (source.name, sorted(cards.keys() - table.keys())),
    ):
        if absent:
            raise BuildError(f"{where} lacks {len(absent)} models: {', '.join(absent)}")

    leaderboard = [[*TABLE_COLUMNS, *names]]
    corrections = [["model", "column", "published", "corrected", "reason", "source"]]
    for model in sorted(table):
        row, card = table[model], cards[model]
        published = {ours: row[theirs] for ours, theirs in PUBLISHED.items()}
        published |= {column: number(published[column]) for column in ("params_b", "tokens_t")}
        published |= {"active_params_b": "", "released": card["released"]}
        reasons = parse_reasons(model, card["reason"])
        corrected = correct(card, published, reasons)
        corrections += describe_corrections(card, published, corrected, reasons)
        values = published | corrected
        scores = [repr(round(float(row[name]), DECIMALS)) if row[name] else "" for name in names]
        leaderboard.append([*(values[column] for column in TABLE_COLUMNS), *scores])
    return {"leaderboard.csv": leaderboard, "corrections.csv": corrections}


def describe_corrections(
    card: dict[str, str],
    published: dict[str, str],
    corrected: dict[str, str],
    reasons: dict[str, str],
) -> list[list[str]]:
    """Rows of ``corrections.csv`` for one model.

    Raises:
        BuildError: a card changes nothing where it has a reason, or something without one.
    """
    model = card["model"]
    changed = {column for column in corrected if corrected[column] != published[column]}
    if changed != reasons.keys():
        raise BuildError(
            f"model_cards.csv: model {model!r}: changed columns {sorted(changed)} but reasons for"
            f" {sorted(reasons)}"
        )
    return [
        [
            model,
            column,
            published[column],
            corrected[column],
            reasons[column],
            card[source] if source else "name of the model",
        ]
        for column, source in SOURCE_OF.items()
        if column in changed
    ]
