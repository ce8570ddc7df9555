"""How good forecasts are: folds, splits, published methods, errors, calibration, averaging."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
