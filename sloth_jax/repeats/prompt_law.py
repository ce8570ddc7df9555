"""The law of answers to one benchmark under many prompt templates, most of them not seen.

::

    y_ti ~ Bernoulli( logistic( theta_t - b_i ) )          template t, item i
    theta_t = x_t' gamma + e_t,   e_t ~ N(0, s_theta^2)    x: intercept and covariates
    b_i ~ N(0, s_b^2),            gamma_p ~ N(0, (c_p s_gamma)^2),   intercept ~ N(0, 3^2)

The Rasch law with covariates of templates (Maia Polo et al., "Efficient multi-prompt evaluation of
LLMs", arXiv 2405.17202). The posterior is a mixture over a grid of the three scales. At each:
Newton's method to the joint mode of (theta, b), in which items are eliminated (Schur complement);
then every item's difficulty is integrated out by Gauss-Hermite quadrature around its mode, because
Laplace's approximation is poor for the two or three answers that an item has; Laplace's
approximation for theta. Scales have half-normal priors (:data:`PRIOR`), in log odds.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.ops import segment_sum
from jax.scipy.linalg import cho_solve, solve_triangular
from jax.scipy.special import logsumexp
from scipy.interpolate import CubicSpline

from sloth_jax.products import einsum, matmul

PRIOR = np.array([1.0, 2.0, 1.0])  # scales of s_theta, s_b, s_gamma a priori
INTERCEPT = 3.0  # of theta a priori: templates solve between a tenth and nine tenths, or so
_COARSE = np.log(np.array([[0.03], [0.1], [0.05]]) * 2.0 ** np.arange(7))  # (scale, point)
_START = np.log([0.3, 1.5, 0.5])
_WIDTH = np.array([2.4, 1.5, 1.5])  # of the final grid, in standard deviations each way
_POINTS = (7, 3, 3)  # a multiple of seven, see posterior
_NODE, _WEIGHT = np.polynomial.hermite_e.hermegauss(11)


class Cells(NamedTuple):
    """Answers that were seen.

    Attributes:
        template: positions, ``(cell,)``.
        item: positions, ``(cell,)``.
        right: 1 where the answer was right, 0 where not, ``(cell,)``.
    """

    template: Array
    item: Array
    right: Array


class Design(NamedTuple):
    """Covariates of templates.

    Attributes:
        columns: the first is all ones, ``(template, covariate)``.
        spread: c, of their effects in units of ``s_gamma``, ``(covariate,)``;
            the first is not used.
    """

    columns: Array
    spread: Array


class TemplatePrior(NamedTuple):
    """theta ~ N(0, K), K = X S X' + s^2 I, by the effects given theta.

    Attributes:
        columns: X, ``(template, covariate)``.
        scale: s.
        effects: S^(1/2), ``(covariate,)``.
        to_effects: the mean of gamma given theta is this times theta, ``(covariate, template)``.
        factor: Cholesky factor of the precision of gamma given theta.
    """

    columns: Array
    scale: Array
    effects: Array
    to_effects: Array
    factor: Array

    def precision(self) -> Array:
        """K^-1, ``(template, template)``."""
        eye = jnp.eye(len(self.columns), dtype=self.columns.dtype)
        return (eye - matmul(self.columns, self.to_effects)) / self.scale**2

    def log_density(self, theta: Array) -> Array:
        """Of ``theta (template,)``, up to ``log(2 pi)``."""
        gamma = matmul(self.to_effects, theta)
        rest = (theta - matmul(self.columns, gamma)) / self.scale  # no cancellation at a small s
        squares = jnp.sum(rest**2) + jnp.sum((gamma / self.effects) ** 2)
        log_det = len(theta) * jnp.log(self.scale) + jnp.sum(jnp.log(self.effects))
        return -0.5 * squares - log_det - jnp.sum(jnp.log(jnp.diagonal(self.factor)))


def template_prior(design: Design, scale: Array, effect: Array) -> TemplatePrior:
    """The prior of theta at ``s_theta`` and ``s_gamma``."""
    effects = (effect * design.spread).at[0].set(INTERCEPT)
    x = design.columns / scale
    factor = jnp.linalg.cholesky(matmul(x.T, x) + jnp.diag(effects**-2))
    to_effects = cho_solve((factor, True), x.T / scale)
    return TemplatePrior(design.columns, scale, effects, to_effects, factor)


def log_joint(theta: Array, b: Array, cells: Cells, prior: TemplatePrior, s_b: Array) -> Array:
    """Log density of answers, ``theta (template,)`` and ``b (item,)``, up to constants."""
    eta = theta[cells.template] - b[cells.item]
    fit = jnp.sum(cells.right * eta - jax.nn.softplus(eta))
    return fit + prior.log_density(theta) - 0.5 * jnp.sum((b / s_b) ** 2)


class Information(NamedTuple):
    """Minus the Hessian of :func:`log_joint`, items eliminated.

    Attributes:
        weight: p (1 - p) of seen cells, 0 elsewhere, ``(template, item)``.
        item: precision of each item given theta, ``(item,)``.
        factor: Cholesky factor of the Schur complement of the items, ``(template, template)``.
    """

    weight: Array
    item: Array
    factor: Array

    def solve(self, of_theta: Array, of_b: Array) -> tuple[Array, Array]:
        """The Hessian's solution for a gradient ``(template,)`` and ``(item,)``."""
        found = cho_solve((self.factor, True), of_theta + matmul(self.weight, of_b / self.item))
        return found, (of_b + matmul(self.weight.T, found)) / self.item


