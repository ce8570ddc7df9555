"""How many skills? Laws with one to five, by how well they predict lineages that are left out.

Samples the posterior of a table for each number of skills d and leaves whole lineages out by
importance sampling, so that nothing but the training table decides. The rule: the fewest skills
whose expected log density is within one standard error of the best one's. Writes skills.csv and
summary.json.

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
from sloth_jax.console import Parser, number, run_and_exit, tell
from sloth_jax.devices import use_cores
from sloth_jax.files import write_text
from sloth_jax.provenance import versions
from sloth_jax.selection import LeftOut, leave_lineages_out


def choose(found: dict[int, LeftOut]) -> tuple[int, pd.DataFrame]:
    """The rule, and the table it looks at.

    Args:
        found: number of skills -> result of leaving lineages out.

    Returns:
        The number of skills, and a row per number: ``skills, elpd, behind, se, worst_k, rough``,
        where ``behind`` is the distance to the best with its standard error, in nats, and
        ``rough`` the number of lineages with a Pareto k above 0.7.
    """
    best = max(found.values(), key=lambda one: one.total)
    rows = []
    for skills, one in sorted(found.items()):
        behind, error = one.less_than(best)
        rows.append(
            {
                "skills": skills,
                "elpd": one.total,
                "behind": behind,
                "se": error,
                "worst_k": float(np.max(one.pareto_k)),
                "rough": int((one.pareto_k > 0.7).sum()),
            }
        )
    table = pd.DataFrame(rows)
    return int(table.loc[table["behind"] <= table["se"], "skills"].iloc[0]), table


def run(options: argparse.Namespace) -> None:
    """Sample each number of skills, leave lineages out, save."""
    table = sj.load_leaderboard()
    settings = sj.SamplerSettings()
    numbers = range(1, options.most + 1)
    if options.smoke:
        table = table.subset(np.arange(len(table.models)) < 24)
        settings = replace(settings, warmup=10, draws=10, max_tree_depth=3, start_steps=20)
        numbers = range(1, 2)
    found, seconds, problems = {}, {}, {}
    for skills in numbers:
        began = time.perf_counter()
        tell(f"{skills} skills ...")
        posterior = sj.sample_posterior(
            table,
            key=jax.random.key(options.seed),
            settings=replace(settings, skills=skills),
            progress=not options.smoke,
        )
        found[skills] = leave_lineages_out(posterior, draws=40 if options.smoke else 400)
        seconds[skills] = round(time.perf_counter() - began, 1)
        problems[skills] = posterior.diagnostics.problems()
    chosen, rows = choose(found)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "skills.csv", rows.to_csv(index=False, float_format="%.4f"))
    record = {
        "chosen": chosen,
        "rule": "fewest skills within one standard error of the best",
        "models": len(table.models),
        "lineages": len(found[numbers[0]].lineages),
        "seed": options.seed,
        "smoke": options.smoke,
        "seconds": seconds,
        "problems": problems,
        "settings": asdict(settings),
        "versions": versions(),
    }
    write_text(out / "summary.json", json.dumps(record, indent=2) + "\n")
    print(rows.to_string(index=False, float_format="%.2f"))
    print(f"chosen: {chosen}")


def main() -> None:
    """Parse the command line and run."""
    parser = Parser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--most", type=number(2), default=5, metavar="D", help="default: 5")
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
