"""The law: from size, tokens and family to scores, its prior, and its posterior density.

Read in this order:

1. :mod:`~sloth_jax.law.forward`, the one function from parameters to scores; its surface
   (:mod:`~sloth_jax.law.surface`) and links (:mod:`~sloth_jax.law.links`).
2. :mod:`~sloth_jax.law.hierarchical`, the prior and the density, ``Density.model`` as a NumPyro
   model; :mod:`~sloth_jax.law.options` has the prior's scales, :mod:`~sloth_jax.law.observations`
   the arrays of a table.
3. What the density is made of: :mod:`~sloth_jax.law.pivots` (rotation of skills),
   :mod:`~sloth_jax.law.groups` (parts of a suite), :mod:`~sloth_jax.law.covariates` (unknown sizes
   and tokens). Effects of lineages, families and models are in :mod:`sloth_jax.effects`.
4. What is computed with it: :mod:`~sloth_jax.law.target` (a flat vector),
   :mod:`~sloth_jax.law.curvature`, :mod:`~sloth_jax.law.predictive` (scores of a table's models),
   :mod:`~sloth_jax.law.on_mesh` (several devices), :mod:`~sloth_jax.law.memory`.
"""
