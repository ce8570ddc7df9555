"""The command ``sloth-jax``: results on stdout, progress and warnings on stderr.

Exit codes: 0 done; 1 ``check`` found that an assumption fails; 2 bad input, told in one line on
stderr with nothing written; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from sloth_jax.console import Parser, number, run_and_exit, tell
from sloth_jax.files import check_writable, write_text

if TYPE_CHECKING:  # costs a second at run time, which --help should not take
    from jax import Array

    from sloth_jax.leaderboard import Leaderboard
    from sloth_jax.point import PointFit
    from sloth_jax.posterior import Posterior

_CHAINS, _WARMUP, _DRAWS = 4, 450, 1800
_SKILLS = 3


def _level(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1: 0.9 means 90 %")
    return value


_level.__name__ = "fraction"


def _parser() -> argparse.ArgumentParser:
    from sloth_jax import __version__

    parser = Parser(
        prog="sloth-jax",
        description="Predict how language models score on benchmarks before they are trained.",
        epilog="example: sloth-jax predict --query query.csv --out predictions.csv",
    )
    parser.add_argument("--version", action="version", version=f"sloth-jax {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Parser
    )

    predict = commands.add_parser(
        "predict",
        help="predict the scores of models, with credible intervals",
        description="Fit the law to a table of scores and predict models on all its benchmarks.",
        epilog="example: sloth-jax predict --query query.csv --level 0.8 --out predictions.csv\n"
        "where query.csv holds\n"
        "  model,family,params_b,tokens_t\n"
        "  meta-llama-3-405b,meta-llama-3,405,15.6\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    predict.add_argument(
        "--query",
        required=True,
        metavar="QUERY",
        help="CSV or parquet with the columns model, family, params_b (billions), tokens_t "
        "(trillions) and, optionally, lineage, post_trained, active_params_b",
    )
    predict.add_argument(
        "--level", type=_level, default=0.9, help="probability inside the intervals (default: 0.9)"
    )
    predict.add_argument(
        "--fit",
        metavar="FIT",
        help="file that `sloth-jax fit` wrote, instead of a table: seconds, not minutes",
    )
    predict.add_argument(
        "--point", action="store_true", help="point fit: seconds, but no intervals"
    )
    _add_fit_options(predict)
    predict.add_argument(
        "--out", metavar="PREDICTIONS.csv", help="write a CSV there instead of printing a table"
    )
    predict.set_defaults(run=_predict)

    fit = commands.add_parser(
        "fit",
        help="sample the law once, for many predictions",
        description="Sample the posterior of a table and keep it in a file.",
        epilog="example: sloth-jax fit --out fit.nc\n"
        "         sloth-jax predict --fit fit.nc --query query.csv",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_fit_options(fit)
    fit.add_argument("--out", required=True, metavar="FIT.nc", help="netCDF file to write")
    fit.set_defaults(run=_fit)

    check = commands.add_parser(
        "check",
        help="may the skills of a table be interpreted?",
        description="Test the law's assumptions on a table: what its models determine and what "
        "they leave open. Exit code 1 where an assumption fails.",
        epilog="example: sloth-jax check table.csv --skills 2",
    )
    check.add_argument(
        "table", nargs="?", metavar="TABLE", help="table of scores (default: the bundled one)"
    )
    check.add_argument("--floors", metavar="FLOORS", help="table with the columns benchmark, floor")
    check.add_argument("--benchmarks", nargs="+", metavar="NAME", help="use only these")
    check.add_argument(
        "--skills",
        type=number(1),
        metavar="D",
        help=f"number of skills (default: {_SKILLS}, or the number of benchmarks if that is less)",
    )
    check.add_argument("--json", action="store_true", help="print JSON instead of words")
    check.set_defaults(run=_check)

    data = commands.add_parser(
        "data",
        help="what the bundled table holds",
        description="Describe the bundled table, or write it as CSV.",
        epilog="example: sloth-jax data --out leaderboard.csv",
    )
    data.add_argument("--out", metavar="TABLE.csv", help="write the table there")
    data.add_argument(
        "--uncorrected",
        action="store_true",
        help="sizes, tokens and families as published, before the corrections of this project",
    )
    data.set_defaults(run=_data)
    return parser


def _add_fit_options(parser: argparse.ArgumentParser) -> None:
    """What to learn from and how; None where the user said nothing."""
    parser.add_argument(
        "--data", metavar="TABLE", help="table of scores to learn from (default: the bundled one)"
    )
    parser.add_argument(
        "--floors", metavar="FLOORS", help="table with the columns benchmark, floor (fractions)"
    )
    parser.add_argument(
        "--skills",
        type=number(1),
        metavar="D",
        help=f"number of skills (default: {_SKILLS}, or the number of benchmarks if that is less)",
    )
    parser.add_argument(
        "--draws",
        type=number(_CHAINS),
        metavar="N",
        help=f"posterior draws, over {_CHAINS} chains (default: {_DRAWS})",
    )
    parser.add_argument(
        "--warmup",
        type=number(20),
        metavar="N",
        help=f"draws per chain spent on adaptation (default: {_WARMUP})",
    )
    parser.add_argument("--seed", type=number(0), default=0, help="random seed (default: 0)")


def _sample(options: argparse.Namespace, table: Leaderboard, key: Array) -> Posterior:
    """Sample the posterior with the user's options, and say what is wrong with it."""
    from sloth_jax.posterior import sample_posterior
    from sloth_jax.sampler import SamplerSettings

    per_chain = -(-(options.draws or _DRAWS) // _CHAINS)
    warmup = options.warmup or _WARMUP
    tell(
        f"Sampling {_CHAINS} chains of {warmup} + {per_chain} draws from {len(table.models)} "
        f"models on {len(table.benchmarks)} benchmarks; this takes minutes ..."
    )
    settings = SamplerSettings(
        skills=_skills(options, table), warmup=warmup, draws=per_chain, chains=_CHAINS
    )
    return sample_posterior(table, key=key, settings=settings, progress=True)


def _skills(options: argparse.Namespace, table: Leaderboard) -> int:
    return options.skills or min(_SKILLS, len(table.benchmarks))


def _warn(fit: PointFit | Posterior) -> None:
    """What the user should know about a fit."""
    from sloth_jax.posterior import Posterior

    if isinstance(fit, Posterior):
        for problem in fit.diagnostics.problems():
            tell(f"warning: the chains do not meet the standard for trust: {problem}")
    elif not fit.converged:
        tell("warning: the point fit had not settled; treat its numbers as rough")
    for warning in fit.report.warnings():
        tell(f"note: skills may not be interpreted: {warning} (sloth-jax check)")


def _prepare() -> None:
    """Before JAX is imported and looks at the machine."""
    # A log file gets a line now and then, not ten a second; tqdm looks when it is imported.
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "10")
    from sloth_jax.devices import use_cores

    use_cores(_CHAINS)  # over which chains are spread


