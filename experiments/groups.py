"""Does it help to know that benchmarks are parts of one suite? Suites of held-out lineages.

A suite (24 tasks of BBH, 57 subjects of MMLU) is forecast by three laws: of the suites' means
alone; of all parts as strangers; of all parts in groups, which share a part of what is believed of
them. The last two forecast a suite by the mean of its parts in every draw. Whole lineages are left
out. How many skills a table of parts needs, and how much parts share, is decided on the first
leaderboard, by the mode, with and without the smallest model of each family: the number of skills
by the least CRPS of all suites, then the correlation by that of the suite that has parts. The three
laws are compared on the second, and the last two also where each model was measured on a few parts,
drawn at random.

Writes skills.csv, development.csv, scores.csv, differences.csv, summary.json, and legs/, a file per
law and split: a run that is stopped goes on with the next.

Run: python experiments/groups.py --out out/groups --subscores data_v2.csv
where data_v2.csv is the table of sub-scores that github.com/felipemaiapolo/sloth holds in data/.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
from _runner import (
    check_same,
    command_line,
    draw_held_out,
    execute,
    first_models,
    save,
    settings_of,
)

import sloth_jax as sj
from sloth_jax.cli.console import tell
from sloth_jax.data.schema import COLUMNS
from sloth_jax.evaluation.held_out import mean_and_error, score_rows
from sloth_jax.evaluation.methods import FOLD_SETTINGS
from sloth_jax.evaluation.splits import split_by_lineage
from sloth_jax.files import frame_csv, write_text
from sloth_jax.forecasting.aggregates import aggregation

# Prefix of the columns of parts -> suite, and benchmarks without parts, by leaderboard.
SUITES = {
    "first": {"hendrycksTest-": "MMLU"},
    "second": {"bbh_": "BBH", "math_": "MATH Lvl 5", "gpqa_": "GPQA", "musr_": "MUSR"},
}
WHOLE = {
    "first": ("ARC", "HellaSwag", "Winogrande", "TruthfulQA", "GSM8K"),
    "second": ("IFEval", "MMLU-PRO"),
}
SKILLS = (3, 6, 9)  # of tables of parts
CORRELATIONS = (0.0, 0.25, 0.5, 0.75)
COUNTS = (0, 1)  # models of a family that stay, in development; none in the comparison
FEW = 0.2  # share of the parts that a model was measured on, where these are few
# Groups of lineages that are left out together.
FOLDS = {"first": 4, "second": 6, "few": 3}
# Choices of each task of BBH: floors are one over them. Source: BIG-Bench Hard, arXiv:2210.09261.
CHOICES = {
    2: "boolean_expressions causal_judgement formal_fallacies hyperbaton navigate snarks"
    " sports_understanding web_of_lies",
    3: "disambiguation_qa logical_deduction_three_objects tracking_shuffled_objects_three_objects",
    4: "temporal_sequences",
    5: "logical_deduction_five_objects penguins_in_a_table tracking_shuffled_objects_five_objects",
    6: "date_understanding movie_recommendation ruin_names salient_translation_error_detection",
    7: "logical_deduction_seven_objects tracking_shuffled_objects_seven_objects",
    11: "geometric_shapes",
    18: "reasoning_about_colored_objects",
    19: "object_counting",
}
FLOORS = {f"bbh_{task}": 1.0 / n for n, tasks in CHOICES.items() for task in tasks.split()}
FLOORS |= {
    "musr_murder_mysteries": 1 / 2,
    "musr_object_placements": 1 / 5,
    "musr_team_allocation": 1 / 3,
}
FLOOR_OF = {"gpqa_": 0.25, "math_": 0.0, "hendrycksTest-": 0.25}


class Leg(NamedTuple):
    """One law on one split.

    Attributes:
        leaderboard: of :data:`SUITES`.
        law: ``suites``, of their means alone, or ``parts``.
        skills: their number.
        correlation: between parts of a suite; 0 for strangers.
        count: smallest models of each family that stay.
        inference: how the law is fitted.
        folds: of lineages.
        share: of a model's scores on parts that are there to learn from.
    """

    leaderboard: str
    law: str
    skills: int
    correlation: float
    count: int
    inference: str
    folds: int
    share: float = 1.0

    @property
    def name(self) -> str:
        """Of its file."""
        shared = f"_{self.correlation:g}" if self.law == "parts" else ""
        few = "" if self.share == 1.0 else f"_{self.share:g}"
        start = f"{self.leaderboard}_{self.law}_k{self.skills}{shared}"
        return f"{start}_n{self.count}_{self.inference}{few}"


class Tables(NamedTuple):
    """A leaderboard twice.

    Attributes:
        parts: with a benchmark per part, in groups.
        suites: of the same models, each suite the mean of its parts.
        weights: of parts in suites, ``(suite, part)``.
    """

    parts: sj.Leaderboard
    suites: sj.Leaderboard
    weights: np.ndarray


def read_tables(path: Path, leaderboard: str) -> Tables:
    """Tables of parts and suites, of models of known size and tokens that have all of them.

    Args:
        path: of the table of sub-scores, with the columns ``Model`` and those of the parts; what
            else is known of models is that of the bundled table.
        leaderboard: of :data:`SUITES`.

    Raises:
        InputError: if the file lacks columns or models.
    """
    try:
        given = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise sj.InputError(f"{path}: cannot be read ({error})") from None
    suite_of = {
        column: (suite, FLOOR_OF.get(prefix, FLOORS.get(column, 0.0)))
        for prefix, suite in SUITES[leaderboard].items()
        for column in given.columns
        if column.startswith(prefix)
    }
    columns = [*suite_of, *WHOLE[leaderboard]]
    lacking = sorted({"Model", *columns} - set(given.columns))
    lacking += sorted(set(SUITES[leaderboard].values()) - {suite for suite, _ in suite_of.values()})
    if lacking:
        raise sj.InputError(f"{path}: no table of sub-scores, {lacking[0]} is missing")
    facts = sj.load_leaderboard(edition="2024").to_frame()
    scores = given[["Model", *columns]].rename(columns={"Model": "model"}).dropna()
    frame = facts[[name for name in COLUMNS if name in facts]].merge(scores, on="model")
    frame = frame.dropna(subset=["params_b", "tokens_t"])
    if frame.empty:
        raise sj.InputError(f"{path}: no model with all parts whose size and tokens are known")
    about = [(part, floor, suite) for part, (suite, floor) in suite_of.items()]
    floors = pd.DataFrame(about, columns=["benchmark", "floor", "group"])
    parts = sj.load_leaderboard(frame, floors=floors)
    found = aggregation(parts)
    alone = [parts.benchmarks.index(name) for name in WHOLE[leaderboard]]
    weights = np.concatenate([found.weights, np.eye(len(parts.benchmarks))[alone]])
    measured = parts.scores @ weights.T
    suites = replace(
        parts,
        benchmarks=(*found.names, *WHOLE[leaderboard]),
        scores=measured,
        floors=weights @ parts.floors,
        standard_errors=np.full(measured.shape, np.nan),
        items=np.full(len(weights), np.nan),
        source=np.zeros(measured.shape, np.int64),
        group_of_benchmark=(),
    )
    return Tables(parts, suites, weights)


def predict(tables: Tables, leg: Leg, settings: sj.FitSettings, key: jax.Array) -> pd.DataFrame:
    """Held-out scores of suites, and of parts where the law has them, judged.

    Returns:
        Rows of :func:`sloth_jax.evaluation.held_out.score_rows`, with ``fold``, ``pareto_k`` and
        ``of``, which says whether a row is of a suite or of a part.
    """
    of_parts = leg.law == "parts"
    table = tables.parts if of_parts else tables.suites
    prior = replace(settings.prior, group_correlation=leg.correlation)
    settings = replace(settings, skills=leg.skills, inference=leg.inference, prior=prior)
    split = split_by_lineage(table, leg.count, folds=leg.folds)
    train = split.train & measured(tables, table, leg.share, key)[None]
    found = draw_held_out(table, train, split.test, settings, key)
    fold, model = np.nonzero(split.test)
    draws = found.fitted.draws[fold, :, model].astype(float)  # (entry, draw, benchmark)
    kinds = [("part", tables.parts, draws)] if of_parts else []
    means = draws @ tables.weights.T if of_parts else draws
    rows = []
    for of, one, drawn in (*kinds, ("suite", tables.suites, means)):
        entry, benchmark = np.nonzero(one.observed[model])
        judged = score_rows(one, model[entry], benchmark, drawn[entry, :, benchmark].T)
        facts = {"fold": fold[entry], "pareto_k": found.fitted.pareto_k[fold[entry]], "of": of}
        rows.append(judged.assign(**facts))
    return pd.concat(rows, ignore_index=True)


def measured(tables: Tables, table: sj.Leaderboard, share: float, key: jax.Array) -> np.ndarray:
    """Scores that there are to learn from: a share of each part, the same for all laws, at random.

    Returns:
        ``(model, benchmark)``, bool.
    """
    there = np.ones(table.scores.shape, bool)
    if share < 1.0:
        drawn = np.asarray(jax.random.uniform(key, there.shape)) < share
        for parts in tables.parts.groups().values():
            there[:, parts] = drawn[:, parts]
    return there


def legs_of_skills(folds: int, smoke: bool) -> Iterator[Leg]:
    """Those that decide the number of skills."""
    for skills in SKILLS[:1] if smoke else SKILLS:
        for count in COUNTS[1:] if smoke else COUNTS:
            yield Leg("first", "parts", skills, sj.Prior().group_correlation, count, "mode", folds)


def legs_of_correlations(skills: int, folds: int, smoke: bool) -> Iterator[Leg]:
    """Those that decide the correlation, with so many skills."""
    for rho in CORRELATIONS[1:2] if smoke else CORRELATIONS:
        for count in COUNTS[1:] if smoke else COUNTS:
            yield Leg("first", "parts", skills, rho, count, "mode", folds)


def legs_of_comparison(
    skills: int, folds: Mapping[str, int], settings: sj.FitSettings
) -> Iterator[Leg]:
    """Those of the second leaderboard; the law of suites has as many skills as was asked for."""
    shared, whole = sj.Prior().group_correlation, folds["second"]
    for law, k, rho in (
        ("suites", settings.skills, 0.0),
        ("parts", skills, 0.0),
        ("parts", skills, shared),
    ):
        yield Leg("second", law, k, rho, 0, settings.inference, whole)
    for k in sorted({settings.skills, skills}):  # few scores may not tell more skills apart
        for rho in (0.0, shared):
            yield Leg("second", "parts", k, rho, 0, settings.inference, folds["few"], FEW)


def judge(
    tables: Mapping[str, Tables],
    settings: sj.FitSettings,
    key: jax.Array,
    folder: Path,
    legs: Iterable[Leg],
) -> pd.DataFrame:
    """Judged scores of legs, of those without a file in the folder after predicting them."""
    rows = []
    for leg in legs:
        path = folder / f"{leg.name}.csv"
        tell(f"{leg.name}: done before" if path.exists() else f"{leg.name} ...")
        if not path.exists():
            found = predict(tables[leg.leaderboard], leg, settings, key)
            write_text(path, frame_csv(found, "%.9g"))
        rows.append(pd.read_csv(path).assign(**leg._asdict()))
    return pd.concat(rows, ignore_index=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict every leg that is not done yet, save and compare."""
    parser = command_line(__file__, __doc__)
    parser.add_argument(
        "--subscores", type=Path, required=True, metavar="FILE", help="table of sub-scores"
    )
    options = parser.parse_args(arguments)
    settings = settings_of(options, FOLD_SETTINGS)
    tables = {name: read_tables(options.subscores, name) for name in SUITES}
    if options.smoke:
        tables = {name: few(found) for name, found in tables.items()}
    record, folder = options.out / "summary.json", options.out / "legs"
    wanted = {"seed": options.seed, "smoke": options.smoke, "settings": asdict(settings)}
    if record.exists():
        check_same(options.out, json.loads(record.read_text()), wanted)
    else:
        save(options, {}, settings)
    folder.mkdir(parents=True, exist_ok=True)
    judged = partial(judge, tables, settings, jax.random.key(options.seed), folder)
    folds = dict.fromkeys(FOLDS, 2) if options.smoke else FOLDS
    skills = by_choice(judged(legs_of_skills(folds["first"], options.smoke)), "skills")
    number = int(least(skills, "all_crps", "skills"))
    development = by_choice(
        judged(legs_of_correlations(number, folds["first"], options.smoke)), "correlation"
    )
    scores = judged(legs_of_comparison(number, folds, settings))
    means = summarised(scores)
    compared = differences(scores)
    shape = {
        name: {"models": len(found.suites.models), "lineages": len(found.suites.lineages)}
        | {"suites": len(found.suites.benchmarks), "parts": len(found.parts.benchmarks)}
        for name, found in tables.items()
    }
    results = {
        "skills": skills,
        "development": development,
        "scores": means,
        "differences": compared,
    }
    told = {name: json.loads(rows.to_json(orient="records")) for name, rows in results.items()}
    chosen = least(development, "crps", "correlation")
    decided = {"chosen": chosen, "chosen_skills": number}
    save(options, results, settings, sizes=shape, folds=FOLDS, **decided, **told)
    print(*(rows.to_string(index=False) for rows in results.values()), sep="\n\n")


