"""``sloth-jax report``, a page that anyone can open, and ``sloth-jax explore``, which serves it."""

from __future__ import annotations

import argparse
import shlex

from sloth_jax.cli.console import Parser, number, show_progress, tell
from sloth_jax.cli.options import add_source_options


def add_parser(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add both commands to the others."""
    report = commands.add_parser(
        "report",
        help="one HTML file of everything: curves, forecasts, trust, skills, a plan",
        description="Write a page that any browser opens, without network. Needs the extra report.",
        epilog="example: sloth-jax report --fit fit.nc --query query.csv --out report.html",
    )
    report.add_argument("--out", required=True, metavar="FILE.html", help="HTML file to write")
    explore = commands.add_parser(
        "explore",
        help="the same page on this machine, answering for models that are typed in",
        description="Serve the page on 127.0.0.1 until Ctrl-C. Needs the extra report.",
        epilog="example: sloth-jax explore --fit fit.nc",
    )
    explore.add_argument(
        "--port", type=number(0), default=8765, help="port (default: 8765; 0 finds a free one)"
    )
    for parser in (report, explore):
        about = "models to predict, as of `sloth-jax predict`"
        parser.add_argument("--query", metavar="QUERY", help=about)
        parser.add_argument(
            "--evaluation", metavar="DIR", help="what `sloth-jax evaluate --out DIR` found"
        )
        parser.add_argument(
            "--family", help="family to plan (default: the query's, or a large one)"
        )
        parser.add_argument(
            "--flops", type=float, nargs="+", metavar="C", help="training budgets to plan, FLOPs"
        )
        add_source_options(parser)
        parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from sloth_jax.plotting.report.page import check_installed

    check_installed(options.command)
    from sloth_jax.cli.fitting import begin, saved_or_new
    from sloth_jax.cli.process import on_interrupt
    from sloth_jax.cli.queries import query_of
    from sloth_jax.files import write_text
    from sloth_jax.plotting.report.contents import Asked, read_evaluation, report_contents
    from sloth_jax.plotting.report.explore import Answers, application, open_port, serve
    from sloth_jax.plotting.report.page import page_of

    live = options.command == "explore"
    saved, table = begin(options, (".html",))
    port = open_port(options.port) if live else None
    query = None if options.query is None else query_of(options.query, table)
    given = {name: getattr(options, name) for name in ("level", "seed", "family", "flops")}
    given["command"] = shlex.join(("sloth-jax", *options.words))
    asked = Asked(query=query, evaluation=read_evaluation(options.evaluation, table), **given)
    fit, key = saved_or_new(options, saved, table)
    page = page_of(report_contents(fit, asked, key=key, progress=show_progress), live=live)
    if port is None:
        write_text(options.out, page)
        tell(f"Wrote {options.out}: {len(page.encode()) / 1e6:.1f} MB, opens in any browser")
        return
    number = port.getsockname()[1]
    app = application(page, Answers(fit, query, options.level, key), number)
    port.listen()  # who comes now waits until it is served
    on_interrupt(lambda: "the page is no longer served")
    tell(f"Serving http://127.0.0.1:{number}/ to this machine; Ctrl-C ends it")
    serve(app, port)
