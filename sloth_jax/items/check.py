"""What an item bank determines, and how many models an item of it needs."""

from __future__ import annotations

import numpy as np

from sloth_jax.errors import InputError
from sloth_jax.identifiability.response_check import ResponseReport, check_responses
from sloth_jax.items.bank import ItemBank
from sloth_jax.items.response_law import fit_responses


def check_bank(bank: ItemBank, *, skills: int = 1, seed: int = 0) -> ResponseReport:
    """Test what a bank determines of its models' abilities and of its items.

    Args:
        bank: answers.
        skills: of the law.
        seed: as of :func:`sloth_jax.identifiability.response_check.check_responses`.

    Raises:
        InputError: fewer than one skill.
    """
    return check_responses(
        bank.models,
        bank.successes,
        bank.tries,
        skills=skills,
        models_per_item=_models_per_item(bank, skills) if skills > 0 else None,
        notes=bank.warnings,
        seed=seed,
    )


def _models_per_item(bank: ItemBank, skills: int) -> float | None:
    """Answers at which data and prior say equally much of an item's slope."""
    try:
        law = fit_responses(bank, skills=skills)
    except InputError:
        return None
    prior = np.linalg.inv(np.asarray(law.priors.item_covariance))
    told = np.linalg.inv(np.asarray(law.items.covariance)) - prior[None]
    each = np.einsum("ikk->k", told)[:skills] / max(int((bank.tries > 0).sum()), 1)
    return float((np.diag(prior)[:skills] / np.maximum(each, 1e-12)).max())
