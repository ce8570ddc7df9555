"""Scripts that predict held-out models of the bundled table: what they save and draw."""

from __future__ import annotations

import json
import shutil

import completion
import completion_table
import few_models
import held_out_llama3
import mixtures
import number_of_skills
import numpy as np
import own_models
import pandas as pd
import unknown_tokens
from running import labels, refused, run, shows, title

# The quickest to compile, where it does not matter how the law is fitted.
MODE = ("--inference", "mode", "--skills", "1")


def test_held_out_llama3(tmp_path):
    done = run(held_out_llama3.main, tmp_path / "out", "--smoke")
    table, record = done.csv("predictions"), done.summary
    assert len(table) == 24
    assert set(table["family_models"]) == {1}  # the 8B models stay
    assert (table["lower"] <= table["median"]).all()
    assert (table["median"] <= table["upper"]).all()
    inside = table["truth"].between(table["lower"], table["upper"])
    assert record["inside_90"] == inside.sum() == table["inside"].sum()
    assert sum("meta-llama-3-70b" in line for line in done.printed.splitlines()) == 24
    assert "llama-3-sauerkrautlm-70b-instruct" in record["hidden"]
    error = (table["median"] - table["truth"]).abs().mean()
    assert abs(record["mean_absolute_error_of_median"] - error) < 1e-5
    assert {"prior", "draws", "steps", "skills", "inference"} <= record["settings"].keys()
    panels = done.axes("held_out_llama3")
    assert [title(ax) for ax in panels] == list(held_out_llama3.PREDICTED)
    for ax, (_, rows) in zip(panels, table.groupby("model", sort=False), strict=True):
        assert shows(ax, rows[["median", "lower", "upper", "truth"]])


def test_own_models(tmp_path):
    done = run(own_models.main, tmp_path / "out", "--smoke", *MODE)
    assert done.csv("mine")["model"].tolist() == ["qwen2-0.5b", "qwen2-1.5b", "qwen2-7b"]
    rows = done.csv("predictions")
    assert rows.groupby("known", sort=False)["family_models"].first().tolist() == [0, 3]
    assert set(rows["model"]) == {"qwen2-72b"}
    assert "qwen2-72b-instruct" in done.summary["left_out"]  # the whole lineage
    measured = rows[rows["truth"].notna()]
    np.testing.assert_allclose(measured["width"], measured["upper"] - measured["lower"], atol=1e-5)
    for ax, (known, part) in zip(
        done.axes("own_models"), measured.groupby("known", sort=False), strict=True
    ):
        width = 100 * part["width"].mean()
        assert title(ax) == f"{known}: mean width {width:.0f} points"
        assert shows(ax, part[["median", "truth"]])


def test_own_models_refuses_what_is_not_there(tmp_path):
    out = ("--out", str(tmp_path / "other"))
    assert "no family 'qwen3'" in refused(own_models.main, "--family", "qwen3", *out)
    line = refused(own_models.main, "--family", "qwen2", "--small", "9", *out)
    assert "models, 9 small and a large needed" in line
    assert not (tmp_path / "other").exists()


def test_few_models(tmp_path):
    done = run(few_models.main, tmp_path / "out", "--leaderboard", "v2", "--smoke", *MODE)
    rows = done.csv("held_out")
    # The same scores are predicted however many models were seen.
    same = rows.groupby("observed")[["model", "benchmark"]].apply(lambda f: f.to_numpy().tolist())
    assert same[0] == same[1]
    means = rows.groupby("observed")["error"].mean()
    by_observed = done.summary["by_observed"]
    assert [by_observed[n]["error"] for n in ("0", "1")] == [round(m, 5) for m in means]
    error, width = done.axes("few_models")
    assert shows(error, means)
    assert shows(width, rows.groupby("observed")["width_90"].mean())
    assert error.get_ylim()[0] == 0.0


