"""Tables in: files, names, corrections."""
