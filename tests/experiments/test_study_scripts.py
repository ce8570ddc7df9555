"""Scripts about skills, recovery, the sampler, planning, tasks and attempts."""

from __future__ import annotations

import json
import os
import shutil
from functools import partial
from pathlib import Path

import compute_optimal
import devices
import devices_table
import downstream
import few_items
import few_items_table
import few_prompts
import few_prompts_table
import identifiability
import items_to_forecast
import jax
import numpy as np
import pandas as pd
import progress
import progress_table
import pytest
import simulation_based
import skills
import test_time_compute as attempts
import test_time_compute_table as attempts_table
from _runner import edition_2024
from running import Run, labels, refused, run, shows, title


def test_skills(tmp_path):
    done = run(skills.main, tmp_path / "out", "--skills", "3", "--smoke")
    assert "d = 3: " in done.printed
    loadings = done.csv("d3/loadings")
    assert len(loadings) == 12 * 3
    assert (loadings["lower"] <= loadings["median"]).all()
    assert (loadings["median"] <= loadings["upper"]).all()
    names = list(dict.fromkeys(loadings["skill"]))
    panels = done.axes("d3/loadings")
    assert [title(ax) for ax in panels] == names
    for name, ax in zip(names, panels, strict=True):
        assert shows(ax, loadings.loc[loadings["skill"] == name, ["median", "lower", "upper"]])
    (pairs,) = done.axes("d3/correlations")
    assert shows(pairs, done.csv("d3/correlations")["median"])
    (growth,) = done.axes("d3/growth")
    assert shows(growth, done.csv("d3/growth")["median"])
    assert len(done.axes("d3/base_to_chat")) == 3
    assert [title(ax) for ax in done.axes("d3/level_curves")[:3]] == names
    stability = done.csv("stability")
    assert set(stability["reason"]) == {"half of the lineages"}
    assert stability["congruence"].between(-1, 1).all()
    published = done.csv("published")
    assert published["loadings"].iloc[-1] == "published"
    assert 0 < published["starts"].sum() <= 1.0 + 1e-6
    assert "proposed_labels" in done.summary["d = 3"]


def test_identifiability(tmp_path):
    done = run(identifiability.main, tmp_path / "out", "--smoke")
    broken = done.csv("broken", keep_default_na=False)
    for row in broken.itertuples():
        assert row.expected in row.found.split() or (row.expected == row.found == "")
    assert done.summary["causes_named"] == done.summary["causes"] == 6
    recovery = done.csv("recovery")
    inside = recovery["truth"].between(recovery["lower"], recovery["upper"])
    assert done.summary["coverage_90"] == pytest.approx(inside.mean(), abs=1e-4)
    growth, loadings = done.axes("recovery")
    assert shows(growth, done.csv("rows")["error"])
    assert shows(loadings, recovery["truth"])
    assert shows(loadings, recovery["median"] - recovery["truth"], atol=1e-5)


def test_simulation_based(tmp_path):
    done = run(simulation_based.main, tmp_path / "out", "--smoke")
    ranks, record = done.csv("ranks"), done.summary
    assert list(ranks) == list(simulation_based.QUANTITIES)
    assert len(ranks) == record["simulations"] == 60
    assert record["uniform"]  # nothing is seen, and the posterior is the prior
    assert ranks.to_numpy().min() >= 0
    assert ranks.to_numpy().max() <= record["draws"]
    panels = done.axes("ranks")
    assert len(panels) == len(simulation_based.QUANTITIES)
    for ax in panels:
        counts = [bar.get_height() for bar in ax.patches[1:]]  # the first: 99 % of bins
        assert sum(counts) == record["simulations"]


def test_ranks_are_exact():
    draws = np.array([[[1.0], [3.0], [2.0]], [[5.0], [6.0], [7.0]], [[0.0], [1.0], [1.0]]])
    truth = np.array([[2.5], [4.0], [9.0]])
    assert simulation_based.rank(truth, draws).tolist() == [[2], [0], [3]]
    # Ties fall on every place they may have.
    tied = simulation_based.rank(np.zeros((400, 1)), np.zeros((400, 3, 1)))
    assert set(tied.ravel().tolist()) == {0, 1, 2, 3}


