# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own models, beside everybody's
#
# You have trained a few small models and measured them on some public benchmarks and on one of your
# own. What would a large model of yours score? And which small model should you train next, so that
# the answer gets sharper?
#
# All numbers of the family *acme* and of the benchmark *Contracts* below are **invented**, so that
# the notebook runs without anybody's data. Put yours in their place.
#
# With the environment variable `SLOTH_JAX_QUICK` set the fit is rough, its numbers mean nothing,
# and all is faster.

# %%
import os
import subprocess
import sys

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import sloth_jax as sj

QUICK = "SLOTH_JAX_QUICK" in os.environ

# %% [markdown]
# ## 1. A file as you may have it
#
# One row per model. Names of columns may be those of your spreadsheet, scores may be percent, and
# what you have not measured stays empty: missing scores are masked, never guessed.

# %%
with open("measured.csv", "w") as file:
    file.write("""\
Model,Family,#Params (B),Pretraining tokens (T),MMLU,ARC,HellaSwag,GSM8K,Contracts
acme-0.4b,acme,0.4,1.5,26.1,31.0,45.2,1.1,27.5
acme-1b,acme,1.1,2.0,33.8,39.9,61.0,7.8,33.0
acme-3b,acme,3.1,3.0,51.2,48.8,,31.4,44.5
""")

# %% [markdown]
# `sloth-jax import` makes a table of it, or says row by row why not. It reads result files of
# lm-evaluation-harness and exports of the Open LLM Leaderboards too. Here we call the command from
# Python; in a shell it is `sloth-jax import measured.csv --out mine.csv`.


# %%
def sloth_jax(command: str) -> None:
    """Run one command line and print what it says."""
    words = [sys.executable, "-m", "sloth_jax.cli.main", *command.split()]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr)


sloth_jax("import measured.csv --out mine.csv --guessed guessed.csv")
mine = pd.read_csv("mine.csv")
mine.dropna(axis="columns", how="all")

# %% [markdown]
# What it read off names it lists, so that you can correct it.

# %%
pd.read_csv("guessed.csv")

# %% [markdown]
# ## 2. Is it enough?
#
# Three models say little about a law. The check says so before anything is fitted.

# %%
print(*sj.check_identifiability(sj.load_leaderboard(mine), skills=1).warnings(), sep="\n")

# %% [markdown]
# So we put them beside the bundled table, which knows how benchmarks grow with size and tokens in
# dozens of other families. *Contracts* has four choices, so guessing scores 25 %: a column says so.
# A new benchmark should be measured on some public models as well. Their sizes and tokens are known
# already; only names and scores are needed.

# %%
mine["Contracts floor"] = 0.25
public = pd.DataFrame(
    {
        "model": ["llama-2-7b", "llama-2-13b", "meta-llama-3-8b", "qwen2-0.5b", "qwen2-7b"],
        "Contracts": [0.365, 0.42, 0.535, 0.31, 0.59],  # invented
    }
)
bundled = sj.load_leaderboard(edition="2024")
bundled = bundled.subset(bundled.known)
table = sj.add_models(sj.add_models(bundled, mine), public)
print(bundled, table, sep="\n")
notes = [text for text in table.warnings if text not in bundled.warnings]
print("notes:", *(notes or ["none"]), sep="\n  ")

# %% [markdown]
# ## 3. Fit everything together
#
# One law for all families. What sets yours apart is learnt from your three models; how a family may
# differ from others at all is learnt from everybody's.

# %%
settings = sj.FitSettings(skills=1, draws=10, steps=20) if QUICK else sj.FitSettings()
fit_key, key = jax.random.split(jax.random.key(0))
fit = sj.fit(table, key=fit_key, settings=settings, progress=sj.show_progress)
print("problems:", *(fit.diagnostics.problems() or ["none"]), sep="\n  ")

# %% [markdown]
# ## 4. Predict the large model
#
# A query is a file or a data frame without scores. We ask twice about the same size and tokens:
# as a model of acme, and as one of a family that nobody has seen. The difference is what the three
# small models are worth.

# %%
asked = pd.DataFrame(
    {
        "model": ["acme-14b", "stranger-14b"],
        "family": ["acme", "stranger"],
        "post_trained": [False, False],
        "params_b": 14.0,
        "tokens_t": 6.0,
    }
)
query = sj.load_query(asked, table)
predicted = sj.forecast(fit, query, key=key)
rows = predicted.summary(0.9).round(3)
rows[rows["model"] == "acme-14b"].drop(columns=["mean", "level"])

# %%
lower, upper = predicted.interval(0.9)
median = np.median(predicted.draws, axis=0)
wide = 100 * (upper - lower).mean(axis=1)  # points, mean over benchmarks
titles = (
    f"acme, three models known: {wide[0]:.0f} points wide",
    f"unknown family: {wide[1]:.0f} points wide",
)
with sj.plotting.style():
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.0), sharey=True, layout="constrained")
    for at, (title, ax) in enumerate(zip(titles, axes, strict=True)):
        sj.plotting.plot_intervals(
            median[at],
            lower[at],
            upper[at],
            table.benchmarks,
            floors=table.floors,
            level=0.9,
            ax=ax,
        )
        ax.set_title(title)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()

# %% [markdown]
# Draws carry names, for questions of your own. How likely is it that the large model solves more
# than half of *Contracts*?

# %%
contracts = predicted.to_xarray().sel(model="acme-14b", benchmark="Contracts")
share = float((contracts > 0.5).mean())
error = max(np.sqrt(share * (1.0 - share) / contracts.size), 1.0 / contracts.size)
print(f"probability {share:.3f}, Monte Carlo error {error:.3f}")

# %% [markdown]
# ## 5. Which small model to measure next?
#
# For small models within a budget: how wide would the forecast of the large one be after seeing
# their scores? `before` is how wide it is now, `width` what to expect afterwards, with the `error`
# of that estimate.

# %%
budget = 1e23  # FLOPs, about a fifth of the large run
small = pd.DataFrame({"params_b": [0.4, 1.1, 3.1, 6.0], "tokens_t": [6.0, 6.0, 5.0, 2.5]})
chosen = sj.next_measurement(
    fit, "acme", budget, params_b=14.0, tokens_t=6.0, target="Contracts", candidates=small, key=key,
    futures=10 if QUICK else 100,
)  # fmt: skip
chosen.drop(columns="outside").round(3)

# %% [markdown]
# Differences smaller than the `error` are no reason to choose.
#
# ## 6. Keep it
#
# The saved fit answers later questions in seconds: in Python by `sj.load_fit("acme.nc")`, in a
# shell by `sloth-jax predict --fit acme.nc --query query.csv --out predictions.csv`.

# %%
sj.save_fit(fit, "acme.nc")
asked.to_csv("query.csv", index=False)
