"""Skills to look at: loadings, skills of models and families, and how sure one may be of each.

A fit knows its skills up to an invertible matrix (:mod:`sloth_jax.identifiability.check`). Here
every draw is brought to one form: skills with mean zero and unit variance over the scored models of
the table, rotated to simple loadings (oblique geomin, as published), the draws alike in order and
signs. Then each loading, and each skill of each model, has an interval. Sources: Maia Polo et al.,
arXiv 2412.06540, sections 3.2 and 5 (scaling, rotation, readings); Papastamoulis and Ntzoufras 2022
(alignment of draws); Tucker 1951 and Lorenzo-Seva and ten Berge 2006 (congruence).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError
from sloth_jax.forecasting.intervals import central_interval
from sloth_jax.forecasting.table_effects import family_effects, table_effects
from sloth_jax.inference.fit import Fit
from sloth_jax.law.forward import Effects, Params, skills as skills_of
from sloth_jax.products import matmul
from sloth_jax.showing import Shown
from sloth_jax.skills.alignment import align, canonical_order, whitening
from sloth_jax.skills.gradient_projection import rotate_loading
from sloth_jax.skills.rotation import rotate_draws
from sloth_jax.wording import counted

if TYPE_CHECKING:  # takes a while to load
    import xarray as xr

_SIZE_B, _TOKENS_T = 7.0, 2.0  # where families are compared: a common size, with usual tokens


@dataclass(frozen=True, eq=False, repr=False)
class Skills(Shown):
    """Skills in one form, draw by draw.

    A skill is in standard deviations over the scored models of the table, 0 their mean. A loading
    is what a standard deviation of a skill adds to a benchmark's predictor.

    Attributes:
        labels: a name for each skill; numbers until :meth:`named` gives better ones.
        loading: ``(draw, benchmark, skill)``.
        theta: skills of the table's models, ``(draw, model, skill)``.
        correlation: of skills over scored models, ``(draw, skill, skill)``.
        centre: mean over scored models of the law's own skills, ``(draw, skill)``.
        transform: from the law's own skills to these, ``(draw, skill, skill)``; see :meth:`of`.
        fit: what they are of.
        key: random key of the effects of families and models.
        agreeing: share of the rotation's random starts that found the same loadings for the mean
            of the draws; if few did, other rotations are as simple.
        settled: share of draws whose own rotation converged.
    """

    labels: tuple[str, ...]
    loading: np.ndarray
    theta: np.ndarray
    correlation: np.ndarray
    centre: np.ndarray
    transform: np.ndarray
    fit: Fit
    key: Array
    agreeing: float
    settled: float

    def _line(self) -> str:
        draws, benchmarks, _ = self.loading.shape
        return (
            f"{', '.join(self.labels)}; {counted(benchmarks, 'benchmark')}, "
            f"{counted(draws, 'draw')}; "
            f"{self.agreeing:.0%} of the rotation's starts agree"
        )

    def _rows(self) -> pd.DataFrame:
        return self.loadings()

    def to_xarray(self) -> xr.Dataset:
        """The draws as arrays with names.

        Returns:
            ``loading`` ``(draw, benchmark, skill)``, ``theta``, the skills of the table's models,
            ``(draw, model, skill)``, and ``correlation`` ``(draw, skill, other)``; units as above.
        """
        labels = list(self.labels)
        names = {"benchmark": list(self.table.benchmarks), "model": list(self.table.models)}
        import xarray as xr

        return xr.Dataset(
            {
                "loading": (("draw", "benchmark", "skill"), self.loading),
                "theta": (("draw", "model", "skill"), self.theta),
                "correlation": (("draw", "skill", "other"), self.correlation),
            },
            coords=names | {"skill": labels, "other": labels},
        )

    @property
    def table(self) -> Leaderboard:
        """The table that the law was fitted to."""
        return self.fit.table

    @property
    def has_intervals(self) -> bool:
        """False of a mode, whose skills are expectations."""
        return _has_draws(self.fit)

    def of(self, theta: np.ndarray) -> np.ndarray:
        """The law's own skills, ``(draw, model, skill)``, in this form."""
        return (np.asarray(theta, float) - self.centre[:, None]) @ self.transform

    def named(self, labels: Sequence[str]) -> Skills:
        """The same with names of your own for the skills, in the order of :attr:`labels`.

        Raises:
            InputError: if there are too many or too few, or two are the same.
        """
        if len(labels) != len(self.labels) or len(set(labels)) != len(labels):
            raise InputError(
                f"{len(labels)} names, {len(set(labels))} different ones, for {len(self.labels)} "
                "skills: give one to each"
            )
        return replace(self, labels=tuple(labels))

    def loadings(self, level: float = 0.9) -> pd.DataFrame:
        """One row per benchmark and skill: ``benchmark, skill, median, lower, upper``."""
        names = {"benchmark": self.table.benchmarks, "skill": self.labels}
        return self.summary(self.loading, names, level)

    def correlations(self, level: float = 0.9) -> pd.DataFrame:
        """One row per pair of skills: ``skill, other, median, lower, upper``."""
        rows = self.summary(self.correlation, {"skill": self.labels, "other": self.labels}, level)
        once = np.triu(np.ones((len(self.labels),) * 2, bool), 1).ravel()
        return pd.DataFrame(rows[once]).reset_index(drop=True)

    def models(self, level: float = 0.9) -> pd.DataFrame:
        """One row per model and skill: ``model, family, skill, median, lower, upper``."""
        rows = self.summary(self.theta, {"model": self.table.models, "skill": self.labels}, level)
        family = dict(zip(self.table.models, self.table.family, strict=True))
        names = [self.table.families[family[model]] for model in rows["model"]]
        rows.insert(1, "family", names)
        return rows

    def families(
        self, level: float = 0.9, *, params_b: float = _SIZE_B, tokens_t: float = _TOKENS_T
    ) -> pd.DataFrame:
        """Skills that families would have at one size and one number of tokens: their efficiency.

        Args:
            level: probability inside the intervals.
            params_b: the size, billions.
            tokens_t: the tokens, trillions.

        Returns:
            One row per family and skill: ``family, skill, median, lower, upper``.
        """
        draws = self.efficiency(params_b, tokens_t)
        return self.summary(draws, {"family": self.table.families, "skill": self.labels}, level)

    def base_to_chat(
        self, level: float = 0.9, *, params_b: float = _SIZE_B, tokens_t: float = _TOKENS_T
    ) -> pd.DataFrame:
        """What post-training changes: post-trained families less the base family of their lineage.

        Where a lineage has several base families, the one is taken whose name begins most alike.

        Args:
            level: probability inside the intervals.
            params_b: size at which families are compared, billions.
            tokens_t: tokens at which they are compared, trillions.

        Returns:
            One row per pair and skill: ``base, chat, skill, median, lower, upper``; first the mean
            over all pairs, whose ``base`` and ``chat`` are ``"all"``.

        Raises:
            InputError: if no lineage has a base and a post-trained family.
        """
        table = self.table
        chat = table.post_trained_of_family > 0.5
        lineage = table.lineage_of_family
        scored = np.isin(np.arange(len(table.families)), table.family[table.observed.any(axis=1)])
        found = []
        for family in np.flatnonzero(chat & scored):
            bases = np.flatnonzero(~chat & scored & (lineage == lineage[family]))
            alike = [_same_beginning(table.families[b], table.families[family]) for b in bases]
            if len(bases) == 1 or (len(bases) and max(alike) > 0):
                found.append((bases[int(np.argmax(alike))], family))
        pairs = np.array(found)
        if not len(pairs):
            raise InputError("no lineage has a base and a post-trained family with scores")
        at = self.efficiency(params_b, tokens_t)
        shift = at[:, pairs[:, 1]] - at[:, pairs[:, 0]]
        shift = np.concatenate([shift.mean(axis=1, keepdims=True), shift], axis=1)
        names = np.array(["all", *(f"{b}|{c}" for b, c in pairs)], dtype=object)
        rows = self.summary(shift, {"pair": tuple(names), "skill": self.labels}, level)
        where = dict(zip(names[1:], pairs, strict=True))

        def named(pair: str, column: int) -> str:
            return "all" if pair == "all" else table.families[where[pair][column]]

        rows.insert(0, "base", [named(pair, 0) for pair in rows["pair"]])
        rows.insert(1, "chat", [named(pair, 1) for pair in rows["pair"]])
        return rows.drop(columns="pair")

    def growth(
        self,
        level: float = 0.9,
        *,
        params_b: float = _SIZE_B,
        tokens_t: float = _TOKENS_T,
        times: float = 10.0,
    ) -> pd.DataFrame:
        """What ten times the parameters, or ten times the tokens, add to each skill.

        Args:
            level: probability inside the intervals.
            params_b: size from which it grows, billions.
            tokens_t: tokens from which they grow, trillions.
            times: how many times.

        Returns:
            One row per skill and kind of growth: ``more, skill, median, lower, upper``, the first
            being ``params`` or ``tokens``. The product of the two makes it depend on the start.
        """
        sizes = np.array([params_b, params_b * times, params_b])
        tokens = np.array([tokens_t, tokens_t, tokens_t * times])
        start, larger, longer = np.moveaxis(self._shared(sizes, tokens), 1, 0)
        change = np.stack([larger - start, longer - start], axis=1)
        return self.summary(change, {"more": ("params", "tokens"), "skill": self.labels}, level)

    def level_curves(
        self, params_b: np.ndarray, tokens_t: np.ndarray, level: float = 0.9
    ) -> pd.DataFrame:
        """Skills of the average family over a grid of sizes and tokens.

        Args:
            params_b: sizes, billions, ``(size,)``.
            tokens_t: tokens, trillions, ``(token,)``.
            level: probability inside the intervals.

        Returns:
            One row per size, number of tokens and skill: ``params_b, tokens_t, skill, median,
            lower, upper``, sizes changing slowest.
        """
        size, token = np.meshgrid(params_b, tokens_t, indexing="ij")
        draws = self._shared(size.ravel(), token.ravel())
        points = tuple(range(size.size))
        rows = self.summary(draws, {"point": points, "skill": self.labels}, level)
        rows.insert(0, "params_b", size.ravel()[rows["point"].to_numpy()])
        rows.insert(1, "tokens_t", token.ravel()[rows["point"].to_numpy()])
        return rows.drop(columns="point")

    def gain(self, params_b: float = _SIZE_B, tokens_t: float = _TOKENS_T) -> np.ndarray:
        """What ten times the compute, parameters and tokens growing alike, adds: ``(draw, skill)``.

        Args:
            params_b: size from which the average family grows, billions.
            tokens_t: its tokens there, trillions.
        """
        more = np.array([1.0, np.sqrt(10.0)])
        at = self._shared(params_b * more, tokens_t * more)
        return at[:, 1] - at[:, 0]

    def efficiency(self, params_b: float = _SIZE_B, tokens_t: float = _TOKENS_T) -> np.ndarray:
        """Skills of every family at one size and number of tokens, ``(draw, family, skill)``."""
        return _efficiency(self, params_b, tokens_t)

    def _shared(self, params_b: np.ndarray, tokens_t: np.ndarray) -> np.ndarray:
        """Skills of the average family at points, ``(draw, point, skill)``."""
        share = float(self.table.post_trained_of_family.mean())
        x = np.asarray(self.fit.surface.design(params_b, tokens_t, share), float)
        return self.of(x[None] @ np.asarray(self.fit.law.params.slope, float))

    def summary(
        self, draws: np.ndarray, names: Mapping[str, Sequence], level: float
    ) -> pd.DataFrame:
        """Median and central interval of ``(draw, first, second)``, a row per pair of names."""
        lower, upper = central_interval(draws, level)
        if not self.has_intervals:
            lower, upper = np.full_like(lower, np.nan), np.full_like(upper, np.nan)
        index = pd.MultiIndex.from_product(list(names.values()), names=list(names))
        columns = {"median": np.median(draws, axis=0), "lower": lower, "upper": upper}
        flat = {name: values.ravel() for name, values in columns.items()}
        return pd.DataFrame(flat, index=index).reset_index()


