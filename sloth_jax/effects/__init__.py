"""Effects of lineages, families and models: bins, elimination, conditioning. Knows no law."""