def _fit(options: argparse.Namespace) -> None:
    _prepare()
    # Heavy imports wait until the arguments are known to be good.
    import jax

    from sloth_jax.identifiability import check_skills
    from sloth_jax.leaderboard import load_leaderboard
    from sloth_jax.storage import save_posterior

    check_writable(options.out)
    table = load_leaderboard(options.data, floors=options.floors)
    check_skills(_skills(options, table), table)
    for warning in table.warnings:
        tell(f"note: {warning}")
    # The same keys as predict, so that a saved fit gives the same predictions.
    fit_key, _ = jax.random.split(jax.random.key(options.seed))
    posterior = _sample(options, table, fit_key)
    _warn(posterior)
    save_posterior(posterior, options.out)
    tell(f"Wrote {options.out}")


def _predict(options: argparse.Namespace) -> None:
    _prepare()
    import jax

    from sloth_jax.errors import InputError
    from sloth_jax.forecasting import forecast
    from sloth_jax.identifiability import check_skills
    from sloth_jax.leaderboard import load_leaderboard
    from sloth_jax.point import fit_point
    from sloth_jax.query import load_query
    from sloth_jax.storage import load_posterior

    if options.out is not None:
        check_writable(options.out)
    kept = load_posterior(options.fit) if options.fit else None
    if kept is not None:
        for name in ("data", "floors", "skills", "draws", "warmup", "point"):
            if getattr(options, name):
                raise InputError(f"--{name} belongs to a new fit; leave it out with --fit")
    table = kept.table if kept else load_leaderboard(options.data, floors=options.floors)
    query = load_query(options.query, table)
    check_skills(_skills(options, table), table)
    for warning in (*table.warnings, *query.warnings):
        tell(f"note: {warning}")
    fit_key, forecast_key = jax.random.split(jax.random.key(options.seed))
    if kept is not None:
        fit = kept
    elif options.point:
        tell(f"Fitting a point to {len(table.models)} models ...")
        fit = fit_point(table, key=fit_key, skills=_skills(options, table))
    else:
        fit = _sample(options, table, fit_key)
    _warn(fit)
    predictions = forecast(fit, query, key=forecast_key)
    summary = predictions.summary(options.level)
    new = sorted(
        {f for f, n in zip(query.families, predictions.family_models, strict=True) if not n}
    )
    if new:
        tell(
            f"note: no training model of {', '.join(new)}: predicted from the population of "
            "families, marked by family_models = 0"
        )
    if options.out is not None:
        write_text(
            options.out, summary.to_csv(index=False, float_format="%.6f", lineterminator="\n")
        )
        tell(f"Wrote {len(summary)} predictions to {options.out}")
    else:
        print(summary.to_string(index=False, float_format="%.3f", na_rep="none"))


