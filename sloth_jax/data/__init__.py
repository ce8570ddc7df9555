"""Tables in: files, names, corrections, tasks."""
