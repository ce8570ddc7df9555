"""What models' names say: sizes, families, post-training, and token counts of lineages."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from sloth_jax import load_leaderboard
from sloth_jax.data.importing.names import add_row
from sloth_jax.data.importing.result import Imported
from sloth_jax.data.pretraining_runs import pretraining_of
from sloth_jax.data.tables import read_bundled
from sloth_jax.model_names import family_in_name, post_training_in_name, size_in_name


@pytest.mark.parametrize(
    ("name", "params_b", "active", "experts"),
    [
        ("meta-llama/Llama-2-7b-chat-hf", 7.0, None, 1),
        ("Qwen/Qwen1.5-0.5B", 0.5, None, 1),
        ("bigscience/bloom-560m", 0.56, None, 1),
        ("bloom-7b1", 7.1, None, 1),
        ("stablelm-2-1_6b", 1.6, None, 1),
        ("psmathur/orca_mini_v3_7b", 7.0, None, 1),
        ("yeen214/llama2_7b_merge", 7.0, None, 1),
        ("G-reen/EXPERIMENT-ORPO-m7b2-1-merged", 7.0, None, None),
        ("mistralai/Mixtral-8x7B-v0.1", 45.2, None, 8),
        ("cloudyu/Yi-34Bx2-MoE", 60.5, None, 2),
        ("Qwen/Qwen2-57B-A14B", 57.0, 14.0, 0),
        ("dnhkng/RYS-Huge-bnb-4bit", None, None, None),
        ("microsoft/Phi-3-mini-128k-instruct", None, None, None),
        ("gpt2", None, None, None),
    ],
)
def test_sizes_in_names(name, params_b, active, experts):
    found = size_in_name(name)
    if params_b is None or experts is None:
        assert found is None
        return
    assert found is not None
    assert found.params_b == pytest.approx(params_b, rel=0.01)
    assert found.active_params_b == active
    assert found.experts == experts


def test_families_and_post_training_in_names():
    assert family_in_name("meta-llama/Llama-2-7b-chat-hf") == "llama-2-chat"
    assert family_in_name("llama-2-70b-chat") == "llama-2-chat"
    assert family_in_name("bloom-7b1") == "bloom"
    assert family_in_name("7b") == "7b"  # never empty
    assert post_training_in_name("llama-2-7b-chat") is True
    assert post_training_in_name("gemma-2b-it") is True
    assert post_training_in_name("llama-2-7b") is None
    assert post_training_in_name("fitting-7b") is None


@pytest.mark.parametrize(
    ("name", "params_b", "released", "lineage", "tokens_t"),
    [
        ("meta-llama/Llama-2-70b-hf", 69.0, "", "llama-2", 2.0),
        ("codellama/CodeLlama-7b-hf", 6.74, "", "llama-2", 2.52),
        ("CodeLlama-7b-Python-hf", 7.0, "", "llama-2", 2.62),
        ("llama-30b", 32.5, "", "llama", 1.4),
        ("huggyllama/llama-7b", 6.74, "", "llama", 1.0),
        ("meta-llama/Meta-Llama-3.1-8B", 8.0, "", "llama-3.1", 15.0),
        ("Meta-Llama-3_1-8B", 8.0, "", "llama-3.1", 15.0),
        ("Qwen/Qwen1.5-32B", 32.0, "", "qwen1.5", None),
        ("mistralai/Mistral-7B-v0.1", 7.2, "", "mistral", None),
        ("someone/fbt-llama-8b", 8.0, "2024-05-19", "meta-llama-3", 15.0),
        ("yi-34b-llama", 34.0, "2023-11-20", "yi", 3.1),
        ("gemma-7b-alpaca", 7.0, "2024-03-01", "gemma", 6.0),
        ("zephyr-7b-gemma", 7.0, "2024-03-01", "gemma", 6.0),
        ("TinyLlama-1.1B-intermediate-step-715k-1.5T", 1.1, "", "tinyllama", 1.5),
    ],
)
def test_token_counts_by_name(name, params_b, released, lineage, tokens_t):
    run = pretraining_of(name, params_b, released=released)
    assert run is not None
    assert (run.lineage, run.tokens_t) == (lineage, tokens_t)
    assert run.source


@pytest.mark.parametrize(
    ("name", "params_b", "released", "why"),
    [
        # two lineages, or generations, have a model of this size
        ("someone/llama-13b-chat", 13.0, "2023-09-01", "ambiguous, llama (1.0 T) or llama-2 (2.0"),
        ("gemma2-falcon-7b", 7.0, "", "ambiguous, falcon or gemma-2"),
        ("falcon-deepseek-llm-7b", 7.0, "", "ambiguous, deepseek-llm or falcon"),
        ("free-qwen72b", 72.0, "2024-05-01", "ambiguous, qwen (3.0 T) or qwen1.5 (3.0 T)"),
        ("oasst-llama-13b-2-epochs", 13.0, "", None),  # no Llama 2
        # a size that the lineage never had
        ("llama-3-11b-upscaled", 11.0, "", "meta-llama-3: no run of this size"),
        ("llama-2-8b", 8.0, "", "llama-2: no run of this size"),
        ("gemma-3-27b", 27.0, "", None),  # no generation that is registered
        ("meta-llama/Llama-3.3-70B", 70.0, "", None),
        # a model before its lineage
        ("Qwen2-beta-72B", 72.0, "2024-01-29", "first released in 2024-06, after 2024-01"),
        # not the finished run
        ("open_llama_13b_600bt_preview", 13.0, "", "openllama: 'preview' in the name"),
        ("pythia-1b@step3000", 1.0, "", "'step3000' in the name"),
        ("yayi2-30b-llama", 30.0, "", None),  # llama is the format of its weights
        ("tiny-7b", 7.0, "", None),  # holds no yi
        ("someone/great-7b", 7.0, "", None),
    ],
)
def test_what_does_not_fit_one_run_is_not_guessed(name, params_b, released, why):
    run = pretraining_of(name, params_b, released=released)
    if why is None:
        assert run is None
        return
    assert run is not None
    assert (run.lineage, run.tokens_t) == (None, None)
    assert why in run.source


def test_a_size_that_was_rounded_down_is_the_registered_one():
    run = pretraining_of("test_phi2", 2.0, rounded_down=True)
    assert run is not None
    assert run.params_b == 2.7
    assert (pretraining_of("test_phi2", 2.0) or run).tokens_t is None


def test_a_name_and_a_size_that_disagree_are_not_guessed_from():
    found = Imported("export", "table")
    name, given = "someone/lion-gemma-2b", {"params_b": 8.0}
    add_row(found, 1, name, name, {"MMLU": 0.5}, given=given, rounded_down=True)
    assert "the name says 2 billion parameters, not 8" in found.unknown[0]["reason"]
    assert found.rows[0]["tokens_t"] is None
    assert found.rows[0]["lineage"] == "lion-gemma of unknown lineage"


def test_a_model_without_size_or_tokens_is_kept_and_one_without_a_score_is_not():
    found = Imported("export", "table")
    for at, (name, score) in enumerate([("me/one", 0.5), ("x-llama-13b", 0.5), ("no-7b", np.nan)]):
        add_row(found, at, name, name, {"MMLU": score}, given={})
    assert [(row["model"], row["reason"]) for row in found.rejected] == [("no-7b", "no score")]
    assert not [row for row in found.guessed if row["model"] == "no-7b"]
    facts = [(row["model"], row["params_b"], row["tokens_t"]) for row in found.rows]
    assert facts == [("me/one", None, None), ("x-llama-13b", 13.0, None)]
    sizeless, ambiguous = found.unknown
    assert sizeless["reason"].startswith("size not known: neither given nor in the name")
    assert "ambiguous, llama (1.0 T) or llama-2 (2.0 T)" in ambiguous["reason"]
    # What is to be filled in has the size that the name states, and no lineage.
    facts = [ambiguous[column] for column in ("params_b", "family", "lineage")]
    assert facts == [13.0, None, None]
    assert found.rows[1]["family"] == "x-llama of unknown lineage"


def labelled(path) -> tuple[list[tuple[dict, dict]], int]:
    """Of labelled models: labels and imported rows, and how many have known tokens."""
    pairs, known = [], 0
    for row in csv.DictReader(path.read_text().splitlines()):
        found = Imported("labelled", "table")
        given = {"params_b": float(row["params_b"] or "nan"), "released": row["released"]}
        name = row["model"]
        add_row(found, 1, name, name, {"MMLU": 0.5}, given=given, rounded_down=True)
        known += bool(row["tokens_t"])
        (kept,) = found.rows
        # Tokens stand in the table, or the model is listed.
        assert (kept["tokens_t"] is None or kept["params_b"] is None) == bool(found.unknown)
        pairs.append((row, kept))
    return pairs, known


def right_tokens(label: dict, kept: dict) -> bool:
    """They may differ by 3 %: those who adapt a model train it on a little more."""
    if not label["tokens_t"] or kept["lineage"] != label["lineage"]:
        return False
    return abs(kept["tokens_t"] / float(label["tokens_t"]) - 1.0) < 0.03


def test_labelled_names_are_assigned_rightly_or_not_at_all():
    # Names, sizes (whole billions, rounded down) and dates of 300 models of the two leaderboards,
    # lineages and tokens (trillions) labelled by hand; empty where they are not known.
    pairs, known = labelled(Path(__file__).parent / "labelled_models.csv")
    assert len(pairs) == 300
    assert known == 217
    assigned = [(label, kept) for label, kept in pairs if kept["tokens_t"] is not None]
    right = sum(right_tokens(label, kept) for label, kept in assigned)
    assert right >= 0.99 * len(assigned)
    assert right >= 0.84 * known
    # Nor does a model of unknown tokens enter a registered lineage that it is not of, but for a
    # few whose names are a lineage's.
    registered = {row["lineage"] for row in read_bundled("pretraining.csv").records()}
    placed = [(label, kept) for label, kept in pairs if kept["lineage"] in registered]
    wrong = [kept["model"] for label, kept in placed if kept["lineage"] != label["lineage"]]
    assert len(placed) > len(assigned)
    assert len(wrong) <= 0.02 * len(placed)


def test_the_registry_says_what_the_bundled_table_says():
    table = load_leaderboard(edition="2024")
    table = table.subset(table.known)
    base = table.post_trained_of_family[table.family] < 0.5
    wrong = []
    for m in np.flatnonzero(base):
        run = pretraining_of(table.models[m], table.params_b[m])
        if run is not None and run.tokens_t != table.tokens_t[m]:
            wrong.append(table.models[m])
    assert not wrong
