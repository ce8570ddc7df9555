"""The study of ends of training runs: what it forecasts, from what, and its page."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import runs
import runs_table
from running import refused, run

from sloth_jax import add_models, load_leaderboard
from sloth_jax.evaluation.published import leaderboard_benchmarks
from sloth_jax.identifiability.synthetic import synthetic_runs

MODE = ("--inference", "mode", "--skills", "1")


def test_only_the_beginning_of_a_run_is_seen():
    table, _ = synthetic_runs(0, families=2, sizes=2, checkpoints=5)
    name = table.run[-1]
    train, test = runs.masks(table, [([name], 0.2), ([name], 0.6)])
    own = np.array(table.run) == name
    assert train[:, ~own].all()
    assert train[:, own].all(axis=2).sum(axis=1).tolist() == [1, 3]
    assert not test[:, ~own].any()
    assert (table.tokens_t[test[0]] == table.tokens_t[own].max()).all()
    last = runs.last_seen(table, train, test, np.array([0.2, 0.6]))
    at = np.flatnonzero(own)
    expected = np.abs(table.scores[at[2]] - table.scores[at[4]])
    np.testing.assert_allclose(last.loc[last["seen"] == 0.6, "error"], expected)


def test_published_checkpoints_join_the_bundled_table():
    table = load_leaderboard(edition="2024", benchmarks=leaderboard_benchmarks("v1"))
    rows = pd.read_csv(runs.PUBLISHED).drop(columns="source")
    joined = add_models(table, rows)
    assert len(set(joined.run) - {""}) == 3
    known = {model: m for m, model in enumerate(joined.models)}
    end = known["open_llama_13b"]
    assert joined.run[end] == "open_llama_13b"
    np.testing.assert_array_equal(
        joined.scores[end], table.scores[table.models.index("open_llama_13b")]
    )


def test_study_and_its_page(tmp_path):
    done = run(runs.main, tmp_path / "out", "--smoke", *MODE)
    rows = done.csv("held_out")
    asked = ["truth", "seen", "model", "benchmark"]
    by_method = {name: part[asked] for name, part in rows.groupby("method")}
    assert set(by_method) == {runs.RUNS, runs.APART, runs.LAST}
    assert set(rows["truth"]) == set(runs.TRUTHS)
    same = [set(map(tuple, part.to_numpy().tolist())) for part in by_method.values()]
    # Nothing is carried forward where nothing was seen: 10 % of five checkpoints.
    assert same[1] == same[2]
    assert same[0] < same[1]
    numbers = pd.DataFrame(done.summary["simulated"])
    for one in numbers.to_dict("records"):
        part = rows[
            (rows[["truth", "seen", "method"]] == pd.Series(one)[["truth", "seen", "method"]]).all(
                axis=1
            )
        ]
        assert abs(one["error"] - part["error"].mean()) < 1e-5
    page = ("--out", str(tmp_path / "page.md"))
    assert "a smoke run" in refused(runs_table.main, *page, str(done.out))
    record = done.summary | {"smoke": False, "published": done.summary["simulated"]}
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(record))
    runs_table.main([*page, str(folder)])
    text = (tmp_path / "page.md").read_text()
    shown = record["simulated"][0]
    assert f"| {shown['error']:.4f} (" in text
    assert "### a random walk: 2 runs" in text