def test_number_of_skills(tmp_path):
    done = run(number_of_skills.main, tmp_path / "out", "--smoke")
    rows, record = done.csv("skills"), done.summary
    assert rows["skills"].tolist() == [1, 2]
    assert np.isfinite(rows[["crps", "crps_se", "elpd", "elpd_se"]]).all(axis=None)
    for criterion in ("crps_behind", "elpd_behind"):  # the best is behind itself by nothing
        assert rows[criterion].min() == 0.0
    np.testing.assert_allclose(rows["crps_behind"], rows["crps"] - rows["crps"].min(), atol=1e-6)
    within = rows.loc[rows["crps_behind"] <= rows["crps_se"], "skills"]
    assert record["chosen"] == within.iloc[0]
    assert f"chosen: {record['chosen']}" in done.printed


def test_mixtures(tmp_path):
    done = run(mixtures.main, tmp_path / "out", "--smoke", *MODE)
    rows = done.csv("held_out")
    models = ["dbrx-base", "dbrx-instruct", "deepseek-moe-16b-base"]
    assert set(rows["model"]) == set(models)
    active, total = (part for _, part in rows.groupby("size"))
    assert active[["model", "benchmark"]].to_numpy().tolist() == (
        total[["model", "benchmark"]].to_numpy().tolist()
    )
    more = (total["error"].to_numpy() - active["error"].to_numpy()).mean()
    assert abs(done.summary["more_error_by_total"][0] - more) < 2e-5
    (ax,) = done.axes("mixtures")
    assert [label.get_text() for label in ax.get_yticklabels()] == models
    points = 100.0 * (rows["median"] - rows["score"])
    means = points.groupby(rows["size"]).mean()
    told = [f"{s} parameters: mean {means[s]:+.1f}" for s in means.index]
    assert [label.replace("−", "-") for label in labels(ax)] == told
    assert shows(ax, points, atol=2e-4)  # of differences of six digits


def test_completion_and_its_page(tmp_path):
    done = run(completion.main, tmp_path / "out", "--smoke", *MODE)
    rows = pd.read_csv(done.out / "scores.csv.gz")
    asked = ["pattern", "fold", "model", "benchmark"]
    same = [part[asked].to_numpy().tolist() for _, part in rows.groupby("method")]
    assert len(same) == 3
    assert same[0] == same[1] == same[2]
    # Models that keep three scores are asked for all others, once each.
    hidden = rows[(rows["pattern"] == "all but three") & (rows["method"] == completion.LAW)]
    assert not hidden.duplicated(["model", "benchmark"]).any()
    for numbers in done.summary["editions"]["2024"]:
        own = rows[(rows["pattern"] == numbers["pattern"]) & (rows["method"] == numbers["method"])]
        assert abs(numbers["mae"] - own["error"].mean()) < 1e-5
        assert abs(numbers["coverage_90"] - own["covered_90"].mean()) < 1e-9
    page = ("--out", str(tmp_path / "page.md"))
    assert "a smoke run" in refused(completion_table.main, *page, str(done.out))
    record = done.summary | {"smoke": False}
    shutil.copytree(done.out, tmp_path / "run")
    (tmp_path / "run" / "summary.json").write_text(json.dumps(record))
    completion_table.main([*page, str(tmp_path / "run")])
    text = (tmp_path / "page.md").read_text()
    shown = record["editions"]["2024"][1]
    assert f"| {shown['method']} | {shown['median_error']:.4f} (" in text
    assert f"{shown['scores']:,} scores of {shown['models']} models." in text


def test_unknown_tokens(tmp_path):
    done = run(unknown_tokens.main, tmp_path / "out", "--smoke", *MODE)
    rows = done.csv("hidden")
    assert set(rows["kind"]) == {"models", "lineages"}
    for kind, some in rows.groupby("kind"):
        inside = some["hidden"].between(some["lower"], some["upper"])
        assert abs(done.summary[kind]["covered_90"] - inside.mean()) < 1e-4
        assert (some["covariate"] == "tokens_t").all()
    assert (rows.groupby("kind").size() >= 3).all()
    (ax,) = done.axes("unknown_tokens")
    drawn = rows[rows["kind"] == "lineages"].groupby("lineage").first()
    assert {label.get_text() for label in ax.get_yticklabels()} == set(drawn.index)
    assert shows(ax, drawn["hidden"])
