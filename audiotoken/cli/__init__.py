"""The `audiotoken` command: a file for each group of commands."""
