"""Numbers that are not finite are traced to a model; kinds of floats agree."""

from __future__ import annotations

import importlib
from dataclasses import replace

import jax
import numpy as np
import pytest
from small import table

from sloth_jax import FitSettings, Prior, fit
from sloth_jax.errors import Diverged
from sloth_jax.identifiability.finite import furthest_in_words
from sloth_jax.law.target import target_of

QUICK = FitSettings("mode", skills=2, steps=10)


def test_the_model_that_is_furthest_is_named():
    data, _ = table()
    large = replace(data, params_b=np.where(np.arange(24) == 5, 1e9, data.params_b))
    assert "is family1-1 of family family1, 1e+09 billion" in furthest_in_words(large)


@pytest.mark.parametrize("inference", ["mode", "nuts"])
def test_a_fit_that_finds_no_start_says_what_is_furthest(monkeypatch, inference):
    data, _ = table()
    module = importlib.import_module(
        "sloth_jax.inference.fit"
    )  # the package's own name is the function
    found = module._compute

    def diverge(*arguments):
        draws = found(*arguments)
        return draws._replace(mode=draws.mode._replace(value=draws.mode.value * np.nan))

    monkeypatch.setattr(module, "_compute", diverge)
    with pytest.raises(Diverged, match=r"every start .*furthest from all others is family"):
        fit(data, key=jax.random.key(0), settings=QUICK, inference=inference)


def test_draws_that_are_not_finite_are_an_error(monkeypatch):
    data, _ = table()
    module = importlib.import_module("sloth_jax.inference.fit")
    found = module._compute

    def overflow(*arguments):
        draws = found(*arguments)
        return draws._replace(position=draws.position.at[0, 0].set(np.inf))

    monkeypatch.setattr(module, "_compute", overflow)
    with pytest.raises(Diverged, match="furthest from all others is family"):
        fit(data, key=jax.random.key(0), settings=QUICK)


def test_single_and_double_precision_agree():
    """The density to 1e-5 of its size, its gradient to 1e-3 of its length."""
    data, _ = table()
    found = fit(data, key=jax.random.key(0), settings=QUICK)

    @jax.jit
    def density(arrays, position, pivots):
        return jax.value_and_grad(target_of(arrays, Prior(), pivots, 2).potential)(position)

    def single(leaf):
        narrow = {np.dtype(np.float64): np.float32, np.dtype(np.int64): np.int32}
        return leaf.astype(narrow.get(leaf.dtype, leaf.dtype))

    wide = (found.observations, found.position[0], found.pivots)
    value, gradient = density(*wide)
    with jax.enable_x64(False):
        value32, gradient32 = density(*jax.tree.map(single, wide))
    assert value32.dtype == gradient32.dtype == np.float32
    assert value32 == pytest.approx(float(value), rel=1e-5)
    assert np.linalg.norm(gradient - gradient32) < 1e-3 * np.linalg.norm(gradient)
