"""What models' names say: sizes, families, post-training, and token counts of lineages."""

from __future__ import annotations

import numpy as np
import pytest

from sloth_jax import load_leaderboard
from sloth_jax.data.model_names import family_in_name, post_training_in_name, size_in_name
from sloth_jax.data.pretraining_runs import pretraining_of


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
    ("name", "params_b", "lineage", "tokens_t"),
    [
        ("meta-llama/Llama-2-70b-hf", 69.0, "llama-2", 2.0),
        ("codellama/CodeLlama-7b-hf", 6.7, "llama-2", 2.52),
        ("llama-30b", 32.5, "llama", 1.4),
        ("meta-llama/Meta-Llama-3.1-8B", 8.0, "llama-3.1", 15.0),
        ("Qwen/Qwen1.5-32B", 32.0, "qwen1.5", None),
        ("mistralai/Mistral-7B-v0.1", 7.2, "mistral", None),
    ],
)
def test_token_counts_by_name(name, params_b, lineage, tokens_t):
    run = pretraining_of(name, params_b)
    assert run is not None
    assert (run.lineage, run.tokens_t) == (lineage, tokens_t)
    assert run.source


def test_names_without_a_lineage_or_with_two_are_not_guessed():
    assert pretraining_of("someone/great-7b", 7.0) is None
    assert pretraining_of("tiny-7b", 7.0) is None  # holds no yi
    assert pretraining_of("gemma2-falcon-7b", 7.0) is None  # two words of six letters
    assert pretraining_of("falcon-deepseek-llm-7b", 7.0) is not None  # the longer word counts


def test_the_registry_says_what_the_bundled_table_says():
    table = load_leaderboard()
    base = table.post_trained_of_family[table.family] < 0.5
    wrong = []
    for m in np.flatnonzero(base):
        run = pretraining_of(table.models[m], table.params_b[m])
        if run is not None and run.tokens_t != table.tokens_t[m]:
            wrong.append(table.models[m])
    assert not wrong