@lru_cache(maxsize=1)  # several tables ask for the same
def _efficiency(skills: Skills, params_b: float, tokens_t: float) -> np.ndarray:
    shift = skills.table.post_trained_of_family
    size, token = np.full(len(shift), params_b), np.full(len(shift), tokens_t)
    x = skills.fit.surface.design(size, token, shift)
    effects = family_effects(skills.fit, params_b, key=_effects_key(skills.fit, skills.key))
    return skills.of(np.asarray(_own_skills(skills.fit.law.params, x, effects)))


def _same_beginning(one: str, other: str) -> int:
    """How many letters two names have in common from the left."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def interpret_skills(
    fit: Fit, *, key: Array, criterion: str = "geomin", oblique: bool = True
) -> Skills:
    """Bring the skills of a fit to one form that can be looked at.

    Each draw's skills are centred and whitened over the scored models; the mean of the draws'
    loadings is rotated from many starts; every draw is rotated from where that ended, and then
    matched with it in order and signs. No prediction changes.

    Args:
        fit: from :func:`sloth_jax.fit`. What sets families and models apart is drawn with each
            draw of the law; of a mode it is at its expectation.
        key: random key of these draws and of the rotation's starts.
        criterion: one of :data:`sloth_jax.skills.gradient_projection.CRITERIA`.
        oblique: whether skills may correlate.

    Returns:
        :class:`Skills`.

    Raises:
        InputError: if a draw has skills that do not differ between models, or there are more than 7
            of them.
    """
    effects_key, key = jax.random.split(key)
    effects = table_effects(fit, key=_effects_key(fit, effects_key)).skill
    own = _own_skills(fit.law.params, fit.observations.design, effects)
    scored = jnp.asarray(fit.table.observed.any(axis=1))
    transform = jax.vmap(whitening, (0, None))(own, scored)
    loading = rotate_loading(fit.law.params.loading, transform)
    if not bool(jnp.isfinite(loading).all()):
        raise InputError("skills do not differ between models in all draws: ask for fewer skills")

    def turn(more: Array) -> None:
        nonlocal transform, loading
        transform, loading = matmul(transform, more), rotate_loading(loading, more)

    turn(jnp.asarray(_procrustes(np.asarray(loading, float)), loading.dtype))
    best, near = rotate_draws(loading, key, criterion, oblique)
    turn(near.transform)
    turn(align(loading, matmul(best.loading, canonical_order(best.loading))))
    skills = Skills(
        labels=tuple(f"skill {k + 1}" for k in range(loading.shape[2])),
        loading=np.asarray(loading, float),
        theta=np.empty(0),
        correlation=np.empty(0),
        centre=np.asarray(own, float)[:, np.asarray(scored)].mean(axis=1),
        transform=np.asarray(transform, float),
        fit=fit,
        key=effects_key,
        agreeing=float(best.agreeing),
        settled=float(jnp.mean(near.converged)),
    )
    theta = skills.of(np.asarray(own))
    among = theta[:, np.asarray(scored)]
    correlation = np.einsum("dmi,dmj->dij", among, among) / among.shape[1]
    return replace(skills, theta=theta, correlation=correlation)


def _has_draws(fit: Fit) -> bool:
    return fit.settings.inference != "mode"


def _effects_key(fit: Fit, key: Array) -> Array | None:
    return key if _has_draws(fit) else None


@jax.jit
def _own_skills(params: Params, design: Array, effects: Array) -> Array:
    """The law's own skills of each draw, ``(draw, model, skill)``, as are ``effects``."""
    return jax.vmap(lambda one, e: skills_of(one, design, Effects(e)))(params, effects)


def _procrustes(loadings: np.ndarray, rounds: int = 3) -> np.ndarray:
    """Orthogonal turns that bring draws together, ``(draw, skill, skill)`` (Schoenemann 1966)."""
    target = loadings[0]
    turns = np.eye(loadings.shape[2])[None]
    for _ in range(rounds):
        left, _, right = np.linalg.svd(np.swapaxes(loadings, 1, 2) @ target)
        turns = left @ right
        target = (loadings @ turns).mean(axis=0)
    return turns
