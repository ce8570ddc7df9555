"""Checks of identifiability: no false alarm on good tables, every fault named."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from good_tables import made
from small import table

from sloth_jax import InputError, load_leaderboard
from sloth_jax.evaluation.published import leaderboard_benchmarks
from sloth_jax.identifiability.check import check_identifiability
from sloth_jax.identifiability.local_rank import local_rank


def causes(report) -> set[str]:
    return {finding.cause for finding in report.findings if finding.kind == "fails"}


def text_of(report, cause: str) -> str:
    return next(finding.text for finding in report.findings if finding.cause == cause)


@pytest.mark.parametrize("board", ["v1", "v2", None])
@pytest.mark.parametrize("skills", [1, 3])
def test_no_false_alarm_on_the_bundled_table(board, skills):
    full = load_leaderboard(edition="2024")
    if board:
        full = full.select_benchmarks(leaderboard_benchmarks(board))
    report = check_identifiability(full, skills=skills)
    assert report.holds, report.to_text()
    assert report.supported_skills is not None
    # The third skill of v1 does not stand out clearly, and the check says so.
    weak = any(finding.cause == "too_many_skills" for finding in report.findings)
    assert weak == (report.supported_skills[0] < skills)
    assert report.design_rank == report.design_columns
    assert report.local_rank == report.local_rank_expected


@pytest.mark.parametrize("seed", range(5))
def test_no_false_alarm_on_a_good_table(seed):
    report = check_identifiability(made(seed), skills=2)
    assert report.holds, report.to_text()
    assert report.supported_skills is not None
    assert report.supported_skills[0] == 2


def test_constant_tokens_inside_families_are_named():
    good = made()
    report = check_identifiability(replace(good, tokens_t=1.0 + good.family % 3), skills=2)
    assert causes(report) == {"confounded"}
    assert "log_tokens is a combination of the family columns" in text_of(report, "confounded")
    assert report.design_rank == report.design_columns - 1
    assert report.local_rank == report.local_rank_expected - 2  # a slope on each of two skills


def test_tokens_that_follow_size_are_named():
    good = made()
    report = check_identifiability(replace(good, tokens_t=0.1 * good.params_b), skills=2)
    assert causes(report) == {"confounded"}
    finding = next(one for one in report.findings if one.cause == "confounded")
    assert set(finding.subjects) >= {"log_params", "log_tokens"}


def test_one_model_per_family_is_named():
    good = made()
    single = good.subset(np.arange(len(good.models)) % 4 == 0)
    assert "no_variation" in causes(check_identifiability(single, skills=1))


def test_a_benchmark_twice_is_named():
    good = made()
    scores = good.scores.copy()
    scores[:, 1] = scores[:, 0]
    report = check_identifiability(replace(good, scores=scores), skills=2)
    assert causes(report) == {"duplicate_benchmarks"}
    assert "benchmark1 and benchmark2 are one measurement twice" in text_of(
        report, "duplicate_benchmarks"
    )


def test_more_skills_than_there_are_is_named():
    report = check_identifiability(made(skills=1), skills=3)
    assert causes(report) == {"too_many_skills"}
    assert "1 skill at most stands out" in text_of(report, "too_many_skills")


def test_more_skills_than_benchmarks_is_refused():
    with pytest.raises(InputError, match="5 skills do not fit 4 benchmarks"):
        check_identifiability(made(), skills=5)


def test_benchmarks_with_hardly_a_score_or_none_that_differ_are_named():
    good = made()
    scores = good.scores.copy()
    scores[2:, 0] = np.nan
    scores[:, 2] = 0.4
    report = check_identifiability(replace(good, scores=scores), skills=1)
    assert {"few_scores", "constant_benchmark"} <= causes(report)


def test_a_benchmark_that_stands_alone_is_named():
    good = made()
    scores = good.scores.copy()
    own = np.arange(len(good.models)) % 4 == 3
    scores[own, :3] = np.nan
    scores[~own, 3] = np.nan
    report = check_identifiability(replace(good, scores=scores), skills=1)
    assert any(f.cause == "isolated_benchmark" and f.kind == "weak" for f in report.findings)
    assert report.supported_skills is None  # no model has all scores


def test_families_without_slopes_are_listed_and_do_no_harm():
    good = made()
    keep = (good.family > 0) | (np.arange(len(good.models)) == 0)
    report = check_identifiability(good.subset(keep), skills=2)
    assert report.holds
    silent = next(one for one in report.findings if one.cause == "silent_families")
    assert silent.subjects == ("family0",)


def test_missing_scores_lower_the_rank_where_a_family_has_too_few():
    good = made()
    scores = good.scores.copy()
    scores[good.family == 0, 1:] = np.nan
    scores[1:4, 0] = np.nan  # one score for the two skills of family0
    sparse = replace(good, scores=scores)
    rank, expected = local_rank(sparse.subset(sparse.observed.any(axis=1)), skills=2)
    assert rank == expected - 1
    report = check_identifiability(sparse, skills=2)
    assert text_of(report, "local_rank").startswith(
        "1 direction of the law's parameters changes no"
    )


def test_a_report_is_text_and_json():
    data, _ = table()
    report = check_identifiability(data, skills=1)
    assert report.to_dict()["holds"] is report.holds
    assert f"{len(data.models)} models of {len(data.families)} families" in report.to_text()


def test_many_families_need_no_matrix_of_all_of_them():
    models, rng = 3000, np.random.default_rng(0)
    good = made()
    rows = np.arange(models)
    family = np.maximum(rows - 200, 0)  # one of 201 models, and 2799 alone
    wide = replace(
        good,
        models=tuple(f"model{row}" for row in rows),
        families=tuple(f"family{f}" for f in range(family.max() + 1)),
        lineages=tuple(f"lineage{f}" for f in range(family.max() + 1)),
        family=family,
        lineage_of_family=np.arange(family.max() + 1),
        post_trained_of_family=np.zeros(family.max() + 1),
        **{
            name: np.resize(getattr(good, name), (models, *getattr(good, name).shape[1:]))
            for name in ("active_params_b", "standard_errors", "source")
        },
        released=("",) * models,
        params_b=np.exp(rng.normal(size=models)),
        tokens_t=np.exp(rng.normal(size=models)),
        scores=rng.uniform(0.3, 0.9, (models, 4)),
    )
    tracemalloc.start()
    report = check_identifiability(wide, skills=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.design_rank == report.design_columns == 2803
    assert report.local_rank == report.local_rank_expected
    assert peak < 8 * models * len(wide.families)