def few(tables: Tables) -> Tables:
    """The first models, for a smoke run."""
    return tables._replace(parts=first_models(tables.parts), suites=first_models(tables.suites))


def by_choice(scores: pd.DataFrame, choice: str) -> pd.DataFrame:
    """CRPS on the first leaderboard by skills or correlation, with errors over lineages.

    Of all suites, ``all_crps``; of those that have parts, ``crps``; of their parts, ``parts_crps``;
    and of the benchmarks that stand alone, ``alone_crps``; with the share inside 90 % intervals.
    """
    found = []
    alone = scores["benchmark"].isin(WHOLE["first"])
    suite = scores["of"] == "suite"
    kinds = {
        "all_": suite,
        "": suite & ~alone,
        "parts_": (scores["of"] == "part") & ~alone,
        "alone_": suite & alone,
    }
    for value in sorted(scores[choice].unique()):
        one: dict[str, float] = {choice: value}
        for name, chosen in kinds.items():
            rows = scores[chosen & (scores[choice] == value)]
            for number in ("crps", "covered_90"):
                one |= mean_of(rows, number, f"{name}{number}")
        found.append(one)
    return pd.DataFrame(found)


def least(rows: pd.DataFrame, number: str, choice: str) -> float:
    """The choice by which a number is least."""
    return float(rows[choice].to_numpy()[int(np.argmin(rows[number].to_numpy()))])


