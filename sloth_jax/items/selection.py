"""Which items to ask: a hundred that tell the score over thousands.

* ``information``: one after the other, the item that narrows the score most, averaged over the
  bank's models (Bayesian A-optimal design; Chaloner and Verdinelli 1995). For a model with some
  answers, over its own posterior: adaptive testing (van der Linden and Glas 2010).
* ``stratified``: items in the order of the bank's mean chance, one at random from each of as many
  equal strata: unbiased, and of less variance than random ones.
* ``clusters``: anchors of tinyBenchmarks (Maia Polo et al., arXiv 2402.14992): the items nearest to
  the centres of a k-means clustering of item parameters, weighted by cluster sizes.
* ``weighted``: at random, the likelier the more an answer varies around what the bank's models are
  expected to give (Neyman 1934), by systematic sampling in the order of mean chances (Madow 1949).
  Answers count by the inverse of their probability of being asked.
* ``random``.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from sloth_jax.errors import InputError, check_choice
from sloth_jax.items.abilities import Ability, ItemArrays, arrays_of, chances
from sloth_jax.items.response_law import ResponseLaw
from sloth_jax.products import einsum, matmul

METHODS = ("information", "stratified", "clusters", "weighted", "random")
_LEAST_SIZE = 0.3  # of an item's probability of being asked, against the mean: the law may be wrong
_POINTS = 64  # at most so many models stand for the bank


def select_items(
    law: ResponseLaw,
    count: int,
    *,
    method: str = "information",
    allowed: np.ndarray | None = None,
    found: Ability | None = None,
    key: Array,
) -> tuple[np.ndarray, np.ndarray]:
    """Items to ask a model.

    Args:
        law: fitted to the bank.
        count: how many.
        method: one of :data:`METHODS`.
        allowed: items that may be asked, ``(item,)`` bool; None for all.
        found: posterior of a model with answers, for ``information``; None for a new model.
        key: random key; ``information`` uses it for the draws of ``found`` alone.

    Returns:
        Positions of the items in the order in which to ask them, and weights of their mean that
        estimates the score, which add up to 1, if ``weighted`` on average; both ``(count,)``.

    Raises:
        InputError: there is no such method, or fewer items than asked for.
    """
    check_choice("method", method, METHODS)
    allowed = np.ones(len(law.floor), bool) if allowed is None else np.asarray(allowed, bool)
    if not 1 <= count <= allowed.sum():
        raise InputError(
            f"{count} items: the bank has {int(allowed.sum())} to choose from; ask for 1 to "
            f"{int(allowed.sum())}"
        )
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key), np.uint32))
    equal = np.full(count, 1.0 / count)
    if method == "random":
        return rng.choice(np.flatnonzero(allowed), count, replace=False), equal
    if method == "clusters":
        return _clusters(law, count, allowed, rng)
    of = arrays_of(law)
    if method in ("stratified", "weighted"):
        order = np.flatnonzero(allowed)
        easy, varies = np.asarray(_mean_chance(of, jnp.asarray(_points(law))))[:, order]
        by_chance = np.lexsort((rng.random(len(order)), easy))
        order, varies = order[by_chance], varies[by_chance]
        if method == "weighted":
            chosen, probability = _systematic(np.sqrt(varies), count, rng)
            return order[chosen], 1.0 / (len(order) * probability)
        edges = np.linspace(0, len(order), count + 1).astype(int)
        return order[[rng.integers(start, end) for start, end in pairwise(edges)]], equal
    _, precision = law.prior_of()
    if found is None:
        points = jnp.asarray(_points(law))
        start = jnp.broadcast_to(jnp.linalg.inv(precision), (len(points), *precision.shape))
    else:
        factor = jnp.linalg.cholesky(found.covariance)
        unit = jax.random.normal(key, (_POINTS // 2, len(found.mean)))
        points = found.mean[None] + matmul(unit, factor.T)
        start = jnp.broadcast_to(found.covariance, (len(points), *precision.shape))
    return np.asarray(_greedy(of, points, start, jnp.asarray(allowed), count=count)), equal


def _points(law: ResponseLaw) -> np.ndarray:
    """Models that stand for the bank, evenly over the order of their first skill."""
    mean = np.asarray(law.abilities.mean)
    order = np.argsort(mean[:, 0])
    return mean[order[np.linspace(0, len(order) - 1, min(_POINTS, len(order))).astype(int)]]


@jax.jit
def _mean_chance(of: ItemArrays, points: Array) -> Array:
    """Means over models of the chance of a right answer, and of its variance: ``(2, item)``."""
    p = lax.map(lambda at: chances(of, at)[0], points)
    return jnp.stack([p.mean(axis=0), (p * (1.0 - p)).mean(axis=0)])


def _systematic(
    size: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A sample with probabilities as near to the sizes as can be: positions, probabilities.

    Every item is asked with exactly the probability that is returned: the sums of these, one after
    the other, pass a whole number and a random start so many times.
    """
    size = np.maximum(size, _LEAST_SIZE * size.mean())
    probability, sure = np.zeros(len(size)), np.zeros(len(size), bool)
    while True:
        left = count - sure.sum()
        probability = np.where(sure, 1.0, left * size / max(size[~sure].sum(), 1e-300))
        if not (over := (probability > 1.0) & ~sure).any():
            break
        sure |= over
    # The last sum is the count but for rounding, which must not lose an item.
    passed = np.floor(np.append(np.cumsum(probability)[:-1], count) + rng.random())
    chosen = np.flatnonzero(np.diff(passed, prepend=0.0))
    return chosen, probability[chosen]


