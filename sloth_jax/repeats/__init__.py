"""The same item asked again: pass@k by more attempts, and the spread over prompt templates."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
