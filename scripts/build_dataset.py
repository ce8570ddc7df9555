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

An export of the second leaderboard in February 2025, ``--v2-export-2025``, gives the edition 2025
of the leaderboard and the tables about it, by the rules of
``scripts/bundled_tables/edition_2025.py``.

Two exports of the leaderboards (CSV as their users download them) may be given too, for
``mixtures.csv``:

- ``--v1-export``, ``--v2-export``: scores of mixtures of experts whose token counts are public, as
  ``scripts/mixture_cards.csv`` lists them by hand. The first leaderboard's are percent; of the
  second, the raw columns are fractions.

A folder with the tables of ryoungj/ObsScaling may be given too, ``--observational``, for the tables
of downstream tasks; ``scripts/bundled_tables/tasks.py`` says which and how.

Corrected values follow the rules that ``scripts/bundled_tables/leaderboard.py`` states.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bundled_tables.benchmarks import build_benchmarks
from bundled_tables.crossval import build_errors, build_folds
from bundled_tables.edition_2025 import build_edition_2025
from bundled_tables.leaderboard import build_leaderboard
from bundled_tables.mixtures import build_mixtures
from bundled_tables.pretraining import build_pretraining
from bundled_tables.records import BuildError
from bundled_tables.tasks import build_tasks

from sloth_jax.files import OutputError, csv_text, write_text

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "sloth_jax" / "data" / "bundled"


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
        "--v2-export-2025", type=Path, help="the same in 2025, for the edition 2025"
    )
    parser.add_argument(
        "--observational", type=Path, metavar="DIR", help="tables of ObsScaling, for the tasks"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write to")
    arguments = parser.parse_args(argv)
    try:
        tables = build_leaderboard(arguments.source)
        tables["benchmarks.csv"] = build_benchmarks()
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
        if arguments.v2_export_2025 is not None:
            tables |= build_edition_2025(arguments.v2_export_2025, tables["leaderboard.csv"])
        if arguments.observational is not None:
            tables |= build_tasks(
                arguments.observational, arguments.source, tables["leaderboard.csv"]
            )
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, rows in tables.items():
            write_text(arguments.out / name, csv_text(rows))
    except (BuildError, OutputError, OSError) as error:
        print(f"build_dataset: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    for name, rows in tables.items():
        print(f"{arguments.out / name}: {len(rows) - 1} rows")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