def information(
    theta: Array, b: Array, cells: Cells, prior: TemplatePrior, s_b: Array
) -> Information:
    """Of the answers at ``theta`` and ``b``; arguments as for :func:`log_joint`."""
    p = jax.nn.sigmoid(theta[cells.template] - b[cells.item])
    weight = jnp.zeros((len(theta), len(b)), theta.dtype)
    weight = weight.at[cells.template, cells.item].add(p * (1.0 - p))
    item = weight.sum(axis=0) + s_b**-2
    # [K^-1 + diag(W 1), -W; -W', D]: the Schur complement of D.
    schur = prior.precision() + jnp.diag(weight.sum(axis=1))
    schur -= matmul(weight / item[None], weight.T)
    return Information(weight, item, jnp.linalg.cholesky(schur))


def joint_mode(
    start: tuple[Array, Array], cells: Cells, prior: TemplatePrior, s_b: Array
) -> tuple[Array, Array]:
    """Mode of :func:`log_joint`, which is concave, by Newton's method with halved steps."""

    def goes_on(carry: tuple) -> Array:
        return (carry[2] < 30) & (carry[3] > 1e-2)  # nodes are laid around it, no more

    def step(carry: tuple) -> tuple:
        theta, b, count, _ = carry
        value, gradient = jax.value_and_grad(log_joint, (0, 1))(theta, b, cells, prior, s_b)
        d_theta, d_b = information(theta, b, cells, prior, s_b).solve(*gradient)

        def falls(share: Array) -> Array:
            there = log_joint(theta + share * d_theta, b + share * d_b, cells, prior, s_b)
            return ~(there >= value - 1e-4 * jnp.abs(value)) & (share > 1e-3)

        share = lax.while_loop(falls, lambda share: 0.5 * share, jnp.ones((), theta.dtype))
        moved = share * jnp.maximum(jnp.max(jnp.abs(d_theta)), jnp.max(jnp.abs(d_b)))
        return theta + share * d_theta, b + share * d_b, count + 1, moved

    begin = (*start, jnp.zeros((), int), jnp.asarray(jnp.inf, start[0].dtype))
    theta, b, _, _ = lax.while_loop(goes_on, step, begin)
    return theta, b


class Quadrature(NamedTuple):
    """Points of every item's difficulty.

    Attributes:
        nodes: ``(item, node)``.
        log_weight: of each, the prior of difficulty in it, ``(item, node)``.
    """

    nodes: Array
    log_weight: Array


def quadrature(b: Array, info: Information, s_b: Array) -> Quadrature:
    """Gauss-Hermite points around the joint mode, as wide as its normal approximation."""
    shift = solve_triangular(info.factor, info.weight / info.item[None], lower=True)
    sd = jnp.sqrt(1.0 / info.item + jnp.sum(shift**2, axis=0))[:, None]
    node = jnp.asarray(_NODE, b.dtype)[None]
    nodes = b[:, None] + sd * node
    log_weight = jnp.asarray(np.log(_WEIGHT), b.dtype)[None] + 0.5 * node**2 + jnp.log(sd / s_b)
    return Quadrature(nodes, log_weight - 0.5 * (nodes / s_b) ** 2 - 0.5 * np.log(2.0 * np.pi))


