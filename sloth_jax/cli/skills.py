"""``sloth-jax skills``: the skills of a fit, as tables and figures with intervals."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sloth_jax.cli.console import Parser, show_progress, tell
from sloth_jax.cli.options import add_source_options
from sloth_jax.files import check_folder, frame_csv, write_folder

if TYPE_CHECKING:
    from sloth_jax.skills import Skills

_FEW_STARTS = 0.1  # share of the rotation's starts below which another rotation is as likely


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    parser = commands.add_parser(
        "skills",
        help="tables and figures of the skills: loadings, models, base against chat, level curves",
        description="Rotate the skills of a fit to simple loadings, propose a name for each, and\n"
        "write tables and figures with intervals. A name is the two benchmarks that tell most of\n"
        "a skill; `sloth-jax plan --target` takes it.",
        epilog="example: sloth-jax skills --fit fit.nc --out skills\n"
        "         sloth-jax skills --skills 2 --out two_skills",
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder for the tables and figures"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    add_source_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from sloth_jax.cli.fitting import prepare_jax, saved_fit, saved_or_new, training_table
    from sloth_jax.cli.notes import against_interpretation
    from sloth_jax.cli.output import json_of
    from sloth_jax.plotting.figure_files import image_of, open_no_windows
    from sloth_jax.skills.labels import named_skills
    from sloth_jax.skills.summary import NOTES, in_words, summary_of
    from sloth_jax.skills.tables import may_interpret, skill_tables

    open_no_windows()
    from sloth_jax.plotting.skill_figures import skill_figures

    prepare_jax(options)
    folder = check_folder(options.out)
    saved = saved_fit(options)
    table = training_table(options, saved)
    fit, _ = saved_or_new(options, saved, table)
    for note in against_interpretation(fit) if saved else ():  # of a new one it is told already
        tell(f"note: {note}")
    word = may_interpret(fit.report)
    with show_progress("interpreting the skills"):
        skills = named_skills(fit)
        tables = skill_tables(skills, options.level)
    _tell_of_skills(skills)
    record = summary_of(skills, tables, word, options.level)
    summary = json_of(record, fit, options.seed)
    contents: dict[str, str | bytes] = {
        f"{name}.csv": frame_csv(rows.assign(interpretable=word), "%.6g")
        for name, rows in tables.items()
    }
    with show_progress("drawing"):
        for name, figure in skill_figures(tables, level=options.level, note=NOTES[word]):
            contents[f"{name}.png"] = image_of(figure)
    write_folder(folder, contents | {"summary.json": summary})
    print(summary if options.json else in_words(record), end="" if options.json else "\n")
    tell(f"Wrote {len(contents) + 1} files to {folder}")


def _tell_of_skills(skills: Skills) -> None:
    """Print what is doubtful about the rotation."""
    if skills.agreeing < _FEW_STARTS:
        tell(
            f"note: {skills.agreeing:.0%} of the rotation's random starts found these loadings: "
            "other rotations are nearly as simple, and skills could be named otherwise"
        )
    if not skills.has_intervals:
        tell("note: a mode has no intervals: columns lower and upper are empty")
