"""Forecasts: from a fit and a query to predictive draws of scores.

:mod:`~sloth_jax.forecasting.forecast` is the public function,
:mod:`~sloth_jax.forecasting.predictive_law` what it draws with. Also here: queries, gaps of a table
filled (:mod:`~sloth_jax.forecasting.completion`), sizes and tokens that a table lacks
(:mod:`~sloth_jax.forecasting.unknown_covariates`), families along size, tokens and FLOPs
(:mod:`~sloth_jax.forecasting.family_curves`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
