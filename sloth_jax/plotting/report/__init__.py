"""The page of ``sloth-jax report`` and of ``sloth-jax explore``: one file that any browser opens.

:mod:`.contents` gathers everything that the page says; :mod:`.page` makes it HTML, around the
template, the style and the script beside it; :mod:`.explore` serves it and answers for models that
are typed in.
"""
