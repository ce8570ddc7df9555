"""What a table determines of the law: begin with :mod:`~sloth_jax.identifiability.check`.

Answers to items have a check of their own, :mod:`~sloth_jax.identifiability.response_check`. Also
here: suspect scores (:mod:`~sloth_jax.identifiability.quality`), units of scores
(:mod:`~sloth_jax.identifiability.score_scales`), the prior of unknown sizes and tokens
(:mod:`~sloth_jax.identifiability.covariate_prior`), tables drawn from a known law
(:mod:`~sloth_jax.identifiability.synthetic`).
"""
