"""One table of constraints: which parameters of the law are not free real numbers.

Optimisers work on unconstrained arrays. :func:`constrain` maps them to parameters of the law and
:func:`unconstrain` back, field by field, with NumPyro's bijections, the same that its samplers
apply to a distribution with that support. Fields that are not listed are real and pass unchanged.
"""

from __future__ import annotations

from typing import Any

import numpyro.distributions as dist
from numpyro.distributions import constraints

from sloth_jax.law import Params
from sloth_jax.links import MonotoneNetwork

CONSTRAINTS: dict[tuple[type, str], constraints.Constraint] = {
    (Params, "floor"): constraints.unit_interval,
    (MonotoneNetwork, "input_weight"): constraints.positive,
    (MonotoneNetwork, "hidden_weight"): constraints.positive,
    (MonotoneNetwork, "output_weight"): constraints.positive,
}


def _walk(node: Any, inverse: bool) -> Any:
    if not hasattr(node, "_fields"):
        return node
    moved = {}
    for field in node._fields:
        value = getattr(node, field)
        constraint = CONSTRAINTS.get((type(node), field))
        if constraint is None or value is None:
            moved[field] = _walk(value, inverse)
        else:
            transform = dist.biject_to(constraint)
            moved[field] = transform.inv(value) if inverse else transform(value)
    return type(node)(**moved)


def constrain(unconstrained: Any) -> Any:
    """Parameters of the law from unconstrained arrays of the same tree and shapes."""
    return _walk(unconstrained, inverse=False)


def unconstrain(params: Any) -> Any:
    """Unconstrained arrays from parameters of the law; inverse of :func:`constrain`."""
    return _walk(params, inverse=True)
