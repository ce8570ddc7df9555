"""From a table to draws of the law."""
