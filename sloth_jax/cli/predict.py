"""``sloth-jax predict``: scores of models that need not exist yet."""

from __future__ import annotations

import argparse

from sloth_jax.cli.console import Parser, show_progress, tell
from sloth_jax.cli.options import add_source_options
from sloth_jax.files import check_writable, frame_csv, write_text


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    parser = commands.add_parser(
        "predict",
        help="predict the scores of models, with intervals",
        description="Predict models on all benchmarks of a training table, with credible\n"
        "intervals, from a saved fit or a new one.",
        epilog="example: sloth-jax predict --query query.csv --level 0.8 --out predictions.csv\n"
        "where query.csv holds\n"
        "  model,family,params_b,tokens_t\n"
        "  meta-llama-3-405b,meta-llama-3,405,15.6\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--query",
        required=True,
        metavar="QUERY",
        help="models to predict, CSV or parquet with the columns model, family, params_b "
        "(billions), tokens_t (trillions) and, optionally, lineage, post_trained, active_params_b",
    )
    parser.add_argument(
        "--out", metavar="PREDICTIONS.csv", help="write a CSV there instead of printing a table"
    )
    add_source_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from sloth_jax.cli.fitting import (
        prepare_jax,
        random_keys,
        saved_fit,
        saved_or_new,
        training_table,
    )
    from sloth_jax.cli.notes import tell_of_extrapolation, tell_of_new_families
    from sloth_jax.forecasting.forecast import forecast
    from sloth_jax.forecasting.query import load_query

    prepare_jax(options)
    if options.out is not None:
        check_writable(options.out)
    saved = saved_fit(options)
    table = training_table(options, saved)
    query = load_query(options.query, table)
    for warning in query.warnings:
        tell(f"note: {warning}")
    fit_key, forecast_key = random_keys(options.seed, 2)
    fit = saved_or_new(options, saved, table, fit_key)
    with show_progress("predicting"):
        predictions = forecast(fit, query, key=forecast_key)
        summary = predictions.summary(options.level)
    tell_of_new_families(query.families, table)
    tell_of_extrapolation(query.models, predictions.outside)
    if options.out is not None:
        write_text(options.out, frame_csv(summary, "%.6f"))
        tell(f"Wrote {len(summary)} predictions to {options.out}")
    else:
        # Notes name the models outside the table; a column of sentences would break the lines.
        print(summary.drop(columns="outside").to_string(index=False, float_format="%.3f"))
