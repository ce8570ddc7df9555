"""The surface: units cancel, straight lines far out, and a Gaussian process in between."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from small import EXACT, table

from sloth_jax.law.surface import KINDS, LINEAR, Surface, fit_surface

PLACES = np.array([(p, q) for p in (-1.5, 0.0, 1.5) for q in (-1.5, 0.0, 1.5)])


def kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The squared exponential of the docstring: height 1, length scale 1.7."""
    square = ((one[:, None] - other[None]) ** 2).sum(axis=-1)
    return np.exp(-0.5 * square / 1.7**2)


def unit_surface(kind: str, reach: float = 2.0) -> Surface:
    """A surface whose axes are the natural logs themselves."""
    return Surface(kind, "active", (0.0, 0.0), (1.0, 1.0), (-reach, -reach), (reach, reach))


def columns_at(surface: Surface, at: np.ndarray) -> np.ndarray:
    """Columns at places on the standardised axes, ``(place, column)``, without post-training."""
    sizes, tokens = np.exp(at * np.array(surface.spread) + np.array(surface.centre)).T
    return np.asarray(surface.design(sizes, tokens, 0.0))[:, :-1]


@pytest.mark.parametrize("kind", KINDS)
def test_units_cancel(kind):
    data, _ = table()
    ones = replace(data, params_b=data.params_b * 1e9, tokens_t=data.tokens_t * 1e12)
    in_billions, in_ones = (fit_surface(t, kind=kind).of(t, 0.0) for t in (data, ones))
    np.testing.assert_allclose(in_billions, in_ones, atol=EXACT)
    starts = (fit_surface(t, kind=kind).from_smallest(t.params_b) for t in (data, ones))
    np.testing.assert_allclose(*starts, atol=EXACT)


def test_logs_are_standardised_and_post_training_comes_last():
    data, _ = table()
    post_trained = data.post_trained_of_family[data.family]
    for kind in KINDS:
        surface = fit_surface(data, kind=kind)
        x = np.asarray(surface.of(data, post_trained))
        assert x.shape == (len(data.models), len(surface.names))
        assert surface.names[-1] == "post_trained"
        np.testing.assert_array_equal(x[:, -1], post_trained)
        np.testing.assert_array_equal(surface.linear(data), x[:, : len(LINEAR[kind])])
        if kind != "flops":
            np.testing.assert_allclose(x[:, :2].mean(axis=0), 0.0, atol=EXACT)
            np.testing.assert_allclose(x[:, :2].std(axis=0), 1.0, atol=EXACT)
    axes = fit_surface(data).axes(data.params_b, data.tokens_t)
    assert (float(axes[0].min()), float(axes[0].max())) == pytest.approx(
        (fit_surface(data).low[0], fit_surface(data).high[0])
    )


def test_kinds_are_parts_of_one_another():
    data, _ = table()
    smooth, translog, additive = (
        np.asarray(fit_surface(data, kind=kind).of(data, 0.0)) for kind in KINDS[:3]
    )
    assert smooth.shape[1] == 4 + 9
    np.testing.assert_array_equal(smooth[:, :3], translog[:, :3])
    np.testing.assert_array_equal(translog[:, :2], additive[:, :2])


def test_span_of_the_translog_is_that_of_logs_and_their_raw_product():
    data, _ = table()
    x = np.asarray(fit_surface(data, kind="translog").linear(data))
    s, t = np.log(data.params_b), np.log(data.tokens_t)
    raw = np.column_stack([np.ones(len(s)), s, t, s * t])
    solution, *_ = np.linalg.lstsq(raw, x, rcond=None)
    np.testing.assert_allclose(raw @ solution, x, atol=1e-8)


@pytest.mark.parametrize("direction", [(1.0, 0.0), (0.0, -1.0), (1.0, 1.0), (-1.0, 0.6)])
def test_the_product_goes_on_along_its_tangent(direction):
    surface = unit_surface("translog")
    # A path that leaves the range along the direction; the product is column 2.
    start = np.clip(3.0 * np.array(direction), -2.0, 2.0)
    outward = np.array(direction) * (np.abs(start) == 2.0)

    def product(step: np.ndarray) -> np.ndarray:
        return columns_at(surface, start + step[:, None] * outward)[:, 2]

    np.testing.assert_allclose(product(np.zeros(1)), start.prod(), atol=EXACT)
    far = product(np.array([0.0, 1.0, 2.0, 7.0]))
    slope = start[::-1] @ outward  # of p q at the border
    np.testing.assert_allclose(far, start.prod() + slope * np.array([0.0, 1.0, 2.0, 7.0]))
    # Continuous with its slope across the border.
    h = 1e-4
    inside, border, outside = product(np.array([-h, 0.0, h]))
    np.testing.assert_allclose((border - inside) / h, slope, atol=2 * h)
    np.testing.assert_allclose((outside - border) / h, slope, atol=2 * h)


