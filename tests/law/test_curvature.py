"""The curvature by expectation against differences of gradients, which know nothing of skills."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from small import table

from sloth_jax.inference.observe import observe, sample_families
from sloth_jax.law import curvature as module
from sloth_jax.law.curvature import curvature_by_differences, curvature_by_expectation, layout
from sloth_jax.law.hierarchical import zero_raw_params
from sloth_jax.law.observations import LARGE_TABLE, Observations
from sloth_jax.law.options import Prior
from sloth_jax.law.pivots import choose_pivots
from sloth_jax.law.surface import fit_surface
from sloth_jax.law.target import Target, target_of

SKILLS = 2
CLOSE = 1e-5  # relative: differences of gradients over 0.001, in double precision


def observations(kind: str) -> Observations:
    data, _ = table(families=5)
    scores = data.scores.copy()
    scores[np.random.default_rng(0).random(scores.shape) < 0.3] = np.nan
    data = replace(data, scores=scores)
    surface = fit_surface(data, kind="additive")
    if kind == "unknown tokens":
        tokens = data.tokens_t.copy()
        tokens[[1, 4, 5]] = np.nan
        data = replace(data, tokens_t=tokens)
    if kind == "groups":
        data = replace(data, group_of_benchmark=("suite", "suite", "", ""))
    if kind == "sources":
        source = np.zeros(scores.shape, int)
        source[8:12] = 1
        errors = np.where(np.arange(len(scores))[:, None] % 2, 0.03, np.nan)
        errors = np.broadcast_to(errors, scores.shape)
        data = replace(data, source=source, sources=("board", "ours"), standard_errors=errors)
    return observe(data, surface)


def target(arrays: Observations) -> tuple[Target, jax.Array]:
    rng = np.random.default_rng(3)
    blank, _ = ravel_pytree(zero_raw_params(arrays, SKILLS, Prior()))
    _, pivots = choose_pivots(jnp.asarray(rng.normal(size=(4, SKILLS))))
    position = jnp.asarray(0.5 * rng.normal(size=blank.size))
    return target_of(arrays, Prior(), pivots, SKILLS), position


def every_direction(latents, bins, key, draws):
    """Draws whose mean square is the covariance itself: no Monte Carlo error."""
    count, number, size = latents.mean.shape
    width = number * size
    root = jnp.linalg.cholesky(latents.covariance.reshape(count, width, width))
    return np.sqrt(draws) * jnp.moveaxis(root, 2, 0).reshape(width, count, number, size)


@pytest.mark.parametrize("kind", ["plain", "unknown tokens", "groups", "sources"])
def test_expected_less_missing_is_the_curvature(kind, monkeypatch):
    monkeypatch.setattr(module, "draw_latents", every_direction)
    monkeypatch.setattr(module, "_STEP", 1e-3)
    arrays = observations(kind)
    _, position = target(arrays)

    @jax.jit
    def both(arrays, position):
        made, _ = target(arrays)
        found = curvature_by_expectation(made, position, jax.random.key(0))
        return found, curvature_by_differences(made.potential, position)

    found, exact = both(arrays, position)
    largest = np.abs(exact).max()
    np.testing.assert_allclose(found, exact, rtol=CLOSE, atol=CLOSE * largest)
    # What is missing is no small part of it.
    made, _ = target(arrays)
    at = layout(made.unravel(position))
    assert np.abs(np.asarray(exact)[at.own[0, 0], at.own[0, 1]]) > 1e-3


def test_draws_of_skills_have_the_covariance_they_stand_for():
    arrays = observations("plain")
    made, position = target(arrays)
    (bins,) = arrays.bins
    problem, _ = jax.jit(lambda at: module.effects_problem(made.law(at), arrays))(position)
    latents = jax.jit(module.latents_given_scores)(problem, bins)
    draws = 4000
    drawn = jax.jit(module.draw_latents, static_argnums=3)(latents, bins, jax.random.key(1), draws)
    flat = np.asarray(drawn).reshape(draws, len(bins.rows), -1)
    for at in range(len(bins.rows)):
        width = flat.shape[2]
        expected = np.asarray(latents.covariance[at]).reshape(width, width)
        sd = np.sqrt(np.diag(expected))
        errors = np.sqrt((np.outer(sd**2, sd**2) + expected**2) / draws)
        assert (np.abs(np.cov(flat[:, at].T) - expected) / errors).max() < 5.0


def test_every_parameter_has_one_place():
    arrays = observations("sources")
    blank = zero_raw_params(arrays, SKILLS, Prior())
    shared, own = layout(blank)
    flat, _ = ravel_pytree(blank)
    assert sorted([*np.asarray(shared), *np.asarray(own).ravel()]) == list(range(flat.size))


def test_a_part_of_a_large_table_is_whole_families():
    data, _ = table(families=4)
    assert sample_families(data, 0) is None
    times = -(-2 * LARGE_TABLE // len(data.models))
    numbers = np.repeat(np.arange(times), len(data.models))
    families = tuple(f"{f}-{n:04d}" for n in range(times) for f in data.families)
    large = replace(
        data,
        models=tuple(f"{m}-{n}" for n in range(times) for m in data.models),
        families=families,
        family=np.tile(data.family, times) + numbers * len(data.families),
        lineage_of_family=np.tile(data.lineage_of_family, times),
        post_trained_of_family=np.tile(data.post_trained_of_family, times),
        released=("",) * len(numbers),
        **{
            name: np.tile(getattr(data, name), (times, 1))
            for name in ("scores", "standard_errors", "source")
        },
        **{
            name: np.tile(getattr(data, name), times)
            for name in ("params_b", "active_params_b", "tokens_t")
        },
    )
    part = sample_families(large, 1)
    assert part is not None
    assert 1000 <= len(part.models) < 1100
    sizes = dict(zip(*np.unique(large.family, return_counts=True), strict=True))
    kept, counts = np.unique(part.family, return_counts=True)
    names = [large.families.index(part.families[f]) for f in kept]
    assert [sizes[at] for at in names] == counts.tolist()
    # All scores, or their quantiles: links are standardised to nearly the same.
    surface = fit_surface(large, kind="additive")
    arrays = observe(large, surface)
    assert arrays.standard is not None
    blank = zero_raw_params(arrays, SKILLS, Prior())

    @jax.jit
    def link(arrays):
        return target(arrays)[0].density.law(blank).params.link

    found, exact = link(arrays), link(arrays._replace(standard=None))
    np.testing.assert_allclose(found.centre, exact.centre, atol=2e-3)
    np.testing.assert_allclose(found.spread, exact.spread, rtol=2e-3)
