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
# # From skills to a task of your own, and to more attempts
#
# A dozen benchmarks were measured on hundreds of models. The task that you care about, coding say,
# was measured on a few dozen. And nobody has yet trained the model that you are asked about. Skills
# are the bridge: what a task has in common with benchmarks that everybody runs.
#
# Then a second question. A model solves a problem with some chance at each attempt. What would a
# hundred attempts solve?
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
# ## 1. A task is one more benchmark, with gaps
#
# Missing scores are masked, so a task that fewer than half of the models were measured on may just
# join the table. Its loadings are learnt together with all others. Yours would come from
# `sj.read_task("mine.csv", scale="percent")`, or from a data frame.

# %%
coding = sj.load_task("HumanEval")
board = sj.load_leaderboard(edition="2024")
table = sj.with_tasks(board.subset(board.known), coding)
if QUICK:
    scored = np.isfinite(table.scores[:, -1])
    table = table.subset(scored & (np.cumsum(scored) <= 24))
print(f"{np.isfinite(table.scores[:, -1]).sum()} of {len(table.models)} models have {coding.title}")

# %%
settings = sj.FitSettings(skills=2, draws=10, steps=20) if QUICK else sj.FitSettings()
fit = sj.fit(table, key=jax.random.key(0), settings=settings, progress=sj.show_progress)
print("problems:", *(fit.diagnostics.problems() or ["none"]), sep="\n  ")

# %% [markdown]
# ## 2. Which skills drive it?
#
# A loading is what one standard deviation of a skill adds to the task's predictor. An interval that
# holds zero means that the skill may do nothing for it.

# %%
skills = sj.interpret_skills(fit, key=jax.random.key(1))
loadings = skills.loadings()
with sj.plotting.style():
    figure, ax = plt.subplots(figsize=(4.4, 2.4), layout="constrained")
    sj.plotting.plot_task_loadings(loadings[loadings["benchmark"] == coding.name], ax=ax)
plt.show()
loadings[loadings["benchmark"] == coding.name].round(2)

# %% [markdown]
# ## 3. A model that does not exist
#
# One of a known family, and one of a family that nobody has seen: the second interval is wider,
# since the law does not know how much code its recipe holds.

# %%
asked = pd.DataFrame(
    {
        "model": ["llama-3-400b", "newcomer-30b"],
        "family": ["meta-llama-3", "newcomer"],
        "lineage": ["meta-llama-3", "newcomer"],
        "post_trained": [False, False],
        "params_b": [400.0, 30.0],
        "tokens_t": [15.0, 10.0],
    }
)
query = sj.load_query(asked, table)
predicted = sj.forecast(fit, query, key=jax.random.key(2)).summary()
predicted[predicted["benchmark"] == coding.name].round(3)

# %% [markdown]
# ## 4. A model whose benchmarks are known, and whose task is not
#
# This is the observational setting. `forecast_table` predicts every model of the table by its own
# scores too, so its intervals are narrower than those from compute alone.

# %%
of_table = sj.forecast_table(fit, key=jax.random.key(3)).summary()
of_task = of_table[of_table["benchmark"] == coding.name]
without = np.asarray(table.models)[~np.isfinite(table.scores[:, -1])]
of_task[of_task["model"].isin(without)].head().round(3)

# %% [markdown]
# ## 5. More attempts
#
# Let a problem have a difficulty and a direction in skills, and an attempt succeed by chance. We
# make up the attempts of ten models of the table at 128 problems; real ones come from
# `read_attempts(folder)`. The law of the problems is fitted with the skills that the first fit
# found, so that it can be asked about any model whose skills can be forecast.

# %%
rng = np.random.default_rng(0)
known = skills.theta.mean(axis=0)
ten = rng.choice(len(table.models), 10, replace=False)
attempts, _ = sj.repeats.simulate_attempts(
    jax.random.key(4), known[ten], problems=16 if QUICK else 128, tries=200 if QUICK else 10_000
)
items = sj.repeats.fit_items(attempts, theta=known[ten], key=jax.random.key(5))
print(f"{len(attempts.problems)} problems, fit converged: {items.converged}")

# %% [markdown]
# The band holds both what is not known of the problems and what is not known of the model's skills:
# each draw of its skills is asked on its own.

# %%
k = np.unique(np.geomspace(1, attempts.tries.max(), 25).round().astype(int))
theta = sj.skills.skills_of_query(skills, query)
thinned = np.linspace(0, len(theta) - 1, min(400, len(theta))).astype(int)
with sj.plotting.style():
    figure, ax = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    for at, model in enumerate(query.models):
        draws = sj.repeats.forecast_coverage(items, theta[thinned, at], k, key=jax.random.key(6))
        lower, upper = np.quantile(draws, [0.05, 0.95], axis=0)
        ax.fill_between(k, lower, upper, color=sj.plotting.COLOURS[at], alpha=0.2, linewidth=0)
        ax.plot(
            k,
            np.median(draws, axis=0),
            "--",
            color=sj.plotting.COLOURS[at],
            label=f"{model}, forecast",
        )
    measured = sj.repeats.coverage(attempts, k)
    best = int(np.argmax(measured[:, 0]))
    ax.plot(
        k,
        measured[best],
        color=sj.plotting.INK,
        label=f"{table.models[ten[best]]}, made-up attempts",
    )
    ax.set_xscale("log")
    ax.set_ylim(0.0, 1.0)
    ax.set_xlabel("attempts k")
    ax.set_ylabel("coverage pass@k")
    ax.legend(fontsize=7.5)
plt.show()

# %% [markdown]
# ## What to remember
#
# * A task needs a handful of scores to join, and says so when it has fewer.
# * Its interval for a new family is wide, because nothing is known of the family.
# * Coverage grows with attempts where some problems are hard, and does not where they are out of
#   reach. Look at the band, not only at the curve.
