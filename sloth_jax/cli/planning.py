"""The commands that answer what to train: ``plan``, ``require`` and ``compare``."""

from __future__ import annotations

import argparse
import json
import math
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sloth_jax.cli.console import number, show_progress, tell
from sloth_jax.cli.fit import (
    about_fit,
    add_source_options,
    kept_fit,
    level,
    make_fit,
    prepare,
    skills_wanted,
    table_of,
    tell_of_extrapolation,
    tell_of_new_families,
)
from sloth_jax.files import check_writable, frame_csv, write_text

if TYPE_CHECKING:
    import pandas as pd

    from sloth_jax.inference.fit import Fit
    from sloth_jax.planning.optimal import Bounds, Family
    from sloth_jax.skills.interpret import Skills

_SKILL = re.compile(r"skill \d+")


def add_planning_commands(commands: Any) -> None:
    """Add the three parsers to those of the command."""
    plan = commands.add_parser(
        "plan",
        help="split training budgets between parameters and tokens",
        description="The sizes and tokens that are best for training budgets: 6 x active "
        "parameters x tokens within FLOPs.",
        epilog="example: sloth-jax plan --fit fit.nc --flops 1e24 --family qwen2 "
        "--target MMLU-PRO\n"
        "         sloth-jax plan --fit fit.nc --flops 1e22 1e26 --budgets 50 --family qwen2 "
        "--plot plan.png",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plan.add_argument(
        "--flops", type=float, nargs="+", required=True, metavar="C", help="training budgets"
    )
    plan.add_argument(
        "--budgets",
        type=number(2),
        metavar="N",
        help="so many budgets between the two of --flops, evenly in their logarithm",
    )
    _add_family_options(plan)
    plan.add_argument(
        "--target",
        default="mean",
        help='a benchmark, "mean" of all (default), a mix like "MMLU=2,GSM8K=1", or "skill 1"',
    )
    plan.add_argument(
        "--may-spend-less",
        action="store_true",
        help="search splits that cost less than the budget too",
    )
    _add_outputs(plan, "a CSV of the frontier")
    plan.set_defaults(run=_plan)

    require = commands.add_parser(
        "require",
        help="the least that reaches a score",
        description="The smallest size (with --tokens-t), the fewest tokens (with --params-b) or "
        "the least compute (with neither) that reaches a score with a probability.",
        epilog="example: sloth-jax require --fit fit.nc --benchmark GSM8K --score 0.8 "
        "--family qwen2 --tokens-t 15",
    )
    require.add_argument("--benchmark", required=True, help="which is to be reached")
    require.add_argument("--score", type=level, required=True, help="to be reached, a fraction")
    require.add_argument(
        "--probability",
        type=level,
        default=0.8,
        help="with which it is to be reached (default: 0.8)",
    )
    _add_family_options(require)
    require.add_argument("--tokens-t", type=float, metavar="T", help="tokens, trillions")
    require.add_argument("--params-b", type=float, metavar="S", help="parameters, billions")
    _add_outputs(require, "a CSV with the answer")
    require.set_defaults(run=_require)

    compare = commands.add_parser(
        "compare",
        help="which of some models would be best",
        description="Expected scores of candidates, with intervals and the probability that each "
        "is the best.",
        epilog="example: sloth-jax compare candidates.csv --fit fit.nc\n"
        "where candidates.csv holds the columns model, family, params_b, tokens_t, like a query",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument("candidates", metavar="CANDIDATES", help="CSV or parquet, a row per model")
    compare.add_argument(
        "--target",
        default="mean",
        help='what "overall" means: "mean" of all benchmarks (default), one, or a mix',
    )
    _add_outputs(compare, "a CSV, a row per candidate and benchmark")
    compare.set_defaults(run=_compare)


def _add_family_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--family", required=True, help="whose model; one that is not in the table is a new one"
    )
    parser.add_argument("--lineage", help="its pretraining run, where the table does not say")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--post-trained", action="store_true", default=None, help="a chat model")
    kind.add_argument("--base", dest="post_trained", action="store_false", help="a base model")
    parser.add_argument(
        "--active-fraction",
        type=float,
        default=1.0,
        metavar="A",
        help="active over all parameters of a mixture of experts (default: 1, dense)",
    )
    for name, default in (("params-b", "0.1 1000 billion"), ("tokens-t", "0.05 50 trillion")):
        parser.add_argument(
            f"--{name}-bounds",
            type=float,
            nargs=2,
            metavar=("LEAST", "MOST"),
            help=f"among which to choose (default: {default})",
        )


def _add_outputs(parser: argparse.ArgumentParser, what: str) -> None:
    add_source_options(parser)
    parser.add_argument("--json", action="store_true", help="JSON instead of words or CSV")
    parser.add_argument("--out", metavar="FILE", help=f"write {what} there (JSON with --json)")
    parser.add_argument("--plot", metavar="FIGURE", help="draw a figure there (.png, .pdf, .svg)")


def _target(text: str) -> str | dict[str, float]:
    """What ``--target`` says: a name, or names with weights."""
    from sloth_jax.errors import InputError

    if "=" not in text:
        return text
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.rpartition("=")
        try:
            found[name.strip()] = float(weight)
        except ValueError:
            raise InputError(
                f"--target {text!r}: {weight.strip()!r} is not a number; write MMLU=2,GSM8K=1"
            ) from None
    return found


def _family(options: argparse.Namespace) -> Family:
    from sloth_jax.planning.optimal import Family

    return Family(options.family, options.lineage, options.post_trained, options.active_fraction)


def _bounds(options: argparse.Namespace) -> Bounds:
    from sloth_jax.planning.optimal import Bounds

    given = {
        name: tuple(getattr(options, f"{name}_bounds"))
        for name in ("params_b", "tokens_t")
        if getattr(options, f"{name}_bounds")
    }
    return Bounds(**given)


def _check_outputs(options: argparse.Namespace) -> None:
    from pathlib import Path

    from sloth_jax.errors import InputError

    for path in (options.out, options.plot):
        if path is not None:
            check_writable(path)
    if options.plot is not None and Path(options.plot).suffix not in (".png", ".pdf", ".svg"):
        raise InputError(f"--plot {options.plot}: name a file that ends in .png, .pdf or .svg")


def _plan(options: argparse.Namespace) -> None:
    prepare()
    import jax
    import numpy as np

    from sloth_jax.errors import InputError
    from sloth_jax.planning.optimal import check_budgets, compute_optimal
    from sloth_jax.planning.targets import find_target
    from sloth_jax.skills.interpret import interpret_skills

    _check_outputs(options)
    family, bounds, target = _family(options), _bounds(options), _target(options.target)
    flops = np.array(options.flops)
    check_budgets(flops, family, bounds)
    if options.budgets is not None:
        if len(flops) != 2:
            raise InputError("--budgets needs two numbers in --flops, the least and the most")
        flops = np.geomspace(flops[0], flops[1], options.budgets)
    kept = kept_fit(options)
    table = table_of(options, kept)
    of_skill = isinstance(target, str) and _SKILL.fullmatch(target) is not None
    skills = len(kept.pivot_benchmarks) if kept else skills_wanted(options, table)
    find_target(target, table.benchmarks, tuple(f"skill {k + 1}" for k in range(skills)))
    fit_key, plan_key, skill_key = jax.random.split(jax.random.key(options.seed), 3)
    fit = make_fit(options, kept, table, fit_key)
    interpreted: Skills | None = interpret_skills(fit, key=skill_key) if of_skill else None
    with show_progress("searching"):
        plan = compute_optimal(
            fit, flops, family=family, target=target, bounds=bounds,
            spend_all=not options.may_spend_less, level=options.level, key=plan_key,
            skills=interpreted,
        )  # fmt: skip
    tell_of_new_families((family.name,), table)
    names = [f"{budget:.3g} FLOPs" for budget in plan.frontier["flops"]]
    tell_of_extrapolation(names, tuple(plan.frontier["outside"]))
    if options.plot is not None:
        _draw_plan(plan, options.plot)
    about = {
        "family": family.name,
        "family_models": plan.family_models,
        "active_fraction": family.active_fraction,
        "target": plan.target.label,
        "level": plan.level,
        "inference": plan.inference,
        "bounds": asdict(bounds),
        "plans": plan.frontier.to_dict("records"),
    }
    _give(options, fit, plan.frontier, about, plan_in_words(plan))


def plan_in_words(plan: Any) -> str:
    """The frontier as a table for people."""
    rows = plan.frontier
    unit = "" if plan.target.skill is None else " (sd of models)"
    lines = [
        f"{plan.family.name}, best for {plan.target.label}{unit}; intervals of "
        f"{100 * plan.level:g} %"
    ]
    head = ("FLOPs", "params_b", "tokens_t", "score", "as good: params_b")
    lines.append(f"{head[0]:>9}  {head[1]:>24}  {head[2]:>24}  {head[3]:>20}  {head[4]:>18}")

    def with_ends(*values: float) -> str:
        return "{:.3g} ({:.3g} to {:.3g})".format(*values)

    for row in rows.to_dict("records"):
        size, tokens = (
            with_ends(*(row[f"{name}{end}"] for end in ("", "_lower", "_upper")))
            for name in ("params_b", "tokens_t")
        )
        score = with_ends(row["mean"], row["lower"], row["upper"])
        alike = f"{row['params_b_least']:.3g} to {row['params_b_most']:.3g}"
        mark = "  outside" if row["outside"] else ""
        lines.append(
            f"{row['flops']:>9.3g}  {size:>24}  {tokens:>24}  {score:>20}  {alike:>18}{mark}"
        )
    return "\n".join(lines)


def _draw_plan(plan: Any, path: str) -> None:
    from sloth_jax.plotting.planning import plot_frontier, plot_reached, plot_splits

    if len(plan.frontier) == 1:
        _draw(path, 1, lambda axes: plot_splits(plan, plan.frontier["flops"].iloc[0], ax=axes[0]))
    else:

        def draw(axes: Any) -> None:
            for name, ax in zip(("params_b", "tokens_t"), axes, strict=False):
                plot_frontier(plan, name, ax=ax)
            plot_reached(plan, ax=axes[2])

        _draw(path, 3, draw)


def _draw(path: str, panels: int, draw: Any, size: tuple[float, float] = (4.6, 3.4)) -> None:
    import matplotlib

    matplotlib.use("Agg")  # a command writes files and needs no window
    import matplotlib.pyplot as plt

    from sloth_jax.plotting.plots import style

    with style():
        shape = (size[0] * panels, size[1])
        figure, axes = plt.subplots(1, panels, figsize=shape, layout="constrained", squeeze=False)
        draw(axes[0])
        figure.savefig(path)
        plt.close(figure)
    tell(f"Drew {path}")


def _require(options: argparse.Namespace) -> None:
    prepare()
    import jax
    import pandas as pd

    from sloth_jax.errors import InputError
    from sloth_jax.planning.optimal import required
    from sloth_jax.planning.targets import find_target

    _check_outputs(options)
    if options.params_b is not None and options.tokens_t is not None:
        raise InputError("a size and tokens leave nothing to solve for: give one of them, or none")
    for name in ("params_b", "tokens_t"):
        given = getattr(options, name)
        if given is not None and not (math.isfinite(given) and given > 0):
            option = name.replace("_", "-")
            raise InputError(f"--{option} {given:g} is not a positive number")
    family, bounds = _family(options), _bounds(options)
    kept = kept_fit(options)
    table = table_of(options, kept)
    find_target({options.benchmark: 1.0}, table.benchmarks)
    fit_key, key = jax.random.split(jax.random.key(options.seed))
    fit = make_fit(options, kept, table, fit_key)
    with show_progress("searching"):
        found = required(
            fit, options.benchmark, options.score, family=family,
            probability=options.probability, params_b=options.params_b,
            tokens_t=options.tokens_t, bounds=bounds, key=key,
        )  # fmt: skip
    tell_of_new_families((family.name,), table)
    tell_of_extrapolation((family.name,), (found.outside,))
    if options.plot is not None:
        from sloth_jax.plotting.planning import plot_requirement  # Matplotlib takes a second

        _draw(options.plot, 1, lambda axes: plot_requirement(found, ax=axes[0]))
    row = {name: value for name, value in vars(found).items() if name != "curve"}
    about = {**row, "bounds": asdict(bounds)}
    _give(options, fit, pd.DataFrame([row]), about, _in_words(found))


def _in_words(found: Any) -> str:
    """A requirement in two lines."""
    what = f"{found.benchmark} >= {found.score:g}"
    at = f"params_b {found.params_b:.4g}, tokens_t {found.tokens_t:.4g} ({found.flops:.3g} FLOPs)"
    how = f"probability {found.probability:.3f} (Monte Carlo error {found.standard_error:.3f})"
    wish = f"{what} with probability {found.asked:g}"
    if found.reached:
        return f"{wish}: {at}\n{how}, expected score {found.mean:.3f}"
    return f"{wish}: not reached within bounds\nclosest: {at}, {how}"


def _compare(options: argparse.Namespace) -> None:
    prepare()
    import jax

    from sloth_jax.data.query import load_query
    from sloth_jax.planning.optimal import compare
    from sloth_jax.planning.targets import find_target

    _check_outputs(options)
    target = _target(options.target)
    kept = kept_fit(options)
    table = table_of(options, kept)
    query = load_query(options.candidates, table)
    for warning in query.warnings:
        tell(f"note: {warning}")
    find_target(target, table.benchmarks)
    # The same keys as predict: the same candidates have the same predictions.
    fit_key, key = jax.random.split(jax.random.key(options.seed))
    fit = make_fit(options, kept, table, fit_key)
    with show_progress("comparing"):
        rows = compare(fit, query, target=target, level=options.level, key=key)
    tell_of_new_families(query.families, table)
    once = rows[rows["benchmark"] == rows["benchmark"].iloc[0]]
    tell_of_extrapolation(tuple(once["model"]), tuple(once["outside"]))
    if options.plot is not None:
        from sloth_jax.plotting.planning import plot_candidates

        _draw(options.plot, 1, lambda axes: plot_candidates(rows, ax=axes[0]), (6.4, 4.6))
    words = rows.drop(columns=["level", "outside"]).to_string(index=False, float_format="%.3f")
    about = {"level": options.level, "candidates": rows.to_dict("records")}
    _give(options, fit, rows, about, words)


def _give(
    options: argparse.Namespace, fit: Fit, frame: pd.DataFrame, data: dict[str, Any], words: str
) -> None:
    """Print or write an answer the way the user wants it."""
    from sloth_jax.provenance import versions

    if options.json:
        made = {**about_fit(fit), "seed": options.seed, "versions": versions()}
        text = json.dumps({**data, **made}, indent=2) + "\n"
    else:
        text = frame_csv(frame, "%.6g")
    if options.out is not None:
        write_text(options.out, text)
        tell(f"Wrote {options.out}")
    else:
        print(text if options.json else words, end="" if options.json else "\n")
