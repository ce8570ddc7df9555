"""Tables in: files, names, corrections."""

from typing import Literal

Edition = Literal["2024", "2025"]
"""Of the bundled leaderboard."""
EDITIONS: dict[Edition, str] = {"2024": "leaderboard.csv", "2025": "leaderboard_2025.csv"}
"""Their files. The first edition is the default."""
