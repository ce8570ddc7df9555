"""From answers to a few items to the score over all: item banks, which items to ask, estimates."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
