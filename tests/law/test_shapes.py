"""Shapes that signatures promise hold in a whole fit, checked at every call."""

import os
import subprocess
import sys
from pathlib import Path

# In a process of its own: the hook must come before the first import, and checks take time.
CHECKED = """
import sys
from jaxtyping import install_import_hook
install_import_hook(("sloth_jax.law", "sloth_jax.inference"), "beartype.beartype")
sys.path.insert(0, {tests!r})
import jax
import numpy as np
import sloth_jax as sj
from small import random_links, random_params, table

data, truth = table(families=4, sizes=3)
quick = dict(skills=2, draws=6, steps=3)
chains = sj.NutsSettings(chains=1, warmup=2, draws=2, max_tree_depth=1)
for inference, surface in (("laplace", "averaged"), ("nuts", "smooth")):
    how = dict(inference=inference, surface=surface, nuts=chains, **quick)
    fit = sj.fit(data, key=jax.random.key(0), **how)
    assert np.isfinite(sj.forecast_table(fit, key=jax.random.key(1)).draws).all()
for link in random_links(0, 4).values():
    params = random_params(0, 2, 4, link)
    assert sj.scores(params, sj.fit_surface(data, kind="translog").of(data, 0.0)).shape == (12, 4)
try:
    sj.scores(params, jax.numpy.zeros(4))
except Exception as error:
    print("refused", type(error).__name__)
"""


def test_shapes_of_signatures_hold_at_every_call():
    code = CHECKED.format(tests=str(Path(__file__).resolve().parents[1]))
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"JAX_ENABLE_X64": "1"},
    )
    assert found.returncode == 0, found.stderr[-3000:]
    assert found.stdout.strip() == "refused TypeCheckError"
