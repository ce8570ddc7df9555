"""The design matrix, ``[covariates | a column per family]``: its rank, what families never vary."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.identifiability.report import Finding
from sloth_jax.law.surface import LINEAR, fit_surface

TINY = 1e-6  # singular values of float32 covariates below this share of the largest are zero
_POOR = 30.0  # condition number from which estimates suffer (Belsley, Kuh and Welsch 1980)


class Design(NamedTuple):
    """The design of a table.

    Attributes:
        names: of the covariates.
        within: covariates less their mean over the family, ``(model, covariate)``.
        spread: standard deviation of each covariate, 1 where it is constant, ``(covariate,)``.
        columns: number of covariates and families.
        rank: of the design matrix.
        condition_number: of the design matrix, its columns of length 1.
        within_values: singular values of ``within`` in units of ``spread``, ``(covariate,)``.
    """

    names: tuple[str, ...]
    within: np.ndarray
    spread: np.ndarray
    columns: int
    rank: int
    condition_number: float
    within_values: np.ndarray


def covariates(table: Leaderboard, kind: str) -> np.ndarray:
    """The linear columns of a surface, double precision, ``(model, covariate)``."""
    return np.asarray(fit_surface(table, kind=kind).linear(table), float)


def column_lengths(matrix: np.ndarray) -> np.ndarray:
    """Euclidean length of each column, 1 where it is zero."""
    length = np.sqrt((matrix**2).sum(axis=0))
    return np.where(length > 0, length, 1.0)


class FamilyColumns(NamedTuple):
    """A column for each family, of length 1: orthogonal, so that no matrix of them is needed.

    Attributes:
        family: of each row, ``(row,)``.
        order: rows sorted by family, ``(row,)``.
        first: where each family begins among those, ``(family,)``.
        scale: entries of its column, ``(family,)``.
    """

    family: np.ndarray
    order: np.ndarray
    first: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, table: Leaderboard) -> FamilyColumns:
        """Those of a table each family of which has a model."""
        count = np.bincount(table.family)
        order = np.argsort(table.family, kind="stable")
        return cls(table.family, order, np.cumsum(count) - count, count**-0.5)

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """Products of the columns with rows ``(row, number)``: ``(family, number)``."""
        return np.add.reduceat(rows[self.order], self.first) * self.scale[:, None]

    def spread(self, sums: np.ndarray) -> np.ndarray:
        """The sum of the columns, each times its ``(family, number)``: ``(row, number)``."""
        return (sums * self.scale[:, None])[self.family]


def _singular_values(x: np.ndarray, families: FamilyColumns) -> np.ndarray:
    """Singular values of ``[x | a column per family]``, columns of length 1, the largest first.

    In a basis of the families' columns that begins with the part of ``x`` between families all
    others are columns by themselves, whose singular value is 1.
    """
    between = families.sums(x)
    inside = np.linalg.qr(x - families.spread(between), mode="r")
    between = np.linalg.qr(between, mode="r")
    joined = np.block(
        [[between, np.eye(len(between))], [inside, np.zeros((len(inside), len(between)))]]
    )
    found = np.linalg.svd(joined, compute_uv=False)
    found = np.append(found, np.ones(len(families.first) - len(between)))
    return np.sort(found)[::-1][: len(x)]


def design_of(table: Leaderboard, kind: str) -> Design:
    """The design of a table under a kind of surface."""
    x, names = covariates(table, kind), LINEAR[kind]
    families = FamilyColumns.of(table)
    within = x - families.spread(families.sums(x))
    spread = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    values = _singular_values(x / column_lengths(x), families)
    within_values = np.linalg.svd(within / spread, compute_uv=False)
    within_values = np.pad(within_values, (0, len(names) - len(within_values)))
    return Design(
        names=names,
        within=within,
        spread=spread,
        columns=len(names) + len(table.families),
        rank=int((within_values > TINY * len(x) ** 0.5).sum()) + len(table.families),
        condition_number=float(values[0] / max(values[-1], 1e-300)),
        within_values=within_values,
    )


def undetermined_slopes(design: Design) -> list[Finding]:
    """What no family varies, by name."""
    names, within = design.names, design.within / design.spread
    if len(within) > len(names):
        within = np.linalg.qr(within, mode="r")  # the same but for a rotation of rows
    _, values, rows = np.linalg.svd(within)
    values = np.pad(values, (0, len(names) - len(values)))
    null = rows[values <= TINY * len(design.within) ** 0.5]
    if len(null) == len(names):
        text = (
            "no family has two models of different size or tokens: families take all "
            "differences, and no slope is identified"
        )
        return [Finding("fails", "no_variation", text, names)]
    found = []
    for direction in _reduced(null):
        parts = np.flatnonzero(np.abs(direction) > 1e-4)
        if len(parts) == 1:
            name = names[parts[0]]
            varied = name.removeprefix("log_").replace("_x_log_", " x ")
            text = (
                f"{name} is a combination of the family columns: no family varies its {varied}, "
                "so its slope is not identified"
            )
        else:
            sum_ = " ".join(f"{direction[k]:+.2f} {names[k]}" for k in parts)
            text = (
                f"{sum_} is the same for all models of a family, in every family: these slopes "
                "are not identified one by one"
            )
        found.append(Finding("fails", "confounded", text, tuple(names[k] for k in parts)))
    return found


def _reduced(null: np.ndarray) -> np.ndarray:
    """Row echelon form of a basis, so that each direction involves as few covariates as can be."""
    null = null.copy()
    row = 0
    for column in range(null.shape[1]):
        if row == len(null):
            break
        pivot = row + int(np.argmax(np.abs(null[row:, column])))
        if abs(null[pivot, column]) < 1e-8:
            continue
        null[[row, pivot]] = null[[pivot, row]]
        null[row] /= null[row, column]
        for other in range(len(null)):
            if other != row:
                null[other] -= null[other, column] * null[row]
        row += 1
    return null


def silent_families(table: Leaderboard, design: Design) -> list[Finding]:
    """Families that tell nothing about slopes."""
    varies = np.abs(design.within).max(axis=1) > TINY
    silent = [name for f, name in enumerate(table.families) if not varies[table.family == f].any()]
    if not silent or len(silent) == len(table.families):
        return []
    text = (
        f"{len(silent)} of {len(table.families)} families have no two models that differ in size "
        "or tokens and tell nothing about slopes"
    )
    return [Finding("note", "silent_families", text, tuple(silent))]


def collinearity(design: Design) -> list[Finding]:
    """Whether covariates nearly move together inside families."""
    values = design.within_values
    weak = float(values.max() / max(values.min(), 1e-300))
    if weak <= _POOR:
        return []
    text = (
        f"covariates nearly move together inside families (condition number {weak:.0f}): their "
        "slopes have wide intervals"
    )
    return [Finding("weak", "collinear", text, design.names)]


def too_few_rows(design: Design) -> list[Finding]:
    """Whether there are fewer models than columns."""
    models = len(design.within)
    if models >= design.columns:
        return []
    text = (
        f"{models} models for {design.columns} columns of covariates and families: measure more "
        "models per family"
    )
    return [Finding("fails", "too_few_rows", text)]
