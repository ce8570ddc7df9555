"""What may be chosen of the law: priors, surfaces, what counts as size.

Plain Python, so that a command line can name the choices without loading JAX.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf
from numbers import Real

from sloth_jax.errors import InputError
from sloth_jax.wording import did_you_mean, one_line, quoted

SURFACES = ["smooth", "translog", "additive", "flops", "averaged"]
AVERAGED = ("smooth", "translog")  # the surfaces that "averaged" weighs
SIZES = ("active", "total")
FLOPS_UNIT = 6e21  # FLOPs to train a billion active parameters on a trillion tokens: 6 s t


@dataclass(frozen=True)
class Prior:
    """How far each part of the law may go, before any score is seen.

    The predictor's unit is one standard deviation of a benchmark's scores after the inverse link;
    a skill's unit is what moves a predictor by about one. Spreads and noise are learnt: their
    priors are log-normal around the medians given here, with log standard deviation ``level`` for
    all benchmarks together and ``between`` for each on its own.

    Attributes:
        slope: of columns on skills, in skill units.
        specific_slope: of columns on single benchmarks, in predictor units; a tenth, since most of
            what size and tokens do they do to several benchmarks.
        loading: predictor units per skill unit.
        bias: predictor of an average model, which is 0 by standardisation, give or take a unit.
        post_training: shift of post-trained models in skills.
        specific_post_training: the same on single benchmarks.
        lineage: median spread of lineages in skills, in skill units.
        family: of families within a lineage.
        lineage_walk: of lineages' growth with size, per standard deviation of log size.
        family_walk: of families'.
        model: of models around their family.
        specific_lineage: the same five on single benchmarks, in predictor units; a model's own
            departure on a single benchmark is noise.
        specific_family: see ``specific_lineage``.
        specific_lineage_walk: see ``specific_lineage``.
        specific_family_walk: see ``specific_lineage``.
        noise: median scale of the noise, in predictor units.
        run_length: median length of the process along a training run, in log tokens.
        run_share: median share of the noise's variance that follows the run, which is uniform a
            priori where this is a half; the rest is new at each checkpoint.
        offset: median spread of sources' offsets, in predictor units; a tenth of the spread of
            models, for sources that mean to measure the same.
        link: tilt of a piece's weight in the link; e-fold changes are plausible.
        slack: log standard deviation of the link's slack.
        level: log standard deviation of a kind of spread, all benchmarks together.
        between: of a benchmark's spread around that.
        group_correlation: between benchmarks of one group, of all that is believed of each on its
            own: loadings, slopes, bias, link, spreads, noise; in [0, 1), 0 for strangers.
        link_from_scores: whether a link's inverse is standardised to the observed scores, as the
            units above assume. False takes evenly spread shares instead, so that the prior is a
            distribution of scores that can be drawn from.
        link_function: a name in :data:`sloth_jax.law.links.LINKS`.
    """

    slope: float = 1.0
    specific_slope: float = 0.1
    loading: float = 1.0
    bias: float = 1.0
    post_training: float = 1.0
    specific_post_training: float = 0.3
    lineage: float = 0.7
    family: float = 0.7
    lineage_walk: float = 0.3
    family_walk: float = 0.3
    model: float = 0.2
    specific_lineage: float = 0.3
    specific_family: float = 0.3
    specific_lineage_walk: float = 0.15
    specific_family_walk: float = 0.15
    noise: float = 0.15
    run_length: float = 2.0
    run_share: float = 0.5
    offset: float = 0.1
    link: float = 1.0
    slack: float = 0.7
    level: float = 0.7
    between: float = 0.4
    group_correlation: float = 0.5
    link_from_scores: bool = True
    link_function: str = "quantiles"

    def __post_init__(self) -> None:
        """Check the scales and the name.

        Raises:
            InputError: naming what cannot be.
        """
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if name == "link_function":
                _check_link(value)
            elif name == "link_from_scores":
                if not isinstance(value, bool):
                    raise InputError(f"prior.{name} {one_line(repr(value))} is not True or False")
            elif isinstance(value, bool) or not isinstance(value, Real):
                raise InputError(f"prior.{name} {one_line(repr(value))} is not a positive number")
            elif name == "group_correlation":
                if not 0.0 <= float(value) < 1.0:
                    raise InputError(f"prior.{name} {float(value)} is not in [0, 1)")
                object.__setattr__(self, name, float(value))
            elif not 0.0 < float(value) < inf:
                raise InputError(f"prior.{name} {float(value)} is not a positive number")
            elif name == "run_share" and float(value) >= 1.0:
                raise InputError(f"prior.{name} {float(value)} is not below 1")
            else:  # of NumPy's numbers, those that files can hold
                object.__setattr__(self, name, float(value))


def _check_link(name: object) -> None:
    if name == "quantiles":
        return  # the default needs no look at the links, which would load JAX
    from sloth_jax.law.links import LINKS

    if name not in LINKS:
        hint = did_you_mean(str(name), LINKS)
        raise InputError(f"no link {quoted(str(name))}{hint}: {', '.join(LINKS)}")
