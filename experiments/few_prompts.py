"""Can few answers tell how a benchmark depends on its prompt? Simulated, with a known truth.

A model answers 500 items under 100 templates; twice as many cells as items are seen, chosen in
balance or at random. Answers follow the law, or another one: items that discriminate unequally, and
templates that suit some categories of items better. Then five parts of a prompt, of whose 32
subsets 20 are evaluated on 200 items. Writes prompts.csv, parts.csv, best.csv and summary.json.

Run: python experiments/few_prompts.py --out out/few_prompts
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise

import jax
import numpy as np
import pandas as pd
from _runner import command_line, execute, save

import sloth_jax as sj
from sloth_jax.cli.console import number, tell
from sloth_jax.evaluation.held_out import mean_and_error
from sloth_jax.items.prompt_parts import coded, contrasts

TEMPLATES, ITEMS, EVALUATIONS = 100, 500, 2  # the budget is so many evaluations of one template
LEVEL, MEAN, TEMPLATE, ITEM = 0.9, 0.8, 0.5, 1.5  # log odds: mean, deviations of templates, items
CATEGORIES, CATEGORY, SLOPE = 5, 0.4, 0.4  # misfit: deviations of template by category, log slope
QUANTILES = (0.05, 0.5, 0.95)
SCHEMES = {"balanced": sj.items.balanced_cells, "random": sj.items.random_cells}
LAWS = ("the law", "misfit")
PARTS, EVALUATED, PART_ITEMS = 5, 20, 200
PART, PAIR, REST = 0.5, 0.2, 0.1  # deviations of effects in log odds: parts, pairs, each subset
BINS = (0.0, 0.02, 0.1, 0.3, 0.6, 1.0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, estimate, compare and save."""
    parser = command_line(__file__, __doc__, inference=(), skills=False)
    parser.add_argument("--simulations", type=number(1), default=200, metavar="N", help="of each")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.simulations = 2
    prompts, parts, best = [], [], []
    for at in range(options.simulations):
        if at % 20 == 0:
            tell(f"simulation {at + 1} of {options.simulations} ...")
        rng = np.random.default_rng([options.seed, at])
        prompts += one_benchmark(options, rng, at)
        effects, subsets = one_prompt(options, rng, at)
        parts.append(effects)
        best.append(subsets)
    found = {
        "prompts": pd.DataFrame(prompts),
        "parts": pd.concat(parts, ignore_index=True),
        "best": pd.concat(best, ignore_index=True),
    }
    of_prompts, of_parts = summary(found["prompts"]), summary_of_parts(found["parts"])
    save(
        options,
        found,
        settings_of_simulation(options),
        prompts=of_prompts,
        parts=of_parts,
        best=reliability(found["best"]),
    )
    for numbers in (*of_prompts, *of_parts):
        print(numbers)


def settings_of_simulation(options: argparse.Namespace) -> dict[str, float]:
    """What was simulated."""
    templates, items = (12, 40) if options.smoke else (TEMPLATES, ITEMS)
    found = {"simulations": options.simulations, "templates": templates, "items": items}
    found |= {"evaluations": EVALUATIONS, "mean": MEAN, "template": TEMPLATE, "item": ITEM}
    found |= {"categories": CATEGORIES, "category": CATEGORY, "slope": SLOPE, "parts": PARTS}
    found |= {"evaluated": EVALUATED, "part_items": 30 if options.smoke else PART_ITEMS}
    return found | {"part": PART, "pair": PAIR, "rest": REST}


def simulate(law: str, templates: int, items: int, rng: np.random.Generator) -> np.ndarray:
    """Answers to all cells, ``(template, item)`` bool."""
    logit = MEAN + TEMPLATE * rng.normal(size=(templates, 1)) - ITEM * rng.normal(size=items)
    if law == "misfit":
        suits = CATEGORY * rng.normal(size=(templates, CATEGORIES))
        logit = logit + suits[:, rng.integers(CATEGORIES, size=items)]
        logit = logit * np.exp(SLOPE * rng.normal(size=items))
    return rng.random(logit.shape) < 1.0 / (1.0 + np.exp(-logit))


def with_answers(cells: pd.DataFrame, right: np.ndarray) -> pd.DataFrame:
    """Cells with what was answered there."""
    row, column = (cells[name].str.split().str[1].astype(int) - 1 for name in ("template", "item"))
    return cells.assign(correct=right[row, column].astype(int))


def one_benchmark(options: argparse.Namespace, rng: np.random.Generator, at: int) -> list[dict]:
    """A simulated benchmark of each law, by both schemes: a row each."""
    settings, found = settings_of_simulation(options), []
    templates, items = int(settings["templates"]), int(settings["items"])
    of_template = [f"template {t + 1}" for t in range(templates)]
    of_item = [f"item {i + 1}" for i in range(items)]
    for law in LAWS:
        right = simulate(law, templates, items, rng)
        truth = right.mean(axis=1)
        for scheme, choose in SCHEMES.items():
            of_cells, of_fit = jax.random.split(jax.random.key(int(rng.integers(2**31))))
            cells = choose(templates, items, EVALUATIONS * items, of_cells)
            seen = with_answers(cells, right)
            answers = sj.items.read_prompt_answers(seen, templates=of_template, items=of_item)
            performance = sj.items.prompt_performance(answers, key=of_fit)
            row = {"simulation": at, "law": law, "scheme": scheme}
            row["converged"] = performance.converged
            row["distance"] = wasserstein(performance.sorted()["median"].to_numpy(), truth)
            row["distance_naive"] = wasserstein(answers.naive(), truth)
            told = performance.quantiles(QUANTILES, LEVEL).to_numpy(float)
            for share, median, lower, upper in told:
                true, name = np.quantile(truth, share), f"{100 * share:g}"
                row[f"covered_{name}"] = bool(lower <= true <= upper)
                row[f"width_{name}"] = upper - lower
                row[f"error_{name}"] = abs(median - true)
            found.append(row)
    return found


