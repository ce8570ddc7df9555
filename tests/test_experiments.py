"""Every experiment runs from its command line, in its smallest form, and saves what it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]


def call(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / script), *arguments], capture_output=True, text=True, cwd=ROOT
    )


def run(script: str, *arguments: str) -> str:
    done = call(f"experiments/{script}", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(script: str, *arguments: str) -> str:
    done = call(f"experiments/{script}", *arguments)
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("note:")]
    return line


def test_held_out_llama3(tmp_path):
    printed = run("held_out_llama3.py", "--out", str(tmp_path / "out"), "--smoke")
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert len(table) == 24
    assert set(table["family_models"]) == {1}  # the 8B models stay
    assert table["truth"].notna().all()
    assert sum("meta-llama-3-70b" in line for line in printed.splitlines()) == 24
    record = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "llama-3-sauerkrautlm-70b-instruct" in record["hidden"]
    assert {"seed", "settings", "versions", "diagnostics"} <= record.keys()
    assert {"prior", "draws", "steps", "skills", "inference"} <= record["settings"].keys()
    assert (tmp_path / "out" / "held_out_llama3.png").stat().st_size > 10_000


METHODS = ("pca_d=1", "logF_sigmoid_faminter", "rows")
SETTING = ("--leaderboard", "v2", "--n-train", "2", "--smoke")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder of results of two calls: the second adds methods to the first."""
    out = tmp_path_factory.mktemp("comparison") / "out"
    run("cross_validation.py", *SETTING, "--out", str(out), "--methods", *METHODS[:2])
    first = (out / "methods" / "pca_d=1.csv.gz").stat().st_mtime_ns
    done = call(
        "experiments/cross_validation.py", *SETTING, "--out", str(out), "--methods", *METHODS
    )
    assert done.returncode == 0, done.stderr
    assert "2 of 4 methods to fit" in done.stderr
    assert (out / "methods" / "pca_d=1.csv.gz").stat().st_mtime_ns == first  # not done again
    return out


def test_cross_validation_writes_what_it_promises(finished):
    errors = pd.read_csv(finished / "errors.csv.gz")
    assert list(errors) == ["fold", "method", "model", "benchmark", "abs_error"]
    assert errors.groupby("method").size().nunique() == 1
    summary = pd.read_csv(finished / "summary.csv", index_col="method")
    assert list(summary)[-3:] == ["average", "published", "training"]
    assert summary["average"].notna().all()
    assert summary.loc["pca_d=1", "published"] == 0.0585
    assert len(pd.read_csv(finished / "differences.csv")) == 3
    assert {"method", "size_ratio", "entries", "mean"} == set(
        pd.read_csv(finished / "size_ratio.csv")
    )
    record = json.loads((finished / "run.json").read_text())
    assert record["settings"]["seed"] == 0
    assert set(record["methods"]) == set(summary.index)
    assert record["methods"]["fit"]["settings"]["settings"]["inference"] == "laplace"
    assert {"versions", "seconds", "devices", "rank_deficient_folds"} <= record.keys()
    for figure in ("heatmap.png", "ablation_rows.png", "curves/00_bloom.png"):
        assert (finished / figure).stat().st_size > 5_000


def test_the_same_seed_gives_the_same_bytes(finished, tmp_path):
    out = tmp_path / "again"
    methods = ("logF_sigmoid_faminter", "fit")
    run("cross_validation.py", *SETTING, "--out", str(out), "--methods", *methods)
    for name in methods:
        kept = Path("methods") / f"{name}.csv.gz"
        assert (out / kept).read_bytes() == (finished / kept).read_bytes()


