"""What to train: splits of a budget, sizes that reach a score, candidates, the next measurement."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
