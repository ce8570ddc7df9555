"""From queries to predictive draws; the gaps of a table; sizes and tokens that nobody told."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