def test_results_of_other_settings_are_refused(finished, tmp_path):
    before = (finished / "run.json").read_bytes()
    other = ("--leaderboard", "v2", "--n-train", "1", "--smoke", "--out", str(finished))
    assert "holds results with n_train 2, not 1" in refused("cross_validation.py", *other)
    assert (finished / "run.json").read_bytes() == before
    (tmp_path / "notes.txt").write_text("mine")
    line = refused("cross_validation.py", *SETTING, "--out", str(tmp_path))
    assert "holds other files and no run.json" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--leaderboard", "v3"), "no leaderboard 'v3' (there are v1, v2, both)"),
        (("--leaderboard", "v2", "--methods", "factor_sigmoid"), "no method 'factor_sigmoid'"),
        (("--leaderboard", "v2", "--protocol", "strickt"), "did you mean 'strict'"),
        (("--leaderboard", "v2", "--n-train", "3"), "choose 1 or 2"),
    ],
)
def test_bad_settings_are_refused_in_one_line(tmp_path, arguments, message):
    out = tmp_path / "out"
    line = refused("cross_validation.py", "--n-train", "1", *arguments, "--out", str(out))
    assert message in line
    assert not out.exists()


def test_the_table_refuses_smoke_runs_and_folders_without_a_run(finished, tmp_path):
    page = str(tmp_path / "page.md")
    assert "a smoke run" in refused("comparison_table.py", "--out", page, str(finished))
    assert "no finished run" in refused("comparison_table.py", "--out", page, str(tmp_path))


def test_the_table_shows_ours_beside_theirs(finished, tmp_path):
    record = json.loads((finished / "run.json").read_text())
    record["settings"]["smoke"] = False
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "summary.csv").write_bytes((finished / "summary.csv").read_bytes())
    run("comparison_table.py", "--out", str(tmp_path / "page.md"), str(folder))
    page = (tmp_path / "page.md").read_text()
    average = pd.read_csv(finished / "summary.csv", index_col="method")["average"]
    assert f"0.0585 / {average['pca_d=1']:.4f}" in page
    assert "| plain: `logF_sigmoid_faminter`, as published | 0.0490 | 0.0379 |" in page


def test_calibration(tmp_path):
    out = tmp_path / "out"
    setting = ("--leaderboard", "v2", "--n-train", "0", "--skills", "1", "--smoke")
    printed = run("calibration.py", *setting, "--out", str(out))
    assert "coverage_90_families" in printed
    summary = json.loads((out / "summary.json").read_text())
    assert {
        "mae", "coverage_50", "coverage_80", "coverage_90", "coverage_95", "width_90",
        "coverage_50_families", "coverage_90_families",
        "interval_score_90", "crps", "mae_conformal", "crps_conformal", "width_90_conformal",
        "seconds", "settings", "versions", "seed",
    } <= summary.keys()  # fmt: skip
    rows = pd.read_csv(out / "held_out.csv")
    assert len(rows) == summary["scores"]
    assert rows["size_ratio"].isna().all()  # a cold start has no size to be far from
    assert (rows["lower_90"] <= rows["median"]).all()
    assert rows["pit"].between(0, 1).all()
    assert (out / "calibration.png").stat().st_size > 10_000
    assert "a smoke run" in refused("calibration_table.py", "--out", str(out / "p.md"), str(out))


def test_development(tmp_path):
    out = tmp_path / "out"
    arguments = ("development.py", "--skills", "1", "--smoke", "--out", str(out))
    printed = run(*arguments)
    assert "coverage_90_families" in printed
    scores = pd.read_csv(out / "scores.csv", index_col="split")
    assert scores.index.tolist() == ["8 models", "by lineage, n = 1", "mean"]
    assert scores["coverage_90_families"].between(0, 1).all()
    record = json.loads((out / "summary.json").read_text())
    assert {"seed", "settings", "versions", "seconds"} <= record.keys()
    assert [row["split"] for row in record["splits"]] == scores.index.tolist()
    # A run that was stopped goes on with the splits that are missing, to the same scores.
    (out / "splits" / "by_lineage_n1.csv").unlink()
    done = call(f"experiments/{arguments[0]}", *arguments[1:])
    assert "8 models: done before" in done.stderr
    pd.testing.assert_frame_equal(pd.read_csv(out / "scores.csv", index_col="split"), scores)
    line = refused(*arguments[:2], "2", *arguments[3:])
    assert "holds results with another settings" in line
    line = refused(*arguments, "--splits", "by dates")
    assert "no split 'by dates'" in line
    page = str(tmp_path / "page.md")
    assert "a smoke run" in refused("development_table.py", "--out", page, str(out))
    record["smoke"] = False
    (out / "summary.json").write_text(json.dumps(record))
    run("development_table.py", "--out", page, str(out))
    assert "| by lineage, n = 1 | 0." in (tmp_path / "page.md").read_text()


