"""Write the bundled tables of ``sloth_jax`` from the published table and the model cards.

Reads two files:

- the published table behind the Sloth results (felipemaiapolo/sloth ``data/data_v2.csv``, MIT),
  given by ``--source``: models, scores, and sizes that a pattern read from the models' names;
- ``scripts/model_cards.csv``, kept by hand: one row per model with what its developers state.

Writes four, each sorted and byte for byte reproducible:

- ``leaderboard.csv``: one row per model, corrected;
- ``benchmarks.csv``: one row per benchmark, with its chance floor and its number of items;
- ``corrections.csv``: every value that differs from the published one, with its reason. Undoing
  them gives the published values exactly;
- ``pretraining.csv``: token counts of pretraining runs, with the words in models' names by which a
  run is known (``scripts/pretraining_cards.csv``, kept by hand).

Two more files may be given, both about the published cross-validation (Maia Polo et al., arXiv
2412.06540; derived from the lists of test families and the result arrays of felipemaiapolo/sloth,
MIT), each for one more table:

- ``--folds``: which models of which family are train or test in which fold. ``folds.csv`` keeps
  one row per tested family, because the rest follows from a rule: of the models with all scores
  the ``n_train`` smallest are for training. The script stops if a role in the source does not
  follow from it with the published sizes.
- ``--errors``: the mean absolute error of each of the authors' methods on held-out models, mean
  over a fold's models, then over folds, then over benchmarks. ``published_errors.csv`` holds the
  same numbers, one in each row, the methods in the authors' order.

Two exports of the leaderboards (CSV as their users download them) may be given too, for
``mixtures.csv``:

- ``--v1-export``, ``--v2-export``: scores of mixtures of experts whose token counts are public, as
  ``scripts/mixture_cards.csv`` lists them by hand. The first leaderboard's are percent; of the
  second, the raw columns are fractions.

A folder with the tables of ryoungj/ObsScaling may be given too, ``--observational``, for the tables
of downstream tasks; ``scripts/build_tasks.py`` says which and how.

Rules for the corrected values:

- ``params_b``: the published nominal size stays where it is within 10 % of the model card's count;
  otherwise the card's count is taken. A size that is no nominal size at all but a misreading of
  the name (``1b1`` read as 1) is replaced whatever the distance; its row says so in ``reason``.
- ``active_params_b``: only mixtures of experts have it, and the published table has no such column.
- ``tokens_t``: the developers' count where it differs from the published one by more than 1 %.
  Empty where the developers never made it public.
- ``family``, ``lineage``: the published columns ``Family2`` and ``Family``, but for the rows that
  ``reason`` explains.
- ``released``: from the model card. The published ``date`` is the day on which somebody submitted
  the model to the leaderboard, often long after its release, and is not used.

A source that ends in ``; unverified`` is where the number should stand, but nobody has compared
the two for this table yet. ``reason`` holds one entry ``column: why`` for each value that differs
from the published one, several separated by `` | ``. A correction without a reason stops the
script, and so does a reason without a correction.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from build_tasks import TaskError, build_tasks

from sloth_jax.files import OutputError, csv_text, write_text

ROOT = Path(__file__).resolve().parents[1]
CARDS = ROOT / "scripts" / "model_cards.csv"
OUT = ROOT / "sloth_jax" / "data" / "bundled"

SIZE_TOLERANCE = 0.10
TOKENS_TOLERANCE = 0.01
DECIMALS = 6  # of a score

# Name, title, leaderboard, chance floor (None: computed from the tasks below), items, source.
BENCHMARKS: tuple[tuple[str, str, str, float | None, int | None, str], ...] = (
    ("MMLU", "Massive Multitask Language Understanding", "v1", 0.25, 14042,
     "arXiv:2009.03300; floor: 4 choices"),
    ("ARC", "AI2 Reasoning Challenge (challenge set)", "v1", 0.25, 1172,
     "arXiv:1803.05457; floor: 4 choices"),
    ("HellaSwag", "HellaSwag", "v1", 0.25, 10042, "arXiv:1905.07830; floor: 4 choices"),
    ("Winogrande", "WinoGrande", "v1", 0.5, 1267, "arXiv:1907.10641; floor: 2 choices"),
    ("TruthfulQA", "TruthfulQA (mc2)", "v1", 0.31, 817,
     "arXiv:2109.07958; floor: first percentile of the leaderboard (arXiv:2412.06540)"),
    ("GSM8K", "Grade School Math 8K", "v1", 0.0, 1319, "arXiv:2110.14168; floor: free answer"),
    ("IFEval", "Instruction-Following Evaluation", "v2", 0.0, 541,
     "arXiv:2311.07911; floor: free answer"),
    ("BBH", "BIG-Bench Hard", "v2", None, None,
     "arXiv:2210.09261; floor: item-weighted mean of 1/choices over 24 tasks"),
    ("MATH Lvl 5", "MATH (level 5)", "v2", 0.0, 1324, "arXiv:2103.03874; floor: free answer"),
    ("GPQA", "Graduate-Level Google-Proof Q&A", "v2", 0.25, 1192,
     "arXiv:2311.12022; floor: 4 choices"),
    ("MUSR", "Multistep Soft Reasoning", "v2", None, None,
     "arXiv:2310.16049; floor: item-weighted mean of 1/choices over 3 tasks"),
    ("MMLU-PRO", "MMLU-Pro", "v2", 0.1, 12032, "arXiv:2406.01574; floor: 10 choices"),
)  # fmt: skip

# Items that sampling errors come from, where they are not simply counted. TruthfulQA (mc2) is a
# mean of probabilities, not of right answers. The leaderboard's GPQA is the mean over three sets of
# 448, 546 and 198 items, each part of the second: 198 items count three times, 250 twice and 98
# once, so that 1192^2 / (198 * 9 + 250 * 4 + 98) = 493 would scatter as much.
INDEPENDENT: dict[str, int | str] = {"TruthfulQA": "", "GPQA": 493}

# Benchmark -> task -> (items, choices per item).
TASKS: dict[str, dict[str, tuple[int, int]]] = {
    "BBH": {
        "boolean_expressions": (250, 2),
        "causal_judgement": (187, 2),
        "date_understanding": (250, 6),
        "disambiguation_qa": (250, 3),
        "formal_fallacies": (250, 2),
        "geometric_shapes": (250, 11),
        "hyperbaton": (250, 2),
        "logical_deduction_five_objects": (250, 5),
        "logical_deduction_seven_objects": (250, 7),
        "logical_deduction_three_objects": (250, 3),
        "movie_recommendation": (250, 6),
        "navigate": (250, 2),
        "object_counting": (250, 19),
        "penguins_in_a_table": (146, 5),
        "reasoning_about_colored_objects": (250, 18),
        "ruin_names": (250, 6),
        "salient_translation_error_detection": (250, 6),
        "snarks": (178, 2),
        "sports_understanding": (250, 2),
        "temporal_sequences": (250, 4),
        "tracking_shuffled_objects_five_objects": (250, 5),
        "tracking_shuffled_objects_seven_objects": (250, 7),
        "tracking_shuffled_objects_three_objects": (250, 3),
        "web_of_lies": (250, 2),
    },
    "MUSR": {
        "murder_mysteries": (250, 2),
        "object_placements": (256, 5),
        "team_allocation": (250, 3),
    },
}

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

FOLD_COLUMNS = ("leaderboard", "n_train", "fold", "family", "model", "role")
SETTINGS = tuple((board, n_train) for board in ("v1", "v2", "both") for n_train in (1, 2))


MIXTURE_CARDS = ROOT / "scripts" / "mixture_cards.csv"
PRETRAINING_CARDS = ROOT / "scripts" / "pretraining_cards.csv"
PRETRAINING_COLUMNS = ("family", "lineage", "keys", "params_b", "tokens_t", "source")
MIXTURE_SOURCES = ("params_source", "tokens_source", "note")
# Benchmarks of the second leaderboard's export are spelt with this ending where they are fractions.
RAW = " Raw"


class BuildError(Exception):
    """The inputs do not fit together; the message is one line."""


def chance_floor(tasks: dict[str, tuple[int, int]]) -> tuple[float, int]:
    """Returns the item-weighted mean of 1/choices (a fraction) and the number of items."""
    items = sum(n for n, _ in tasks.values())
    return sum(n / choices for n, choices in tasks.values()) / items, items


def read_records(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """Reads a CSV file.

    Args:
        path: the file.
        needed: columns that must be there.

    Raises:
        BuildError: the file cannot be read or lacks a column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"{path}: cannot be read: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [column for column in needed if column not in (reader.fieldnames or ())]
    if missing:
        raise BuildError(f"{path}: lacks the columns {', '.join(missing)}")
    return list(reader)