def wasserstein(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Wasserstein distance between two distributions over templates; gaps are left out."""
    share = (np.arange(2000) + 0.5) / 2000
    ends = (np.quantile(x[np.isfinite(x)], share, method="inverted_cdf") for x in (estimate, truth))
    return float(np.abs(np.subtract(*ends)).mean())


def one_prompt(
    options: argparse.Namespace, rng: np.random.Generator, at: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A simulated prompt: rows of effects, and of subsets with their probability to be best."""
    items = int(settings_of_simulation(options)["part_items"])
    held = (np.arange(2**PARTS)[:, None] >> np.arange(PARTS)) & 1 == 1
    columns, pairs = coded(held)
    scale = np.array([PART if len(pair) == 1 else PAIR for pair in pairs])
    logit = MEAN + columns @ (scale * rng.normal(size=len(scale)))
    logit += REST * rng.normal(size=len(held))
    p = 1.0 / (1.0 + np.exp(ITEM * rng.normal(size=items)[None] - logit[:, None]))
    names = np.array([f"subset {n + 1}" for n in range(len(held))])
    seen = np.sort(rng.choice(len(held), EVALUATED, replace=False))
    row, column = np.divmod(np.arange(EVALUATED * items), items)
    answers = pd.DataFrame({"template": names[seen[row]], "item": column.astype(str)})
    answers["correct"] = (rng.random(len(row)) < p[seen[row], column]).astype(int)
    parts = pd.DataFrame(held.astype(int), index=names, columns=list("ABCDE"))
    found = sj.items.prompt_parts(answers, parts, key=jax.random.key(int(rng.integers(2**31))))
    effects = found.effects(LEVEL)
    truth = contrasts(held)[0] @ p.mean(axis=1)
    effects = effects.assign(simulation=at, truth=truth, converged=found.converged)
    chance = np.bincount(found.logits.argmax(axis=1), minlength=len(held)) / len(found.logits)
    best = np.arange(len(held)) == logit.argmax()
    subsets = {"simulation": at, "subset": names, "probability": chance, "best": best}
    return effects, pd.DataFrame(subsets)


def numbers_of(columns: dict[str, np.ndarray]) -> dict[str, float]:
    """Means over simulations, and ``_se``."""
    found: dict[str, float] = {}
    for name, values in columns.items():
        values = np.asarray(values, float)
        mean, se = mean_and_error(values, np.arange(len(values)))
        found |= {name: round(float(mean), 4), f"{name}_se": round(float(se), 4)}
    return found


def summary(rows: pd.DataFrame) -> list[dict]:
    """By law and scheme: distances, coverage and widths of intervals."""
    found = []
    for (law, scheme), own in rows.groupby(["law", "scheme"], sort=False):
        numbers = {name: own[name].to_numpy(float) for name in own.columns[3:]}
        ratio = own["distance"].mean() / own["distance_naive"].mean()
        kept = numbers_of(numbers) | {"ratio": round(float(ratio), 4)}
        found.append({"law": str(law), "scheme": str(scheme), **kept})
    return found


def rank_correlation(rows: pd.DataFrame) -> float:
    """Of estimated and true effects."""
    return float(rows["median"].corr(rows["truth"], method="spearman"))


def summary_of_parts(rows: pd.DataFrame) -> list[dict]:
    """For parts and for pairs: rank correlation, coverage, errors and widths of effects."""
    found = []
    pair = rows["with"].fillna("").ne("")
    for kind, own in (("parts", rows[~pair]), ("pairs", rows[pair])):
        own = own.assign(
            covered=own["truth"].between(own["lower"], own["upper"]),
            error=(own["median"] - own["truth"]).abs(),
            width=own["upper"] - own["lower"],
        )
        each = own.groupby("simulation")
        ranks = [rank_correlation(one) for _, one in each]
        means = {name: each[name].mean().to_numpy() for name in ("covered", "error", "width")}
        numbers = numbers_of({"rank_correlation": np.array(ranks), **means})
        found.append({"kind": kind, **numbers, "pooled_rank": round(rank_correlation(own), 4)})
    return found


def reliability(rows: pd.DataFrame) -> dict:
    """Of the probability to be best: by bins of it how often that came true, and of the first."""
    bins = []
    for low, high in pairwise(BINS):
        above = (rows["probability"] > low) | (low == 0.0)  # those that no draw has as best, too
        own = rows[above & (rows["probability"] <= high)]
        came = own["best"].groupby(own["simulation"]).agg(["sum", "count"])
        if len(own) == 0:
            continue
        share = own["best"].mean()
        rest = came["sum"] - share * came["count"]  # a ratio's error over simulations
        se = float(np.sqrt((rest**2).sum()) / len(own))
        numbers = {"subsets": len(own), "said": own["probability"].mean(), "came_true": share}
        bins.append({"low": low, "high": high, **numbers, "came_true_se": se})
    first = rows.loc[rows.groupby("simulation")["probability"].idxmax()]
    numbers = {"first_said": first["probability"], "first_best": first["best"].astype(float)}
    return {"bins": bins, **numbers_of({name: x.to_numpy() for name, x in numbers.items()})}


if __name__ == "__main__":
    execute(main)
