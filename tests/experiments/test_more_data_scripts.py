"""More data, and which benchmark next: what is predicted the same throughout, and what is drawn."""

from __future__ import annotations

import json

import more_data
import more_data_table
import next_benchmark
import numpy as np
import pytest
from running import refused, run, shows

from sloth_jax.evaluation.held_out import mean_and_error

# The quickest to compile, where it does not matter how the law is fitted.
MODE = ("--inference", "mode", "--skills", "1")


def by_score(n_train: int):
    """In place of the FLOPs law, which other tests fit: every score is off by 0.05."""
    return lambda table, train, key: np.broadcast_to(table.scores + 0.05, train.shape)


def test_more_data(tmp_path, monkeypatch):
    monkeypatch.setattr(more_data, "flops_law", by_score)
    done = run(more_data.main, tmp_path / "out", "--smoke", *MODE)
    scores = {}
    for name in done.summary["subsets"]:
        rows = done.csv(f"splits/{name}")
        tested = name.split("_")[0]
        # The same scores are predicted, and judged against the same measurements.
        found = rows[["model", "benchmark", "score"]].to_numpy().tolist()
        assert scores.setdefault(tested, sorted(found)) == sorted(found)
        assert rows["lineages_learnt"].max() <= 6
    assert len(scores["2024"]) > 0
    learning, ratios = (
        done.csv(name, dtype={"asked": str, "edition": str}) for name in ("learning", "ratios")
    )
    both = learning[learning["tested"] == "both"]
    assert set(both["scores"]) == {len(scores["2024"]) + len(scores["2025"])}
    of = "benchmark == 'all' and tested == '2024' and asked == 'all' and over == "
    whole = ratios.query(f"{of} 2024 and edition == '2025'")
    crps = learning.query("tested == '2024' and asked == 'all'").set_index("edition")["crps"]
    assert whole["crps"].item() == pytest.approx(crps["2025"] / crps["2024"], rel=1e-4)
    added = ratios.query(f"{of} 2025")
    assert added["edition"].tolist() == [more_data.UNKNOWN]
    assert added["crps"].item() == pytest.approx(crps[more_data.UNKNOWN] / crps["2025"], rel=1e-4)
    np.testing.assert_allclose(learning["flops_mae"], 0.05, atol=1e-6)
    panels = done.axes("more_data")
    old = learning[(learning["tested"] == "2024") & (learning["edition"] != more_data.UNKNOWN)]
    assert shows(panels[0], old["crps"])
    assert shows(panels[1], old[["mae", "flops_mae"]])
    assert shows(panels[2], old["coverage_90"])
    # Its page, once it is no smoke run.
    page = tmp_path / "page.md"
    assert "a smoke run" in refused(more_data_table.main, "--out", str(page), str(done.out))
    record = done.summary | {"smoke": False}
    (done.out / "summary.json").write_text(json.dumps(record))
    more_data_table.main(["--out", str(page), str(done.out)])
    text = page.read_text()
    assert f"Models of the edition 2024, {len(scores['2024'])} scores of" in text
    assert f"{crps['2024']:.4f}" in text


def test_a_ratio_of_means_has_the_error_of_its_linearisation():
    rng = np.random.default_rng(0)
    group, reference = np.repeat(np.arange(400), 5), 1.0 + rng.random(2000)
    values = reference * np.repeat(0.9 + 0.2 * rng.standard_normal(400), 5)
    ratio, error = more_data.ratio_and_error(values, reference, group)
    resampled = []
    for _ in range(300):
        picked = rng.integers(400, size=400)[:, None] * 5 + np.arange(5)
        resampled.append(values[picked].mean() / reference[picked].mean())
    assert ratio == pytest.approx(values.mean() / reference.mean())
    assert error == pytest.approx(np.std(resampled), rel=0.15)


def test_next_benchmark(tmp_path):
    done = run(next_benchmark.main, tmp_path / "out", "--smoke", *MODE)
    rows, picks, falls = done.csv("held_out"), done.csv("picks"), done.csv("falls")
    assert set(picks["way"]) == set(next_benchmark.WAYS)
    before = rows[rows["way"] == "before"]
    assert before.groupby("model").size().tolist() == [10] * done.summary["models"]
    # What is revealed is no longer predicted; what is compared nobody has revealed.
    cells = {way: part.set_index(["model", "benchmark"]) for way, part in rows.groupby("way")}
    common = cells["before"].index
    for way, part in picks.groupby("way"):
        revealed = part.set_index(["model", "benchmark"]).index
        assert not revealed.intersection(cells[way].index).size
        common = common.difference(revealed)
    assert set(falls["scores"]) == {len(common)}
    one = falls.query("way == 'picked' and number == 'error'").iloc[0]
    fell = (cells["before"].loc[common]["error"] - cells["picked"].loc[common]["error"]).to_numpy()
    lineage = cells["before"].loc[common]["lineage"].to_numpy()
    assert (one["fall"], one["fall_se"]) == pytest.approx(mean_and_error(fell, lineage), abs=2e-6)
    promised = done.csv("promised")
    assert (
        promised["inside"] == promised["came"].between(promised["lower"], promised["upper"])
    ).all()
    error, width = done.axes("next_benchmark")
    assert shows(error, falls.loc[falls["number"] == "error", "fall"])
    assert shows(width, falls.loc[falls["number"] == "width", "fall"])
