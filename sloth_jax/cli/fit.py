"""``sloth-jax fit``: fit the law once and keep it, for many predictions."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from sloth_jax.cli.console import Parser, tell
from sloth_jax.cli.options import add_fit_options
from sloth_jax.cli.output import FITS, check_outputs
from sloth_jax.cli.process import on_interrupt, what_is_kept
from sloth_jax.files import clear_leftovers
from sloth_jax.interrupts import unbroken
from sloth_jax.wording import counted


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    parser = commands.add_parser(
        "fit",
        help="fit the law once, for many predictions",
        description="Fit the law to a table of scores and save it in a file. A run of nuts that\n"
        "was interrupted goes on where it stopped when it is repeated.",
        epilog="example: sloth-jax fit --out fit.nc\n"
        "         sloth-jax predict --fit fit.nc --query query.csv",
    )
    parser.add_argument("--out", required=True, metavar="FIT.nc", help="netCDF file to write")
    add_fit_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from sloth_jax.cli.fitting import fit_table, prepare_jax, training_table
    from sloth_jax.cli.notes import tell_of_fit
    from sloth_jax.devices import random_keys
    from sloth_jax.inference.storage import save_fit

    prepare_jax(options)
    check_outputs(options, FITS)
    table = training_table(options, None)
    # The same keys as predict, so that a saved fit gives the same predictions.
    fit_key, _ = random_keys(options.seed, 2)
    checkpoint = Path(f"{options.out}.unfinished")
    clear_leftovers(options.out)  # and those of the checkpoint, whose name begins with it
    on_interrupt(lambda: _what_is_kept(checkpoint))
    fit = fit_table(options, table, fit_key, checkpoint)
    with unbroken:  # an interrupt leaves one of the two
        save_fit(fit, options.out)
        checkpoint.unlink(missing_ok=True)
    tell_of_fit(fit)
    tell(
        f"Wrote {options.out}: {counted(len(table.models), 'model')} of "
        f"{counted(len(table.families), 'family', 'families')}, "
        f"{counted(len(table.benchmarks), 'benchmark')}"
    )
    tell(f"Next: sloth-jax predict --fit {shlex.quote(options.out)} --query QUERY.csv")


def _what_is_kept(checkpoint: Path) -> str:
    if checkpoint.exists():
        return f"what was sampled is in {checkpoint}; repeat the command to go on from there"
    return what_is_kept()
