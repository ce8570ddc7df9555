"""The end of a training run, given its first checkpoints: from tables to forecasts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pandas as pd
import pytest
from quick_fits import KEY, QUICK, same

from sloth_jax import (
    Fit,
    InputError,
    Leaderboard,
    Prior,
    Query,
    fit,
    forecast,
    forecast_table,
    load_query,
)
from sloth_jax.cli.main import main
from sloth_jax.data.reading import load_leaderboard
from sloth_jax.identifiability.synthetic import synthetic_runs
from sloth_jax.inference.storage import load_fit, save_fit
from sloth_jax.planning.one_model import model_scores

SETTINGS = replace(QUICK, skills=2, steps=150, draws=200)


@cache
def runs() -> Leaderboard:
    """Runs of three families; of one run only the first half is seen."""
    made, _ = synthetic_runs(0, families=3, sizes=4, checkpoints=6)
    late = (np.array(made.run) == made.run[0]) & (made.tokens_t > np.median(made.tokens_t))
    assert 2 <= late.sum() < 6
    return made.hide(late)


@cache
def run_fit() -> Fit:
    return fit(runs(), key=KEY, settings=SETTINGS)


def end_of(table: Leaderboard, row: int, tokens_t: float, run: str) -> Query:
    cells = {
        "model": ["end"],
        "family": table.families[table.family[row]],
        "params_b": table.params_b[row],
        "tokens_t": tokens_t,
        "run": run,
    }
    return load_query(pd.DataFrame(cells), table)


def test_what_a_run_has_shown_narrows_the_forecast_of_its_end():
    made = run_fit()
    table = made.table
    assert made.law.run_length is not None
    last = float(table.tokens_t[table.observed.any(axis=1)][0])
    widths = []
    for run in (table.run[0], ""):
        lower, upper = forecast(made, end_of(table, 0, 1.1 * last, run), key=KEY).interval(0.8)
        widths.append(float((upper - lower).mean()))
    assert widths[0] < widths[1]


def test_a_query_of_a_checkpoint_is_that_checkpoint_measured_again():
    made = run_fit()
    table, row = made.table, 1
    query = end_of(table, row, float(table.tokens_t[row]), table.run[row])
    asked = forecast(made, query, key=jax.random.key(1)).draws[:, 0]
    again = forecast_table(made, key=jax.random.key(2)).draws[:, row]
    error = np.sqrt((asked.var(axis=0) + again.var(axis=0)) / len(asked))
    assert (np.abs(asked.mean(axis=0) - again.mean(axis=0)) < 4.5 * error).all()
    np.testing.assert_allclose(asked.std(axis=0), again.std(axis=0), rtol=0.3)
    # And far away in tokens it is as any model.
    far = forecast(made, end_of(table, row, 1e3, table.run[row]), key=KEY).draws
    new = forecast(made, end_of(table, row, 1e3, ""), key=KEY).draws
    np.testing.assert_allclose(np.median(far, axis=0), np.median(new, axis=0), atol=0.1)


def test_draws_of_a_query_do_not_depend_on_others():
    made, table = run_fit(), runs()
    one = end_of(table, 0, 1.0, table.run[0])
    other = end_of(table, 0, 2.0, table.run[0]).to_frame().assign(model="later")
    both = load_query(pd.concat([one.to_frame(), other]), table)
    alone = forecast(made, one, key=KEY).draws[:, 0]
    np.testing.assert_allclose(forecast(made, both, key=KEY).draws[:, 0], alone, atol=1e-9)


def test_rows_in_any_order_give_the_same_fit():
    frame = runs().to_frame()
    shuffled = load_leaderboard(frame.sample(frac=1.0, random_state=1))
    ordered = load_leaderboard(frame)
    assert shuffled.models == ordered.models
    assert shuffled.run == ordered.run


def test_fits_of_runs_are_stored(tmp_path):
    made = run_fit()
    save_fit(made, tmp_path / "fit.nc")
    again = load_fit(tmp_path / "fit.nc", made.table)
    assert again.table.run == made.table.run
    same(again.law, made.law)


def test_scores_of_one_model_know_its_run():
    # The same normal by another way: the lineage's problem with the model's scores in it.
    made = run_fit()
    table, law = made.table, jax.tree.map(lambda a: a[:50], made.law)
    hidden = int(np.flatnonzero(~table.observed.any(axis=1))[0])
    found = model_scores(made, table.models[hidden], law, np.zeros(2, np.uint32))
    other = replace(made, law=law)
    query = end_of(table, hidden, float(table.tokens_t[hidden]), table.run[hidden])
    draws = np.concatenate(
        [forecast(other, query, key=jax.random.key(k)).draws[:, 0] for k in range(40)]
    )
    link, params = law.params.link, law.params
    middle = np.asarray(jax.vmap(lambda one, m: one(m[None])[0])(link, found.mean))
    floor = np.asarray(params.floor)
    expected = floor + (1.0 - floor) * middle
    np.testing.assert_allclose(np.median(draws, axis=0), np.median(expected, axis=0), atol=0.02)


def test_predict_takes_a_column_of_runs(tmp_path, capsys):
    runs().to_csv(tmp_path / "table.csv")
    save_fit(run_fit(), tmp_path / "fit.nc")
    query = end_of(runs(), 0, 2.0, runs().run[0]).to_frame()
    query.to_csv(tmp_path / "query.csv", index=False)
    out = tmp_path / "out.csv"
    where = ["--fit", str(tmp_path / "fit.nc"), "--query", str(tmp_path / "query.csv")]
    assert exit_code("predict", *where, "--out", str(out)) == 0
    assert len(pd.read_csv(out)) == len(runs().benchmarks)
    query.assign(params_b=99.0).to_csv(tmp_path / "query.csv", index=False)
    capsys.readouterr()
    assert exit_code("predict", *where, "--out", str(out)) == 2
    assert "a run is of one model" in capsys.readouterr().err


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("share", [0.0, 1.0, 2.0])
def test_the_share_of_noise_is_one(share):
    with pytest.raises(InputError, match="run_share"):
        Prior(run_share=share)
