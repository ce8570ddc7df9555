"""``sloth-jax predict``: scores of models that need not exist yet."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sloth_jax.cli.console import Parser, show_progress, tell
from sloth_jax.cli.options import add_output_options, add_source_options
from sloth_jax.cli.output import draw_models, write_answer
from sloth_jax.cli.queries import query_of

if TYPE_CHECKING:
    import pandas as pd


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
        "  meta-llama-3-405b,meta-llama-3,405,15.6\n"
        "or from a program, as JSON\n"
        '  echo \'[{"model": "a", "family": "qwen2", "params_b": 7, "tokens_t": 4}]\' |\n'
        "    sloth-jax predict --query - --json\n",
    )
    parser.add_argument(
        "--query",
        required=True,
        metavar="QUERY",
        help="models to predict: a CSV or parquet file with the columns model, family, params_b "
        "(billions), tokens_t (trillions) and, optionally, lineage, post_trained, "
        "active_params_b, run (a training run of the table, to be continued); a JSON file with a "
        "list of objects of these names; or - for CSV or JSON from standard input",
    )
    add_source_options(parser)
    add_output_options(parser, "with a row per model and benchmark, and group of these")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    import numpy as np

    from sloth_jax.cli.fitting import begin, saved_or_new
    from sloth_jax.cli.notes import tell_of_unseen
    from sloth_jax.forecasting.aggregates import aggregation, with_aggregates
    from sloth_jax.forecasting.forecast import forecast

    saved, table = begin(options)
    query = query_of(options.query, table)
    fit, key = saved_or_new(options, saved, table)
    with show_progress("predicting"):
        predictions, floors = with_aggregates(forecast(fit, query, key=key), table)
        summary = predictions.summary(options.level)
    for words in aggregation(table).words:
        tell(f"note: {words}")
    tell_of_unseen(query.families, table, query.models, predictions.outside)
    if options.plot is not None:
        ends = np.median(predictions.draws, axis=0), *predictions.interval(options.level)
        given = {"floors": floors, "level": options.level}
        draw_models(options.plot, predictions.models, predictions.benchmarks, ends, **given)
    write_answer(
        options,
        fit,
        frame=summary,
        record={"level": options.level, "predictions": summary.to_dict("records")},
        text=_text(summary, options.level),
        float_format="%.6f",
    )


def _text(summary: pd.DataFrame, level: float) -> str:
    """Predictions for a terminal, without the columns that are the same in every row."""
    from sloth_jax.forecasting.extrapolation import in_short

    shown = summary.drop(columns="level").assign(outside=summary["outside"].map(in_short))
    if shown["family_models"].nunique() == 1:
        shown = shown.drop(columns="family_models")
    if not shown["outside"].any():
        shown = shown.drop(columns="outside")
    head = f"scores as fractions, lower and upper end of intervals of {100 * level:g} %"
    if "outside" in shown:
        head += "; outside: beyond the training table or its family"
    return f"{head}\n{shown.to_string(index=False, float_format='%.3f')}"
