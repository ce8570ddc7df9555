"""Options that commands share, each written once. Nothing here loads JAX, pandas or NumPy."""

from __future__ import annotations

import argparse
import logging

from sloth_jax.cli.console import number
from sloth_jax.data import EDITIONS
from sloth_jax.inference.settings import INFERENCES, FitSettings
from sloth_jax.law.options import SIZES, SURFACES

DEFAULTS = FitSettings()


def fraction(text: str) -> float:
    """Type of an option that is a probability or a score, strictly between 0 and 1."""
    value = float(text)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1: 0.9 means 90 %")
    return value


def task_scale(text: str) -> str | tuple[float, float]:
    """Type of ``--task-scale``: a name, or the worst and the best score as 800:1400."""
    low, colon, high = text.partition(":")
    return (float(low), float(high)) if colon else text


def add_skills_option(parser: argparse._ActionsContainer) -> None:
    """``--skills``, of a fit and of a check."""
    parser.add_argument(
        "--skills",
        type=number(1),
        metavar="D",
        help=f"number of latent skills (default: {DEFAULTS.skills}, or the number of benchmarks "
        "where that is smaller)",
    )


def add_floors_option(parser: argparse._ActionsContainer) -> None:
    """``--floors``, of a table."""
    parser.add_argument(
        "--floors",
        metavar="FLOORS",
        help="table with the columns benchmark and floor, the score of guessing, a fraction, and "
        "if you like group, the suite whose part the benchmark is",
    )


def add_edition_option(parser: argparse._ActionsContainer) -> None:
    """``--edition``, of the bundled leaderboard; None says that it is not given."""
    about = "of the bundled leaderboard (default: 2025, with models up to January 2025)"
    parser.add_argument("--edition", choices=tuple(EDITIONS), help=about)


def add_fit_options(parser: argparse.ArgumentParser, table: str = "--data") -> None:
    """The table that the law is fitted to, tasks, and how it is fitted.

    A default is None where a saved fit could contradict it: None says that the option is not given.
    ``table`` names the table's argument: an option, or ``data`` for one without a name.
    """
    _add_table_options(parser.add_argument_group("the training table"), table)
    _add_inference_options(parser.add_argument_group("the fit"))


def _add_table_options(group: argparse._ArgumentGroup, table: str) -> None:
    about = "scores to learn from (default: the bundled leaderboard)"
    # An option has one value, and an argument without a name may be left out.
    count = None if table.startswith("-") else "?"
    group.add_argument(table, metavar="TABLE", nargs=count, help=about)
    add_edition_option(group)
    group.add_argument(
        "--add",
        action="append",
        metavar="TABLE",
        help="more models and scores, your own say, to learn from beside that table; a column that "
        "it lacks becomes a new benchmark; may be repeated",
    )
    group.add_argument(
        "--items",
        metavar="[NAME=]BANK",
        help="an item bank (see `sloth-jax items`) of a benchmark: tables of --add with a column "
        "item hold answers to its items, from which scores with their errors are made",
    )
    add_floors_option(group)
    group.add_argument(
        "--task",
        action="append",
        metavar="TASK",
        help="scores of a few models on something else, learnt and predicted like a benchmark: the "
        "name of a bundled task (`sloth-jax data` lists them) or a table with the columns model "
        "and score; may be repeated",
    )
    group.add_argument(
        "--task-scale",
        type=task_scale,
        metavar="SCALE",
        help="scale of the scores in task tables: fraction (default), percent, or the worst and "
        "the best score, as 800:1400 for an Elo rating",
    )
    group.add_argument(
        "--task-floor",
        type=float,
        metavar="FLOOR",
        help="score of guessing in task tables, on their scale (default: the worst score)",
    )


