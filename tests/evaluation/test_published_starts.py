"""The published random starts: numbers that PyTorch 2.13 drew on a CPU after manual_seed(42)."""

from __future__ import annotations

import numpy as np
import pytest

from sloth_jax.evaluation.published_starts import PublishedGenerator

# Last digits differ: PyTorch has its own logarithm and cosine for vectors.
ROUNDING = 1e-6


def test_few_normals():
    drawn = PublishedGenerator(42).normal((2, 3))
    expected = [[0.33669037, 0.12880941, 0.23446237], [0.23033303, -1.12285638, -0.18632829]]
    np.testing.assert_allclose(drawn, expected, atol=ROUNDING)


def test_normals_that_do_not_fill_whole_blocks_and_what_is_drawn_after_them():
    generator = PublishedGenerator(42)
    many = generator.normal((22, 4)).ravel()
    np.testing.assert_allclose(many[[0, 1, 2, 3]], [1.9269153, 1.4872841, 0.9007172, -2.1055212])
    np.testing.assert_allclose(
        many[-4:], [1.74225271, -1.35267365, 0.21906050, 0.55263489], atol=ROUNDING
    )
    first = generator.normal((1, 5))[0]
    second = generator.normal((1, 5))[0]  # begins with the half of a pair that was left
    np.testing.assert_allclose(
        first, [1.13510227, 0.75924522, -3.59446883, 0.01915081, 0.10517301], atol=ROUNDING
    )
    np.testing.assert_allclose(
        second, [0.96034014, -0.56718057, -0.57064742, 1.59803844, 0.11148621], atol=ROUNDING
    )


def test_uniforms_of_two_linear_layers():
    generator = PublishedGenerator(42)
    weight, bias = generator.uniform((10, 1), 1.0), generator.uniform((10,), 1.0)
    narrow = 1.0 / np.sqrt(10)
    wide_weight, wide_bias = generator.uniform((10, 10), narrow), generator.uniform((10,), narrow)
    np.testing.assert_allclose(weight[:2, 0], [0.76453853, 0.83000791], atol=ROUNDING)
    np.testing.assert_allclose(bias[:2], [0.86919618, 0.18715930], atol=ROUNDING)
    np.testing.assert_allclose(wide_weight[3, :2], [-0.31303653, -0.12217793], atol=ROUNDING)
    np.testing.assert_allclose(wide_bias[-1], -0.06275984, atol=ROUNDING)


@pytest.mark.parametrize("count", [15, 16, 17, 1000])
def test_moments(count):
    drawn = PublishedGenerator(1).normal((count,))
    assert drawn.dtype == np.float32
    assert abs(drawn.mean()) < 5.0 / np.sqrt(count)
    assert abs(drawn.std() - 1.0) < 5.0 / np.sqrt(2 * count)
    assert np.unique(drawn).size == count
