"""Items to ask, scores from few of them, and new versions of a benchmark."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pandas as pd
import pytest
from banks import simulated

from sloth_jax.cli.main import main
from sloth_jax.errors import InputError
from sloth_jax.items.abilities import ability, arrays_of
from sloth_jax.items.bank import read_bank
from sloth_jax.items.estimates import calibration_of, central, estimate_score, with_combination
from sloth_jax.items.new_version import (
    models_to_evaluate,
    scores_on_new_items,
    with_new_items,
)
from sloth_jax.items.response_law import fit_responses
from sloth_jax.items.selection import METHODS, _clusters, select_items

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def bank_and_law():
    bank, *_ = simulated()
    return bank, fit_responses(bank)


@pytest.mark.parametrize("method", METHODS)
def test_chosen_items_are_different_and_allowed(bank_and_law, method):
    _, law = bank_and_law
    allowed = np.arange(160) % 2 == 0
    at, weights = select_items(law, 20, method=method, allowed=allowed, key=KEY)
    assert len(set(at)) == len(at) == len(weights)
    assert allowed[at].all()
    assert weights.sum() == pytest.approx(1.0, abs=0.4 if method == "weighted" else 1e-6)
    again, _ = select_items(law, 20, method=method, allowed=allowed, key=KEY)
    np.testing.assert_array_equal(at, again)


def test_unequal_probabilities_are_those_that_weights_say(bank_and_law):
    _, law = bank_and_law
    drawn, total = np.zeros(160), np.zeros(160)
    for at in range(600):
        key = jax.random.fold_in(KEY, at)
        chosen, weights = select_items(law, 40, method="weighted", key=key)
        assert len(set(chosen)) == 40
        drawn[chosen] += 1
        total[chosen] += weights
    probability = 1.0 / (160 * total / np.maximum(drawn, 1))
    assert probability.max() > 2.5 * probability[drawn > 0].min()
    # Five standard errors of the frequencies; and every item counts as much as any other.
    spread = np.sqrt(probability * (1.0 - probability) / 600)
    assert (np.abs(drawn / 600 - probability) < 5.0 * spread + 1e-9).all()
    assert total.sum() / 600 == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("method", ["weighted", "stratified"])
def test_the_adjusted_estimate_is_unbiased_for_a_model_unlike_the_bank(bank_and_law, method):
    _, law = bank_and_law
    of, counted = arrays_of(law), np.ones(160, bool)
    # It knows what all others fail, and fails what they know.
    right = (np.asarray(law.items.mean)[:, 1] > 0.3).astype(float)
    found = []
    for at in range(80):
        key = jax.random.fold_in(KEY, at)
        chosen, weights = select_items(law, 40, method=method, key=key)
        tries, weight = np.zeros((2, 160))
        tries[chosen], weight[chosen] = 1.0, weights
        each = estimate_score(law, of, right * tries, tries, counted, weight, key)
        found.append([each["law"][0], each["adjusted"][0]])
    off = np.mean(found, axis=0) - right.mean()
    error = np.std(found, axis=0) / np.sqrt(80)
    assert abs(off[1]) < 3.0 * error[1] + 0.003
    assert abs(off[0]) > 3.0 * abs(off[1])


def test_informative_items_narrow_the_score_more_than_random_ones(bank_and_law):
    bank, law = bank_and_law
    of, sure = arrays_of(law), {}
    for method in ("information", "random"):
        at, _ = select_items(law, 20, method=method, key=KEY)
        tries = np.zeros(160)
        tries[at] = 1.0
        counted = np.ones(160, bool)
        sure[method] = np.mean(
            [
                estimate_score(law, of, right * tries, tries, counted, None, KEY)["law"][1]
                for right in bank.successes[:10].astype(float)
            ]
        )
    assert sure["information"] < 0.85 * sure["random"]


def test_the_next_items_of_a_strong_model_are_hard(bank_and_law):
    bank, law = bank_and_law
    strong, weak = np.argsort(bank.scores())[[-1, 0]]
    difficulty = {}
    for model in (strong, weak):
        tries = np.zeros(160)
        tries[:40] = 1.0
        right = jax.numpy.asarray(bank.successes[model] * tries)
        found = ability(arrays_of(law), right, jax.numpy.asarray(tries), *law.prior_of())
        at, _ = select_items(law, 10, allowed=tries == 0, found=found, key=KEY)
        difficulty[model] = law.items.mean[at, 1].mean()
    assert difficulty[strong] > difficulty[weak] + 0.5


def test_all_answers_give_the_score_itself(bank_and_law):
    bank, law = bank_and_law
    right, tries = bank.successes[0].astype(float), np.ones(160)
    found = estimate_score(law, arrays_of(law), right, tries, tries > 0, None, KEY)
    for estimate, error in found.values():
        assert estimate == pytest.approx(right.mean(), abs=1e-5)
        assert error == pytest.approx(0.0, abs=1e-5)


def test_factors_and_weights_by_hand():
    miss = {"law": [0.02, -0.02, 0.02, -0.02], "adjusted": [0.1, 0.1, -0.1, -0.1]}
    rows = pd.DataFrame(
        [
            {"model": f"m{m}", "estimator": name, "score": 0.5, "estimate": 0.5 + off,
             "error": 0.01}
            for name, values in (miss | {"mean": miss["adjusted"]}).items()
            for m, off in enumerate(values)
        ]
    )  # fmt: skip
    found = calibration_of(rows)
    # (4 + sum z^2) / (4 + 4) with z = 2 and 10
    assert found.factor["law"] == pytest.approx(np.sqrt((4 + 16) / 8))
    assert found.factor["adjusted"] == pytest.approx(np.sqrt((4 + 400) / 8))
    apart = np.array(miss["law"]) - np.array(miss["adjusted"])
    prior = 4 * (apart**2).mean()
    least = (-(np.array(miss["adjusted"]) * apart).sum() + 0.5 * prior) / ((apart**2).sum() + prior)
    assert found.weight == pytest.approx(least)
    both = with_combination(dict.fromkeys(("mean", "law", "adjusted"), (0.4, 0.01)), found)
    assert both["combined"][0] == pytest.approx(0.4)


def test_intervals_stay_between_0_and_1():
    for estimate in (0.0, 0.01, 0.5, 1.0):
        lower, upper = central(estimate, 0.05)
        assert 0.0 <= lower < upper <= 1.0


def test_new_items_are_predicted_from_old_ones():
    bank, *_ = simulated(models=16, items=120)
    new = np.arange(120) >= 60
    law = fit_responses(bank)
    seen = np.isin(np.arange(16), models_to_evaluate(law, 6))
    hidden = new[None] & ~seen[:, None]
    shown = replace(
        bank,
        tries=np.where(hidden, 0, bank.tries),
        successes=np.where(hidden, 0, bank.successes),
    )
    found = scores_on_new_items(shown, new, key=KEY)
    truth = bank.successes[:, new].mean(axis=1)
    assert found["measured"].tolist() == [60 if one else 0 for one in seen]
    np.testing.assert_allclose(found["score"][seen], truth[seen], atol=0.01)
    inside = found["lower"].le(truth) & found["upper"].ge(truth)
    assert inside[~seen].mean() >= 0.7
    with pytest.raises(InputError, match="0 models answered new items"):
        scores_on_new_items(
            replace(bank, tries=bank.tries * ~new, successes=bank.successes * ~new), new, key=KEY
        )
    with pytest.raises(InputError, match="2 models to evaluate: ask for 3 to 16"):
        models_to_evaluate(law, 2)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("items")
    bank, *_ = simulated(models=13, items=80)
    wide = pd.DataFrame(bank.successes, columns=list(bank.items))
    wide.insert(0, "model", list(bank.models))
    wide.iloc[:12].to_csv(folder / "bank.csv", index=False)
    wide.iloc[12:].to_csv(folder / "all.csv", index=False)
    return folder


def asked(folder, *options: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["items", *map(str, options)])
    return int(ended.value.code or 0)


def test_select_and_score_from_the_command_line(files, capsys):
    bank, ask, mine = files / "bank.csv", files / "ask.csv", files / "mine.csv"
    assert asked(files, "select", "--bank", bank, "--items", 24, "--out", ask) == 0
    chosen = pd.read_csv(ask)
    assert list(chosen.columns) == ["item", "weight", "method", "bank"]
    everything = pd.read_csv(files / "all.csv").set_index("model")
    answers = everything[list(chosen["item"])].T.rename_axis("item").iloc[:, 0].rename("correct")
    answers.reset_index().assign(model="mine").to_csv(mine, index=False)
    ask_for = ("score", "--bank", bank, "--responses", mine)
    assert asked(files, *ask_for, "--items", ask, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    rows = pd.DataFrame(record["rows"])
    assert set(rows["estimator"]) == {"mean", "law", "adjusted", "combined"}
    assert (rows["lower_90"] < rows["score"]).all()
    assert (rows["score"] < rows["upper_90"]).all()
    assert rows["answered"].eq(24).all()
    assert record["settings"]["seed"] == 0
    facts, table = files / "facts.csv", files / "table.csv"
    facts.write_text("model,family,params_b,tokens_t\nmine,olmo,1.2,3.0\n")
    named = ("--benchmark", "ARC", "--facts", facts, "--out", table)
    assert asked(files, *ask_for, *named) == 0
    written = pd.read_csv(table)
    assert list(written.columns) == ["model", "family", "params_b", "tokens_t", "ARC", "ARC se"]
    combined = rows[rows["estimator"] == "combined"].iloc[0]
    assert 0.0 < written["ARC se"][0]
    assert abs(written["ARC"][0] - combined["score"]) < 0.1
    # the next items of this model are others than it has answered
    more = (
        "select",
        "--bank",
        bank,
        "--items",
        5,
        "--responses",
        mine,
        "--out",
        files / "next.csv",
    )
    assert asked(files, *more) == 0
    assert not set(pd.read_csv(files / "next.csv")["item"]) & set(chosen["item"])


def test_a_new_version_from_the_command_line(files, capsys):
    everything = pd.concat([pd.read_csv(files / f"{name}.csv") for name in ("bank", "all")])
    old, new = everything.columns[1:41], everything.columns[41:]
    everything[["model", *old]].to_csv(files / "old.csv", index=False)
    assert asked(files, "version", "--bank", files / "old.csv", "--models", 5, "--json") == 0
    chosen = [row["model"] for row in json.loads(capsys.readouterr().out)["rows"]]
    assert len(chosen) == 5
    measured = everything[everything["model"].isin(chosen)][["model", *new]]
    measured.to_csv(files / "new.csv", index=False)
    given = ("version", "--bank", files / "old.csv", "--responses")
    assert asked(files, *given, files / "new.csv", "--out", files / "scores.csv") == 0
    scores = pd.read_csv(files / "scores.csv")
    assert list(scores.columns) == [
        "model", "old_score", "score", "lower_90", "upper_90", "measured",
    ]  # fmt: skip
    assert scores["measured"].tolist() == [40 * (name in chosen) for name in scores["model"]]
    truth = everything[new].mean(axis=1).to_numpy()
    assert (scores["score"] - truth).abs().mean() < 0.12
    assert asked(files, *given, files / "old.csv") == 2
    assert "40 items are in the bank already: i0" in capsys.readouterr().err.splitlines()[-1]


def test_new_items_under_old_names_are_refused(tmp_path):
    bank, *_ = simulated(models=5, items=6)
    asked = tmp_path / "new.csv"
    asked.write_text("model,item,correct,digest\nm0,i3,1,B\nm0,i9,1,A\n")
    with pytest.raises(InputError, match=r"1 items are other questions .* names .*differ\): i3"):
        with_new_items(replace(bank, digests=("A",) * 6), asked)
    asked.write_text("model,item,correct,category\nm0,i8,1,x\nnew,i9,1,all\n")
    joined, new = with_new_items(bank, asked)
    assert joined.models == (*bank.models, "new")
    assert joined.items[6:] == ("i8", "i9")
    assert new.tolist() == [False] * 6 + [True] * 2
    np.testing.assert_array_equal(joined.tries[:, 6:].sum(axis=0), [1, 1])
    assert [joined.categories[c] for c in joined.category[5:]] == ["all", "x", "all"]


def test_bad_input_is_one_line(files, capsys):
    bank = ("--bank", files / "bank.csv")
    few = files / "few.csv"
    few.write_text("item,correct\ni0,1\n")
    answers = files / "answers.csv"
    answers.write_text("item,correct\n" + "".join(f"i{at},1\n" for at in range(12)))
    known = read_bank(files / "bank.csv")
    other = files / "other.csv"
    other.write_text(f"item,weight,method,bank\ni50,1.0,random,{known.digest}\n")
    wrong = files / "wrong.csv"
    wrong.write_text("item,weight,method,bank\ni0,1.0,random,0000\n")
    for options, says in (
        (("select", *bank, "--items", "x"), "--items x: give a number of items"),
        (("select", *bank, "--items", 81), "81 items: the bank has 80 to choose from"),
        (("score", *bank), "--responses is missing"),
        (("score", *bank, "--responses", few), "answered 1 items of the bank: 10 are needed"),
        (
            ("score", *bank, "--responses", answers, "--items", other),
            "model 'answers' answered no item of",
        ),
        (("score", *bank, "--responses", files / "bank.csv"), "in the bank already: m0"),
        (
            ("score", *bank, "--responses", files / "all.csv", "--items", wrong),
            "its items are of a bank with the digest 0",
        ),
    ):
        assert asked(files, *options, "--out", files / "no.csv") == 2
        assert says in capsys.readouterr().err.splitlines()[-1]
    assert not (files / "no.csv").exists()


def test_items_that_are_alike_make_no_clusters_of_their_own():
    alike = np.repeat([[0.0, 1.0], [2.0, 1.0]], 3, axis=0)  # two kinds of three items each
    law = SimpleNamespace(items=SimpleNamespace(mean=alike), design=np.ones((6, 1)))
    chosen, weights = _clusters(law, 4, np.ones(6, bool), np.random.default_rng(0))
    assert sorted(chosen // 3) == [0, 1]
    np.testing.assert_allclose(weights, 0.5)
