"""What is fitted and how: plain Python, so that a command line loads no JAX for its defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any

from sloth_jax.errors import InputError
from sloth_jax.law.options import AVERAGED, SIZES, SURFACES, Prior
from sloth_jax.wording import did_you_mean, one_line, quoted

INFERENCES = ("laplace", "nuts", "svi", "mode")


def _check_whole(settings: Any, names: Iterable[str]) -> None:
    """Refuse what is no positive whole number; NumPy's become Python's, which files can hold."""
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise InputError(f"{name} {_shown(value)} is not a positive whole number")
        object.__setattr__(settings, name, int(value))


def _shown(value: Any) -> str:
    """A value in a message, in one short line."""
    shown = one_line(repr(value))
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


@dataclass(frozen=True)
class NutsSettings:
    """How chains move.

    Attributes:
        chains: number of chains.
        warmup: draws per chain spent on adaptation.
        draws: draws per chain kept.
        max_tree_depth: longest trajectory is ``2 ** max_tree_depth - 1`` leapfrog steps.
        target_accept: acceptance probability that the step size is tuned to.
    """

    chains: int = 4
    warmup: int = 200
    draws: int = 400
    max_tree_depth: int = 6
    target_accept: float = 0.8

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: naming the setting that cannot be.
        """
        _check_whole(self, ("chains", "warmup", "draws", "max_tree_depth"))
        accept = self.target_accept
        if isinstance(accept, bool | str) or not isinstance(accept, Real) or not 0.0 < accept < 1.0:
            raise InputError(f"target_accept {_shown(accept)} is not a number between 0 and 1")
        object.__setattr__(self, "target_accept", float(accept))


@dataclass(frozen=True)
class FitSettings:
    """What is fitted and how.

    Attributes:
        inference: one of :data:`INFERENCES`.
        skills: number of skills; fewer where a table has fewer benchmarks.
        surface: one of :data:`sloth_jax.law.options.SURFACES`. ``averaged`` weighs the smooth and
            the translog surface by how well each predicts lineages that it leaves out; NUTS and
            the mode take the smooth one.
        size: what counts as the size of a mixture of experts, one of
            :data:`sloth_jax.law.options.SIZES`.
        draws: of an approximation.
        starts: of the search for the mode.
        steps: of each.
        nuts: how chains move.
        prior: what is believed before any score is seen.
    """

    inference: str = "laplace"
    skills: int = 3
    surface: str = "smooth"
    size: str = "active"
    draws: int = 1000
    starts: int = 1
    steps: int = 400
    nuts: NutsSettings = NutsSettings()
    prior: Prior = Prior()

    @property
    def averages(self) -> bool:
        """Whether draws of several surfaces are weighed."""
        return self.surface == "averaged" and self.inference in ("laplace", "svi")

    @property
    def kind(self) -> str:
        """The surface whose columns the design has; it contains those that are averaged."""
        return AVERAGED[0] if self.surface == "averaged" else self.surface

    def __post_init__(self) -> None:
        """Check names and numbers.

        Raises:
            InputError: naming the setting that cannot be.
        """
        for name, kind in (("nuts", NutsSettings), ("prior", Prior)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                example = next(field.name for field in fields(kind))
                raise InputError(
                    f"{name} {_shown(value)} is no {kind.__name__}: give sj.{kind.__name__}"
                    f"({example}=...)"
                )
        known = {"inference": INFERENCES, "surface": SURFACES, "size": SIZES}
        for name, choices in known.items():
            value = getattr(self, name)
            if value not in choices:
                hint = did_you_mean(str(value), choices)
                raise InputError(f"no {name} {_shown(value)}{hint}: {', '.join(choices)}")
        _check_whole(self, ("skills", "draws", "starts", "steps"))


def changed(settings: FitSettings | None, changes: Mapping[str, Any]) -> FitSettings:
    """Settings, those that are given by name taking the place of others.

    Args:
        settings: None for the defaults.
        changes: field -> value.

    Raises:
        InputError: if there is no such setting, or it cannot be that.
    """
    settings = FitSettings() if settings is None else settings
    if not isinstance(settings, FitSettings):
        raise InputError(
            f"settings {_shown(settings)} are no FitSettings: give sj.FitSettings(skills=...)"
        )
    names = [field.name for field in fields(FitSettings)]
    for name in changes:
        if name not in names:
            hint = did_you_mean(name, names)
            raise InputError(f"no setting {quoted(name)}{hint}: {', '.join(names)}")
    return replace(settings, **changes)
