"""Settings that are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from quick_fits import QUICK

from sloth_jax import NutsSettings, Prior


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"inference": "laplce"}, "no inference 'laplce'; did you mean 'laplace'"),
        ({"surface": "plane"}, "no surface 'plane'"),
        ({"size": "both"}, "no size 'both'"),
        ({"skills": 0}, "skills 0 is not a positive whole number"),
        ({"draws": 2.5}, "draws 2.5 is not a positive whole number"),
        ({"prior": Prior(noise=0.0)}, "prior.noise 0.0 is not a positive number"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        replace(QUICK, **changes)


def test_chains_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="chains 0 is not a positive whole number"):
        NutsSettings(chains=0)
    with pytest.raises(ValueError, match=r"target_accept 1.0 is not between 0 and 1"):
        NutsSettings(target_accept=1.0)
