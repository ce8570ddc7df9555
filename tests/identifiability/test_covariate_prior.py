"""What is believed of unknown sizes and tokens before any score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small import table

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.identifiability.covariate_prior import prior_of_covariates, release_years


def without(data: Leaderboard, column: str, rows: list[int]) -> Leaderboard:
    values = getattr(data, column).copy()
    values[rows] = np.nan
    return replace(data, **{column: values})


def widths(data: Leaderboard, unit: int = -1) -> np.ndarray:
    """Prior standard deviation of each model's unit; 1 where it is known."""
    found = prior_of_covariates(data, "active")
    assert found is not None
    width = np.ones(len(data.models))
    for rows, blocks in found.covariances.values():
        width[rows] = np.sqrt(np.diagonal(blocks[unit]))
    return width


def test_where_all_is_known_there_is_none():
    assert prior_of_covariates(table()[0], "active") is None


def test_relatives_narrow_it_and_a_run_of_the_same_size_most():
    data = table()[0]
    # Families 0 and 1 are of one lineage; a run is a size in a lineage.
    data = replace(data, params_b=np.tile([1.0, 2.0, 4.0, 8.0], 6))
    of_run = widths(without(data, "tokens_t", [0]))[0]
    of_family = widths(without(data, "tokens_t", [0, 4]))[0]
    of_lineage = widths(without(data, "tokens_t", [0, 1, 2, 3, 4]))[0]
    alone = widths(without(data, "tokens_t", [0, 1, 2, 3, 4, 5, 6, 7]))[0]
    assert of_run < of_family < alone
    assert of_run < of_lineage < alone
    assert alone > 0.3


def test_a_chat_model_has_the_tokens_of_its_base_model():
    data = replace(table()[0], params_b=np.tile([1.0, 2.0, 4.0, 8.0], 6))
    tokens = data.tokens_t.reshape(6, 4)
    tokens = replace(data, tokens_t=np.repeat(tokens[::2], 2, axis=0).ravel())
    found = prior_of_covariates(without(tokens, "tokens_t", [5]), "active")
    assert found is not None
    assert np.exp(found.log_tokens[5]) == pytest.approx(tokens.tokens_t[1], rel=0.1)
    np.testing.assert_allclose(found.log_tokens[:5], np.log(tokens.tokens_t[:5]))


def test_nothing_known_is_a_factor_of_ten_either_way():
    data = table()[0]
    nothing = without(without(data, "tokens_t", list(range(24))), "params_b", list(range(24)))
    found = prior_of_covariates(nothing, "active")
    assert found is not None
    assert (found.unknown == 1.0).all()
    for unit in range(2):
        assert 5.0 < np.exp(1.645 * widths(nothing, unit).min()) < 100.0
    # Where both are unknown, tokens follow size along the line.
    assert (found.direction[0, 0] == 1.0).all()
    assert np.ptp(found.direction[0, 1]) < 1e-12
    known = prior_of_covariates(without(data, "params_b", [3]), "active")
    assert known is not None
    assert known.direction[0, 1, 3] == 0.0


def test_later_models_have_more_tokens_where_the_table_says_so():
    data = table()[0]
    years = np.repeat([2022, 2022, 2023, 2023, 2024, 2024], 4)
    tokens = np.exp(0.8 * (years - 2023)) * np.tile([0.9, 1.0, 1.0, 1.1], 6)
    data = replace(data, tokens_t=tokens, released=tuple(f"{year}-07" for year in years))
    early = prior_of_covariates(without(data, "tokens_t", [0, 1, 2, 3, 4, 5, 6, 7]), "active")
    late = prior_of_covariates(without(data, "tokens_t", list(range(16, 24))), "active")
    assert early is not None
    assert late is not None
    assert late.log_tokens[20] > early.log_tokens[0] + 0.3


def test_dates():
    found = release_years(("2024-07", "2024-01-31", "", "soon", "2023"))
    np.testing.assert_allclose(found[:2], [2024 + 6.5 / 12, 2024 + 0.5 / 12])
    assert np.isnan(found[2:]).all()