def _check(options: argparse.Namespace) -> None:
    import json

    from sloth_jax.identifiability import check_identifiability
    from sloth_jax.leaderboard import load_leaderboard

    table = load_leaderboard(options.table, floors=options.floors, benchmarks=options.benchmarks)
    for warning in table.warnings:
        tell(f"note: {warning}")
    skills = options.skills or min(_SKILLS, len(table.benchmarks))
    report = check_identifiability(table, skills=skills)
    print(json.dumps(report.to_dict(), indent=2) if options.json else report.to_text())
    if not report.holds:
        sys.exit(1)


def _data(options: argparse.Namespace) -> None:
    import numpy as np

    from sloth_jax.leaderboard import load_leaderboard

    if options.out is not None:
        check_writable(options.out)
    table = load_leaderboard(corrected=not options.uncorrected)
    for warning in table.warnings:
        tell(f"note: {warning}")
    if options.out is not None:
        write_text(options.out, table.to_csv_text())
        tell(f"Wrote {len(table.models)} models to {options.out}")
        return
    scored = np.isfinite(table.scores)
    print(
        f"{len(table.models)} models of {len(table.families)} families and "
        f"{len(table.lineages)} lineages, {scored.sum()} scores on "
        f"{len(table.benchmarks)} benchmarks"
    )
    print(
        f"{table.params_b.min():g} to {table.params_b.max():g} billion parameters, "
        f"{table.tokens_t.min():g} to {table.tokens_t.max():g} trillion tokens"
    )
    print(f"{'benchmark':<12} {'models':>6} {'floor':>6} {'lowest':>7} {'highest':>7}")
    for j, benchmark in enumerate(table.benchmarks):
        values = table.scores[scored[:, j], j]
        print(
            f"{benchmark:<12} {values.size:>6} {table.floors[j]:>6.3f} "
            f"{values.min():>7.3f} {values.max():>7.3f}"
        )


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit.

    Args:
        arguments: command line without the program's name; None takes ``sys.argv``.

    Raises:
        SystemExit: always, with the exit code.
    """
    options = _parser().parse_args(arguments)
    run_and_exit("sloth-jax", lambda: options.run(options), interrupted="nothing was written")


if __name__ == "__main__":
    main()
