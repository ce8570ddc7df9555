"""Other formats in: exports of leaderboards, result files of lm-evaluation-harness, tables."""