def _add_inference_options(group: argparse._ArgumentGroup) -> None:
    nuts = DEFAULTS.nuts
    how = group.add_mutually_exclusive_group()
    how.add_argument(
        "--inference",
        choices=INFERENCES,
        help="how the posterior is found: laplace, a normal approximation (seconds); nuts, Monte "
        "Carlo, the reference (minutes); svi, variational; mode, one best law, whose intervals "
        f"leave out the uncertainty about the law itself (default: {DEFAULTS.inference})",
    )
    how.add_argument("--point", action="store_true", help="the same as --inference mode")
    add_skills_option(group)
    group.add_argument(
        "--surface",
        choices=SURFACES,
        help="how skills depend on size and tokens: translog, log size, log tokens and their "
        "product; smooth, that and a Gaussian process; additive, no product; flops, training "
        f"compute alone (default: {DEFAULTS.surface})",
    )
    group.add_argument(
        "--size",
        choices=SIZES,
        help="size of a mixture of experts: the parameters active for a token, or the total "
        f"(default: {DEFAULTS.size})",
    )
    group.add_argument(
        "--draws",
        type=number(1),
        metavar="N",
        help=f"posterior draws (default: {DEFAULTS.draws}; with nuts {nuts.chains * nuts.draws}, "
        f"{nuts.draws} from each of {nuts.chains} chains)",
    )
    group.add_argument(
        "--warmup",
        type=number(1),
        metavar="N",
        help=f"nuts only: warmup draws of each chain, not kept (default: {nuts.warmup})",
    )
    group.add_argument(
        "--seed", type=number(0), default=0, metavar="N", help="random seed (default: 0)"
    )


def add_source_options(parser: argparse.ArgumentParser, table: str = "--data") -> None:
    """Options of commands that use a fit, a saved one or a new one; as :func:`add_fit_options`."""
    parser.add_argument(
        "--level",
        type=fraction,
        default=0.9,
        metavar="P",
        help="probability inside the intervals (default: 0.9)",
    )
    parser.add_argument(
        "--fit",
        metavar="FIT.nc",
        help="use the fit that `sloth-jax fit` saved, instead of fitting a training table",
    )
    add_fit_options(parser, table)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """What a run tells, and whether it keeps compiled programs: of every command."""
    group = parser.add_argument_group("the run")
    told = group.add_mutually_exclusive_group()
    for short, long, level, what in (
        ("-q", "--quiet", logging.WARNING, "tell warnings and errors only, and show no progress"),
        ("-v", "--verbose", logging.DEBUG, "tell everything, notes about a saved fit among it"),
    ):
        told.add_argument(short, long, dest="told", action="store_const", const=level, help=what)
    parser.set_defaults(told=logging.INFO)
    group.add_argument(
        "--no-cache",
        action="store_true",
        help="compile anew, and keep nothing of it (see SLOTH_JAX_CACHE in docs/running.md)",
    )


def add_family_options(parser: argparse.ArgumentParser) -> None:
    """Whose model is planned, and the sizes and tokens that may be chosen."""
    group = parser.add_argument_group("the model to plan")
    group.add_argument(
        "--family",
        required=True,
        help="family of the model; a name that is not in the training table is a new family",
    )
    group.add_argument(
        "--lineage", help="pretraining run of the family, where the training table does not say"
    )
    kind = group.add_mutually_exclusive_group()
    kind.add_argument(
        "--post-trained", action="store_true", default=None, help="it is a post-trained, chat model"
    )
    kind.add_argument(
        "--base", dest="post_trained", action="store_false", help="it is a base model"
    )
    group.add_argument(
        "--active-fraction",
        type=float,
        default=1.0,
        metavar="A",
        help="active over total parameters of a mixture of experts (default: 1, a dense model)",
    )
    for name, what in (
        ("params-b", "total parameters to choose from, billions (default: 0.1 1000)"),
        ("tokens-t", "training tokens to choose from, trillions (default: 0.05 50)"),
    ):
        group.add_argument(
            f"--{name}-bounds", type=float, nargs=2, metavar=("LEAST", "MOST"), help=what
        )


def add_output_options(parser: argparse.ArgumentParser, rows: str, *, plot: bool = True) -> None:
    """Where the answer goes and in what form; ``rows`` says what a table of it holds."""
    group = parser.add_argument_group("the output")
    group.add_argument(
        "--json",
        action="store_true",
        help="print JSON, with settings, diagnostics, versions and the seed",
    )
    group.add_argument(
        "--out",
        metavar="FILE",
        help=f"write the answer to a file instead: .csv, .csv.gz or .parquet {rows}, or .json",
    )
    if plot:
        about = "draw a figure into this file (.png, .pdf or .svg)"
        group.add_argument("--plot", metavar="FIGURE", help=about)
