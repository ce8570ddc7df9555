"""Bundled tables, written by ``scripts/build_dataset.py``: scores, floors, corrections, folds."""
