"""Write the bundled tables of the published cross-validation: its folds and its errors."""

from __future__ import annotations

import math
from pathlib import Path

from .benchmarks import BENCHMARKS
from .leaderboard import PUBLISHED
from .records import BuildError, read_records, read_rows

FOLD_COLUMNS = ("leaderboard", "n_train", "fold", "family", "model", "role")
SETTINGS = tuple((board, n_train) for board in ("v1", "v2", "both") for n_train in (1, 2))


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
    benchmarks = {
        board: [b.name for b in BENCHMARKS if board in (b.leaderboard, "both")]
        for board, _ in SETTINGS
    }
    table = read_rows(source, [*PUBLISHED.values(), *benchmarks["both"]])
    tested = _read_tested(folds)
    cells = [["leaderboard", "n_train", "fold", "family"]]
    for (setting, fold, family), roles in sorted(tested.items(), key=lambda item: item[0][:2]):
        board, n_train = SETTINGS[setting]
        expected = _expected_roles(table, family, benchmarks[board], n_train)
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


def _read_tested(folds: Path) -> dict[tuple[int, int, str], dict[str, str]]:
    """Position in ``SETTINGS``, fold and family -> model -> role."""
    tested: dict[tuple[int, int, str], dict[str, str]] = {}
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
    return tested


def _expected_roles(
    table: dict[str, dict[str, str]], family: str, benchmarks: list[str], n_train: int
) -> dict[str, str]:
    """Of the family's models with all scores, the smallest ``n_train`` are for training."""
    complete = sorted(
        (float(row[PUBLISHED["params_b"]]), model)
        for model, row in table.items()
        if row[PUBLISHED["family"]] == family
        and row[PUBLISHED["tokens_t"]]
        and all(row[name] for name in benchmarks)
    )
    roles = ["train"] * n_train + ["test"] * len(complete)
    return {model: role for (_, model), role in zip(complete, roles, strict=False)}


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
