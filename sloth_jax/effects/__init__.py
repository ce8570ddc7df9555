"""Effects of lineages, families and models: a linear mixed model, and how it is integrated out.

Nothing here knows links, surfaces or priors. Read in this order:

1. :mod:`~sloth_jax.effects.density` has the covariance of effects (``Problem``) and the density;
   :mod:`~sloth_jax.effects.spread`, :mod:`~sloth_jax.effects.walk` and
   :mod:`~sloth_jax.effects.runs` are its terms, :mod:`~sloth_jax.effects.dense` the same as one
   plain matrix.
2. :mod:`~sloth_jax.effects.bins` says how lineages are laid out in arrays;
   :mod:`~sloth_jax.effects.packing` and :mod:`~sloth_jax.effects.score_blocks` do it,
   :mod:`~sloth_jax.effects.sharding` spreads them over devices.
3. :mod:`~sloth_jax.effects.elimination` solves a lineage, by
   :mod:`~sloth_jax.effects.batched_inverse`; :mod:`~sloth_jax.effects.nested` one of very many
   models.
4. :mod:`~sloth_jax.effects.conditioning` draws effects given the scores;
   :mod:`~sloth_jax.effects.missing_information` serves the curvature of large tables.
"""
