"""Numbers that are not finite are traced to a benchmark or a family; kinds of floats agree."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from small import table

from sloth_jax import (
    InputError,
    SamplerSettings,
    fit_point,
    point,
    posterior,
    sample_posterior,
    sampler,
)
from sloth_jax.covariates import fit_scaling
from sloth_jax.errors import Diverged
from sloth_jax.finite import furthest_in_words, not_finite_in_words
from sloth_jax.mode import Density, ModeSettings, find_mode
from sloth_jax.observations import observe


def test_what_is_not_finite_is_named():
    data, _ = table()
    values = np.zeros((2, *data.scores.shape))
    assert not_finite_in_words(values, data) == ""
    values[1, 3, 2] = np.inf
    assert not_finite_in_words(values, data) == f"on {data.benchmarks[2]}"
    values[:, 3] = np.nan
    assert not_finite_in_words(values, data) == "for models of family0"
    assert not_finite_in_words(np.nan * values, data) == ""
    large = replace(data, params_b=np.where(np.arange(24) == 5, 1e9, data.params_b))
    assert "is family1-1 of family family1, 1e+09 billion" in furthest_in_words(large)


def test_overflow_is_an_error_that_says_where(monkeypatch):
    data, _ = table()

    def overflow(*arguments, **settings):
        drawn, start = sample(*arguments, **settings)
        return drawn._replace(expected=drawn.expected.at[..., 1].set(np.nan)), start

    sample = posterior.sample_in_parts
    monkeypatch.setattr(posterior, "sample_in_parts", overflow)
    quick = SamplerSettings(skills=1, warmup=5, draws=5, max_tree_depth=2, start_steps=20)
    with pytest.raises(InputError, match=f"overflow.*on {data.benchmarks[1]}"):
        sample_posterior(data, key=jax.random.key(0), settings=quick)


def test_a_fit_that_finds_no_start_says_what_is_furthest(monkeypatch):
    data, _ = table()

    def diverge(function, name):
        def broken(*arguments, **settings):
            found = function(*arguments, **settings)
            return found._replace(**{name: found[found._fields.index(name)] * np.nan})

        return broken

    message = r"every start .*furthest from all others is family"
    monkeypatch.setattr(point, "_fit_observations", diverge(point._fit_observations, "loss"))
    with pytest.raises(Diverged, match=message):
        fit_point(data, key=jax.random.key(0), skills=1, starts=1, steps=10)
    monkeypatch.setattr(sampler, "_start", diverge(sampler._start, "value"))
    quick = SamplerSettings(skills=1, warmup=5, draws=5, max_tree_depth=2, start_steps=20)
    with pytest.raises(Diverged, match=message):
        sample_posterior(data, key=jax.random.key(0), settings=quick)


def test_single_and_double_precision_agree():
    """The density to 1e-5 of its size, its gradient to 1e-3 of its length."""
    data, _ = table()
    observations = observe(data, fit_scaling(data.params_b, data.tokens_t))
    settings = ModeSettings(skills=2, lineages=len(data.lineages), starts=1, steps=50)
    sites = find_mode(observations, jax.random.key(0), settings).sites

    def single(leaf):
        narrow = {np.dtype(np.float64): np.float32, np.dtype(np.int64): np.int32}
        return leaf.astype(narrow.get(leaf.dtype, leaf.dtype))

    value, gradient = jax.value_and_grad(Density(observations, settings).potential)(sites)
    with jax.enable_x64(False):
        arrays, at = jax.tree.map(single, (observations, sites))
        value32, gradient32 = jax.value_and_grad(Density(arrays, settings).potential)(at)
    assert value32.dtype == np.float32
    assert value32 == pytest.approx(float(value), rel=1e-5)
    flat, flat32 = (jax.flatten_util.ravel_pytree(tree)[0] for tree in (gradient, gradient32))
    assert np.linalg.norm(flat - flat32) < 1e-3 * np.linalg.norm(flat)
