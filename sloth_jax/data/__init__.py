"""Bundled tables: scores, floors and corrections, written by ``scripts/build_dataset.py``."""