def item_posterior(theta: Array, cells: Cells, points: Quadrature) -> tuple[Array, Array]:
    """Log likelihood of theta by item, ``(item,)``, and weights of nodes, ``(item, node)``."""
    eta = theta[cells.template][:, None] - points.nodes[cells.item]
    log_p = cells.right[:, None] * eta - jax.nn.softplus(eta)
    joint = points.log_weight + segment_sum(log_p, cells.item, len(points.nodes))
    total = logsumexp(joint, axis=1)
    return total, jnp.exp(joint - total[:, None])


def log_marginal(theta: Array, cells: Cells, prior: TemplatePrior, points: Quadrature) -> Array:
    """Log density of answers and ``theta (template,)``, difficulties integrated out."""
    return jnp.sum(item_posterior(theta, cells, points)[0]) + prior.log_density(theta)


def marginal_information(
    theta: Array, cells: Cells, prior: TemplatePrior, points: Quadrature
) -> Array:
    """Minus the Hessian of :func:`log_marginal`, ``(template, template)``."""
    _, weight = item_posterior(theta, cells, points)
    p = jax.nn.sigmoid(theta[cells.template][:, None] - points.nodes[cells.item])
    rest = jnp.zeros((*points.nodes.shape, len(theta)), theta.dtype)
    rest = rest.at[cells.item, :, cells.template].add(cells.right[:, None] - p)
    mean = einsum("iq,iqt->it", weight, rest)
    spread = (rest - mean[:, None]) * jnp.sqrt(weight)[:, :, None]
    spread = spread.reshape(-1, len(theta))
    curvature = jnp.sum(weight[cells.item] * p * (1.0 - p), axis=1)
    found = prior.precision() - matmul(spread.T, spread)
    return found + jnp.diag(segment_sum(curvature, cells.template, len(theta)))


class Component(NamedTuple):
    """The posterior at given scales; with a leading dimension ``point`` at all of a grid.

    Attributes:
        log_evidence: log density of the answers, and of log scales a priori, up to a constant.
        theta: its mean, ``(template,)``.
        factor: Cholesky factor of its precision, ``(template, template)``.
        points: of the items' difficulties.
        prior: of theta.
        moved: how far the last step went; tiny once converged.
    """

    log_evidence: Array
    theta: Array
    factor: Array
    points: Quadrature
    prior: TemplatePrior
    moved: Array


def component(
    start: tuple[Array, Array], log_scales: Array, cells: Cells, design: Design
) -> tuple[tuple[Array, Array], Component]:
    """The posterior at log ``(s_theta, s_b, s_gamma)``, and the joint mode it was found from."""
    s_theta, s_b, s_gamma = jnp.exp(log_scales)
    prior = template_prior(design, s_theta, s_gamma)
    theta, b = mode = joint_mode(start, cells, prior, s_b)
    info = information(theta, b, cells, prior, s_b)
    points = quadrature(b, info, s_b)
    gradient = jax.grad(log_marginal)

    def nearer(_: int, theta: Array) -> Array:
        return theta + cho_solve((info.factor, True), gradient(theta, cells, prior, points))

    theta = lax.fori_loop(0, 4, nearer, theta)
    factor = jnp.linalg.cholesky(marginal_information(theta, cells, prior, points))
    move = cho_solve((factor, True), gradient(theta, cells, prior, points))
    theta = theta + move
    evidence = log_marginal(theta, cells, prior, points) - jnp.sum(jnp.log(jnp.diagonal(factor)))
    usual = jnp.asarray(PRIOR, theta.dtype)
    evidence += jnp.sum(log_scales - 0.5 * (jnp.exp(log_scales) / usual) ** 2)
    evidence = jnp.where(jnp.isfinite(evidence), evidence, -jnp.inf)
    return mode, Component(evidence, theta, factor, points, prior, jnp.max(jnp.abs(move)))


def posterior(cells: Cells, design: Design, items: int) -> Component:
    """The posterior at all points of a grid of scales.

    Each scale is first looked for on a coarse grid, the others held; the final grid is the product
    of a few points around each. Where templates have no covariates, their scale has one point.

    Args:
        cells: answers.
        design: covariates of templates.
        items: how many.

    Returns:
        A component per point of the grid.
    """
    dtype = design.columns.dtype
    start = jnp.zeros(len(design.columns), dtype), jnp.zeros(items, dtype)
    scales, axes = _START.copy(), [np.zeros(1)] * 3
    for which in (1, 0, 2) if design.columns.shape[1] > 1 else (1, 0):
        tried = np.tile(scales, (7, 1))
        tried[:, which] = _COARSE[which]
        start, found = _components(start, jnp.asarray(tried, dtype), cells, design)
        scales[which], sd = _moments(np.asarray(found.log_evidence, float), which)
        axes[which] = np.linspace(-1.0, 1.0, _POINTS[which]) * _WIDTH[which] * sd
    grid = scales + np.stack([part.ravel() for part in np.meshgrid(*axes, indexing="ij")], axis=1)
    parts = []
    for some in np.split(grid, len(grid) // 7):  # one compiled program for all
        start, found = _components(start, jnp.asarray(some, dtype), cells, design)
        parts.append(found)
    return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)


