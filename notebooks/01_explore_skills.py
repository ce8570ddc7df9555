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
# # From a table of scores to skills you can name
#
# A leaderboard has a dozen columns, and most of them say the same thing: a model that is good at
# GSM8K is good at MATH. The idea of *skills* is that a few hidden abilities move all columns. We
# never measure a skill. We infer it, because it makes several benchmarks rise together.
#
# You need to have seen a regression. You need not have seen a factor model or a Markov chain.
#
# With the environment variable `SLOTH_JAX_QUICK` set the fit is rough, its numbers mean nothing,
# and all is faster.

# %%
import os

import jax
import matplotlib.pyplot as plt
import numpy as np

import sloth_jax as sj

QUICK = "SLOTH_JAX_QUICK" in os.environ

table = sj.load_leaderboard(edition="2024")
table = table.subset(table.known)
print(table)

# %% [markdown]
# ## 1. May we ask this table at all?
#
# Hidden quantities can be *unidentified*: two different explanations give exactly the same scores,
# and no amount of data tells them apart. The check looks for such cases before we fit.
#
# * A skill's slope on tokens is learnt from families whose models saw *different* amounts of
#   tokens. If no family varies them, everything tokens do could as well be what families are.
# * A third skill has to explain something that two skills do not explain, beyond noise.

# %%
report = sj.check_identifiability(table, skills=3)
print(report.to_text())

# %% [markdown]
# One ambiguity always remains: skills can be *rotated*. "Reasoning" and "knowledge", or their sum
# and their difference, predict the same scores. So we pick the rotation in which each benchmark
# depends on as few skills as possible (oblique geomin), because that one can be named. That is a
# choice of ours, not a fact about models, and no prediction depends on it.
#
# ## 2. Draw laws that fit
#
# Instead of one best fit we draw many laws, each about as compatible with the table as the table
# allows. Where they agree we know something; where they differ we do not. `inference="nuts"` draws
# without approximation, in minutes.

# %%
settings = sj.FitSettings(skills=3)
if QUICK:
    settings = sj.FitSettings(skills=3, draws=10, steps=20)
fit_key, turn_key = jax.random.split(jax.random.key(0))
fit = sj.fit(table, key=fit_key, settings=settings, progress=sj.show_progress)
print("problems:", *(fit.diagnostics.problems() or ["none"]), sep="\n  ")

# %% [markdown]
# ## 3. Loadings: what a skill does to a benchmark
#
# A loading of 0.8 says: a model that is one standard deviation better in this skill stands 0.8
# standard deviations higher on this benchmark. The bar holds 90 % of the draws. Where it crosses
# zero, the table does not say whether the skill matters there.

# %%
skills = sj.interpret_skills(fit, key=turn_key)
proposed = sj.skills.propose_labels(skills)
print("the benchmarks that tell most of each skill:", *proposed, sep="\n  ")

# Names are yours. Ours come from the benchmarks; read the loadings before you believe them.
skills = skills.named(proposed)
loadings = skills.loadings(0.9)

with sj.plotting.style():
    figure, axes = plt.subplots(1, 3, figsize=(9.0, 3.6), sharey=True, layout="constrained")
    for label, ax in zip(skills.labels, axes, strict=True):
        sj.plotting.plot_loadings(loadings, label, table.benchmarks, ax=ax)
plt.show()

# %% [markdown]
# Two numbers say how far to trust the *rotation*. The first is the share of random starts that
# found these loadings: if it is small, another rotation is about as simple. The second is how
# correlated the skills are over models: two skills at 0.9 are hardly two.

# %%
print(f"{skills.agreeing:.0%} of the rotation's starts agree")
print(skills.correlations(0.9).round(2).to_string(index=False))

# %% [markdown]
# ## 4. Models and families in skills
#
# Skills of single models have intervals too. 0 is the average model of the table, 1 is a standard
# deviation above it.

# %%
models = skills.models(0.9)
first = skills.labels[0]
best = models[models["skill"] == first].nlargest(5, "median")
print(best.round(2).to_string(index=False))

# %% [markdown]
# A *family* is compared at one size and one number of tokens: what it makes of the same compute.

# %%
efficiency = skills.families(0.9, params_b=7.0, tokens_t=2.0)
print(
    efficiency[efficiency["skill"] == first].nlargest(5, "median").round(2).to_string(index=False)
)

# %% [markdown]
# ## 5. What grows with size, what with tokens, and what with post-training

# %%
with sj.plotting.style():
    figure, ax = plt.subplots(figsize=(6.0, 2.8), layout="constrained")
    sj.plotting.plot_growth(skills.growth(0.9), ax=ax)
plt.show()

curves = skills.level_curves(np.geomspace(0.5, 100.0, 15), np.geomspace(0.3, 15.0, 15))
with sj.plotting.style():
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.2), sharey=True, layout="constrained")
    for label, ax in zip(skills.labels, axes, strict=True):
        sj.plotting.plot_level_curves(curves, label, ax=ax)
plt.show()

# %% [markdown]
# Along a line every mix of parameters and tokens gives the same skill. Steep lines: size matters;
# flat lines: tokens do. The shading darkens where the draws disagree, which is where nobody has
# trained a model yet.

# %%
shifts = skills.base_to_chat(0.9)
print(
    shifts[shifts["base"] == "all"].drop(columns=["base", "chat"]).round(2).to_string(index=False)
)

with sj.plotting.style():
    pairs = len(shifts) // 3
    figure, axes = plt.subplots(
        1, 3, figsize=(9.0, 1.0 + 0.17 * pairs), sharey=True, layout="constrained"
    )
    for label, ax in zip(skills.labels, axes, strict=True):
        sj.plotting.plot_shifts(shifts, label, ax=ax)
        ax.tick_params(axis="y", labelsize=7)
plt.show()

# %% [markdown]
# ## 6. What the table decided, and what we had assumed
#
# A law has a prior: what we thought plausible before we looked. Where the draws are nearly as
# wide as the prior, the number is ours rather than the data's, and should not be quoted.

# %%
decided = sj.skills.contraction(fit)
ours = decided[decided["prior_decides"]]
print(f"the prior decides {len(ours)} of {len(decided)} numbers, for example")
print(ours.nsmallest(5, "contraction").round(2).to_string(index=False))
