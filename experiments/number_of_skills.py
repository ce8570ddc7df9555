"""How many skills? Laws with one to five, by how well they predict lineages that are left out.

Nothing but the training table decides. Eight groups of whole lineages are left out, one at a time,
and a fit to the rest predicts them. The rule: the fewest skills whose mean continuous
ranked probability score is within one standard error of the best one's. Beside it stands the
expected log density of each lineage by importance sampling from one fit to the whole table
(PSIS-LOO), with the number of lineages where that is rough. Writes skills.csv and summary.json.

Run: python experiments/number_of_skills.py --out out/number_of_skills
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import jax
import numpy as np
import pandas as pd
from _runner import SAMPLED, command_line, edition_2024, execute, first_models, save, settings_of

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.data.schema import bundled_items
from sloth_jax.evaluation.leave_lineage_out import LineageCrps, cross_validate_lineages
from sloth_jax.evaluation.methods import FOLD_SETTINGS
from sloth_jax.inference.leave_lineage_out import LineageElpd, lineage_elpd

RULE = "fewest skills whose CRPS on left-out lineages is within one standard error of the best"


def choose(
    refitted: dict[int, LineageCrps], left_out: dict[int, LineageElpd]
) -> tuple[int, pd.DataFrame]:
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
        sampled = left_out[skills]
        row = {"skills": skills, "crps": one.mean}
        row["crps_behind"], row["crps_se"] = one.crps_difference(best)
        row |= {"max_rhat": one.max_rhat, "max_pareto_k": one.max_pareto_k, "elpd": sampled.total}
        row["elpd_behind"], row["elpd_se"] = sampled.elpd_difference(densest)
        row["worst_k"] = float(np.max(sampled.pareto_k))
        rows.append(row | {"rough": int((sampled.pareto_k > 0.7).sum())})
    table = pd.DataFrame(rows)
    return int(table.loc[table["crps_behind"] <= table["crps_se"], "skills"].iloc[0]), table


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit each number of skills, leave lineages out, save."""
    parser = command_line(__file__, __doc__, inference=SAMPLED, skills=False)
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
    options = parser.parse_args(arguments)
    table = edition_2024()
    if options.sampling_error:
        items = np.array([bundled_items()[name] for name in table.benchmarks])
        table = replace(table, items=items)
    settings, of_fold = settings_of(options), settings_of(options, FOLD_SETTINGS)
    numbers, groups = range(options.least, options.most + 1), options.groups
    if options.smoke:
        table, numbers, groups = first_models(table), numbers[:2], 2
    key = jax.random.key(options.seed)
    refitted: dict[int, LineageCrps] = {}
    left_out: dict[int, LineageElpd] = {}
    seconds, problems = {}, {}
    for skills in numbers:
        began = time.perf_counter()
        tell(f"{skills} skills: {groups} groups of lineages left out ...")
        of_number = replace(of_fold, skills=skills)
        refitted[skills] = cross_validate_lineages(
            table, key=key, settings=of_number, groups=groups
        )
        tell(f"{skills} skills: the whole table ...")
        of_number = replace(settings, skills=skills)
        whole = sj.fit(table, key=key, settings=of_number, progress=sj.show_progress)
        left_out[skills] = lineage_elpd(whole)
        seconds[skills] = round(time.perf_counter() - began, 1)
        problems[skills] = whole.diagnostics.problems()
    chosen, rows = choose(refitted, left_out)
    save(
        options,
        {"skills": rows},
        settings,
        chosen=chosen,
        rule=RULE,
        groups=groups,
        sampling_error=options.sampling_error,
        models=len(table.models),
        lineages=len(refitted[numbers[0]].lineages),
        seconds=seconds,
        problems=problems,
        settings_of_refits=asdict(of_fold),
    )
    print(rows.to_string(index=False, float_format="%.4f"))
    print(f"chosen: {chosen}")


if __name__ == "__main__":
    execute(main)
