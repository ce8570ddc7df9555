"""Measured attempts of models that are held out: a few are seen, pass@k of all is predicted.

Every model is left out in turn, all its runs at once; runs of other models under the same setting,
with all their tries, are what the law learns from. A few attempts at each problem of each of its
runs are then drawn, without replacement; from them pass@k as all tries measure it is predicted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from _runner import drawing

import sloth_jax as sj
from sloth_jax.cli.console import tell
from sloth_jax.evaluation.held_out import mean_and_error
from sloth_jax.plotting.figure_style import BLUE, GREY, INK, ORANGE
from sloth_jax.repeats.attempt_forecast import AttemptForecast, forecast_alone, forecast_attempts
from sloth_jax.repeats.attempt_law import AttemptFit, fit_attempts
from sloth_jax.repeats.attempts import Attempts, chance_at_k, coverage
from sloth_jax.repeats.counts import Runs, read_counts

LEVEL = 0.9
SETTING = ("task", "temperature")
METHODS = {"law": BLUE, "beta-binomial": ORANGE, "plug-in": GREY}
DEVELOPMENT = 5  # predictions for every fifth model were looked at when the law was chosen


def read_runs(path: Path, *, tries: int, smoke: bool) -> list[Runs]:
    """Runs with so many tries at every problem, by setting; the rest is left out.

    Raises:
        InputError: if no setting has four models of them.
    """
    found = []
    for part in read_counts(path, by=SETTING):
        kept = (part.attempts.tries == tries).all(axis=1)
        models = tuple(model for model, keep in zip(part.model, kept, strict=True) if keep)
        if len(set(models)) >= 4:
            found.append(Runs(part.setting, part.attempts.select(kept), models))
    if not found:
        raise sj.InputError(
            f"{path}: no setting with four models that have {tries} tries at every item: name "
            "another number with --tries"
        )
    return found[:1] if smoke else found


def hold_out(
    parts: list[Runs], *, seed: int, seen: int, skills: int, smoke: bool
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Predictions of every run of every model, and what the summary says of the fits."""
    rows, fits, worst = [], 0, np.inf
    models = sorted({model for part in parts for model in part.model})
    development = set(models[::DEVELOPMENT])
    converged = 0
    for at, part in enumerate(parts):
        named = ", ".join(f"{name} {value}" for name, value in part.setting.items())
        own = sorted(set(part.model))
        for model in own[:2] if smoke else own:
            out = np.array([other == model for other in part.model])
            fit = fit_attempts(without(part.attempts, out), skills=skills)
            fits, converged = fits + 1, converged + fit.converged
            for run in np.flatnonzero(out):
                key = jax.random.fold_in(jax.random.key(seed), 1000 * at + int(run))
                about = {
                    "setting": named,
                    "model": model,
                    "run": part.attempts.models[run],
                    "development": model in development,
                }
                for row in predict(fit, part.attempts, int(run), seen, key):
                    worst = min(worst, row.pop("effective"))
                    rows.append(about | row)
        tell(f"{named}: {len(part.model)} runs of {len(own)} models")
    record = {"fits": fits, "converged": converged, "least_effective": round(float(worst), 1)}
    return pd.DataFrame(rows), record


def without(attempts: Attempts, out: np.ndarray) -> Attempts:
    """Attempts without those of some runs, whose rows stay, empty: all fits have one shape."""
    kept = ~out[:, None]
    return Attempts(
        attempts.models, attempts.problems, attempts.successes * kept, attempts.tries * kept
    )


