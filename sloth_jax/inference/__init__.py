"""From a table to draws of the law: arrays, mode, draws around it, diagnostics, files.

:mod:`~sloth_jax.inference.fit` says what happens when; begin there.
"""
