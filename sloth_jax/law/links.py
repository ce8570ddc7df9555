"""Increasing links: from the linear predictor to the share of a benchmark above chance.

A link is a NamedTuple of parameter arrays, one slice per benchmark, that can be called::

    share = link(predictor)        # (..., benchmark) -> (..., benchmark), in [0, 1]

so it travels through ``jax.jit``, ``jax.vmap`` and ``jax.grad`` like any other parameter,
and :func:`sloth_jax.law.forward.scores` never asks which one it got. Three are given:

* :class:`Logistic`, the "basic" law of Maia Polo et al. (arXiv 2412.06540, section 3);
* :class:`QuantileMixture`, the hierarchical law's: its inverse is a weighted mean of increasing
  functions, so that a score tells its predictor without a search;
* :class:`MonotoneNetwork`, the learnt link of the same paper (appendix on trained links): a
  small tanh network whose weights are not negative.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from sloth_jax.law.options import Prior
from sloth_jax.products import einsum
from sloth_jax.wording import did_you_mean, quoted


def _to(predictor: Array, values: Array) -> Array:
    """Repeat values of benchmarks over the leading axes of a predictor."""
    return jnp.broadcast_to(values, predictor.shape)


def _per_unit(values: Array) -> Array:
    """Values of hidden units, ``(benchmark, hidden)``, with an axis for models."""
    return values[:, :, None]


@runtime_checkable
class Link(Protocol):
    """Anything that maps a linear predictor to a share, increasing, benchmark by benchmark."""

    def __call__(
        self, predictor: Float[Array, "*model benchmark"]
    ) -> Float[Array, "*model benchmark"]:
        """Map ``predictor (..., benchmark)`` to a share in [0, 1] of the same shape."""
        ...


@runtime_checkable
class LearntLink(Link, Protocol):
    """A link that a fit learns: its inverse is known, and raw parameters make it.

    It is a NamedTuple with the fields ``centre`` and ``spread``, ``(benchmark,)``, among others,
    and a class attribute ``ROWS``, the number of raw parameters of each benchmark.
    """

    ROWS: Any

    @classmethod
    def from_raw(cls, raw: Float[Array, "row benchmark"], prior: Prior) -> Any:
        """The link of raw parameters, standard normal a priori, before :func:`standardise`."""
        ...

    def raw(
        self, share: Float[Array, "*model benchmark"]
    ) -> tuple[Float[Array, "*model benchmark"], Float[Array, "*model benchmark"]]:
        """An increasing function of shares before standardisation, and its derivative."""
        ...

    def inverse(
        self, share: Float[Array, "*model benchmark"]
    ) -> tuple[Float[Array, "*model benchmark"], Float[Array, "*model benchmark"]]:
        """Predictor of shares, any real, and its derivative, positive."""
        ...


class Logistic(NamedTuple):
    """The logistic function, the same for every benchmark; it has no parameters."""

    def __call__(
        self, predictor: Float[Array, "*model benchmark"]
    ) -> Float[Array, "*model benchmark"]:
        """Map ``predictor (..., benchmark)`` to ``1 / (1 + exp(-predictor))``."""
        return jax.nn.sigmoid(predictor)


# The pieces of a quantile mixture: a steep start at the floor, a steep end at the ceiling, and
# smooth steps at these shares above chance. They stand closer where most scores are.
STEPS = (0.08, 0.22, 0.4, 0.6, 0.8)
_STEP_WIDTHS = tuple(0.06 + 0.1 * at for at in STEPS)
_STEP_HEIGHT = 4.0  # about the rise of the two ends between shares of 0.1 and 0.9
PIECES = 2 + len(STEPS)
_EVEN = 21  # shares that stand in for one more model, in standardising
# Weights at zero tilt: the ends, whose sum is the logit, and a little of each step.
_PIECE_WEIGHTS = (4 / 13, 4 / 13, 1 / 13, 1 / 13, 1 / 13, 1 / 13, 1 / 13)
# Scores scatter around floor and ceiling, so the logit's ends are moved this much outwards.
SLACK = 0.02
_TABLE = (-0.15, 1.05, 241)  # shares between which the inverse is looked up, and how many


class QuantileMixture(NamedTuple):
    """A link whose inverse is a weighted mean of increasing functions, per benchmark.

    The inverse takes a share ``s`` above chance to the predictor::

        h_j(s) = (H_j(s) - centre_j) / spread_j
        H_j(s) = w_1j log(s + slack_j) - w_2j log(1 + 0.02 - s) + sum_k w_kj step_k(s)

    The first two pieces make a logit whose ends do not run off to infinity where a score lies at
    chance or, by bad luck, below: beyond them ``h`` goes on as a straight line. Weight on the
    first makes a late and sharp onset; each smooth step flattens the link around one share.
    (In the spirit of warped Gaussian processes: Snelson, Rasmussen and Ghahramani 2004.)

    Attributes:
        tilt: log of each piece's weight relative to its usual one, ``(piece, benchmark)``, real;
            there are :data:`PIECES`.
        slack: how far below chance the lower end is, a fraction of the range above chance,
            ``(benchmark,)``, positive.
        centre: mean of ``H`` over scores that the link belongs to, ``(benchmark,)``, real.
        spread: its standard deviation over them, ``(benchmark,)``, positive.
    """

    tilt: Float[Array, "*draw piece benchmark"]
    slack: Float[Array, "*draw benchmark"]
    centre: Float[Array, "*draw benchmark"]
    spread: Float[Array, "*draw benchmark"]

    ROWS = PIECES + 1  # raw parameters: tilts, slack

    @classmethod
    def from_raw(cls, raw: Float[Array, "row benchmark"], prior: Prior) -> QuantileMixture:
        """The link of raw parameters; see :class:`LearntLink`."""
        tilt, slack = prior.link * raw[:-1], SLACK * jnp.exp(prior.slack * raw[-1])
        return cls(tilt, slack, jnp.zeros_like(slack), jnp.ones_like(slack))

    def raw(
        self, share: Float[Array, "*model benchmark"]
    ) -> tuple[Float[Array, "*model benchmark"], Float[Array, "*model benchmark"]]:
        """``H`` and its derivative at ``share (..., benchmark)``, of the same shape."""
        base = jnp.log(jnp.asarray(_PIECE_WEIGHTS, self.tilt.dtype))
        weight = jax.nn.softmax(base[:, None] + self.tilt, axis=0)
        lower, upper, *steps = (_to(share, one) for one in weight)
        low, low_rate = _started_log(share, _to(share, self.slack))
        high, high_rate = _started_log(1.0 - share, jnp.full_like(share, SLACK))
        value, rate = lower * low - upper * high, lower * low_rate + upper * high_rate
        # Piece by piece: one array of all pieces would be written and read ten times as long.
        for at, width, height in zip(STEPS, _STEP_WIDTHS, steps, strict=True):
            step = jax.nn.sigmoid((share - at) / width)
            value += height * _STEP_HEIGHT * step
            rate += height * (_STEP_HEIGHT / width) * step * (1.0 - step)
        return value, rate

    def inverse(
        self, share: Float[Array, "*model benchmark"]
    ) -> tuple[Float[Array, "*model benchmark"], Float[Array, "*model benchmark"]]:
        """Predictor of ``share (..., benchmark)``, any real, and its derivative, positive."""
        value, rate = self.raw(share)
        spread = _to(share, self.spread)
        return (value - _to(share, self.centre)) / spread, rate / spread

    @jax.jit  # traced once, not at each of the places where scores are asked for
    def __call__(
        self, predictor: Float[Array, "*model benchmark"]
    ) -> Float[Array, "*model benchmark"]:
        """Share of ``predictor (..., benchmark)``, which may lie a little outside [0, 1].

        Looked up in a table of the inverse, then improved by Newton's method to about single
        precision; constant beyond shares of -0.15 and 1.05.
        """
        benchmarks = predictor.shape[-1]
        grid = jnp.linspace(*_TABLE, dtype=predictor.dtype)
        table, _ = self.inverse(jnp.broadcast_to(grid[:, None], (grid.size, benchmarks)))
        flat = predictor.reshape(-1, benchmarks)
        found = jax.vmap(lambda z, h: jnp.interp(z, h, grid), (1, 1), 1)(flat, table)
        for _ in range(2):
            value, rate = self.inverse(found)
            step = grid[1] - grid[0]  # never further than the table is fine
            found -= jnp.clip((value - flat) / rate, -step, step)
        return jnp.clip(found, _TABLE[0], _TABLE[1]).reshape(predictor.shape)


def _started_log(share: Array, slack: Array) -> tuple[Array, Array]:
    """``log(share + slack)``, straight below a third of the slack, and its derivative."""
    end = 0.3 * slack
    inside = jnp.maximum(share + slack, end)
    return jnp.log(inside) + jnp.minimum(share + slack - end, 0.0) / end, 1.0 / inside


LINKS: dict[str, type[LearntLink]] = {"quantiles": QuantileMixture}
"""Name -> link that a fit can learn: ``Prior(link_function=...)``."""


def learnt_link(name: str) -> Any:
    """The class of a name in :data:`LINKS`, a :class:`LearntLink`.

    Raises:
        ValueError: if there is none.
    """
    if name not in LINKS:
        raise ValueError(f"no link {quoted(name)}{did_you_mean(name, LINKS)}: {', '.join(LINKS)}")
    return LINKS[name]


def standardise(
    link: Any,
    share: Float[Array, "model benchmark"],
    weight: Bool[Array, "model benchmark"] | Float[Array, "model benchmark"],
) -> Any:
    """The link whose inverse has mean 0 and standard deviation 1 over some scores.

    One more model counts, whose scores are spread evenly from chance to perfect: a benchmark with
    a score or two would else seem to have all others close to them.

    Args:
        link: a :class:`LearntLink` with ``centre`` 0 and ``spread`` 1.
        share: scores as shares above chance, ``(model, benchmark)``.
        weight: how much each counts, of the same shape; of bools, whether.
    """
    even = jnp.linspace(0.0, 1.0, _EVEN, dtype=share.dtype)[:, None]
    even = jnp.broadcast_to(even, (_EVEN, share.shape[1]))
    weight = jnp.concatenate([weight.astype(share.dtype), jnp.full_like(even, 1.0 / _EVEN)])
    weight = weight / jnp.sum(weight, axis=0, keepdims=True)
    value, _ = link.raw(jnp.concatenate([share, even]))
    centre = jnp.sum(weight * value, axis=0)
    square = jnp.sum(weight * (value - centre[None, :]) ** 2, axis=0)
    return link._replace(centre=centre, spread=jnp.sqrt(square))


class MonotoneNetwork(NamedTuple):
    """A 1-h-h-1 tanh network per benchmark with non-negative weights, hence increasing.

    The predictor is squashed by tanh before it enters, the output by the logistic function.

    Attributes:
        input_weight: ``(benchmark, hidden)``, positive.
        input_bias: ``(benchmark, hidden)``, real.
        hidden_weight: ``(benchmark, hidden, hidden)``, [to, from], positive.
        hidden_bias: ``(benchmark, hidden)``, real.
        output_weight: ``(benchmark, hidden)``, positive.
        output_bias: ``(benchmark,)``, real.
    """

    input_weight: Array
    input_bias: Array
    hidden_weight: Array
    hidden_bias: Array
    output_weight: Array
    output_bias: Array

    def __call__(
        self, predictor: Float[Array, "*model benchmark"]
    ) -> Float[Array, "*model benchmark"]:
        """Map ``predictor (..., benchmark)`` to a share in [0, 1] of the same shape."""
        # h1 = tanh(W1 tanh(eta) + b1);  h2 = tanh(W2 h1 + b2);  g = logistic(w3 . h2 + b3)
        # Models stand on the last axis inside: the networks are tiny and the models many, so that
        # products of (hidden, hidden) with (hidden, model) matrices run over contiguous memory.
        leading = predictor.shape[:-1]
        squashed = jnp.tanh(predictor.reshape(-1, predictor.shape[-1])).T[:, None, :]
        first = jnp.tanh(_per_unit(self.input_weight) * squashed + _per_unit(self.input_bias))
        mixed = einsum("jkh,jhm->jkm", self.hidden_weight, first)
        second = jnp.tanh(mixed + _per_unit(self.hidden_bias))
        output = einsum("jk,jkm->jm", self.output_weight, second)
        share = jax.nn.sigmoid(output + self.output_bias[:, None])
        return share.T.reshape(*leading, -1)


def of_benchmarks(link: Link, at: Array) -> Link:
    """The same link for some benchmarks only.

    Args:
        link: any of this module's, with one slice per benchmark.
        at: positions of the benchmarks, ``(benchmark,)``.
    """
    axis = 0 if isinstance(link, MonotoneNetwork) else -1
    return jax.tree.map(lambda a: jnp.take(a, at, axis=axis), link)
