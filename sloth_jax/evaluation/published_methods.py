"""The 28 published methods by name."""

from __future__ import annotations

from sloth_jax.evaluation.baselines import MAX_SKILLS, Baseline
from sloth_jax.evaluation.crossval import Method
from sloth_jax.evaluation.principal_components import PrincipalComponents


def published_methods(n_train: int) -> dict[str, Method]:
    """The 28 published methods by name, in the published order.

    Args:
        n_train: training models per tested family; with two or more, methods on FLOPs have slopes
            per family.
    """
    slopes = n_train >= 2
    links = {"sigmoid": "logistic", "trainlink": "network"}
    methods: dict[str, Method] = {}
    for short, columns in (("logF", "flops"), ("logSlogT", "size_tokens")):
        for suffix, own in (("", False), ("_faminter", True)):
            for name, link in links.items():
                methods[f"{short}_{name}{suffix}"] = Baseline(
                    columns, None, link, own, slopes and columns == "flops"
                )
    dimensions = range(1, MAX_SKILLS + 1)
    for d in dimensions:
        methods[f"pca_d={d}"] = PrincipalComponents(d, slopes)
    for suffix, own in (("", False), ("_faminter", True)):
        for name, link in links.items():
            for d in dimensions:
                methods[f"factor_{name}{suffix}_d={d}"] = Baseline("size_tokens", d, link, own)
    return methods