def test_few_models(tmp_path):
    out = tmp_path / "out"
    run("few_models.py", "--leaderboard", "v2", "--smoke", "--out", str(out))
    rows = pd.read_csv(out / "held_out.csv")
    # The same scores are predicted however many models were seen.
    asked = rows.groupby("observed")[["model", "benchmark"]].apply(lambda f: f.to_numpy().tolist())
    assert asked[0] == asked[1]
    summary = json.loads((out / "summary.json").read_text())
    assert set(summary["by_observed"]) == {"0", "1"}
    assert (out / "few_models.png").stat().st_size > 5_000


def test_number_of_skills(tmp_path):
    out = tmp_path / "out"
    assert "chosen: " in run("number_of_skills.py", "--smoke", "--out", str(out))
    rows = pd.read_csv(out / "skills.csv")
    assert rows["skills"].tolist() == [1]
    assert rows["crps_behind"].tolist() == rows["elpd_behind"].tolist() == [0.0]
    assert json.loads((out / "summary.json").read_text())["chosen"] == 1


def test_own_models(tmp_path):
    out = tmp_path / "out"
    run("own_models.py", "--smoke", "--out", str(out))
    mine = pd.read_csv(out / "mine.csv")
    assert mine["model"].tolist() == ["qwen2-0.5b", "qwen2-1.5b", "qwen2-7b"]
    rows = pd.read_csv(out / "predictions.csv")
    assert rows.groupby("known", sort=False)["family_models"].first().tolist() == [0, 3]
    assert set(rows["model"]) == {"qwen2-72b"}
    left_out = json.loads((out / "summary.json").read_text())["left_out"]
    assert "qwen2-72b-instruct" in left_out  # the whole lineage
    assert (out / "own_models.png").stat().st_size > 10_000
    line = refused("own_models.py", "--family", "qwen3", "--out", str(tmp_path / "other"))
    assert "no family 'qwen3'" in line


def test_generated_tables(tmp_path):
    out = tmp_path / "out"
    assert "20 tables, 0 failed" in run("generated_tables.py", "--smoke", "--out", str(out))
    rows = pd.read_csv(out / "tables.csv")
    assert {"one line", "result, skills not determined"} <= set(rows["outcome"])
    assert list((out / "failures").iterdir()) == []


def test_kill_and_resume(tmp_path):
    out = tmp_path / "out"
    assert " give the same" in run("kill_and_resume.py", "--smoke", "--out", str(out))
    assert json.loads((out / "summary.json").read_text())["unreadable"] == 0


def test_downstream(tmp_path):
    out = tmp_path / "out"
    parts = ("llama3", "families", "agents")
    printed = run("downstream.py", "--parts", *parts, "--smoke", "--out", str(out))
    assert "law, two steps, mode" in printed
    rows = pd.read_csv(out / "predictions.csv")
    assert set(rows["part"]) == set(parts)
    assert rows[["predicted", "truth", "crps"]].notna().all(axis=None)
    joint = rows["method"] == "law, jointly"
    assert rows.loc[joint, ["lower", "upper"]].notna().all(axis=None)
    assert set(rows.loc[rows["part"] == "llama3", "task"]) == {"HumanEval", "EQ-Bench"}
    # All methods of a setting are asked about the same models.
    asked = rows[rows["part"] == "families"].groupby(["setting", "method"])["model"].apply(tuple)
    assert all(len(set(of)) == 1 for _, of in asked.groupby("setting"))
    found = pd.read_csv(out / "errors.csv")
    assert found["mae"].between(0, 1).all()
    record = json.loads((out / "summary.json").read_text())
    assert record["parts"] == list(parts)
    for figure in ("llama3_HumanEval", "llama3_EQ-Bench", "families", "agents"):
        assert (out / f"{figure}.png").stat().st_size > 5_000


def test_simulation_based(tmp_path):
    out = tmp_path / "out"
    assert "ranks over 4 simulations" in run("simulation_based.py", "--smoke", "--out", str(out))
    ranks = pd.read_csv(out / "ranks.csv")
    assert ranks.shape == (4, 9)
    assert ranks.to_numpy().min() >= 0
    assert ranks.to_numpy().max() <= json.loads((out / "summary.json").read_text())["draws"]