@partial(jax.jit, static_argnames="count")
def _greedy(of: ItemArrays, points: Array, start: Array, allowed: Array, *, count: int) -> Array:
    """Items one after the other, each the one by which the score's variance falls most."""

    def at_point(at: Array) -> tuple[Array, Array]:
        p, slope, loading = chances(of, at)
        # information of an answer about the logit; derivative of the score by (theta, u)
        return slope**2 / (p * (1.0 - p)), (slope[:, None] * loading).mean(axis=0)

    information, derivative = lax.map(at_point, points)
    loading = chances(of, points[0])[2]

    def step(carry: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], Array]:
        covariance, spread, free = carry  # spread: z' V z, (point, item)
        toward = einsum("pkl,pl->pk", covariance, derivative)
        variance = einsum("pk,pk->p", toward, derivative)
        # V - w V z z' V / (1 + w z' V z):  the score's variance falls by w (d' V z)^2 / (1 + ...)
        fall = information * matmul(toward, loading.T) ** 2 / (1.0 + information * spread)
        gain = (fall / variance[:, None]).mean(axis=0)
        chosen = jnp.argmax(jnp.where(free, gain, -1.0))
        turned = matmul(covariance, loading[chosen][:, None])[..., 0]
        weight = information[:, chosen] / (1.0 + information[:, chosen] * spread[:, chosen])
        outer = turned[:, :, None] * turned[:, None, :]
        covariance = covariance - weight[:, None, None] * outer
        spread = spread - weight[:, None] * matmul(turned, loading.T) ** 2
        return (covariance, spread, free.at[chosen].set(False)), chosen

    spread = einsum("ik,pkl,il->pi", loading, start, loading)
    return lax.scan(step, (start, spread, allowed), None, length=count)[1]


def _clusters(
    law: ResponseLaw, count: int, allowed: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The item nearest to each centre, weighted by its cluster's share of the items."""
    from scipy.cluster.vq import kmeans2

    at = np.flatnonzero(allowed)
    features = np.concatenate([np.asarray(law.items.mean), law.design[:, :-1]], axis=1)[at]
    features = features / np.maximum(features.std(axis=0), 1e-6)
    count = min(count, len(np.unique(features.round(6), axis=0)))  # items may be alike
    centres, label = kmeans2(features, count, minit="++", rng=rng, missing="warn")
    chosen, weights = [], []
    for cluster in range(count):
        inside = np.flatnonzero(label == cluster)
        if not len(inside):
            continue
        far = ((features[inside] - centres[cluster]) ** 2).sum(axis=1)
        chosen.append(at[inside[np.argmin(far)]])
        weights.append(len(inside) / len(at))
    return np.array(chosen), np.array(weights) / np.sum(weights)
