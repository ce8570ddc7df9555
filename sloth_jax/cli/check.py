"""``sloth-jax check``: may the skills of a table be interpreted?"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from sloth_jax.cli.console import Parser, show_progress, tell
from sloth_jax.cli.options import add_edition_option, add_floors_option, add_skills_option


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command to the others."""
    parser = commands.add_parser(
        "check",
        help="test whether the skills of a table may be interpreted",
        description="Test whether a table determines the law's parameters, as interpreting its\n"
        "skills assumes, and list scores that look misread. Exit code 1 if an assumption fails.",
        epilog="example: sloth-jax check table.csv --skills 2",
    )
    parser.add_argument(
        "table",
        nargs="?",
        metavar="TABLE",
        help="table of scores (default: the bundled leaderboard)",
    )
    add_edition_option(parser)
    add_floors_option(parser)
    parser.add_argument(
        "--benchmarks", nargs="+", metavar="NAME", help="benchmarks to use (default: all)"
    )
    add_skills_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from sloth_jax.cli.fitting import number_of_skills
    from sloth_jax.data.reading import load_leaderboard
    from sloth_jax.identifiability.check import check_identifiability
    from sloth_jax.identifiability.quality import suspect_scores
    from sloth_jax.provenance import versions

    table = load_leaderboard(
        options.table, floors=options.floors, benchmarks=options.benchmarks, edition=options.edition
    )
    for warning in table.warnings:
        tell(f"note: {warning}")
    with show_progress("checking"):
        report = check_identifiability(table, skills=number_of_skills(options, table))
        suspects = suspect_scores(table)
    if options.json:
        listed = [asdict(suspect) for suspect in suspects]
        found = {**report.to_dict(), "suspects": listed, "versions": versions()}
        print(json.dumps(found, indent=2))
    else:
        print(report.to_text())
        if suspects:
            print("Scores that look misread, as answers that a parser did not find:")
        for suspect in suspects:
            print(f"  {suspect}")
    if not report.holds:
        sys.exit(1)
