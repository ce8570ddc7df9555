"""Settings that are refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from quick_fits import QUICK

from sloth_jax import FitSettings, InputError, NutsSettings, Prior
from sloth_jax.inference.settings import changed


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"inference": "laplce"}, "no inference 'laplce'; did you mean 'laplace'"),
        ({"surface": "plane"}, "no surface 'plane'"),
        ({"size": "both"}, "no size 'both'"),
        ({"skills": 0}, "skills 0 is not a positive whole number"),
        ({"draws": 2.5}, "draws 2.5 is not a positive whole number"),
        ({"draws": True}, "draws True is not a positive whole number"),
        ({"steps": "400"}, "steps '400' is not a positive whole number"),
        ({"surface": ["smooth"]}, r"no surface \['smooth'\]"),
        ({"nuts": {"chains": 2}}, r"nuts {'chains': 2} is no NutsSettings: give sj.NutsSettings\("),
        ({"prior": {"noise": 1.0}}, r"prior {'noise': 1.0} is no Prior: give sj.Prior\("),
        ({"prior": None}, "prior None is no Prior"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, says):
    with pytest.raises(InputError, match=says):
        replace(QUICK, **changes)
    with pytest.raises(InputError, match=says):
        changed(QUICK, changes)


@pytest.mark.parametrize(
    ("scales", "says"),
    [
        ({"noise": 0.0}, "prior.noise 0.0 is not a positive number"),
        ({"loading": -1.0}, "prior.loading -1.0 is not a positive number"),
        ({"lineage": float("nan")}, "prior.lineage nan is not"),
        ({"family": float("inf")}, "prior.family inf is not"),
        ({"slope": "1"}, "prior.slope '1' is not"),
        ({"bias": True}, "prior.bias True is not"),
        ({"link_from_scores": 0}, "prior.link_from_scores 0 is not True or False"),
        ({"link_function": "quantile"}, "no link 'quantile'; did you mean 'quantiles'"),
    ],
)
def test_priors_that_cannot_be_are_refused_where_they_are_made(scales, says):
    with pytest.raises(InputError, match=says):
        Prior(**scales)


def test_a_fit_knows_its_settings_by_name():
    with pytest.raises(InputError, match="no setting 'skils'; did you mean 'skills'"):
        changed(None, {"skils": 2})
    with pytest.raises(InputError, match=r"settings {'skills': 2} are no FitSettings"):
        changed({"skills": 2}, {})  # pyright: ignore[reportArgumentType]
    assert changed(None, {"skills": 2}) == FitSettings(skills=2)


def test_numbers_of_numpy_become_those_of_python():
    made = FitSettings(skills=np.int64(2), prior=Prior(noise=np.float32(0.5)))
    assert made == FitSettings(skills=2, prior=Prior(noise=0.5))
    assert json.loads(json.dumps(asdict(made)))["skills"] == 2


def test_chains_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="chains 0 is not a positive whole number"):
        NutsSettings(chains=0)
    with pytest.raises(InputError, match=r"draws '400' is not a positive whole number"):
        NutsSettings(draws="400")  # pyright: ignore[reportArgumentType]
    for accept in (1.0, "0.8", None, float("nan")):
        with pytest.raises(InputError, match=r"target_accept .* is not a number between 0 and 1"):
            NutsSettings(target_accept=accept)