@jax.jit
def _components(
    start: tuple[Array, Array], log_scales: Array, cells: Cells, design: Design
) -> tuple[tuple[Array, Array], Component]:
    """:func:`component` at one point after the other, each begun where the last one ended."""
    return lax.scan(lambda at, each: component(at, each, cells, design), start, log_scales)


def _moments(log_density: np.ndarray, which: int) -> tuple[float, float]:
    """Mean and standard deviation of a log scale from its log density on its coarse grid."""
    known = np.maximum(log_density - log_density.max(), -50.0)  # no ringing of the spline
    value = np.linspace(_COARSE[which, 0], _COARSE[which, -1], 121)
    fine = CubicSpline(_COARSE[which], known, bc_type="natural")(value)
    weight = np.exp(fine - fine.max())
    weight /= weight.sum()
    mean = weight @ value
    return mean, max(np.sqrt(weight @ (value - mean) ** 2), 0.03)


class Draws(NamedTuple):
    """Of the posterior.

    Attributes:
        theta: ``(draw, template)``.
        b: ``(draw, item)``.
        gamma: intercept and effects of covariates, ``(draw, covariate)``.
        scale: s_theta, ``(draw,)``.
    """

    theta: Array
    b: Array
    gamma: Array
    scale: Array


@partial(jax.jit, static_argnames="count")
def draw(found: Component, cells: Cells, key: Array, count: int) -> Draws:
    """So many draws of the mixture: theta, difficulties given it, effects given it."""
    keys = jax.random.split(key, count + 1)
    # Points of the grid in proportion to their weights, by systematic sampling.
    total = jnp.cumsum(jax.nn.softmax(found.log_evidence))
    place = (jnp.arange(count) + jax.random.uniform(keys[0])) / count * total[-1]
    at = jnp.minimum(jnp.searchsorted(total, place), len(total) - 1)

    def one(given: tuple[Array, Array]) -> Draws:
        part = jax.tree.map(lambda array: array[given[0]], found)
        of_theta, of_b, of_gamma = jax.random.split(given[1], 3)
        prior, dtype = part.prior, part.theta.dtype

        def correlated(factor: Array, key: Array) -> Array:
            unit = jax.random.normal(key, (len(factor),), dtype)
            return solve_triangular(factor, unit, lower=True, trans=1)

        theta = part.theta + correlated(part.factor, of_theta)
        _, weight = item_posterior(theta, cells, part.points)
        share = jax.random.uniform(of_b, (len(weight), 1), dtype)
        node = jnp.sum(jnp.cumsum(weight, axis=1)[:, :-1] < share, axis=1)
        b = jnp.take_along_axis(part.points.nodes, node[:, None], axis=1)[:, 0]
        gamma = matmul(prior.to_effects, theta) + correlated(prior.factor, of_gamma)
        return Draws(theta, b, gamma, prior.scale)

    return lax.map(one, (at, keys[1:]))


@jax.jit
def answered(drawn: Draws, cells: Cells, key: Array) -> Array:
    """Share of all items answered right, seen or drawn, ``(draw, template)``."""
    shape = drawn.theta.shape[1], drawn.b.shape[1]
    dtype = drawn.theta.dtype
    # 2 where nothing was seen
    seen = jnp.full(shape, 2.0, dtype).at[cells.template, cells.item].set(cells.right)

    def one(given: tuple[Array, Array, Array]) -> Array:
        theta, b, key = given
        p = jax.nn.sigmoid(theta[:, None] - b[None])
        guess = jax.random.uniform(key, shape, dtype) < p
        return jnp.mean(jnp.where(seen > 1.0, guess, seen), axis=1)

    return lax.map(one, (drawn.theta, drawn.b, jax.random.split(key, len(drawn.theta))))


@jax.jit
def expected(theta: Array, b: Array) -> Array:
    """Mean over items of the probability to be right, ``(draw, template)``."""
    return lax.map(
        lambda one: jnp.mean(jax.nn.sigmoid(one[0][:, None] - one[1]), axis=1),
        (theta, b[:, None, :]),
    )
