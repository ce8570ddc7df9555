"""How many skills? Laws with one to five, by how well they predict lineages that are left out.

Nothing but the training table decides. Eight groups of whole lineages are left out, one at a time,
and a fit to the rest predicts them. The rule: the fewest skills whose mean continuous
ranked probability score is within one standard error of the best one's. Beside it stands the
expected log density of each lineage by importance sampling from one fit to the whole table
(PSIS-LOO), with the number of lineages where that is rough. Writes skills.csv and summary.json.

Run: python experiments/number_of_skills.py --out out/number_of_skills
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd

import sloth_jax as sj
from sloth_jax.cli.console import Parser, number, run_and_exit, tell
from sloth_jax.data.schema import bundled_items
from sloth_jax.evaluation.leave_lineage_out import Refitted, refit_without_lineages
from sloth_jax.evaluation.methods import FOLD_SETTINGS, SMOKE_SETTINGS
from sloth_jax.files import write_text
from sloth_jax.inference.devices import use_cores
from sloth_jax.inference.fit import fit
from sloth_jax.inference.leave_lineage_out import LeftOut, leave_lineages_out
from sloth_jax.inference.settings import INFERENCES, FitSettings
from sloth_jax.provenance import versions


def choose(refitted: dict[int, Refitted], left_out: dict[int, LeftOut]) -> tuple[int, pd.DataFrame]:
    """The rule, and the table it looks at.

    Args:
        refitted: number of skills -> predictions of lineages by fits without them.
        left_out: number of skills -> result of importance sampling, for the same numbers.

    Returns:
        The number of skills, and a row per number: ``skills, crps, crps_behind, crps_se, max_rhat,
        max_pareto_k`` for the refits, ``elpd, elpd_behind, elpd_se, worst_k, rough`` for importance
        sampling. ``behind`` is the distance to the best with its standard error, a fraction or in
        nats; ``rough`` the number of lineages with a Pareto k above 0.7.
    """
    best = min(refitted.values(), key=lambda one: one.mean)
    densest = max(left_out.values(), key=lambda one: one.total)
    rows = []
    for skills, one in sorted(refitted.items()):
        behind, error = one.more_than(best)
        sampled = left_out[skills]
        elpd_behind, elpd_error = sampled.less_than(densest)
        rows.append(
            {
                "skills": skills,
                "crps": one.mean,
                "crps_behind": behind,
                "crps_se": error,
                "max_rhat": one.max_rhat,
                "max_pareto_k": one.max_pareto_k,
                "elpd": sampled.total,
                "elpd_behind": elpd_behind,
                "elpd_se": elpd_error,
                "worst_k": float(np.max(sampled.pareto_k)),
                "rough": int((sampled.pareto_k > 0.7).sum()),
            }
        )
    table = pd.DataFrame(rows)
    return int(table.loc[table["crps_behind"] <= table["crps_se"], "skills"].iloc[0]), table


def run(options: argparse.Namespace) -> None:
    """Fit each number of skills, leave lineages out, save."""
    table = sj.load_leaderboard()
    if options.sampling_error:
        items = np.array([bundled_items()[name] for name in table.benchmarks])
        table = replace(table, items=items)
    settings, of_fold = FitSettings(), FOLD_SETTINGS
    numbers, groups = range(options.least, options.most + 1), options.groups
    if options.smoke:
        table = table.subset(np.arange(len(table.models)) < 24)
        settings = of_fold = SMOKE_SETTINGS
        numbers, groups = range(1, 2), 2
    settings, of_fold = (replace(s, inference=options.inference) for s in (settings, of_fold))
    key = jax.random.key(options.seed)
    refitted: dict[int, Refitted] = {}
    left_out: dict[int, LeftOut] = {}
    seconds, problems = {}, {}
    for skills in numbers:
        began = time.perf_counter()
        tell(f"{skills} skills: {groups} groups of lineages left out ...")
        refitted[skills] = refit_without_lineages(
            table, key=key, settings=replace(of_fold, skills=skills), groups=groups
        )
        tell(f"{skills} skills: the whole table ...")
        whole = fit(table, key=key, settings=settings, skills=skills, progress=sj.show_progress)
        left_out[skills] = leave_lineages_out(whole)
        seconds[skills] = round(time.perf_counter() - began, 1)
        problems[skills] = whole.diagnostics.problems()
    chosen, rows = choose(refitted, left_out)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "skills.csv", rows.to_csv(index=False, float_format="%.5f"))
    record = {
        "chosen": chosen,
        "rule": "fewest skills whose CRPS on left-out lineages is within one standard error of the"
        " best",
        "groups": groups,
        "sampling_error": options.sampling_error,
        "models": len(table.models),
        "lineages": len(refitted[numbers[0]].lineages),
        "seed": options.seed,
        "smoke": options.smoke,
        "seconds": seconds,
        "problems": problems,
        "settings": asdict(settings),
        "settings_of_refits": asdict(of_fold),
        "versions": versions(),
    }
    write_text(out / "summary.json", json.dumps(record, indent=2) + "\n")
    print(rows.to_string(index=False, float_format="%.4f"))
    print(f"chosen: {chosen}")


def main() -> None:
    """Parse the command line and run."""
    parser = Parser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--most", type=number(2), default=5, metavar="D", help="default: 5")
    parser.add_argument("--least", type=number(1), default=1, metavar="D", help="default: 1")
    parser.add_argument(
        "--sampling-error",
        action="store_true",
        help="take p (1 - p) / n of the bundled benchmarks' numbers of items as given",
    )
    parser.add_argument(
        "--groups", type=number(2), default=8, metavar="K", help="of lineages; default: 8"
    )
    parser.add_argument(
        "--inference",
        choices=[name for name in INFERENCES if name != "mode"],
        default=FitSettings().inference,
    )
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="a few models, hardly any draws")
    options = parser.parse_args()
    use_cores(16)
    run_and_exit(
        "number_of_skills", lambda: run(options), interrupted="stopped; nothing was written"
    )


if __name__ == "__main__":
    main()
