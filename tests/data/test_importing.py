"""Other people's files: exports of leaderboards, result files, tables of any shape."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from sloth_jax import InputError, load_leaderboard
from sloth_jax.cli import importing as cli_importing
from sloth_jax.cli.main import main
from sloth_jax.data.importing.reader import import_scores
from sloth_jax.data.importing.result import FORMATS, KINDS, LM_EVAL, TABLE, V1, V2
from sloth_jax.data.schema import COLUMNS
from sloth_jax.data.tables import read_bundled
from sloth_jax.model_names import size_in_name

V1_HEADER = (
    "T,Model,Average ⬆️,ARC,HellaSwag,MMLU,TruthfulQA,Winogrande,GSM8K,Type,Weight type,"
    "Precision,Merged,#Params (B),Flagged,MoE,date\n"
)
CHAT, TUNED = "💬 chat models", "🔶 fine-tuned"


def v1_row(
    model: str,
    scores: str,
    kind: str = "🟢 pretrained",
    precision: str = "bfloat16",
    size: int = 6,
    date: str = "2023-07-18",
    merged: bool = True,
    flagged: bool = True,
) -> str:
    """A row of the export, whose marks are True where nothing is special."""
    facts = f"{kind},Original,{precision},{merged},{size},{flagged},True,{date}"
    return f"{kind[0]},{model},50,{scores},{facts}\n"


LLAMA_CHAT = "52.7,78.5,48.1,45.5,71.7,7.3"
V1_ROWS = "".join(
    (
        v1_row("meta-llama/Llama-2-7b-hf", "53.1,77.7,43.8,39.0,74.0,14.5", precision="float16"),
        v1_row("meta-llama/Llama-2-7b-hf", "53.0,77.6,43.7,38.9,73.9,14.4", date="2023-07-01"),
        v1_row("meta-llama/Llama-2-13b-hf", "58.1,80.9,54.3,34.1,76.6,22.8", size=12),
        v1_row("meta-llama/Llama-2-7b-chat-hf", LLAMA_CHAT, CHAT),
        v1_row("someone/llama-2-7b-merge", LLAMA_CHAT, "🤝 base merges", merged=False),
        v1_row("cheat/llama-2-7b-best", "92.7,78.5,48.1,45.5,71.7,7.3", TUNED, flagged=False),
        v1_row("quick/llama-2-7b-GPTQ", LLAMA_CHAT, TUNED, precision="GPTQ"),
        v1_row("mistralai/Mistral-7B-v0.1", "60,83,64,42,78,37", size=7, date="2023-09-27"),
        v1_row("nobody/nameless", "60,83,64,42,78,37", size=0),
        v1_row("nobody/llama-2-7b-broken", "60,830,64,42,78,37"),
    )
)


@pytest.fixture
def export(tmp_path):
    path = tmp_path / "v1.csv"
    path.write_text(V1_HEADER + V1_ROWS)
    return path


def test_an_export_is_read_with_every_row_accounted_for(export):
    found = import_scores(export)
    assert found.format == V1
    assert found.rows_in == 10 == len(found.rows) + len(found.rejected)
    assert found.reasons() == {"submitted more than once": 1, "quantised": 1, "not a score": 1}
    # A model of unknown tokens, or size, is kept and listed.
    assert found.reasons(found.unknown) == {"training tokens not known": 1, "size not known": 1}
    frame = found.frame.set_index("model")
    # bfloat16 is kept, though it was submitted earlier
    assert frame.loc["llama-2-7b-hf", "ARC"] == pytest.approx(0.53)
    again = [row for row in found.rejected if "more than once" in row["reason"]]
    assert again[0]["row"] == 2
    assert "row 3 is kept (bfloat16, 2023-07-01)" in again[0]["reason"]
    # The size column is rounded down, the name agrees with it and is more precise.
    assert frame.loc["llama-2-13b-hf", "params_b"] == 13.0
    assert frame.loc["llama-2-7b-chat-hf", "family"] == "llama-2-chat"
    assert bool(frame.loc["llama-2-7b-chat-hf", "post_trained"])
    assert not frame.loc["llama-2-7b-hf", "post_trained"]
    facts = frame.loc[["mistral-7b-v0.1", "nameless"], ["lineage", "params_b", "tokens_t"]]
    assert facts.iloc[0].tolist()[:2] == ["mistral", 7.0]
    assert facts.iloc[1].tolist()[:1] == ["nameless"]
    assert facts.isna().to_numpy().tolist() == [[False, False, True], [False, True, True]]
    assert (frame["lineage"].drop(facts.index) == "llama-2").all()
    broken = next(row for row in found.rejected if row["model"].endswith("broken"))
    assert "value '830': not between 0 and 100" in broken["reason"]


def test_kinds_of_rows_are_left_out_on_request(export):
    # The columns hold the opposite of their names: True is what most models are.
    found = import_scores(export, without=["merged", "flagged"])
    gone = {row["model"] for row in found.rejected if "on request" in row["reason"]}
    assert gone == {"someone/llama-2-7b-merge", "cheat/llama-2-7b-best"}
    assert len(found.rows) + len(found.rejected) == 10
    with pytest.raises(InputError, match="did you mean 'merged'"):
        import_scores(export, without=["mergd"])


def test_the_second_leaderboard_is_read_from_its_raw_columns(tmp_path):
    path = tmp_path / "v2.csv"
    names = ["IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO"]
    columns = [column for name in names for column in (name, f"{name} Raw")]
    values = [
        "79.96",
        "0.8",
        "58.8",
        "0.71",
        "39",
        "0.39",
        "17.9",
        "0.38",
        "23.7",
        "0.5",
        "49",
        "0.54",
    ]
    header = ["Model", "Average ⬆️", *columns, "Type", "Precision", "Not_Merged", "#Params (B)",
              "Flagged", "MoE", "Submission Date"]  # fmt: skip
    row = ["Qwen/Qwen2-72B", "44", *values, "🟢 pretrained", "bfloat16", "True", "72", "True",
           "True", "2024-06-26"]  # fmt: skip
    path.write_text(",".join(header) + "\n" + ",".join(row) + "\n")
    found = import_scores(path)
    assert found.format == V2
    (only,) = found.rows
    assert only["BBH"] == 0.71
    assert only["tokens_t"] == 7.0
    assert "no row is taken to mean flagged" in " ".join(found.notes)


LATER = """fullname,Model,Precision,Type,#Params (B),Upload To Hub Date,{}
meta-llama/Llama-2-7b-hf,<a href="x">Llama</a>,float16,pretrained,6.738,2023-07-18,{}
"""


def test_a_later_export_has_full_names_exact_sizes_and_no_average(tmp_path):
    names = ("IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO")
    (tmp_path / "later.csv").write_text(
        LATER.format(",".join(f"{name} Raw" for name in names), ",".join(["0.3"] * 6))
    )
    found = import_scores(tmp_path / "later.csv")
    assert found.format == V2
    (only,) = found.rows
    assert only["model"] == "llama-2-7b-hf"
    assert only["params_b"] == 6.738  # not 7, by the name
    assert only["released"] == "2023-07-18"
    (tmp_path / "relative.csv").write_text(
        (tmp_path / "later.csv").read_text().replace("fullname", "Average", 1).replace(" Raw", "")
    )
    with pytest.raises(InputError, match="without Raw are relative to chance"):
        import_scores(tmp_path / "relative.csv")


def test_a_family_that_facts_give_was_not_read_off_a_name(tmp_path):
    (tmp_path / "t.csv").write_text("model,MMLU\nmine-7b,0.4\nmine-13b,0.5\n")
    facts = pd.DataFrame({"model": ["mine-7b", "mine-13b"], "tokens_t": 2.0, "family": "mine"})
    found = import_scores(tmp_path / "t.csv", facts=facts)
    assert set(found.frame["family"]) == {"mine"}
    assert "family" not in {row["column"] for row in found.guessed}
    # Two runs under that name are told apart all the same: rejected rows have it filled in.
    apart = import_scores(tmp_path / "t.csv", facts=facts.assign(lineage=["one", "two"]))
    assert set(apart.frame["family"]) == {"mine (one, base)", "mine (two, base)"}


def harness(task: dict, shots: dict, **more) -> dict:
    return {"results": task, "n-shot": shots, **more}


@pytest.fixture
def runs(tmp_path):
    """Result files as three versions of the harness write them, and what lies about beside them."""
    folder = tmp_path / "runs"
    named = folder / "meta-llama__Llama-2-7b-hf"
    named.mkdir(parents=True)
    new = harness(
        {
            "arc_challenge": {"alias": "arc_challenge", "acc,none": 0.45, "acc_norm,none": 0.531,
                              "acc_norm_stderr,none": 0.014},
            "mmlu": {"acc,none": 0.438, "acc_stderr,none": 0.004},
            "mmlu_stem": {"acc,none": 0.36},
            "gsm8k": {"exact_match,strict-match": 0.145, "exact_match_stderr,strict-match": 0.009,
                      "exact_match,flexible-extract": 0.15},
            "gsm8k_cot": {"exact_match,flexible-extract": 0.25, "exact_match,strict-match": 0.2},
            "my_group": {"acc,none": 0.3},
            "one_of_it": {"acc,none": 0.9},
            "my_task": {"acc,none": 0.2, "acc_stderr,none": 0.03},
        },
        {"arc_challenge": 25, "mmlu": 5, "gsm8k": 5, "my_task": 0},
        group_subtasks={"my_group": ["one_of_it"], "mmlu": ["mmlu_stem"], "my_task": []},
        config={"model": "hf", "model_args": "pretrained=meta-llama/Llama-2-7b-hf,dtype=bfloat16"},
    )  # fmt: skip
    (named / "results_2024-06-01.json").write_text(json.dumps(new))
    (named / "samples_gsm8k_2024-06-01.json").write_text("[]")
    middle = {
        "results": {
            "hellaswag": {"acc,none": 0.57, "acc_norm,none": 0.777, "acc_norm_stderr,none": 0.004},
            "winogrande": {"acc,none": 0.74, "acc_stderr,none": 0.012},
        },
        "configs": {"hellaswag": {"num_fewshot": 0}, "winogrande": {"num_fewshot": 5}},
        "config": {"model_args": {"pretrained": "meta-llama/Llama-2-7b-hf"}},
    }
    (folder / "second.json").write_text(json.dumps(middle))
    subjects = {
        f"harness|hendrycksTest-subject{i}|5": {"acc": 0.5, "acc_norm": 0.4} for i in range(57)
    }
    old = {
        "results": {"harness|arc:challenge|25": {"acc": 0.5, "acc_norm": 0.58}, **subjects},
        "config_general": {"model_name": "meta-llama/Llama-2-13b-hf"},
    }
    (folder / "old.json").write_text(json.dumps(old))
    (folder / "broken.json").write_text("{")
    (folder / "nameless.json").write_text(json.dumps(harness({"gsm8k": {"acc": 0.1}}, {})))
    return folder


def test_result_files_of_several_versions_become_one_row_per_model(runs):
    found = import_scores(runs)
    assert found.format == LM_EVAL
    assert found.rows_in == len(found.rows) + len(found.rejected)
    frame = found.frame.set_index("model")
    small = frame.loc["llama-2-7b-hf"]
    assert small["ARC"] == 0.531
    assert small["MMLU"] == 0.438
    assert small["GSM8K"] == 0.145
    assert small["Winogrande"] == 0.74
    assert small["my_task"] == 0.2
    assert small["gsm8k_cot"] == 0.25
    assert small["my_group"] == 0.3
    assert "one_of_it" not in frame
    # Another number of examples is another benchmark.
    assert np.isnan(small.get("HellaSwag", np.nan))
    assert small["hellaswag, 0 examples"] == 0.777
    (note,) = found.notes
    assert note == (
        "second.json: task hellaswag was run with 0 examples, HellaSwag has 10: kept as hellaswag,"
        " 0 examples"
    )
    assert set(frame) - set(COLUMNS) == {
        "ARC", "ARC se", "MMLU", "MMLU se", "GSM8K", "GSM8K se", "Winogrande", "Winogrande se",
        "hellaswag, 0 examples", "hellaswag, 0 examples se", "my_task", "my_task se", "gsm8k_cot",
        "my_group",
    }  # fmt: skip
    assert frame.loc["llama-2-13b-hf", "MMLU"] == 0.5
    assert frame.loc["llama-2-13b-hf", "ARC"] == 0.58
    assert small["tokens_t"] == 2.0
    assert small["ARC se"] == 0.014
    assert small["GSM8K se"] == 0.009
    reasons = {row["row"]: row["reason"] for row in found.rejected}
    assert "no result file" in reasons["broken.json"]
    assert "no name of a model" in reasons["nameless.json"]


def test_some_subjects_of_mmlu_are_a_benchmark_of_their_own(tmp_path):
    results = {f"hendrycksTest-{k}": {"acc": 0.4 + 0.1 * k} for k in range(3)}
    results["gsm8k"] = {"acc": 14.5}
    run = {"results": results, "config": {"model_args": "pretrained=llama-2-7b", "num_fewshot": 5}}
    (tmp_path / "run.json").write_text(json.dumps(run))
    found = import_scores(tmp_path / "run.json")
    (row,) = found.rows
    assert row["hendrycksTest, 3 subjects, 5 examples"] == pytest.approx(0.5)
    assert "MMLU" not in row
    assert found.notes == [
        "run.json: task gsm8k: 14.5 is no fraction, left out",
        "run.json: MMLU has 57 subjects and 5 examples: kept as hendrycksTest, 3 subjects,"
        " 5 examples",
    ]


def test_wide_and_long_tables_are_the_same(tmp_path):
    wide = pd.DataFrame(
        {"model": ["llama-2-7b", "ours-3b"], "tokens_t": [np.nan, 1.5], "MMLU": [43.8, 40.0],
         "Coding": [0.2, np.nan]}
    )  # fmt: skip
    wide.to_csv(tmp_path / "wide.csv", index=False)
    one = import_scores(tmp_path / "wide.csv")
    assert one.format == TABLE
    assert one.notes == ["column MMLU: percent, divided by 100"]
    frame = one.frame.set_index("model")
    assert frame.loc["llama-2-7b", "MMLU"] == pytest.approx(0.438)
    assert frame.loc["ours-3b", "tokens_t"] == 1.5  # as given
    assert frame.loc["ours-3b", "params_b"] == 3.0  # as the name says
    assert {row["column"] for row in one.guessed if row["model"] == "ours-3b"} == {
        "params_b", "family", "lineage", "post_trained",
    }  # fmt: skip
    long = pd.DataFrame(
        {"model": ["llama-2-7b", "llama-2-7b", "ours-3b", "ours-3b"],
         "benchmark": ["MMLU", "Coding", "MMLU", "MMLU"], "score": [0.438, 0.2, 0.4, 0.5],
         "tokens_t": [np.nan, np.nan, 1.5, 1.5]}
    )  # fmt: skip
    long.to_csv(tmp_path / "long.csv", index=False)
    other = import_scores(tmp_path / "long.csv")
    pd.testing.assert_frame_equal(other.frame, one.frame)
    assert other.reasons() == {"a second score on it": 1}


def test_one_score_above_one_is_a_mistake_and_not_percent(tmp_path):
    rows = "".join(f"llama-2-{size}b,0.{size}\n" for size in (7, 13, 70))
    (tmp_path / "t.csv").write_text(f"model,MMLU\n{rows}llama-2-8b,1.02\n")
    found = import_scores(tmp_path / "t.csv")
    assert found.frame["MMLU"].tolist() == [0.13, 0.7, 0.7]
    assert "1.02" in found.rejected[0]["reason"]


def test_nothing_kept_is_an_error_with_the_reasons(tmp_path):
    (tmp_path / "t.csv").write_text("model,MMLU\nnobody,\n,0.4\n")
    with pytest.raises(InputError, match=r"none of 2 rows could be kept: .*no score \(1\)"):
        import_scores(tmp_path / "t.csv")
    with pytest.raises(InputError, match="did you mean 'lm-eval'"):
        import_scores(tmp_path / "t.csv", kind="lm-evil")


def test_families_that_differ_in_what_they_come_from_are_told_apart(tmp_path):
    (tmp_path / "t.csv").write_text(
        "model,lineage,tokens_t,MMLU\nx-7b,llama-2,2,0.4\nx-13b,qwen,3,0.5\n"
    )
    families = set(import_scores(tmp_path / "t.csv").frame["family"])
    assert families == {"x (llama-2, base)", "x (qwen, base)"}


def test_the_command_knows_what_the_reader_knows():
    assert set(cli_importing._FORMATS) == set(FORMATS)
    assert cli_importing._KINDS == KINDS


def test_the_command_writes_a_table_that_the_law_reads(export, tmp_path, capsys):
    out = [tmp_path / f"{name}.csv" for name in ("table", "rejected", "guessed", "unknown")]
    arguments = ["import", export, "--out", out[0]]
    arguments += [word for file in out[1:] for word in (f"--{file.stem}", file)]
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    assert not stop.value.code
    printed = capsys.readouterr().out
    assert "rows in: 10, kept: 7, rejected: 3" in printed
    assert "1  kept, training tokens not known" in printed
    table = load_leaderboard(out[0])
    assert len(table.models) == 7
    assert table.known.sum() == 5
    assert table.benchmarks[:2] == ("MMLU", "ARC")
    assert len(pd.read_csv(out[1])) == 3
    unknown = pd.read_csv(out[3]).set_index("model")
    assert list(unknown.index) == ["mistralai/Mistral-7B-v0.1", "nobody/nameless"]
    assert unknown.loc["mistralai/Mistral-7B-v0.1", "reason"].endswith("tokens not public")
    assert set(pd.read_csv(out[2])["column"]) >= {"tokens_t", "family"}
    with pytest.raises(SystemExit) as stop:
        main(["import", str(tmp_path / "nothing"), "--out", str(out[0])])
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("name", "rows", "kind", "near", "agreeing"),
    [
        ("open_llm_leaderboard_v1_dump_2024-06.csv", 7169, V1, 0.025, 0.97),
        ("open_llm_leaderboard_v2_dump_2024-08.csv", 729, V2, 0.025, 0.97),
        # Exact sizes, a tenth at most from those that names round to, and many merges.
        ("open_llm_leaderboard_v2_2025-02.csv", 3827, V2, 0.1, 0.85),
    ],
)
def test_published_exports_are_read_whole(shared, name, rows, kind, near, agreeing, tmp_path):
    found = import_scores(shared / "data" / name)
    assert found.format == kind
    assert found.rows_in == rows == len(found.rows) + len(found.rejected)
    assert sum(found.reasons().values()) == len(found.rejected)
    assert all(row["reason"] for row in found.rejected)
    fewer = import_scores(shared / "data" / name, without=KINDS)
    assert len(fewer.rows) + len(fewer.rejected) == rows
    assert len(fewer.rows) < len(found.rows)
    found.frame.to_csv(tmp_path / "t.csv", index=False)
    table = load_leaderboard(tmp_path / "t.csv")
    assert len(table.models) == len(found.rows)
    # Every row has its size and tokens, or is listed.
    assert (~table.known).sum() == len(found.unknown)
    assert all(row["reason"] for row in found.unknown)
    # No tokens are taken from a run of another size.
    sizes: dict[str, set[float]] = {}
    for run in read_bundled("pretraining.csv").records():
        sizes.setdefault(run["lineage"], set()).update(map(float, run["sizes_b"].split()))
    never = [
        row["model"]
        for row in found.rows
        if row["tokens_t"] is not None
        and min(abs(size / row["params_b"] - 1.0) for size in sizes[row["lineage"]]) > near
    ]
    assert not never
    # Sizes read off names agree with the column, whole billions rounded down, within 15 %.
    export = pd.read_csv(shared / "data" / name)
    names = export["fullname" if "fullname" in export else "Model"]
    sizes = [
        (size_in_name(model), size)
        for model, size in zip(names, export["#Params (B)"], strict=True)
    ]
    stated = [(one.params_b, size) for one, size in sizes if one and one.experts and size > 0]
    agree = [0.85 * size <= one <= 1.15 * (size + 1.0) for one, size in stated]
    assert len(stated) > 0.7 * rows
    assert np.mean(agree) >= agreeing


def test_result_files_become_predictions_in_two_commands(runs, tmp_path, capsys):
    table, out = str(tmp_path / "table.csv"), str(tmp_path / "predictions.csv")
    query = tmp_path / "query.csv"
    query.write_text("model,family,params_b,tokens_t\nllama-2-70b-hf,llama-2,69,2\n")
    quick = ("--edition", "2024", "--point", "--skills", "1")
    commands = (
        ["import", str(runs), "--out", table],
        ["predict", "--add", table, "--query", str(query), *quick, "--out", out],
    )
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert not ended.value.code, capsys.readouterr().err
    predicted = pd.read_csv(out).set_index("benchmark")
    # Both imported models have a score, beside the family's own.
    bundled = load_leaderboard(edition="2024")
    own = (bundled.family == bundled.families.index("llama-2")).sum()
    assert (predicted["family_models"] == own + 2).all()
    assert predicted["median"].between(0, 1).all()
    assert {"MMLU", "MATH Lvl 5", "my_task"} <= set(predicted.index)
    told = capsys.readouterr().err
    assert "llama-2-7b-hf has family, size and tokens of llama-2-7b" in told
