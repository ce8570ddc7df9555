"""Cross-validation, calibration, development splits, and the pages made from their runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import calibration
import calibration_table
import comparison_table
import cross_validation
import development
import development_table
import forecast_and_calibration
import numpy as np
import pandas as pd
import pytest
from running import Run, labels, refused, run, shows, title

METHODS = ("pca_d=1", "logF_sigmoid_faminter", "fit", "fit_mode")
SETTING = ("--leaderboard", "v2", "--n-train", "2", "--smoke")


def released(folder: Path, out: Path, record: str) -> Path:
    """A copy of a smoke run that says it is a real one."""
    shutil.copytree(folder, out)
    found = json.loads((out / record).read_text())
    found["smoke"] = False
    if "smoke" in found["settings"]:
        found["settings"]["smoke"] = False
    (out / record).write_text(json.dumps(found))
    return out


def table_of(page: str, first: str) -> dict[str, list[str]]:
    """Rows of the Markdown table whose first cell of the head is ``first``, by their first cell."""
    lines = page.split(f"| {first} |", 1)[1].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {name: values for name, *values in cells}


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> Run:
    """A folder of results of two calls: the second adds methods to the first."""
    out = tmp_path_factory.mktemp("comparison") / "out"
    run(cross_validation.main, out, *SETTING, "--methods", *METHODS[:2])
    first = (out / "methods" / "pca_d=1.csv.gz").stat().st_mtime_ns
    done = run(cross_validation.main, out, *SETTING, "--methods", *METHODS)
    assert "2 of 4 methods to fit" in done.said
    assert (out / "methods" / "pca_d=1.csv.gz").stat().st_mtime_ns == first  # not done again
    return done


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory) -> Run:
    setting = ("--leaderboard", "v2", "--n-train", "2", "--smoke")
    return run(calibration.main, tmp_path_factory.mktemp("calibration") / "out", *setting)


def test_cross_validation_writes_what_it_promises(compared):
    errors = pd.read_csv(compared.out / "errors.csv.gz")
    assert list(errors) == ["fold", "method", "model", "benchmark", "abs_error"]
    assert errors.groupby("method").size().nunique() == 1
    assert errors["abs_error"].between(0, 1).all()
    summary = compared.csv("summary", index_col="method")
    assert list(summary)[-3:] == ["average", "published", "training"]
    benchmarks = summary.columns[:-3]
    np.testing.assert_allclose(summary["average"], summary[benchmarks].mean(axis=1), atol=1e-5)
    assert summary.loc["pca_d=1", "published"] == 0.0585
    differences = compared.csv("differences")
    assert len(differences) == 3
    for row in differences.itertuples():
        assert row.second == cross_validation.PLAIN
        assert row.lower <= row.mean <= row.upper
    assert set(compared.csv("size_ratio")) == {"method", "size_ratio", "entries", "mean"}


def test_cross_validation_says_how_results_came_about(compared):
    record = json.loads((compared.out / "run.json").read_text())
    assert record["settings"]["seed"] == 0
    assert set(record["methods"]) == {"pca_d=1", "logF_sigmoid_faminter", "fit", "fit_mode"}
    assert record["methods"]["fit"]["settings"]["settings"]["inference"] == "laplace"
    assert {"versions", "seconds", "devices", "rank_deficient_folds"} <= record.keys()


def test_cross_validation_draws_its_results(compared):
    summary = compared.csv("summary", index_col="method")
    (heatmap, *_) = compared.axes("heatmap")
    assert [label.get_text() for label in heatmap.get_yticklabels()] == list(summary.index)
    written = [text.get_text() for text in heatmap.texts]
    means = summary.drop(columns=["published", "training"]).to_numpy()
    assert written == [f"{value:.3f}" for value in means.ravel()]
    (ablation,) = compared.axes("ablation_inference")
    points = 100.0 * summary["average"]["fit"]
    assert title(ablation) == f"Other inference than in fit, whose error is {points:.2f} points"
    curves = compared.axes("curves/00_bloom")
    errors = pd.read_csv(compared.out / "errors.csv.gz")
    assert len(curves) % errors["benchmark"].nunique() == 0
    kept = pd.read_csv(compared.out / "methods" / "pca_d=1.csv.gz")
    kept = kept[(kept["fold"] == 0) & (kept["family"] == "bloom")]
    kept = kept[kept["benchmark"] == title(curves[0])]
    assert shows(curves[0], kept["score"])
    assert {"fit", cross_validation.PLAIN} <= set(labels(curves[0]))


def test_the_same_seed_gives_the_same_bytes(compared, tmp_path):
    methods = ("logF_sigmoid_faminter", "fit")
    again = run(cross_validation.main, tmp_path / "again", *SETTING, "--methods", *methods)
    for name in methods:
        kept = Path("methods") / f"{name}.csv.gz"
        assert (again.out / kept).read_bytes() == (compared.out / kept).read_bytes()


def test_results_of_other_settings_are_refused(compared, tmp_path):
    before = (compared.out / "run.json").read_bytes()
    other = ("--leaderboard", "v2", "--n-train", "1", "--smoke", "--out", str(compared.out))
    assert "holds results with n_train 2, not 1" in refused(cross_validation.main, *other)
    assert (compared.out / "run.json").read_bytes() == before
    (tmp_path / "notes.txt").write_text("mine")
    line = refused(cross_validation.main, *SETTING, "--out", str(tmp_path))
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
    line = refused(cross_validation.main, "--n-train", "1", *arguments, "--out", str(out))
    assert message in line
    assert not out.exists()


def test_calibration_judges_every_held_out_score(calibrated):
    rows, record = calibrated.csv("held_out"), calibrated.summary
    assert len(rows) == record["scores"]
    assert (rows["size_ratio"] > 1.0).all()  # the smallest of a family are seen
    assert rows["pit"].between(0, 1).all()
    for level in ("50", "80", "90", "95"):
        lower, upper = rows[f"lower_{level}"], rows[f"upper_{level}"]
        assert (lower <= upper).all()
        inside = ((lower <= rows["score"]) & (rows["score"] <= upper)).mean()
        assert record[f"coverage_{level}"] == pytest.approx(inside, abs=1e-5)
        assert record[f"width_{level}"] == pytest.approx((upper - lower).mean(), abs=1e-5)
    of_family = rows.groupby("family")["covered_90"].mean()
    assert record["coverage_90_families"] == pytest.approx(of_family.mean(), abs=1e-5)
    assert record["crps"] == pytest.approx(rows["crps"].mean(), abs=1e-5)
    for name in ("mae", "mae_conformal", "crps_conformal", "coverage_90_corrected"):
        assert 0 <= record[name] <= 1
    assert f"coverage_90_families {record['coverage_90_families']:.4f}" in calibrated.printed


def test_calibration_draws_groups(calibrated):
    groups = calibrated.csv("by_group")
    coverage, _, by_group = calibrated.axes("calibration")
    assert shows(by_group, groups["coverage_90"])
    shown = [label.get_text() for label in by_group.get_yticklabels()]
    assert shown == [f"{row.group} ({row.scores})" for row in groups.itertuples()]
    # A score is inside the central interval of a level where its rank is.
    away = (2.0 * calibrated.csv("held_out")["pit"] - 1.0).abs()
    assert shows(coverage, [(away <= level).mean() for level in (0.5, 0.9)])


def test_bands_of_shares_count_families(calibrated):
    values = np.array([[1.0], [1.0], [1.0], [0.0], [0.0], [0.0]])
    families = np.array(["a", "a", "a", "b", "b", "b"])
    mean, lower, upper = calibration.with_band(values, families)
    assert (mean, lower, upper) == (0.5, 0.0, 1.0)  # two witnesses, not six
    _, lower, upper = calibration.with_band(values, np.arange(6))
    assert 0.0 < lower < 0.5 < upper < 1.0


def test_the_first_picture_is_of_finished_runs(calibrated, tmp_path):
    forecast = tmp_path / "forecast"
    forecast.mkdir()
    record = {"settings": {}, "hidden": [], "smoke": False}
    (forecast / "summary.json").write_text(json.dumps(record))
    models = [("one", j, 0.5, 0.4, 0.6, 0.55) for j in ("MMLU", "ARC")]
    columns = ["model", "benchmark", "median", "lower", "upper", "truth"]
    pd.DataFrame(models, columns=columns).to_csv(forecast / "predictions.csv", index=False)
    runs = [str(forecast), str(released(calibrated.out, tmp_path / "calibrated", "summary.json"))]
    figure = tmp_path / "figure.png"
    forecast_and_calibration.main(["--out", str(figure), *runs])
    assert figure.read_bytes().startswith(b"\x89PNG")
    smoke = [runs[0], str(calibrated.out)]
    out = str(tmp_path / "other.png")
    assert "a smoke run" in refused(forecast_and_calibration.main, "--out", out, *smoke)
    assert not (tmp_path / "other.png").exists()


def test_the_comparison_shows_ours_beside_theirs(compared, calibrated, tmp_path):
    folders = [
        str(released(compared.out, tmp_path / "compared", "run.json")),
        str(released(calibrated.out, tmp_path / "calibrated", "summary.json")),
    ]
    page = tmp_path / "page.md"
    comparison_table.main(["--out", str(page), *folders])
    text = page.read_text()
    average = compared.csv("summary", index_col="method")["average"]
    short, methods = table_of(text, "method"), table_of(text.split("## All methods")[1], "method")
    column = 4  # v2, n = 2
    assert methods["pca_d=1"][column] == f"0.0585 / {average['pca_d=1']:.4f}"
    plain = short["plain: `logF_sigmoid_faminter`, as published"]
    assert plain[:2] == ["0.0490", "0.0379"]
    # The median of the calibration takes the place of the comparison's own.
    assert short["ours: `fit`"][column] == f"{calibrated.summary['mae']:.4f}"
    assert "$" not in text


def test_pages_refuse_smoke_runs_and_folders_without_a_run(compared, calibrated, tmp_path):
    page = ("--out", str(tmp_path / "page.md"))
    assert "a smoke run" in refused(comparison_table.main, *page, str(compared.out))
    assert "a smoke run" in refused(calibration_table.main, *page, str(calibrated.out))
    for main in (comparison_table.main, calibration_table.main, development_table.main):
        assert "no finished run" in refused(main, *page, str(tmp_path))
    assert not (tmp_path / "page.md").exists()


def test_the_page_of_the_calibration(calibrated, tmp_path):
    folder = released(calibrated.out, tmp_path / "run", "summary.json")
    calibration_table.main(["--out", str(tmp_path / "page.md"), str(folder)])
    text = (tmp_path / "page.md").read_text()
    record, groups = calibrated.summary, calibrated.csv("by_group")
    assert table_of(text, "")["mean absolute error of the median"] == [f"{record['mae']:.4f}"]
    rows = table_of(text.split("### v2, n = 2")[1], "group")
    assert list(rows) == list(groups["group"])
    assert rows["IFEval"][0] == f"{groups['scores'][0]}"


def test_development(tmp_path):
    out = tmp_path / "out"
    arguments = ("--inference", "mode", "--skills", "1", "--smoke")
    done = run(development.main, out, *arguments)
    scores = done.csv("scores", index_col="split")
    assert scores.index.tolist() == ["8 models", "by lineage, n = 1", "mean"]
    rows = pd.read_csv(out / "splits" / "by_lineage_n1.csv")
    assert scores.loc["by lineage, n = 1", "mae"] == pytest.approx(rows["error"].mean(), rel=1e-5)
    inside = rows.groupby(["lineage", "family"])["covered_90"].mean().mean()
    of_families = scores["coverage_90_families"]
    assert of_families["by lineage, n = 1"] == pytest.approx(inside, rel=1e-5)
    assert of_families["mean"] == pytest.approx(of_families[:2].mean(), rel=1e-5)
    assert [row["split"] for row in done.summary["splits"]] == scores.index.tolist()
    # A run that was stopped goes on with the splits that are missing, to the same scores.
    (out / "splits" / "by_lineage_n1.csv").unlink()
    again = run(development.main, out, *arguments)
    assert "8 models: done before" in again.said
    pd.testing.assert_frame_equal(again.csv("scores", index_col="split"), scores)
    # Another setting, or a split that is not there.
    line = refused(development.main, *arguments[:2], "--skills", "2", "--smoke", "--out", str(out))
    assert "holds results with skills 1, not 2" in line
    line = refused(development.main, *arguments, "--splits", "by dates", "--out", str(out))
    assert "no split 'by dates'" in line
    page = tmp_path / "page.md"
    assert "a smoke run" in refused(development_table.main, "--out", str(page), str(out))
    folder = released(out, tmp_path / "run", "summary.json")
    development_table.main(["--out", str(page), str(folder)])
    shown = table_of(page.read_text(), "split")["by lineage, n = 1"]
    row = scores.loc["by lineage, n = 1"]
    assert shown[0] == f"{row['mae']:.4f} ({row['mae_se']:.4f})"
    assert "## Inference mode, skills 1" in page.read_text()
