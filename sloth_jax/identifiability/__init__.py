"""identifiability."""
