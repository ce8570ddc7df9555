"""The parts of ``scripts/build_dataset.py``: a file per bundled table."""