def test_cost(tmp_path):
    out = tmp_path / "cost"
    done = call("benchmarks/cost.py", "--repeats", "1", "--smoke", "--out", str(out))
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(out / "cost.csv")
    assert (table[["seconds", "per_second", "busy_ratio"]] > 0).all(axis=None)
    assert (table["busy_processes"] >= 1).all()
    assert (table.groupby("axis", dropna=False)["ratio"].first() == 1.0).all()
    assert {"mode", "Laplace", "NUTS transitions"} <= set(table["what"])
    assert (out / "cost.png").stat().st_size > 5_000


def test_skills(tmp_path):
    out = tmp_path / "out"
    printed = run("skills.py", "--skills", "3", "--smoke", "--out", str(out))
    assert "d = 3: " in printed
    loadings = pd.read_csv(out / "d3" / "loadings.csv")
    assert len(loadings) == 12 * 3
    assert (loadings["lower"] <= loadings["upper"]).all()
    for name in ("loadings", "correlations", "base_to_chat", "growth", "level_curves"):
        assert (out / "d3" / f"{name}.png").stat().st_size > 5_000
    assert set(pd.read_csv(out / "stability.csv")["reason"]) == {"half of the lineages"}
    assert pd.read_csv(out / "published.csv")["loadings"].iloc[-1] == "published"
    assert "proposed_labels" in json.loads((out / "summary.json").read_text())["d = 3"]


def test_identifiability(tmp_path):
    out = tmp_path / "out"
    run("identifiability.py", "--smoke", "--out", str(out))
    summary = json.loads((out / "summary.json").read_text())
    assert summary["causes_named"] == summary["causes"] == 6  # the check needs no long fit
    assert len(pd.read_csv(out / "recovery.csv")) == 36
    assert (out / "recovery.png").stat().st_size > 5_000


def test_compute_optimal(tmp_path):
    out = tmp_path / "out"
    assert "loss against the released split" in run(
        "compute_optimal.py", "--smoke", "--out", str(out)
    )
    rows = pd.read_csv(out / "frontier.csv")
    assert (rows["spent"] <= rows["flops"] * 1.001).all()
    tested = pd.read_csv(out / "backtest.csv")
    assert tested["family"].tolist() == ["qwen2"]
    # The law that has seen everything loses nothing against itself.
    assert tested["regret"][0] >= -1e-4
    for name in ("frontier", "backtest"):
        assert (out / f"{name}.png").stat().st_size > 5_000


def test_mixtures(tmp_path):
    out = tmp_path / "out"
    run("mixtures.py", "--smoke", "--out", str(out))
    rows = pd.read_csv(out / "held_out.csv")
    assert set(rows["size"]) == {"active", "total"}
    assert set(rows["model"]) == {"dbrx-base", "dbrx-instruct", "deepseek-moe-16b-base"}
    assert (out / "mixtures.png").stat().st_size > 5_000


def test_test_time_compute(tmp_path):
    out = tmp_path / "out"
    assert "problems recovered" in run("test_time_compute.py", "--smoke", "--out", str(out))
    rows = pd.read_csv(out / "coverage.csv")
    assert (rows["lower"] <= rows["upper"]).all()
    assert json.loads((out / "summary.json").read_text())["data"] == "simulated"
    for model, right in (("a", 1), ("b", 3), ("c", 4)):
        marks = [{"is_corrects": [True] * right + [False] * (6 - right)}] * 3
        (tmp_path / f"MATH_{model}.json").write_text(json.dumps(marks))
    other = tmp_path / "files"
    run("test_time_compute.py", "--folder", str(tmp_path), "--out", str(other))
    assert json.loads((other / "summary.json").read_text())["data"] == "files"


def test_cost_of_items(tmp_path):
    done = call("benchmarks/items.py", "--smoke", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(tmp_path / "out" / "items.csv")
    assert rows["skills"].tolist() == ["2 given", "1 free"]
    assert (rows["difficulty_correlation"] > 0.9).all()
