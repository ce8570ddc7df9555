"""Write the bundled table of mixtures of experts."""

from __future__ import annotations

from pathlib import Path

from .benchmarks import BENCHMARKS
from .leaderboard import TABLE_COLUMNS
from .records import DECIMALS, SCRIPTS, BuildError, number, read_records, read_rows

MIXTURE_CARDS = SCRIPTS / "mixture_cards.csv"
MIXTURE_SOURCES = ("params_source", "tokens_source", "note")
# Benchmarks of the second leaderboard's export are spelt with this ending where they are fractions.
RAW = " Raw"


def build_mixtures(v1: Path, v2: Path, cards_path: Path = MIXTURE_CARDS) -> list[list[str]]:
    """Builds the table of mixtures of experts with public token counts.

    Args:
        v1: export of the first leaderboard, percent.
        v2: export of the second leaderboard, with raw fractions.
        cards_path: what their developers state.

    Returns:
        rows of cells, the header first: the columns of a table, scores as fractions, sources.

    Raises:
        BuildError: a file cannot be used, a model is in neither export, or no fraction.
    """
    names = {
        board: [b.name for b in BENCHMARKS if b.leaderboard == board] for board in ("v1", "v2")
    }
    exports = {
        "v1": (v1, {name: (name, 100.0) for name in names["v1"]}),
        "v2": (v2, {name: (name + RAW, 1.0) for name in names["v2"]}),
    }
    found: dict[str, dict[str, str]] = {}
    for path, columns in exports.values():
        for row in read_records(path, ["Model", *(column for column, _ in columns.values())]):
            scores = found.setdefault(row["Model"], {})
            for benchmark, (column, unit) in columns.items():
                try:
                    score = float(row[column]) / unit
                except ValueError:
                    continue  # not evaluated
                if not 0 <= score <= 1:
                    raise BuildError(f"{path}: {row['Model']}: {column} is {row[column]!r}")
                # Of repeated submissions the first stands: exports have the highest average on top.
                scores.setdefault(benchmark, number(repr(round(score, DECIMALS))))
    benchmarks = [*names["v1"], *names["v2"]]
    cells = [[*TABLE_COLUMNS, *benchmarks, *MIXTURE_SOURCES]]
    needed = ["model", "published_name", *TABLE_COLUMNS[1:], *MIXTURE_SOURCES]
    for model, card in sorted(read_rows(cards_path, needed).items()):
        scores = found.get(card["published_name"], {})
        if not scores:
            raise BuildError(f"{cards_path}: {model}: in neither export, or without a score")
        cells.append(
            [
                *(model if column == "model" else card[column] for column in TABLE_COLUMNS),
                *(scores.get(benchmark, "") for benchmark in benchmarks),
                *(card[column] for column in MIXTURE_SOURCES),
            ]
        )
    return cells
