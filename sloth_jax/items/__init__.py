"""From answers to single questions to scores: item responses, few items, repeated attempts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
