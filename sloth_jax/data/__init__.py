"""Tables in: files, names, corrections."""

EDITIONS = {"2025": "leaderboard_2025.csv", "2024": "leaderboard.csv"}
"""Edition of the bundled leaderboard -> its file; the first, the newest, is the default."""
PUBLISHED = "2024"
"""The edition whose published facts and folds there are."""