def mean_of(rows: pd.DataFrame, column: str, name: str) -> dict[str, float]:
    """Mean of a column and its standard error over lineages, by ``name`` and ``name_se``."""
    mean, error = mean_and_error(rows[column].to_numpy(float), rows["lineage"].to_numpy())
    return {name: mean, f"{name}_se": error}


def on_the_second(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows of the comparison, with the law's name: suites, strangers or groups.

    Of parts, those of groups alone.
    """
    rows = scores[scores["leaderboard"] == "second"]
    rows = rows[(rows["of"] == "suite") | ~rows["benchmark"].isin(WHOLE["second"])]
    shared = np.where(rows["correlation"] == 0.0, "strangers", "groups")
    return rows.assign(law=np.where(rows["law"] == "suites", "suites", shared))


def summarised(scores: pd.DataFrame) -> pd.DataFrame:
    """Numbers of each law on the second leaderboard, by benchmark and over all, with errors."""
    second = on_the_second(scores)
    both = pd.concat([second.assign(benchmark="all"), second[second["of"] == "suite"]])
    names, found = ["share", "skills", "law", "of", "benchmark"], []
    for key, rows in both.groupby(names):
        one: dict[str, object] = dict(zip(names, key, strict=True))
        for number in ("error", "crps", "covered_90", "width_90"):
            one |= mean_of(rows, number, number)
        found.append(one | {"pareto_k": rows["pareto_k"].max(), "scores": len(rows)})
    return pd.DataFrame(found)


def differences(scores: pd.DataFrame) -> pd.DataFrame:
    """CRPS of groups less that of the other laws, score by score, with errors over lineages.

    Strangers have as many skills as groups; ``skills`` says how many.
    """
    entry = ["share", "skills", "of", "benchmark", "model", "lineage"]
    second = on_the_second(scores)
    of_groups = second["skills"].where(second["law"] != "suites")
    most = of_groups.groupby(second["share"]).transform("max")
    second = second.assign(skills=of_groups.fillna(most).astype(int))
    wide = second.pivot_table(index=entry, columns="law", values="crps").reset_index()
    both = pd.concat([wide.assign(benchmark="all"), wide[wide["of"] == "suite"]])
    names, found = ["share", "skills", "of", "benchmark"], []
    for key, rows in both.groupby(names):
        for other in ("suites", "strangers"):
            less = rows.assign(less=rows["groups"] - rows[other])
            if less["less"].notna().any():  # the law of suites has no parts
                one = dict(zip(names, key, strict=True)) | {"than": other}
                found.append(one | mean_of(less, "less", "crps"))
    return pd.DataFrame(found)


if __name__ == "__main__":
    execute(main, interrupted="stopped; the same command goes on")