def predict(
    fit: AttemptFit, attempts: Attempts, run: int, seen: int, key: jax.Array
) -> Iterator[dict[str, Any]]:
    """Every method's pass@k of one run, from so many of its attempts at each problem."""
    successes, total = attempts.successes[run], int(attempts.tries[run, 0])
    k = np.arange(1, total + 1)
    truth = coverage(attempts.select(np.arange(len(attempts.models)) == run), k)[0]
    thin_key, law_key, alone_key, future_key = jax.random.split(key, 4)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(thin_key), np.uint32))
    few = rng.hypergeometric(successes, total - successes, seen)
    tries = np.full(few.size, seen)
    plain = chance_at_k(few / seen, k).mean(axis=1)
    forecasts: dict[str, AttemptForecast | None] = {
        "law": forecast_attempts(fit, few, tries, key=law_key),
        "beta-binomial": forecast_alone(few, tries, key=alone_key),
        "plug-in": None,
    }
    for method, forecast in forecasts.items():
        lower, median, upper = np.full(k.size, np.nan), plain, np.full(k.size, np.nan)
        if forecast is not None:
            draws = forecast.measured(k, total, key=future_key)
            ends = [0.5 - LEVEL / 2, 0.5, 0.5 + LEVEL / 2]
            lower, median, upper = np.quantile(draws, ends, axis=0)
        for at, attempt in enumerate(k):
            yield {
                "method": method,
                "k": int(attempt),
                "truth": truth[at],
                "lower": lower[at],
                "median": median[at],
                "upper": upper[at],
                "effective": np.inf if forecast is None else forecast.effective,
            }


def score(rows: pd.DataFrame) -> pd.DataFrame:
    """Errors, coverage and width by method and k, with standard errors over models.

    Returns:
        A row per ``tested`` (all models, those not looked at in development, each setting),
        ``method`` and ``k``; coverage and width are NaN of a method without intervals.
    """
    tests = {"all": rows, "not in development": rows[~rows["development"]]}
    tests |= {str(name): part for name, part in rows.groupby("setting", sort=False)}
    found = []
    for tested, part in tests.items():
        for (method, k), group in part.groupby(["method", "k"], sort=False):
            off = (group["median"] - group["truth"]).to_numpy()
            inside = group["truth"].between(group["lower"], group["upper"]).astype(float)
            inside = inside.where(group["lower"].notna())
            width = group["upper"] - group["lower"]
            model = group["model"].to_numpy()
            row = {"tested": tested, "method": method, "k": k, "runs": len(group)}
            row["models"] = group["model"].nunique()
            numbers = {"mae": np.abs(off), "bias": off, "coverage_90": inside, "width_90": width}
            for name, values in numbers.items():
                row[name], row[f"{name}_se"] = mean_and_error(np.asarray(values, float), model)
            found.append(row)
    return pd.DataFrame(found)


def draw(rows: pd.DataFrame, scores: pd.DataFrame, path: Path, seen: int) -> None:
    """Error and coverage against k, and predicted against measured pass@k at the largest k."""
    whole, last = scores[scores["tested"] == "all"], rows["k"].max()
    with drawing(path, 1, 3, figsize=(10.0, 3.3)) as (_, axes):
        for (method, colour), marker in zip(METHODS.items(), "oDs", strict=True):
            part = whole[whole["method"] == method]
            for ax, name in zip(axes, ("mae", "coverage_90"), strict=False):
                if part[name].notna().any():
                    looks = {"color": colour, "marker": marker, "markersize": 3.5, "capsize": 2}
                    ax.errorbar(part["k"], part[name], part[f"{name}_se"], label=method, **looks)
            shown = rows[(rows["method"] == method) & (rows["k"] == last)]
            reach = np.abs(shown[["lower", "upper"]].sub(shown["median"], axis=0)).to_numpy().T
            looks = {"color": colour, "linestyle": "none", "marker": marker, "markersize": 2.5}
            axes[2].errorbar(
                shown["truth"],
                shown["median"],
                np.nan_to_num(reach),
                elinewidth=0.6,
                alpha=0.7,
                label=method,
                **looks,
            )
        axes[0].set_ylabel("mean absolute error")
        axes[0].set_ylim(bottom=0.0)
        axes[0].legend(fontsize=8)
        axes[1].axhline(LEVEL, color=INK, linewidth=0.8, linestyle=":")
        axes[1].set_ylabel("runs inside 90 % intervals")
        axes[1].set_ylim(0.5, 1.0)
        for ax in axes[:2]:
            ax.set_xlabel("attempts k")
        ends = [rows.loc[rows["k"] == last, "truth"].min(), 1.0]
        axes[2].plot(ends, ends, color=INK, linewidth=0.8, linestyle=":")
        axes[2].set_xlabel(f"measured pass@{last}")
        axes[2].set_ylabel(f"predicted from {seen} attempts each")
