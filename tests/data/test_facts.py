"""What result files say of a model, and what a file of facts adds to it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from sloth_jax import InputError, TableError, load_leaderboard
from sloth_jax.cli.main import main
from sloth_jax.data.importing.reader import import_scores
from sloth_jax.data.importing.result import NothingKept
from sloth_jax.data.joining import add_models


def result(arguments: str | dict, score: float = 0.4, **config) -> dict:
    config = {"model": "hf", "model_args": arguments, **config}
    return {"results": {"gsm8k": {"exact_match,strict-match": score}}, "config": config}


@pytest.fixture
def runs(tmp_path):
    """Result files of a registered model, of one that nobody knows, and of some special ones."""
    folder = tmp_path / "runs"
    folder.mkdir()
    files = {
        "known": result("pretrained=facebook/opt-350m", model_num_parameters=331196416),
        "own": result("pretrained=/home/me/out/my-model", model_num_parameters=1234567890),
        "nobits": result("pretrained=me/tiny,load_in_4bit=True", model_dtype="torch.uint8"),
        "int8": result({"pretrained": "me/tiny", "dtype": "auto"}, model_dtype="torch.int8"),
        "step": result({"pretrained": "EleutherAI/pythia-1b", "revision": "step3000"}),
        "adapter": result("pretrained=meta-llama/Llama-2-7b-hf,peft=me/llama-2-7b-lora"),
    }
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def test_sizes_types_and_arguments_of_result_files_are_used(runs):
    found = import_scores(runs)
    frame = found.frame.set_index("model")
    # An exact count, and 350m in the name: the registered run of about this size.
    assert frame.loc["opt-350m", ["params_b", "tokens_t"]].tolist() == [0.331196416, 0.18]
    # An adapter is a model of its own.
    assert set(frame.index) == {"opt-350m", "llama-2-7b-lora", "my-model", "pythia-1b@step3000"}
    rejected = {row["row"]: row["reason"] for row in found.rejected}
    assert rejected == {
        "nobits.json": "quantised: load_in_4bit=True",
        "int8.json": "quantised: int8",
    }
    unknown = {row["row"]: row for row in found.unknown}
    assert set(unknown) == {"own.json", "step.json"}
    assert unknown["own.json"]["params_b"] == frame.loc["my-model", "params_b"] == 1.23456789
    # A checkpoint is not the finished run.
    assert unknown["step.json"]["model"] == "EleutherAI/pythia-1b@step3000"
    assert "'step3000' in the name" in unknown["step.json"]["reason"]
    assert frame.loc[["my-model", "pythia-1b@step3000"], "tokens_t"].isna().all()
    assert frame.loc["pythia-1b@step3000", "lineage"] == "pythia of unknown lineage"
    assert not {("my-model", "tokens_t"), ("pythia-1b@step3000", "tokens_t")} & {
        (row["model"], row["column"]) for row in found.guessed
    }


def test_facts_come_before_the_source_and_that_before_names(tmp_path, runs):
    facts = pd.DataFrame(
        {
            "model": ["my-model", "FACEBOOK/opt-350m", "me/not-there"],
            "family": ["ours", None, "x"],
            "tokens_t": [0.5, 0.2, 1.0],
            "params_b": [None, 0.33, None],
        }
    )
    found = import_scores(runs, facts=facts)
    frame = found.frame.set_index("model")
    own = ["family", "lineage", "params_b", "tokens_t"]
    assert frame.loc["my-model", own].tolist() == ["ours", "ours", 1.23456789, 0.5]
    assert frame.loc["opt-350m", ["params_b", "tokens_t"]].tolist() == [0.33, 0.2]
    guessed = {(row["model"], row["column"]) for row in found.guessed}
    assert ("opt-350m", "tokens_t") not in guessed
    assert found.notes == [
        f"facebook/opt-350m: params_b is 0.331196416 in {runs} and 0.33 in data frame, row 3: facts"
        " count",
        "facts of models that the source does not have: me/not-there",
    ]


def test_a_given_lineage_decides_an_ambiguous_name_and_is_never_contradicted(tmp_path):
    table = pd.DataFrame(
        {"model": ["x-llama-13b", "llama-2-7b"], "lineage": ["llama", "mine"], "MMLU": [0.4, 0.4]}
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    found = import_scores(tmp_path / "t.csv")
    named = {row["model"]: (row["family"], row["lineage"], row["tokens_t"]) for row in found.rows}
    assert named == {
        "x-llama-13b": ("x-llama", "llama", 1.0),
        "llama-2-7b": ("llama-2", "mine", None),
    }
    assert [row["lineage"] for row in found.unknown] == ["mine"]


def test_a_name_that_is_not_of_a_lineage_does_not_enter_its_families(tmp_path):
    names = ["llama-2-7b", "llama-2-3b", "llama-160m", "qwen1.5-7b-hf"]
    table = pd.DataFrame(
        {"model": names, "params_b": [7, 3, 0.16, 0.5], "MMLU": [0.4, 0.3, 0.3, 0.3]}
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    found = import_scores(tmp_path / "t.csv")
    frame = found.frame.set_index("model")
    assert frame.loc["llama-2-7b", ["family", "lineage"]].tolist() == ["llama-2", "llama-2"]
    others = frame.loc[names[1:]]
    assert others["tokens_t"].isna().all()
    assert others["family"].tolist() == others["lineage"].tolist()
    assert others["lineage"].str.endswith(" of unknown lineage").all()
    # They join the bundled table, whose families they would contradict.
    others.reset_index().to_csv(tmp_path / "own.csv", index=False)
    assert "llama-160m" in add_models(load_leaderboard(edition="2024"), tmp_path / "own.csv").models
    # What the file to fill in says of a family does not bind it.
    (filled,) = (row for row in found.unknown if row["model"] == "llama-160m")
    again = import_scores(tmp_path / "t.csv", facts=pd.DataFrame([filled]).assign(tokens_t=0.1))
    row = again.frame.set_index("model").loc["llama-160m"]
    assert row[["lineage", "tokens_t"]].tolist() == ["llama of unknown lineage", 0.1]


@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        (
            {"lineage": ["x", None]},
            ["column 'lineage'", "'y' here but 'x' in row 2 (model 'a-1b')"],
        ),
        ({"active_params_b": [None, 3.0]}, ["(model 'b-1b')", "more active parameters"]),
    ],
)
def test_facts_that_contradict_the_source_where_none_can_count(tmp_path, columns, parts):
    models = {"model": ["a-1b", "b-1b"], "family": ["ours", "ours"]}
    source = pd.DataFrame({"model": models["model"], "lineage": [None, "y"], "MMLU": [0.4, 0.3]})
    source.to_csv(tmp_path / "t.csv", index=False)
    facts = pd.DataFrame({**models, **columns})
    with pytest.raises(TableError) as error:
        import_scores(tmp_path / "t.csv", facts=facts)
    for part in ["t.csv", *parts]:
        assert part in str(error.value)


def test_two_files_of_facts_that_contradict_each_other(tmp_path, runs):
    files = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for file, tokens in zip(files, (2, 3), strict=True):
        file.write_text(f"model,tokens_t\nb,1\nA,{tokens}\n")
    with pytest.raises(TableError) as error:
        import_scores(runs, facts=files)
    assert str(error.value) == (
        f"{files[1]}: row 3 (model 'A'), column 'tokens_t', value '3': {files[0]}, row 3, has 2.0"
        " for this model: keep one of the two"
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("model,tokens_t\na,2\na,3\n", ["row 3 (model 'a')", "facts.csv, row 2, has 2.0"]),
        ("model,params_b\na,-1\n", ["row 2", "params_b must be positive"]),
        ("model;tokens_t\na;0,5\n", ["value '0,5'", "decimal point as '.'"]),
        ("model,post_trained\na,perhaps\n", ["not a yes or no"]),
        ("tokens_t\n2\n", ["column 'model' is missing"]),
        ("model,tokens_t\n,2\n", ["row 2", "model is empty"]),
    ],
)
def test_bad_facts(tmp_path, runs, text, parts):
    (tmp_path / "facts.csv").write_text(text)
    with pytest.raises(TableError) as error:
        import_scores(runs, facts=[tmp_path / "facts.csv"])
    for part in ["facts.csv", *parts]:
        assert part in str(error.value)


def test_a_name_that_contradicts_an_exact_size_is_not_guessed_from(tmp_path):
    rows = "model,params_b,MMLU\nx-qwen1.5-7b,0.5,0.4\ngemma-7b,8.54,0.5\n"
    (tmp_path / "t.csv").write_text(rows)
    found = import_scores(tmp_path / "t.csv")
    tokens = dict(zip(found.frame["model"], found.frame["tokens_t"], strict=True))
    assert tokens == {"gemma-7b": 6.0, "x-qwen1.5-7b": pytest.approx(np.nan, nan_ok=True)}
    (unknown,) = found.unknown
    assert "the name says 7 billion parameters, not 0.5" in unknown["reason"]


def run(capsys, *arguments) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0), capsys.readouterr().err


def test_unknown_models_are_filled_in_and_handed_back(tmp_path, runs, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (runs / "broken.json").write_text("{")
    start = ["import", "runs", "--out", "table.csv"]
    code, told = run(capsys, *start)
    step = "size or tokens of 2 models are not known, and a fit integrates them out"
    assert code == 0
    assert f"{step}; to give them, list them with sloth-jax import runs --out table.csv" in told
    assert "--out table.csv --unknown facts.csv\n" in told
    assert load_leaderboard("table.csv").known.sum() == 2
    code, told = run(capsys, *start, "--unknown", "facts.csv", "--rejected", "rejected.csv")
    assert "then run sloth-jax import runs --out table.csv --facts facts.csv\n" in told
    facts = pd.read_csv("facts.csv")
    assert list(facts)[:4] == ["model", "family", "lineage", "post_trained"]
    assert facts.set_index("row").loc["own.json", "family"] == "my-model"
    facts.loc[facts["row"] == "own.json", "tokens_t"] = 0.5
    facts.to_csv("facts.csv", index=False)
    code, told = run(capsys, *start, "--facts", "facts.csv", "--unknown", "./facts.csv")
    assert code == 2
    assert "--unknown ./facts.csv: this command reads facts.csv" in told
    code, told = run(capsys, *start, "--facts", "facts.csv", "--unknown", "more.csv")
    assert code == 0
    assert "size or tokens of 1 model are not known" in told
    assert "--facts facts.csv more.csv\n" in told
    assert "facts of models" not in told
    table = load_leaderboard("table.csv")
    own = table.models.index("my-model")
    assert (table.params_b[own], table.tokens_t[own]) == (1.23456789, 0.5)
    assert list(pd.read_csv("more.csv")["row"]) == ["step.json"]
    rejected = pd.read_csv("rejected.csv")
    assert list(rejected) == ["model", "source", "row", "reason"]
    assert list(rejected["row"]) == ["broken.json", "int8.json", "nobits.json"]


def test_where_nothing_was_kept_the_reasons_are_written(tmp_path, runs, capsys):
    rejected, out = tmp_path / "rejected.csv", tmp_path / "table.csv"
    start = ["import", runs / "nobits.json", "--out", out]
    code, told = run(capsys, *start, "--rejected", rejected)
    assert code == 2
    assert told.count("\n") == 1
    assert not out.exists()
    assert pd.read_csv(rejected)["reason"].tolist() == ["quantised: load_in_4bit=True"]
    (runs / "own.json").write_text("{")
    with pytest.raises(
        NothingKept, match=r"no result file \(1\); for example, no result file: JSON"
    ):
        import_scores(runs / "own.json")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="rows could be kept: there are none"):
        import_scores(empty)
