"""``sloth-jax evaluate``: does the law work on a table? Lineages are left out and predicted."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from sloth_jax.cli.console import Parser, number, show_progress, tell
from sloth_jax.cli.options import add_fit_options
from sloth_jax.files import check_folder, frame_csv, write_folder

if TYPE_CHECKING:
    import pandas as pd


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    parser = commands.add_parser(
        "evaluate",
        help="does it work on my numbers? leave lineages out, predict them, compare",
        description="Fit the law without some lineages of a table at a time and predict those:\n"
        "errors and coverage, beside a law of training FLOPs alone. Writes a page, figures and\n"
        "tables. Takes minutes; nothing is written before the end.",
        epilog="example: sloth-jax evaluate --data table.csv --out evaluation\n"
        "         sloth-jax evaluate --add mine.csv --n-train 1 --out evaluation",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--n-train",
        type=int,
        choices=(0, 1),
        default=0,
        help="how many of a left-out lineage's smallest models are kept: 0, all are predicted "
        "(default); 1, larger models are predicted from the smallest one",
    )
    parser.add_argument(
        "--folds",
        type=number(2),
        metavar="K",
        help="refits, each without a group of lineages (default: 6, or the number of lineages "
        "where that is smaller; that number leaves out one at a time)",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    add_fit_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    import jax

    from sloth_jax.cli.fitting import fit_settings, prepare_jax, training_table
    from sloth_jax.evaluation.left_out import (
        benchmark_scores,
        leave_out,
        predict_left_out,
        summary_of,
    )
    from sloth_jax.evaluation.methods import FOLD_SETTINGS
    from sloth_jax.plotting.evaluation_page import page_of, verdict
    from sloth_jax.provenance import versions

    prepare_jax(options)
    folder = check_folder(options.out)
    table = training_table(options, None)
    settings = fit_settings(options, table)
    # Fewer draws than a single fit has: means over many scores average Monte Carlo errors out.
    given = options.draws or options.warmup
    settings = replace(
        settings,
        draws=options.draws or FOLD_SETTINGS.draws,
        nuts=settings.nuts if given else FOLD_SETTINGS.nuts,
    )
    left = leave_out(table, options.n_train, options.folds)
    tell(
        f"{len(left.train)} refits of {len(left.table.models)} models on "
        f"{len(table.benchmarks)} benchmarks ({settings.inference})"
    )
    rows = predict_left_out(left, settings, jax.random.key(options.seed), show_progress)
    scores, summary = benchmark_scores(rows), summary_of(rows)
    record: dict[str, Any] = {
        "n_train": left.n_train,
        "folds": len(left.train),
        "not_predicted": int(left.table.observed.sum()) - len(rows),
        **summary,
        "added": _added(options, rows),
        "benchmarks": json.loads(scores.to_json(orient="records")),
        "settings": asdict(settings),
        "seed": options.seed,
        "versions": versions(),
    }
    # JSON has no NaN, which says that there is none of a number.
    record = json.loads(json.dumps(record), parse_constant=lambda _: None)
    line = json.dumps(record | {"verdict": verdict(record)}, indent=2) + "\n"
    contents: dict[str, str | bytes] = {
        "predictions.csv": frame_csv(rows, "%.6g"),
        "benchmarks.csv": frame_csv(scores, "%.6g"),
        "summary.json": line,
        "evaluation.md": page_of(record, table.warnings),
    }
    write_folder(folder, contents | _figures(rows, scores))
    tell(f"Wrote {folder}: evaluation.md, predictions.csv, benchmarks.csv, two figures")
    print(line if options.json else verdict(record), end="" if options.json else "\n")


def _added(options: argparse.Namespace, rows: pd.DataFrame) -> dict[str, Any] | None:
    """The summary of lineages with models that ``--add`` brought; None where there are none."""
    from sloth_jax.data.reading import load_leaderboard
    from sloth_jax.evaluation.left_out import summary_of

    if not options.add:
        return None
    new = ~rows["model"].isin(load_leaderboard(options.data, edition=options.edition).models)
    own = rows[rows["lineage"].isin(rows.loc[new, "lineage"])]
    if own.empty:
        return None
    return {"names": sorted(set(own["lineage"]))} | summary_of(own)


def _figures(rows: pd.DataFrame, scores: pd.DataFrame) -> dict[str, str | bytes]:
    """Predicted against measured, a panel per benchmark; errors of both laws."""
    from sloth_jax.plotting.figure_files import image_of, open_no_windows

    open_no_windows()
    from sloth_jax.plotting import left_out_figures

    return {f"{name}.png": image_of(figure) for name, figure in left_out_figures(rows, scores)}