def test_smooth_columns_have_the_covariance_of_the_gaussian_process():
    surface = unit_surface("smooth")
    at = columns_at(surface, PLACES)[:, 3:]
    # Coefficients are standard normal, so the covariance is a product; 1e-6 keeps roots real.
    np.testing.assert_allclose(at @ at.T, kernel(PLACES, PLACES), atol=5e-6)
    # Between the places it is the projection on them, which lacks little where models lie.
    grid = np.array([(p, q) for p in np.linspace(-2, 2, 9) for q in np.linspace(-2, 2, 9)])
    between = columns_at(surface, grid)[:, 3:]
    np.testing.assert_allclose(between @ between.T, kernel(grid, grid), atol=0.1)
    # Far out nothing is left of it: the surface is a straight line.
    np.testing.assert_allclose(
        columns_at(surface, np.array([[15.0, -15.0]]))[:, 3:], 0.0, atol=1e-9
    )


def test_the_size_of_a_mixture_of_experts_is_what_was_asked_for():
    data, _ = table()
    active = np.where(np.arange(len(data.models)) % 3 == 0, data.params_b / 4.0, np.nan)
    mixtures = replace(data, active_params_b=active)
    for kind in KINDS:
        by_active = fit_surface(mixtures, kind=kind, size="active")
        dense = replace(data, params_b=np.where(np.isnan(active), data.params_b, active))
        np.testing.assert_allclose(
            by_active.of(mixtures, 0.0), fit_surface(dense, kind=kind).of(dense, 0.0), atol=EXACT
        )
    by_total = fit_surface(mixtures, size="total")
    assert by_total == fit_surface(data, size="total")
    np.testing.assert_array_equal(by_total.of(mixtures, 0.0), by_total.of(data, 0.0))
    # Training compute is that of the parameters that work, whatever counts as size.
    flops = fit_surface(mixtures, kind="flops", size="total")
    dense_of = flops.design(np.where(np.isnan(active), data.params_b, active), data.tokens_t, 0.0)
    np.testing.assert_allclose(flops.of(mixtures, 0.0), dense_of, atol=EXACT)
    assert not np.allclose(flops.of(mixtures, 0.0), flops.of(data, 0.0))


def test_flops_see_compute_alone():
    data, _ = table()
    surface = fit_surface(data, kind="flops")
    here = np.asarray(surface.of(data, 0.0))
    traded = replace(data, params_b=data.params_b * 3.0, tokens_t=data.tokens_t / 3.0)
    np.testing.assert_allclose(surface.of(traded, 0.0), here, atol=EXACT)
    slope = np.polyfit(np.log(6e21 * data.params_b * data.tokens_t), here[:, 0], 1)[0]
    assert slope == pytest.approx(1.0 / np.hypot(*surface.spread))


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_that_never_varies_is_a_finite_zero(kind):
    data, _ = table()
    same = replace(data, tokens_t=np.full(len(data.models), 2.0))
    surface = fit_surface(same, kind=kind)
    assert surface.spread[1] == 1.0
    assert np.isfinite(surface.of(same, 1.0)).all()
    np.testing.assert_allclose(surface.axes(same.params_b, same.tokens_t)[1], 0.0, atol=EXACT)


def test_the_range_is_that_of_scored_models():
    data, _ = table()
    seen = data.params_b < data.params_b.max()
    surface = fit_surface(data, seen=seen)
    whole = fit_surface(data)
    assert surface.centre == whole.centre
    assert surface.high[0] < whole.high[0]
    assert fit_surface(data, seen=np.zeros_like(seen)) == whole


def test_what_there_is_not_is_refused():
    data, _ = table()
    with pytest.raises(ValueError, match="no surface 'cubic': choose one of smooth"):
        fit_surface(data, kind="cubic")
    with pytest.raises(ValueError, match="no size 'largest': choose one of active"):
        fit_surface(data, size="largest")


def test_a_query_is_placed_on_the_axes_of_the_table():
    data, _ = table()
    surface = fit_surface(data)
    whole = np.asarray(surface.of(data, 0.0))
    some = surface.design(jnp.asarray(data.params_b[3:5]), jnp.asarray(data.tokens_t[3:5]), 0.0)
    np.testing.assert_allclose(some, whole[3:5], atol=EXACT)
