"""Rotations of skills: which of all equivalent loadings to look at, and how to compare draws.

Loadings ``A (benchmark, skill)`` and skills ``theta (model, skill)`` predict the same scores as
``L = A T'^-1`` and ``theta T``. A rotation picks the ``T`` whose loadings are simplest by some
criterion: most of them near zero, so that a benchmark tells of few skills. Orthogonal rotations
keep skills uncorrelated, oblique ones keep their variances and let them correlate by ``T' T``.

The minimum is found by gradient projection from many random starts at once (Jennrich 2001 and
2002; Bernaards and Jennrich 2005, "Gradient projection algorithms and software for arbitrary
rotation criteria in factor analysis"). All criteria have local minima.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sloth_jax.products import matmul
from sloth_jax.programs import kept
from sloth_jax.skills.alignment import align, congruence
from sloth_jax.skills.gradient_projection import (
    minimise_criterion,
    slope_tolerance,
    transform_loading,
)

_SAME = 0.99  # congruence above which two solutions are one
_CLOSE = 2e-3  # values that far apart, relatively, are one minimum reached in single precision


class Rotation(NamedTuple):
    """Rotated loadings.

    Attributes:
        loading: ``(benchmark, skill)``.
        transform: T, ``(skill, skill)``: skills are to be multiplied by it.
        correlation: of skills that were uncorrelated with unit variances before, ``T' T``; the
            identity after an orthogonal rotation.
        value: of the criterion.
        slope: norm of its projected gradient, which is zero at a minimum, over that of its whole
            gradient where this is above 1.
        converged: whether that is below the tolerance; if not, the rotation is the best found.
        agreeing: share of starts that ended within 0.2 % of the best value.
    """

    loading: Array
    transform: Array
    correlation: Array
    value: Array
    slope: Array
    converged: Array
    agreeing: Array


@partial(jax.jit, static_argnames=("criterion", "oblique", "starts", "steps", "tolerance"))
def rotate(
    loading: Array,
    key: Array,
    *,
    criterion: str = "geomin",
    oblique: bool = True,
    starts: int = 30,
    steps: int = 2000,
    tolerance: float | None = None,
    first: Array | None = None,
) -> Rotation:
    """Rotate loadings to the lowest value of a criterion over many starts.

    Args:
        loading: ``(benchmark, skill)`` of skills that are uncorrelated with unit variances.
        key: random key of the starts after the first.
        criterion: one of :data:`CRITERIA`; quartimin, also known as direct oblimin with gamma 0,
            only for oblique rotations makes sense of its name, but both work.
        oblique: whether skills may correlate.
        starts: how many starts.
        steps: most steps of gradient projection from each.
        tolerance: norm of the projected gradient that counts as zero, relative to that of the
            whole gradient where this is above 1; None for twice the cube root of the floating
            point precision, 1e-5 in double and 1e-2 in single.
        first: transform to start from first, ``(skill, skill)``; None starts from no rotation.

    Returns:
        A :class:`Rotation`; look at ``converged``.
    """
    transforms, values, slopes = minimise_criterion(
        loading,
        key,
        criterion=criterion,
        oblique=oblique,
        starts=starts,
        steps=steps,
        tolerance=tolerance,
        first=first,
    )
    best = jnp.argmin(values)
    return _rotation(loading, oblique, transforms, values, slopes, best, tolerance)


@partial(kept, static=(2, 3))
@partial(jax.jit, static_argnums=(2, 3))
def rotate_draws(
    loadings: Array, key: Array, criterion: str, oblique: bool
) -> tuple[Rotation, Rotation]:
    """Rotate the mean of some draws from many starts, and each draw from where that ended.

    Args:
        loadings: ``(draw, benchmark, skill)``, as for :func:`rotate`, turned alike.
        key: random key of the starts.
        criterion: as for :func:`rotate`.
        oblique: likewise.

    Returns:
        The rotation of the mean, and that of each draw with a leading axis ``(draw,)``.
    """
    best = rotate(jnp.mean(loadings, axis=0), key, criterion=criterion, oblique=oblique)

    def near(loading: Array) -> Rotation:
        return rotate(
            loading, key, criterion=criterion, oblique=oblique, starts=1, first=best.transform
        )

    return best, jax.vmap(near)(loadings)


def local_optima(
    loading: Array,
    key: Array,
    *,
    criterion: str = "geomin",
    oblique: bool = True,
    starts: int = 60,
    steps: int = 2000,
) -> list[Rotation]:
    """Every rotation that random starts end in: a criterion may have several minima.

    Args:
        loading: as for :func:`rotate`, like all that follows.
        key: random key of the starts.
        criterion: one of :data:`CRITERIA`.
        oblique: whether skills may correlate.
        starts: how many starts.
        steps: most steps from each.

    Returns:
        Rotations with the lowest value first, each once however skills are ordered and signed;
        ``agreeing`` is the share of starts that ended there. Starts that did not converge are
        left out, unless none did.
    """
    transforms, values, slopes = minimise_criterion(
        loading, key, criterion=criterion, oblique=oblique, starts=starts, steps=steps
    )
    found: list[Rotation] = []
    counts: list[int] = []
    for at in np.argsort(np.asarray(values), kind="stable"):
        one = _rotation(loading, oblique, transforms, values, slopes, jnp.asarray(at), None)
        if not bool(one.converged) and (found or at != int(jnp.argmin(values))):
            continue
        for place, other in enumerate(found):
            order = align(one.loading[None], other.loading)[0]
            alike = jnp.diag(congruence(matmul(one.loading, order), other.loading))
            if float(jnp.min(alike)) > _SAME and abs(one.value - other.value) < 0.01 * abs(
                one.value
            ):
                counts[place] += 1
                break
        else:
            found.append(one)
            counts.append(1)
    return [
        r._replace(agreeing=jnp.asarray(n / starts)) for r, n in zip(found, counts, strict=True)
    ]


def _rotation(
    loading: Array,
    oblique: bool,
    transforms: Array,
    values: Array,
    slopes: Array,
    at: Array,
    tolerance: float | None,
) -> Rotation:
    """One of several solutions."""
    transform, value = transforms[at], values[at]
    return Rotation(
        loading=transform_loading(loading, transform, oblique),
        transform=transform,
        correlation=matmul(transform.T, transform),
        value=value,
        slope=slopes[at],
        converged=slopes[at] < slope_tolerance(loading, tolerance),
        agreeing=jnp.mean(values <= value + _CLOSE * jnp.abs(value)),
    )
