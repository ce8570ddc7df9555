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
# # One small model, one budget: what to train next?
#
# Your team has trained a one-billion model of a family of its own and evaluated it. Now there is
# money for one large run. How large, on how many tokens, and what will it score? And would another
# small run first make the forecast of the large one much better?
#
# Every answer below comes as many answers, one per draw of the law, so that you see how sure it is.
# The scores of `ours-1b` are made up; put yours in their place.
#
# With the environment variable `SLOTH_JAX_QUICK` set the fit is rough, its numbers mean nothing,
# and all is faster.

# %%
import os

import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import sloth_jax as sj

QUICK = "SLOTH_JAX_QUICK" in os.environ

# %% [markdown]
# ## 1. Put your model into the table
#
# A row is a model. Leave out benchmarks that you have not run: missing scores are masked, not
# guessed. A file in place of the data frame is read by the same function; notebook 4 shows more.

# %%
ours = {
    "model": "ours-1b", "family": "ours", "lineage": "ours", "post_trained": False,
    "params_b": 1.1, "tokens_t": 2.0,
    "MMLU": 0.36, "ARC": 0.39, "HellaSwag": 0.63, "Winogrande": 0.61, "GSM8K": 0.09, "BBH": 0.32,
}  # fmt: skip
bundled = sj.load_leaderboard(edition="2024")
bundled = bundled.subset(bundled.known)
table = sj.add_models(bundled, pd.DataFrame([ours]))
print(table)

# %% [markdown]
# ## 2. Draw laws that fit
#
# `sj.save_fit(fit, "ours.nc")` keeps it: it answers every later question in seconds, here or from
# the command line (`sloth-jax plan --fit ours.nc ...`).

# %%
settings = sj.FitSettings(skills=1, draws=10, steps=20) if QUICK else sj.FitSettings()
fit_key, key = jax.random.split(jax.random.key(0))
fit = sj.fit(table, key=fit_key, settings=settings, progress=sj.show_progress)
print("problems:", *(fit.diagnostics.problems() or ["none"]), sep="\n  ")

# %% [markdown]
# ## 3. Where does the next unit of compute help?
#
# What 1 % more parameters, or 1 % more tokens, add to the score of our model.

# %%
print(sj.elasticity(fit, 1.1, 2.0, family="ours", key=key).round(5).to_string(index=False))

# %% [markdown]
# ## 4. Split the budget
#
# Training costs about 6 FLOPs per parameter and token. On one budget a larger model sees fewer
# tokens. The blue line is what the law expects along the budget. The orange cross marks the best
# split: upwards the interval of the score as it would be measured, the one that is printed, and
# across that of where the optimum lies. The grey band holds sizes that are as good as the best one
# within what we know. It is usually wide: **the best is flat**, so other reasons (serving cost,
# memory) may choose within it.

# %%
budget = 1e23
bounds = sj.Bounds(params_b=(0.3, 100.0), tokens_t=(0.2, 18.0))  # where the table has models
plan = sj.compute_optimal(fit, budget, family="ours", target="MMLU", bounds=bounds, key=key)
best = plan.frontier.iloc[0]
print(plan)
with sj.plotting.style():
    figure, ax = plt.subplots(figsize=(5.0, 3.6), layout="constrained")
    sj.plotting.plot_splits(plan, budget, ax=ax)
plt.show()

# %% [markdown]
# The same over budgets. Crosses mark splits outside the table: there the law is carried on, not
# tested.

# %%
budgets = np.geomspace(1e22, 1e25, 3 if QUICK else 20)
ladder = sj.compute_optimal(fit, budgets, family="ours", target="MMLU", bounds=bounds, key=key)
with sj.plotting.style():
    figure, axes = plt.subplots(1, 3, figsize=(11.0, 3.0), layout="constrained")
    sj.plotting.plot_frontier(ladder, "params_b", ax=axes[0])
    sj.plotting.plot_frontier(ladder, "tokens_t", ax=axes[1])
    sj.plotting.plot_reached(ladder, ax=axes[2])
plt.show()

# %% [markdown]
# ## 5. How large for a wanted score?
#
# "MMLU of 60 % with a probability of 80 %" on four trillion tokens. The probability counts
# everything we do not know, down to the noise of the evaluation.

# %%
wanted = sj.required(
    fit, "MMLU", 0.6, probability=0.8, family="ours", tokens_t=4.0, bounds=bounds, key=key
)
print(wanted)
with sj.plotting.style():
    figure, ax = plt.subplots(figsize=(5.0, 3.0), layout="constrained")
    sj.plotting.plot_requirement(wanted, ax=ax)
plt.show()

# %% [markdown]
# ## 6. Three candidates, side by side
#
# Candidates of one family share what is uncertain about it: their *difference* is known better than
# either of them. `probability_best` uses that.

# %%
candidates = sj.load_query(
    pd.DataFrame(
        {
            "model": ["wide", "even", "long"],
            "family": "ours",
            "params_b": [30.0, 8.0, 3.0],
            "tokens_t": [0.55, 2.1, 5.5],
        }
    ),
    table,
)
rows = sj.compare(fit, candidates, key=key)
print(rows[rows["benchmark"].str.startswith("mean")].round(3).to_string(index=False))
with sj.plotting.style():
    figure, ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    sj.plotting.plot_candidates(rows, ax=ax)
plt.show()

# %% [markdown]
# ## 7. Measure once more before you jump?
#
# For each small model we could train with a tenth of the budget: how wide would the forecast of the
# large one be after seeing its scores? `before` is how wide it is now. If no small run narrows it
# much, the money is better spent on the large one.

# %%
chosen = sj.next_measurement(
    fit, "ours", budget / 10.0, params_b=best["params_b"], tokens_t=best["tokens_t"],
    target="MMLU", bounds=bounds, key=key, futures=20 if QUICK else 100,
)  # fmt: skip
print(chosen.round(4).to_string(index=False))
