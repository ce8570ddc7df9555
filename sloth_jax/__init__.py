"""Predict how language models score on benchmarks before they are trained.

The public names of the package; ``__init__.pyi`` lists them, and where each is defined. A table is
read by :func:`load_leaderboard`; the law is :func:`scores`, and :func:`fit` fits it, by Laplace's
approximation, NUTS, SVI or at its mode. :func:`forecast` answers queries with predictive draws,
:func:`compute_optimal`, :func:`required` and :func:`compare` decide with them. :func:`make_folds`
and :func:`cross_validate` compare methods on held-out models.

Packages with more public names: :mod:`sloth_jax.skills`, :mod:`sloth_jax.planning`,
:mod:`sloth_jax.forecasting`, :mod:`sloth_jax.items`, :mod:`sloth_jax.repeats`,
:mod:`sloth_jax.evaluation`, :mod:`sloth_jax.plotting`. Everything is loaded when it is first used,
so that importing the package takes no time.
"""

from __future__ import annotations

__version__ = "0.5.0"

_face: list = []


def _lazy() -> list:
    if not _face:
        import lazy_loader  # not above: an interrupt of the command would meet it being loaded

        _face.extend(lazy_loader.attach_stub(__name__, __file__))
    return _face


def __getattr__(name: str) -> object:
    return _lazy()[2] if name == "__all__" else _lazy()[0](name)


def __dir__() -> list[str]:
    return _lazy()[1]()
