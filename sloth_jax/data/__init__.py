"""Tables in: files, names, corrections."""

EDITIONS = {"2024": "leaderboard.csv", "2025": "leaderboard_2025.csv"}
"""Edition of the bundled leaderboard -> its file; the first is the default."""