def test_ranks_show_whether_a_posterior_is_right():
    """Of a normal mean with a normal prior, whose posterior is known."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(2000, 1))
    score = truth + rng.normal(size=truth.shape)
    spread = {"right": np.sqrt(0.5), "narrow": 0.6 * np.sqrt(0.5)}
    shift = {"right": 0.0, "narrow": 0.0, "biased": 0.2}
    p = {}
    for name in shift:
        normal = rng.normal(size=(2000, 20, 1))
        draws = 0.5 * score[:, None] + shift[name] + spread.get(name, spread["right"]) * normal
        ranks = pd.DataFrame(simulation_based.rank(truth, draws), columns=["mean"])
        p[name] = simulation_based.uniformity(ranks, 20)["mean"]
    assert p["right"] > simulation_based.LEAST_P
    assert max(p["narrow"], p["biased"]) < 1e-6


def test_compute_optimal(tmp_path):
    done = run(compute_optimal.main, tmp_path / "out", "--smoke", "--skills", "1")
    rows, tested = done.csv("frontier"), done.csv("backtest")
    assert (rows["spent"] <= rows["flops"] * 1.001).all()
    assert (rows["params_b_lower"] <= rows["params_b_upper"]).all()
    assert tested["family"].tolist() == ["qwen2"]
    # The law that has seen everything loses nothing against itself.
    assert tested["regret"][0] >= -1e-4
    assert done.summary["loss"] == pytest.approx(tested["loss"][0], rel=1e-4)
    panels = done.axes("frontier")
    assert [title(ax) for ax in panels] == list(dict.fromkeys(rows["target"]))
    for ax, (_, part) in zip(panels, rows.groupby("target", sort=False), strict=True):
        assert shows(ax, part["params_b"])
        first = part[part["family"] == compute_optimal.FAMILIES[0]]
        assert shows(ax, first[["params_b_lower", "params_b_upper"]])
    sizes, losses = done.axes("backtest")
    assert shows(sizes, tested[["params_b", "recommended_params_b"]])
    assert shows(losses, -100.0 * tested[["loss", "lower", "upper"]])


def test_downstream(tmp_path):
    parts = ("llama3", "families", "agents")
    how = ("--inference", "mode", "--skills", "1", "--smoke")
    done = run(downstream.main, tmp_path / "out", *how, "--parts", *parts)
    rows = done.csv("predictions")
    assert set(rows["part"]) == set(parts)
    assert rows[["predicted", "truth", "crps"]].notna().all(axis=None)
    joint = rows["method"] == "law, jointly"
    assert rows.loc[joint, ["lower", "upper"]].notna().all(axis=None)
    llama3 = rows[rows["part"] == "llama3"]
    assert set(llama3["task"]) == {"HumanEval", "EQ-Bench"}
    assert "law, two steps, mode" in set(llama3["method"])
    # All methods of a setting predict the same models.
    same = rows[rows["part"] == "families"].groupby(["setting", "method"])["model"].apply(tuple)
    assert all(len(set(of)) == 1 for _, of in same.groupby("setting"))
    found = done.csv("errors").set_index(["part", "task", "method"])
    error = (llama3["predicted"] - llama3["truth"]).abs()
    mean = error[(llama3["task"] == "HumanEval") & (llama3["method"] == "law, jointly")].mean()
    assert found.loc[("llama3", "HumanEval", "law, jointly"), "mae"] == pytest.approx(
        mean, rel=1e-4
    )
    assert done.summary["parts"] == list(parts)
    curve = done.axes("llama3_HumanEval")[1]
    assert shows(curve, llama3.loc[llama3["task"] == "HumanEval", "truth"])
    assert [title(ax) for ax in done.axes("families")] == ["scores known", "from compute"]
    agents = rows.query("part == 'agents' and setting == 'scores known'")
    for ax in done.axes("agents"):
        drawn = agents[agents["task"] == title(ax)]
        assert shows(ax, drawn.loc[drawn["method"] == "law, jointly", "predicted"])


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Run:
    return run(attempts.main, tmp_path_factory.mktemp("simulated") / "out", "--smoke")


def test_test_time_compute(simulated):
    done = simulated
    assert "problems recovered" in done.printed
    rows = done.csv("coverage")
    assert (rows["lower"] <= rows["upper"]).all()
    assert (rows.groupby("simulation")["truth"].diff().dropna() >= 0).all()  # in attempts
    inside = rows["truth"].between(rows["lower"], rows["upper"])
    shares = inside.groupby(rows["k"]).mean()
    kept = done.summary["inside"]
    assert kept == {k: pytest.approx(shares[int(k)]) for k in kept}
    assert done.summary["data"] == "simulated"
    panels = done.axes("coverage")
    assert labels(panels[0]) == ["90 % band", "truth", "forecast"]
    for ax, (_, part) in zip(panels, rows.groupby("simulation"), strict=True):
        assert shows(ax, part[["truth", "median"]])


def test_test_time_compute_of_files(tmp_path):
    for model, right in (("a", 1), ("b", 3), ("c", 4)):
        marks = [{"is_corrects": [True] * right + [False] * (6 - right)}] * 3
        (tmp_path / f"MATH_{model}.json").write_text(json.dumps(marks))
    done = run(attempts.main, tmp_path / "out", "--folder", str(tmp_path))
    assert done.summary["data"] == "files"
    first = done.csv("coverage").groupby("simulation")["truth"].first()
    np.testing.assert_allclose(first, np.array([1, 3, 4]) / 6, atol=1e-5)  # pass@1


def test_few_prompts_and_their_page(tmp_path):
    done = run(few_prompts.main, tmp_path / "out", "--smoke")
    rows, record = done.csv("prompts"), done.summary
    assert len(rows) == 2 * 2 * 2  # simulations, laws, schemes
    for numbers in record["prompts"]:
        own = rows[(rows["law"] == numbers["law"]) & (rows["scheme"] == numbers["scheme"])]
        assert numbers["covered_5"] == pytest.approx(own["covered_5"].mean(), abs=1e-4)
        ratio = own["distance"].mean() / own["distance_naive"].mean()
        assert numbers["ratio"] == pytest.approx(ratio, abs=1e-3)
    best = done.csv("best")
    assert best.groupby("simulation")["probability"].sum().to_numpy() == pytest.approx(1.0)
    assert (best.groupby("simulation")["best"].sum() == 1).all()
    page = ("--out", str(tmp_path / "page.md"))
    assert "a smoke run" in refused(few_prompts_table.main, *page, str(done.out))
    shutil.copytree(done.out, tmp_path / "run")
    (tmp_path / "run" / "summary.json").write_text(json.dumps(record | {"smoke": False}))
    few_prompts_table.main([*page, str(tmp_path / "run")])
    text = (tmp_path / "page.md").read_text()
    assert f"| {record['prompts'][0]['distance']:.4f} (" in text
    assert f"{record['settings']['templates']} templates" in text


def test_distances_between_distributions_are_exact():
    one, other = np.array([0.0, 1.0, np.nan]), np.array([0.25, 0.5, 1.0, 1.25])
    assert few_prompts.wasserstein(one, other) == pytest.approx(0.25)


def counted(path: Path, models: int, tries: int = 4) -> Path:
    """A table of attempts of some models at 30 problems, in one setting."""
    rng = np.random.default_rng(0)
    mu = 1.0 / (1.0 + np.exp(2.0 * rng.normal(size=30)))
    p = rng.beta(mu, 1.0 - mu, size=(models, 30))
    model, item = np.indices(p.shape)
    columns = {"model": model.ravel(), "task": "t", "temperature": 0.8, "item": item.ravel()}
    counts = {"successes": rng.binomial(tries, p).ravel(), "tries": tries}
    pd.DataFrame(columns | counts).to_csv(path, index=False)
    return path


def test_attempts_held_out(tmp_path, simulated):
    path = counted(tmp_path / "counts.csv", 6)
    given = ("--attempts", str(path), "--tries", "4", "--smoke")
    done = run(attempts.main, tmp_path / "out", *given)
    rows, scores = done.csv("held_out"), done.csv("scores")
    assert set(rows["model"]) == {0, 1}
    whole = scores[scores["tested"] == "all"].set_index(["method", "k"])
    law = rows[(rows["method"] == "law") & (rows["k"] == 4)]
    error = (law["median"] - law["truth"]).abs().mean()
    assert whole.loc[("law", 4), "mae"] == pytest.approx(error, rel=1e-4)
    inside = law["truth"].between(law["lower"], law["upper"]).mean()
    assert whole.loc[("law", 4), "coverage_90"] == pytest.approx(inside)
    measured = pd.read_csv(path).query("model < 2").groupby("model")["successes"]
    np.testing.assert_allclose(law["truth"], measured.apply(lambda c: (c > 0).mean()), rtol=1e-4)
    assert done.summary["scores"][0]["mae"] == pytest.approx(scores["mae"][0], abs=1e-5)
    error_panel, _, last = done.axes("held_out")
    assert shows(error_panel, whole["mae"])
    assert shows(last, rows.loc[rows["k"] == 4, "median"])
    # The page, once neither is a smoke run.
    page, other = tmp_path / "page.md", tmp_path / "other"
    shutil.copytree(simulated.out, other)
    (other / "summary.json").write_text(json.dumps(simulated.summary | {"smoke": False}))
    assert "a smoke run" in refused(attempts_table.main, "--out", str(page), str(done.out))
    (done.out / "summary.json").write_text(json.dumps(done.summary | {"smoke": False}))
    alone = refused(attempts_table.main, "--out", str(page), str(done.out))
    assert "no run on simulated data" in alone
    attempts_table.main(["--out", str(page), str(done.out), str(other)])
    text = page.read_text()
    assert f"{error:.4f}" in text
    assert f"| 1 | {simulated.summary['inside']['1']:.2f} |" in text


def test_progress_and_its_page(tmp_path):
    done = run(progress.main, tmp_path / "out", "--smoke", "--skills", "2")
    by_date, yearly = done.csv("efficiency_by_date"), done.csv("yearly_progress")
    assert by_date["lineage"].nunique() == done.summary["lineages"] >= 5
    assert (yearly["lower"] < yearly["median"]).all()
    panels = done.axes("progress")
    for name, ax in zip(dict.fromkeys(yearly["skill"]), panels, strict=True):
        assert shows(ax, by_date.loc[by_date["skill"] == name, ["year", "median"]])
    page = ("--out", str(tmp_path / "page.md"))
    assert "a smoke run" in refused(progress_table.main, *page, str(done.out))
    progress_table.main([*page, str(unsmoked(done, tmp_path / "run"))])
    row = yearly.iloc[0]
    assert f"{row['median']:.2f} ({row['lower']:.2f} to" in (tmp_path / "page.md").read_text()


def test_the_verdict_names_skills_of_unknown_sign():
    assert progress_table.verdict([], 2) == "The sign is known for every skill."
    assert progress_table.verdict(["a"], 2) == "The sign is not known for a."
    assert progress_table.verdict(["a", "b"], 2).startswith("For no skill")


def test_attempts_that_cannot_be_held_out_are_refused(tmp_path):
    given = ["--attempts", str(counted(tmp_path / "counts.csv", 3)), "--out", str(tmp_path / "out")]
    said = refused(attempts.main, *given, "--tries", "4")
    assert "no setting with four models that have 4 tries at every item" in said
    assert "nothing is left" in refused(attempts.main, *given, "--tries", "2")
    assert not (tmp_path / "out").exists()


def test_few_items_and_their_page(tmp_path):
    banks = tmp_path / "banks"
    banks.mkdir()
    assert "no item bank" in refused(few_items.main, "--out", "x", "--smoke", "--banks", str(banks))
    rng = np.random.default_rng(0)
    right = (rng.normal(size=(12, 1)) > rng.normal(size=60)).astype(int)
    frame = pd.DataFrame(right, columns=[f"i{i}" for i in range(60)])
    frame.insert(0, "model", [f"m{m}" for m in range(12)])
    frame.to_csv(banks / "own.csv", index=False)
    labels = pd.DataFrame({"item": frame.columns[1:], "category": ["x", "y"] * 30})
    labels.to_csv(banks / "own_items.csv", index=False)
    done = run(few_items.main, tmp_path / "out", "--smoke", "--banks", str(banks))
    rows, means = done.csv("models"), done.csv("means")
    own = rows[(rows["method"] == "stratified") & (rows["estimator"] == "combined")]
    (row,) = means[(means["method"] == "stratified") & (means["estimator"] == "combined")].to_dict(
        "records"
    )
    error = (own["estimate"] - own["score"]).abs()
    assert row["error"] == pytest.approx(error.mean(), abs=1e-5)
    assert row["coverage_90"] == pytest.approx(
        own["score"].between(own["lower"], own["upper"]).mean(), abs=1e-5
    )
    new = done.csv("new_versions")
    assert set(new["kind"]) == {"random half", "harder half"}
    assert done.summary["simulated"]["skill_correlation"] > 0.9
    (ax,) = done.axes("few_items")
    assert shows(ax, means[means["estimator"] == "combined"]["error"])
    page = ("--out", str(tmp_path / "page.md"))
    refuses = partial(refused, few_items_table.main, *page)
    assert "1 folders: the page is of a run of few_items.py" in refuses(str(done.out))
    assert "a smoke run" in refuses(str(done.out), str(done.out))
    chain = run(items_to_forecast.main, tmp_path / "chain", "--smoke", "--banks", str(banks))
    folders = [str(unsmoked(each, tmp_path / name)) for each, name in ((done, "a"), (chain, "b"))]
    few_items_table.main([*page, *folders])
    text = (tmp_path / "page.md").read_text()
    assert f"| {row['error']:.4f} ({row['error_se']:.4f}) |" in text
    widths = chain.csv("means")
    assert widths["items"].tolist() == [0, 30, -1]
    assert f"{widths['ratio'][1]:.2f} times as wide as with all" in text
    forecasts = chain.csv("forecasts")
    mean = forecasts.groupby("items", sort=False)["width_90"].mean()
    np.testing.assert_allclose(widths["width"], mean, rtol=1e-4)
    (panel,) = chain.axes("items_to_forecast")
    assert shows(panel, 100 * widths["width"])


def unsmoked(done, folder):
    """The results of a smoke run as if it were none, in a folder of their own."""
    shutil.copytree(done.out, folder)
    (folder / "summary.json").write_text(json.dumps(done.summary | {"smoke": False}))
    return folder


def test_thinned_scores_scatter_by_their_errors():
    table = edition_2024()
    models = np.arange(8)
    many = [
        items_to_forecast.thin(table, models, 100, np.random.default_rng(seed))
        for seed in range(50)
    ]
    real = table.scores[models, table.benchmarks.index("MMLU")]
    off = np.stack([(frame["MMLU"] - real) / frame["MMLU se"] for frame in many])
    assert 0.85 < np.nanstd(off) < 1.15
    assert "MMLU se" not in items_to_forecast.thin(table, models, -1, np.random.default_rng(0))


def test_real_answers_of_known_models_are_forecast_with(tmp_path):
    names = ["Llama-2-7b-hf", "Llama-2-70b-hf", *(f"strange-{m}" for m in range(10))]
    rng = np.random.default_rng(1)
    right = rng.random((12, 60)) < np.linspace(0.3, 0.8, 12)[:, None]
    frame = pd.DataFrame(right.astype(int), columns=[f"i{i}" for i in range(60)])
    frame.insert(0, "model", names)
    frame.to_csv(tmp_path / "own.csv", index=False)
    bank = few_items.read_banks(tmp_path)["own"]
    full, name_of = items_to_forecast.with_bank(edition_2024(), bank)
    assert set(name_of) == set(names[:2])
    at = full.models.index(name_of["Llama-2-70b-hf"])
    assert full.params_b[at] == pytest.approx(70, rel=0.05)
    assert full.tokens_t[at] == pytest.approx(2.0)
    given = full.scores[at, full.benchmarks.index(items_to_forecast.BANKED)]
    assert given == pytest.approx(right[1].mean())
    others = bank.select_models(np.arange(12) >= 2)
    scores = items_to_forecast.asked(others, bank.select_models(np.arange(12) < 1), 30, 0)
    assert scores["model"].tolist() == names[:1]
    assert abs(scores[items_to_forecast.BANKED].iloc[0] - right[0].mean()) < 0.2


def test_one_fit_on_one_device_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"])  # put back what a run adds
    devices.one_run("cpu", jax.config.jax_enable_x64, 0, True, str(tmp_path / "run.npz"))
    with np.load(tmp_path / "run.npz") as kept:
        quantiles, seconds = kept["quantiles"], kept["seconds"]
    asked = len(devices.FAMILIES) * len(devices.SIZES) * len(devices.TOKENS)
    assert quantiles.shape == (3, asked, 12)
    assert (np.diff(quantiles, axis=0) >= 0.0).all()
    assert (seconds > 0.0).all()


def test_devices_are_compared_with_the_first_and_the_page_says_how(tmp_path):
    first = np.array([[[0.2]], [[0.5]], [[0.8]]])
    found = devices.compared(np.array([[[0.3]], [[0.6]], [[0.75]]]), first)
    assert found["median_shift_mean"] == found["median_shift_most"] == pytest.approx(0.1)
    assert found["width_ratio"] == pytest.approx(0.75)
    rows = [
        {"device": device, "bits": 64, "seed": seed, "cold": 12.0, "warm": 1.25}
        | {name: value * shift for name, value in found.items()}
        for device, seed, shift in (("cpu", 0, 0.0), ("cpu", 1, 1.0), ("cuda", 0, 0.5))
    ]
    record = {"rows": rows, "cores": 2, "seed": 0, "edition": "2024", "settings": {}}
    record["versions"] = {"device": "a card", "jax": "0.9"}
    (tmp_path / "summary.json").write_text(json.dumps(record))
    devices_table.main(["--out", str(tmp_path / "page.md"), str(tmp_path)])
    page = (tmp_path / "page.md").read_text()
    assert "| cpu, another seed | 64 | 12 | 1.2 | 0.1000 | 0.1000 | 0.75 (0.75 to 0.75) |" in page
    assert "no further than another seed" in page
    assert "2.0 times as far" in devices_table.verdict(
        [*rows, rows[1] | {"seed": 0, "median_shift_mean": 0.2}], 0
    )
