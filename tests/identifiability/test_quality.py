"""Scores that look misread are listed, and good ones are not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sloth_jax import load_leaderboard
from sloth_jax.cli.main import main
from sloth_jax.identifiability.quality import suspect_scores
from sloth_jax.identifiability.synthetic import synthetic_table


def test_a_score_that_was_not_parsed_is_listed_first():
    table, _ = synthetic_table(0, families=16, benchmarks=6, skills=2, noise=0.1)
    assert suspect_scores(table) == ()
    scores = table.scores.copy()
    model = int(np.argmax(scores[:, 2]))
    scores[model, 2] = 0.0
    (found,) = suspect_scores(replace(table, scores=scores))
    assert (found.model, found.benchmark, found.score) == (table.models[model], "benchmark3", 0.0)
    assert found.typical > found.lowest > 0.1


def test_gaps_and_small_tables_are_not_judged():
    table, _ = synthetic_table(1, families=4, benchmarks=4, skills=1)
    assert suspect_scores(table) == ()  # fewer than ten neighbours
    gaps = np.where(np.arange(4)[None, :] > 1, np.nan, table.scores)
    assert suspect_scores(replace(table, scores=gaps)) == ()


def test_the_bundled_table_has_known_ones(capsys):
    names = {(one.model, one.benchmark) for one in suspect_scores(load_leaderboard(edition="2024"))}
    math = {("gemma-2-9b-it", "MATH Lvl 5"), ("qwen1.5-110b-chat", "MATH Lvl 5")}
    assert names == math | {("qwen1.5-32b-chat", "GSM8K")}
    with pytest.raises(SystemExit) as ended:
        main(["check", "--edition", "2024", "--json"])
    assert not ended.value.code
    listed = json.loads(capsys.readouterr().out)["suspects"]
    assert {(one["model"], one["benchmark"]) for one in listed} == names