def read_rows(path: Path, needed: Sequence[str]) -> dict[str, dict[str, str]]:
    """Reads a CSV file into rows by the name in one column.

    Args:
        path: the file.
        needed: columns that must be there; the first of them names the row.

    Raises:
        BuildError: the file cannot be read, lacks a column, or names a row twice.
    """
    rows: dict[str, dict[str, str]] = {}
    for row in read_records(path, needed):
        name = row[needed[0]]
        if name in rows:
            raise BuildError(f"{path}: {needed[0].lower()} {name!r} stands there twice")
        rows[name] = row
    return rows


def number(text: str) -> str:
    """Returns the shortest text that reads back as the same float; empty stays empty."""
    return repr(float(text)) if text else ""


def parse_reasons(model: str, text: str) -> dict[str, str]:
    """Splits ``column: why | column: why`` into a reason per column."""
    reasons: dict[str, str] = {}
    for entry in filter(None, text.split(" | ")):
        column, colon, why = entry.partition(": ")
        if not colon or column not in SOURCE_OF or column in reasons or not why.strip():
            raise BuildError(
                f"model_cards.csv: model {model!r}: reason {entry!r} is not 'column: why' with one"
                f" of the columns {', '.join(SOURCE_OF)}, each once"
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


def build(source: Path, cards_path: Path = CARDS) -> dict[str, list[list[str]]]:
    """Builds the three tables.

    Args:
        source: the published table.
        cards_path: the hand-kept ``model_cards.csv``.

    Returns:
        file name -> rows of cells, the header first.

    Raises:
        BuildError: the two files do not fit together.
    """
    names = [benchmark[0] for benchmark in BENCHMARKS]
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
        published["active_params_b"] = ""
        reasons = parse_reasons(model, card["reason"])
        values = correct(card, published, reasons)
        changed = {column for column in values if values[column] != published[column]}
        if changed != reasons.keys():  # a card that changes nothing, or changes it silently
            raise BuildError(
                f"model_cards.csv: model {model!r}: changed columns {sorted(changed)} but reasons"
                f" for {sorted(reasons)}"
            )
        for column in SOURCE_OF:
            if column in changed:
                source_column = SOURCE_OF[column]
                cited = card[source_column] if source_column else "name of the model"
                corrections.append(
                    [model, column, published[column], values[column], reasons[column], cited]
                )
        values |= {
            "model": model,
            "post_trained": published["post_trained"],
            "released": card["released"],
        }
        scores = [repr(round(float(row[name]), DECIMALS)) if row[name] else "" for name in names]
        leaderboard.append([*(values[column] for column in TABLE_COLUMNS), *scores])

    benchmarks = [["benchmark", "title", "leaderboard", "floor", "items", "independent", "source"]]
    for name, title, board, floor, items, cited in BENCHMARKS:
        if floor is None or items is None:
            floor, items = chance_floor(TASKS[name])
        independent = INDEPENDENT.get(name, items)
        benchmarks.append(
            [name, title, board, repr(round(floor, DECIMALS)), str(items), str(independent), cited]
        )

    return {
        "leaderboard.csv": leaderboard,
        "benchmarks.csv": benchmarks,
        "corrections.csv": corrections,
    }


def build_folds(folds: Path, source: Path) -> list[list[str]]:
    """Builds the table of tested families, and checks that it says all that the folds say.

    Args:
        folds: one row per model of a tested family, with its role.
        source: the published table, for sizes and scores as they were when the folds were made.

    Returns:
        rows of cells, the header first; sorted by setting and fold, the families of a fold in the
        order of ``folds``.

    Raises:
        BuildError: a file cannot be used, or a role does not follow from the rule.
    """
    names = {board: [b[0] for b in BENCHMARKS if board in (b[2], "both")] for board, _ in SETTINGS}
    table = read_rows(source, [*PUBLISHED.values(), *names["both"]])
    tested: dict[tuple[int, int, str], dict[str, str]] = {}  # setting, fold, family -> model: role
    for row in read_records(folds, FOLD_COLUMNS):
        try:
            setting = SETTINGS.index((row["leaderboard"], int(row["n_train"])))
            fold = int(row["fold"])
        except ValueError:
            place = " ".join(row[column] for column in FOLD_COLUMNS)
            raise BuildError(f"{folds}: not a published setting and fold: {place}") from None
        roles = tested.setdefault((setting, fold, row["family"]), {})
        if row["model"] in roles:
            raise BuildError(f"{folds}: model {row['model']!r} stands in one fold twice")
        roles[row["model"]] = row["role"]

    cells = [["leaderboard", "n_train", "fold", "family"]]
    for (setting, fold, family), roles in sorted(tested.items(), key=lambda item: item[0][:2]):
        board, n_train = SETTINGS[setting]
        complete = [
            (float(row[PUBLISHED["params_b"]]), model)
            for model, row in table.items()
            if row[PUBLISHED["family"]] == family
            and row[PUBLISHED["tokens_t"]]
            and all(row[name] for name in names[board])
        ]
        expected = {
            model: "train" if rank < n_train else "test"
            for rank, (_, model) in enumerate(sorted(complete))
        }
        if roles != expected or len(expected) <= n_train:
            raise BuildError(
                f"{folds}: {board}, n_train {n_train}, fold {fold}: the roles of family {family!r}"
                f" do not follow from the sizes in {source.name}: expected {expected}, found"
                f" {roles}"
            )
        cells.append([board, str(n_train), str(fold), family])
    for setting, (board, n_train) in enumerate(SETTINGS):
        keys = [key for key in tested if key[0] == setting]
        numbers = {fold for _, fold, _ in keys}
        if not numbers or numbers != set(range(len(numbers))):
            raise BuildError(f"{folds}: {board}, n_train {n_train}: folds are not numbered 0, 1...")
        if len({family for *_, family in keys}) < len(keys):
            raise BuildError(f"{folds}: {board}, n_train {n_train}: a family is in two folds")
    return cells


def build_errors(errors: Path) -> list[list[str]]:
    """Builds the table of published errors.

    Args:
        errors: one row per method, one column per setting (``v1_n1``).

    Returns:
        rows of cells, the header first; methods in the order of ``errors``.

    Raises:
        BuildError: the file cannot be used, or an error is not a fraction.
    """
    columns = [f"{board}_n{n_train}" for board, n_train in SETTINGS]
    cells = [["method", "leaderboard", "n_train", "mean_abs_error"]]
    for method, row in read_rows(errors, ["method", *columns]).items():
        for (board, n_train), column in zip(SETTINGS, columns, strict=True):
            try:
                error = float(row[column])
            except (TypeError, ValueError):
                error = math.nan
            if not 0 <= error <= 1:
                raise BuildError(f"{errors}: method {method!r}: {column} is {row[column]!r}")
            cells.append([method, board, str(n_train), repr(error)])
    return cells


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
    names = {board: [b[0] for b in BENCHMARKS if b[2] == board] for board in ("v1", "v2")}
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
            cells.append(
                [
                    row["lineage"],
                    card["keys"],
                    row["params_b"],
                    row["tokens_t"],
                    sources[row["model"]],
                ]
            )
    silent = sorted({row["family"] for row in base} - carded - {"yi-200k"})  # named as yi is
    if silent:
        raise BuildError(f"{cards_path}: no card for the families {', '.join(silent)}")
    return cells


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status (2: the inputs do not fit together)."""
    parser = argparse.ArgumentParser(description="Write the bundled tables of sloth_jax.")
    parser.add_argument("--source", type=Path, required=True, help="the published table (CSV)")
    parser.add_argument("--folds", type=Path, help="the published folds (CSV), for folds.csv")
    parser.add_argument(
        "--errors", type=Path, help="the published errors (CSV), for published_errors.csv"
    )
    parser.add_argument("--v1-export", type=Path, help="first leaderboard, for mixtures.csv")
    parser.add_argument("--v2-export", type=Path, help="second leaderboard, for mixtures.csv")
    parser.add_argument(
        "--observational", type=Path, metavar="DIR", help="tables of ObsScaling, for the tasks"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write to")
    arguments = parser.parse_args(argv)
    try:
        tables = build(arguments.source)
        tables["pretraining.csv"] = build_pretraining(tables["leaderboard.csv"])
        if arguments.folds is not None:
            tables["folds.csv"] = build_folds(arguments.folds, arguments.source)
        if arguments.errors is not None:
            tables["published_errors.csv"] = build_errors(arguments.errors)
        exports = (arguments.v1_export, arguments.v2_export)
        if None not in exports:
            tables["mixtures.csv"] = build_mixtures(*exports)
        elif any(exports):
            raise BuildError("mixtures.csv needs both exports: give --v1-export and --v2-export")
        if arguments.observational is not None:
            tables |= build_tasks(
                arguments.observational,
                arguments.source,
                tables["leaderboard.csv"],
                read_records,
                DECIMALS,
            )
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, rows in tables.items():
            write_text(arguments.out / name, csv_text(rows))
    except (BuildError, TaskError, OutputError, OSError) as error:
        print(f"build_dataset: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    for name, rows in tables.items():
        print(f"{arguments.out / name}: {len(rows) - 1} rows")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
