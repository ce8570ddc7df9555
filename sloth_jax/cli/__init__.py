"""The command ``sloth-jax``: the only room that knows a terminal."""
